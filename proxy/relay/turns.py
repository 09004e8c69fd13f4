"""Work that comes in lumps, done one piece a turn of the event loop.

When two hundred calls end or come back at once, each costs a little, and all of them together a pause that every open call
would hear. One piece a turn lets bytes cross in between; and what takes long is followed by a rest as long, so that pieces take
about half of the loop at most. Calls that end go before calls that begin, which can be refused, but do not keep them out.
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
HURRIED: Final = 20
"""Pieces a turn, once all that is open is to end."""
ENDS_FIRST: Final = 4
"""Pieces of calls that end before one of a call that begins: a call has about five of those and two of these."""


class Turns:
    """All is called on the loop. Pieces are done in order; one that raises is the loop's to tell of, and the next has its turn."""

    def __init__(self) -> None:
        self.hurries = False  # nobody is to be spared any more: several at a time, and no rests
        self._beginning: deque[asyncio.Future[None]] = deque()
        self._ending: deque[Callable[[], None]] = deque()
        self._ended = 0  # pieces, since a call began
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
        self._beginning.append(turn)
        await turn

    def _turn(self) -> None:
        began = monotonic()
        try:
            for _ in range(HURRIED if self.hurries else 1):
                self._piece()
        finally:
            # After whoever was just given the turn: they go on in the next one.
            asyncio.get_running_loop().call_soon(self._next, began)

    def _piece(self) -> None:
        while self._beginning and self._beginning[0].done():  # gave up waiting
            del self._beginning[0]
        if self._beginning and (not self._ending or self._ended >= ENDS_FIRST):
            self._ended = 0
            self._beginning.popleft().set_result(None)
        elif self._ending:
            self._ended += 1
            self._ending.popleft()()

    def _next(self, began: float) -> None:
        """What was done, and what crossed since, is over."""
        self._armed = bool(self._beginning or self._ending)
        if self._armed:
            took, loop = monotonic() - began, asyncio.get_running_loop()
            if took > LONG and not self.hurries:
                loop.call_later(min(took, LONGEST_REST), self._turn)
            else:
                loop.call_soon(self._turn)
