"""How fast audio and messages may go: virtual scheduling in seconds of audio, and so many in a window.

Owns arithmetic on time alone. Theory: the generic cell rate algorithm (ITU-T I.371), with a debt. What is *ahead* is audio that has
gone minus the time since the first of it; it may reach `lead`. A client's silence makes it negative, down to `-credit`: one that
froze for a while and sends its backlog at once is not held up, and a hiccup never becomes a lag that stays.
"""

from __future__ import annotations

from collections import deque
from typing import Final

ROUNDING: Final = 1e-9


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
        if ahead + min(seconds, self.lead) > self.lead + ROUNDING:
            return False
        self._ahead, self._at = ahead + seconds, now
        return True


class Window:
    """At most `most` in any `seconds`."""

    __slots__ = ("_times", "most", "seconds")

    def __init__(self, most: float, seconds: float) -> None:
        self.most, self.seconds = max(1, int(most)), seconds
        self._times: deque[float] = deque(maxlen=self.most)

    def due(self, now: float) -> float:
        """When the next one may go."""
        if len(self._times) < self.most:
            return now
        return max(now, self._times[0] + self.seconds)

    def spend(self, now: float) -> None:
        self._times.append(now)
