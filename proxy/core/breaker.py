"""Whether an answer of somebody else's is worth waiting for: a circuit breaker over how long answers took.

    closed   who comes waits for an answer, for `patience` seconds at most
    open     nobody waits; whoever asks in the background finds out when answers come in time again

`MISSES` late answers in a row open it, a lost connection does at once, and one answer in time closes it. Late ones within one patience
are one: all of them waited for the same thing. Owns that judgement alone; it asks nobody.
"""

from __future__ import annotations

from typing import Final

MISSES: Final = 3


class Breaker:
    """Open until the first answer: before there is a connection there is nothing to wait for."""

    __slots__ = ("_misses", "_same_until", "closed", "patience")

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.closed = False
        self._misses = 0
        self._same_until = float("-inf")

    def late(self, now: float) -> bool:
        """An answer was not there in time. Whether that has opened it."""
        if not self.closed or now < self._same_until:
            return False
        self._same_until = now + self.patience
        self._misses += 1
        return self._misses >= MISSES and self.lost()

    def lost(self) -> bool:
        """Nothing will be answered. Whether that has opened it."""
        was, self.closed = self.closed, False
        return was

    def answered(self, seconds: float, now: float) -> bool:
        """An answer took so long. Whether that has opened or closed it."""
        if seconds > self.patience:
            return self.late(now)
        was, self.closed, self._misses = self.closed, True, 0
        return not was
