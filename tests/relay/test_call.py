"""One call through a whole relay: what the vendor sees of the request, what the client sees of the answer, and one report."""

from __future__ import annotations

import asyncio
import gc
import gzip
import logging
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import WeakSet

import brotli
import pytest

from proxy.core.policy import Policy
from proxy.core.session import Session
from proxy.core.tally import NOT_READY
from proxy.core.verdict import Inspection, Outcome, Side, Transport
from proxy.relay import call as calls
from proxy.relay.call import Waiting
from proxy.settings.model import Timeouts
from tests.aio import run
from tests.relay.peers import SWITCHING, TARGET, Peer, Rig, answering, frame, request, rig, until, until_still
from tests.relay.policies import close, gated, policy, the_call

# The request


async def seen(relay: Rig, head: bytes) -> bytes:
    """What the vendor sees of this request."""
    client, vendor = await relay.call(head), await arrived(relay)
    got = await vendor.head()
    vendor.close()
    await client.rest()
    await relay.report()
    return got


async def arrived(relay: Rig) -> Peer:
    assert relay.vendor is not None
    return await relay.vendor.arrived.get()


def test_nothing_is_added_and_nothing_moved(loop: str) -> None:
    head = request(TARGET, b"x-lower: 1", b"X-UPPER: 2", b"x-lower: 3", b"Authorization: Token k\xe9y", b"traceparent: 00-0-0-00",
                   b"Sec-WebSocket-Protocol: token, abc", b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
                   b"Cookie: a=b; c=d", b"X-Empty:", b"Accept-Encoding: gzip", b"Origin: null")

    async def main() -> None:
        async with rig() as relay:
            assert relay.vendor is not None
            got = await seen(relay, head)
            host = b"127.0.0.1:%d" % relay.vendor.port
            assert got == head.replace(b"Host: relay.test", b"Host: " + host).replace(b"X-Empty:\r\n", b"X-Empty: \r\n")

    run(main(), loop)


def test_what_speaks_of_one_connection_stays_on_it(loop: str) -> None:
    head = request(TARGET, b"Keep-Alive: timeout=5", b"TE: trailers", b"Proxy-Authorization: Basic x", b"Proxy-Connection: keep-alive",
                   b"Expect: 100-continue", b"X-Hop: 1", b"X-Kept: 2").replace(
                       b"Connection: Upgrade", b"Connection: keep-alive, Upgrade, X-Hop")

    async def main() -> None:
        async with rig() as relay:
            got = await seen(relay, head)
            names = [line.split(b":")[0] for line in got.split(b"\r\n")[1:-2]]
            assert names == [b"Host", b"Upgrade", b"Connection", b"Sec-WebSocket-Key", b"Sec-WebSocket-Version", b"X-Kept"]

    run(main(), loop)


@pytest.mark.parametrize("target", [
    b"/v1/listen?keyterm=a%2Fb&x=[1]&y=%5B&z=a+b&%41=%zz&&=",
    b"/v1/listen?callback=https://a.test//x?y=1%26z",
    b"/v1/listen/a//b",
    b"/v1/listen?",
    b"/v1/listen",
])
def test_the_target_goes_on_as_it_came(loop: str, target: bytes) -> None:
    async def main() -> None:
        async with rig() as relay:
            assert (await seen(relay, request(target))).split(b"\r\n")[0] == b"GET " + target + b" HTTP/1.1"

    run(main(), loop)


def test_no_cookie_of_another_session(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client = await relay.call()
            vendor = await arrived(relay)
            await vendor.head()
            await vendor.send(SWITCHING[:-2] + b"Set-Cookie: sid=ONE; Path=/\r\n\r\n")
            assert b"\r\nSet-Cookie: sid=ONE; Path=/\r\n" in await client.head()
            assert b"ookie" not in await seen(relay, request())
            client.rst()
            await relay.report()

    run(main(), loop)


# The answer


def test_the_101_is_the_vendors(loop: str) -> None:
    answer = SWITCHING[:-2].replace(b"Switching Protocols", b"Oh well") + (
        b"x-Odd-CASE: 1\r\nX-Odd-Case: 2\r\ndg-error: caf\xe9\r\nSec-WebSocket-Protocol: token\r\nSet-Cookie: a=b\r\n\r\n")

    async def main() -> None:
        async with rig(answering(answer, close=False)) as relay:
            assert await (await relay.call()).head() == answer

    run(main(), loop)


GZIPPED = gzip.compress(b'{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials.","request_id":"x"}', mtime=0)
BROTLI = brotli.compress(b'{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials.","request_id":"x"}')


@pytest.mark.parametrize(("headers", "wire", "body"), [
    (b"Content-Length: 6\r\n", b"denied", b"denied"),
    (b"", b"to the end", b"to the end"),
    (b"Content-Length: 0\r\n", b"", b""),
    (b"Transfer-Encoding: chunked\r\n", b"3\r\nden\r\n3\r\nied\r\n0\r\n\r\n", b"denied"),
    (b"Content-Encoding: gzip\r\nContent-Length: %d\r\n" % len(GZIPPED), GZIPPED, GZIPPED),
    (b"Content-Encoding: br\r\n", BROTLI, BROTLI),
    (b"Content-Length: 1000000\r\n", bytes(1_000_000), bytes(1_000_000)),
], ids=["length", "no length", "empty", "chunked", "gzip", "br", "large"])
def test_a_refusal_goes_on_as_it_came(loop: str, headers: bytes, wire: bytes, body: bytes) -> None:
    head = b"HTTP/1.1 401 Not You\r\nContent-Type: application/json\r\ndg-error: caf\xe9\r\ndg-request-id: abc\r\n" + headers

    async def main() -> None:
        async with rig(answering(head + b"\r\n" + wire)) as relay:
            client = await relay.call()
            expected = head.replace(b"Transfer-Encoding: chunked\r\n", b"") + b"Connection: close\r\n\r\n"
            assert await client.head() == expected
            assert await client.rest() == body
            verdict = (await relay.report()).verdict
            assert (verdict.outcome, verdict.http_status, verdict.initiated_by) == (Outcome.REFUSED_BY_VENDOR, 401, Side.VENDOR)
            if headers.startswith(b"Content-Encoding"):
                assert verdict.server_code == "INVALID_AUTH"
            assert relay.errors == 1

    run(main(), loop)


def test_a_redirect_is_passed_on(loop: str) -> None:
    async def main() -> None:
        async with rig(answering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")) as relay:
            head = await (await relay.call()).head()
            assert head.startswith(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n")
            assert (await relay.report()).verdict.http_status == 302
            assert relay.vendor is not None
            assert len(relay.vendor.peers) == 1

    run(main(), loop)


def test_informational_answers_are_skipped(loop: str) -> None:
    async def main() -> None:
        async with rig(answering(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SWITCHING, close=False)) as relay:
            assert await (await relay.call()).head() == SWITCHING

    run(main(), loop)


@pytest.mark.parametrize("wire", [b"3\r\nden\r\nnonsense\r\n", b"5\r\nden"], ids=["broken", "cut"])
def test_a_broken_body_is_cut_and_nothing_put_in_its_place(loop: str, wire: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BODY_SECONDS", 0.1)  # aiohttp does not tell a body's reader that the parser has given up

    async def main() -> None:
        head = b"HTTP/1.1 503 Busy\r\ndg-error: busy\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with rig() as relay:
            client, vendor = await relay.call(), await arrived(relay)
            await vendor.head()
            await vendor.send(head)
            await client.head()
            await vendor.send(wire)
            vendor.writer.close()
            assert await client.rest() in (b"den", b"")
            verdict = (await relay.report()).verdict
            assert (verdict.outcome, verdict.http_status) == (Outcome.REFUSED_BY_VENDOR, 503)
            assert relay.errors == 1

    run(main(), loop)


async def endless(peer: Peer) -> None:
    await peer.head()
    await peer.send(b"HTTP/1.1 401 No\r\ndg-error: no\r\n\r\n")
    while True:
        await peer.send(bytes(65536))


def test_an_endless_body_ends_with_the_client(loop: str) -> None:
    """And is still the vendor's refusal: most clients leave as soon as they know the status."""
    async def main() -> None:
        async with rig(endless) as relay:
            client = await relay.call()
            await client.head()
            await client.exactly(1 << 20)
            client.close()
            verdict = (await relay.report()).verdict
            assert (verdict.outcome, verdict.http_status) == (Outcome.REFUSED_BY_VENDOR, 401)
            vendor = await arrived(relay)
            await until(vendor.transport.is_closing)

    run(main(), loop)


def test_an_endless_body_for_a_client_that_does_not_read(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(calls, "FLUSH_SECONDS", 0.1)

    async def main() -> None:
        async with rig(endless) as relay:
            client = await relay.call()
            client.transport.pause_reading()
            assert (await relay.report()).verdict.http_status == 401
            assert relay.errors == 1

    run(main(), loop)


def test_a_body_that_stands_still_is_cut(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BODY_SECONDS", 0.1)

    async def main() -> None:
        async with rig(answering(b"HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nhalf", close=False)) as relay:
            client = await relay.call()
            await client.head()
            assert await client.rest() == b"half"
            assert (await relay.report()).verdict.http_status == 500

    run(main(), loop)


# Before the answer, and faults of our own


def test_early_bytes_go_on_only_as_far_as_the_vendor_takes_them(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    early = 8 << 20
    monkeypatch.setattr(calls, "EARLY_BYTES", early)

    async def main() -> None:
        async with rig() as relay:
            client = await relay.call()
            client.writer.write(bytes(8 * early))
            vendor = await arrived(relay)
            await vendor.head()
            [call] = relay.app.relay.calls
            await until(lambda: call.waiting.held)
            vendor.transport.pause_reading()
            await vendor.send(SWITCHING)
            await client.head()
            await until_still(client.transport.get_write_buffer_size)
            call.sample(0.0)
            assert call.session.buffered_max < early + (1 << 20)
            vendor.transport.resume_reading()
            assert await vendor.exactly(8 * early) == bytes(8 * early)
            client.rst()
            await relay.report()

    run(main(), loop)


def test_a_fault_of_our_own_is_a_500(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bool:
        raise RuntimeError("a bug, with a SECRET")

    monkeypatch.setattr(calls, "upgrades", broken)

    async def main() -> None:
        async with rig(answering(SWITCHING, close=False)) as relay:
            client = await relay.call()
            head = await client.head()
            assert head.startswith(b"HTTP/1.1 500 ")
            assert b"x-earwitness: sidecar_internal\r\n" in head
            assert b"SECRET" not in await client.rest()
            assert (await relay.report()).verdict.code == "sidecar_internal"
            assert await (await arrived(relay)).rest() == b""

    run(main(), loop)


@pytest.mark.parametrize("what", ["opened", "tick"])
def test_a_session_that_cannot_be_looked_at_goes_on(loop: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Session, what, broken)

    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            for call in relay.app.relay.calls:
                call.sample(0.0)
            await client.send(frame(2, bytes(100), mask=b"abcd"))
            assert await vendor.exactly(106) == frame(2, bytes(100), mask=b"abcd")
            client.fin()
            vendor.fin()
            report = await relay.report()
            assert report.inspection is Inspection.LOST

    run(main(), loop)


def test_a_report_that_cannot_be_made_is_still_one(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr("proxy.relay.relay.report_of", broken)

    async def main() -> None:
        async with rig() as relay:
            client, _ = await relay.open()
            client.rst()
            assert (await relay.report()).verdict.code == "sidecar_internal"

    run(main(), loop)


def test_two_hundred_ends_at_once(loop: str) -> None:
    async def main() -> None:
        async with rig(answering(SWITCHING, close=False)) as relay:
            clients = await asyncio.gather(*(relay.call() for _ in range(100)))
            for client in clients[::2]:
                client.rst()
            for client in clients[1::2]:
                client.close()
            for _ in clients:
                await relay.report()
                for vendor in relay.vendor.peers if relay.vendor else ():
                    vendor.close()

    run(main(), loop)


def there(kind: type[object]) -> int:
    """How many objects of a type there are."""
    return sum(type(found) is kind for found in gc.get_objects())


def circles() -> list[object]:
    """What only the collector would find."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return list(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def uncollected(main: Coroutine[Any, Any, None], loop: str) -> None:
    gc.disable()
    try:
        run(main, loop)
    finally:
        gc.enable()


def of_calls(found: list[object], loop: str) -> set[str]:
    """Of them, what is ours; on uvloop all, since there nobody looks for it but rarely (loops.FEW_LOOKS)."""
    ours = ("",) if loop == "uvloop" else ("proxy.relay", "proxy.core", "aiofastnet.")
    return {type(one).__name__ for one in found if type(one).__module__.startswith(ours)}


@pytest.mark.parametrize("enforced", [Policy(), policy("enforce")], ids=["observed", "enforced"])
def test_what_a_call_held_goes_with_it(loop: str, secure: dict[str, Any], enforced: Policy) -> None:
    """And not when the collector comes by: over TLS hundreds of KiB a call would wait for that, and open calls hear its pauses."""
    async def main() -> None:
        async with gated(secure, enforced) as relay:
            client, vendor = await relay.open()
            (call,) = relay.app.relay.calls
            assert call._vendor is not None
            kind = type(call._vendor)
            open_ = there(kind)
            del call
            gc.collect()  # what the start has left
            vendor.writer.close()
            await client.rest()
            await relay.report()
            await until(lambda: there(kind) < open_)
            await asyncio.sleep(0)
            assert not of_calls(circles(), loop)

    uncollected(main(), loop)


def test_nor_does_an_end_that_is_cut_short_leave_anything(loop: str) -> None:
    """We stood in for a client that both legs have left before there was an answer."""
    async def main() -> None:
        async with gated({}, policy("enforce")) as relay:
            client, vendor = await relay.open()
            gc.collect()
            the_call(relay).drain()
            client.rst()
            vendor.rst()
            await relay.report()
            await asyncio.sleep(0)
            assert not of_calls(circles(), loop)

    uncollected(main(), loop)


@pytest.mark.parametrize("target", [b"/v1/listen", b"/nowhere"], ids=["refused", "not_found"])
def test_nor_does_one_that_never_opens_leave_anything(loop: str, target: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, begin = WeakSet[Waiting](), Waiting.__init__

    def begun(one: Waiting, gone: Callable[[Transport], None]) -> None:
        begin(one, gone)
        waiting.add(one)

    monkeypatch.setattr(Waiting, "__init__", begun)

    async def main() -> None:
        async with rig(answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}")) as relay:
            gc.collect()
            client = await relay.call(request(target))
            await client.rest()
            await relay.report()
            client.close()
            await until(lambda: not waiting)
            assert not of_calls(circles(), loop)

    uncollected(main(), loop)


# What is noticed


def test_a_fact_is_told_once_while_the_session_is_open(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    place = ("deepgram", "deepgram", "container_in_raw")

    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            assert relay.app.ledger.warnings[place] == 0
            await client.send(frame(2, b"OggS" + bytes(3196), mask=b"abcd"))
            await vendor.exactly(3208)
            await until(lambda: relay.app.ledger.warnings[place] == 1)
            assert relay.app.relay.calls, "the session is still open"
            client.rst()
            report = await relay.report()
            assert [fact.fact for fact in report.facts] == ["container_in_raw"]
            assert relay.app.ledger.warnings[place] == 1
            [line] = [vars(record)["fields"] for record in caplog.records if record.msg == "noticed"]
            assert line == {"fact": "container_in_raw", "seconds": line["seconds"], "session_id": report.session_id, "listener": "deepgram",
                            "vendor": "deepgram", "endpoint": "v1", "connection_id": None, "req_id": "11111111-2222-3333-4444-555555555555",
                            "trace_id": None, "span_id": None}
            assert 0 <= line["seconds"] <= report.duration_seconds
            assert report.facts[0].seconds == line["seconds"]

    run(main(), loop)


def test_a_fact_of_the_last_moment_is_told_before_the_end(loop: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            await client.send(frame(2, b"OggS" + bytes(3196), mask=b"abcd"))
            await vendor.exactly(3208)
            client.rst()
            await relay.report()
            assert relay.app.ledger.warnings["deepgram", "deepgram", "container_in_raw"] == 1
            told = [record.msg for record in caplog.records if record.msg in ("noticed", "session_end")]
            assert told == ["noticed", "session_end"]

    run(main(), loop)


def test_waiting_for_an_answer_is_no_service_while_it_lasts(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client = await relay.call()
            vendor = await arrived(relay)
            served = relay.app.ledger.tables("deepgram", "deepgram", "v1").served
            await until(lambda: served[NOT_READY] > 0)
            assert relay.app.relay.calls, "there is no answer yet"
            vendor.close()
            await client.rest()
            report = await relay.report()
            assert sum(served) == served[NOT_READY] == pytest.approx(report.duration_seconds, abs=0.001)

    run(main(), loop)


def test_how_long_a_hello_may_take_is_a_setting(loop: str) -> None:
    async def main() -> None:
        async with rig(timeouts=Timeouts(ready=0.01)) as relay:
            client, _ = await relay.open(request(b"/v2/listen?encoding=linear16&sample_rate=16000"))
            await until(lambda: relay.app.ledger.stalls["deepgram", "not_ready"] == 1)
            client.rst()
            assert [fact.fact for fact in (await relay.report()).facts] == ["never_ready"]

    run(main(), loop)


# Many end at once


@pytest.mark.parametrize("how", [Transport.RESET, Transport.EOF])
def test_who_hung_up_first_stays_first_however_long_it_waits_to_be_told(loop: str, how: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows from the vendor's end has its turn late; the client, which knows nothing of it, ends its call meanwhile."""
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            session, turns, due = the_call(relay).session, relay.app.relay.turns, list[Callable[[], None]]()
            monkeypatch.setattr(turns, "add", due.append)
            if how is Transport.RESET:
                vendor.rst()
            else:
                vendor.fin()
            await until(lambda: bool(due))
            assert session.ending.ended_by == Side.UNKNOWN
            await client.send(close(1000, mask=b"abcd"))
            await until(lambda: session.ending.ended_by != Side.UNKNOWN)
            monkeypatch.undo()
            for piece in due:
                turns.add(piece)
            client.close()
            vendor.close()
            verdict = (await relay.report()).verdict
            assert (verdict.code, verdict.initiated_by, verdict.ended_by) == (f"transport_{how}", Side.VENDOR, Side.VENDOR)

    run(main(), loop)
