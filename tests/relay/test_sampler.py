"""One timer: lag, and a look at each call once a round."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from proxy.relay.sampler import TICK_SECONDS, TICKS_A_ROUND, Sampler


class Clock:
    """A loop whose time the test turns, and whose only timer is the sampler's."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, object]] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("proxy.relay.sampler.asyncio.get_running_loop", lambda: self)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, act: object) -> asyncio.TimerHandle:
        self.timers.append((when, act))
        return self  # type: ignore[return-value]

    def cancel(self) -> None:
        self.timers.clear()

    def tick(self, late: float = 0.0) -> None:
        when, act = self.timers.pop()
        assert not self.timers
        assert callable(act)
        self.now = when + late
        act()


class Sampled:
    def __init__(self, seen: Counter[Sampled], lags: list[float]) -> None:
        self.seen, self.lags = seen, lags

    def sample(self, loop_lag: float) -> None:
        self.seen[self] += 1
        self.lags.append(loop_lag)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.install(monkeypatch)
    return clock


@pytest.mark.parametrize("calls", [1, 7, 20, 1000])
def test_each_call_once_a_round(clock: Clock, calls: int) -> None:
    sampler, seen = Sampler(lambda _: None), Counter[Sampled]()
    for _ in range(calls):
        sampler.add(Sampled(seen, []))
    sampler.start()
    for _ in range(TICKS_A_ROUND):
        before = seen.total()
        clock.tick()
        assert seen.total() - before <= -(-calls // TICKS_A_ROUND)
    assert len(seen) == calls
    assert set(seen.values()) == {1} or calls < TICKS_A_ROUND


def test_a_call_that_is_over_is_not_looked_at(clock: Clock) -> None:
    sampler, seen = Sampler(lambda _: None), Counter[Sampled]()
    stays, goes = Sampled(seen, []), Sampled(seen, [])
    sampler.add(stays)
    sampler.add(goes)
    sampler.remove(goes)
    sampler.remove(goes)
    sampler.start()
    for _ in range(3):
        clock.tick()
    assert dict(seen) == {stays: 3}


def test_lag(clock: Clock) -> None:
    observed: list[float] = []
    lags: list[float] = []
    sampler = Sampler(observed.append)
    sampler.add(Sampled(Counter(), lags))
    sampler.start()
    clock.tick(late=0.2)
    clock.tick()
    assert observed == pytest.approx([0.2, 0.0])
    assert lags == pytest.approx([0.2, 0.2])  # the largest of the last second
    for _ in range(TICKS_A_ROUND):
        clock.tick()
    assert sampler.recent_lag == pytest.approx(0.0)
    assert clock.timers[0][0] == pytest.approx(clock.now + TICK_SECONDS)


def test_one_that_raises_does_not_end_the_watch(clock: Clock) -> None:
    class Broken:
        def sample(self, loop_lag: float) -> None:
            raise RuntimeError("a bug")

    sampler, seen = Sampler(lambda _: None), Counter[Sampled]()
    good = Sampled(seen, [])
    sampler.add(Broken())
    sampler.add(good)
    sampler.start()
    with pytest.raises(RuntimeError):
        clock.tick()
    clock.tick()
    assert seen[good] == 1


def test_stop(clock: Clock) -> None:
    sampler = Sampler(lambda _: None)
    sampler.stop()
    sampler.start()
    sampler.stop()
    assert not clock.timers
