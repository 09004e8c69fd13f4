"""Taking connections over from aiohttp: everything that is known of its insides stands in this file, but for imported.py.

Theory: aiohttp has no public way to give a transport away after it parsed a head. Practice: `transport.set_protocol` works
on asyncio and uvloop, plain and TLS, if the old protocol is told a few things. Client side: its handler is told that the
connection is lost, having first forgotten the transport, so that its bookkeeping ends and nothing is closed. Vendor side:
the connection is given back to its connector, having first forgotten the transport. Either way nothing of aiohttp's is
kept for the life of a session, which saves some 10 KiB each.

A request that is no upgrade stays with aiohttp, whose parsers take its body apart and know where the next one begins; only
what is written, head and body, is written past it (`Asker`).

tests/relay/test_takeover.py holds every assumption; an upgrade of aiohttp that changes one fails there.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Any, Final, cast

from aiohttp import ClientPayloadError, ClientTimeout, HttpVersion10, HttpVersion11, StreamReader, TCPConnector, web
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from aiohttp.http_parser import RawRequestMessage, RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.tcp_helpers import tcp_keepalive
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo
from yarl import URL

from proxy.relay.answers import Written
from proxy.relay.heads import origin_form
from proxy.relay.lastwords import LastWords, LastWordsUnderTls

_SILENT: Final = logging.Logger("aiohttp.server", logging.CRITICAL + 1)
"""aiohttp logs malformed requests in full, keys included; nothing that it would say is wanted."""

HEADS_A_LINE: Final = 4
"""How many times the limit of a line a head may be long in all."""

_TUNNELS: Final = ("websocket", "tcp")
"""Upgrades that aiohttp's parsers heed; any other is none to them."""

_NO_LIMIT: Final = ClientTimeout(total=None)
"""aiohttp's own limits would cut long streams; the dialer has a deadline of its own."""


@dataclass(frozen=True, slots=True)
class Head:
    """Limits on heads, both ways: bytes of a line or field, number of fields."""

    line_bytes: int
    fields: int


class HeadServer(web.Server):
    """Reads request heads. `refuse` answers what aiohttp could not parse.

    `head_timeout` is for a head that does not come, in seconds; `timed_out` is told of each.
    """

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
                 refuse: Callable[[str], web.StreamResponse], head: Head, head_timeout: float, timed_out: Callable[[], None]) -> None:
        super().__init__(
            cast(Any, handler), request_factory=_asked, access_log=None, logger=_SILENT, auto_decompress=False,
            keepalive_timeout=head_timeout, max_line_size=head.line_bytes, max_field_size=head.line_bytes, max_headers=head.fields,
        )
        self.refuse, self.timed_out = refuse, timed_out

    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)

    def end_oldest(self, most: int) -> bool:
        """Where there are more connections than that, the one that has waited longest without a request ends. Tells whether one did."""
        if len(self._connections) <= most:
            return False
        for one in self._connections:
            if one.transport is not None and not (one._messages or one._current_request or one.transport.is_closing()):
                one.transport.abort()
                return True
        return False


def _asked(message: RawRequestMessage, body: StreamReader, handler: Any, writer: Any, task: Any) -> web.BaseRequest:
    return web.BaseRequest(message._replace(path=origin_form(message.path)), body, handler, writer, task, asyncio.get_running_loop())


class _Handler(RequestHandler):
    """aiohttp's handler, but for its error page, which repeats what it could not parse, and its log."""

    __slots__ = ("_body", "_gone", "_head_bytes", "_refuse", "_timed_out")

    def __init__(self, manager: HeadServer, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._refuse, self._timed_out = manager.refuse, manager.timed_out
        self._gone: Callable[[], None] | None = None
        self._body: StreamReader = EMPTY_PAYLOAD  # of the last head that came
        self._head_bytes = 0  # of a head that is not whole

    def data_received(self, data: bytes) -> None:
        heads, in_body = self._request_count, not self._body.is_eof()
        super().data_received(data)
        if self._request_count != heads:
            self._head_bytes = 0
            if in_body and not self._body.is_eof():
                # What came is no body. aiohttp tells whoever reads the next request, but not who waits for more of this one.
                self._body.set_exception(RequestPayloadError())
            if self._messages:
                self._body = self._messages[-1][1]
        elif not (in_body or self._upgraded or self._close):
            # aiohttp bounds each field and their number, but not all of them together.
            self._head_bytes += len(data)
            if self._head_bytes > HEADS_A_LINE * self.max_line_size:
                self._refuse_head()

    def _refuse_head(self) -> None:
        """As aiohttp does with what it cannot parse. Nothing more is read."""
        self._head_bytes, self._close = 0, True
        error = HttpProcessingError(code=HTTPStatus.BAD_REQUEST, message="the head is too long")
        self._messages.append((_ErrInfo(HTTPStatus.BAD_REQUEST, error, error.message), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        gone, self._gone = self._gone, None
        super().connection_lost(exc)
        if not self._body.is_eof():  # aiohttp may be waiting for the rest, to throw it away
            self._body.set_exception(ConnectionResetError())
        if gone is not None:
            gone()

    def _process_keepalive(self) -> None:
        """aiohttp's timer of idle connections: a head that has not come in whole is idle to it."""
        waited = not self._force_close and not self._request_count
        super()._process_keepalive()
        if waited and self._force_close:
            self._timed_out()

    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None,
                     message: str | None = None) -> web.StreamResponse:
        response = self._refuse("sidecar_internal" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "sidecar_bad_request")
        response.force_close()
        return response


@dataclass(slots=True)
class Taken:
    """A transport that has left aiohttp, with the bytes that had come after the head."""

    transport: asyncio.Transport
    early: bytes


def is_upgrade(request: web.BaseRequest) -> bool:
    """Whether aiohttp's parser stopped reading HTTP after this head, rightly.

    HTTP/1.0 knows no Upgrade (RFC 9110 section 7.8), and a chunked body would be taken for the tunnel's first bytes.
    """
    return (bool(request._message.upgrade) and request.headers.get("Upgrade", "").lower() == "websocket"
            and request.version == HttpVersion11 and "Transfer-Encoding" not in request.headers)


def is_tunnel(request: web.BaseRequest) -> bool:
    """Whether aiohttp's parser stopped reading HTTP after this head, rightly or not."""
    return request.method == "CONNECT" or (bool(request._message.upgrade) and request.headers.get("Upgrade", "").lower() in _TUNNELS)


def is_plain(request: web.BaseRequest) -> bool:
    """Whether this is HTTP that can be passed on: where a body ends is beyond doubt."""
    return not is_tunnel(request) and (
        request.version == HttpVersion11 or (request.version == HttpVersion10 and "Transfer-Encoding" not in request.headers))


class ClientLeftError(Exception):
    """Not an OSError: those are the vendor's connection's."""


class Asker:
    """The client of a request that is no upgrade. aiohttp goes on reading; the answer is written by us, as bytes.

    `gone` is called once, if the connection is lost before `done`. `body` reads the request's; `takes_chunks`: an answer may come in
    chunks; `would_stay`: for another request; `awaits_continue`: it sends no body before it is told to.
    """

    __slots__ = ("_handler", "awaits_continue", "body", "takes_chunks", "would_stay")

    def __init__(self, request: web.BaseRequest, gone: Callable[[], None]) -> None:
        self._handler = cast(_Handler, request.protocol)
        self._handler._gone = gone
        self.body = request.content
        self.takes_chunks = request.version == HttpVersion11
        # After an upgrade that is none to it the parser cannot find the next request.
        self.would_stay = self.takes_chunks and request.keep_alive and not request._message.upgrade
        self.awaits_continue = (self.takes_chunks and request.headers.get("Expect", "").lower() == "100-continue"
                                and not request.content.is_eof())

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._handler.transport

    async def write(self, data: bytes) -> None:
        """Waits while the client is slow to read. Raises ClientLeftError when it has left."""
        transport = self._handler.transport
        if transport is None or transport.is_closing():
            raise ClientLeftError
        transport.write(data)
        try:
            await self._handler._drain_helper()
        except ConnectionError:
            raise ClientLeftError from None

    def done(self, keeps: bool) -> web.StreamResponse:
        """All was written; what the handler is to return. `keeps`: the connection may take another request."""
        self._handler._gone = None
        return Written(keeps)

    def hang_up(self) -> None:
        """Ends the connection once all is written, without waiting for the rest of the request."""
        self._handler._gone = None
        self._handler.force_close()


def take_client(request: web.BaseRequest, protocol: asyncio.Protocol) -> Taken | None:
    """Gives the client's transport to `protocol`. None where the client is gone already.

    After this the handler's own answer goes nowhere: return any response.
    """
    handler = request.protocol
    transport = handler.transport
    if transport is None or transport.is_closing():
        return None
    early, handler._message_tail = handler._message_tail, b""
    paused = handler._buffer_paused
    # Forget the transport first: connection_lost would close it.
    handler.transport = None
    transport.set_protocol(protocol)
    handler.connection_lost(None)
    if paused:
        transport.resume_reading()
    return Taken(transport, early)


class Wire:
    """One connection to a vendor, just made: a head goes out as bytes, an answer's head comes back parsed."""

    __slots__ = ("_connection", "_protocol", "tcp_at", "tls_at")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._protocol = cast(_Stamped, connection.protocol)
        self.tcp_at = self._protocol.made_at
        self.tls_at = self._protocol.connected_at

    @property
    def transport(self) -> asyncio.Transport:
        transport = self._protocol.transport
        if transport is None:
            raise ConnectionResetError("the connection was lost")
        return transport

    def ask(self, head: bytes, limits: Head, *, bodiless: bool = False) -> None:
        """Sends a request head as it is. `bodiless`: no body comes with the answer, whatever its head says (HEAD)."""
        self._protocol.set_response_params(
            skip_payload=bodiless, auto_decompress=False, read_until_eof=True, max_line_size=limits.line_bytes,
            max_field_size=limits.line_bytes, max_headers=limits.fields,
        )
        self.transport.write(head)

    async def answer(self) -> tuple[RawResponseMessage, StreamReader]:
        """The final answer's head and its body's reader (informational answers are skipped).

        Raises aiohttp's exceptions and OSError for connections that end and answers that are no HTTP.
        """
        while True:
            message, payload = await self._protocol.read()
            if not 100 <= message.code <= 199 or message.code == HTTPStatus.SWITCHING_PROTOCOLS:
                return message, payload

    async def write(self, data: bytes) -> None:
        """A piece of the request's body. Waits while the vendor is slow to read; raises ConnectionError when it has left."""
        transport = self.transport
        if transport.is_closing():
            raise ConnectionResetError("the connection was lost")
        transport.write(data)
        await self._protocol._drain_helper()

    @property
    def ended(self) -> bool:
        """Whether the vendor ended the connection, and not we because of what it sent."""
        return self._protocol.ended and not self._protocol.garbled

    @property
    def was_cut(self) -> bool:
        """Whether it ended otherwise than by a FIN."""
        return self._protocol.was_cut

    def take(self, protocol: asyncio.Protocol) -> Taken:
        """Gives the transport to `protocol`, after a 101. Raises ConnectionResetError if the vendor is gone already."""
        old, transport = self._protocol, self.transport
        early, old._tail = old._tail, b""
        paused = old._buffer_paused
        old.transport = old._parser = None  # it and its parser have each other
        transport.set_protocol(protocol)
        self._connection.close()  # ends the connector's bookkeeping; there is no transport left to close
        tcp_keepalive(transport)  # as aiohttp does for the client's: a peer that vanished is noticed one day
        if paused:
            transport.resume_reading()
        return Taken(transport, early)

    def close(self) -> None:
        """Gives the connection up; at once where more would come, since TLS's goodbye waits for the vendor's, which is behind that."""
        if self._protocol._payload is not None and not self._protocol._payload.is_eof():
            self._protocol.abort()
        self._connection.close()


class _Stamped(ResponseHandler):
    """Knows when TCP stood (the protocol is made) and when TLS did (it is connected), in monotonic seconds, and how it ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.made_at = self.connected_at = monotonic()
        self.ended = self.was_cut = self.garbled = False
        self._headed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connected_at = monotonic()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        # A head is fed by itself: aiohttp drops it where bytes too many follow in the same piece.
        if not self._headed and (end := data.find(b"\r\n\r\n") + 4) > 3:
            self._headed = True
            super().data_received(data[:end])
            data = data[end:]
            if not data:
                return
        body = self._payload
        super().data_received(data)
        self.garbled = self.exception() is not None
        if self.garbled and body is not None and not body.is_eof():
            # What came is no body. aiohttp tells whoever waits for the next head, but not who waits for more of this one.
            body.set_exception(ClientPayloadError())

    def connection_lost(self, exc: BaseException | None) -> None:
        # EPIPE is what writing brings where a FIN came first, and an RST after it.
        self.ended, self.was_cut = True, not (exc is None or isinstance(exc, BrokenPipeError))
        if self._reading_paused and self._payload is not None:
            # The parser keeps back what follows a pause, and would forget it.
            self._payload._high_water = self._payload._high_water_chunks = sys.maxsize
            self.resume_reading()
        super().connection_lost(exc)


class _Attentive(TCPConnector):
    """Puts `LastWords` beneath each connection. TLS is begun afterwards: its transport does not tell which one carries it."""

    async def _wrap_create_connection(self, *args: Any, ssl: Any = None, server_hostname: str | None = None, **kwargs: Any) -> Any:
        transport, protocol = await super()._wrap_create_connection(*args, **kwargs)
        if ssl is not None:
            return await self._start_tls_connection(transport, kwargs["req"], kwargs["timeout"], kwargs["client_error"])
        LastWords(transport)
        return transport, protocol

    async def _start_tls_connection(self, underlying_transport: asyncio.Transport, *args: Any, **kwargs: Any) -> Any:
        made = await super()._start_tls_connection(underlying_transport, *args, **kwargs)
        if underlying_transport.get_extra_info("sslcontext") is None:  # else it is TLS with a proxy, and has one beneath
            LastWordsUnderTls(underlying_transport, cast(asyncio.Transport, made[0]))
        return made


class Connector:
    """aiohttp's connector: name look-up, Happy Eyeballs, TLS, CONNECT proxies. No pool: every connection is new.

    `attentive`: what a vendor said before it closed is read, also where writing fails first.
    """

    def __init__(self, resolver: AbstractResolver, *, attentive: bool = False) -> None:
        self._connector = (_Attentive if attentive else TCPConnector)(limit=0, force_close=True, use_dns_cache=False, resolver=resolver)
        self._connector._factory = lambda: _Stamped(self._connector._loop)  # type: ignore[assignment]

    async def connect(self, origin: URL, ssl_context: Any, proxy: URL | None) -> Wire:
        """`origin` is scheme, host and port, nothing else: no path and no header ever reaches aiohttp's own objects."""
        loop, name = asyncio.get_running_loop(), (origin.raw_host or "").rstrip(".")  # certificates have no dot at the end
        request = ClientRequest("GET", origin, loop=loop, ssl=ssl_context or True, proxy=proxy, skip_auto_headers=("User-Agent",),
                                server_hostname=name)
        return Wire(await self._connector.connect(request, [], _NO_LIMIT))

    async def close(self) -> None:
        await self._connector.close()
