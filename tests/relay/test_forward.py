"""Plain HTTP through a whole relay: what the vendor sees of a request, what the client of an answer, and what is told of it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import logging
import random
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import pytest

from proxy.relay import forward
from proxy.relay.bodies import LOOKED_AT, beginning
from proxy.settings.model import Correlation, Drain, Timeouts
from tests.aio import run
from tests.relay.peers import SWITCHING, Peer, Rig, Script, answering, frame, relaying, request, rig, settings, until, until_still

GRANT = b"/v1/auth/grant"
REST = b"/v1/projects"


def asking(method: bytes, target: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: relay.test", *headers]) + b"\r\n\r\n" + body


def posting(body: bytes, target: bytes = GRANT, *headers: bytes) -> bytes:
    return asking(b"POST", target, b"Content-Length: %d" % len(body), *headers, body=body)


def ok(body: bytes = b"{}", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]) + b"\r\n\r\n" + body


def replying(*answers: bytes) -> Script:
    """A vendor that reads a whole request on each connection, and gives the next of these answers."""
    waiting = list(answers)

    async def script(peer: Peer) -> None:
        await peer.message()
        await peer.send(waiting.pop(0))

    return script


class Told(logging.Handler):
    """The lines about exchanges."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Mapping[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg in ("http_failed", "http_abandoned"):
            self.lines.append({"event": record.msg, **vars(record)["fields"]})


@pytest.fixture(autouse=True)
def told() -> Any:
    handler, logger = Told(), logging.getLogger("earwitness")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


Lines = list[Mapping[str, Any]]


def counted(relay: Rig) -> tuple[dict[str, int], set[str]]:
    """Exchanges by class of status, and the codes of those that failed."""
    ledger = relay.app.ledger
    return ({status: n for (_, _, status), n in ledger.requests.items() if n},
            {code for (_, code, _, _), n in ledger.request_errors.items() if n})


async def arrived(relay: Rig) -> Peer:
    assert relay.vendor is not None
    return await relay.vendor.arrived.get()


async def over(relay: Rig) -> None:
    await until(lambda: not relay.app.relay.forwards)


# The request


def test_a_request_goes_on_as_it_came(loop: str, options: dict[str, Any]) -> None:
    asked = posting(b'{"ttl_seconds":30}', GRANT + b"?a=%2F&b=[1]&=", b"authorization: Token k\xe9y", b"X-B: 1", b"x-b: 2", b"X-Empty: ",
                    b"Accept-Encoding: br", b"traceparent: 00-0-0-00", b"Cookie: a=b")

    async def main() -> None:
        async with rig(**options) as relay:
            client, vendor = await relay.call(asked), await arrived(relay)
            head, body = await vendor.message()
            name = b"127.0.0.1" if not options else b"localhost"
            assert relay.vendor is not None
            assert head + body == asked.replace(b"relay.test", name + b":%d" % relay.vendor.port)
            answer = ok(b'{"access_token":"x"}', b"dg-Request-ID: 1", b"Set-Cookie: a=b", b"Set-Cookie: c=d", b"X-Odd: caf\xe9")
            await vendor.send(answer)
            head, body = await client.message()
            assert head + body == answer
            await over(relay)
            assert counted(relay) == ({"2xx": 1}, set())

    run(main(), loop)


def test_what_speaks_of_one_connection_stays_on_it(loop: str) -> None:
    asked = posting(b"{}", REST, b"Connection: keep-alive, X-Hop, Content-Length, Host", b"X-Hop: 1", b"Keep-Alive: 5", b"TE: trailers",
                    b"Proxy-Authorization: Basic x", b"Upgrade: h2c", b"X-Kept: 2")
    answer = ok(b"{}", b"Connection: X-Mine", b"X-Mine: 1", b"Keep-Alive: 5", b"Upgrade: h2", b"Trailer: x", b"X-Kept: 2")

    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.call(asked), await arrived(relay)
            head, body = await vendor.message()
            assert [line.split(b":")[0] for line in head.split(b"\r\n")[1:-2]] == [b"Host", b"Content-Length", b"X-Kept"]
            assert body == b"{}"
            await vendor.send(answer)
            assert (await client.head()).split(b"\r\n")[1:-2] == [b"Content-Length: 2", b"X-Kept: 2"]

    run(main(), loop)


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"PUT", b"PATCH", b"OPTIONS"])
def test_any_method(loop: str, method: bytes) -> None:
    async def main() -> None:
        async with rig(replying(ok(b"yes"))) as relay:
            client = await relay.call(asking(method, REST))
            assert (await client.message())[1] == b"yes"

    run(main(), loop)


BIG = random.Random(7).randbytes(5_000_000)


def in_chunks(data: bytes, size: int) -> bytes:
    return b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for at in range(0, len(data), size) if (piece := data[at : at + size]))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_to_a_slow_reader_waits_with_the_client(loop: str, options: dict[str, Any], chunked: bool) -> None:
    large = BIG * 5  # more than the kernel would hold
    asked = (asking(b"POST", REST, b"Transfer-Encoding: chunked", b"Trailer: X-T") + in_chunks(large, 70_000) + b"0\r\nX-T: 1\r\n\r\n"
             if chunked else posting(large, REST))

    async def main() -> None:
        async with rig(**options) as relay:
            client = await relay.connect()
            sending = asyncio.create_task(client.send(asked))
            vendor = await arrived(relay)
            vendor.transport.pause_reading()
            await until_still(client.transport.get_write_buffer_size)
            assert not sending.done()
            vendor.transport.resume_reading()
            head, body = await vendor.message()
            assert (b"Transfer-Encoding: chunked" in head) == chunked
            assert hashlib.sha256(body).digest() == hashlib.sha256(large).digest()
            await vendor.send(ok(b"scored"))
            assert (await client.message())[1] == b"scored"
            await sending

    run(main(), loop)


def test_a_client_that_waits_is_told_to_go_on(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client = await relay.call(asking(b"POST", REST, b"Content-Length: 4", b"Expect: 100-continue"))
            assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            vendor = await arrived(relay)
            await client.send(b"body")
            head, body = await vendor.message()
            assert b"xpect" not in head
            assert body == b"body"
            await vendor.send(ok(b"done"))
            assert (await client.message())[1] == b"done"

    run(main(), loop)


def test_a_refusal_before_the_request_is_whole_is_heard_at_once(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client = await relay.call(asking(b"POST", REST, b"Content-Length: 1000000") + b"begins")
            vendor = await arrived(relay)
            await vendor.head()
            await vendor.exactly(6)
            await vendor.send(ok(b'{"err_code":"INVALID_AUTH"}', status=b"401 Unauthorized"))
            head, body = await client.message()
            assert head.startswith(b"HTTP/1.1 401 ")
            assert b"\r\nConnection: close\r\n" in head  # where the next request would begin nobody knows
            assert b"INVALID_AUTH" in body
            await over(relay)
            assert counted(relay) == ({"4xx": 1}, {"INVALID_AUTH"})

    run(main(), loop)


@pytest.mark.parametrize("size", [1_000_000, 20_000_000])
def test_a_vendor_that_refuses_and_closes_in_the_middle_of_an_upload_is_heard(loop: str, pair: tuple[str, str], options: dict[str, Any],
                                                                            size: int) -> None:
    refusal = gzip.compress(b'{"err_code":"INVALID_AUTH"}')
    large = bytes(size)

    def refuse(listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        vendor, _ = listener.accept()
        vendor.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or its kernel may drop what it has not even sent
        with vendor if tls is None else tls.wrap_socket(vendor, server_side=True) as vendor:
            while b"\r\n\r\n" not in vendor.recv(65536):
                pass
            vendor.sendall(ok(refusal, b"Content-Encoding: gzip", status=b"401 Unauthorized"))

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"{'https://localhost' if options else 'http://127.0.0.1'}:{listener.getsockname()[1]}"
            async with relaying(settings(url, options.get("listener"))) as relay:
                for number in range(1, 6):
                    refusing = asyncio.create_task(asyncio.to_thread(refuse, listener, options.get("vendor_tls")))
                    client = await relay.connect()
                    sending = asyncio.create_task(client.send(posting(large, REST)))
                    head, body = await client.message()
                    assert head.startswith(b"HTTP/1.1 401 ")
                    assert body == refusal
                    client.rst()
                    await asyncio.gather(sending, return_exceptions=True)
                    await refusing
                    await over(relay)
                    assert counted(relay) == ({"4xx": number}, {"INVALID_AUTH"})

    run(main(), loop)


def test_a_target_as_for_a_proxy_is_its_path(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            for asked in (asking(b"GET", b"http://elsewhere.test" + REST + b"?a=b"), request(b"http://elsewhere.test/v1/listen?a=b")):
                client, vendor = await relay.call(asked), await arrived(relay)
                head = await vendor.head()
                assert head.startswith((b"GET /v1/projects?a=b HTTP/1.1\r\n", b"GET /v1/listen?a=b HTTP/1.1\r\n"))
                assert b"elsewhere" not in head
                client.rst()
            await relay.report()

    run(main(), loop)


@pytest.mark.parametrize("broken", [b"zz\r\nabc\r\n", b"3\r\nabcXX5\r\n"])
def test_a_body_that_is_no_http_is_refused(loop: str, broken: bytes) -> None:
    async def main() -> None:
        async with rig() as relay:
            client = await relay.call(asking(b"POST", REST, b"Transfer-Encoding: chunked") + b"2\r\nab\r\n")
            vendor = await arrived(relay)
            await vendor.head()
            assert await vendor.exactly(7) == b"2\r\nab\r\n"
            await client.send(broken)
            assert b"sidecar_bad_request" in await client.rest()
            assert b"0\r\n\r\n" not in await vendor.rest()  # cut, not ended

    run(main(), loop)


# The answer


@pytest.mark.parametrize(("method", "answer"), [
    (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\n\r\n"),
    (b"HEAD", b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n"),
    (b"GET", b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: x\r\n\r\n"),
    (b"GET", ok(b"", b"Location: https://elsewhere.test/", status=b"307 Temporary Redirect")),
    (b"GET", ok(gzip.compress(b'{"a":1}', mtime=0), b"Content-Encoding: gzip", b"Content-Type: application/json")),
    (b"GET", ok(b"", status=b"500 Ouch")),
], ids=["head", "head 404", "204", "304", "redirect", "gzip", "reason"])
def test_answers_pass_as_they_are_and_the_connection_stays(loop: str, method: bytes, answer: bytes) -> None:
    async def main() -> None:
        async with rig(replying(answer, ok(b"second"))) as relay:
            client = await relay.call(asking(method, REST))
            assert await client.exactly(len(answer)) == answer
            await client.send(asking(b"GET", REST))
            assert (await client.message())[1] == b"second"
            assert relay.vendor is not None
            assert len(relay.vendor.peers) == 2

    run(main(), loop)


def test_informational_answers_are_left_out(loop: str) -> None:
    async def main() -> None:
        async with rig(replying(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok(b"x"))) as relay:
            assert (await (await relay.call(asking(b"GET", REST))).message())[0].startswith(b"HTTP/1.1 200 OK")

    run(main(), loop)


def test_chunks_come_as_chunks(loop: str, options: dict[str, Any]) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n" + in_chunks(BIG[:300_000], 40_000) + b"0\r\n\r\n"

    async def main() -> None:
        async with rig(replying(answer, ok()), **options) as relay:
            client = await relay.call(asking(b"GET", REST))
            head, body = await client.message()
            assert head == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"
            assert body == BIG[:300_000]
            await client.send(asking(b"GET", REST))
            await client.message()

    run(main(), loop)


def test_each_chunk_is_passed_on_when_it_comes(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.call(asking(b"GET", REST)), await arrived(relay)
            await vendor.head()
            await vendor.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            await client.head()
            for piece in (b"one", b"two"):
                await vendor.send(b"3\r\n%b\r\n" % piece)
                assert await client.exactly(8) == b"3\r\n%b\r\n" % piece
            await vendor.send(b"0\r\n\r\n")
            assert await client.exactly(5) == b"0\r\n\r\n"

    run(main(), loop)


def test_a_large_answer_waits_for_a_slow_client(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.call(asking(b"GET", REST)), await arrived(relay)
            client.transport.pause_reading()
            await vendor.head()
            sending = asyncio.create_task(vendor.send(ok(BIG * 5)))
            await until_still(vendor.transport.get_write_buffer_size)
            assert not sending.done()
            client.transport.resume_reading()
            assert (await client.message())[1] == BIG * 5
            await sending

    run(main(), loop)


def test_a_body_that_ends_with_the_connection(loop: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with rig(answering(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nto the end"), **options) as relay:
            client = await relay.call(asking(b"GET", REST))
            assert await client.rest() == b"HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: close\r\n\r\nto the end"
            assert counted(relay) == ({"2xx": 1}, set())

    run(main(), loop)


def test_an_old_client_gets_no_chunks(loop: str) -> None:
    async def main() -> None:
        async with rig(replying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(b"whole", 2) + b"0\r\n\r\n")) as relay:
            client = await relay.call(b"GET /v1/projects HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert await client.rest() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole"

    run(main(), loop)


@pytest.mark.parametrize(("answer", "code"), [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "transport_eof"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "transport_eof"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz", "sidecar_bad_upstream"),
], ids=["length", "chunks", "garbage"])
def test_a_body_that_the_vendor_cut_is_seen_as_cut(loop: str, answer: bytes, code: str) -> None:
    async def main() -> None:
        async with rig(answering(answer)) as relay:
            client = await relay.call(asking(b"GET", REST))
            got = await client.rest()
            assert got.startswith(answer.partition(b"\r\n\r\n")[0])
            assert answer.startswith(got)  # and no end that we made up
            await over(relay)
            assert counted(relay) == ({"2xx": 1}, {code})

    run(main(), loop)


def test_a_reset_is_no_end_of_a_body_without_a_length(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.call(asking(b"GET", REST)), await arrived(relay)
            await vendor.head()
            await vendor.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
            await client.head()
            assert await client.exactly(4) == b"half"
            vendor.rst()
            assert await client.reset()
            await over(relay)
            assert counted(relay) == ({"2xx": 1}, {"transport_reset"})

    run(main(), loop)


@pytest.mark.parametrize("surplus", [b"!", b"HTTP/1.1 200 OK\r\n\r\n", b"\r\nmore"])
def test_more_bytes_than_declared_are_left_out(loop: str, surplus: bytes) -> None:
    async def main() -> None:
        async with rig(replying(ok(b"denied", status=b"403 Forbidden") + surplus)) as relay:
            assert (await (await relay.call(asking(b"GET", REST))).message())[1] == b"denied"


def test_a_refused_upgrade_with_more_bytes_than_declared_is_the_vendors(loop: str) -> None:
    async def main() -> None:
        async with rig(answering(ok(b"denied", status=b"403 Forbidden") + b"surplus")) as relay:
            assert (await (await relay.call(request())).rest()).endswith(b"Connection: close\r\n\r\ndenied")
            assert (await relay.report()).verdict.http_status == 403

    run(main(), loop)


# No answer


@pytest.mark.parametrize(("sent", "how", "status"), [
    (None, "transport_eof", b"502"),
    (b"", "transport_reset", b"502"),
    (b"\x15\x03\x01 not HTTP\r\n\r\n", "sidecar_bad_upstream", b"502"),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "sidecar_bad_upstream", b"502"),
])
def test_no_answer_is_an_answer_of_ours(loop: str, told: Lines, sent: bytes | None, how: str, status: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.message()
        if sent:
            await peer.send(sent)
        peer.writer.close() if sent is None else await asyncio.sleep(0) if sent else peer.rst()

    async def main() -> None:
        async with rig(script) as relay:
            client = await relay.call(posting(b"{}"))
            head, body = await client.message()
            assert head.split(b" ")[1] == status
            assert b"x-earwitness: " + how.encode() in head
            assert how.encode() in body
            assert await client.rest() == b""
            await over(relay)
            assert counted(relay) == ({"none": 1}, {how})
            [line] = told
            assert (line["event"], line["phase"], line["code"], line["owner"]) == ("http_failed", "session_token", how, "network")

    run(main(), loop)


def test_a_vendor_that_is_not_there(loop: str) -> None:
    async def main() -> None:
        async with rig(listener={"upstream": dict.fromkeys(("listen-v1", "listen-v2", "grant", "rest"), "http://127.0.0.1:1")}) as relay:
            client = await relay.call(asking(b"HEAD", REST))
            assert (await client.rest()).startswith(b"HTTP/1.1 502 ")
            client = await relay.call(posting(BIG))  # what it sends is read, or it would not read
            assert b"transport_refused" in (await client.message())[1]
            await over(relay)
            assert counted(relay) == ({"none": 2}, {"transport_refused"})

    run(main(), loop)


def test_a_vendor_that_does_not_answer(loop: str) -> None:
    async def main() -> None:
        async with rig(timeouts=Timeouts(dial=0.2)) as relay:
            client = await relay.call(posting(b"{}"))
            head, _ = await client.message()
            assert head.startswith(b"HTTP/1.1 504 ")
            await over(relay)
            assert counted(relay) == ({"none": 1}, {"transport_timeout"})

    run(main(), loop)


def test_a_client_that_stops_in_the_middle(loop: str, told: Lines) -> None:
    async def main() -> None:
        async with rig(timeouts=Timeouts(dial=0.2)) as relay:
            client = await relay.call(asking(b"POST", GRANT, b"Content-Length: 10") + b"half")
            assert (await client.message())[0].startswith(b"HTTP/1.1 408 ")
            await over(relay)
            [line] = told
            assert (line["code"], line["owner"]) == ("sidecar_request_stalled", "client")

    run(main(), loop)


def test_as_long_as_something_moves_nobody_is_cut_off(loop: str) -> None:
    async def main() -> None:
        async with rig(timeouts=Timeouts(dial=0.3)) as relay:
            client = await relay.call(asking(b"POST", GRANT, b"Content-Length: 10"))
            vendor = await arrived(relay)
            await vendor.head()
            began = asyncio.get_running_loop().time()
            for _ in range(10):
                await asyncio.sleep(0.05)
                await client.send(b"x")
                await vendor.exactly(1)
            assert asyncio.get_running_loop().time() - began > 0.3
            await vendor.send(ok(b"patience"))
            assert (await client.message())[1] == b"patience"

    run(main(), loop)


# Who leaves


@pytest.mark.parametrize("uploading", [True, False])
def test_a_client_that_leaves_takes_the_vendors_leg_with_it(loop: str, options: dict[str, Any], told: Lines, uploading: bool) -> None:
    async def main() -> None:
        async with rig(**options) as relay:
            client = await relay.call(asking(b"POST", REST, b"Content-Length: 10") + (b"half" if uploading else b"all of it."))
            vendor = await arrived(relay)
            await vendor.head()
            await vendor.exactly(4 if uploading else 10)
            client.rst()
            assert await vendor.rest() == b""
            await over(relay)
            assert counted(relay) == ({"none": 1}, set())
            assert [line["event"] for line in told] == ["http_abandoned"]

    run(main(), loop)


def test_a_client_that_leaves_while_it_is_not_read(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client = await relay.connect()
            sending = asyncio.create_task(client.send(posting(BIG * 5, REST)))
            vendor = await arrived(relay)
            vendor.transport.pause_reading()
            await until_still(client.transport.get_write_buffer_size)
            client.rst()
            await over(relay)
            await asyncio.gather(sending, return_exceptions=True)

    run(main(), loop)


def test_a_client_that_leaves_in_the_middle_of_the_answer(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.call(asking(b"GET", REST)), await arrived(relay)
            await vendor.head()
            sending = asyncio.create_task(vendor.send(ok(BIG * 5)))
            await client.head()
            client.rst()
            await over(relay)
            await asyncio.gather(sending, return_exceptions=True)
            assert counted(relay) == ({"2xx": 1}, set())

    run(main(), loop)


# What it means


def test_a_refusal_is_classified_and_shows_no_secret(loop: str, told: Lines) -> None:
    body = gzip.compress(b'{"err_code":"INVALID_AUTH","err_msg":"Invalid token=SECRETSECRET1 given","request_id":"r-1"}')

    async def main() -> None:
        answer = ok(body, b"Content-Encoding: gzip", b"dg-request-id: r-2", b"Retry-After: 3", status=b"401 Unauthorized")
        async with rig(replying(answer), correlation=Correlation(headers=("X-Call-Id",))) as relay:
            client = await relay.call(posting(b"SECRETSECRET2", GRANT + b"?token=SECRETSECRET3", b"Authorization: Token SECRETSECRET4",
                                              b"X-Call-Id: 42"))
            assert (await client.message())[1] == body
            await over(relay)
            assert counted(relay) == ({"4xx": 1}, {"INVALID_AUTH"})
            [line] = told
            assert (line["phase"], line["category"], line["owner"], line["retry"], line["http_status"], line["req_id"],
                    line["retry_after_seconds"], line["outcome"]) == (
                "session_token", "auth", "operator", "after_fix", 401, "r-2", 3.0, "refused_by_vendor")
            assert line["correlation"] == {"X-Call-Id": "42"}
            assert "SECRET" not in str(told)

    run(main(), loop)


def test_a_large_page_is_looked_at_only_in_its_beginning(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def noting(data: bytes, encoding: str) -> bytes:
        seen.append(len(data))
        return beginning(data, encoding)

    monkeypatch.setattr(forward, "beginning", noting)

    async def main() -> None:
        async with rig(replying(ok(BIG, status=b"500 Oops"))) as relay:
            assert (await (await relay.call(asking(b"GET", REST))).message())[1] == BIG
            await over(relay)
            assert seen == [LOOKED_AT]

    run(main(), loop)


def test_an_upgrade_has_routes_of_its_own(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            for target in (REST, GRANT):
                assert b"sidecar_not_found" in await (await relay.call(request(target))).rest()
                await relay.report()
            client = await relay.call(asking(b"POST", b"/v1/listen?model=x", b"Content-Length: 0"))
            assert (await (await arrived(relay)).head()).startswith(b"POST /v1/listen?model=x HTTP/1.1\r\n")
            client.rst()
            client = await relay.call(asking(b"GET", b"/v7/x"))
            assert b"sidecar_not_found" in await client.rest()
            await over(relay)
            assert counted(relay)[1] == {"sidecar_not_found"}

    run(main(), loop)


# One connection, several requests


def test_requests_in_a_row_and_an_upgrade_after_them(loop: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with rig(**options) as relay:
            client = await relay.call(posting(b"one") + posting(b"two", REST))  # the second before the first has its answer
            for body in (b"one", b"two"):
                vendor = await arrived(relay)
                assert (await vendor.message())[1] == body
                assert relay.vendor is not None
                assert relay.vendor.arrived.empty()
                await vendor.send(ok(b"to " + body))
                assert (await client.message())[1] == b"to " + body
            await client.send(request())
            vendor = await arrived(relay)
            assert b"Upgrade: websocket" in await vendor.head()
            await vendor.send(SWITCHING)
            await client.head()
            data = frame(2, b"x" * 10, mask=b"abcd")
            await client.send(data)
            assert await vendor.exactly(len(data)) == data
            client.rst()
            await relay.report()

    run(main(), loop)


@pytest.mark.parametrize("head", [
    asking(b"POST", REST, b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\nGET /v1/evil HTTP/1.1\r\nHost: x\r\n\r\n"),
    asking(b"POST", REST, b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
    asking(b"POST", REST, b"Content-Length: 5, 5", body=b"hello"),
    asking(b"POST", REST, b"Content-Length: +5", body=b"hello"),
    asking(b"POST", REST, b"Content-Length: 0x5", body=b"hello"),
    asking(b"POST", REST, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    asking(b"POST", REST, b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    asking(b"POST", REST, b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    asking(b"POST", REST, b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    asking(b"POST", REST, b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    asking(b"GET", REST, b"Host: other.test"),
    asking(b"GET", REST).replace(b"\r\n", b"\n"),
    asking(b"GET", REST, b"X: a\nContent-Length: 5"),
    asking(b"GET", REST, b"X: a\rContent-Length: 5"),
    asking(b"GET", REST, b"X: a", b" Content-Length: 5"),
    asking(b"GET", b"/v1/x y"),
    b"POST /v1/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    asking(b"GET", REST).replace(b"HTTP/1.1", b"HTTP/1.2"),
    asking(b"CONNECT", b"/v1/x"),
])
def test_shapes_that_others_read_differently_are_refused(loop: str, head: bytes) -> None:
    async def never(peer: Peer) -> None:
        raise AssertionError("the vendor was dialled")

    async def main() -> None:
        async with rig(never) as relay:
            client = await relay.call(head)
            got = await client.rest()
            assert got.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ", b"HTTP/1.1 426 "))
            assert got.count(b"x-earwitness: ") == 1

    run(main(), loop)


def test_a_body_never_becomes_a_request(loop: str) -> None:
    inner = asking(b"GET", b"/v1/evil")

    async def main() -> None:
        async with rig(replying(ok(b"1"), ok(b"2"))) as relay:
            chunked = asking(b"POST", GRANT, b"Transfer-Encoding: chunked") + in_chunks(inner, 7) + b"0\r\n\r\n"
            client = await relay.call(posting(inner) + chunked)
            assert [(await client.message())[1], (await client.message())[1]] == [b"1", b"2"]
            assert relay.vendor is not None
            assert len(relay.vendor.peers) == 2

    run(main(), loop)


def test_all_of_a_head_together_has_a_bound(loop: str) -> None:
    many = b"".join(b"X-%d: %b\r\n" % (at, b"v" * 60_000) for at in range(100))

    async def main() -> None:
        async with rig(replying(ok())) as relay:
            client = await relay.connect()
            sending = asyncio.create_task(client.send(b"GET /v1/x HTTP/1.1\r\nHost: x\r\n" + many))
            assert b"sidecar_bad_request" in await client.head()
            await asyncio.gather(sending, return_exceptions=True)
            assert relay.app.ledger.rejections["bad_request",] == 1
            client = await relay.call(b"GET /v1/x HTTP/1.1\r\nHost: x\r\n" + many[:180_000].rpartition(b"X-")[0] + b"\r\n")
            assert (await client.message())[0].startswith(b"HTTP/1.1 200 ")

    run(main(), loop)


# The end of the process


def test_a_drain_lets_exchanges_end_and_takes_no_new_ones(loop: str) -> None:
    async def main() -> None:
        async with rig(drain=Drain(accept_seconds=0, grace_seconds=30)) as relay:
            client, vendor = await relay.call(posting(b"{}")), await arrived(relay)
            idle = await relay.connect()
            await until(lambda: len(relay.app.relay.forwards) == 1)
            await vendor.message()
            relay.app.drain()
            await until(lambda: relay.app.relay.draining)
            await idle.send(asking(b"GET", REST))
            head, _ = await idle.message()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"sidecar_draining" in head
            assert not relay.app.drained.is_set()
            await vendor.send(ok(b"still"))
            head, body = await client.message()
            assert b"Connection: close" in head
            assert body == b"still"
            await relay.app.drained.wait()

    run(main(), loop)


def test_what_outlasts_the_grace_is_ended(loop: str) -> None:
    async def main() -> None:
        async with rig(drain=Drain(accept_seconds=0, grace_seconds=0)) as relay:
            waits, vendor = await relay.call(posting(b"{}")), await arrived(relay)
            await vendor.message()
            reads, other = await relay.call(asking(b"GET", REST)), await arrived(relay)
            await other.head()
            await other.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            await reads.head()
            relay.app.drain()
            await relay.app.drained.wait()
            assert b"sidecar_draining" in (await waits.message())[0]
            assert await reads.rest() == b"half"

    run(main(), loop)


def test_a_fault_of_ours_is_an_answer(loop: str, monkeypatch: pytest.MonkeyPatch, told: Lines) -> None:
    def broken(*_: object, **__: object) -> bytes:
        raise RuntimeError("broken")

    async def main() -> None:
        async with rig(replying(ok(), ok())) as relay:
            monkeypatch.setattr(forward, "plain_answer_head", broken)
            assert b"sidecar_internal" in await (await relay.call(asking(b"GET", REST))).rest()
            await over(relay)
            assert counted(relay)[1] == {"sidecar_internal"}

    run(main(), loop)
