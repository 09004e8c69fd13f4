"""Binding, and accepting one connection a turn."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from pathlib import Path
from typing import Any, cast

import pytest

from proxy.relay import acceptor
from proxy.relay.acceptor import Acceptor, bind
from tests.aio import LOOPS, run, tls_pair


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def echoed(port: int, tls: ssl.SSLContext | None = None) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    writer.write(b"hello")
    answer = await reader.readexactly(5)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("loop", LOOPS)
def test_many_at_once_are_all_served(loop: str) -> None:
    async def main() -> None:
        sockets = await bind("127.0.0.1", 0)
        serving = Acceptor(sockets, Echo, None)
        port = sockets[0].getsockname()[1]
        assert await asyncio.gather(*(echoed(port) for _ in range(50))) == [b"hello"] * 50
        serving.close()
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await echoed(port)

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_over_tls_and_a_client_that_speaks_none_harms_nobody(loop: str, tmp_path: Path) -> None:
    cert, key = tls_pair(tmp_path)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(cert, key)
    theirs = ssl.create_default_context(cafile=str(cert))

    async def main() -> None:
        sockets = await bind("127.0.0.1", 0)
        rejected: list[str] = []
        serving = Acceptor(sockets, Echo, ours, rejected.append, handshake_seconds=0.2)
        port = sockets[0].getsockname()[1]
        for said in (b"GET / HTTP/1.1\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            await reader.read()
            writer.close()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()  # it has left: nobody rejected it
        assert await echoed(port, theirs) == b"hello"
        assert rejected == ["tls", "timeout"]
        serving.close()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_of_too_many_handshakes_the_oldest_make_room(loop: str, tmp_path: Path) -> None:
    cert, key = tls_pair(tmp_path)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(cert, key)

    async def main() -> None:
        sockets = await bind("127.0.0.1", 0)
        rejected: list[str] = []
        serving = Acceptor(sockets, Echo, ours, rejected.append, most_beginning=4)
        port = sockets[0].getsockname()[1]
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
        async with asyncio.timeout(5):
            assert await echoed(port, ssl.create_default_context(cafile=str(cert))) == b"hello"
            for reader, _ in silent[:5]:
                assert await reader.read() == b""
        assert rejected == ["no_room"] * len(rejected)
        assert len(rejected) in (5, 6, 7)
        for _, writer in silent:
            writer.close()
        serving.close()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_after_making_room_it_rests(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was sent away may come back at once, and would keep the process busy with that."""
    monkeypatch.setattr(acceptor, "CROWDED_SECONDS", 0.05)

    async def main() -> None:
        sockets = await bind("127.0.0.1", 0)
        serving = Acceptor(sockets, Echo, None, makes_room=lambda: True)
        began = asyncio.get_running_loop().time()
        for _ in range(4):
            assert await echoed(sockets[0].getsockname()[1]) == b"hello"
        assert asyncio.get_running_loop().time() - began >= 0.14
        serving.close()

    run(main(), loop)


def test_every_address_of_a_name_is_bound() -> None:
    async def main() -> None:
        sockets = await bind("localhost", 0)
        assert {sock.family for sock in sockets} <= {socket.AF_INET, socket.AF_INET6}
        for sock in sockets:
            sock.close()

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_an_address_that_is_not_here_is_left_out(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        here, gone = (socket.AF_INET, 0, 0, "", ("127.0.0.1", 0)), (socket.AF_INET, 0, 0, "", ("192.0.2.1", 0))
        found = [gone, here]

        async def getaddrinfo(*_: object, **__: object) -> object:
            return found

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        (sock,) = await bind("both", 0)
        assert sock.getsockname()[0] == "127.0.0.1"
        sock.close()
        found.remove(here)
        with pytest.raises(OSError, match="assign"):
            await bind("neither", 0)

    run(main(), loop)


def test_an_address_in_use_leaves_nothing_open() -> None:
    async def main() -> None:
        first = await bind("127.0.0.1", 0)
        port = first[0].getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await bind("127.0.0.1", port)
        first[0].close()

    run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_out_of_descriptors_it_tries_again(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "OUT_OF_FILES_SECONDS", 0.001)

    failures = iter([errno.EMFILE, errno.ECONNABORTED, errno.EMFILE])

    class Failing(socket.socket):
        def accept(self) -> tuple[socket.socket, Any]:
            for number in failures:
                raise OSError(number, "as if")
            return super().accept()

    async def main() -> None:
        (sock,) = await bind("127.0.0.1", 0)
        failing = Failing(fileno=sock.detach())
        serving = Acceptor([failing], Echo, None)
        assert await echoed(failing.getsockname()[1]) == b"hello"
        assert next(failures, None) is None
        serving.close()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_out_of_descriptors_it_does_not_spin(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "OUT_OF_FILES_SECONDS", 0.05)
    tries: list[None] = []

    class Failing(socket.socket):
        def accept(self) -> tuple[socket.socket, Any]:
            tries.append(None)
            raise OSError(errno.EMFILE, "as if")

    async def main() -> None:
        (sock,) = await bind("127.0.0.1", 0)
        failing = Failing(fileno=sock.detach())
        serving = Acceptor([failing], Echo, None)
        _, writer = await asyncio.open_connection("127.0.0.1", failing.getsockname()[1])
        await asyncio.sleep(0.25)
        assert 1 <= len(tries) <= 6
        serving.close()
        writer.close()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_closed_while_it_has_no_descriptors_it_never_accepts_again(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "OUT_OF_FILES_SECONDS", 0.001)
    tried = asyncio.Event()

    class Failing(socket.socket):
        def accept(self) -> tuple[socket.socket, Any]:
            tried.set()
            raise OSError(errno.EMFILE, "as if")

    async def main() -> None:
        (sock,) = await bind("127.0.0.1", 0)
        failing = Failing(fileno=sock.detach())
        serving = Acceptor([failing], Echo, None)
        _, writer = await asyncio.open_connection("127.0.0.1", failing.getsockname()[1])
        await tried.wait()
        serving.close()
        tried.clear()
        await asyncio.sleep(0.01)
        assert not tried.is_set()
        writer.close()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_that_comes_as_it_closes_is_served_or_refused_and_nothing_raises(loop: str) -> None:
    """One that is accepted is served; asyncio's own sock_accept would have dropped it."""

    async def main() -> None:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        sockets = await bind("127.0.0.1", 0)
        serving = Acceptor(sockets, Echo, None)
        assert await echoed(sockets[0].getsockname()[1]) == b"hello"  # it waits for the next one by now
        with socket.socket() as client:
            client.setblocking(False)
            client.connect_ex(sockets[0].getsockname())
            asyncio.get_running_loop().call_soon(serving.close)
            await asyncio.sleep(0.02)
        assert not problems

    run(main(), loop)
