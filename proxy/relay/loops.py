"""The event loop that everything runs on: uvloop where it is installed, with aiofastnet's TLS.

TLS is most of what a frame to a vendor costs beside the kernel. aiofastnet (of aio-libs, as aiohttp is) lets OpenSSL read and write
without Python's `ssl` between them. The connection beneath stays uvloop's, which tells of a reset also where bytes lie unread before
it; aiofastnet's own, over `add_reader`, does not (1.2.0 on uvloop). `asyncio` is the standard library throughout.

Owns which loop, what of it is replaced, and how often it stops for the garbage collector. Knows nothing of what runs on it.
"""

from __future__ import annotations

import asyncio
import ssl as openssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any, Final

BUFFER_BYTES: Final = 4 * (16 * 1024 + 64)
"""Of a TLS connection, each way, for what is enciphered: some records of the greatest size. Only what was used takes memory."""
READ_BYTES: Final = 16 * 1024
"""The block that is read into, before it is cut to what came: a whole record. The usual 256 KiB tear up the heap (4 KiB more a session)."""

FEW_LOOKS: Final = (2_000, 2, 1_000)
"""A look for garbage is a pause that every open call hears, and the longer the more objects there are. Looks at the young are short
(some thousands: 1 to 3 ms); one at all of a thousand calls takes 60 ms, and is rare, since on uvloop what is over leaves no circles."""
MORE_LOOKS: Final = (2_000, 10, 10)
"""asyncio's own transports are circles: each call leaves two or three, and those of long calls are found only where all is looked at."""


def looks_for_garbage(loop: asyncio.AbstractEventLoop) -> tuple[int, int, int]:
    """The thresholds of the collector (gc.set_threshold)."""
    return FEW_LOOKS if type(loop).__module__.startswith("uvloop") else MORE_LOOKS


def run_on(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The factory of the event loop by name; `auto` takes uvloop where it is installed."""
    if loop in ("auto", "uvloop") and sys.platform != "win32":
        try:
            import uvloop
        except ImportError:
            if loop == "uvloop":
                raise
        else:
            return lambda: _with_tls(uvloop.new_event_loop())
    return asyncio.new_event_loop


def _with_tls(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    import aiofastnet.constants
    from aiofastnet.openssl_compat import OPENSSL_DYN_LIBS

    aiofastnet.constants.DATA_RECEIVED_MAX_SIZE = READ_BYTES
    if OPENSSL_DYN_LIBS is not None:  # else it goes through Python's `ssl` as well
        engine = import_module("aiofastnet.ssl_engine_direct")  # has no types
        engine.ssl = engine.tempfile = _Unread(openssl)  # type: ignore[attr-defined]
    connect, handle = loop.create_connection, loop.call_exception_handler

    async def start_tls(transport: Any, protocol: Any, context: Any, **options: Any) -> Any:
        return await aiofastnet.start_tls(loop, transport, protocol, context, **options,
                                          ssl_incoming_bio_size=BUFFER_BYTES, ssl_outgoing_bio_size=BUFFER_BYTES)

    async def create_connection(factory: Callable[[], Any], *where: Any, ssl: Any = None, server_hostname: str | None = None,
                                ssl_handshake_timeout: float | None = None, ssl_shutdown_timeout: float | None = None,
                                **options: Any) -> Any:
        if ssl is None:
            return await connect(factory, *where, **options)
        beneath, first = await connect(_First, *where, **options)
        first.check(beneath)
        protocol, name = factory(), where[0] if server_hostname is None and where else server_hostname
        context = openssl.create_default_context() if ssl is True else ssl
        transport = await start_tls(beneath, protocol, context, server_hostname=name, ssl_handshake_timeout=ssl_handshake_timeout,
                                    ssl_shutdown_timeout=ssl_shutdown_timeout)
        protocol.connection_made(transport)
        return transport, protocol

    def call_exception_handler(context: Any) -> None:
        if context.get("exception") is not ConnectionResetError:  # the class: a handshake was cut, which who dials is told as well
            handle(context)

    loop.create_connection, loop.start_tls = create_connection, start_tls  # type: ignore[method-assign, assignment]
    loop.call_exception_handler = call_exception_handler  # type: ignore[method-assign]
    return loop


class _Unread(ModuleType):
    """A module as aiofastnet sees it: what a certificate says is not read, since nobody here asks, and it goes by a temporary file.

    Ours is a file system that cannot be written to. Whether a certificate is good OpenSSL has judged by then.
    """

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(vars(module), _ssl=self, NamedTemporaryFile=_nowhere)

    @staticmethod
    def _test_decode_cert(path: str) -> dict[str, object]:
        return {}


@contextmanager
def _nowhere(**options: object) -> Iterator[SimpleNamespace]:
    yield SimpleNamespace(name="", write=len)


class _First(asyncio.Protocol):
    """Of a connection on which TLS has not begun: uvloop reads at once, and pausing does not help before it does."""

    said = False

    def data_received(self, data: bytes) -> None:
        self.said = True

    def check(self, transport: asyncio.Transport) -> None:
        if self.said:
            transport.abort()
            raise openssl.SSLError("the peer spoke before TLS began")
        if transport.is_closing():
            raise ConnectionResetError
