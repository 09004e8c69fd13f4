"""Pieces of audio and their bounds."""

from __future__ import annotations

import pytest

from proxy.core.checks.chunks import chunk_bytes, chunk_duration
from proxy.core.verdict import Inspection, Owner, Side
from tests.core.caller import Call

from .cases import call, case

BOUNDS = (0.05, 1.0)


def spoken(*chunks: float) -> Call:
    one = call(chunk_seconds=BOUNDS, chunk_bytes=10000)
    for chunk in chunks:
        one.talk(chunk, chunk=chunk)
    return one


@pytest.mark.parametrize(("chunks", "agrees", "claimed", "measured"), [
    ((0.1, 0.1), "no", 0.05, 0.1),
    ((0.05, 0.06), "no", 0.05, 0.05),
    ((0.9, 1.0), "no", 1.0, 1.0),
    ((0.1, 0.02, 0.1), "yes", 0.05, 0.02),
    ((0.02, 0.02), "yes", 0.05, 0.02),
    ((0.1, 0.02), "yes", 0.05, 0.02),
    ((0.02,), "yes", 0.05, 0.02),
    ((0.1, 1.2), "yes", 1.0, 1.2),
    ((), "cannot_tell", 0.05, None),
])
def test_duration(chunks: tuple[float, ...], agrees: str, claimed: float, measured: float | None) -> None:
    got = chunk_duration(case(spoken(*chunks)))
    assert got is not None
    assert (got.agrees, got.evidence.claimed, got.evidence.measured) == (agrees, claimed, measured)
    assert got.owner is {"no": Owner.VENDOR, "yes": None, "cannot_tell": Owner.UNKNOWN}[agrees]


def test_duration_of_what_cannot_be_timed() -> None:
    got = chunk_duration(case(call("/v1/listen?encoding=opus", chunk_seconds=BOUNDS).talk(1)))
    assert got is not None
    assert (got.agrees, got.owner) == ("cannot_tell", None)


def test_a_remainder_before_the_end_settles_nothing() -> None:
    got = chunk_duration(case(spoken(0.1, 0.1, 0.02).says(type="Finish")))
    assert got is not None
    assert (got.agrees, got.owner) == ("cannot_tell", Owner.UNKNOWN)


def test_what_was_not_all_seen_contradicts_nothing() -> None:
    one = spoken(0.1, 0.1)
    one.play.session.blind(Side.CLIENT, Inspection.PARTIAL)
    for check in (chunk_duration, chunk_bytes):
        got = check(case(one))
        assert got is not None
        assert (got.agrees, got.owner) == ("cannot_tell", Owner.UNKNOWN)


@pytest.mark.parametrize(("chunk", "agrees"), [(0.1, "no"), (0.25, "cannot_tell"), (0.4, "yes")])
def test_bytes(chunk: float, agrees: str) -> None:
    got = chunk_bytes(case(spoken(chunk)))
    assert got is not None
    assert (got.agrees, got.evidence.measured) == (agrees, 32000 * chunk)


def test_where_nothing_is_published_nothing_is_compared() -> None:
    assert chunk_duration(case(call().talk(1))) is None
    assert chunk_bytes(case(call().talk(1))) is None


def test_no_audio_at_all_has_no_pieces() -> None:
    got = chunk_bytes(case(spoken()))
    assert got is not None
    assert got.agrees == "cannot_tell"
