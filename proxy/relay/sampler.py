"""One timer for the whole process: event-loop lag, and a look at each open call once a second.

A tick every 50 ms tells how late the loop is. Each tick looks at a twentieth of the calls, so that a thousand calls cost no
visible pause, and no call has a timer of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, Protocol

from proxy.relay.harmless import harmless

TICK_SECONDS: Final = 0.05
TICKS_A_ROUND: Final = 20


class Sampled(Protocol):
    def sample(self, loop_lag: float) -> None:
        """Called about once a second with the largest lag of that second. Must not raise."""


class Sampler:
    """`observe_lag` is told every tick's lag in seconds."""

    def __init__(self, observe_lag: Callable[[float], None]) -> None:
        self._observe_lag = observe_lag
        self._waiting: dict[Sampled, None] = {}  # in the order of their turns
        self._lags: deque[float] = deque([0.0], maxlen=TICKS_A_ROUND)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    @property
    def recent_lag(self) -> float:
        """The largest lag of the last second."""
        return max(self._lags)

    def add(self, sampled: Sampled) -> None:
        self._waiting[sampled] = None

    def remove(self, sampled: Sampled) -> None:
        self._waiting.pop(sampled, None)

    def start(self) -> None:
        self._due = asyncio.get_running_loop().time() + TICK_SECONDS
        self._timer = asyncio.get_running_loop().call_at(self._due, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        lag = max(0.0, now - self._due)
        self._lags.append(lag)
        # First the next turn: one call that cannot be looked at must not end the watch over all.
        self._due = now + TICK_SECONDS
        self._timer = loop.call_at(self._due, self._tick)
        harmless(self._observe_lag, lag)
        turn, recent = list(islice(self._waiting, -(-len(self._waiting) // TICKS_A_ROUND))), self.recent_lag
        for sampled in turn:
            self._waiting[sampled] = self._waiting.pop(sampled)  # to the end of the line
            sampled.sample(recent)
