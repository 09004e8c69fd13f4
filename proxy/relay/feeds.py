"""What a leg's bytes are shown to, beside those who look at them: acts that come before or after.

Knows nothing of what is looked for, nor of what is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.core.wire import Feed

NOTHING: Final = Feed()
"""How a blind leg looks at what crosses."""


class First(Feed):
    """Acts before anything is fed."""

    __slots__ = ("_act", "_then")

    def __init__(self, act: Callable[[], None], then: Feed) -> None:
        self._act, self._then = act, then

    def feed(self, data: bytes, now: float) -> None:
        self._act()
        self._then.feed(data, now)


class Then(Feed):
    """Acts each time that something was fed."""

    __slots__ = ("_act", "_first")

    def __init__(self, first: Feed, act: Callable[[], None]) -> None:
        self._first, self._act = first, act

    def feed(self, data: bytes, now: float) -> None:
        self._first.feed(data, now)
        self._act()
