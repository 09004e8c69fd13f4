"""Binding and draining."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import pytest

from proxy.app import App
from proxy.core.verdict import Outcome
from proxy.relay.acceptor import Acceptor
from proxy.relay.server import BindError, Bound
from proxy.settings import Address
from proxy.settings.model import Admin, Drain
from tests.aio import run
from tests.relay.peers import connect, frame, request, rig, settings, until

SLOW = Drain(accept_seconds=0, grace_seconds=1000)
"""Ends only because all sessions have."""


def test_an_address_that_is_taken(loop: str) -> None:
    """Is named; and nothing that was bound before it stays."""
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            app = App(settings("http://127.0.0.1:1", admin=Admin(listen=Address("127.0.0.1", port))))
            with pytest.raises(BindError, match=f"^admin: cannot listen on 127.0.0.1:{port}: "):
                await app.start()
            [deepgram] = app.bound
            await app.stop()
            await refuses(deepgram.port)

    run(main(), loop)


def test_a_host_that_is_not_here(loop: str) -> None:
    async def main() -> None:
        app = App(settings("http://127.0.0.1:1", {"listen": Address("192.0.2.1", 8102)}))
        with pytest.raises(BindError, match=r"^deepgram: cannot listen on 192\.0\.2\.1:8102: "):
            await app.start()
        assert not app.bound
        await app.stop()

    run(main(), loop)


def test_an_ipv6_address_is_shown_in_brackets(loop: str) -> None:
    async def main() -> None:
        app = App(settings("http://127.0.0.1:1", {"listen": Address("2001:db8::1", 8102)}))
        with pytest.raises(BindError, match=r"^deepgram: cannot listen on \[2001:db8::1\]:8102: "):
            await app.start()
        await app.stop()

    run(main(), loop)
    assert str(Bound("admin", "::1", 9465, cast(Acceptor, None))) == "[::1]:9465"


async def refuses(port: int) -> None:
    """Nobody listens there any more (closing takes some turns)."""
    async def gone() -> bool:
        try:
            (await connect(port)).close()
        except OSError:
            return True
        return False

    for _ in range(1000):
        if await gone():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("somebody still listens")



def test_an_open_session_may_end_by_itself(loop: str) -> None:
    async def main() -> None:
        async with rig(drain=SLOW) as relay:
            client, vendor = await relay.open()
            relay.app.drain()
            await until(lambda: relay.app.relay.draining)
            assert not relay.app.relay.ready
            late = await relay.call()  # still accepted by the kernel, and told
            head = await late.head()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nx-earwitness: sidecar_draining\r\n" in head
            assert b"\r\nRetry-After: " in head
            assert (await relay.report()).verdict.outcome is Outcome.REFUSED_HERE
            # The open one speaks on.
            await client.send(frame(1, b'{"type":"CloseStream"}', mask=b"abcd"))
            await vendor.send(frame(1, b'{"type":"Metadata","duration":1.0}') + frame(8, b"\x03\xe8"))
            client.fin()
            vendor.fin()
            assert (await relay.report()).verdict.outcome is not Outcome.DRAINED
            await relay.app.drained.wait()
            await refuses(relay.port())

    run(main(), loop)


def test_a_session_in_between_costs_the_others_no_grace(loop: str) -> None:
    """All have ended once while calls were still taken; the ones that came after have their time all the same."""
    async def main() -> None:
        async with rig(drain=Drain(accept_seconds=0.3, grace_seconds=1000)) as relay:
            first, _ = await relay.open()
            relay.app.drain()
            await until(lambda: not relay.app.relay.ready)
            first.rst()
            await relay.report()
            second, vendor = await relay.open()
            await until(lambda: relay.app.relay.draining)
            for _ in range(20):
                await asyncio.sleep(0.001)
            await vendor.send(b"\x81\x02{}")
            assert await second.exactly(4) == b"\x81\x02{}"
            second.rst()
            assert (await relay.report()).verdict.outcome is not Outcome.DRAINED
            await relay.app.drained.wait()

    run(main(), loop)


def test_a_dial_is_ended_with_an_answer(loop: str) -> None:
    async def main() -> None:
        async with rig(drain=Drain(accept_seconds=0, grace_seconds=0)) as relay:
            assert relay.vendor is not None
            client = await relay.call()
            vendor = await relay.vendor.arrived.get()
            relay.app.drain()
            assert b"\r\nx-earwitness: sidecar_draining\r\n" in await client.head()
            await vendor.head()
            assert await vendor.rest() == b""
            assert (await relay.report()).verdict.outcome is Outcome.DRAINED
            await relay.app.drained.wait()

    run(main(), loop)


def test_the_second_signal_ends_at_once(loop: str) -> None:
    async def main() -> None:
        async with rig(drain=Drain(accept_seconds=1000, grace_seconds=1000)) as relay:
            await relay.open()
            relay.app.drain()
            await until(lambda: not relay.app.relay.ready)
            relay.app.drain()
            assert (await relay.report()).verdict.outcome is Outcome.DRAINED
            await relay.app.drained.wait()

    run(main(), loop)


def test_the_first_signal_can_be_the_last(loop: str) -> None:
    async def main() -> None:
        async with rig(drain=Drain(accept_seconds=1000, grace_seconds=1000)) as relay:
            await relay.open()
            relay.app.drain(at_once=True)
            assert (await relay.report()).verdict.outcome is Outcome.DRAINED
            await relay.app.drained.wait()

    run(main(), loop)


def test_any_number_of_signals(loop: str) -> None:
    """However many come, and however fast: it ends, and everything has its report."""
    async def main() -> None:
        async with rig(drain=Drain(accept_seconds=1000, grace_seconds=1000)) as relay:
            await relay.open()
            for turns in (0, 0, 1, 0, 1):
                relay.app.drain()
                for _ in range(turns):
                    await asyncio.sleep(0)
            await relay.app.drained.wait()
            await relay.app.stop()  # as `serve` does
            assert (await relay.report()).verdict.outcome is Outcome.DRAINED

    run(main(), loop)


def test_a_request_that_was_half_there(loop: str) -> None:
    async def main() -> None:
        async with rig(drain=Drain(accept_seconds=0, grace_seconds=0)) as relay:
            half = await relay.call(request()[:-4])
            relay.app.drain()
            await relay.app.drained.wait()
            await half.send(b"\r\n\r\n")
            assert b"sidecar_draining" in await half.rest()
            assert (await relay.report()).verdict.outcome is Outcome.REFUSED_HERE

    run(main(), loop)
