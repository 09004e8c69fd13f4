"""A v2 session: turns, the sequence of messages, fatal errors, and an end without a code."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect

from proxy.simulators import DeepgramSimulator
from tests.aio import run
from tests.sdks import speech
from tests.simulators.calls import AUDIO, TOKEN, V2, Call, call, spoken


def session(send: list[str | bytes], path: str = V2, **options: Any) -> tuple[Call, DeepgramSimulator]:
    async def main() -> tuple[Call, DeepgramSimulator]:
        async with DeepgramSimulator(**{"strict": False, **options}) as sim:
            return await call(sim, path, send, TOKEN), sim

    return run(main())


def test_turns() -> None:
    seen, sim = session(spoken())
    assert [message["sequence_id"] for message in seen.messages] == list(range(len(seen.messages)))
    assert {message["request_id"] for message in seen.messages} == {sim.sessions[0].request_id}
    assert seen.messages[0]["type"] == "Connected"
    turns = seen.of("TurnInfo")
    told = [(t["event"], t["turn_index"], t["transcript"]) for t in turns if t["event"] != "Update"]
    assert told == [
        ("StartOfTurn", 0, "good"),
        ("EndOfTurn", 0, "good morning this is"),
        ("StartOfTurn", 1, "the"),
        ("EndOfTurn", 1, "the harbour office"),
    ]
    assert [t["trigger"] for t in turns if t["event"] == "EndOfTurn"] == ["model", "model"]
    ends = [t["audio_window_end"] for t in turns]
    assert ends == sorted(ends)
    assert seen.code == 1005  # a close frame without a code


def test_eager_end_and_resumed() -> None:
    seen, _ = session(spoken(audio=speech(0.4, 0.3, 0.4, 0.6)), V2 + "&eager_eot_threshold=0.4")
    events = [turn["event"] for turn in seen.of("TurnInfo") if turn["event"] != "Update"]
    assert events == ["StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EagerEndOfTurn", "EndOfTurn"]


def test_close_stream_does_not_end_the_turn() -> None:
    seen, _ = session(spoken(audio=speech(1.0)), wording="live")
    assert seen.messages[-1]["event"] == "Update"
    assert seen.messages[-1]["transcript"] == "good morning this is"
    assert seen.code == 1000


def test_own_turn_detection() -> None:
    force = '{"type":"ForceEndTurn"}'
    seen, _ = session([AUDIO, force, force, '{"type":"CloseStream"}'], V2 + "&eot_threshold=1.0")
    ends = [turn for turn in seen.of("TurnInfo") if turn["event"] == "EndOfTurn"]
    assert [(end["trigger"], end["transcript"]) for end in ends] == [("manual", "good morning this is the harbour office")]


def test_configure() -> None:
    seen, _ = session(['{"type":"Configure","thresholds":{"eot_threshold":0.8}}', '{"type":"CloseStream"}'])
    assert seen.of("ConfigureSuccess")[0]["thresholds"] == {"eot_threshold": 0.8}


@pytest.mark.parametrize("message", ['{"type":"KeepAlive"}', "not json", "[]"])
def test_a_keep_alive_or_a_bad_message_is_fatal(message: str) -> None:
    seen, _ = session([message])
    assert [error["code"] for error in seen.of("Error")] == ["UNPARSABLE_CLIENT_MESSAGE"]
    assert seen.code == 1008
    seen, _ = session([message], wording="live")
    assert (seen.of("Error"), seen.code) == ([], 1005)


def test_pings_hold_the_session_open() -> None:
    async def main() -> None:
        async with DeepgramSimulator(flux_idle_seconds=0.2) as sim:
            async with connect(sim.url + V2, additional_headers=TOKEN) as socket:
                for _ in range(4):
                    await asyncio.sleep(0.1)
                    await (await socket.ping())
                assert not sim.sessions[0].ended.is_set()
                await sim.sessions[0].ended.wait()
                assert sim.sessions[0].pings == 4
            assert (await call(sim, V2, [], TOKEN)).code == 1011

    run(main())
