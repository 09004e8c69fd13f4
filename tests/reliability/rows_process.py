"""What breaks around the process: disks and pipes that its log goes to, descriptors, collectors, scrapers."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from tests.aio import free_port
from tests.fleet.server import RedisServer
from tests.relay.peers import Peer, connect
from tests.reliability.process import SECONDS, Sidecar, Surroundings, process_row

F_SETPIPE_SZ: Final = 1031
SMALLEST: Final = 4096
MANY: Final = 12
LIMIT: Final = 96
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
FAKETIME: Final = "/usr/$LIB/faketime/libfaketimeMT.so.1"
HOUR: Final = 3600


def to_a_full_disk() -> tuple[Surroundings, Callable[[], None]]:
    full = os.open("/dev/full", os.O_WRONLY)
    return Surroundings(full), lambda: os.close(full)


def to_a_disk_that_fills() -> tuple[Surroundings, Callable[[], None]]:
    """A file system of its own, of two pages, in a mount namespace."""
    folder = tempfile.TemporaryDirectory(prefix="earwitness-disk-")
    mounted = f'mount -t tmpfs -o size={2 * PAGE} none "$0"; exec "$@" >>"$0/log"'
    within = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", mounted, folder.name)
    return Surroundings(within=within, beside=Path(folder.name, "log")), folder.cleanup


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


class Clock:
    """The wall clock of a process under libfaketime: what it reads there is added to the true time."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset"
        self.steps_to(0)
        self.environment = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def steps_to(self, seconds: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+}\n")
        new.rename(self._file)


def with_a_clock_of_its_own() -> tuple[Surroundings, Callable[[], None]]:
    folder = tempfile.TemporaryDirectory(prefix="earwitness-clock-")
    clock = Clock(Path(folder.name))
    return Surroundings(environment=clock.environment, beside=clock), folder.cleanup


def few_descriptors() -> tuple[Surroundings, Callable[[], None]]:
    return Surroundings(within=("prlimit", f"--nofile={LIMIT}:{LIMIT}"), settings={"timeouts": {"handshake": 2}}), lambda: None


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


def read(path: Path) -> bytes:
    return path.read_bytes()


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


@process_row("process", "the disk of the log fills up in the middle of a line; later there is room again", client="101, all bytes",
             around=to_a_disk_that_fills)
async def log_disk_fills(one: Sidecar) -> None:
    await many_calls(one)
    lost = await one.metric("earwitness_telemetry_dropped_total")
    assert lost > 0
    path = Path(f"/proc/{one.process.pid}/root{one.around.beside}")
    held = read(path)
    assert len(held) == 2 * PAGE
    *whole, cut = held.split(b"\n")
    assert whole
    for line in whole:
        json.loads(line)
    os.truncate(path, 0)
    await one.good_call()
    async with asyncio.timeout(SECONDS):
        while b'"event":"session_end"' not in read(path).partition(b'"event":"session_open"')[2]:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    *lines, last = read(path).split(b"\n")[bool(cut) :]  # its end comes first
    assert last == b""
    events = [json.loads(line)["event"] for line in lines]
    assert events.count("log_lines_dropped") == 1, events
    events.remove("log_lines_dropped")
    # A line that waited for room may come before.
    assert events[-2:] == ["session_open", "session_end"], events
    assert events.count("session_open") == 1, events


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
    async with asyncio.timeout(SECONDS):
        while not await one.metric("earwitness_requests_rejected_total"):  # noqa: ASYNC110 - the process does not tell
            await asyncio.sleep(0.02)
    await one.speaks(client, vendor)
    assert (await one.page("/-/healthy"))[0] == 200
    await many_calls(one)
    for peer in idle:  # each is sent away when its time is over, or earlier
        await peer.rest()
        peer.close()
    await one.ends(client, vendor)


@process_row("process", "connections to the page of metrics that send nothing, more than there are descriptors", client="101, all bytes",
             around=few_descriptors)
async def idle_connections_to_the_page(one: Sidecar) -> None:
    idle = [await connect(one.ports["metrics"]) for _ in range(LIMIT)]
    await many_calls(one)
    for peer in idle:
        peer.close()


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


@process_row("process", "the wall clock steps an hour ahead, two hours back, and home again, under open calls (libfaketime)",
             client="101, all bytes", around=with_a_clock_of_its_own)
async def clock_steps(one: Sidecar) -> None:
    clock: Clock = one.around.beside
    old = await one.call()
    for hours in (1, -1, 0):
        young = await one.call()
        clock.steps_to(hours * HOUR)
        for client, vendor, _ in (old, young):
            assert vendor is not None
            await one.speaks(client, vendor)
        client, vendor, _ = young
        assert vendor is not None
        await one.ends(client, vendor)
        assert (await one.page("/-/healthy"))[0] == 200
    client, vendor, _ = old
    assert vendor is not None
    await one.ends(client, vendor)
    reports = await one.reports(5)
    began = [datetime.fromisoformat(report["started_at"]).timestamp() for report in reports]
    assert max(began) - min(began) > HOUR  # the process saw the steps
    for report in reports:
        spans = datetime.fromisoformat(report["ended_at"]) - datetime.fromisoformat(report["started_at"])
        assert 0 <= report["duration_seconds"] == pytest.approx(spans.total_seconds(), abs=0.01)
        assert report["duration_seconds"] < SECONDS
        assert report["audio"]["written_seconds"] in (0.1, 0.3), "that is what it said"
    assert await one.metric("earwitness_session_duration_seconds_sum") < SECONDS


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
