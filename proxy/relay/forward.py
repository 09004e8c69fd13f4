"""One plain HTTP exchange: a request that is no upgrade, passed on to the vendor, and its answer passed back.

    reach the vendor -> head -> body, as it comes  -----> vendor
                        client <- head <- body, as it comes <-

Both bodies flow at once, each as fast as its reader reads: a vendor that refuses early is heard at once. Owns the order of
these steps, how long nothing may move, and that a body which was cut is seen as cut. What it all means is core's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp import StreamReader, web
from aiohttp.http_parser import RawResponseMessage

from proxy.core.exchange import Exchange
from proxy.core.verdict import Side, Transport
from proxy.relay.answers import no_answer, response
from proxy.relay.bodies import LOOKED_AT, beginning
from proxy.relay.dialer import FOREIGN, Dialer, DialError, Upstream, cause_of
from proxy.relay.ends import reset_on_close
from proxy.relay.heads import check_answer, lower, plain_answer_head
from proxy.relay.takeover import Asker, ClientLeftError, Wire
from proxy.relay.tcpinfo import LEFT, state_of

STALL_SECONDS: Final = 660.0
"""How long nothing may move. A vendor may think about a long recording for ten minutes before it says a word."""
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_BODY: Final = (204, 304)


class Forward:
    """`patience` is how long nothing may move, in seconds. `keep` tells whether connections may take another request."""

    __slots__ = ("_answered", "_asker", "_dialer", "_down_waits", "_drained", "_ends", "_limit", "_patience", "_request", "_spoiled",
                 "_up_waits", "_uploaded", "_work", "exchange", "keep", "status")

    def __init__(self, request: web.BaseRequest, exchange: Exchange, dialer: Dialer, patience: float, keep: Callable[[], bool]) -> None:
        self.exchange, self.keep = exchange, keep
        self.status: int | None = None
        """The vendor's answer."""
        self._request, self._dialer, self._patience = request, dialer, patience
        self._asker = Asker(request, self._client_gone)
        self._work: asyncio.Task[web.StreamResponse] | None = None
        self._limit: asyncio.Timeout | None = None
        self._answered = False  # the client has got the head of an answer
        self._uploaded = False  # the request is with the vendor as a whole
        self._spoiled = False  # its body is not as HTTP has it
        self._ends = False  # the body of the answer ends with the connection
        self._drained = False
        self._up_waits = Side.VENDOR  # whom the body of the request, and that of the answer, wait for
        self._down_waits = Side.VENDOR

    async def run(self, upstream: Upstream, head: bytes) -> web.StreamResponse:
        """Gives what the handler is to return to aiohttp. Raises only what is a fault of ours."""
        self._work = asyncio.get_running_loop().create_task(self._pass(upstream, head))
        if self._asker.transport is None:
            self._work.cancel()
        try:
            await asyncio.wait([self._work])
        finally:
            self._work.cancel()
        with suppress(asyncio.CancelledError, ClientLeftError):
            return self._work.result()
        if self._drained:
            return self.refuse("sidecar_draining")
        self.exchange.client_left()
        return self._asker.done(False)

    def drain(self) -> None:
        """Ends the exchange because the process ends."""
        self._drained = True
        if self._work is not None:
            self._work.cancel()

    def sample(self, loop_lag: float) -> None:
        """While the client is not read, no loop tells that it has left."""
        transport = self._asker.transport
        if transport is not None and state_of(transport) in LEFT:
            self._client_gone()

    def _client_gone(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def refuse(self, code: str) -> web.StreamResponse:
        """Our own answer, where there is none yet; else the client sees that the vendor's was cut."""
        self.exchange.own(code)
        return self._cut() if self._answered else response(code)

    # One after the other

    async def _pass(self, upstream: Upstream, head: bytes) -> web.StreamResponse:
        try:
            wire = await self._dialer.reach(self.exchange.vendor.name, upstream)
        except DialError as error:
            return self._unanswered(error)
        try:
            wire.ask(head, self._dialer.limits, bodiless=self._request.method == "HEAD")
            return await self._converse(wire)
        except FOREIGN as error:
            return self._unanswered(self._cause(wire, error))
        finally:
            wire.close()

    def _cause(self, wire: Wire, error: Exception) -> DialError:
        if self._answered and wire.ended:
            return DialError(Transport.RESET if wire.was_cut else Transport.EOF)
        return cause_of(error)

    async def _converse(self, wire: Wire) -> web.StreamResponse:
        upload = asyncio.get_running_loop().create_task(self._upload(wire))
        try:
            async with asyncio.timeout(self._patience) as self._limit:
                message, body = await wire.answer()
                return await self._download(wire, message, body)
        except TimeoutError:
            return self._stalled()
        finally:
            upload.cancel()
            await asyncio.wait([upload])

    def _unanswered(self, error: DialError) -> web.StreamResponse:
        if self._spoiled:
            return self.refuse("sidecar_bad_request")
        if error.how is None:
            return self.refuse(error.code or "sidecar_internal")
        self.exchange.lost(error.how)
        return self._cut() if self._answered else no_answer(error.how)

    def _stalled(self) -> web.StreamResponse:
        """Nothing moved for too long: whose turn was it?"""
        if (self._down_waits if self._answered else self._up_waits) is Side.VENDOR:
            self.exchange.lost(Transport.TIMEOUT)
            return self._cut() if self._answered else no_answer(Transport.TIMEOUT)
        if not self._answered:
            return self.refuse("sidecar_request_stalled")
        self.exchange.client_left()
        return self._cut()

    def _moved(self) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + self._patience)

    # The request's body

    async def _upload(self, wire: Wire) -> None:
        chunked = "Transfer-Encoding" in self._request.headers
        with suppress(ConnectionError, ClientLeftError):  # of either the other half of the exchange hears as well
            if self._asker.awaits_continue:
                await self._asker.write(CONTINUE)
            while chunk := await self._next_piece(wire):
                await wire.write(_chunk(chunk) if chunked else chunk)
                self._moved()
            if chunked:
                await wire.write(b"0\r\n\r\n")
            self._uploaded = True

    async def _next_piece(self, wire: Wire) -> bytes:
        self._up_waits = Side.CLIENT
        try:
            chunk = await self._asker.body.readany()
        except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, web.RequestPayloadError):
            self._spoiled = True
            wire.close()
            raise ConnectionAbortedError from None
        self._up_waits = Side.VENDOR
        self._moved()
        return chunk

    # The answer

    async def _download(self, wire: Wire, message: RawResponseMessage, body: StreamReader) -> web.StreamResponse:
        if message.code == 101:
            raise ValueError("nobody asked for an upgrade")
        check_answer(message.code, message.reason, message.raw_headers)
        self.status = message.code
        headers = lower(message.raw_headers)
        empty = self._request.method == "HEAD" or message.code in _NO_BODY
        chunked = message.chunked and not empty and self._asker.takes_chunks
        self._ends = not (empty or chunked) and (message.chunked or "content-length" not in headers)
        keeps = self._uploaded and not self._ends and self._asker.would_stay and self.keep()
        kept = bytearray()
        try:
            head = plain_answer_head(message.code, message.reason, message.raw_headers, chunked=chunked, closes=not keeps)
            self._answered = True
            await self._asker.write(head)
            await self._flow(body, chunked, kept if self.exchange.wants_body(message.code) else None)
            if wire.was_cut and not message.chunked and "content-length" not in headers:
                raise ConnectionResetError("what came cannot be told from the whole")
            if chunked:
                await self._asker.write(b"0\r\n\r\n")
        finally:
            self.exchange.answered(message.code, headers, beginning(bytes(kept), headers.get("content-encoding", "")))
        return self._asker.done(keeps)

    async def _flow(self, body: StreamReader, chunked: bool, kept: bytearray | None) -> None:
        while chunk := await self._next_of(body):
            if kept is not None:
                kept += chunk[: LOOKED_AT - len(kept)]
            self._down_waits = Side.CLIENT
            await self._asker.write(_chunk(chunk) if chunked else chunk)
            self._moved()

    async def _next_of(self, body: StreamReader) -> bytes:
        self._down_waits = Side.VENDOR
        chunk = await body.readany()
        self._moved()
        return chunk

    def _cut(self) -> web.StreamResponse:
        """The end of an answer that is not whole, so that the client can tell: with an RST where a FIN would be its proper end."""
        if self._ends and self._asker.transport is not None:
            reset_on_close(self._asker.transport)
        self._asker.hang_up()
        return self._asker.done(False)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
