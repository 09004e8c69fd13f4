"""What TAKEOVER.md says of aiohttp, one test a line: an upgrade of aiohttp that changes one fails here."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web

from proxy.core.verdict import Outcome, Side
from proxy.relay import server
from proxy.relay.call import Door
from proxy.relay.dialer import Answer, Dialer, Upstream
from proxy.relay.relay import Handler, Relay
from proxy.relay.takeover import Head
from proxy.relay.turns import Turns
from proxy.settings.model import Limits, Timeouts
from proxy.settings.tls import Tls
from tests.aio import run
from tests.relay.peers import SWITCHING, Peer, Rig, accept, answering, frame, listening, request, rig, until, until_still

BIG = bytes(range(256)) * 2048  # 512 KiB


async def echo(peer: Peer) -> None:
    await accept(peer)
    while data := await peer.reader.read(65536):
        await peer.send(data)
    peer.writer.close()


# Lifetime


def test_more_sessions_than_a_pool_holds(loop: str, options: dict[str, Any]) -> None:
    async def one(relay: Rig, number: int) -> None:
        client = await relay.call()
        await client.head()
        text = frame(2, b"%d" % number, mask=b"abcd")
        await client.send(text)
        assert await client.exactly(len(text)) == text

    async def main() -> None:
        async with rig(echo, **options) as relay:
            await asyncio.gather(*(one(relay, number) for number in range(150)))
            assert len(relay.app.relay.calls) == 150
            for client in relay.clients:
                client.rst()
            for _ in range(150):
                assert (await relay.report()).verdict.ended_by is Side.CLIENT

    run(main(), loop)


def test_much_that_came_with_the_101(loop: str, options: dict[str, Any]) -> None:
    """aiohttp has paused the vendor's transport by then."""
    async def script(peer: Peer) -> None:
        await peer.head()
        peer.writer.write(SWITCHING + BIG + BIG)
        await peer.writer.drain()
        await peer.send(await peer.exactly(5))
        peer.writer.close()

    async def main() -> None:
        async with rig(script, **options) as relay:
            client = await relay.call()
            await client.head()
            assert await client.exactly(2 * len(BIG)) == BIG + BIG
            await client.send(b"\x82\x83abc")
            assert await client.rest() == b"\x82\x83abc"
            client.fin()
            await relay.report()

    run(main(), loop)


def test_much_that_came_with_the_request(loop: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with rig(echo, **options) as relay:
            client = await relay.connect()
            client.writer.write(request() + BIG)
            await client.head()
            assert await client.exactly(len(BIG)) == BIG
            client.rst()
            await relay.report()

    run(main(), loop)


def test_reading_that_aiohttp_has_stopped(loop: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways it stops once enough has come after a head that nobody has taken up: we make it wait for that."""
    admitted, dialled = Relay.handler, Dialer.dial

    def handler(relay: Relay, door: Callable[[], Door]) -> Handler:
        handle = admitted(relay, door)

        async def later(request: web.BaseRequest) -> web.StreamResponse:
            await until(lambda: request.protocol._buffer_paused)
            return await handle(request)

        return later

    async def dial(self: Dialer, *args: Any) -> Answer:
        answer = await dialled(self, *args)
        await until(lambda: answer.wire._protocol._buffer_paused)
        return answer

    monkeypatch.setattr(Relay, "handler", handler)
    monkeypatch.setattr(Dialer, "dial", dial)

    async def script(peer: Peer) -> None:
        await peer.head()
        peer.writer.write(SWITCHING + 8 * BIG)
        assert await peer.exactly(8 * len(BIG)) == 8 * BIG
        await peer.send(b"end")

    async def main() -> None:
        async with rig(script, **options) as relay:
            client = await relay.connect()
            client.writer.write(request() + 8 * BIG)
            await client.head()
            assert await client.exactly(8 * len(BIG)) == 8 * BIG
            assert await client.exactly(3) == b"end"
            client.rst()
            await relay.report()

    run(main(), loop)


def test_what_came_during_the_dial_waits_within_bounds(loop: str) -> None:
    """And once it goes on, the vendor's back-pressure still holds: what the vendor does not read is not taken in."""
    async def main() -> None:
        async with rig() as relay:
            assert relay.vendor is not None
            client = await relay.call()
            flood = 64 * BIG  # 32 MiB
            client.writer.write(flood)
            vendor = await relay.vendor.arrived.get()
            await vendor.head()
            vendor.transport.pause_reading()
            await vendor.send(SWITCHING)
            await client.head()
            [call] = relay.app.relay.calls
            await until_still(client.transport.get_write_buffer_size)
            call.sample(0.0)
            assert call.session.buffered_max < 1 << 20
            vendor.transport.resume_reading()
            assert await vendor.exactly(len(flood)) == flood
            client.rst()
            await relay.report()

    run(main(), loop)


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    SWITCHING.replace(b"s3pPLMBi", b"AAAAAAAA"),
    SWITCHING.replace(b"Sec-WebSocket-Accept", b"X-Other"),
], ids=["no upgrade", "another protocol", "wrong accept", "no accept"])
def test_a_bad_handshake_is_a_502(loop: str, answer: bytes) -> None:
    async def main() -> None:
        answers = [answer, SWITCHING]

        async def script(peer: Peer) -> None:
            await answering(answers.pop(0), close=False)(peer)
            assert await peer.rest() == b""

        async with rig(script) as relay:
            client = await relay.call()
            head = await client.head()
            assert head.startswith(b"HTTP/1.1 502 ")
            assert b"x-earwitness: sidecar_bad_upstream\r\n" in head
            await client.rest()
            assert (await relay.report()).verdict.code == "sidecar_bad_upstream"
            assert relay.errors == 1
            # The next call gets a connection of its own.
            client = await relay.call()
            assert (await client.head()).startswith(b"HTTP/1.1 101 ")
            client.rst()
            await relay.report()

    run(main(), loop)


def test_a_client_that_leaves_during_the_dial_ends_it(loop: str, options: dict[str, Any]) -> None:
    """The vendor's leg is closed before anything else happens: within a few turns of the loop, not after a time."""
    async def main() -> None:
        async with rig(**options) as relay:
            assert relay.vendor is not None
            client = await relay.call()
            vendor = await relay.vendor.arrived.get()
            await vendor.head()
            began = asyncio.get_running_loop().time()
            client.close()
            assert await vendor.rest() == b""
            assert asyncio.get_running_loop().time() - began < 1.0  # aiohttp by itself: never
            verdict = (await relay.report()).verdict
            assert (verdict.outcome, verdict.initiated_by) == (Outcome.ABANDONED, Side.CLIENT)
            # A 101 that comes now opens nothing.
            vendor.writer.write(SWITCHING)
            assert not relay.app.relay.calls

    run(main(), loop)


@pytest.mark.parametrize(("early", "left", "code"), [
    (b"", "rst", "transport_reset"), (b"", "close", "transport_eof"), (BIG, "rst", "transport_eof"), (BIG, "close", "transport_eof"),
])
def test_how_a_client_left_during_the_dial(loop: str, early: bytes, left: str, code: str) -> None:
    """Also one that is not read any more, because it had sent too much: its socket is looked at."""
    async def main() -> None:
        async with rig() as relay:
            assert relay.vendor is not None
            client = await relay.call(request() + early)
            vendor = await relay.vendor.arrived.get()
            await vendor.head()
            [call] = relay.app.relay.calls
            await until(lambda: call.waiting.held is bool(early))
            getattr(client, left)()
            assert await vendor.rest() == b""
            verdict = (await relay.report()).verdict
            assert (verdict.outcome, verdict.code, verdict.owner) == (Outcome.ABANDONED, code, "client")

    run(main(), loop)


def test_a_vendor_that_vanishes_is_noticed_one_day(loop: str) -> None:
    async def main() -> None:
        async with rig(echo) as relay:
            client = await relay.call()
            await client.head()
            [call] = relay.app.relay.calls
            assert call._vendor is not None
            assert call._vendor.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            client.close()
            await relay.report()

    run(main(), loop)


def test_a_client_that_leaves_while_a_connection_is_made(loop: str) -> None:
    """The vendor's side takes TCP connections but never answers the TLS hello."""
    async def main() -> None:
        async with listening() as silent, rig(listener={"upstream": {"listen-v1": silent.url.replace("http:", "https:")}}) as relay:
            client = await relay.call()
            vendor = await silent.arrived.get()
            await vendor.exactly(5)  # the hello's first bytes
            client.close()
            await vendor.reset()
            assert (await relay.report()).verdict.outcome is Outcome.ABANDONED

    run(main(), loop)


def test_a_head_that_does_not_come_is_not_waited_for(loop: str) -> None:
    async def main() -> None:
        async with rig(timeouts=Timeouts(handshake=0.5)) as relay:
            nothing, half = await relay.connect(), await relay.call(request()[:-10])
            assert await nothing.rest() == await half.rest() == b""
            assert not sum(relay.app.ledger.started_total.values())
            assert relay.app.ledger.rejections["timeout",] == 2

    run(main(), loop)


def test_of_too_many_that_ask_for_nothing_the_oldest_makes_room(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one whose request is being seen to, though it is older, nor a call."""
    monkeypatch.setattr(server, "most_waiting", lambda most: 3)

    async def main() -> None:
        async with rig() as relay:
            assert relay.vendor is not None
            client, vendor = await relay.open()
            asking = await relay.call(b"GET /v1/projects HTTP/1.1\r\nHost: relay.test\r\n\r\n")
            asked = await relay.vendor.arrived.get()
            silent = [await relay.connect() for _ in range(6)]
            async with asyncio.timeout(5):
                for peer in silent[:2]:
                    with suppress(ConnectionResetError):
                        assert await peer.rest() == b""
                await relay.open()
                await client.send(frame(2, b"abc", mask=b"abcd"))
                assert await vendor.exactly(9) == frame(2, b"abc", mask=b"abcd")
                await asked.head()
                await asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                assert (await asking.head()).startswith(b"HTTP/1.1 200 OK")
            assert relay.app.ledger.rejections["no_room",] >= 2

    run(main(), loop)


def test_a_session_outlives_the_time_for_heads(loop: str) -> None:
    async def main() -> None:
        async with rig(echo, timeouts=Timeouts(handshake=0.2, dial=0.2)) as relay:
            client = await relay.call()
            await client.head()
            await asyncio.sleep(0.5)  # aiohttp's own timers would have run out
            await client.send(b"\x82\x00")
            assert await client.exactly(2) == b"\x82\x00"
            client.rst()
            await relay.report()
            assert relay.app.ledger.rejections["timeout",] == 0

    run(main(), loop)


# TLS on the listener


def test_a_listener_with_tls(loop: str, pair: tuple[str, str], options: dict[str, Any]) -> None:
    async def main() -> None:
        listener = {**options.pop("listener", {}), "tls": Tls(cert=pair[0], key=pair[1])}
        async with rig(echo, listener=listener, **options) as relay:
            relay.tls = ssl.create_default_context(cafile=pair[0])
            client = await relay.connect()
            client.writer.write(request() + BIG)
            await client.head()
            assert await client.exactly(len(BIG)) == BIG
            client.writer.close()
            assert (await relay.report()).verdict.ended_by is Side.CLIENT

    run(main(), loop)


def test_a_goodbye_that_came_with_the_101(loop: str, options: dict[str, Any]) -> None:
    """101, data and the end of the connection in one go: the client gets it all."""
    last = frame(8, b"\x03\xf3busy")

    async def main() -> None:
        async with rig(answering(SWITCHING + frame(1, b"{}") + last), **options) as relay:
            client = await relay.call()
            assert (await client.head()).startswith(b"HTTP/1.1 101 ")
            assert await client.rest() == frame(1, b"{}") + last
            client.rst()
            report = await relay.report()
            assert report.vendor_close is not None
            assert (report.vendor_close.code, report.vendor_close.reason) == (1011, "busy")

    run(main(), loop)


# Limits


@pytest.mark.parametrize(("fields", "status"), [
    ([b"X-Long: " + b"v" * 60_000], b"101"),
    ([b"X-Long: " + b"v" * 70_000], b"400"),
    ([b"X-%d: v" % n for n in range(250)], b"101"),
    ([b"X-%d: v" % n for n in range(260)], b"400"),
], ids=["line", "long line", "fields", "many fields"])
def test_limits_of_a_request(loop: str, fields: list[bytes], status: bytes) -> None:
    async def main() -> None:
        got: list[bytes] = []

        async def script(peer: Peer) -> None:
            got.append(await accept(peer))

        async with rig(script) as relay:
            # The stream reader of a test has a limit of its own.
            relay_head = await (await relay.call(request(b"/v1/listen", *fields))).head()
            assert relay_head.split(b" ")[1] == status
            if status == b"101":
                assert b"\r\n".join(fields) in got[0]

    run(main(), loop)


def test_a_long_target(loop: str) -> None:
    """Real lists of keyterms are longer than aiohttp's 8,190 bytes."""
    target = b"/v1/listen?" + b"&".join(b"keyterm=w%d" % n for n in range(4500))
    assert 50_000 < len(target) < 65_000

    async def main() -> None:
        async def script(peer: Peer) -> None:
            assert (await accept(peer)).startswith(b"GET " + target + b" HTTP/1.1\r\n")

        async with rig(script) as relay:
            assert (await (await relay.call(request(target))).head()).startswith(b"HTTP/1.1 101 ")
            too_long = await relay.call(request(target + b"&more=" + b"v" * 20_000))
            assert (await too_long.head()).split(b" ")[1] == b"400"

    run(main(), loop)


@pytest.mark.parametrize(("extra", "status"), [
    (b"X-Long: " + b"v" * 60_000 + b"\r\n", b"101"),
    (b"".join(b"X-%d: v\r\n" % n for n in range(250)), b"101"),
    (b"X-Long: " + b"v" * 70_000 + b"\r\n", b"502"),
    (b"".join(b"X-%d: v\r\n" % n for n in range(260)), b"502"),
], ids=["line", "fields", "long line", "many fields"])
def test_limits_of_an_answer(loop: str, extra: bytes, status: bytes) -> None:
    async def main() -> None:
        async with rig(answering(SWITCHING[:-2] + extra + b"\r\n", close=False)) as relay:
            head = await (await relay.call()).head()
            assert head.split(b" ")[1] == status
            assert (extra in head) is (status == b"101")

    run(main(), loop)


def test_the_limits_are_settings(loop: str) -> None:
    async def main() -> None:
        async with rig(limits=Limits(header_bytes=1024, headers=8)) as relay:
            head = await (await relay.call(request(b"/v1/listen", b"X-Long: " + b"v" * 2000))).head()
            assert head.split(b" ")[1] == b"400"

    run(main(), loop)


def test_a_parser_that_paused_gives_all_when_the_vendor_has_closed(loop: str, options: dict[str, Any], pair: tuple[str, str]) -> None:
    body = BIG[:50_000]
    chunks = b"".join(b"3e8\r\n" + body[at : at + 1000] + b"\r\n" for at in range(0, len(body), 1000)) + b"0\r\n\r\n"

    async def main() -> None:
        async with listening(tls=options.get("vendor_tls")) as vendor:
            dialer = Dialer(lambda *_: None, Head(8190, 100), 10, Turns())
            upstream = Upstream.of(vendor.url, ssl.create_default_context(cafile=pair[0]), None)
            wire = await dialer.reach("vendor", upstream)
            wire.ask(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", dialer.limits)
            peer = await vendor.arrived.get()
            await peer.head()
            await peer.send(b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n")
            message, reader = await wire.answer()
            reader._high_water = 1
            await peer.send(chunks)
            await until(lambda: wire._protocol._reading_paused)
            await until(lambda: peer.transport.get_write_buffer_size() == 0 and unacknowledged(peer) == 0)
            peer.rst()
            while not wire.ended:  # while it is not read, only writing notices
                with suppress(ConnectionError):
                    await wire.write(b"more")
                await asyncio.sleep(0)
            assert message.code == 401
            assert await reader.read() == body
            assert wire.was_cut
            wire.close()
            await dialer.close()

    run(main(), loop)


def unacknowledged(peer: Peer) -> int:
    """Bytes in the kernel that have not come to the other one (SIOCOUTQ)."""
    number = peer.writer.get_extra_info("socket").fileno()
    return struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))[0]  # type: ignore[no-any-return]
