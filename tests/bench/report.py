"""From measurements to what a person reads: rows with their medians, and bars that are met or missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

from tests.bench.measure import OURS, Row

BUSY: Final = 0.8
"""Share of a core above which the generator or the vendor is measured instead of the relay."""
CALM: Final = 1.2
"""Cores (of two) that the whole rig may use where latency is compared."""

HEAD: Final = (
    f"{'upstream':8} {'sessions':>8} {'gap ms':>6} {'relay':10} {'us/frame':>8} {'ratio':>6} {'p50 ms':>7} {'p99 ms':>7}"
    f" {'relay%':>6} {'load%':>6} {'vendor%':>7} {'rounds':>6}"
)


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def cost(row: Row) -> float:
    """Microseconds of CPU for each frame relayed, either way."""
    return 1e6 * row.result.relay_cpu / (row.result.sent + row.result.answered)


def milliseconds(row: Row, share: float) -> float:
    return 1e3 * quantile(row.result.latencies, share)


def busy(row: Row) -> bool:
    return max(row.result.own_cpu, row.result.vendor_cpu) / row.result.wall > BUSY


@dataclass(frozen=True)
class Group:
    """All rounds of one relay at one number of sessions, over one kind of upstream."""

    upstream: str
    rows: list[Row]

    @property
    def name(self) -> str:
        return self.rows[0].name

    @property
    def sessions(self) -> int:
        return self.rows[0].sessions

    @property
    def good(self) -> list[Row]:
        """The rounds that count."""
        return [row for row in self.rows if row.miscounted is None and not busy(row)]

    @property
    def calm(self) -> bool:
        return self._median(lambda row: (row.result.relay_cpu + row.result.vendor_cpu + row.result.own_cpu) / row.result.wall) <= CALM

    @property
    def cost(self) -> float:
        return self._median(cost)

    @property
    def p99(self) -> float:
        return self._median(lambda row: milliseconds(row, 0.99))

    def line(self, ours: Group | None) -> str:
        def share(used: Callable[[Row], float]) -> float:
            return 100 * self._median(lambda row: used(row) / row.result.wall)

        ratio = f"{ours.cost / self.cost:6.2f}" if ours and self.cost and ours is not self else f"{'':6}"
        text = (
            f"{self.upstream:8} {self.sessions:8} {1e3 * self.rows[0].gap:6.0f} {self.name:10} {self.cost:8.1f} {ratio}"
            f" {self._median(lambda row: milliseconds(row, 0.5)):7.2f} {self.p99:7.2f} {share(lambda row: row.result.relay_cpu):6.0f}"
            f" {share(lambda row: row.result.own_cpu):6.0f} {share(lambda row: row.result.vendor_cpu):7.0f}"
            f" {len(self.good):4}/{len(self.rows)}"
        )
        return text + self._marks()

    def under_quota(self) -> str:
        """For relays that are held to little CPU: how late the latest answers were."""
        p999, worst = self._median(lambda row: milliseconds(row, 0.999)), self._median(lambda row: milliseconds(row, 1.0))
        used = self._median(lambda row: row.result.relay_cpu / row.result.wall)
        return f"{self.name} p99.9 {p999:.1f} ms, worst {worst:.1f} ms, uses {used:.3f} of a core{self._marks()}"

    def _median(self, value: Callable[[Row], float]) -> float:
        return median(map(value, self.good or self.rows))

    def _marks(self) -> str:
        marks = {f"MISCOUNTED: {row.miscounted}" for row in self.rows if row.miscounted}
        if any(busy(row) for row in self.rows):
            marks.add("BUSY: load or vendor above 80 % of a core")
        if not self.good:
            marks.add("NOT COMPARED")
        return "".join(f"  {mark}" for mark in sorted(marks))


@dataclass(frozen=True)
class Bar:
    """What is asked, what was found; `met` is None where it was not measured."""

    what: str
    found: str
    met: bool | None

    def line(self) -> str:
        return f"{ {True: 'met   ', False: 'MISSED', None: 'not measured'}[self.met]}  {self.what}: {self.found}"


def beside_others(groups: list[Group]) -> list[Bar]:
    """Cost against each other relay, in each setting; latency at the fewest sessions."""
    bars = []
    settings = sorted({(group.upstream, group.sessions) for group in groups})
    for upstream, sessions in settings:
        here = {group.name: group for group in groups if (group.upstream, group.sessions) == (upstream, sessions)}
        where = f"{upstream} upstream, {sessions} sessions"
        for name, limit in (("envoy", 1.0), ("naive", 0.7), ("haproxy", 1.5)):
            bars.append(_ratio(f"cost at most {limit:g} of {name}'s, {where}", here.get(OURS), here.get(name), limit))
        if sessions == min(number for _, number in settings):
            bars.append(_later(f"p99 at most Envoy's + 0.5 ms, {where}", here.get(OURS), here.get("envoy"), 0.5))
    return bars


def gate(without: Group | None, enforcing: Group | None, sessions: int) -> Bar:
    """What the gate costs where there is nothing to correct."""
    return _ratio(f"cost with the gate on at most 1.25 of without, {sessions} sessions", enforcing, without, 1.25)


def delay(without: Group | None, enforcing: Group | None, sessions: int) -> Bar:
    """How much later frames are that the gate has nothing against, at the worst hundredth of them."""
    return _later(f"p99 of legal frames with the gate on less than 1 ms above that without, {sessions} sessions", enforcing, without, 1.0)


def telemetry(without: Group | None, traced: Group | None, sessions: int) -> Bar:
    """What traces and scrapes cost."""
    return _ratio(f"cost with traces and a scrape each second at most 1.1 of without, {sessions} sessions", traced, without, 1.1)


def _ratio(what: str, ours: Group | None, other: Group | None, limit: float) -> Bar:
    if not (ours and other and ours.good and other.good):
        return Bar(what, "no rounds that count", None)
    ratio = ours.cost / other.cost
    return Bar(what, f"{ratio:.2f} ({ours.cost:.1f} to {other.cost:.1f} us)", ratio <= limit)


def _later(what: str, ours: Group | None, other: Group | None, limit: float) -> Bar:
    """`limit` in milliseconds, which the difference stays below."""
    if not (ours and other and ours.good and other.good):
        return Bar(what, "no rounds that count", None)
    found = f"{ours.p99:.2f} to {other.p99:.2f} ms"
    if not (ours.calm and other.calm):
        return Bar(what, f"{found}, the rig above 60 % of both cores", None)
    return Bar(what, found, ours.p99 - other.p99 < limit)


def counted(groups: list[Group]) -> Bar:
    rows = [row for group in groups for row in group.rows if group.name == OURS]
    wrong = [row.miscounted for row in rows if row.miscounted]
    found = f"{len(rows) - len(wrong)} of {len(rows)} rounds" + "".join(f"; {text}" for text in wrong[:2])
    return Bar("frames, audio seconds and results in /metrics are those of the load", found, not wrong if rows else None)


def flat(groups: list[Group], limit: float = 1.2) -> Bar:
    """The dearest against the fewest sessions: cost does not grow with them."""
    good = [group for group in groups if group.good]
    found = ", ".join(f"{group.sessions}: {group.cost:.1f} us" for group in good)
    complete = len(good) == len(groups) > 1
    met = max(group.cost for group in good) <= limit * good[0].cost if complete else None
    return Bar(f"cost at any number of sessions at most {limit:g} of that at the fewest", found or "no rounds that count", met)
