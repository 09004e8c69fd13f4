"""The demo's client: it speaks the recording as it is told to, and says truly what it saw."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from proxy.simulators import AssemblyAISimulator, DeepgramSimulator
from proxy.simulators.caller import Manner, call
from proxy.simulators.dialects import FLUX, NOVA, V3
from proxy.simulators.recording import RECORDING, recording, spoken
from tests.aio import free_port, run


def seen(manner: Manner, dialect: Any = NOVA, **options: Any) -> tuple[str, Any]:
    async def main() -> tuple[str, Any]:
        kind = AssemblyAISimulator if dialect is V3 else DeepgramSimulator
        async with kind(**options) as simulator:
            return await call(simulator.url, dialect, manner, 0.5, {"x-demo-call": "one"}), simulator.sessions[0]

    return run(main())


def test_the_recording_is_speech_of_some_seconds() -> None:
    assert RECORDING.stat().st_size < 200_000
    assert 4 < len(recording()) / 32000 < 7


def test_spoken_goes_round_and_ends_with_the_rest() -> None:
    pieces = list(spoken(len(recording()) / 32000 + 0.25, 0.1))
    assert b"".join(pieces) == recording() + recording()[:8000]
    assert {len(piece) for piece in pieces[:-1]} == {3200}
    assert list(spoken(0, 0.1)) == []
    assert next(iter(spoken(1, 0.1, header=True)))[:4] == b"RIFF"


@pytest.mark.parametrize(("dialect", "end"), [(NOVA, "close 1000"), (V3, "close 1000"), (FLUX, "close 1005")])
def test_a_good_call(dialect: Any, end: str) -> None:
    told, session = seen(Manner(), dialect)
    assert told.endswith(end)
    assert told.startswith('"')
    assert bytes(session.audio) == recording()[:16000]
    assert session.texts == [dialect.end]
    assert ("x-demo-call", "one") in session.headers


@pytest.mark.parametrize(
    ("manner", "options", "told"),
    [
        (Manner(key="bad-key"), {}, "HTTP 401 Invalid credentials."),
        (Manner(key=None), {}, "HTTP 401 Invalid credentials."),
        (Manner(), {"fault": "http_502"}, "HTTP 502 text/html"),
        (Manner(), {"fault": "garbage"}, "no WebSocket: InvalidMessage"),
        (Manner(seconds=0.1, then="leave"), {}, "left with 1000"),
        (Manner(seconds=0.1, then="give-up"), {}, "left with 1011"),
        (Manner(seconds=0.1, then="die"), {}, "connection lost"),
        (Manner(), {"fault": "reset"}, "connection lost"),
        (Manner(), {"fault": "close-410"}, "a broken close frame (its library says 1002)"),
        (Manner(seconds=0.1, then="listen"), {"idle_seconds": 0.1}, "close 1011 NET-0001"),
        (Manner(seconds=0.1, says=('{"type":"Bogus"}',)), {}, '"good", SchemaError, close 1000'),
    ],
)
def test_what_it_says_it_saw(manner: Manner, options: dict[str, Any], told: str) -> None:
    assert seen(manner, **options)[0] == told


def test_nobody_there() -> None:
    assert run(call(f"ws://127.0.0.1:{free_port()}", NOVA, Manner(), 0.1, {})).startswith("no WebSocket: ")


def with_server(handle: Callable[[ServerConnection], Awaitable[None]]) -> str:
    async def main() -> str:
        async with serve(handle, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await call(f"ws://127.0.0.1:{port}", NOVA, Manner(seconds=0), 0.0, {})

    return run(main())


def test_it_does_not_wait_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.simulators.caller.ANSWER_SECONDS", 0.2)

    async def says_nothing(line: ServerConnection) -> None:
        await line.wait_closed()

    assert with_server(says_nothing) == "nothing more"


def test_no_answer_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.simulators.caller.ANSWER_SECONDS", 0.2)

    async def main() -> str:
        async with DeepgramSimulator(fault="no-answer") as simulator:
            return await call(simulator.url, NOVA, Manner(), 0.1, {})

    assert run(main()) == "no answer"


def test_a_cancelled_call_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with DeepgramSimulator() as simulator:
            calling = asyncio.create_task(call(simulator.url, NOVA, Manner(seconds=30), 30, {}))
            while not simulator.sessions or not simulator.sessions[0].audio:  # noqa: ASYNC110 - a simulator tells nobody what it heard
                await asyncio.sleep(0.01)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
            await simulator.sessions[0].ended.wait()

    run(main())
