"""What a client may try with a request, through a whole relay: what is refused, and of the rest what the vendor gets to see.

Each is sent on a connection of its own; one relay and one vendor see all of them, so that what one leaves behind hits the next.
"""

from __future__ import annotations

import asyncio
from typing import Final

from tests.aio import run
from tests.relay.peers import KEY, Peer, request, rig, until

HOST: Final = b"Host: relay.test\r\n"
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def asking(target: bytes, *fields: bytes, method: bytes = b"GET", body: bytes = b"") -> bytes:
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: relay.test", *fields]) + b"\r\n\r\n" + body


def posting(*fields: bytes, body: bytes) -> bytes:
    return asking(b"/v1/x", *fields, method=b"POST", body=body)


NEXT: Final = b"GET /v1/evil HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED: Final = {
    "both lengths": posting(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + NEXT),
    "two lengths": posting(b"Content-Length: 3", b"Content-Length: 3", body=b"abc"),
    "a list of lengths": posting(b"Content-Length: 3, 3", body=b"abc"),
    "a signed length": posting(b"Content-Length: +3", body=b"abc"),
    "a negative length": posting(b"Content-Length: -3", body=b"abc"),
    "an underscore": posting(b"Content-Length: 1_0", body=b"abcdefghij"),
    "Arabic digits": posting("Content-Length: \u0663".encode(), body=b"abc"),
    "a length of 23 digits": posting(b"Content-Length: " + b"9" * 23, body=b"abc"),
    "no length": posting(b"Content-Length: ", body=NEXT),
    "a coding nobody knows": posting(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "another coding": posting(b"Transfer-Encoding: identity", b"Content-Length: 3", body=b"abc"),
    "two codings": posting(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunked, not last": posting(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "chunked twice": posting(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunked, and nothing after a comma": posting(b"Transfer-Encoding: chunked,", body=b"0\r\n\r\n"),
    "nothing before a comma, and chunked": posting(b"Transfer-Encoding: ,chunked", body=b"0\r\n\r\n" + NEXT),
    "a coding in quotes": posting(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n" + NEXT),
    "a coding with a parameter": posting(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n" + NEXT),
    "a coding of nothing": posting(b"Transfer-Encoding:", b"Content-Length: 3", body=b"abc" + NEXT),
    "chunks of another age": posting(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + NEXT).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "a blank after a chunk's size": posting(b"Transfer-Encoding: chunked", body=b"3 \r\nabc\r\n0\r\n\r\n"),
    "an underscore in a chunk's size": posting(b"Transfer-Encoding: chunked", body=b"1_0\r\nabcdefghijklmnop\r\n0\r\n\r\n"),
    "trailers without end": posting(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 5000),
    "an endless trailer": posting(b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\nX: " + b"y" * 70_000),
    "a tab before it": posting(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "a blank before the colon": posting(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "a folded coding": posting(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n"),
    "a line end in an extension": posting(b"Transfer-Encoding: chunked", body=b"3;a\nb\r\nabc\r\n0\r\n\r\n"),
    "chunks without returns": posting(b"Transfer-Encoding: chunked", body=b"3\nabc\n0\n\n"),
    "a hexadecimal prefix": posting(b"Transfer-Encoding: chunked", body=b"0x3\r\nabc\r\n0\r\n\r\n"),
    "a signed chunk": posting(b"Transfer-Encoding: chunked", body=b"+3\r\nabc\r\n0\r\n\r\n"),
    "a chunk that overflows": posting(b"Transfer-Encoding: chunked", body=b"fffffffffffffffff3\r\nabc\r\n0\r\n\r\n"),
    "a chunk that is too long": posting(b"Transfer-Encoding: chunked", body=b"3\r\nabcd0\r\n\r\n"),
    "no returns": asking(b"/v1/x").replace(b"\r\n", b"\n"),
    "a line feed in a value": asking(b"/v1/x", b"X: a\nY: b"),
    "a return in a value": asking(b"/v1/x", b"X: a\rY: b"),
    "two returns": asking(b"/v1/x", b"X: a\r", b"Y: b"),
    "a zero in a value": asking(b"/v1/x", b"X: a\0b"),
    "a control character": asking(b"/v1/x", b"X: a\x01b"),
    "a character that is rubbed out": asking(b"/v1/x", b"X: a\x7fb"),
    "one in a subprotocol": request(b"/v1/listen", b"Sec-WebSocket-Protocol: token, key\x7f"),
    "a line end in a subprotocol": request(b"/v1/listen", b"Sec-WebSocket-Protocol: token,\r key"),
    "a folded value": asking(b"/v1/x", b"X: a", b" b: c"),
    "a blank before the first name": b"GET /v1/x HTTP/1.1\r\n Host: a\r\n\r\n",
    "no colon": asking(b"/v1/x", b"X"),
    "no name": asking(b"/v1/x", b": x"),
    "a blank in a name": asking(b"/v1/x", b"X y: x"),
    "a name that is no ASCII": asking(b"/v1/x", b"X\xe9: x"),
    "two hosts": asking(b"/v1/x", b"Host: b"),
    "no host": b"GET /v1/x HTTP/1.1\r\n\r\n",
    "two hosts of an upgrade": request(b"/v1/listen", b"Host: b"),
    "a tab in the target": asking(b"/v1/x\ty"),
    "a blank in the target": asking(b"/v1/x y"),
    "bytes in the target": asking(b"/v1/\xff\xfe"),
    "a control character in the target": asking(b"/v1/\x01"),
    "letters in the target that are no ASCII": asking("/v1/x?a=\u00fc".encode()),
    "a line end in the path, escaped": asking(b"/v1/x%0d%0aX:%20y"),
    "an upgrade to a path with a line end": request(b"/v1/listen/%0aX:y"),
    "a method in lower case": asking(b"/v1/x", method=b"get"),
    "back slashes for a host": asking(b"http:\\\\evil.example/v1/x"),
    "no host in the target": asking(b"http:///v1/x"),
    "a version of another age": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version in lower case": asking(b"/v1/x").replace(b"HTTP", b"http"),
    "a method of bytes": asking(b"/v1/x", method=b"GE\xe9T"),
    "an endless method": asking(b"/v1/x", method=b"A" * 70_000),
    "a tunnel": asking(b"evil.example:443", method=b"CONNECT"),
    "a tunnel to a path": asking(b"/v1/x", method=b"CONNECT"),
    "a tunnel to a host's tail": asking(b".evil.example:443", method=b"CONNECT"),
    "an upgrade with a body": request(b"/v1/listen", b"Content-Length: 5") + b"abcde",
    "an upgrade with chunks": request(b"/v1/listen", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "an upgrade that posts": request(b"/v1/x", b"Content-Length: 2").replace(b"GET", b"POST") + b"hi",
    "an endless target": asking(b"/v1/" + b"x" * 70_000),
    "an endless value": asking(b"/v1/x", b"X: " + b"x" * 70_000),
    "endless fields": asking(b"/v1/x", *(b"X-%d: 1" % n for n in range(300))),
    "another host's socket": request(b"ws://evil.example/v1/listen"),
    "another scheme": asking(b"ftp://evil.example/v1/x"),
    "all of a server": asking(b"*", method=b"OPTIONS"),
    "two slashes": asking(b"//v1/x"),
    "two slashes and a host": asking(b"//evil.example/v1/x"),
    **{f"a way out: {way.decode()}": asking(b"/v1/" + way) for way in (
        b"../x", b"%2e%2e/x", b"%252e%252e/x", b"..%252fx", b"%c0%ae%c0%ae/x", b"%u002e%u002e/x", b"..;/x", b"..;a=b/x", b"%2e%2e%3b/x",
        b"..%00/x", b".%09./x", b"..%20/x", b"..\\x", b"..%5cx", b"..#/x", b"x#/../y", b"%ef%bc%8e%ef%bc%8e/x", b"./x", b"..",
    )},
    **{f"a way out of an upgrade: {way.decode()}": request(b"/v1/listen/" + way)
       for way in (b"../projects", b"%2e%2e/x", b"..;/x", b"..%252fx")},
}
"""None of these reaches a vendor."""

SEEN: Final = {
    "a proxy's form": (asking(b"http://evil.example:99/v1/x?a=%2F"), b"GET /v1/x?a=%2F HTTP/1.1\r\nHost: {}\r\n\r\n"),
    "a proxy's form with a name": (asking(b"http://a:b@evil.example/v1/x"), b"GET /v1/x HTTP/1.1\r\nHost: {}\r\n\r\n"),
    "a host with a path": (asking(b"/v1/x").replace(b"relay.test", b"a@evil/../x?y#z"), b"GET /v1/x HTTP/1.1\r\nHost: {}\r\n\r\n"),
    "no host, long ago": (b"GET /v1/x HTTP/1.0\r\n\r\n", b"GET /v1/x HTTP/1.1\r\nHost: {}\r\n\r\n"),
    "other names for a host": (asking(b"/v1/x", b"X-Forwarded-Host: evil", b"Forwarded: host=evil"),
                               b"GET /v1/x HTTP/1.1\r\nHost: {}\r\nX-Forwarded-Host: evil\r\nForwarded: host=evil\r\n\r\n"),
    "lengths nominated away": (posting(b"Connection: Transfer-Encoding, Content-Length, Host", b"Transfer-Encoding: chunked",
                                       body=b"3\r\nabc\r\n0\r\n\r\n"),
                               b"POST /v1/x HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    "trailers": (posting(b"Transfer-Encoding: chunked", b"Trailer: X-T", body=b"3\r\nabc\r\n0\r\nX-T: 1\r\nX-Evil: 2\r\n\r\n"),
                 b"POST /v1/x HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    "extensions of chunks": (posting(b"Transfer-Encoding: chunked", body=b"3;a=b\r\nabc\r\n0;c\r\n\r\n"),
                             b"POST /v1/x HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    "names that some servers read as others": (
        posting(b"Transfer_Encoding: chunked", b"Content_Length: 0", b"Content-Length: 3", body=b"abc"),
        b"POST /v1/x HTTP/1.1\r\nHost: {}\r\nTransfer_Encoding: chunked\r\nContent_Length: 0\r\nContent-Length: 3\r\n\r\nabc"),
    "a line end in the query, escaped": (asking(b"/v1/x?a=%0d%0aX:%20y"), b"GET /v1/x?a=%0d%0aX:%20y HTTP/1.1\r\nHost: {}\r\n\r\n"),
    "an upgrade to something else": (asking(b"/v1/x", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"),
                                     b"GET /v1/x HTTP/1.1\r\nHost: {}\r\n\r\n"),
    "an upgrade in a list": (asking(b"/v1/x", b"Connection: Upgrade", b"Upgrade: h2c, websocket", b"Sec-WebSocket-Key: " + KEY),
                             b"GET /v1/x HTTP/1.1\r\nHost: {}\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"),
    "a request after an upgrade": (request(b"/v1/listen") + NEXT,
                                   request(b"/v1/listen").replace(b"relay.test", b"{}")),  # it waits for a 101 that does not come
    "names that are escaped": (asking(b"/v1/%61%2Fb//c;d"), b"GET /v1/%61%2Fb//c;d HTTP/1.1\r\nHost: {}\r\n\r\n"),
}
"""What the vendor gets, to the last byte."""


def test_what_is_refused() -> None:
    async def never(peer: Peer) -> None:
        # A body may be seen to be broken only after its head has gone; then the request is cut, and nothing follows.
        got = await peer.rest()
        assert b"evil" not in got
        assert not got.endswith((b"\r\n0\r\n\r\n", b"abc"))

    async def main() -> None:
        async with rig(never) as relay:
            for name, raw in REFUSED.items():
                client = await relay.connect()
                sending = asyncio.create_task(client.send(raw))
                head = await client.head()
                status = int(head[9:12])
                assert (b"\r\nx-earwitness: sidecar_" in head) & (status in (400, 404, 426)), (name, head)
                assert b"x-earwitness" not in await client.rest(), name
                await asyncio.gather(sending, return_exceptions=True)
                client.rst()

    run(main())


def test_what_the_vendor_sees_of_the_rest() -> None:
    got: list[bytes] = []

    async def listen(peer: Peer) -> None:
        head = await peer.head()
        body = await peer.reader.readuntil(b"0\r\n\r\n") if b"-Encoding: chunked" in head else b""
        body += await peer.exactly(3) if b"\r\nContent-Length: 3" in head else b""
        await peer.send(ANSWER)
        got.append(head + body + await peer.rest())

    async def main() -> None:
        async with rig(listen) as relay:
            assert relay.vendor is not None
            host = b"127.0.0.1:%d" % relay.vendor.port
            for name, (raw, seen) in SEEN.items():
                client = await relay.call(raw)
                assert (await client.head()).startswith(b"HTTP/1.1 200 "), name
                assert await client.exactly(2) == b"hi"
                client.rst()
                await until(lambda: bool(got))
                assert got.pop() == seen.replace(b"{}", host), name

    run(main())
