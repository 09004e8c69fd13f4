"""make greedy: what one greedy peer takes of memory and of the others' time, in a table that RELIABILITY.md has too.

For each kind: fifty ordinary calls speak for some seconds; in the middle of it the greedy peer begins. Usage:

    python -m tests.reliability.greedy [NAME...]
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
from typing import Final

from tests.aio import free_port
from tests.bench.load import Order, Result
from tests.bench.peers import Route, earwitness
from tests.bench.processes import ROOT, cpu_seconds, resident_kib, running
from tests.bench.report import quantile
from tests.reliability.greed import GREEDS
from tests.reliability.page import MEASURED

CALLS: Final = 50
SECONDS: Final = 12.0
BEGINS: Final = 5.0
BEFORE: Final = 2.0
CALM: Final = 2.0
"""Seconds before it begins that count: the calls have been opened by then. Milliseconds above which something else disturbed these."""
AFTER: Final = 1.0
"""Seconds after it has begun that are left out: what is asked is how it is while it goes on."""


@dataclass(frozen=True)
class Found:
    """Latencies in ms, memory in KiB, CPU as shares of a core. `grown` is the most the relay grew by while it went on."""

    what: str
    before: float
    during: float
    grown: int
    left: int
    relay: float
    load: float

    @property
    def line(self) -> str:
        ratio = self.during / self.before
        bar = "not compared" if self.before > CALM else f"{ratio:.1f}{'' if ratio <= 2 else ' MISSED'}"
        return (f"| {self.what} | {self.before:.2f} ms | {self.during:.2f} ms | {bar} "
                f"| {self.grown / 1024:.1f} MiB | {self.left / 1024:.1f} MiB | {100 * self.relay:.0f} % | {100 * self.load:.0f} % |")


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
        relay = stack.enter_context(running(earwitness(routes, free_port(), free_port()), folder / "relay.log", routes[-1].port))
        # It gets what CPU the others leave: in life it runs on a machine of its own.
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
    during = sorted(latency for at, latency in result.timeline if at > began + AFTER)
    assert result.answered == result.sent, "an ordinary call has lost something"
    return Found(GREEDS[name].what, 1e3 * quantile(before, 0.99), 1e3 * quantile(during, 0.99), most.kib - calm, left, spent,
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
    rows = []
    for name in names or list(GREEDS):
        with tempfile.TemporaryDirectory(prefix="earwitness-greedy-") as folder:
            rows.append(found(name, Path(folder)))
        print(rows[-1].line, flush=True)
    if not names:
        about = (f"`make greedy` on {machine()}: {CALLS} ordinary calls, and one greedy peer beside them in the same process of "
                 "Earwitness. Memory is what the process grew by, and what of that is left a second after the peer has gone. Callers, "
                 "vendor and relay share the cores; the greedy peer gets what they leave.")
        kept("greedy", "greedy peers", [about, "", *HEAD, *(row.line for row in rows)])


if __name__ == "__main__":
    main(sys.argv[1:])
