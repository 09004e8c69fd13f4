"""The session from the 101 on: who is told what, the limits, and how it ends."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from proxy.simulators import AssemblyAISimulator
from tests.aio import run
from tests.simulators.calls import AUDIO, KEY, TERMINATE, V3, Call, call, spoken

FIXED = "See Error message for details"


def session(send: list[str | bytes], path: str = V3, headers: dict[str, str] = KEY, **options: Any) -> tuple[Call, AssemblyAISimulator]:
    async def main() -> tuple[Call, AssemblyAISimulator]:
        async with AssemblyAISimulator(**{"strict": False, **options}) as sim:
            return await call(sim, path, send, headers), sim

    return run(main())


def error(seen: Call) -> tuple[int, str]:
    """The Error frame, which is the last message, is closed with the same code, and is not followed by a Termination."""
    last = seen.messages[-1]
    assert last["type"] == "Error"
    assert seen.code == last["error_code"]
    return last["error_code"], last["error"]


def test_begin_termination_and_1000() -> None:
    seen, sim = session(spoken(end=TERMINATE), max_session_seconds=600)
    begin, end = seen.messages[0], seen.messages[-1]
    assert (begin["type"], begin["id"]) == ("Begin", sim.sessions[0].request_id)
    assert abs(begin["expires_at"] - time.time() - 600) < 20
    assert end == {"type": "Termination", "audio_duration_seconds": 3, "session_duration_seconds": 0}
    assert (seen.code, seen.reason) == (1000, "")
    assert session([TERMINATE], wording="live")[0].reason == "Session Ended"


@pytest.mark.parametrize(
    ("headers", "query", "text"),
    [
        ({}, "", "Unauthorized Connection: Missing Authorization header"),
        ({"Authorization": "bad-key"}, "", "Unauthorized Connection: Invalid API key"),
        ({"Authorization": "Bearer key"}, "", "Unauthorized Connection: Invalid API key"),
        ({}, "&token=stale-key-1", "Unauthorized Connection: Signature has expired"),
    ],
)
def test_told_after_the_101_that_there_is_no_right_key(headers: dict[str, str], query: str, text: str) -> None:
    seen, sim = session([], V3 + query, headers)
    assert error(seen) == (1008, text)
    assert seen.reason == text
    assert [message["type"] for message in seen.messages] == ["Error"]
    assert sim.sessions[0].status == 101


def test_a_temporary_token_in_the_query_is_enough() -> None:
    assert session([TERMINATE], V3 + "&token=t", {})[0].code == 1000


@pytest.mark.parametrize(
    "query", ["", "?sample_rate=fast", "?sample_rate=0", "?sample_rate=16000&encoding=wax", V3[6:] + "&inactivity_timeout=4"]
)
def test_a_parameter_is_refused_before_begin(query: str) -> None:
    code, text = error(session([], "/v3/ws" + query, wording="live")[0])
    assert code == 3006
    assert text.startswith("User Input Validation Error: Invalid 'sample_rate'")


@pytest.mark.parametrize("query", ["?encoding=opus", "?encoding=aac", "?encoding=ogg_opus", "?encoding=pcm_mulaw&sample_rate=8000"])
def test_streams_that_tell_their_rate_need_none(query: str) -> None:
    assert session([bytes(400), TERMINATE], "/v3/ws" + query)[0].code == 1000


@pytest.mark.parametrize(
    ("message", "documented"),
    [
        ("not json", "Invalid JSON: not json"),
        ("[]", "Invalid Message: []"),
        ('{"type":"terminate_session"}', "Invalid Message Type: terminate_session"),
    ],
)
def test_messages_that_are_none(message: str, documented: str) -> None:
    seen, _ = session([message])
    assert error(seen) == (3006, documented)
    assert seen.reason == documented
    seen, _ = session([message], wording="live")
    assert error(seen) == (3006, "User Input Validation Error: " + documented)
    assert seen.reason == FIXED


def test_a_text_too_long_for_a_reason() -> None:
    seen, _ = session(["x" * 200])
    assert error(seen) == (3006, "Invalid JSON: " + "x" * 200)
    assert seen.reason == FIXED


@pytest.mark.parametrize("ms", [20, 49, 1001, 1200])
def test_strict_takes_no_chunk_outside_the_limits(ms: int) -> None:
    assert error(session([bytes(32 * ms)] * 2, strict=True)[0]) == (
        3007,
        f"Input duration violation: {ms}.0 ms. Expected between 50 and 1000 ms",
    )


def test_strict_takes_a_short_last_chunk() -> None:
    assert session([bytes(3200), bytes(640), TERMINATE], strict=True)[0].code == 1000


@pytest.mark.parametrize("ms", [50, 1000])
def test_strict_takes_the_limits_themselves(ms: int) -> None:
    assert session([bytes(32 * ms), TERMINATE], strict=True)[0].code == 1000


@pytest.mark.parametrize(
    ("pieces", "passes"),
    [([100, 20], True), ([20, 20, 100, 20, 20], True), ([100, 20, 20, 20], False), ([1200], False)],
)
def test_lenient_lets_two_short_chunks_pass_and_no_long_one(pieces: list[int], passes: bool) -> None:
    seen, _ = session([*(bytes(32 * ms) for ms in pieces), TERMINATE], wording="live")
    if passes:
        assert seen.code == 1000
    else:
        ms = float(pieces[-1])
        assert error(seen)[1] == f"Input Duration Error: Input Duration Violation: {ms} ms. Expected between 50 and 1000 ms"


def test_the_declared_rate_counts() -> None:
    assert error(session([bytes(3200)] * 2, "/v3/ws?sample_rate=48000", strict=True)[0])[0] == 3007  # 100 ms at 16 kHz


def test_the_transmission_rate() -> None:
    seen, _ = session([bytes(32000)] * 3, strict=True)
    code, words = error(seen)
    assert code == 3007
    assert re.fullmatch(r"Audio Transmission Rate Exceeded: Received 3\.0 sec\. audio in 0\.\d sec", words)
    seen, _ = session([*[bytes(8000)] * 330, TERMINATE], "/v3/ws?sample_rate=8000&encoding=pcm_mulaw")
    assert error(seen)[0] == 3007  # 5 minutes ahead


def test_inactivity_and_what_resets_it() -> None:
    seen, _ = session([AUDIO[:3200]], inactivity_seconds=0.05)
    assert error(seen) == (3006, "Session terminated due to inactivity: No messages received for 0.05 seconds")

    async def main() -> None:
        async with AssemblyAISimulator(inactivity_seconds=0.2) as sim, connect(sim.url + V3, additional_headers=KEY) as socket:
            for _ in range(4):
                await asyncio.sleep(0.1)
                await socket.send('{"type":"KeepAlive"}')
            await (await socket.ping())
            assert not sim.sessions[0].ended.is_set()

    run(main())


def test_no_idle_limit_unless_asked_for_but_a_longest_session() -> None:
    seen, _ = session([], max_session_seconds=0.05)
    assert error(seen) == (3008, "Session Expired: Maximum session duration exceeded")


def test_the_retired_endpoint_and_a_wrong_path() -> None:
    seen, sim = session([], "/v2/realtime/ws")
    assert seen.messages == [{"type": "Error", "error_code": 410, "error": "Deprecated endpoint"}]
    assert seen.code is None  # 410 is illegal: the client's library does not show it

    async def main() -> int:
        async with AssemblyAISimulator() as sim:
            with pytest.raises(InvalidStatus) as caught:
                async with connect(sim.url + "/v4/ws"):
                    pass
            return caught.value.response.status_code

    assert run(main()) == 404
    assert sim.sessions[0].status == 101


@pytest.mark.parametrize("options", [{"max_session_seconds": 0}, {"inactivity_seconds": 0}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        AssemblyAISimulator(**options)
