"""The vendor's own SDK is content with the simulator: v1 and v2, sync and async; and sees its faults as it sees the vendor's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.simulators import DeepgramSimulator
from tests import sdks
from tests.aio import run
from tests.sdks import Outcome, speech

AUDIO = speech(1.0, 0.8, 0.7, 0.6)
SAID = ["good morning this is", "the harbour office"]


def outcome(name: str, key: str = "key", **options: Any) -> tuple[Outcome, DeepgramSimulator]:
    async def main() -> tuple[Outcome, DeepgramSimulator]:
        place = getattr(sdks, name)
        async with DeepgramSimulator(strict=False, **options) as sim:
            if name.endswith("_async"):
                return await place(sim.url, AUDIO, key=key), sim
            return await asyncio.to_thread(place, sim.url, AUDIO, key=key), sim

    return run(main())


@pytest.mark.parametrize("name", ["deepgram_v1", "deepgram_v1_async", "deepgram_v2", "deepgram_v2_async"])
@pytest.mark.parametrize("wording", ["documented", "live"])
def test_a_good_call(name: str, wording: str) -> None:
    seen, sim = outcome(name, wording=wording)
    assert seen.transcripts == SAID
    assert seen.ids == {sim.sessions[0].request_id}
    assert seen.error is None
    assert bytes(sim.sessions[0].audio) == AUDIO
    assert seen.ended == ("v1" in name)  # v2 has no Metadata


@pytest.mark.parametrize("name", ["deepgram_v1", "deepgram_v1_async", "deepgram_v2", "deepgram_v2_async"])
def test_a_wrong_key_is_an_api_error(name: str) -> None:
    seen, _ = outcome(name, key="bad-key")
    assert seen == Outcome(error="HTTP 401")


@pytest.mark.parametrize("name", ["deepgram_v1", "deepgram_v1_async"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("NET-0001", "closed 1011 NET-0001"),
        ("DATA-0000", "closed 1008 DATA-0000"),
        ("TOO_MANY_REQUESTS", "HTTP 429"),
        ("http_502", "HTTP 502"),
        ("eof", "closed without a close frame"),
        ("reset", "closed without a close frame"),
    ],
)
def test_faults(name: str, fault: str, error: str) -> None:
    seen, _ = outcome(name, fault=fault, fault_after=1.6)
    assert seen.error == error
    assert seen.transcripts == (SAID[:1] if error.startswith("closed 10") else seen.transcripts)


def test_a_fatal_error_of_flux() -> None:
    seen, _ = outcome("deepgram_v2", fault="INTERNAL_SERVER_ERROR", fault_after=1.0)
    assert seen.error == "INTERNAL_SERVER_ERROR: An internal server error occurred."
