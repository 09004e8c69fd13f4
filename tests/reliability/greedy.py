"""make greedy: what one greedy peer takes of memory and of the others' time, in a table that RELIABILITY.md has too.

For each kind: fifty ordinary calls speak for some seconds; in the middle of it the greedy peer begins. All that in some rounds, and
of their figures the median. The relay has a core of its own: what the greedy peer takes of the others' time it takes in there, and not
from the callers and their vendor, who in life share no machine with it. Usage:

    python -m tests.reliability.greedy [NAME...]

With names only these are measured, and the others' rows stay if they are of the same day, machine and set-up.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.aio import free_port
from tests.bench.load import Order, Result
from tests.bench.peers import Route, earwitness
from tests.bench.processes import ROOT, cpu_seconds, resident_kib, running
from tests.bench.report import quantile
from tests.reliability.greed import GREEDS
from tests.reliability.page import MEASURED

CALLS: Final = 50
ROUNDS: Final = 3
SECONDS: Final = 10.5
BEGINS: Final = 3.5
BEFORE: Final = 2.0
"""Seconds before it begins that count: the calls have been opened by then."""
CALM: Final = 1.0
"""Milliseconds above which something else disturbed these: twice as much would prove nothing."""
CORES: Final = sorted(os.sched_getaffinity(0))
"""The first is the relay's alone, where there are more."""


@dataclass(frozen=True)
class Found:
    """Latencies in ms, memory in KiB, CPU as shares of a core. `grown` is the most the relay grew by while it went on."""

    before: float
    during: float
    grown: int
    left: int
    relay: float
    load: float


def line(what: str, rounds: list[Found]) -> str:
    """Of the rounds the median; of memory the most."""
    before, during, relay, load = (median(figures) for figures in zip(
        *((found.before, found.during, found.relay, found.load) for found in rounds), strict=True))
    grown, left = max(found.grown for found in rounds), max(found.left for found in rounds)
    ratio = during / before
    bar = "not compared" if before > CALM else f"{ratio:.1f}{'' if ratio <= 2 else ' MISSED'}"
    return (f"| {what} | {before:.2f} ms | {during:.2f} ms | {bar} "
            f"| {grown / 1024:.1f} MiB | {left / 1024:.1f} MiB | {100 * relay:.0f} % | {100 * load:.0f} % |")


class Most(threading.Thread):
    """The most memory that a process was seen to have."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.kib, self.over = pid, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            self.kib = max(self.kib, resident_kib([self.pid]))


def found(name: str, folder: Path) -> Found:
    with ExitStack() as stack:
        quiet, greedy = free_port(), free_port()
        stack.enter_context(running([sys.executable, "-m", "tests.bench.vendor", str(quiet)], folder / "vendor.log", quiet))
        routes = [Route(free_port(), upstream, folder, None) for upstream in (quiet, greedy)]
        command = ["taskset", "--cpu-list", str(CORES[0]), *earwitness(routes, free_port(), free_port())]
        relay = stack.enter_context(running(command, folder / "relay.log", routes[-1].port))
        # It gets what CPU callers and vendor leave.
        command = ["chrt", "--idle", "0", sys.executable, "-m", "tests.reliability.greed", str(routes[1].port), str(greedy), name]
        greed = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE))
        load = [sys.executable, "-m", "tests.bench.load", json.dumps(asdict(Order(routes[0].port, CALLS, SECONDS, timeline=True)))]
        speaking = stack.enter_context(subprocess.Popen(load, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        time.sleep(BEGINS)
        calm, used, began = resident_kib([relay]), cpu_seconds([relay]), time.monotonic()
        most = Most(relay)
        most.start()
        assert greed.stdin is not None
        greed.stdin.write(b"now\n")
        greed.stdin.close()
        said, _ = speaking.communicate()
        spent = (cpu_seconds([relay]) - used) / (time.monotonic() - began)
        greed.kill()
        greed.wait()
        most.over.set()
        time.sleep(1.0)
        left = resident_kib([relay]) - calm
    result = Result(**json.loads(said))
    before = sorted(latency for at, latency in result.timeline if began - BEFORE < at < began)
    during = sorted(latency for at, latency in result.timeline if at > began)
    assert result.answered == result.sent, "an ordinary call has lost something"
    return Found(1e3 * quantile(before, 0.99), 1e3 * quantile(during, 0.99), most.kib - calm, left, spent,
                 result.own_cpu / result.wall)


HEAD: Final = ("| greedy peer | the others' p99 before | while it goes on | ratio (at most 2) | memory at most | memory after "
               "| CPU of the relay | of the callers |", "|---|---|---|---|---|---|---|---|")


def kept(name: str, title: str, lines: list[str]) -> None:
    """Where the page has it from."""
    all_ = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    all_[name] = {"title": title, "lines": lines}
    MEASURED.write_text(json.dumps(all_, indent=1) + "\n")


def machine() -> str:
    return (f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({platform.machine()}, Linux {platform.release().split('-')[0]}, "
            f"Python {platform.python_version()})")


def main(names: list[str]) -> None:
    os.sched_setaffinity(0, CORES[1:] or CORES)
    about = (f"`make greedy` on {machine()}: {CALLS} ordinary calls, and one greedy peer beside them in the same process of "
             f"Earwitness (compiled, as a wheel is). The median of {ROUNDS} rounds; what counts begins when the peer begins. "
             "Memory is the most that the process grew by, and what of that is left a second after the peer has gone. The relay has "
             "a core of its own; callers, their vendor and, with what they leave, the greedy peer and its vendor share the other. "
             "Rows can be of several runs of that day: where something else disturbed the machine they were measured again.")
    rows = earlier(about)
    for name in names or list(GREEDS):
        rounds = []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(prefix="earwitness-greedy-") as folder:
                rounds.append(found(name, Path(folder)))
        rows[GREEDS[name].what] = line(GREEDS[name].what, rounds)
        print(rows[GREEDS[name].what], flush=True)
    kept("greedy", "greedy peers", [about, "", *HEAD, *(rows[greed.what] for greed in GREEDS.values() if greed.what in rows)])


def earlier(about: str) -> dict[str, str]:
    """The rows that were measured so already, by what they are about."""
    lines: list[str] = json.loads(MEASURED.read_text()).get("greedy", {"lines": []})["lines"] if MEASURED.exists() else []
    return {row.split(" | ")[0].removeprefix("| "): row for row in lines[4:]} if lines[:1] == [about] else {}


if __name__ == "__main__":
    main(sys.argv[1:])
