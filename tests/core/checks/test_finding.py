"""What a case says of itself, and how figures are written down."""

from __future__ import annotations

import pytest

from proxy.core.checks.finding import HELD_BYTES, YES, found
from proxy.core.verdict import Check, Inspection, Owner, Side

from .cases import call, case


def test_figures_are_rounded() -> None:
    one = found(Check.IDLE, YES, "seconds", claimed=1.23456, measured=2.0, window=None, margin=0.00049, owner=Owner.CLIENT, hint="Do.")
    evidence = one.evidence
    assert (evidence.claimed, evidence.measured, evidence.window_seconds, evidence.margin_seconds) == (1.235, 2.0, None, 0.0)
    assert (one.agrees, one.owner, one.hint, evidence.stage) == ("yes", Owner.CLIENT, "Do.", None)


def test_whole_is_what_was_all_seen() -> None:
    assert case(call().talk(1)).whole
    spoken = call().talk(1)
    spoken.play.session.blind(Side.CLIENT, Inspection.PARTIAL)
    assert not case(spoken).whole


def test_what_goes_by_unread_after_the_vendors_word_is_nothing_to_it() -> None:
    spoken = call().talk(1)
    assert case(spoken).whole
    spoken.play.session.blind(Side.CLIENT)
    assert case(spoken).whole


def test_in_step_is_what_arrived_as_it_came() -> None:
    assert case(call().talk(5)).in_step
    assert not case(call().talk(5).tick(lag=1.5)).in_step
    held = call().talk(5).tick(buffered=HELD_BYTES)
    assert not case(held).in_step
    assert case(held).held
    behind = call().talk(5)
    behind.link = "cut"
    assert not case(behind.talk(5)).in_step


@pytest.mark.parametrize(("code", "rule", "word"), [
    ("3006_json", None, " json "), ("INVALID_JSON", None, " json "), ("X", "message-type", " type "),
])
def test_what_a_claim_is_called(code: str, rule: str | None, word: str) -> None:
    assert word in case(call(), code, rule).says
