"""Work that comes in lumps, done one piece a turn of the event loop.

When two hundred calls end or come back at once, each costs a little, and all of them together a pause that every open call
would hear. One piece a turn lets bytes cross in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """`add` is called on the loop. Pieces are done in order; one that raises is the loop's to tell of, and the next has its turn."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._armed = False

    def add(self, piece: Callable[[], None]) -> None:
        self._waiting.append(piece)
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        piece = self._waiting.popleft()
        self._armed = bool(self._waiting)
        if self._armed:
            asyncio.get_running_loop().call_soon(self._turn)
        piece()
