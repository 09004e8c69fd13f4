"""That nothing came: the edges of the timer, and what its length is taken from."""

from __future__ import annotations

import pytest

from proxy.core.checks.received import audio_received, claimed_seconds, idle
from proxy.core.verdict import Owner
from tests.core.caller import Call
from tests.core.playbook import V1

from .cases import call, case

WINDOW = 10.0


def idle_call(path: str = V1, **limits: float) -> Call:
    return call(path, idle_seconds=WINDOW, **limits)


@pytest.mark.parametrize(("silent", "agrees", "owner"), [
    (0.0, "no", Owner.VENDOR), (6.9, "no", Owner.VENDOR), (7.5, "cannot_tell", Owner.UNKNOWN), (8.5, "yes", None), (30.0, "yes", None),
])
def test_the_edges_of_the_window(silent: float, agrees: str, owner: Owner | None) -> None:
    got = audio_received(case(idle_call().talk(20).pause(silent)))
    assert (got.agrees, got.owner) == (agrees, owner)
    assert (got.evidence.window_seconds, got.evidence.margin_seconds) == (10.0, 2.0)


def test_the_margin_grows_with_the_round_trip() -> None:
    got = audio_received(case(call(idle_seconds=3).talk(5)))
    assert got.evidence.margin_seconds == 1.02


def test_the_first_audio_may_have_a_time_of_its_own() -> None:
    assert audio_received(case(idle_call(first_audio_seconds=30).pause(20))).evidence.window_seconds == 30
    assert audio_received(case(idle_call(first_audio_seconds=30).talk(1))).evidence.window_seconds == 10


@pytest.mark.parametrize(("said", "seconds"), [
    ("No messages received for 30 seconds", 30), ("idle timeout 45s", 45), ("no audio in 5 sec.", 5), ("idle for more than 1 s", 1),
    ("idle", None), ("for 30 seconds and for 40 seconds", None), ("for 0 seconds", None), ("for 1234567 seconds", None),
    ("after 305 seconds", None), ("session lasted 305 seconds", None), ("no audio input for 1.5s", 1.5), ("for 1500 ms", None),
])
def test_the_vendors_own_words_name_the_window(said: str, seconds: float | None) -> None:
    spoken, unpublished = case(idle_call().talk(1)), case(call().talk(1))
    for one in (spoken, unpublished):
        one.known.claim.told.server_detail = said
        assert claimed_seconds(one) == seconds
    assert audio_received(spoken).evidence.window_seconds == min(seconds or 10, 10)
    assert audio_received(unpublished).evidence.window_seconds == seconds


def test_any_message_keeps_the_other_timer_from_running_out() -> None:
    typing = idle_call().talk(1)
    for _ in range(4):
        typing.pause(4.0).says(type="Other")
    typing.pause(2.0)
    assert (idle(case(typing)).agrees, audio_received(case(typing)).agrees) == ("no", "yes")


def test_without_a_window_nobody_is_accused_who_speaks() -> None:
    speaking, silent = audio_received(case(call().talk(20))), audio_received(case(call().talk(2).pause(20)))
    assert [(one.agrees, one.owner) for one in (speaking, silent)] == [("cannot_tell", Owner.UNKNOWN), ("cannot_tell", None)]
    assert idle(case(call())).evidence.measured is None


def test_audio_that_arrived_late_may_have_been_in_time() -> None:
    late = idle_call().talk(3)
    late.link = "cut"
    late.talk(1).pause(3)
    late.link = "up"
    got = audio_received(case(late.tick().pause(5.5)))
    assert (got.agrees, got.owner, got.evidence.stage) == ("cannot_tell", Owner.UNKNOWN, "read")


def test_an_old_reading_says_nothing_of_the_present() -> None:
    cut = idle_call().talk(3)
    cut.link = "cut"
    cut.talk(12).play.wait(4.0).client(cut.audio(0.1))
    assert audio_received(case(cut)).agrees == "cannot_tell"


def test_silent_audio_may_be_none_to_a_timer_of_speech() -> None:
    muted = idle_call().talk(5).talk(15, sample=bytes(2))
    paused = idle_call().talk(5).talk(5, sample=bytes(2))
    assert [audio_received(case(one)).agrees for one in (muted, paused)] == ["cannot_tell", "no"]
    assert idle(case(muted)).agrees == "no"
    begun = idle_call().talk(1, sample=bytes(2))  # too little to know
    assert audio_received(case(begun)).agrees == "no"
    opus = idle_call("/v1/listen?encoding=opus").talk(20)
    assert [audio_received(case(opus, code)).agrees for code in ("NO_AUDIO", "SILENCE_TIMEOUT", "IDLE_TIMEOUT_HANGUP")] == [
        "no", "cannot_tell", "cannot_tell"]


def test_what_had_arrived_before_we_stood_still_stands() -> None:
    before = idle_call().talk(9).stands_still(4, client_talks=False)
    before.play.session.judged(before.now)
    assert audio_received(case(before.tick(lag=4.0))).agrees == "no"
    behind = idle_call().talk(1).pause(8).stands_still(4).tick(lag=4.0)  # the vendor may have closed before it came
    assert audio_received(case(behind)).agrees == "cannot_tell"
