"""Peers that are slow on purpose, or want everything: the bytes still cross, what is kept of them is bounded, others are served.

How much the others feel of it is measured by `make greedy`.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Final

from proxy.core.report import Report
from proxy.core.session import Session
from proxy.core.verdict import Inspection
from proxy.core.wire import LARGEST_TEXT
from proxy.settings.model import Timeouts
from tests.relay.peers import frame, request
from tests.reliability.rows_ends import AUDIO, talk
from tests.reliability.stage import PLAIN, End, Stage, row

MASK: Final = b"abcd"
KEPT: Final = 2 * LARGEST_TEXT
"""Bytes of messages that one session keeps at most, both ways: an open text each."""
LEFT: Final = "abandoned transport_reset client client client or abandoned transport_reset unknown client client"
CUT: Final = "error transport_reset network vendor vendor or error transport_reset unknown vendor vendor"
UNSEEN: Final = "ok normal none client client"
"""Nobody says that it has left without its end message, since that may have passed unread."""


def kept(session: Session) -> int:
    """Bytes of peers' messages that the session holds."""
    return sum(len(one._text) + len(one._captured) for one in (session.from_client, session.from_vendor))


async def pour(stage: Stage, source: End, sink: End, block: bytes, times: int) -> None:
    """Says it as fast as the other end hears it, and looks at what is kept meanwhile."""
    session = stage.the_call.session
    for _ in range(times):
        await asyncio.gather(source.says(block), sink.hears(len(block)))
        assert kept(session) <= KEPT
    stage.the_call.sample(0.0)


async def from_the_client(stage: Stage, block: bytes, times: int, first: bytes = b"") -> None:
    client, vendor = await talk(stage)
    if first:
        await pour(stage, client, vendor, first, 1)
    await pour(stage, client, vendor, block, times)
    client.rst()


async def from_the_vendor(stage: Stage, block: bytes, times: int, first: bytes = b"") -> None:
    client, vendor = await talk(stage)
    if first:
        await pour(stage, vendor, client, first, 1)
    await pour(stage, vendor, client, block, times)
    vendor.rst()


def bounded(report: Report, stage: Stage) -> None:
    assert report.self_.buffered_bytes_max < 1 << 20


def flooded(report: Report, stage: Stage) -> None:
    bounded(report, stage)
    assert report.inspection is Inspection.LOST
    assert stage.rig.app.ledger.warnings["deepgram", "deepgram", "flood"] == 1


@row("greedy", "frames of one byte at full speed (100,000)", client="101, left", vendor="RST", says=UNSEEN, also=flooded)
async def one_byte_frames(stage: Stage) -> None:
    await from_the_client(stage, frame(2, b"x", mask=MASK) * 10_000, 10)


@row("greedy", "empty frames at full speed (a million)", client="101, left", vendor="RST", says=UNSEEN, also=flooded, wires=PLAIN)
async def empty_frames(stage: Stage) -> None:
    await from_the_client(stage, frame(2, b"", mask=MASK) * 25_000, 40)


@row("greedy", "the vendor's empty frames at full speed (a million)", client="101, RST", says=CUT, also=flooded, wires=PLAIN)
async def empty_frames_of_the_vendor(stage: Stage) -> None:
    await from_the_vendor(stage, frame(2, b"") * 25_000, 40)


@row("greedy", "pings at full speed (100,000 of 125 bytes)", client="101, left", vendor="RST", says=UNSEEN, also=flooded)
async def ping_flood(stage: Stage) -> None:
    await from_the_client(stage, frame(9, bytes(125), mask=MASK) * 10_000, 10)


@row("greedy", "the vendor's pings at full speed (100,000 of 125 bytes)", client="101, RST", says=CUT, also=flooded)
async def ping_flood_of_the_vendor(stage: Stage) -> None:
    await from_the_vendor(stage, frame(9, bytes(125)) * 10_000, 10)


@row("greedy", "one binary frame of 2 GiB (its first 32 MiB; `make greedy` has the whole)", client="101, left", vendor="RST",
     says=LEFT, also=bounded)
async def one_frame_of_2_gib(stage: Stage) -> None:
    await from_the_client(stage, bytes(1 << 20), 32, b"\x82\xff" + struct.pack(">Q", 2 << 30) + MASK)


@row("greedy", "one text of the vendor's of 2 GiB (its first 32 MiB)", client="101, RST", says=CUT, also=bounded)
async def one_text_of_2_gib(stage: Stage) -> None:
    await from_the_vendor(stage, b" " * (1 << 20), 32, b"\x81\x7f" + struct.pack(">Q", 2 << 30))


@row("greedy", "a text continued without end (32 MiB)", client="101, left", vendor="RST", says=LEFT, also=bounded)
async def endless_continuation(stage: Stage) -> None:
    await from_the_client(stage, frame(0, b" " * 65536, fin=False, mask=MASK) * 4, 128, frame(1, b'{"a":"', fin=False, mask=MASK))


@row("greedy", "a text of the vendor's that is continued without end, in crumbs", client="101, RST", says=CUT, also=bounded)
async def endless_crumbs(stage: Stage) -> None:
    await from_the_vendor(stage, frame(0, b" ", fin=False) * 1000, 100, frame(1, b'{"a":"', fin=False))


@row("slow", "fifty requests at a byte every 20 ms: each is sent away when its time is over, and no session", client="101, FIN",
     vendor="FIN", says="error transport_eof network vendor vendor", wires=PLAIN, options={"timeouts": Timeouts(handshake=0.4)})
async def slow_handshakes(stage: Stage) -> None:
    client, vendor = await talk(stage)
    slow = [await stage.rig.connect() for _ in range(50)]

    async def drip() -> None:
        for byte in request():
            for peer in slow:
                if not peer.transport.is_closing():
                    peer.writer.write(bytes([byte]))
            await client.says(AUDIO)
            await vendor.hears(len(AUDIO))
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    for peer in slow:
        await peer.reset()
    dripping.cancel()
    await asyncio.wait([dripping])
    assert stage.rig.app.ledger.rejections["timeout",] == 50
    await vendor.hears(len(client.said) - len(vendor.heard))
    vendor.fin()
