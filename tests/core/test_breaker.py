"""When an answer is worth waiting for."""

from __future__ import annotations

from proxy.core.breaker import MISSES, Breaker

PATIENCE = 0.02


def closed() -> Breaker:
    breaker = Breaker(PATIENCE)
    assert breaker.answered(0.001, 0.0)
    assert breaker.closed
    return breaker


def test_before_the_first_answer_nobody_waits() -> None:
    assert not Breaker(PATIENCE).closed


def test_late_answers_in_a_row_open_it_and_one_in_time_closes_it() -> None:
    breaker = closed()
    assert [breaker.late(float(second)) for second in range(MISSES)] == [False] * (MISSES - 1) + [True]
    assert not breaker.closed
    assert not breaker.late(9.0)
    assert not breaker.answered(PATIENCE * 2, 10.0)  # too slow still
    assert not breaker.closed
    assert breaker.answered(PATIENCE, 11.0)
    assert breaker.closed


def test_one_in_time_forgives_those_before() -> None:
    breaker = closed()
    for second in range(10):
        assert not breaker.late(second)
        assert not breaker.late(second + 0.5)
        assert not breaker.answered(0.001, second + 0.6)
    assert breaker.closed


def test_all_that_wait_for_the_same_thing_are_one() -> None:
    """A loop that was held up for a moment is late for everybody at once."""
    breaker = closed()
    assert not any(breaker.late(5.0 + number * 0.001) for number in range(19))
    assert breaker.closed


def test_slow_answers_count_as_late() -> None:
    breaker = closed()
    assert [breaker.answered(0.1, float(second)) for second in range(MISSES)] == [False] * (MISSES - 1) + [True]
    assert not breaker.closed


def test_a_lost_connection_opens_it_at_once() -> None:
    breaker = closed()
    assert (breaker.lost(), breaker.closed, breaker.lost()) == (True, False, False)
