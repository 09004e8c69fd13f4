"""The measurements, each of its own: cost and latency beside others, cost by sessions, memory, reconnects, start."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.aio import free_port, tls_pair
from tests.bench import page, peers
from tests.bench.audio import FRAME_SECONDS
from tests.bench.load import Order, Result
from tests.bench.processes import ROOT, DidNotStartError, family, resident_kib, running

OURS: Final = "earwitness"
TRACED: Final = "traced"
"""Ours, with spans that go to a collector, and scraped."""
ENFORCING: Final = "enforcing"
"""The same with the gate on: the load speaks in real time, so that there is nothing to correct."""
STORM: Final = 200
GROWN: Final = 300
FULL_FRAMES: Final = 260
FULL_GAP: Final = 0.05
IDLE: Final = 3.0
"""Seconds after which a process that starts has what it needs."""
BEHIND: Final = 10
"""Niceness of the callers that come back and of their vendor: in life they run on machines of their own."""


@dataclass(frozen=True)
class Target:
    """A relay that runs: where it listens, what it consists of, and its metrics if it is ours."""

    name: str
    port: int
    pids: list[int]
    metrics: int | None = None


@dataclass(frozen=True)
class Row:
    """One round of one relay. `miscounted`: why it does not count, or None."""

    name: str
    sessions: int
    gap: float
    result: Result
    miscounted: str | None


@dataclass(frozen=True)
class Rig:
    """A vendor and relays in front of it."""

    vendor: list[int]
    targets: list[Target]


@contextmanager
def rig(folder: Path, tls: bool, names: list[str], vendors: int = 1, collector: str = "") -> Iterator[Rig]:
    """Starts vendors and the relays named; with more than one vendor, ours has a listener for each. Who does not start is left out."""
    with ExitStack() as stack:
        cert, key = tls_pair(folder)
        upstreams = [free_port() for _ in range(vendors)]
        pids = []
        for number, port in enumerate(upstreams):
            command = [sys.executable, "-m", "tests.bench.vendor", str(port), *([cert, key] if tls else [])]
            pids.append(stack.enter_context(running(command, folder / f"vendor-{number}.log", port, BEHIND if number else 0)))
        targets = []
        for name in names:
            routes = [peers.Route(free_port(), upstream, folder, cert if tls else None) for upstream in upstreams]
            try:
                targets += _started(stack, name, routes, collector)
            except (DidNotStartError, OSError) as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
        yield Rig(pids[:1], targets)


def _started(stack: ExitStack, name: str, routes: list[peers.Route], collector: str) -> list[Target]:
    metrics = free_port() if name in (OURS, ENFORCING, TRACED) else None
    command = peers.earwitness(routes, metrics, free_port(), name == ENFORCING) if metrics else peers.OTHERS[name](routes[0])
    if name == TRACED:
        command = ["env", f"OTEL_EXPORTER_OTLP_ENDPOINT={collector}", *command]
    pid = stack.enter_context(running(command, routes[0].folder / f"{name}.log", routes[-1].port))
    return [Target(name, route.port, family(pid), metrics) for route in routes]


def ours(bench: Rig) -> list[Target]:
    """The listeners of ours, where nothing is to be measured without them."""
    if not bench.targets:
        raise DidNotStartError(OURS)
    return bench.targets


def spoken(order: Order) -> Result:
    """Runs the load in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.load", json.dumps(asdict(order))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Result(**json.loads(done.stdout))


def row(bench: Rig, target: Target, sessions: int, seconds: float, gap: float = 0.1) -> Row:
    """One round of one relay. Ours is asked what it counted."""
    before = page.read(target.metrics) if target.metrics else None
    result = spoken(Order(target.port, sessions, seconds, gap, target.pids, bench.vendor))
    miscounted = None if result.answered == result.sent else f"{result.sent - result.answered} answers are missing"
    if target.metrics and before:
        miscounted = miscounted or wrong(page.settled(target.metrics, before.active) - before, result, sessions)
    return Row(target.name, sessions, gap, result, miscounted)


def wrong(carried: page.Carried, result: Result, sessions: int) -> str | None:
    """What the metrics page says otherwise than the load, or None. Each session ends with one Metadata text more."""
    audio = result.sent * FRAME_SECONDS
    expected = page.Carried(result.sent, audio, audio, result.answered + sessions, result.answered, sessions, 0)
    differing = [
        f"{name} {getattr(carried, name):g}, not {value:g}"
        for name, value in vars(expected).items() if abs(getattr(carried, name) - value) > 0.001
    ]
    return "; ".join(differing) or None


def memory(folder: Path, tls: bool) -> tuple[float, Row]:
    """KiB that each of 300 more sessions takes, where 200 are open already, once they have spoken long enough to be full.

    Without those that are open before, the heap that the start left behind would hold the first sessions for nothing.
    """
    with rig(folder, tls, [OURS]) as bench, held(ours(bench)[0].port, STORM):
        measured = row(bench, ours(bench)[0], GROWN, FULL_FRAMES * FULL_GAP, FULL_GAP)
    return measured.result.resident_kib / GROWN, measured


def idle(folder: Path, others: list[str]) -> dict[str, float]:
    """MiB that are resident of each relay that was started and not called, by name. Each has one listener."""
    with rig(folder, False, [*others, OURS]) as bench:
        time.sleep(IDLE)
        return {target.name: resident_kib(target.pids) / 1024 for target in bench.targets}


@contextmanager
def held(port: int, sessions: int) -> Iterator[subprocess.Popen[str]]:
    """Callers in a process of their own who hold their sessions open; a line to the process makes a storm of them."""
    command = ["nice", "-n", str(BEHIND), sys.executable, "-m", "tests.bench.storm", str(port), str(sessions)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # all are open
        try:
            yield process
        finally:
            process.terminate()


def storm(folder: Path, sessions: int) -> tuple[list[float], list[float], float, int]:
    """Latencies of open sessions before and while 200 others come back over TLS at once; how long they took, and how many came."""
    with rig(folder, True, [OURS], vendors=2) as bench:
        calm, stormy = ours(bench)
        order = Order(calm.port, sessions, 6.0, timeline=True)
        load = [sys.executable, "-m", "tests.bench.load", json.dumps(asdict(order))]
        with held(stormy.port, STORM) as callers, subprocess.Popen(load, cwd=ROOT, stdout=subprocess.PIPE, text=True) as speaking:
            assert callers.stdin is not None
            assert callers.stdout is not None
            time.sleep(4.0)  # the load has connected and speaks
            callers.stdin.write("now\n")
            callers.stdin.flush()
            said, _ = speaking.communicate()
            began, ended, back = json.loads(callers.stdout.readline())
    timeline = Result(**json.loads(said)).timeline
    before = sorted(latency for at, latency in timeline if at < began)
    during = sorted(latency for at, latency in timeline if began <= at <= ended)
    return before, during, ended - began, back


def start_seconds() -> float:
    """From exec to the first /-/ready that says yes, with the packaged settings and their listeners."""
    port = free_port()
    command = [*peers.earwitness_command(), "run",
               "--metrics", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{free_port()}"]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
    try:
        while not _ready(port):
            if process.poll() is not None or time.monotonic() - began > 15:
                raise DidNotStartError((process.stderr.read() if process.stderr else b"").decode()[-300:])
            time.sleep(0.002)
        return time.monotonic() - began
    finally:
        process.kill()
        process.communicate()


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False
