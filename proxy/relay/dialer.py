"""Dialling a vendor: one upgrade request out, its answer's head back, or a cause in our own words.

Owns deadlines, the cap on connections being made, the timing of each stage, and the one place where foreign exceptions become
causes: aiohttp's own texts hold hosts and sometimes headers, so none of them goes any further.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final, TypeVar

import aiohttp
from aiohttp import StreamReader
from yarl import URL

from proxy.core.verdict import Transport
from proxy.relay.harmless import harmless
from proxy.relay.heads import check_answer
from proxy.relay.names import Names
from proxy.relay.takeover import Connector, Head, Wire
from proxy.relay.turns import Turns

IN_PROGRESS: Final = 64
"""Connections being made at once, to each upstream: a storm of reconnects must leave the loop to the calls that are open, and
a vendor that does not take connections must not hold up the calls of another. Waiting for an answer costs nothing, so it is not capped."""
SPACING_SECONDS: Final = 0.003
"""Between the starts of two dials in a storm: about what a TLS handshake costs, so that they do not come in one lump."""
NAMING_SHARE: Final = 0.8
"""Of a dial's time, that a name may take."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""What is missing here, not at the vendor's: descriptors, memory, local ports."""

FOREIGN: Final = (OSError, aiohttp.ClientError, aiohttp.http.HttpProcessingError, ssl.SSLError, ValueError)
"""What asking a vendor may raise."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where one route leads. `origin` is scheme, host and port; `host` the value of the Host header."""

    origin: URL
    host: bytes
    tls: ssl.SSLContext | None
    proxy: URL | None

    @classmethod
    def of(cls, url: str, tls: ssl.SSLContext | None, proxy: str | None) -> Upstream:
        origin = URL(url).origin()
        secure = origin.scheme == "https"
        host = origin.raw_host or ""
        netloc = f"[{host}]" if ":" in host else host
        netloc += "" if origin.is_default_port() else f":{origin.port}"
        return cls(origin, netloc.encode("ascii"), tls if secure else None, URL(proxy) if proxy and secure else None)


@dataclass(slots=True)
class Answer:
    """The vendor's answer: its head, and a reader of its body, which still lies in the connection."""

    status: int
    reason: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: StreamReader
    wire: Wire


class DialError(Exception):
    """No answer. `how` is the transport's fault; `code` one of our own (own.OWN) where the transport held."""

    def __init__(self, how: Transport | None, code: str | None = None) -> None:
        super().__init__(code or str(how))
        self.how, self.code = how, code


class Dialer:
    """Dials for one process. `observe(vendor, stage, seconds)` is told each stage: dns, tcp, tls, upgrade.

    `limits` are on heads of answers; `seconds` is how long a dial may take, from its beginning to the head of the answer. A connection is
    begun when it has one of `turns`.
    """

    def __init__(self, observe: Callable[[str, str, float], None], limits: Head, seconds: float, turns: Turns) -> None:
        self._names = Names()
        self._connector = Connector(self._names)
        self._attentive = Connector(self._names, attentive=True)
        self._observe: Callable[[str, str, float], None] = lambda vendor, stage, seconds: harmless(observe, vendor, stage, seconds)
        self.limits = limits
        self.seconds = seconds
        self._turns = turns
        self._places: defaultdict[URL, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(IN_PROGRESS))
        self._starting = asyncio.Lock()  # first come, first served; who gives up takes no time of the others'
        self._next_start = 0.0

    async def dial(self, vendor: str, upstream: Upstream, head: bytes) -> Answer:
        """Asks, and reads the head of the answer. Raises DialError. Cancelled, it leaves no connection behind."""
        return await self._reached(vendor, upstream, self._connector, partial(self._ask, vendor, head))

    async def reach(self, vendor: str, upstream: Upstream) -> Wire:
        """A connection on which nothing was asked yet, and which hears out a vendor that closes. As `dial`."""
        return await self._reached(vendor, upstream, self._attentive, _as_it_is)

    async def _reached(self, vendor: str, upstream: Upstream, connector: Connector, then: Callable[[Wire], Awaitable[T]]) -> T:
        waits_until, asked = monotonic() + self.seconds / 2, False
        try:
            async with asyncio.timeout(self.seconds):
                async with self._places[upstream.origin]:
                    await self._turn()
                    asked = monotonic() < waits_until
                    wire = await self._connect(vendor, upstream, connector)
                return await then(wire)
        except TimeoutError:  # nobody is accused of not answering who was asked late, or never
            raise (DialError(Transport.TIMEOUT) if asked else DialError(None, "sidecar_too_many_dials")) from None
        except FOREIGN as exc:
            raise cause_of(exc) from None

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._starting:
            wait = self._next_start - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            self._next_start = loop.time() + SPACING_SECONDS
        await self._turns.mine()

    async def _connect(self, vendor: str, upstream: Upstream, connector: Connector) -> Wire:
        began = monotonic()
        if upstream.proxy is None and upstream.origin.raw_host and not _is_address(upstream.origin.raw_host):
            await self._named(upstream.origin.raw_host, upstream.origin.port or 0)
        named = monotonic()
        try:
            wire = await connector.connect(upstream.origin, upstream.tls, upstream.proxy)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError):  # only CONNECT is asked and answered in there
            raise DialError(None, "sidecar_proxy_refused") from None
        self._observe(vendor, "dns", named - began)
        self._observe(vendor, "tcp", wire.tcp_at - named)
        if upstream.tls is not None:
            self._observe(vendor, "tls", wire.tls_at - wire.tcp_at)
        return wire

    async def _named(self, host: str, port: int) -> None:
        """Looks the name up, so that the connector need not. A resolver that says nothing is no silence of the vendor's."""
        try:
            async with asyncio.timeout(NAMING_SHARE * self.seconds):
                await self._names.resolve(host, port)
        except TimeoutError:
            raise DialError(Transport.DNS) from None

    async def _ask(self, vendor: str, head: bytes, wire: Wire) -> Answer:
        asked = monotonic()
        try:
            wire.ask(head, self.limits)
            message, body = await wire.answer()
            check_answer(message.code, message.reason, message.raw_headers)
        except BaseException:
            wire.close()
            raise
        self._observe(vendor, "upgrade", monotonic() - asked)
        return Answer(message.code, message.reason, message.raw_headers, body, wire)

    async def close(self) -> None:
        await self._connector.close()
        await self._attentive.close()
        await self._names.close()


async def _as_it_is(wire: Wire) -> Wire:
    return wire


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def cause_of(exc: Exception) -> DialError:
    """What one of FOREIGN means: the one place where they are told apart. Order matters: aiohttp's classes inherit from each other."""
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return DialError(Transport.DNS)
    if isinstance(exc, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return DialError(Transport.TLS)
    if isinstance(exc.__cause__, ssl.SSLError):  # with TLS 1.3 a vendor asks for our certificate when the handshake is over
        return DialError(Transport.TLS)
    if isinstance(exc, aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError):
        return DialError(None, "sidecar_proxy_refused")
    if isinstance(exc, aiohttp.http.HttpProcessingError | ValueError):
        return DialError(None, "sidecar_bad_upstream")
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return DialError(Transport.EOF)
    return _by_errno(exc) if isinstance(exc, OSError) else DialError(None, "sidecar_bad_upstream")


def _by_errno(exc: OSError) -> DialError:
    inner = getattr(exc, "os_error", None)  # a reset in the middle of TLS bears no number
    number = exc.errno if exc.errno is not None else getattr(inner, "errno", None)
    if isinstance(exc, socket.gaierror):
        return DialError(Transport.DNS)
    if number in _EXHAUSTED:
        return DialError(None, "sidecar_out_of_resources")
    if number in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED) or isinstance(inner or exc, ConnectionResetError):
        return DialError(Transport.RESET)
    return DialError(Transport.TIMEOUT if number == errno.ETIMEDOUT else Transport.REFUSED)
