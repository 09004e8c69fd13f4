"""Work that comes in lumps, done one piece a turn of the event loop.

When two hundred calls end or come back at once, each costs a little, and all of them together a pause that every open call
would hear. One piece a turn lets bytes cross in between; and what takes long is followed by a rest as long, so that pieces never
take more than half of the loop. Calls that begin and calls that end go by turns.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

LONG: Final = 0.0005
"""Seconds of a piece, with the bytes that cross meanwhile, after which comes a rest."""
LONGEST_REST: Final = 0.01


class Turns:
    """All is called on the loop. Pieces are done in order; one that raises is the loop's to tell of, and the next has its turn."""

    def __init__(self) -> None:
        self._beginning: deque[Callable[[], None]] = deque()
        self._ending: deque[Callable[[], None]] = deque()
        self._began_last = False
        self._armed = False  # this turn is taken, or the next one is planned

    def add(self, piece: Callable[[], None]) -> None:
        """A piece of a call that ends. It is not done before the next turn."""
        self._ending.append(piece)
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._turn)

    async def mine(self) -> None:
        """For a call that begins: returns when it has a turn, which is now if nobody has this one."""
        loop = asyncio.get_running_loop()
        if not self._armed:
            self._armed = True
            loop.call_soon(self._next, monotonic())
            return
        turn = loop.create_future()
        self._beginning.append(lambda: None if turn.done() else turn.set_result(None))
        await turn

    def _turn(self) -> None:
        began = monotonic()
        self._began_last = bool(self._beginning) and not (self._began_last and self._ending)
        try:
            (self._beginning if self._began_last else self._ending).popleft()()
        finally:
            # After whoever was just given the turn: they go on in the next one.
            asyncio.get_running_loop().call_soon(self._next, began)

    def _next(self, began: float) -> None:
        """What was done, and what crossed since, is over."""
        self._armed = bool(self._beginning or self._ending)
        if self._armed:
            took, loop = monotonic() - began, asyncio.get_running_loop()
            if took > LONG:
                loop.call_later(min(took, LONGEST_REST), self._turn)
            else:
                loop.call_soon(self._turn)
