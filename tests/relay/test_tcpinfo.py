"""TCP_INFO of real sockets, on both loops."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

from proxy.core.evidence import TcpSample
from proxy.relay.tcpinfo import STATE_CLOSED, sample, state_of
from tests.aio import run
from tests.relay.conftest import Pair
from tests.relay.peers import Peer, Server, connect, listening, proving, until

ESTABLISHED, CLOSE_WAIT = 1, 8


async def pair_of(server: Server, **options: Any) -> tuple[Peer, Peer]:
    client = await connect(server.port, **options)
    return client, await server.arrived.get()


def taken(peer: Peer) -> TcpSample:
    one = sample(peer.transport)
    assert one is not None
    return one


def test_what_was_acknowledged(loop: str) -> None:
    async def main() -> None:
        async with listening() as server:
            client, vendor = await pair_of(server)
            await client.send(bytes(100_000))
            await vendor.exactly(100_000)
            await until(lambda: taken(client).acked == 100_000)
            one = taken(client)
            assert (one.queued, one.unacked, one.unsent, one.peer_closed) == (100_000, 0, 0, False)
            assert one.window
            assert 0 < one.rtt_seconds < 5
            client.close()

    run(main(), loop)


def test_a_peer_that_does_not_read(loop: str) -> None:
    async def main() -> None:
        async with listening() as server:
            client, vendor = await pair_of(server)
            vendor.transport.pause_reading()
            client.writer.write(bytes(32 << 20))
            await until(lambda: taken(client).unsent > 0 and taken(client).window is not None)
            one = taken(client)
            assert one.acked < one.queued
            assert one.queued - one.acked >= one.unsent
            client.close()

    run(main(), loop)


def test_states(loop: str) -> None:
    async def main() -> None:
        async with listening() as server:
            client, vendor = await pair_of(server)
            assert state_of(client.transport) == ESTABLISHED
            client.transport.pause_reading()
            vendor.fin()
            await until(lambda: state_of(client.transport) == CLOSE_WAIT)
            assert taken(client).peer_closed
            vendor.rst()
            await until(lambda: state_of(client.transport) == STATE_CLOSED)
            client.close()

    run(main(), loop)


def test_under_tls(loop: str, pair: Pair) -> None:


    async def main() -> None:
        async with listening(tls=proving(pair)) as server:
            client, vendor = await pair_of(server, tls=ssl.create_default_context(cafile=pair[0]))
            await client.send(bytes(1000))
            await vendor.exactly(1000)
            await until(lambda: taken(client).acked > 1000 and taken(client).unacked == 0)
            client.close()
            client.close()

    run(main(), loop)


def test_what_cannot_be_asked() -> None:
    class Nothing(asyncio.BaseTransport):
        pass

    class Forgetful(asyncio.BaseTransport):
        """asyncio's TLS transport once it was closed twice."""

        def get_extra_info(self, name: str, default: Any = None) -> Any:
            raise AttributeError(name)

    class Closed(asyncio.BaseTransport):
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            with socket.socket() as sock:
                return sock

    for transport in (Nothing(), Forgetful(), Closed()):
        assert sample(transport) is None
        assert state_of(transport) is None
