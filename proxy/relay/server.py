"""The process's sockets: binding every listener, starting and draining.

Owns the order of a start (all addresses are bound, or none stays) and of an end: not ready at once, new calls for a little
longer, time for the open ones, then the rest is ended the vendors' own way, and at last cut. Never uses aiohttp's runner,
which would cut calls by its own clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from proxy.core.overload import most_waiting
from proxy.relay.acceptor import Acceptor, Clients, bind
from proxy.relay.capacity import most_descriptors
from proxy.relay.pages import Page, PageServer, from_elsewhere, handler
from proxy.relay.relay import Handler, Relay
from proxy.relay.takeover import Head, HeadServer

END_SECONDS: Final = 5.0
"""For what outlasts the grace to be ended in its vendor's own way; then it is cut."""


class BindError(Exception):
    """An address that could not be bound. The message names it."""


@dataclass(slots=True)
class Bound:
    """One listening server: `host`, `port` as bound."""

    name: str
    host: str
    port: int
    acceptor: Acceptor

    def __str__(self) -> str:
        return _shown(self.host, self.port)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(slots=True)
class Servers:
    """All that listens. `head` and `head_timeout` bound what a client may send before it is a call."""

    relay: Relay
    head: Head
    head_timeout: float
    bound: list[Bound] = field(default_factory=list)

    async def listen(self, name: str, host: str, port: int, handle: Handler, tls: ssl.SSLContext | None = None,
                     clients: Clients = None) -> Bound:
        """Binds and serves. Raises BindError."""
        rejected = self.relay.ledger.rejected
        heads = HeadServer(handle, self.relay.reject, self.head, self.head_timeout, lambda: rejected("timeout"))
        most = most_waiting(most_descriptors())

        def makes_room() -> bool:
            ended = most is not None and heads.end_oldest(most)
            if ended:
                rejected("no_room")
            return ended

        return await self._bind(name, host, port, heads, tls, rejected, clients, makes_room, most)

    async def pages(self, name: str, host: str, port: int, pages: dict[tuple[str, str], Page], *, private: bool = False) -> Bound:
        """Small pages, with aiohttp's own keep-alive; private ones are for this machine alone. Raises BindError."""
        handle = handler(pages, from_elsewhere) if private else handler(pages)
        return await self._bind(name, host, port, PageServer(handle, self.head))

    async def _bind(self, name: str, host: str, port: int, heads: HeadServer, tls: ssl.SSLContext | None = None,
                    rejected: Callable[[str], None] = lambda reason: None, clients: Clients = None,
                    makes_room: Callable[[], bool] = lambda: False, most: int | None = None) -> Bound:
        try:
            sockets = await bind(host, port)
        except OSError as error:
            raise BindError(f"{name}: cannot listen on {_shown(host, port)}: {error.strerror or error}") from None
        actual = sockets[0].getsockname()
        acceptor = Acceptor(sockets, heads, tls, rejected, self.head_timeout, clients, makes_room, most and 2 * most)
        bound = Bound(name, actual[0], actual[1], acceptor)
        self.bound.append(bound)
        return bound

    async def drain(self, accept_seconds: float, grace_seconds: float) -> None:
        """Ends within both times and `END_SECONDS`. Cancelled, it ends everything at once."""
        self.relay.ready = False
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(accept_seconds)
            self.relay.draining = True
            await self._idle(grace_seconds)
            self.relay.turns.hurries = True
            for forward in list(self.relay.forwards):
                forward.drain()
            for call in list(self.relay.calls):
                self.relay.turns.add(call.drain)
            await self._idle(END_SECONDS)
        await self.stop()

    async def stop(self) -> None:
        """Ends everything at once."""
        self.relay.ready, self.relay.draining = False, True
        self.relay.turns.hurries = True
        self.stop_listening()
        for call in list(self.relay.calls):
            call.abort()
        for forward in list(self.relay.forwards):
            forward.drain()
        await self._idle(None)

    async def _idle(self, seconds: float | None) -> None:
        """Until nothing is open, or for so long."""
        idle = asyncio.Event()
        self.relay.on_idle = idle.set
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.relay.busy:
                    idle.clear()
                    await idle.wait()

    def stop_listening(self) -> None:
        for bound in self.bound:
            bound.acceptor.close()

