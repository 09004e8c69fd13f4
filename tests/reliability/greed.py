"""Greedy peers in a process of their own: a vendor, and clients that come to it through the relay. Usage:

    python -m tests.reliability.greed RELAY_PORT VENDOR_PORT NAME

Starts with a line on standard input; goes on until it is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys
import zlib
from dataclasses import dataclass
from typing import Final, cast

import uvloop

from tests.relay.peers import SWITCHING, TARGET, frame, request

BLOCK: Final = 256 * 1024
MASK: Final = b"abcd"
SLOW: Final = 500
DEFLATE: Final = b"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover"
LISTS: Final = b'{"type":"Results","a":[' + b"[]," * 21_000 + b"[]]}"
"""63 KiB of JSON that take milliseconds to read; deflated, a hundred bytes."""
TWO_GIB: Final = b"\x82\xff" + struct.pack(">Q", 2 << 30) + MASK


def filled(one: bytes) -> bytes:
    return one * max(1, BLOCK // len(one))


@dataclass(frozen=True)
class Greed:
    """What the client says, first and then without end, and what the vendor does. `reads` tells who reads."""

    what: str
    client_first: bytes = b""
    client: bytes = b""
    vendor_first: bytes = b""
    vendor: bytes = b""
    client_reads: bool = True
    vendor_reads: bool = True
    deflates: bool = False
    """Whether both ends agree on permessage-deflate, each message for itself."""


def deflated(text: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


GREEDS: Final = {
    "client_unread": Greed("a client that reads nothing while the vendor talks", vendor=filled(frame(2, bytes(65536))), client_reads=False),
    "vendor_unread": Greed("a vendor that reads nothing while the client sends", client=filled(frame(2, bytes(65536), mask=MASK)),
                           vendor_reads=False),
    "slow_heads": Greed(f"{SLOW} handshakes at a byte a second"),
    "one_byte": Greed("frames of one byte", client=filled(frame(2, b"x", mask=MASK))),
    "two_gib": Greed("frames of 2 GiB, one after the other", client_first=TWO_GIB, client=bytes(BLOCK)),
    "empty": Greed("empty frames", client=filled(frame(2, b"", mask=MASK))),
    "continued": Greed("a text continued without end", client_first=frame(1, b'{"a":"', fin=False, mask=MASK),
                       client=filled(frame(0, b" " * 1024, fin=False, mask=MASK))),
    "pings": Greed("a client's pings of 125 bytes", client=filled(frame(9, bytes(125), mask=MASK))),
    "texts": Greed("a client's keep-alives", client=filled(frame(1, b'{"type":"KeepAlive"}', mask=MASK))),
    "lists": Greed("JSON of 63 KiB with nothing but lists", client=filled(frame(1, LISTS, mask=MASK))),
    "deflated": Greed("the same, deflated to 100 bytes", client=filled(frame(0x41, deflated(LISTS), mask=MASK)), deflates=True),
    "vendor_pings": Greed("a vendor's pings of 125 bytes", vendor=filled(frame(9, bytes(125)))),
}


async def says(writer: asyncio.StreamWriter, first: bytes, block: bytes) -> None:
    writer.write(first)
    while block:
        writer.write(block)
        await writer.drain()


async def hears(reader: asyncio.StreamReader, does: bool) -> None:
    while does and await reader.read(BLOCK):
        pass


async def main(relay: int, port: int, name: str) -> None:
    greed = GREEDS[name]

    async def vendor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SWITCHING.replace(b"\r\n\r\n", b"\r\n" + DEFLATE + b"\r\n\r\n") if greed.deflates else SWITCHING)
            if not greed.vendor_reads:
                cast(asyncio.Transport, writer.transport).pause_reading()
            await asyncio.gather(hears(reader, greed.vendor_reads), says(writer, greed.vendor_first, greed.vendor))

    server = await asyncio.start_server(vendor, "127.0.0.1", port, limit=BLOCK)
    await asyncio.to_thread(sys.stdin.readline)
    if name == "slow_heads":
        await asyncio.gather(*(slow(relay) for _ in range(SLOW)))
        return
    reader, writer = await asyncio.open_connection("127.0.0.1", relay, limit=BLOCK)
    writer.write(request(TARGET, DEFLATE) if greed.deflates else request())
    await reader.readuntil(b"\r\n\r\n")
    if not greed.client_reads:
        cast(asyncio.Transport, writer.transport).pause_reading()
    await asyncio.gather(hears(reader, greed.client_reads), says(writer, greed.client_first, greed.client))
    await asyncio.Event().wait()
    server.close()


async def slow(relay: int) -> None:
    """One after the other, each until it is sent away."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", relay)
            gone = asyncio.ensure_future(reader.read())
            for byte in request():
                writer.write(bytes([byte]))
                if (await asyncio.wait([gone], timeout=1.0))[0]:
                    break
            writer.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
