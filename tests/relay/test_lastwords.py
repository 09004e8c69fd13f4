"""What lies in the kernel when a write fails, with raw sockets as vendors."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.relay.lastwords import READ_BYTES, LastWords, LastWordsUnderTls
from proxy.relay.tcpinfo import LEFT, state_of
from tests.aio import run
from tests.relay.peers import proving, until

ANSWER = bytes(range(256)) * 100
"""Less than a receive window, so that all of it has come when the vendor's call returns."""

Pair = tuple[str, str]


class Heard(asyncio.Protocol):
    def __init__(self) -> None:
        self.data = b""
        self.lost: asyncio.Future[tuple[bytes, Exception | None]] = asyncio.get_running_loop().create_future()
        self.waits = asyncio.Event()
        self.flows = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def pause_writing(self) -> None:
        self.waits.set()

    def resume_writing(self) -> None:
        self.flows.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result((self.data, exc))


@asynccontextmanager
async def connected(pair: Pair | None) -> AsyncIterator[tuple[Heard, asyncio.Transport, socket.socket]]:
    """What hears, its transport, and the vendor's end, on which calls block."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard = Heard()
        transport, _ = await loop.create_connection(lambda: heard, *listener.getsockname())
        vendor, _ = listener.accept()
    vendor.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    top: asyncio.Transport | None = transport
    if pair is not None:
        shaking = asyncio.create_task(asyncio.to_thread(proving(pair).wrap_socket, vendor, server_side=True))
        top = await loop.start_tls(transport, heard, ssl.create_default_context(cafile=pair[0]), server_hostname="localhost")
        vendor = await shaking
    assert top is not None
    LastWords(transport) if top is transport else LastWordsUnderTls(transport, top)
    vendor.settimeout(10)
    try:
        yield heard, top, vendor
    finally:
        vendor.close()
        top.abort()


@pytest.fixture(params=["plain", "tls"])
def maybe(request: pytest.FixtureRequest, pair: Pair) -> Pair | None:
    return None if request.param == "plain" else pair


@pytest.mark.parametrize("pausing", [False, True])
def test_an_answer_before_a_reset_is_heard_although_writing_fails_first(loop: str, maybe: Pair | None, pausing: bool) -> None:
    async def main() -> None:
        async with connected(maybe) as (heard, transport, vendor):
            transport.write(b"a body that the vendor does not read")
            if pausing:
                transport.pause_reading()
            await asyncio.sleep(0)
            vendor.sendall(ANSWER)
            vendor.close()
            transport.write(b"more of it")  # before the loop has had a look
            data, error = await heard.lost
            assert data == ANSWER
            assert isinstance(error, ConnectionResetError)

    run(main(), loop)


def test_a_goodbye_before_the_reset_is_told_from_the_errors_number(loop: str) -> None:
    async def main() -> None:
        async with connected(None) as (heard, transport, vendor):
            transport.write(b"a body that the vendor does not read")
            await asyncio.sleep(0)
            vendor.sendall(ANSWER)
            vendor.shutdown(socket.SHUT_WR)
            vendor.close()
            transport.write(b"more of it")
            data, error = await heard.lost
            assert data == ANSWER
            assert isinstance(error, BrokenPipeError)

    run(main(), loop)


def test_what_came_for_a_reader_that_paused_is_heard_at_the_end(loop: str, pair: Pair) -> None:
    async def main() -> None:
        async with connected(pair) as (heard, transport, vendor):
            transport.pause_reading()
            vendor.sendall(ANSWER)
            vendor.close()
            await until(lambda: heard.lost.done() or state_of(transport) in LEFT)
            if not heard.lost.done():  # aiofastnet reads no further than its reader
                transport.resume_reading()
            assert await heard.lost == (ANSWER, None)

    run(main(), loop)


def test_everything_passes_as_without_it(loop: str, maybe: Pair | None) -> None:
    large = ANSWER * 200

    async def main() -> None:
        async with connected(maybe) as (heard, transport, vendor):
            sent, got = b"", b""
            while not heard.waits.is_set():
                transport.write(ANSWER)
                sent += ANSWER
                await asyncio.sleep(0)
            while len(got) < len(sent):
                got += await asyncio.to_thread(vendor.recv, READ_BYTES)
            assert got == sent
            await heard.flows.wait()
            await asyncio.to_thread(vendor.sendall, large)
            vendor.close()
            assert await heard.lost == (large, None)

    run(main(), loop)


def test_an_end_of_our_own_making_reads_nothing(loop: str, maybe: Pair | None) -> None:
    async def main() -> None:
        async with connected(maybe) as (heard, transport, vendor):
            vendor.sendall(ANSWER)
            transport.abort()
            assert await heard.lost == (b"", None)

    run(main(), loop)
