"""What is cut, what waits for more, and what may go together."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.audio import AudioFormat
from proxy.core.policy import Rule, Rules, bounds
from proxy.core.profile import Limits
from proxy.core.shaping import LARGEST_JOINED, Shaper

SPEECH = AudioFormat("pcm_s16le", 16000)
ALL = frozenset({Rule.PACE, Rule.CHUNK_DURATION, Rule.CHUNK_BYTES})


def shaper(*rules: Rule, **limits: Any) -> Shaper:
    return Shaper(frozenset(rules) or ALL, bounds(Rules(), Limits.model_validate(limits)))


def test_only_enforced_bounds_cut_or_keep_waiting() -> None:
    limits: dict[str, Any] = {"chunk_seconds": [0.05, 1.0], "chunk_bytes": 1000}
    assert shaper(Rule.MESSAGE_RATE, **limits).cut(99.0, 99 * 32000, SPEECH) is None
    assert not shaper(Rule.MESSAGE_RATE, **limits).is_short(0.01)
    assert shaper(**limits).is_short(0.0499)
    assert not shaper(**limits).is_short(0.05)
    assert not shaper().is_short(0.0)


@pytest.mark.parametrize(("limits", "seconds", "rule", "pieces"), [
    ({"chunk_seconds": [0.05, 1.0]}, 1.5, Rule.CHUNK_DURATION, 2),
    ({"chunk_bytes": 10_000}, 1.5, Rule.CHUNK_BYTES, 5),
    ({"chunk_seconds": [0.05, 1.0], "chunk_bytes": 10_000}, 1.5, Rule.CHUNK_BYTES, 5),
    ({"chunk_seconds": [0.05, 1.0], "chunk_bytes": 40_000}, 1.5, Rule.CHUNK_DURATION, 2),
    ({}, 5.5, Rule.PACE, 6),
    ({"lead_seconds": 0.5}, 1.5, Rule.PACE, 3),
    ({"lead_seconds": 0.5, "chunk_seconds": [0.5, 4.0]}, 3.0, Rule.PACE, 3),
])
def test_the_narrowest_bound_that_is_broken_cuts(limits: dict[str, Any], seconds: float, rule: Rule, pieces: int) -> None:
    cut = shaper(**limits).cut(seconds, round(seconds * 32000), SPEECH)
    assert cut is not None
    assert (cut.rule, len(cut.sizes)) == (rule, pieces)
    assert sum(cut.sizes) == round(seconds * 32000)


@pytest.mark.parametrize(("limits", "seconds"), [({}, 5.0), ({"chunk_seconds": [0.05, 1.0]}, 1.0), ({"chunk_bytes": 32000}, 1.0)])
def test_what_just_fits_is_not_cut(limits: dict[str, Any], seconds: float) -> None:
    assert shaper(**limits).cut(seconds, round(seconds * 32000), SPEECH) is None


def test_no_cut_for_the_pace_makes_a_piece_too_short_for_the_vendor_whichever_rules_are_enforced() -> None:
    limits: dict[str, Any] = {"chunk_seconds": [0.05, 1.0], "lead_seconds": 0.01}
    assert shaper(Rule.PACE, **limits).cut(0.1, 3200, SPEECH) is None
    cut = shaper(Rule.PACE, **limits).cut(0.45, 14400, SPEECH)
    assert cut is not None
    assert min(cut.sizes) >= 0.05 * 32000


def test_what_cannot_be_cut_is_not() -> None:
    assert shaper(chunk_bytes=64).cut(1.0, 200, AudioFormat("pcm_s16le", 100, 200)) is None


def test_what_is_joined_keeps_to_the_vendors_bounds_in_any_case() -> None:
    assert shaper(Rule.MESSAGE_RATE, chunk_seconds=[0.05, 1.0]).fits(1.0, 10**9)
    assert not shaper(Rule.MESSAGE_RATE, chunk_seconds=[0.05, 1.0]).fits(1.01, 1)
    assert not shaper(Rule.MESSAGE_RATE, chunk_bytes=1000).fits(0.1, 1001)
    assert shaper(Rule.MESSAGE_RATE).fits(99.0, LARGEST_JOINED)
    assert not shaper(Rule.MESSAGE_RATE).fits(0.1, LARGEST_JOINED + 1)


def test_no_cut_for_the_bytes_makes_a_piece_too_short_for_the_vendor() -> None:
    """A bound that an operator set with slow audio in mind: 1000 bytes are 31 ms here."""
    cut = shaper(chunk_seconds=[0.05, 1.0], chunk_bytes=1000).cut(0.2, 6400, SPEECH)
    assert cut is not None
    assert min(cut.sizes) >= 1600
    assert shaper(chunk_seconds=[0.05, 1.0], chunk_bytes=1000).cut(0.1, 3200, SPEECH) is None
