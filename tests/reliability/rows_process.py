"""What breaks around the process: disks and pipes that its log goes to, descriptors, collectors, scrapers."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.aio import free_port
from tests.fleet.server import RedisServer
from tests.relay.peers import Peer, connect
from tests.reliability.process import Sidecar, Surroundings, process_row

F_SETPIPE_SZ: Final = 1031
SMALLEST: Final = 4096
MANY: Final = 12
LIMIT: Final = 96


def to_a_full_disk() -> tuple[Surroundings, Callable[[], None]]:
    full = os.open("/dev/full", os.O_WRONLY)
    return Surroundings(full), lambda: os.close(full)


def to_a_closed_pipe() -> tuple[Surroundings, Callable[[], None]]:
    reader, writer = os.pipe()
    os.close(reader)
    return Surroundings(writer), lambda: os.close(writer)


def to_a_pipe_that_nobody_reads() -> tuple[Surroundings, Callable[[], None]]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, SMALLEST)

    def close() -> None:
        os.close(reader)
        os.close(writer)

    return Surroundings(writer), close


def few_descriptors() -> tuple[Surroundings, Callable[[], None]]:
    return Surroundings(descriptors=LIMIT, settings={"timeouts": {"handshake": 2}}), lambda: None


def traced(url: str) -> Surroundings:
    return Surroundings(environment={"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "100",
                                     "OTEL_EXPORTER_OTLP_TIMEOUT": "1"})


def no_collector() -> tuple[Surroundings, Callable[[], None]]:
    return traced(f"http://127.0.0.1:{free_port()}"), lambda: None


def a_collector_that_does_not_answer() -> tuple[Surroundings, Callable[[], None]]:
    listener = socket.create_server(("127.0.0.1", 0))
    return traced(f"http://127.0.0.1:{listener.getsockname()[1]}"), listener.close


def with_redis() -> tuple[Surroundings, Callable[[], None]]:
    """Which keeps a limit that nobody here reaches."""
    folder = tempfile.TemporaryDirectory(prefix="earwitness-redis-")
    key = Path(folder.name, "key")
    key.write_text("a key for tests alone, and none of anybody's\n")
    redis = RedisServer(Path(folder.name))
    redis.start()

    def close() -> None:
        redis.stop()
        folder.cleanup()

    limits = {"rules": {"concurrency": {"scope": "fleet", "mode": "enforce", "sessions": 50}}}
    fleet = {"url": f"redis://127.0.0.1:{redis.port}/0", "key": {"file": str(key)}}
    return Surroundings(settings={"fleet": fleet}, policy=limits, beside=redis), close


def nothing_special() -> tuple[Surroundings, Callable[[], None]]:
    return Surroundings(subprocess.DEVNULL), lambda: None


async def many_calls(one: Sidecar) -> None:
    """While one is open, which goes on."""
    client, vendor, _ = await one.call()
    assert vendor is not None
    for _ in range(MANY):
        await one.good_call()
        await one.speaks(client, vendor)
        assert (await one.page("/-/healthy"))[0] == 200
    await one.ends(client, vendor)


@process_row("process", "the disk of the log is full (standard output is /dev/full)", client="101, all bytes", around=to_a_full_disk)
async def log_disk_full(one: Sidecar) -> None:
    await many_calls(one)
    assert await one.metric("earwitness_telemetry_dropped_total") >= MANY


@process_row("process", "whoever reads the log is gone (a closed pipe)", client="101, all bytes", around=to_a_closed_pipe)
async def log_pipe_closed(one: Sidecar) -> None:
    await many_calls(one)
    assert await one.metric("earwitness_telemetry_dropped_total") >= MANY


@process_row("process", "whoever reads the log reads nothing (a full pipe)", client="101, all bytes", around=to_a_pipe_that_nobody_reads)
async def log_pipe_unread(one: Sidecar) -> None:
    await many_calls(one)


@process_row("process", "no descriptors are left: too many calls", client="101, all bytes; beyond the limit 503 sidecar_out_of_resources",
             says="ok normal none client vendor or refused_here sidecar_out_of_resources sidecar sidecar sidecar", around=few_descriptors)
async def descriptors_run_out(one: Sidecar) -> None:
    calls: list[tuple[Peer, Peer]] = []
    while True:
        client, vendor, head = await one.call()
        if vendor is None:
            break
        calls.append((client, vendor))
    assert b"x-earwitness: sidecar_out_of_resources\r\n" in head
    assert b"Retry-After: 1\r\n" in head
    client.close()
    assert LIMIT // 4 < len(calls) < LIMIT // 2
    assert (await one.page("/-/ready"))[0] == 200
    for client, vendor in calls:
        await one.speaks(client, vendor)
    for client, vendor in calls:
        await one.ends(client, vendor)


@process_row("process", "no descriptors are left: connections that send no request", client="101, all bytes", around=few_descriptors)
async def descriptors_run_out_before_a_head(one: Sidecar) -> None:
    client, vendor, _ = await one.call()
    assert vendor is not None
    idle = [await connect(one.ports["calls"]) for _ in range(LIMIT)]
    await asyncio.sleep(0.2)
    await one.speaks(client, vendor)
    for peer in idle:  # each is sent away when its time is over
        await peer.rest()
        peer.close()
    await one.ends(client, vendor)


@process_row("process", "the collector of traces is gone", client="101, all bytes", around=no_collector)
async def collector_gone(one: Sidecar) -> None:
    await many_calls(one)


@process_row("process", "the collector of traces takes connections and never answers", client="101, all bytes",
             around=a_collector_that_does_not_answer)
async def collector_hangs(one: Sidecar) -> None:
    await many_calls(one)


@process_row("process", "Redis, which keeps the limits of an account, is gone", client="101, all bytes", around=with_redis)
async def redis_gone(one: Sidecar) -> None:
    await asyncio.to_thread(one.around.beside.stop)
    await many_calls(one)
    assert await one.metric("earwitness_fleet_fallbacks_total") >= MANY


@process_row("process", "Redis hangs", client="101, all bytes", around=with_redis)
async def redis_hangs(one: Sidecar) -> None:
    one.around.beside.hang()
    await many_calls(one)
    assert await one.metric("earwitness_fleet_fallbacks_total") >= MANY


@process_row("process", "Prometheus leaves in the middle of scrapes, or reads nothing of them", client="101, all bytes",
             around=nothing_special)
async def prometheus_gone(one: Sidecar) -> None:
    scrapes = []
    for number in range(20):
        peer = await connect(one.ports["metrics"])
        await peer.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        if number % 2:
            peer.rst()
        else:
            peer.transport.pause_reading()
            scrapes.append(peer)
    await many_calls(one)
    for peer in scrapes:
        peer.rst()
