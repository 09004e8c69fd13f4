"""One connection to a simulator: what was seen on it, and the ways to misbehave that a WebSocket library forbids.

Owns the wire below the messages. Knows no vendor: what to say, and when, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import orjson
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from proxy.simulators.posted import posted

Wording = Literal["documented", "live"]

CLOSE_WAIT_SECONDS = 1.0
"""How long a connection that was ended by hand waits for the other side to leave."""


@dataclass(slots=True)
class Session:
    """What one client did, for a test to look at. Times are the event loop's clock, in seconds."""

    path: str
    headers: list[tuple[str, str]]
    request_id: str
    opened_at: float
    status: int | None = None
    audio: bytearray = field(default_factory=bytearray)
    chunks: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    pings: int = 0
    close: tuple[int, str] | None = None
    closed_at: float | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A server's close frame, also with a code that RFC 6455 section 7.4 does not allow; None for an empty one."""
    payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
    return bytes((0x88, len(payload))) + payload


class Line(ServerConnection):
    """A server's end of one connection.

    `cut`: nothing that the library wants to write goes out any more. `held`: it waits, to go out in one piece. `method` and `body`
    are those of the request, which the library itself takes for a GET without a body. `req_id` is the client's name of what it
    asked for last.
    """

    registry: ClassVar[set[Line]]
    session: Session
    wording: Wording = "documented"
    modern_body = False
    method = "GET"
    body = b""
    gathered: bytes | None = b""
    struck = False
    stalled = False
    cut = False
    held = False
    pings_count = False
    heard_at = 0.0
    req_id = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.registry.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.registry.discard(self)

    def data_received(self, data: bytes) -> None:
        if self.gathered is not None:
            self.gathered += data
            if self.gathered.startswith(b"GET "):
                data = self.gathered
            elif (request := posted(self.gathered)) is not None:
                self.method, data, self.body = request.method, request.head, request.body
            else:
                return
            self.gathered = None
        super().data_received(data)

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if isinstance(event, Frame) and event.opcode is Opcode.PING:
            self.session.pings += 1
            if self.pings_count:
                self.heard_at = self.loop.time()
        if isinstance(event, Frame) and event.opcode is Opcode.CLOSE and self.cut:
            self.transport.close()

    def send_data(self) -> None:
        if self.cut:
            self.protocol.data_to_send()
        elif not self.held:
            super().send_data()

    def release(self) -> None:
        """Let out what was held, in one write."""
        if self.held:
            self.held = False
            self.transport.write(b"".join(self.protocol.data_to_send()))

    async def say(self, message: dict[str, object]) -> None:
        """Send one JSON message, unless this side has fallen silent."""
        if self.stalled:
            return
        text = orjson.dumps(message).decode()
        self.session.sent.append(text)
        await self.send(text)

    async def next_message(self, idle_seconds: float, latest: float | None = None) -> str | bytes | None:
        """The next message; None once nothing that counts came for `idle_seconds`, or when the loop's clock passes `latest`.

        The caller says what counts, by moving `heard_at`, and whether pings do.
        """
        while True:
            deadline = self.heard_at + idle_seconds
            try:
                async with asyncio.timeout_at(deadline if latest is None else min(deadline, latest)):
                    return await self.recv()
            except TimeoutError:
                now = self.loop.time()
                if now >= self.heard_at + idle_seconds or (latest is not None and now >= latest):
                    return None

    async def write_end(self, data: bytes, *, wait: float = CLOSE_WAIT_SECONDS) -> None:
        """Write bytes past the library, then read on until the other side has left: closing over unread bytes would be an RST."""
        self.cut = True
        self.transport.write(data)
        await self._drain(wait)
        self.transport.close()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """The library's close. Meanwhile what the client still sends is read and thrown away, or its own close would wait behind it."""
        drain = asyncio.create_task(self._drain(CLOSE_WAIT_SECONDS))
        try:
            await super().close(code, reason)
            await drain
        finally:
            drain.cancel()

    async def end_raw(self, code: int | None, reason: str = "") -> None:
        """Close with any code, also an illegal one, or with none."""
        await self.write_end(close_frame(code, reason))

    async def hang_up(self) -> None:
        """FIN without a close frame; over TLS, which has no half-close, the end of the connection."""
        self.cut = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
            await self._drain(CLOSE_WAIT_SECONDS)
        self.transport.close()

    def reset(self) -> None:
        """A part of a frame of 500 bytes, then RST."""
        self.cut = True
        self.transport.write(b"\x81\x7e\x01\xf4" + b'{"type":"Results","channel_index":')
        plug = self.transport.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def gone(self, seconds: float | None = None) -> None:
        """Wait until the connection is lost, at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.shield(self.connection_lost_waiter)

    async def _drain(self, seconds: float) -> None:
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(seconds):
                while True:
                    await self.recv()
