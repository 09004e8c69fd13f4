"""When a piece may go, by all the rules that hold back, and which of them it waits for.

Owns the joining of pace, message rate and audio chunk rate (pacing). It knows no bytes, and not what else is held.
"""

from __future__ import annotations

from collections.abc import Callable

from proxy.core.pacing import ROUNDING, Pacer, Window
from proxy.core.policy import Bounds, Rule


class Schedule:
    """Of one session. `seconds` of audio; None for what holds none, or cannot be timed."""

    __slots__ = ("_pacer", "at_once", "windows")

    at_once: Callable[[float, float], bool]
    """Whether so many seconds of audio in one message may go now; then they count as gone."""

    def __init__(self, enforced: frozenset[Rule], numbers: Bounds) -> None:
        self._pacer = Pacer(numbers.rate, numbers.lead, numbers.credit) if Rule.PACE in enforced else None
        rates = ((Rule.MESSAGE_RATE, numbers.messages_per_minute, 60.0), (Rule.AUDIO_CHUNK_RATE, numbers.chunks_per_second, 1.0))
        self.windows = [(rule, Window(most, seconds)) for rule, most, seconds in rates if rule in enforced and most is not None]
        self.at_once = self._pacer.passes if self._pacer is not None and not self.windows else self._passes

    def _passes(self, seconds: float, now: float) -> bool:
        for _, window in self.windows:
            if window.due(now) > now + ROUNDING:
                return False
        if self._pacer is not None and not self._pacer.passes(seconds, now):
            return False
        for _, window in self.windows:
            window.spend(now)
        return True

    def due(self, seconds: float | None, is_audio: bool, waits: bool, now: float) -> tuple[float, Rule | None]:
        """When it may go, and the rule that says so; None where that is now. `waits`: it had to wait already."""
        due, by = now, None
        for rule, window in self.windows:
            if is_audio or rule is Rule.MESSAGE_RATE:
                at = window.due(now, waits)
                if at > due + ROUNDING:
                    due, by = at, rule
        if self._pacer is not None and seconds is not None:
            at = self._pacer.due(seconds, now)
            if at > due + ROUNDING:
                due, by = at, Rule.PACE
        return due, by

    def has_time_for(self, seconds: float, now: float) -> bool:
        """Whether so much audio may go now, as far as its pace goes."""
        return self._pacer is None or self._pacer.due(seconds, now) <= now + ROUNDING

    def full(self, now: float) -> Rule | None:
        """The rate that lets no audio message go now that had to wait already."""
        return next((rule for rule, window in self.windows if window.due(now, waits=True) > now + ROUNDING), None)

    def count(self, is_audio: bool, now: float) -> None:
        """A message goes."""
        for rule, window in self.windows:
            if is_audio or rule is Rule.MESSAGE_RATE:
                window.spend(now)

    def spend(self, seconds: float | None, now: float) -> None:
        """Audio goes."""
        if self._pacer is not None and seconds is not None:
            self._pacer.spend(seconds, now)
