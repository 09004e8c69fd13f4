"""What comes after the vendor's word proves nothing of it: with it or without it, the verdict is the same.

The word is mostly an error and its close back to back, as vendors write them, so that both come in one chunk. Lags of less than a second
and bytes that wait here are not among what comes after: ticks tell of them up to a second late, and they count in the client's favour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.policy import Policy
from proxy.core.report import Report
from proxy.core.verdict import Check, Outcome, Owner, Side

from .caller import Call, assemblyai, deepgram, flux, nextevi
from .gatedplay import GatedPlay
from .playbook import BINARY, TEXT, WALL, close, frame

NET: Final = "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001"
IDLE: Final = "Session terminated due to inactivity: No messages received for 10 seconds"
FUNDS: Final = "Unauthorized Connection: Insufficient funds"
FORMAT: Final = "The user audio did not match the format the client declared."
CHUNKS: Final = Policy.model_validate({"mode": "enforce", "rules": {
    "chunk_duration": {"mode": "enforce", "min_seconds": 0.5, "max_seconds": 1.0}}})
STRICT: Final = Policy.model_validate({"mode": "enforce", "rules": {"pace": {"credit_seconds": 0.0}}})


def last(code: int, reason: str, **error: Any) -> bytes:
    return frame(TEXT, orjson.dumps({"type": "Error", **error})) + close(code, reason)


def said(code: int, error: str) -> bytes:
    """AssemblyAI's last words."""
    return last(code, "See Error message for details", error_code=code, error=error)


def told(code: int, name: str, message: str) -> bytes:
    """NextEVI's."""
    return last(code, "", type="error", error_code=name, error_message=message)


def resumed() -> Call:
    """Speaks again 9.3 s after it had stopped."""
    call = assemblyai(query="&inactivity_timeout=10").talk(5).pause(9.0)
    call.play.wait(0.2)
    for _ in range(5):
        speaks(call)
    return call


def kept_alive() -> Call:
    call = deepgram().talk(5).pause(9.0)
    call.play.wait(0.2)
    call.says(type="KeepAlive").play.wait(0.3)
    return call


def cut_off(call: Call, seconds: float) -> Call:
    """Goes on speaking into a link that is down."""
    call.link = "cut"
    return call.talk(seconds)


IDLED: Final = said(3006, IDLE)
FAST: Final = said(3007, "Audio Transmission Rate Exceeded")
NOTHING: Final = last(1011, NET, description=f"x: {NET}", variant="NET-0001")
STORIES: Final[dict[str, tuple[Callable[[], Call], bytes]]] = {
    "idle, and it had just spoken": (resumed, IDLED),
    "idle, in the gate": (lambda: assemblyai(query="&inactivity_timeout=10", policy=CHUNKS).talk(5, chunk=0.5).pause(11), IDLED),
    "idle, where the gate delays": (lambda: assemblyai(policy=STRICT).talk(3).pause(11), IDLED),
    "no audio, and it had kept alive": (kept_alive, NOTHING),
    "no audio, and it was silent": (lambda: deepgram().talk(20, sample=bytes(2)), close(1011, NET)),
    "no audio, and all had come": (lambda: deepgram().talk(20), NOTHING),
    "no audio, and the link was down": (lambda: cut_off(deepgram().talk(5), 12), NOTHING),
    "no audio, and there was none": (lambda: deepgram().pause(11), NOTHING),
    "no audio, and we had stood still": (lambda: deepgram().stands_still(3, client_talks=False).tick(lag=3.0), NOTHING),
    "too fast, and it was even": (lambda: assemblyai().talk(20), FAST),
    "too fast, and the link was down": (lambda: cut_off(assemblyai().talk(12), 9), FAST),
    "too fast, and it was": (lambda: assemblyai().talk(15, speed=1.5), FAST),
    "too fast, and nothing had come": (lambda: assemblyai().says_raw(b"", BINARY), FAST),
    "an unknown type": (lambda: assemblyai().talk(5), said(3006, "Invalid Message Type: foo")),
    "no JSON": (lambda: assemblyai().talk(5), said(3006, "Invalid JSON")),
    "no type that it takes": (nextevi, told(4000, "UNSUPPORTED_MESSAGE_TYPE", "interrupt")),
    "a format that it does not take": (nextevi, told(5002, "AUDIO_FORMAT_UNSUPPORTED", "Audio format not supported")),
    "another format": (lambda: flux().talk(10), frame(TEXT, orjson.dumps({"type": "Error", "code": "USER_AUDIO_FORMAT",
                                                                          "description": FORMAT}))),
    "a key that is not valid": (lambda: assemblyai(ready=False).pause(1), said(1008, "Unauthorized Connection: Invalid API key")),
}
"""What went before, and the vendor's word."""


def speaks(call: Call) -> None:
    goes(call, call.audio(0.1), 0.1)


def goes(call: Call, data: bytes, after: float = 0.0) -> None:
    """From the client, through the gate where there is one."""
    play: Any = call.play.wait(after)
    if isinstance(play, GatedPlay):
        play._goes(play.gate.feed(data, play.now))
    else:
        play.client(data)


def heap(call: Call) -> None:
    for _ in range(60):
        goes(call, call.audio(0.1))


def link(call: Call, is_now: str) -> None:
    call.link = is_now
    call.tick().tick()


AFTER: Final[dict[str, Callable[[Call], object]]] = {
    "audio": speaks,
    "a heap of audio": heap,
    "large audio": lambda call: goes(call, call.audio(1.2)),
    "a container": lambda call: goes(call, frame(BINARY, b"OggS\0\2" + b"\1\2" * 500, masked=True)),
    "half a sample": lambda call: goes(call, frame(BINARY, b"\1" * 33, masked=True)),
    "an unknown message": lambda call: goes(call, frame(TEXT, b'{"type":"Bye"}', masked=True)),
    "no JSON": lambda call: goes(call, frame(TEXT, b"bye", masked=True)),
    "no frames": lambda call: goes(call, b"\xf3\x85garbage!!"),
    "a keep-alive": lambda call: goes(call, frame(TEXT, b'{"type":"KeepAlive"}', masked=True)),
    "a pause": lambda call: call.pause(2.0),
    "the link comes up": lambda call: link(call, "up"),
    "the window is full": lambda call: link(call, "full"),
    "we stand still": lambda call: call.stands_still(9.0, client_talks=False).tick(lag=9.0),
    "words": lambda call: call.hears(type="TurnInfo", event="EndOfTurn", transcript="uh", turn_index=0, audio_window_start=0,
                                     audio_window_end=5),
    "a hello": lambda call: call.hears(type="Begin", id="b-2", expires_at=WALL + 10800),
}


def ends(story: str, after: Iterable[str]) -> Report:
    begin, word = STORIES[story]
    call = begin()
    call.play.vendor(word)
    for act in after:
        AFTER[act](call)
    call.play.wait(0.3)
    return call.tick().play.vendor_closes(1011).end()


def told_of(report: Report) -> tuple[Any, ...]:
    return [(one.check, one.agrees) for one in report.evidence], report.verdict.owner, report.verdict.hint, report.verdict.outcome


@pytest.mark.parametrize("story", STORIES)
def test_what_comes_after_the_vendors_word_changes_nothing(story: str) -> None:
    without = told_of(ends(story, ()))
    for act in AFTER:
        assert told_of(ends(story, [act])) == without, act


@given(st.sampled_from(sorted(STORIES)), st.lists(st.sampled_from(sorted(AFTER)), max_size=6))
def test_nor_does_any_row_of_that(story: str, after: list[str]) -> None:
    assert told_of(ends(story, after)) == told_of(ends(story, ()))


@pytest.mark.parametrize("ends_it", [lambda call: call.play.lost(Side.CLIENT), lambda call: call.play.lost(Side.VENDOR)])
def test_a_close_told_in_a_message_is_the_vendors_word_whoever_hangs_up(ends_it: Callable[[Call], Any]) -> None:
    call = nextevi().hears(type="websocket.disconnect", code=4001, reason="AUTH_FAILED")
    verdict = ends_it(call).end().verdict
    assert (verdict.outcome, verdict.close_code, verdict.initiated_by) == (Outcome.ERROR, 4001, Side.VENDOR)


def test_what_a_session_came_to_is_counted_to_the_vendors_word() -> None:
    report = [assemblyai(expires=WALL + 25).pause(24) for _ in range(2)]
    for number, call in enumerate(report):
        call.play.vendor(frame(TEXT, orjson.dumps({"type": "Error", "error_code": 3008, "error": "Session Expired"})))
        call.pause(number)
    assert len({str(told_of(call.closed(3008))) for call in report}) == 1


@pytest.mark.parametrize("ends", ["drained", "ended_here"])
def test_what_the_vendor_has_ended_is_not_ended_by_us(ends: str) -> None:
    call = assemblyai().talk(5)
    call.play.vendor(said(1008, FUNDS)).wait(0.05)
    getattr(call.play._session, ends)(*(["sidecar_message_shape", "x"] if ends == "ended_here" else []))
    verdict = call.play.end().verdict
    assert (verdict.initiated_by, verdict.ended_by) == (Side.VENDOR, Side.VENDOR)
    if ends == "drained":
        assert (verdict.outcome, verdict.owner) == (Outcome.ERROR, Owner.OPERATOR)


@pytest.mark.parametrize("gap", [0.9, 1.1])
def test_words_that_hold_no_text_say_nothing_of_the_audio_however_soon_they_come(gap: float) -> None:
    def result(words: str) -> dict[str, Any]:
        return {"type": "Results", "is_final": False, "channel": {"alternatives": [{"transcript": words, "words": []}]}}

    call = deepgram().talk(5).hears(**result("word"))
    call.play.wait(gap)
    report = call.hears(**result("")).tick().talk(1.9).closed(1008, "Deepgram could not decode the audio. See https://dpgr.am/data0000")
    (found,) = (one for one in report.evidence if one.check is Check.AUDIO_DECODABLE)
    assert (found.agrees, report.verdict.owner, report.latency.results) == ("cannot_tell", Owner.CLIENT, 1)
