"""Scripted peers on raw sockets, and a whole relay between them.

    client Peer <-> relay (the real App, in the same loop) <-> vendor Peer

A test plays both ends byte by byte. `rig` fails any test after which a session has no report or two, a number in the
book is off, or the event loop was told of an error that nobody caught.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from proxy.app import App
from proxy.core.report import Report
from proxy.settings import Overrides, Settings, load
from proxy.telemetry.history import History

KEY: Final = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT: Final = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The pair that RFC 6455 section 1.3 has for its example."""
TARGET: Final = b"/v1/listen?encoding=linear16&sample_rate=16000"


def request(target: bytes = TARGET, *headers: bytes) -> bytes:
    """An upgrade request's head; `headers` are whole lines, put last."""
    lines = [b"GET " + target + b" HTTP/1.1", b"Host: relay.test", b"Upgrade: websocket", b"Connection: Upgrade",
             b"Sec-WebSocket-Key: " + KEY, b"Sec-WebSocket-Version: 13", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


SWITCHING: Final = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\ndg-request-id: 11111111-2222-3333-4444-555555555555\r\n\r\n")


class Peer:
    """One end of a connection. Reading never goes further than it is asked to (but for what its buffers hold)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def transport(self) -> asyncio.Transport:
        return self.writer.transport  # type: ignore[return-value]

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def exactly(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def more(self) -> bytes:
        """What there is, nothing after a FIN. Raises as `rest`."""
        return await self.reader.read(65536)

    async def rest(self) -> bytes:
        """Everything up to the FIN. Raises ConnectionResetError where an RST comes instead."""
        return await self.reader.read()

    async def reset(self) -> bool:
        """Whether the connection ends with an RST. What comes before is thrown away."""
        try:
            await self.rest()
        except ConnectionResetError:
            return True
        return False

    async def message(self) -> tuple[bytes, bytes]:
        """A request's or an answer's head, and its body by Content-Length or in chunks, put together."""
        head = await self.head()
        lowered = head.lower()
        if b"\r\ntransfer-encoding: chunked" in lowered:
            body = b""
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += (await self.exactly(size + 2))[:-2]
            assert await self.exactly(2) == b"\r\n"
            return head, body
        length = lowered.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        return head, await self.exactly(int(length or b"0"))

    async def send(self, data: bytes) -> None:
        """Returns when all but a buffer of it is in the kernel's hands."""
        self.writer.write(data)
        await self.writer.drain()

    def fin(self) -> None:
        self.writer.write_eof()

    def rst(self) -> None:
        if not self.transport.is_closing():
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def close(self) -> None:
        """Like a process that ends: whatever waits to be written is dropped."""
        with suppress(AttributeError):  # of Python 3.11.2 (Debian 12): asyncio's TLS transport that is over has nothing left to abort
            self.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


def proving(pair: tuple[str, str]) -> ssl.SSLContext:
    """What a server needs to prove itself with these files."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair)
    return context


class Server:
    """A listening peer: each connection is a `Peer` that runs `script`, and comes out of `arrived`."""

    def __init__(self, script: Script | None) -> None:
        self.script = script
        self.peers: list[Peer] = []
        self.errors: list[BaseException] = []
        self.arrived: asyncio.Queue[Peer] = asyncio.Queue()
        self.port = 0
        self.url = ""
        self.tasks: set[asyncio.Task[Any]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        peer = Peer(reader, writer)
        self.peers.append(peer)
        self.arrived.put_nowait(peer)
        try:
            if self.script is not None:
                await self.script(peer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass  # the test is over, or the client is
        except Exception as error:
            self.errors.append(error)
        finally:
            self.tasks.discard(task)


@asynccontextmanager
async def listening(script: Script | None = None, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    """A server on a free port. What a script raises fails the test at the end. Without a script, peers just stay open."""
    peers = Server(script)
    server = await asyncio.start_server(peers._serve, host, 0, ssl=tls, limit=1 << 17)
    peers.port = server.sockets[0].getsockname()[1]
    peers.url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{peers.port}"
    try:
        yield peers
    finally:
        server.close()
        for task in list(peers.tasks):
            task.cancel()
        for peer in peers.peers:
            peer.close()
        await asyncio.gather(*peers.tasks, return_exceptions=True)
    assert not peers.errors, peers.errors


async def connect(port: int, tls: ssl.SSLContext | None = None) -> Peer:
    """A client's connection to 127.0.0.1; under TLS it expects a certificate for localhost."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None, limit=1 << 17)
    return Peer(reader, writer)


class Reports(History):
    """A history that hands out its reports one by one as well."""

    def __init__(self) -> None:
        super().__init__()
        self.next: asyncio.Queue[Report] = asyncio.Queue()
        self.seen = 0

    def add(self, report: Report) -> None:
        super().add(report)
        self.seen += 1
        self.next.put_nowait(report)


class Rig:
    """A running relay with one listener."""

    def __init__(self, app: App, vendor: Server | None, tls: ssl.SSLContext | None) -> None:
        self.app, self.vendor, self.tls = app, vendor, tls
        self.reports = Reports()
        app.relay.history = self.reports
        self.clients: list[Peer] = []
        self.problems: list[str] = []

    def port(self, name: str = "deepgram") -> int:
        return next(bound.port for bound in self.app.bound if bound.name == name)

    async def connect(self) -> Peer:
        peer = await connect(self.port(), self.tls)
        self.clients.append(peer)
        return peer

    async def call(self, data: bytes = request()) -> Peer:
        """A client that has sent its request."""
        peer = await self.connect()
        await peer.send(data)
        return peer

    async def open(self, data: bytes = request(), glued: bytes = b"") -> tuple[Peer, Peer]:
        """Client and vendor of an open session, heads read on both sides. Only where the vendor has no script."""
        assert self.vendor is not None
        client = await self.call(data)
        vendor = await self.vendor.arrived.get()
        await vendor.head()
        await vendor.send(SWITCHING + glued)
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        return client, vendor

    async def report(self) -> Report:
        """The next report."""
        return await self.reports.next.get()

    @property
    def errors(self) -> int:
        """What errors_total comes to."""
        return sum(self.app.ledger.errors.values())

    def check(self) -> None:
        """One report each, nothing left over, no error that nobody caught."""
        ledger = self.app.ledger
        assert not self.problems, self.problems
        assert not self.app.relay.busy
        assert ledger.slips == 0
        assert not any(ledger.active.values())
        assert sum(ledger.started_total.values()) == sum(ledger.ended_total.values()) == self.reports.seen


@functools.cache
def _loaded() -> Settings:
    return load(overrides=Overrides(vendor="deepgram", listen="127.0.0.1:0", metrics="127.0.0.1:0", admin="127.0.0.1:0"))


def settings(upstream: str, listener: dict[str, Any] | None = None, **sections: Any) -> Settings:
    """The packaged settings with one Deepgram listener to `upstream`. `listener` and `sections` replace fields of the model."""
    loaded = _loaded()
    one = loaded.listeners[0]
    one = one.model_copy(update={"upstream": dict.fromkeys(one.upstream, upstream), **(listener or {})})
    return loaded.model_copy(update={"listeners": (one,), **sections})


@asynccontextmanager
async def relaying(
    chosen: Settings, vendor: Server | None = None, tls: ssl.SSLContext | None = None, prepare: Callable[[App], None] = lambda app: None,
) -> AsyncIterator[Rig]:
    """A relay with these settings. `tls` is what clients trust, `prepare` may change the app before it starts."""
    loop = asyncio.get_running_loop()
    app = App(chosen)
    rig = Rig(app, vendor, tls)
    loop.set_exception_handler(lambda _, context: rig.problems.append(f"{context.get('message')}: {context.get('exception')!r}"))
    heard = _Heard(rig.problems)
    logging.getLogger("asyncio").addHandler(heard)
    prepare(app)
    try:
        await app.start()
        yield rig
    finally:
        for client in rig.clients:
            client.rst()
        await app.stop()
        logging.getLogger("asyncio").removeHandler(heard)
    rig.check()


class _Heard(logging.Handler):
    """asyncio logs writes to a socket that is gone."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        self._problems.append(record.getMessage())


@asynccontextmanager
async def rig(script: Script | None = None, *, vendor_tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Rig]:
    """A relay between a client to come and a vendor that runs `script`. Options are those of `settings`."""
    async with listening(script, vendor_tls) as vendor, relaying(settings(vendor.url, **options), vendor) as one:
        yield one


async def accept(peer: Peer, glued: bytes = b"") -> bytes:
    """As a vendor: read the request's head, answer 101. Gives the head."""
    head = await peer.head()
    await peer.send(SWITCHING + glued)
    return head


async def accept_and_stay(peer: Peer) -> None:
    """As a vendor that says no more than that."""
    await accept(peer)


def answering(answer: bytes, close: bool = True) -> Script:
    """A vendor that reads a head and gives this answer to it."""

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)
        if close:
            peer.writer.close()

    return script


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes = b"") -> bytes:
    """One WebSocket frame; `mask` of four bytes masks it."""
    size = len(payload)
    bit = 0x80 if mask else 0
    length = bytes([bit | size]) if size < 126 else bytes([bit | 126]) + struct.pack(">H", size) if size < 65536 else (
        bytes([bit | 127]) + struct.pack(">Q", size))
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return bytes([(0x80 if fin else 0) | opcode]) + length + mask + masked


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that nothing tells of."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")


async def until_still(number: Callable[[], int]) -> None:
    """Waits for a number that nothing changes any more: the same for some time, in which the loop turns."""
    same, last = 0, number()
    while same < 20:
        await asyncio.sleep(0.005)
        same = same + 1 if number() == last else 0
        last = number()
