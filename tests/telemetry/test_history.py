"""What the admin page remembers: bad calls longer than good ones, the newest first."""

from __future__ import annotations

import pytest

from proxy.core.report import Report
from proxy.core.verdict import Outcome, Verdict
from proxy.telemetry.history import FAILURES, SUCCESSES, History

BEGUN = "2026-01-01T00:00:00.000Z"


def report(name: str, outcome: Outcome = Outcome.OK, ended_at: str = "2026-01-01T00:00:01.000Z") -> Report:
    return Report(name, "acme", BEGUN, ended_at, 1.0, Verdict(outcome=outcome))


def names(history: History) -> list[str]:
    return [one["session_id"] for one in history.reports()]


def test_the_newest_is_first_whatever_became_of_it() -> None:
    history = History()
    for name, outcome in (("a", Outcome.OK), ("b", Outcome.ERROR), ("c", Outcome.OK), ("d", Outcome.DRAINED)):
        history.add(report(name, outcome))
    assert names(history) == ["d", "c", "b", "a"]


@pytest.mark.parametrize("second", ["2026-01-01T00:00:01.000Z", "2025-12-31T23:00:00.000Z"])
def test_the_order_is_that_of_the_ends_also_by_a_clock_that_stands_or_goes_back(second: str) -> None:
    history = History()
    history.add(report("first"))
    history.add(report("second", ended_at=second))
    history.add(report("third", Outcome.ERROR, ended_at=second))
    assert names(history) == ["third", "second", "first"]


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.OK])
def test_good_calls_do_not_push_bad_ones_out(outcome: Outcome) -> None:
    history = History()
    history.add(report("bad", outcome))
    for number in range(10 * FAILURES):
        history.add(report(f"good-{number}"))
    assert names(history) == [f"good-{10 * FAILURES - 1 - n}" for n in range(SUCCESSES)] + ["bad"]


def test_it_does_not_grow() -> None:
    history = History()
    for number in range(3 * FAILURES):
        history.add(report(f"bad-{number}", Outcome.ERROR))
        history.add(report(f"good-{number}"))
    kept = names(history)
    assert len(kept) == FAILURES + SUCCESSES
    assert kept[:2] == [f"good-{3 * FAILURES - 1}", f"bad-{3 * FAILURES - 1}"]
    assert kept[-1] == f"bad-{2 * FAILURES}"


def test_reports_are_as_in_the_log() -> None:
    history = History()
    history.add(report("a"))
    assert history.reports() == [report("a").as_dict()]
