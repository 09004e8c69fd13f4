"""Names to addresses: looked up off the loop, kept for a while, and a stale answer used when the look-up fails.

A resolver that is down for a minute must not cost calls whose address everybody knew a minute ago.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

FRESH_SECONDS: Final = 30.0
STALE_SECONDS: Final = 3600.0
"""How old an answer may be that is used because there is no newer one."""
RETRY_SECONDS: Final = 2.0
"""How long after a failed look-up the stale answer is used without asking again."""
PATIENCE_SECONDS: Final = 1.0
"""How long who could use a stale answer waits for a new one: a resolver that says nothing is waited for longer than a call has."""


@dataclass(slots=True)
class _Known:
    answer: list[ResolveResult]
    asked_at: float
    answered_at: float


class Names(AbstractResolver):
    """aiohttp's resolver interface over `getaddrinfo`. One look-up a name at a time, whoever asks."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], _Known] = {}
        self._asking: dict[tuple[str, int, int], asyncio.Future[list[ResolveResult]]] = {}

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Addresses, best first. Raises OSError (socket.gaierror) where nothing is known."""
        key, loop = (host, port, int(family)), asyncio.get_running_loop()
        known, now = self._known.get(key), loop.time()
        if known is None or now - known.answered_at > STALE_SECONDS:
            return await self._ask(key)
        if now - known.answered_at < FRESH_SECONDS or now - known.asked_at < RETRY_SECONDS:
            return known.answer
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._ask(key)
        except OSError:  # a TimeoutError is one
            known.asked_at = loop.time()
            return known.answer

    async def _ask(self, key: tuple[str, int, int]) -> list[ResolveResult]:
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._look_up(*key))
            self._asking[key] = asking
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more
        # One caller who gives up must not end the look-up of the others.
        return await asyncio.shield(asking)

    async def _look_up(self, host: str, port: int, family: int) -> list[ResolveResult]:
        """What it finds is known from then on, whether somebody still waits for it or not."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        answer = [
            ResolveResult(hostname=host, host=str(address[0]), port=int(address[1]), family=kind, proto=proto,
                          flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV)
            for kind, _, proto, _, address in found
        ]
        self._known[host, port, family] = _Known(answer, loop.time(), loop.time())
        return answer

    async def close(self) -> None:
        """Nobody waits for an answer any more."""
        asking = list(self._asking.values())
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
