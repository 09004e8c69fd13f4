"""Pace and windows, by their definitions, over any schedule."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.pacing import MARGIN, Pacer, Window

STEPS = st.lists(st.tuples(st.one_of(st.just(0.0), st.floats(0, 2), st.floats(0, 60)), st.floats(0.001, 2.0)), max_size=60)


@given(STEPS, st.sampled_from([0.5, 1.0, 1.25]), st.floats(2.0, 6.0), st.sampled_from([0.0, 5.0, 30.0]))
def test_what_goes_when_it_is_due_is_never_ahead_of_the_lead(
        steps: list[tuple[float, float]], rate: float, lead: float, credit: float) -> None:
    pacer, now, sent = Pacer(rate, lead, credit), 10.0, []
    for pause, seconds in steps:
        now = pacer.due(seconds, now + pause)
        pacer.spend(seconds, now)
        sent.append((now, seconds))
        assert pacer.ahead(now) <= lead + 1e-5
    for first in range(len(sent)):
        total = 0.0
        for at, seconds in sent[first:]:
            total += seconds
            allowed = lead + rate * (at - sent[first][0])
            assert total <= (allowed if first == 0 else allowed + credit) + 1e-5


@given(STEPS)
def test_the_short_way_decides_the_same(steps: list[tuple[float, float]]) -> None:
    one, other, now = Pacer(1.0, 3.0, 10.0), Pacer(1.0, 3.0, 10.0), 0.0
    for pause, seconds in steps:
        now += pause
        goes = one.due(seconds, now) == now
        assert other.passes(seconds, now) == goes
        if goes:
            one.spend(seconds, now)
        assert one.ahead(now) == pytest.approx(other.ahead(now))


def test_what_is_longer_than_the_lead_goes_once_nothing_is_ahead() -> None:
    pacer = Pacer(1.0, 2.0, 30.0)
    assert pacer.due(10.0, 0.0) == 0.0
    pacer.spend(10.0, 0.0)
    assert pacer.due(10.0, 0.0) == pytest.approx(10.0)
    assert pacer.ahead(1.0) == pytest.approx(9.0)


def test_there_is_no_credit_before_the_first_audio() -> None:
    pacer = Pacer(1.0, 2.0, 30.0)
    assert pacer.ahead(1000.0) == 0.0
    pacer.spend(2.0, 1000.0)
    assert pacer.due(1.0, 1000.0) == pytest.approx(1001.0)


@given(st.lists(st.floats(0, 0.4), max_size=200), st.integers(1, 30))
def test_a_window_never_holds_more_than_it_may(pauses: list[float], most: int) -> None:
    window, now, sent = Window(most, 1.0), 0.0, []
    for pause in pauses:
        came = now + pause
        now = max(came, window.due(came))
        while (due := window.due(now, waits=True)) > now and due > came:
            now = due
        window.spend(now)
        sent.append(now)
    used = max(1, int(most * MARGIN))
    for first, last in zip(sent, sent[used:], strict=False):
        assert last - first >= 1.0 - 1e-5


@given(st.integers(1, 200), st.sampled_from([1.0, 60.0]))
def test_whoever_sends_evenly_within_the_limit_less_its_margin_never_waits(most: int, seconds: float) -> None:
    window = Window(most, seconds)
    for number in range(3 * most):
        now = number * seconds / window.most
        assert window.due(now) <= now + 1e-6
        window.spend(now)


def test_whoever_uses_it_up_gets_the_rest_evenly() -> None:
    window, now, sent = Window(1000, 60.0), 0.0, []
    while now < 200.0:
        now = max(now + 0.005, window.due(now, waits=True))
        window.spend(now)
        sent.append(now)
    assert max(after - before for before, after in pairwise(sent)) < 0.2
    assert len(sent) == pytest.approx(200 / 60 * 950, rel=0.15)


def test_a_few_at_once_are_no_matter() -> None:
    window, now = Window(100, 60.0), 0.0
    for _ in range(20):
        for _ in range(3):
            assert window.due(now) == now
            window.spend(now)
        now += 2.4


def test_a_window_of_one() -> None:
    window = Window(1, 60.0)
    assert window.due(0.0) == 0.0
    window.spend(0.0)
    assert window.due(1.0) == 60.0
    assert window.due(60.0) == 60.0


@pytest.mark.parametrize(("most", "seconds", "apart"), [(0.5, 1.0, 2.0), (0.1, 60.0, 600.0), (1.0, 60.0, 60.0)])
def test_less_than_one_in_a_window_is_one_in_more_of_them(most: float, seconds: float, apart: float) -> None:
    window = Window(most, seconds)
    window.spend(0.0)
    assert window.due(0.0) == pytest.approx(apart)
