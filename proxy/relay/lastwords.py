"""What a vendor said before it closed is read, also where our own writing fails first.

Theory: a vendor that refuses an upload answers, and closes with bytes unread, so that an RST follows its answer. Practice: if
our next write comes before our next read, asyncio and uvloop see it fail, and drop the connection with the answer unread in
the kernel; nor do their TLS layers hand over what they hold for a reader that paused, once the connection ends. Linux keeps
what came before an RST until it is read, so `LastWords` stands between a transport and its protocol, and has it read out
before the protocol hears of the end. What had not come by then, the vendor's kernel has thrown away; that, nobody can cure.

Owns nothing but that order. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

from proxy.relay.loops import BUFFER_BYTES as TLS_BYTES
from proxy.relay.loops import READ_BYTES as TLS_READS

READ_BYTES: Final = 1 << 16
ROUNDS: Final = TLS_BYTES // TLS_READS + 2
"""How often a reader may pause again while it is given what TLS holds."""


class _Between(asyncio.BaseProtocol):
    """What is the same with and without TLS. Below it is the lowest transport, above it the protocol that this one had."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._protocol: Any = transport.get_protocol()
        transport.set_protocol(self)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def eof_received(self) -> bool | None:
        self._last(b"")
        ends: bool | None = self._protocol.eof_received()
        return ends

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, ConnectionResetError | BrokenPipeError):  # others may be of our own making, while the vendor goes on
            self._last(b"")
            self._read_out()
        self._protocol.connection_lost(exc)

    def _read_out(self) -> None:
        """The transport closes its descriptor only after this."""
        try:
            number = self._transport.get_extra_info("socket").fileno()
            while data := os.read(number, READ_BYTES):
                self._last(data)
        except OSError:
            return  # the end, told as an error

    def _last(self, data: bytes) -> None:
        """A reader that paused gets it as well: not much, and nothing will follow."""


class LastWords(_Between, asyncio.Protocol):
    """For a transport without TLS."""

    def data_received(self, data: bytes) -> None:
        self._protocol.data_received(data)

    def _last(self, data: bytes) -> None:
        if data:
            self._protocol.data_received(data)


class LastWordsUnderTls(_Between, asyncio.BufferedProtocol):
    """For the transport beneath TLS, whose own transport `top` the reader pauses. What TLS holds for it is heard as well."""

    def __init__(self, transport: asyncio.Transport, top: asyncio.Transport) -> None:
        super().__init__(transport)
        self._top = top

    def get_buffer(self, sizehint: int) -> Any:
        return self._protocol.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.buffer_updated(nbytes)

    def _last(self, data: bytes) -> None:
        rounds = ROUNDS
        while rounds:
            self._top.resume_reading()
            buffer = self._protocol.get_buffer(len(data))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self._protocol.buffer_updated(size)
            data = data[size:]
            rounds -= not size
