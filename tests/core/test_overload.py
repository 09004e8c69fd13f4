"""When a process is overloaded, second by second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.overload import SECONDS, Overload, is_full, is_swollen, most_waiting, reserve

BUSY = (1.0, 0.95, 0.0)
LATE = (1.0, 0.1, 0.4)
BETWEEN = (1.0, 0.8, 0.05)
CALM = (1.0, 0.3, 0.01)


def after(*seconds: tuple[float, float, float]) -> bool:
    judge = Overload()
    for second in seconds:
        judge.second(*second)
    return judge.overloaded


@pytest.mark.parametrize("bad", [BUSY, LATE])
def test_seconds_in_a_row(bad: tuple[float, float, float]) -> None:
    assert not after(*[bad] * (SECONDS - 1))
    assert after(*[bad] * SECONDS)


def test_it_takes_as_long_to_be_over() -> None:
    assert after(*[BUSY] * 60, *[CALM] * (SECONDS - 1))
    assert not after(*[BUSY] * 60, *[CALM] * SECONDS)


def test_between_nothing_changes() -> None:
    assert after(*[BUSY] * SECONDS, *[BETWEEN] * 60)
    assert not after(*[BUSY] * (SECONDS - 1), *[BETWEEN] * 60)
    assert after(*[BUSY] * (SECONDS - 1), *[BETWEEN] * 60, BUSY)


def test_a_pause_is_no_overload() -> None:
    """The machine slept, or somebody stopped the process."""
    assert not after(*[CALM] * 3, (3600.0, 0.1, 3599.0), *[CALM] * 3)


def test_a_short_storm_is_none() -> None:
    assert not after(*[BUSY] * (SECONDS - 1), *[CALM] * (SECONDS - 1), *[BUSY] * (SECONDS - 1))


def test_a_clock_that_stands_still_says_nothing() -> None:
    assert not after(*[(0.0, 1.0, 1.0)] * 60)


@given(st.lists(st.sampled_from([BUSY, LATE, BETWEEN, CALM])))
def test_each_change_is_told_once(seconds: list[tuple[float, float, float]]) -> None:
    judge, told = Overload(), False
    for second in seconds:
        if judge.second(*second):
            told = not told
        assert judge.overloaded is told


def test_descriptors() -> None:
    assert not is_full(10**9, None)
    assert (reserve(64), reserve(1024), reserve(2**20)) == (8, 64, 64)
    assert not is_full(1024 - 64, 1024)
    assert is_full(1024 - 63, 1024)


def test_connections_that_ask_for_nothing() -> None:
    assert [most_waiting(most) for most in (None, 16, 1024, 2**20)] == [None, 8, 128, 2**17]


def test_memory() -> None:
    assert not is_swollen(10**15, None)
    assert not is_swollen(90, 100)
    assert is_swollen(91, 100)
