"""How fast things came, and what others made of it."""

from __future__ import annotations

import pytest

from proxy.core.checks.finding import HELD_BYTES
from proxy.core.checks.rates import audio_rate, message_rate
from proxy.core.verdict import Inspection, Owner, Side

from .cases import call, case


@pytest.mark.parametrize(("seconds", "speed", "agrees"), [
    (30, 1.0, "no"), (30, 0.5, "no"), (30, 1.3, "yes"), (60, 1.15, "yes"), (10, 1.15, "cannot_tell"), (30, 10.0, "yes"),
    (0.5, 10.0, "cannot_tell"),
])
def test_pace(seconds: float, speed: float, agrees: str) -> None:
    got = audio_rate(case(call(rate_ratio=1.25).talk(seconds, speed=speed).pause(1)))
    assert got.agrees == agrees, got.evidence
    assert got.evidence.claimed == 1.25
    assert got.owner is {"no": Owner.VENDOR, "yes": None, "cannot_tell": Owner.UNKNOWN}[agrees]


def test_a_burst_after_a_pause_counts_as_one() -> None:
    got = audio_rate(case(call().talk(5).pause(60).talk(8, speed=20)))
    assert (got.agrees, got.owner) == ("yes", None)


def test_what_was_read_in_a_heap_because_it_had_to_wait_is_nobodys_pace() -> None:
    one = call().talk(5).tick(buffered=HELD_BYTES).pause(8).talk(8, speed=50).tick()
    assert audio_rate(case(one)).owner is Owner.UNKNOWN


def test_partly_seen_or_untimed_contradicts_nothing() -> None:
    one = call().talk(20)
    one.play.session.blind(Side.CLIENT, Inspection.PARTIAL)
    assert audio_rate(case(one)).owner is Owner.UNKNOWN
    opus = audio_rate(case(call("/v1/listen?encoding=opus").talk(20)))
    assert (opus.agrees, opus.owner) == ("cannot_tell", None)


@pytest.mark.parametrize(("chunk", "agrees", "measured"), [(0.1, "no", 11), (0.03, "no", 34), (0.01, "yes", 100)])
def test_chunks_in_a_second(chunk: float, agrees: str, measured: float) -> None:
    got = message_rate(case(call(chunks_per_second=50).talk(5, chunk=chunk)))
    assert got is not None
    assert (got.agrees, got.evidence.window_seconds) == (agrees, 1.0)
    assert got.evidence.measured == pytest.approx(measured, abs=2)


def test_one_too_many_within_the_first_second_is_one_too_many_whatever_our_lag() -> None:
    got = message_rate(case(call(chunks_per_second=50).talk(0.51, chunk=0.01).tick(lag=0.1)))
    assert (got.agrees if got else None, got.evidence.measured if got else None) == ("yes", 51)
    heaped = message_rate(case(call(chunks_per_second=50).talk(0.51, chunk=0.01).tick(lag=0.8)))
    assert heaped is not None
    assert heaped.agrees == "cannot_tell"


def test_chunks_that_may_have_come_in_a_heap() -> None:
    got = message_rate(case(call(chunks_per_second=50).talk(5, chunk=0.03).tick(lag=0.8)))
    assert got is not None
    assert (got.agrees, got.owner) == ("cannot_tell", Owner.UNKNOWN)


def test_messages_in_a_minute_are_of_all_kinds() -> None:
    one = call(messages_per_minute=100)
    for _ in range(60):
        one.says(type="Alive").pause(0.5).says(type="Other").says_raw(b"no")
    got = message_rate(case(one))
    assert got is not None
    assert (got.agrees, got.evidence.measured) == ("yes", 180)


def test_the_worse_of_two_rates_is_told() -> None:
    got = message_rate(case(call(messages_per_minute=100000, chunks_per_second=5).talk(9)))
    assert got is not None
    assert (got.agrees, got.evidence.claimed) == ("yes", 5)


def test_a_heap_of_our_own_is_ours() -> None:
    one = call(chunks_per_second=20).talk(3).stands_still(5).tick(lag=5.0)
    got = message_rate(case(one))
    assert got is not None
    assert (got.agrees, got.owner) == ("yes", Owner.SIDECAR)


def test_where_nothing_is_published_nothing_is_compared() -> None:
    assert message_rate(case(call().talk(1))) is None
