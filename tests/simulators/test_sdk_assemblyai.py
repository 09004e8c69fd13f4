"""The vendor's own SDK is content with the simulator, sync and async; and sees its faults as it sees the vendor's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.simulators import AssemblyAISimulator
from tests.aio import run
from tests.sdks import Outcome, assemblyai_async, assemblyai_sync, speech

AUDIO = speech(1.0, 0.8, 0.7, 0.2)


def outcome(kind: str, key: str = "key", **options: Any) -> tuple[Outcome, AssemblyAISimulator]:
    async def main() -> tuple[Outcome, AssemblyAISimulator]:
        async with AssemblyAISimulator(**{"strict": False, **options}) as sim:
            if kind == "async":
                return await assemblyai_async(sim.url, AUDIO, key=key), sim
            return await asyncio.to_thread(assemblyai_sync, sim.url, AUDIO, key=key), sim

    return run(main())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_good_call(kind: str) -> None:
    seen, sim = outcome(kind)
    assert seen.transcripts == ["Good morning this is.", "The harbour office."]
    assert seen.ids == {sim.sessions[0].request_id}
    assert seen.error is None
    assert seen.ended
    assert bytes(sim.sessions[0].audio) == AUDIO


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("1008_missing_authorization", "1008: Unauthorized Connection: Missing Authorization header"),
        ("3009_concurrent_sessions", "3009: Unauthorized connection: Too many concurrent sessions"),
        ("3008_session_expired", "3008: Session Expired: Maximum session duration exceeded"),
        ("410_deprecated", "410: Deprecated endpoint: use wss://streaming.assemblyai.com/v3/ws"),
        ("http_502", "502: WebSocket handshake rejected (HTTP 502)"),
        ("close-1013", "1013: Temporary server condition forced blocking client's request"),
    ],
)
def test_faults(kind: str, fault: str, error: str) -> None:
    seen, _ = outcome(kind, fault=fault, wording="live")
    assert seen.error == error
    assert not seen.ended


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_wrong_key_is_told_after_the_101(kind: str) -> None:
    seen, sim = outcome(kind, key="bad-key")
    assert seen.error == "1008: Unauthorized Connection: Invalid API key"
    assert sim.sessions[0].status == 101


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_sent_too_fast_for_the_strict_limit(kind: str) -> None:
    seen, _ = outcome(kind, strict=True)
    assert seen.error is not None
    assert seen.error.startswith("3007: Audio Transmission Rate Exceeded: Received ")
