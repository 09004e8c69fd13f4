"""Figures of the vendor's against our own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.checks.figures import reported_audio, session_duration
from proxy.core.verdict import Inspection, Owner, Side
from tests.core.caller import Call, assemblyai
from tests.core.playbook import WALL

from .cases import call, case

DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
assert WALL == 1_800_000_000.0


@pytest.mark.parametrize(("announced", "date", "lasted", "agrees", "owner"), [
    (600, DATE, 600, "yes", None),
    (600, DATE, 590, "yes", None),
    (600, DATE, 500, "cannot_tell", None),
    (600, DATE, 400, "no", Owner.UNKNOWN),
    (600, None, 400, "cannot_tell", Owner.UNKNOWN),
    (600, "yesterday", 400, "cannot_tell", Owner.UNKNOWN),
    (-600, DATE, 400, "cannot_tell", Owner.UNKNOWN),
])
def test_how_long_it_lasted(announced: float, date: str | None, lasted: int, agrees: str, owner: Owner | None) -> None:
    got = session_duration(case(assemblyai(expires=WALL + announced, date=date).pause(lasted)))
    assert (got.agrees, got.owner, got.evidence.measured) == (agrees, owner, lasted)


def test_what_is_published_counts_where_nothing_is_announced() -> None:
    assert session_duration(case(call(session_seconds=100).pause(99))).agrees == "yes"
    assert session_duration(case(call(session_seconds=100).pause(20))).owner is Owner.UNKNOWN
    nothing = session_duration(case(call(session_seconds=None).pause(20)))
    assert (nothing.agrees, nothing.owner, nothing.evidence.claimed) == ("cannot_tell", None, None)


def told(of: Call, seconds: float) -> Call:
    return of.hears(type="Summary", duration=seconds)


@pytest.mark.parametrize(("seconds", "agrees"), [(20.0, "yes"), (19.2, "yes"), (18.5, "no"), (21.5, "no"), (0.0, "no")])
def test_counts_of_the_same_audio(seconds: float, agrees: str) -> None:
    got = reported_audio(case(told(call().talk(20), seconds)))
    assert got is not None
    assert (got.agrees, got.owner, got.evidence.claimed, got.evidence.measured) == (agrees, None, seconds, 20.0)


def test_the_count_is_held_against_what_had_come_by_then() -> None:
    got = reported_audio(case(told(call().talk(20), 20.0).talk(30)))
    assert got is not None
    assert (got.agrees, got.evidence.measured) == ("yes", 20.0)


def test_what_is_not_known_to_have_arrived_is_not_missed() -> None:
    unknown = Call(call().play.session.vendor_profile, "/v1/listen?encoding=linear16&rate=16000", kernel=False).talk(20)
    for seconds, agrees in ((5.0, "cannot_tell"), (20.0, "cannot_tell"), (30.0, "no")):
        got = reported_audio(case(told(unknown, seconds)))
        assert got is not None
        assert (got.agrees, got.evidence.stage) == (agrees, "read")


def test_what_was_not_all_seen_is_no_contradiction() -> None:
    one = told(call().talk(20), 40.0)
    one.play.session.blind(Side.CLIENT, Inspection.PARTIAL)
    got = reported_audio(case(one))
    assert got is not None
    assert got.agrees == "cannot_tell"


def test_no_count_no_evidence() -> None:
    assert reported_audio(case(call().talk(20))) is None
    assert reported_audio(case(told(call("/v1/listen?encoding=opus").talk(20), 20.0))) is None


DATES = st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,9} [A-Z+0-9]{0,6}")


@given(st.text(max_size=60) | DATES, st.floats(allow_nan=False))
def test_no_date_makes_it_raise(date: str, expires: float) -> None:
    one = call(session_seconds=3600).pause(3)
    one.play.session.date, one.play.session.expires_at = date, expires
    assert session_duration(case(one)).agrees in {"yes", "no", "cannot_tell"}
