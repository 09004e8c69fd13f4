"""What a vendor, or whoever poses as it, may try with an answer's head or body: what the client gets to see of it.

Three answers of each kind: a 101, a refusal of an upgrade, an answer to a plain request.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.aio import run
from tests.relay.peers import ACCEPT, Peer, request, rig

PLAIN: Final = b"GET /v1/x HTTP/1.1\r\nHost: relay.test\r\n\r\n"
UPGRADED: Final = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n"
SWITCHED: Final = b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADED
REFUSED: Final = b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
EVIL: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


async def told(answer: bytes, asked: bytes) -> bytes:
    """All that the client gets within the life of the connection."""
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)
        peer.writer.close()

    async with rig(script) as relay:
        client = await relay.call(asked)
        got = b""
        try:
            while piece := await client.reader.read(1 << 16):
                got += piece
                if got.endswith(b"\r\n\r\nhi") and b"\r\nConnection: close" not in got:
                    break  # it stays for another request
        except ConnectionResetError:
            got += b"<reset>"
        return got


FIELDS: Final = (
    b"X: a\rSet-Cookie: b", b"X: a\r\r", b"X: a\0b", b"X: a\r\n\rb: c", b"X y: a", b"X : a", b"X\xe9: a", b"X\0: a", b": a", b"X",
)
LENGTHS: Final = (
    b"Transfer-Encoding: chunked", b"Content-Length: 1", b"Content-Length: 2", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked", b"Content-Length: +2", b"Content-Length: 2, 2",
)
STATUSES: Final = (b"000", b"099", b"1000", b"-200", b"2 0", b"", b"abc", b"2\0000")


@pytest.mark.parametrize(("start", "asked"), [(SWITCHED, request()), (REFUSED, request()), (OK, PLAIN)], ids=["101", "refusal", "plain"])
def test_heads_that_are_none(start: bytes, asked: bytes) -> None:
    async def main() -> None:
        for field in (*FIELDS, *(() if start is SWITCHED else LENGTHS)):
            got = await told(start + field + b"\r\n\r\nhi", asked)
            assert got.startswith(b"HTTP/1.1 502 ") & (b"x-earwitness: sidecar_bad_upstream" in got), (field, got)
            assert b"Set-Cookie" not in got
        for number in STATUSES:
            got = await told(b"HTTP/1.1 " + number + start[12:] + b"\r\nhi", asked)
            assert got.startswith(b"HTTP/1.1 502 ") & (b"x-earwitness: sidecar_bad_upstream" in got), (number, got)
        for reason in (b"A\rB: c", b"A\0B"):
            got = await told(start.replace(b"\r\n", b" " + reason + b"\r\n", 1) + b"\r\nhi", asked)
            assert got.startswith(b"HTTP/1.1 502 "), (reason, got)

    run(main())


@pytest.mark.parametrize(("field", "kept"), [
    (b"X: a\nY: b", b"X: a\r\nY: b"), (b"X: a\r\n b: c", b"X: a b: c"), (b"X: \xc3\xa9\xff", b"X: \xc3\xa9\xff"),
])
def test_what_is_read_one_way_is_passed_on_so_that_it_is_read_that_way(field: bytes, kept: bytes) -> None:
    """A parser that takes a lone line feed for a line end hands on two fields: the client gets two, and what was looked at is the same."""
    async def main() -> None:
        assert await told(SWITCHED + field + b"\r\n\r\n", request()) == SWITCHED + kept + b"\r\n\r\n"
        assert await told(REFUSED + field + b"\r\n\r\nhi", request()) == REFUSED + kept + b"\r\nConnection: close\r\n\r\nhi"
        assert await told(OK + field + b"\r\n\r\nhi", PLAIN) == OK + kept + b"\r\n\r\nhi"

    run(main())


CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("body", [
    b"2\nhi\n0\n\n", b"2;a\nb\r\nhi\r\n0\r\n\r\n", b"0x2\r\nhi\r\n0\r\n\r\n", b"2\r\nhi\r\n0\r\nX: a\rY: b\r\n\r\n",
], ids=["chunks without returns", "a line end in an extension", "a hexadecimal prefix", "a return in a trailer"])
def test_a_body_that_can_be_read_in_two_ways_has_no_end(body: bytes) -> None:
    async def main() -> None:
        got = await told(CHUNKED + body, PLAIN)
        assert got.startswith(CHUNKED)
        assert b"0\r\n\r\n" not in got[len(CHUNKED) :]

    run(main())


@pytest.mark.parametrize(("answer", "kept"), [
    (CHUNKED + b"2\r\nhi\r\n0\r\nSet-Cookie: a=b\r\n\r\n" + EVIL, CHUNKED + b"2\r\nhi\r\n0\r\n\r\n"),
    (OK + b"\r\nhi" + EVIL, OK + b"\r\nhi"),
    (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 1000 + OK + b"\r\nhi", OK + b"\r\nhi"),
    (b"HTTP/1.1 204 None\r\nContent-Length: 4\r\n\r\nevil", b"HTTP/1.1 204 None\r\n\r\n"),
], ids=["trailers and a second answer", "a second answer", "a thousand hints", "a body of nothing"])
def test_what_follows_a_body_is_nobodys_answer(answer: bytes, kept: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)

    async def main() -> None:
        async with rig(script) as relay:
            client = await relay.call(PLAIN)
            assert await client.exactly(len(kept)) == kept
            await client.send(PLAIN.replace(b"GET", b"CONNECT"))
            assert (await client.head()).startswith(b"HTTP/1.1 426 ")  # the next that comes is the answer to this

    run(main())
