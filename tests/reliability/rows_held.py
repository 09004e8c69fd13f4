"""Peers that are there and do nothing, links that carry nothing, and clocks that step."""

from __future__ import annotations

import socket
import time
from typing import Final

from proxy.core.report import Report
from proxy.core.verdict import Side
from tests.e2e.test_truth_sockets import black_hole
from tests.relay.peers import frame, until, until_still
from tests.reliability.rows_ends import AUDIO, BYE_MASKED, RESULT, talk
from tests.reliability.stage import PLAIN, Stage, row

MIB: Final = 1 << 20
BLOCK: Final = frame(2, bytes(64 * 1024), mask=b"abcd") * 16


def bounded(report: Report, stage: Stage) -> None:
    assert 0 < report.self_.buffered_bytes_max < MIB


async def fill(stage: Stage, side: Side) -> None:
    """16 MiB from this side toward a peer that reads nothing, until no more is taken."""
    client, vendor = await talk(stage)
    source, sink = (client, vendor) if side is Side.CLIENT else (vendor, client)
    sink.stops_reading()
    block = BLOCK if side is Side.CLIENT else frame(2, bytes(64 * 1024)) * 16
    for _ in range(16):
        source.pushes(block)
    splice = stage.the_call._splice
    assert splice is not None
    leg = splice.client if side is Side.CLIENT else splice.vendor
    await until(lambda: leg.reading_held)
    await until_still(source.peer.transport.get_write_buffer_size)
    stage.the_call.sample(0.0)


@row("slow", "the vendor reads nothing while the client sends 16 MiB; then it reads on, and has it all", client="101, left",
     says="abandoned transport_reset client client client or abandoned transport_reset unknown client client", vendor="RST",
     also=bounded)
async def vendor_reads_nothing(stage: Stage) -> None:
    await fill(stage, Side.CLIENT)
    client, vendor = stage.client, stage.vendor
    assert vendor is not None
    vendor.reads_on()
    await vendor.hears(len(client.said) - len(vendor.heard))
    client.rst()


@row("slow", "the client reads nothing while the vendor sends 16 MiB; then it reads on, and has it all", client="101, RST",
     says="error transport_reset network vendor vendor or error transport_reset unknown vendor vendor", also=bounded)
async def client_reads_nothing(stage: Stage) -> None:
    await fill(stage, Side.VENDOR)
    client, vendor = stage.client, stage.vendor
    assert vendor is not None
    client.reads_on()
    await client.hears(len(vendor.said) - len(client.heard))
    vendor.rst()


@row("slow", "the client is reset while the vendor reads nothing and bytes wait for it", client="101, left",
     says="abandoned transport_reset client client client or abandoned transport_reset unknown client client", vendor="RST",
     patches={"proxy.relay.splice.FLUSH_SECONDS": 0.1})
async def client_resets_while_held(stage: Stage) -> None:
    await fill(stage, Side.CLIENT)
    stage.client.rst()
    call = stage.the_call
    splice = call._splice
    assert splice is not None

    def gone() -> bool:
        call.sample(0.0)  # while reading is held no loop tells of a reset
        return splice.client.ended

    await until(gone)
    assert stage.vendor is not None
    stage.vendor.reads_on()


@row("network", "black hole: nothing of the vendor's arrives any more; the client gives up after a while", client="101, left",
     says="abandoned 1000_abandoned client client client", wires=PLAIN)
async def black_hole_until_the_client_leaves(stage: Stage) -> None:
    client, vendor = await talk(stage)
    vendor.left = True
    assert stage.the_call._vendor is not None
    black_hole(stage.the_call._vendor.get_extra_info("socket"))
    for _ in range(5):
        await client.says(AUDIO)
    await client.says(BYE_MASKED)
    vendor.heard += client.said[len(vendor.heard):]  # it hears all, and cannot answer
    client.rst()


@row("network", "black hole: nothing is acknowledged, until the kernel gives up (TCP_USER_TIMEOUT shortened)", client="101, FIN",
     says="error transport_timeout network network network", wires=PLAIN)
async def black_hole_until_the_kernel_gives_up(stage: Stage) -> None:
    client, vendor = await talk(stage)
    vendor.left = True
    assert stage.the_call._vendor is not None
    sock = stage.the_call._vendor.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300)
    black_hole(sock)
    await client.says(AUDIO)


@row("network", "black hole: the client's machine is gone, while the vendor talks, until the kernel gives up (TCP_USER_TIMEOUT shortened)",
     client="101, left", vendor="FIN", says="error transport_timeout network network network")
async def client_in_a_black_hole(stage: Stage) -> None:
    client, vendor = await talk(stage)
    client.left = True
    assert stage.the_call._client is not None
    sock = stage.the_call._client.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 300)
    black_hole(sock)
    await vendor.says(RESULT)


class Wall:
    """Unix time that steps each time it is asked."""

    def __init__(self, step: float) -> None:
        self.now, self.step = time.time(), step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def measured(report: Report, stage: Stage) -> None:
    assert 0.0 <= report.duration_seconds < 10
    assert report.started_at <= report.ended_at
    assert (report.audio.read_seconds, report.audio.written_seconds) == (0.1, 0.1)


async def stepping(stage: Stage, step: float) -> None:
    wall = Wall(step)
    stage.patch.setattr("proxy.relay.relay.time.time", wall)
    stage.patch.setattr("proxy.telemetry.log.time.time", wall)
    _, vendor = await talk(stage)
    await vendor.says(RESULT)
    vendor.leaves()


@row("clock", "the wall clock jumps an hour ahead, again and again", client="101, FIN",
     says="error transport_eof network vendor vendor", also=measured)
async def clock_jumps_ahead(stage: Stage) -> None:
    await stepping(stage, 3600.0)


@row("clock", "the wall clock jumps an hour back, again and again", client="101, FIN",
     says="error transport_eof network vendor vendor", also=measured)
async def clock_jumps_back(stage: Stage) -> None:
    await stepping(stage, -3600.0)
