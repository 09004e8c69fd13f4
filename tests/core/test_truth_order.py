"""What comes after the vendor's word proves nothing of it: with it or without it, the verdict is the same.

The word is an error and its close back to back, as vendors write them, so that both come in one chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
import pytest

from proxy.core.policy import Policy
from proxy.core.report import Report
from proxy.core.verdict import Check, Outcome, Owner, Side

from .caller import Call, assemblyai, deepgram, flux
from .playbook import TEXT, close, frame

NET: Final = "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001"
IDLE: Final = "Session terminated due to inactivity: No messages received for 10 seconds"
FUNDS: Final = "Unauthorized Connection: Insufficient funds"
FORMAT: Final = "The user audio did not match the format the client declared."
GATED: Final = Policy.model_validate({"mode": "enforce", "rules": {
    "chunk_duration": {"mode": "enforce", "min_seconds": 0.5, "max_seconds": 1.0}}})


def said(code: int, error: str) -> bytes:
    """AssemblyAI's last words."""
    return last(code, "See Error message for details", error_code=code, error=error)


def last(code: int, reason: str, **error: Any) -> bytes:
    return frame(TEXT, orjson.dumps({"type": "Error", **error})) + close(code, reason)


def resumed() -> Call:
    """Speaks again 9.3 s after it had stopped."""
    call = assemblyai(query="&inactivity_timeout=10").talk(5).pause(9.0)
    call.play.wait(0.2)
    for _ in range(5):
        call.play.wait(0.1).client(call.audio(0.1))
    return call


def kept_alive() -> Call:
    call = deepgram().talk(5).pause(9.0)
    call.play.wait(0.2)
    call.says(type="KeepAlive").play.wait(0.3)
    return call


def speaks(call: Call) -> None:
    call.play.wait(0.1).client(call.audio(0.1))


def flushes(call: Call) -> None:
    call.play.wait(0.1).client(*[call.audio(0.1)] * 60)


def is_heard(call: Call) -> None:
    call.play.wait(0.05)
    call.hears(type="TurnInfo", event="EndOfTurn", transcript="uh", turn_index=0, audio_window_start=0, audio_window_end=5)


def is_held(call: Call) -> None:
    play: Any = call.play.wait(0.1)
    play._goes(play.gate.feed(call.audio(0.1), play.now))


STORIES: Final[dict[str, tuple[Callable[[], Call], bytes, Callable[[Call], object]]]] = {
    "audio before it, and after": (resumed, said(3006, IDLE), speaks),
    "a keep-alive before it, audio after": (kept_alive, last(1011, NET, description=f"x: {NET}", variant="NET-0001"), speaks),
    "even audio before it, a heap after": (lambda: assemblyai().talk(20), said(3007, "Audio Transmission Rate Exceeded"), flushes),
    "an unknown message after": (lambda: assemblyai().talk(5), said(3006, "Invalid Message Type: foo"), lambda call: call.says(type="Bye")),
    "no JSON after": (lambda: assemblyai().talk(5), said(3006, "Invalid JSON"), lambda call: call.says_raw(b"bye")),
    "audio in the gate after": (lambda: assemblyai(query="&inactivity_timeout=10", policy=GATED).talk(5, chunk=0.5).pause(11),
                                said(3006, IDLE), is_held),
    "silence before it, speech after": (lambda: deepgram().talk(20, sample=bytes(2)), close(1011, NET), lambda call: call.talk(1.5)),
    "a result after": (lambda: flux().talk(10), frame(TEXT, orjson.dumps({"type": "Error", "code": "USER_AUDIO_FORMAT",
                       "description": FORMAT})), is_heard),
}


def told(story: str, goes_on: bool) -> Report:
    begin, word, after = STORIES[story]
    call = begin()
    call.play.vendor(word)
    if goes_on:
        after(call)
    call.play.wait(0.3)
    return call.tick().play.vendor_closes(1011).end()


@pytest.mark.parametrize("story", STORIES)
def test_what_comes_after_the_vendors_word_changes_nothing(story: str) -> None:
    without, with_it = told(story, False), told(story, True)
    assert [(one.check, one.agrees) for one in with_it.evidence] == [(one.check, one.agrees) for one in without.evidence]
    assert (with_it.verdict.owner, with_it.verdict.hint) == (without.verdict.owner, without.verdict.hint)


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
