"""How fast audio and messages may go: virtual scheduling in seconds of audio, and so many in a window.

Owns arithmetic on time alone. Theory: the generic cell rate algorithm (ITU-T I.371), with a debt. What is *ahead* is audio that has
gone minus the time since the first of it; it may reach `lead`. A client's silence makes it negative, down to `-credit`: one that
froze for a while and sends its backlog at once is not held up, and a hiccup never becomes a lag that stays.
"""

from __future__ import annotations

from collections import deque
from typing import Final

ROUNDING: Final = 1e-6
"""Seconds that are no matter: a clock that has run for months tells no less."""
MARGIN: Final = 0.95
"""The share of a published window that is used: what leaves here evenly may arrive less so."""
FREE: Final = 0.5
"""The share of a window that may be used up at any speed; what is left of it after that is spread over the time until there is more."""
EVEN: Final = 0.8
"""Then they are at least so much of the window's even spacing apart,"""
TOGETHER: Final = 4
"""but so many of them may go at once, if they come at once."""


class Pacer:
    """`rate`: seconds of audio a second; `lead` and `credit` in seconds of audio."""

    __slots__ = ("_ahead", "_at", "credit", "lead", "rate")

    def __init__(self, rate: float, lead: float, credit: float) -> None:
        self.rate, self.lead, self.credit = rate, lead, credit
        self._ahead = 0.0
        self._at: float | None = None

    def ahead(self, now: float) -> float:
        """Seconds of audio that have gone ahead of time; negative is credit."""
        if self._at is None:
            return 0.0
        return max(-self.credit, self._ahead - self.rate * (now - self._at))

    def due(self, seconds: float, now: float) -> float:
        """When so much audio may go: `now` or later. What alone is longer than the lead goes once nothing is ahead."""
        over = self.ahead(now) + min(seconds, self.lead) - self.lead
        return now if over <= ROUNDING else now + over / self.rate

    def spend(self, seconds: float, now: float) -> None:
        """So much audio goes now."""
        self._ahead, self._at = self.ahead(now) + seconds, now

    def passes(self, seconds: float, now: float) -> bool:
        """`due` and `spend` in one, for audio that may go at once; False, and nothing spent, where it may not."""
        ahead = self._ahead - self.rate * (now - self._at) if self._at is not None else 0.0
        if ahead < -self.credit:
            ahead = -self.credit
        if ahead + (seconds if seconds < self.lead else self.lead) > self.lead + ROUNDING:
            return False
        self._ahead, self._at = ahead + seconds, now
        return True


class Window:
    """At most `most` in any `seconds`, less a margin, and never none for long: whoever uses it up too soon gets the rest of it evenly.

    A client that sends evenly and keeps to the limit less its margin is not held up.
    """

    __slots__ = ("_times", "most", "seconds")

    def __init__(self, most: float, seconds: float) -> None:
        self.most = max(1, int(most * MARGIN))
        self.seconds = seconds if most >= 1 else seconds / most  # less than one in a minute is one in more of them
        self._times: deque[float] = deque()

    def due(self, now: float, waits: bool = False) -> float:
        """When the next one may go; `waits`: it had to wait already."""
        times, most = self._times, self.most
        gone = now - self.seconds + ROUNDING
        while times and times[0] <= gone:
            times.popleft()
        if len(times) <= most * FREE:
            return now
        together = 1 if waits else TOGETHER
        left = most - len(times)
        if left <= 0:
            return times[0] + self.seconds
        if len(times) < together:
            return now
        spread = max((times[0] + self.seconds - now) / left, EVEN * self.seconds / most)
        return max(now, times[-together] + together * spread)

    def spend(self, now: float) -> None:
        self._times.append(now)
