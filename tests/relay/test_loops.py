"""Which loop is run on, and whose TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from select import select
from typing import Any, cast

import pytest
import uvloop

from proxy.relay.loops import FEW_LOOKS, MORE_LOOKS, looks_for_garbage, run_on
from tests.aio import run
from tests.relay.peers import rig, until


def made(name: str) -> type[asyncio.AbstractEventLoop]:
    loop = run_on(name)()
    try:
        return type(loop)
    finally:
        loop.close()


def test_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert made("uvloop") is made("auto") is uvloop.Loop
    assert made("asyncio") is asyncio.SelectorEventLoop
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert made("auto") is asyncio.SelectorEventLoop
    with pytest.raises(ImportError):
        run_on("uvloop")


@pytest.mark.parametrize(("name", "looks"), [("uvloop", FEW_LOOKS), ("asyncio", MORE_LOOKS)])
def test_the_collector_comes_as_often_as_the_loop_leaves_circles(name: str, looks: tuple[int, int, int]) -> None:
    loop = run_on(name)()
    loop.close()
    assert looks_for_garbage(loop) == looks


class Speaks(asyncio.Protocol):
    """A server that does not wait for TLS to begin."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(b"220 mail.test ready\r\n")


def test_a_peer_that_speaks_before_tls_is_told_at_once(loop: str) -> None:
    """It may have spoken before TLS has begun, when uvloop reads already."""
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Speaks, "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()
            with socket.socket() as sock:
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, address)
                await until(lambda: select([sock], [], [], 0)[0] != [])
                with pytest.raises(ssl.SSLError):
                    await asyncio.get_running_loop().create_connection(
                        asyncio.Protocol, sock=sock.dup(), ssl=True, server_hostname="localhost")

    run(main(), loop)


def test_uvloop_leaves_tls_to_aiofastnet(secure: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no file can be written: by itself it reads a certificate's names by a temporary one."""
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")

    async def main() -> None:
        async with rig(**secure) as relay:
            _client, vendor = await relay.open()
            (call,) = relay.app.relay.calls
            assert call._vendor is not None
            assert type(call._vendor).__module__.startswith("aiofastnet")
            assert call._vendor.get_extra_info("peercert") == {}
            vendor.writer.close()
            await relay.report()

    run(main(), "uvloop")
