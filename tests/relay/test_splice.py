"""How bytes cross and how a leg's end becomes the other's, through a whole relay on real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from functools import partial
from typing import Any

import pytest

from proxy.core.verdict import Inspection, Side
from proxy.relay import splice
from proxy.relay.call import Call
from proxy.relay.feeds import NOTHING
from proxy.relay.turns import Turns
from proxy.settings.tls import Tls
from tests.aio import run
from tests.relay.conftest import Pair
from tests.relay.peers import Peer, Rig, frame, rig, until, until_still

MIB = 1 << 20


def the_call(relay: Rig) -> Call:
    [call] = relay.app.relay.calls
    return call


def the_leg(relay: Rig, side: Side) -> splice.Leg:
    both = the_call(relay)._splice
    assert both is not None
    return both.client if side is Side.CLIENT else both.vendor


# FIN


def test_a_fin_leaves_the_other_way_open(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            client.fin()
            assert await vendor.rest() == b""
            await vendor.send(b"\x81\x02{}" * 1000)
            assert await client.exactly(4000) == b"\x81\x02{}" * 1000
            assert not the_call(relay).session.failed
            vendor.fin()
            assert await client.rest() == b""
            report = await relay.report()
            assert (report.verdict.ended_by, report.verdict.initiated_by) == (Side.CLIENT, Side.CLIENT)

    run(main(), loop)


def test_the_vendors_fin_leaves_the_other_way_open(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            vendor.fin()
            assert await client.rest() == b""
            await client.send(b"\x82\x00" * 1000)
            assert await vendor.exactly(2000) == b"\x82\x00" * 1000
            client.fin()
            assert await vendor.rest() == b""
            report = await relay.report()
            assert (report.verdict.ended_by, report.verdict.code) == (Side.VENDOR, "transport_eof")
            assert relay.errors == 1

    run(main(), loop)


def test_a_fin_comes_after_all_bytes(loop: str) -> None:
    """Also where they still wait in here, because the other side was slow."""
    data = bytes(range(256)) * (32 * 1024)  # 8 MiB

    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            client.writer.write(data)
            client.fin()
            assert await vendor.rest() == data
            vendor.writer.write(data)
            vendor.fin()
            assert await client.rest() == data
            await relay.report()

    run(main(), loop)


# RST


@pytest.mark.parametrize("first", [Side.CLIENT, Side.VENDOR])
def test_an_rst_becomes_an_rst(loop: str, first: Side) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            one, other = (client, vendor) if first is Side.CLIENT else (vendor, client)
            one.rst()
            assert await other.reset()
            verdict = (await relay.report()).verdict
            assert verdict.ended_by is first
            if first is Side.VENDOR:
                assert (verdict.code, relay.errors) == ("transport_reset", 1)

    run(main(), loop)


def test_an_rst_after_a_fin(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            client.fin()
            assert await vendor.rest() == b""
            vendor.rst()
            assert await client.reset()
            await relay.report()

    run(main(), loop)


@pytest.mark.parametrize("first", [Side.CLIENT, Side.VENDOR])
def test_an_rst_while_a_tls_vendor_speaks(loop: str, first: Side, secure: dict[str, Any]) -> None:
    """Writing to what is gone, and closing what is closing, are no errors."""
    async def main() -> None:
        async with rig(**secure) as relay:
            client, vendor = await relay.open()
            vendor.writer.write(b"\x82\x7e\x04\x00" + bytes(1024) + frame(2, bytes(MIB)))
            client.writer.write(frame(2, bytes(MIB), mask=b"abcd"))
            await client.exactly(1000)
            await vendor.exactly(1000)
            (client if first is Side.CLIENT else vendor).rst()
            await (vendor if first is Side.CLIENT else client).reset()
            assert (await relay.report()).verdict.ended_by is first

    run(main(), loop)


# TLS, which knows no half-close


def test_a_clients_fin_is_held_before_a_tls_vendor(loop: str, secure: dict[str, Any]) -> None:
    """CloseStream, FIN: the vendor's last results still come, and its end ends the session."""
    async def main() -> None:
        async with rig(**secure) as relay:
            client, vendor = await relay.open()
            await client.send(frame(1, b'{"type":"CloseStream"}', mask=b"abcd"))
            client.fin()
            await vendor.exactly(len(frame(1, b'{"type":"CloseStream"}', mask=b"abcd")))
            last = frame(1, b'{"type":"Results"}') * 5000
            vendor.writer.write(last)
            vendor.writer.close()
            assert await client.rest() == last
            assert (await relay.report()).verdict.initiated_by is Side.CLIENT

    run(main(), loop)


def test_a_held_fin_is_held_so_long(loop: str, secure: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "HELD_FIN_SECONDS", 0.05)

    async def main() -> None:
        async with rig(**secure) as relay:
            client, vendor = await relay.open()
            client.fin()
            assert await vendor.rest() == b""  # and the vendor had not done a thing
            assert await client.rest() == b""
            await relay.report()

    run(main(), loop)


@pytest.mark.interpreted
def test_a_tls_vendor_that_answers_no_goodbye(loop: str, secure: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose process hangs: its leg is given up after FLUSH_SECONDS."""
    monkeypatch.setattr(splice, "HELD_FIN_SECONDS", 0.05)
    monkeypatch.setattr(splice, "FLUSH_SECONDS", 0.05)

    async def main() -> None:
        async with rig(**secure) as relay:
            client, vendor = await relay.open()
            vendor.transport.pause_reading()
            client.fin()
            await relay.report()

    run(main(), loop)


def test_a_tls_vendors_end_ends_the_session(loop: str, secure: dict[str, Any]) -> None:
    async def main() -> None:
        async with rig(**secure) as relay:
            client, vendor = await relay.open()
            vendor.writer.write(frame(8, b"\x15\x8cgone") + bytes(MIB))
            vendor.writer.close()
            assert await client.rest() == frame(8, b"\x15\x8cgone") + bytes(MIB)
            report = await relay.report()
            assert report.vendor_close is not None
            assert (report.vendor_close.code, report.vendor_close.reason) == (5516, "gone")

    run(main(), loop)


def test_a_tls_client_that_leaves(loop: str, pair: Pair, options: dict[str, Any]) -> None:
    async def main() -> None:
        listener = {**options.pop("listener", {}), "tls": Tls(cert=pair[0], key=pair[1])}
        async with rig(listener=listener, **options) as relay:
            relay.tls = ssl.create_default_context(cafile=pair[0])
            client, vendor = await relay.open()
            client.writer.write(frame(2, bytes(MIB), mask=b"abcd"))
            client.writer.close()
            assert len(await vendor.rest()) == len(frame(2, bytes(MIB), mask=b"abcd"))
            assert (await relay.report()).verdict.ended_by is Side.CLIENT

    run(main(), loop)


# Back-pressure


@pytest.mark.parametrize("way", ["up", "down"])
def test_bounded_memory(loop: str, way: str, options: dict[str, Any]) -> None:
    """64 MiB against a peer that reads nothing; then it reads, and everything comes."""
    block = hashlib.sha256(b"seed").digest() * 2048 * 16  # 1 MiB
    whole = hashlib.sha256()
    for _ in range(64):
        whole.update(block)

    async def send(peer: Peer) -> None:
        for _ in range(64):
            await peer.send(block)

    async def main() -> None:
        async with rig(**options) as relay:
            client, vendor = await relay.open()
            source, sink = (client, vendor) if way == "up" else (vendor, client)
            sink.transport.pause_reading()
            sending = asyncio.create_task(send(source))
            call = the_call(relay)
            leg = the_leg(relay, Side.CLIENT if way == "up" else Side.VENDOR)
            await until(lambda: leg.reading_held)
            await until_still(source.transport.get_write_buffer_size)
            call.sample(0.0)
            assert not sending.done()
            assert 0 < call.session.buffered_max < MIB
            sink.transport.resume_reading()
            got = hashlib.sha256()
            for _ in range(64):
                got.update(await sink.exactly(MIB))
            await sending
            assert got.digest() == whole.digest()
            client.rst()
            await relay.report()

    run(main(), loop)


def test_a_hang_up_while_reading_is_held(loop: str) -> None:
    """Neither loop reports it: the look once a second does. A FIN would tell the vendor that it had got everything."""
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            vendor.transport.pause_reading()
            client.writer.write(bytes(64 * MIB))
            leg = the_leg(relay, Side.CLIENT)
            await until(lambda: leg.reading_held)
            client.rst()
            await until(lambda: leg.ended)
            vendor.transport.resume_reading()
            assert await vendor.reset()
            assert (await relay.report()).verdict.ended_by is Side.CLIENT

    run(main(), loop)


def test_a_peer_that_never_reads_is_not_flushed_forever(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splice, "FLUSH_SECONDS", 0.05)

    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            client.transport.pause_reading()
            vendor.writer.write(bytes(16 * MIB))
            leg = the_leg(relay, Side.VENDOR)
            await until(lambda: leg.reading_held)
            vendor.rst()
            assert (await relay.report()).verdict.code == "transport_reset"
            client.transport.resume_reading()
            assert await client.reset()

    run(main(), loop)


class Full(asyncio.Transport):
    """A transport in which the old protocol had been told to pause."""

    paused = False

    def get_write_buffer_size(self) -> int:
        return 70_000

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 16_384, 65_536

    def pause_reading(self) -> None:
        self.paused = True

    def write(self, data: Any) -> None:
        raise AssertionError("nothing was to be written")


def test_a_pause_that_came_before_the_splice() -> None:
    both = splice.Splice(Call.__new__(Call), NOTHING, NOTHING, Turns())
    client, vendor = Full(), Full()
    both.join(client, vendor)
    both.start(b"", b"")
    assert client.paused
    assert vendor.paused


# Looking


@pytest.mark.interpreted  # a compiled leg asks a compiled scanner past its class
def test_looking_that_raises_costs_no_byte(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with rig() as relay:
            monkeypatch.setattr("proxy.core.wire.FrameScanner.feed", _raises)
            client, vendor = await relay.open(glued=b"\x81\x02hi")
            assert await client.exactly(4) == b"\x81\x02hi"
            await client.send(b"\x82\x83abcdefg" * 3)
            assert await vendor.exactly(27) == b"\x82\x83abcdefg" * 3
            client.fin()
            vendor.fin()
            assert await client.rest() == await vendor.rest() == b""
            report = await relay.report()
            assert report.inspection is Inspection.LOST
            assert relay.app.ledger.uninspected == {("deepgram",): 1}
            assert relay.app.ledger.inspection_errors["deepgram", "session"] == 1
            assert relay.errors == 0

    run(main(), loop)


def test_looking_that_raises_in_an_open_call_costs_no_byte(loop: str) -> None:
    """Also where it is compiled."""
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            (call,) = relay.app.relay.calls
            assert call._splice is not None
            call._splice.client.afterwards(partial(_raises, None, b"", 0.0))
            for _ in range(2):
                await client.send(b"\x82\x83abcdefg")
                assert await vendor.exactly(9) == b"\x82\x83abcdefg"
            client.fin()
            vendor.fin()
            assert (await relay.report()).inspection is Inspection.LOST

    run(main(), loop)


def _raises(self: object, data: bytes, now: float) -> None:
    raise RuntimeError("a bug")
