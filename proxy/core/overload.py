"""Whether the process keeps up with its calls, judged second by second.

    wanted   seconds of a core that the event loop used, and that it waited for while others had the core
    late     seconds by which its ticks came late

A bad second raises the pressure by one and a good one lowers it; one between them changes nothing. `SECONDS` of pressure are an
overload, none is its end: so a pause, however long, is none, nor is a storm of reconnects that is over in a few seconds, and a
process at the edge does not go to and fro. Owns this judgement; what is done about it, and how a second is measured, is the relay's.
"""

from __future__ import annotations

from typing import Final

SECONDS: Final = 5
"""Bad seconds until it is an overload, and good ones until it is over."""
BUSY: Final = 0.9
"""Share of a core that is wanted in a bad second: there is no room for one more call,"""
LATE: Final = 0.3
"""or share of the second by which ticks were late: what held the loop up may be no work of ours."""
CALM_BUSY: Final = 0.75
CALM_LATE: Final = 0.1
"""A good second is below both."""


class Overload:
    """`overloaded` is the answer, as of the last second."""

    __slots__ = ("_pressure", "overloaded")

    def __init__(self) -> None:
        self._pressure = 0
        self.overloaded = False

    def second(self, elapsed: float, wanted: float, late: float) -> bool:
        """About a second has passed. Whether the answer has changed. However long it was, it counts once."""
        if elapsed <= 0:
            return False
        if wanted >= BUSY * elapsed or late >= LATE * elapsed:
            self._pressure = min(SECONDS, self._pressure + 1)
        elif wanted < CALM_BUSY * elapsed and late < CALM_LATE * elapsed:
            self._pressure = max(0, self._pressure - 1)
        before = self.overloaded
        self.overloaded = self._pressure == SECONDS or (before and self._pressure > 0)
        return self.overloaded != before


def is_full(descriptors: int, most: int | None) -> bool:
    """Whether so many open descriptors leave too few for one more call and for whoever asks how the process is."""
    return most is not None and descriptors + reserve(most) > most


def most_waiting(most: int | None) -> int | None:
    """Connections to one listener that may wait without having asked for anything: a call's comes with its request."""
    return None if most is None else max(8, most // 8)


def reserve(most: int) -> int:
    """Descriptors that no call takes: an eighth, but no more than 64."""
    return min(64, most // 8)


FULL: Final = 0.9
"""Share of its memory beyond which a process takes no more calls: those that are open may still need some."""


def is_swollen(resident: int, most: int | None) -> bool:
    return most is not None and resident > FULL * most
