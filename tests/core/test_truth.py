"""The cross-examination against sessions whose truth is known: nobody is accused wrongly, and hardly ever is nobody named."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import pytest

from proxy.core.report import Evidence, Report
from proxy.core.verdict import Check, Owner

from .truth import Truth, timers
from .truth_claims import claims
from .truth_own import own

ALL: Final = (*timers(), *claims(), *own())
TRUTHS: Final = {truth.name: truth for truth in ALL}
LEAST: Final = 60
SHARE: Final = 0.9

NEVER_NO: Final = {
    Check.CONCURRENCY: "others may use the same credential elsewhere",
    Check.CONNECTION_RATE: "others may use the same credential elsewhere",
}
"""Checks that no measurement of one sidecar can ever contradict, and why."""


Played = Callable[[str], Report]


@pytest.fixture(scope="module")
def report() -> Played:
    """Plays each once in a run of the tests, but anew in the next one: what tries mutants does so in copies of one process."""
    return cache(lambda name: TRUTHS[name].play())


def of(found: Report, check: Check) -> Evidence:
    (one,) = (one for one in found.evidence if one.check == check)
    return one


@pytest.mark.parametrize("name", TRUTHS)
def test_a_session_of_known_truth(name: str, report: Played) -> None:
    truth, found = TRUTHS[name], report(name)
    if truth.check is not None:
        assert of(found, truth.check).agrees == truth.agrees, found.evidence
    verdict = found.verdict
    assert verdict.owner == (truth.owner if truth.settled else Owner.UNKNOWN), (verdict, found.evidence)
    assert truth.hint in (verdict.hint or "")


def test_nobody_is_accused_wrongly_and_hardly_ever_is_nobody_named(report: Played) -> None:
    assert len(TRUTHS) >= LEAST
    owners = {name: report(name).verdict.owner for name in TRUTHS}
    wrong = [name for name, owner in owners.items() if owner not in (TRUTHS[name].owner, Owner.UNKNOWN)]
    blamed = [name for name, truth in TRUTHS.items() if truth.owner is not Owner.UNKNOWN]  # where nobody is, `unknown` is no merit
    missed = [name for name in blamed if owners[name] is not TRUTHS[name].owner]
    assert wrong == []
    assert len(blamed) - len(missed) >= SHARE * len(blamed), missed


def test_names_are_told_apart() -> None:
    assert len(ALL) == len(TRUTHS)


def test_every_check_is_seen_with_yes_and_no(report: Played) -> None:
    seen = {(one.check, one.agrees) for name in TRUTHS for one in report(name).evidence}
    for check in Check:
        assert (check, "yes") in seen, check
        assert ((check, "no") in seen) != (check in NEVER_NO), check


def test_the_rules_owner_is_kept(report: Played) -> None:
    for name in TRUTHS:
        verdict = report(name).verdict
        if verdict.owner is not verdict.rule_owner:
            assert verdict.hint, name


def test_figures_are_whole(report: Played) -> None:
    for name in TRUTHS:
        for one in report(name).evidence:
            assert one.agrees in {"yes", "no", "cannot_tell"}
            assert one.unit
            assert one.agrees == "cannot_tell" or one.measured is not None or one.check is Check.READY_BEFORE


def test_a_truth_is_played_anew_each_time() -> None:
    truth: Truth = TRUTHS["the client never speaks"]
    assert truth.play().as_dict() == truth.play().as_dict()
