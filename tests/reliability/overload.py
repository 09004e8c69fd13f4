"""make overload: more is offered than a process can carry. What becomes of the calls that were open, and of those that come?

Each relay is held to a share of a core by the kernel, so that it is the relay that is beyond its limit, and neither the callers nor
the vendor, whose CPU is printed: a row in which either passes 80 % of a core says nothing of the relay. Usage:

    python -m tests.reliability.overload [RELAY...]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.bench.load import Order, Result
from tests.bench.measure import OURS, Target, rig
from tests.bench.processes import ROOT, cpu_seconds
from tests.bench.quota import held_to
from tests.bench.report import BUSY, quantile
from tests.reliability.greedy import kept, machine

SHARE: Final = 0.1
"""Of a core."""
OPEN: Final = 40
MORE: Final = 240
LATE: Final = 20
"""Calls that are open, those that come on top of them, and those that come when it has been too much for a while."""
SECONDS: Final = 30.0
COMES: Final = 6.0
STAYS: Final = 15.0
LATER: Final = 9.0
STAY_LATE: Final = 3.0
RELAYS: Final = (OURS, "envoy", "haproxy", "nginx")


@dataclass(frozen=True)
class Found:
    """Latencies of the calls that were open, in ms: before, and while there were more."""

    name: str
    before: list[float]
    during: list[float]
    open: Result
    more: Result | None
    late: Result | None
    vendor: float
    callers: float
    relay: float
    blind: int | None
    refused: int | None

    @property
    def line(self) -> str:
        busy = max(self.vendor, self.callers) > BUSY
        own = f"{self.blind}, {self.refused}" if self.blind is not None else "-"
        mark = " GENERATOR-BOUND, NOT COMPARED" if busy else ""
        cells = (
            self.name, *(f"{self._ms(one, 0.5)}, {self._ms(one, 0.99)}" for one in (self.before, self.during)),
            self._ended(self.open, OPEN), self._ended(self.more, MORE), self._ended(self.late, LATE), own,
            f"{100 * self.relay:.0f} %", f"{100 * self.vendor:.0f} %, {100 * self.callers:.0f} %{mark}",
        )
        return f"| {' | '.join(cells)} |"

    @staticmethod
    def _ended(calls: Result | None, most: int) -> str:
        return f"{calls.ended} of {most}, {calls.sent - calls.answered}" if calls is not None else f"not all of {most} got through in 5 s"

    @staticmethod
    def _ms(latencies: list[float], share: float) -> str:
        return f"{1e3 * quantile(latencies, share):.1f}" if latencies else "-"


HEAD: Final = ("| relay | open calls before: p50, p99 ms | with more: p50, p99 ms | open calls | more calls | late ones | blind, refused "
               "| CPU of the relay | of the vendor, of the callers |",
               "|---|---|---|---|---|---|---|---|---|")


def callers(stack: ExitStack, target: Target, sessions: int, seconds: float) -> subprocess.Popen[str]:
    load = [sys.executable, "-m", "tests.bench.load", json.dumps(asdict(Order(target.port, sessions, seconds, timeline=True)))]
    return stack.enter_context(subprocess.Popen(load, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))


def result(process: subprocess.Popen[str]) -> Result | None:
    """None where a call did not get through: the callers give up after 5 s."""
    said, wrong = process.communicate()
    if process.returncode and "TimeoutError" not in wrong:
        raise RuntimeError(wrong[-500:])
    return Result(**json.loads(said)) if not process.returncode else None


def metric(port: int, name: str, part: str = "") -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{") and part in line))


def found(name: str, folder: Path) -> Found | None:
    with rig(folder, False, [name]) as bench, ExitStack() as stack:
        if not bench.targets:
            return None
        target = bench.targets[0]
        stack.enter_context(held_to(SHARE, target.pids))
        first = callers(stack, target, OPEN, SECONDS)
        time.sleep(COMES)
        watched, began = (bench.vendor, target.pids), time.monotonic()
        used = [cpu_seconds(pids) for pids in watched]
        second = callers(stack, target, MORE, STAYS)
        time.sleep(LATER)
        third = callers(stack, target, LATE, STAY_LATE)
        time.sleep(STAYS - LATER)
        ended = time.monotonic()
        vendor, relay = ((cpu_seconds(pids) - before) / (ended - began) for pids, before in zip(watched, used, strict=True))
        late, more, calls = result(third), result(second), result(first)
        assert calls is not None
        blind = metric(target.metrics, "earwitness_sessions_uninspected_total") if target.metrics else None
        refused = metric(target.metrics, "earwitness_sessions_ended_total", 'outcome="refused_here"') if target.metrics else None
    before = sorted(latency for at, latency in calls.timeline if at < began)
    during = sorted(latency for at, latency in calls.timeline if began + 2 < at < ended)
    own = sum(one.own_cpu / one.wall for one in (calls, more) if one is not None)
    return Found(name, before, during, calls, more, late, vendor, own, relay, blind, refused)


def main(names: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    lines = []
    for name in names or RELAYS:
        with tempfile.TemporaryDirectory(prefix="earwitness-overload-") as folder:
            row = found(name, Path(folder))
        lines.append(row.line if row is not None else f"| {name} | did not start |")
        print(lines[-1], flush=True)
    if not names:
        about = (f"`make overload` on {machine()}: each relay is held to {SHARE:g} of a core. {OPEN} calls are open; then {MORE} more come "
                 f"and speak for {STAYS:g} s, and {LATE} late ones {LATER:g} s after them. A call sends ten pieces of audio a second and "
                 "gets a result for each. Of calls: how many ended well, and how many results were lost. nginx, HAProxy and Envoy look at "
                 "nothing.")
        kept("overload", "an overload", [about, "", *HEAD, *lines])


if __name__ == "__main__":
    main(sys.argv[1:])
