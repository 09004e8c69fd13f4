"""Accepting connections, one a turn of the event loop.

The loops' own servers accept all that is waiting at once; a storm of reconnects would then be parsed and admitted in one lump,
and open calls would wait behind it. What is not accepted yet waits in the kernel's backlog, where it costs nothing.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

_GONE_AGAIN: Final = (errno.EAGAIN, errno.EINTR, errno.ECONNABORTED)
"""A connection that was given up before it was accepted."""
Clients = tuple[IPv4Network | IPv6Network, ...] | None
"""From where connections are taken; None: from everywhere."""

BACKLOG: Final = 4096
OUT_OF_FILES_SECONDS: Final = 0.1
"""Before accepting again when the process has no descriptor left,"""
CROWDED_SECONDS: Final = 0.001
"""and where somebody was sent away to make room, who may come back at once."""
_ABSENT: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""localhost is ::1 as well in many a hosts file, also where there is no IPv6."""


async def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for every address of the host that this machine has. Raises OSError; then none is left open."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    absent = OSError(errno.EADDRNOTAVAIL, "no such address")
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        try:
            bound.append(_listening(family, address))
        except OSError as error:
            if error.errno not in _ABSENT:
                for sock in bound:
                    sock.close()
                raise
            absent = error
    if not bound:
        raise absent
    return bound


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


class Acceptor:
    """Serves bound sockets with protocols of one factory, over TLS where a context is given.

    `rejected` is told why a connection came to nothing: `address` where it is none of `clients`, `tls`, or `timeout` after
    `handshake_seconds`. One that its client gave up is not told of. `makes_room` ends a connection that asks for
    nothing, where there are too many of them, and tells whether one was; handshakes of TLS are bounded by `most_beginning`. Else whoever
    holds many keeps calls and probes out.
    """

    def __init__(self, sockets: list[socket.socket], factory: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None,
                 rejected: Callable[[str], None] = lambda reason: None, handshake_seconds: float = 10.0,
                 clients: Clients = None, makes_room: Callable[[], bool] = lambda: False, most_beginning: int | None = None) -> None:
        self._factory = factory
        self._handshake_seconds = handshake_seconds
        self._rejected = rejected
        self.tls, self.clients = tls, clients  # for connections from here on
        self._makes_room, self._most_beginning = makes_room, most_beginning
        self._beginning: dict[asyncio.Task[None], None] = {}  # in their order
        self._resting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._sockets = sockets
        for sock in sockets:
            self._listen(sock)

    def _listen(self, sock: socket.socket) -> None:
        """Not by `sock_accept`: asyncio's loses a connection that comes in the very turn in which its task is cancelled."""
        asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def _accept(self, sock: socket.socket) -> None:
        """Called each turn while a connection waits; takes one."""
        loop = asyncio.get_running_loop()
        try:
            connection, address = sock.accept()
        except OSError as error:
            if error.errno not in _GONE_AGAIN:  # out of descriptors
                self._rest(sock, OUT_OF_FILES_SECONDS)
            return
        if self._makes_room() or self._ends_handshake():
            self._rest(sock, CROWDED_SECONDS)
        if self._takes(address[0]):
            connection.setblocking(False)
            task = loop.create_task(self._begin(connection))
            self._beginning[task] = None
            task.add_done_callback(self._beginning.pop)
        else:
            connection.close()
            self._rejected("address")

    def _rest(self, sock: socket.socket, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock)
        self._resting[sock] = loop.call_later(seconds, self._listen, sock)

    def _ends_handshake(self) -> bool:
        """Of too many the one that has taken longest."""
        if self._most_beginning is None or len(self._beginning) <= self._most_beginning:
            return False
        self._rejected("no_room")
        return next(iter(self._beginning)).cancel()

    def _takes(self, host: str) -> bool:
        return self.clients is None or any(ip_address(host) in network for network in self.clients)

    async def _begin(self, connection: socket.socket) -> None:
        limit = self._handshake_seconds if self.tls else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._factory, connection, ssl=self.tls, ssl_handshake_timeout=limit)
        except ssl.SSLError:
            self._rejected("tls")
        except ConnectionAbortedError:  # what both loops make of a handshake that takes too long
            self._rejected("timeout")
        except OSError:
            return  # a client that has left

    def close(self) -> None:
        """Accepts no more, from the next turn of the loop on; connections that are there go on."""
        loop = asyncio.get_running_loop()
        for timer in self._resting.values():
            timer.cancel()
        sockets, self._sockets = self._sockets, []
        for sock in sockets:
            loop.remove_reader(sock)
            loop.call_soon(sock.close)  # not before the loop has let go of it
