"""make bench: runs the measurements, prints tables and bars. Always exits 0: it tells, and people judge."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench import report
from tests.bench.measure import ENFORCING, OURS, STORM, TRACED, Rig, Row, idle, memory, rig, row, start_seconds, storm
from tests.bench.peers import OTHERS
from tests.bench.processes import DidNotStartError
from tests.bench.quota import NoGroupsError, held_to
from tests.bench.report import Bar, Group
from tests.bench.scrape import SESSIONS, every, scraped
from tests.otlp import collector

MOST_FRAMES: Final = 4_000
"""Frames a second that the load sends at most where many sessions are measured: more would need more cores than two."""
PARTS: Final = ("cost", "gate", "telemetry", "flat", "memory", "idle", "storm", "scrape", "start", "quota")
DELAYED: Final = (50, 200)
"""Sessions at which it is looked at what the gate adds to the way of a frame."""
QUOTAS: Final = ((0.1, 10), (0.5, 100))
"""Of a core, and sessions."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, and shorter ones")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement (5; quick: 1)")
    parser.add_argument("--seconds", type=float, help="speech in a round (5; quick: 2)")
    parser.add_argument("--sessions", type=int, nargs="+", default=[200, 600])
    parser.add_argument("--peers", nargs="*", default=list(OTHERS), choices=list(OTHERS))
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    given = parser.parse_args()
    given.rounds = given.rounds or (1 if given.quick else 5)
    given.seconds = given.seconds or (2.0 if given.quick else 5.0)
    return given


class Bench:
    """One run, in a folder of its own that goes with it."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self.given = given
        self.folder = folder
        self._numbers = count()

    def fresh(self) -> Path:
        path = self.folder / str(next(self._numbers))
        path.mkdir()
        return path

    def cost(self) -> list[Bar]:
        """All relays beside each other. Rounds are interleaved, so that what else the machine does meets all alike."""
        groups = []
        for upstream in ("plain", "tls"):
            with rig(self.fresh(), upstream == "tls", [*self.given.peers, OURS]) as bench:
                for sessions in self.given.sessions:
                    rows: dict[str, list[Row]] = {target.name: [] for target in bench.targets}
                    for _ in range(self.given.rounds):
                        for target in bench.targets:
                            rows[target.name].append(row(bench, target, sessions, self.given.seconds))
                    here = [Group(upstream, measured) for measured in rows.values()]
                    ours = next((group for group in here if group.name == OURS), None)
                    show([group.line(ours) for group in here])
                    groups += here
        return [*report.beside_others(groups), report.counted(groups)]

    def gate(self) -> list[Bar]:
        """Ours with the gate on beside ours without, in interleaved rounds."""
        bars = []
        with rig(self.fresh(), False, [OURS, ENFORCING]) as bench:
            for without, enforcing, sessions in self._beside(bench, ENFORCING, sorted({*DELAYED, *self.given.sessions})):
                if sessions in self.given.sessions:
                    bars.append(report.gate(without, enforcing, sessions))
                if sessions in DELAYED:
                    bars.append(report.delay(without, enforcing, sessions))
        return bars

    def telemetry(self) -> list[Bar]:
        """Ours traced and scraped beside ours as it is."""
        with collector() as spans, rig(self.fresh(), False, [OURS, TRACED], collector=spans.url) as bench, ExitStack() as scrapes:
            for target in bench.targets:
                if target.name == TRACED and target.metrics is not None:
                    scrapes.enter_context(every(target.metrics, 1.0))
            return [report.telemetry(*pair) for pair in self._beside(bench, TRACED, self.given.sessions)]

    def _beside(self, bench: Rig, other: str, numbers: list[int]) -> Iterator[tuple[Group | None, Group | None, int]]:
        """Ours and the other way to run it, in interleaved rounds, for each number of sessions."""
        for sessions in numbers:
            rows: dict[str, list[Row]] = {target.name: [] for target in bench.targets}
            for _ in range(self.given.rounds):
                for target in bench.targets:
                    rows[target.name].append(row(bench, target, sessions, self.given.seconds))
            groups = {name: Group("plain", measured) for name, measured in rows.items()}
            show([group.line(groups.get(other)) for group in groups.values()])
            yield groups.get(OURS), groups.get(other), sessions

    def scrape(self) -> list[Bar]:
        what = f"event_loop_lag_seconds at most 10 ms while {SESSIONS} open sessions are scraped"
        try:
            found = scraped(self.fresh(), max(10.0, self.given.seconds))
        except (DidNotStartError, TimeoutError) as error:
            return [Bar(what, f"did not start: {error}", None)]
        said = (f"{found.busy} above it in {len(found.times)} scrapes (median {1e3 * median(found.times):.1f} ms, "
                f"slowest {1e3 * found.times[-1]:.1f} ms); {found.calm} without scrapes")
        met = True if found.busy.late == 0 else None if found.calm.late else False  # late without scrapes: something else holds it up
        return [Bar(what, said, met)]

    def flat(self) -> list[Bar]:
        groups = []
        with rig(self.fresh(), False, [OURS]) as bench:
            for sessions in (100, 400, 1000, 1500):
                gap = max(0.1, sessions / MOST_FRAMES)
                rounds = [row(bench, target, sessions, max(self.given.seconds, 4 * gap), gap)
                          for _ in range(self.given.rounds) for target in bench.targets]
                if rounds:
                    groups.append(Group("plain", rounds))
                    show([groups[-1].line(None)])
        return [report.flat(groups), report.counted(groups)]

    def memory(self) -> list[Bar]:
        bars = []
        for upstream, limit in (("plain", 30), ("tls", 75)):
            what = f"memory of an open session, {upstream} upstream, at most {limit} KiB"
            try:
                kib, measured = memory(self.fresh(), upstream == "tls")
                bars.append(Bar(what, f"{kib:.1f} KiB{_but(measured)}", None if measured.miscounted else kib <= limit))
            except DidNotStartError as error:
                bars.append(Bar(what, f"did not start: {error}", None))
        return bars

    def quota(self) -> list[Bar]:
        """Beside Envoy, each held to the same share of a core. There is no bar: what is asked for is to know."""
        for share, sessions in QUOTAS:
            what, found = f"{share:g} of a core, {sessions} sessions over TLS", []
            with rig(self.fresh(), True, ["envoy", OURS]) as bench:
                for target in bench.targets:
                    try:
                        with held_to(share, target.pids):
                            rows = [row(bench, target, sessions, max(20.0, self.given.seconds)) for _ in range(min(3, self.given.rounds))]
                    except NoGroupsError as error:
                        return [Bar(what, f"no control groups: {error}", None)]
                    found.append(Group("tls", rows).under_quota())
            show([f"{what}: {'; '.join(found)}"])
        return []

    def idle(self) -> list[Bar]:
        found = idle(self.fresh(), self.given.peers)
        said = ", ".join(f"{name} {mib:.1f} MiB" for name, mib in found.items())
        met = found[OURS] <= found["envoy"] if {OURS, "envoy"} <= found.keys() else None
        return [Bar("resident when idle at most Envoy's", said, met)]

    def storm(self) -> list[Bar]:
        what = f"p99 of open sessions during {STORM} TLS reconnects at once at most 10 ms"
        figures = []
        for _ in range(min(3, self.given.rounds)):
            try:
                before, during, took, back = storm(self.fresh(), 200)
            except DidNotStartError as error:
                return [Bar(what, f"did not start: {error}", None)]
            if not before or not during or back < STORM:
                return [Bar(what, f"{back} came back, {len(during)} answers meanwhile", None if back == STORM else False)]
            figures.append((1e3 * report.quantile(during, 0.99), 1e3 * report.quantile(before, 0.99), took))
        p99, calm, took = sorted(figures)[len(figures) // 2]
        return [Bar(what, f"{p99:.2f} ms (before {calm:.2f} ms; all back after {took:.2f} s)", p99 <= 10)]

    def start(self) -> list[Bar]:
        what = "from exec to /-/ready at most 600 ms"
        try:
            times = [start_seconds() for _ in range(max(3, self.given.rounds))]
        except DidNotStartError as error:
            return [Bar(what, f"did not start: {error}", None)]
        return [Bar(what, f"{1e3 * median(times):.0f} ms (slowest {1e3 * max(times):.0f} ms)", median(times) <= 0.6)]


def _but(measured: Row) -> str:
    return f", miscounted: {measured.miscounted}" if measured.miscounted else ""


def show(lines: list[str]) -> None:
    print("\n".join(lines), flush=True)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    given = arguments()
    show([f"{time.strftime('%Y-%m-%d')}: {os.cpu_count()} cores, {platform.machine()}, Linux {platform.release().split('-')[0]}, "
          f"Python {platform.python_version()}; load average before: {os.getloadavg()[0]:.2f}",
          f"{given.rounds} rounds of {given.seconds:g} s, medians; ratio: {OURS}'s cost to that relay's", "", report.HEAD])
    bars = []
    with tempfile.TemporaryDirectory(prefix="earwitness-bench-") as folder:
        bench = Bench(given, Path(folder))
        for part in given.parts:
            bars += getattr(bench, part)()
    show(["", *(bar.line() for bar in bars)])


if __name__ == "__main__":
    main()
