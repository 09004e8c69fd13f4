"""Random sessions against the model of what truly arrived: whatever happens in whatever order, nobody is accused wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.report import Report
from proxy.core.verdict import Owner

from .caller import Call, assemblyai, deepgram
from .playbook import BINARY
from .truth import cut, full, late, net_0001
from .truth_claims import too_fast

WINDOW, MARGIN = 10.0, 3.0
"""The vendor's timer; what the check leaves open at its edge: its margin, and a second between two readings."""


@dataclass
class World:
    """What truly happened: when what starts the timer anew arrived, and who was in the way when."""

    call: Call
    arrived: list[float] = field(default_factory=list)
    waits: bool = False  # something sent has not arrived
    ways: list[tuple[float, float, Owner]] = field(default_factory=list)
    stalled: float = 0.0

    def talk(self, seconds: int) -> None:
        self._open()
        for _ in range(seconds):
            self.call.talk(1.0)
            self.arrived.append(self.call.now)

    def pause(self, seconds: int) -> None:
        self._spend(seconds, Owner.CLIENT, lambda: self.call.pause(seconds))

    def keep_alive(self, seconds: int) -> None:
        self._open()
        began = self.call.now
        self.call.keep_alive(seconds)
        times = [began + at for at in range(4, seconds + 1, 4)]
        self.arrived += times
        self.ways.append((began, self.call.now, Owner.CLIENT))

    def binary(self, seconds: int) -> None:
        self._spend(seconds, Owner.CLIENT, lambda: self.call.keep_alive(seconds, opcode=BINARY))

    def cut(self, seconds: int) -> None:
        self._blocked(seconds, Owner.NETWORK, cut)

    def cut_alive(self, seconds: int) -> None:
        """Keep-alives into a cut link; one at least."""
        self._blocked(max(4, seconds), Owner.NETWORK, cut, self.call.keep_alive)

    def full(self, seconds: int) -> None:
        self._blocked(seconds, Owner.VENDOR, full)

    def stall(self, seconds: int) -> None:
        self._open()
        self._spend(seconds, Owner.SIDECAR, lambda: self.call.stands_still(seconds))
        self.stalled = float(seconds)
        self.arrived.append(self.call.now)

    def _open(self) -> None:
        if self.waits:
            self.call.link, self.waits = "up", False
            self.call.tick()
            self.arrived.append(self.call.now)

    def _blocked(self, seconds: int, owner: Owner, how: Callable[[Call], Call], send: Callable[[float], Call] | None = None) -> None:
        how(self.call)
        self.waits = True
        self._spend(seconds, owner, lambda: (send or self.call.talk)(seconds))

    def _spend(self, seconds: int, owner: Owner, act: object) -> None:
        assert callable(act)
        began = self.call.now
        act()
        self.ways.append((began, began + seconds, owner))

    def ends(self, last: str) -> Report:
        if last == "stall":
            self.arrived.pop()  # the heap came after the close
            return late(self.call, lag=self.stalled)
        return net_0001(self.call)

    def may_be_blamed(self) -> set[Owner]:
        """Who may truly be said to be the cause of the vendor's claim, by the model alone."""
        now = self.call.now
        since = now - max(self.arrived, default=100.0)
        if since < WINDOW - MARGIN:
            return {Owner.VENDOR}  # it had got something inside its window
        in_the_way = {owner for began, ended, owner in self.ways if ended > now - since and began < now}
        if since < WINDOW:
            in_the_way.add(Owner.VENDOR)  # a little early
        return in_the_way or {Owner.VENDOR}


KINDS = ("talk", "pause", "keep_alive", "binary", "cut", "cut_alive", "full", "stall")
segments = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 14)), min_size=1, max_size=6)


@settings(max_examples=400, deadline=None)
@given(segments, st.sampled_from([(8000, 1, False), (16000, 2, True)]))
def test_nobody_is_accused_wrongly(parts: list[tuple[str, int]], kind: tuple[int, int, bool]) -> None:
    rate, width, tls = kind
    world = World(deepgram(rate, width, tls=tls).talk(1.0))
    world.arrived.append(world.call.now)
    for index, (name, seconds) in enumerate(parts):
        getattr(world, name)(seconds)
        if name == "stall" and index < len(parts) - 1:
            world.call.tick(lag=float(seconds))
    report = world.ends(parts[-1][0])
    owner = report.verdict.owner
    assert owner is Owner.UNKNOWN or owner in world.may_be_blamed(), (parts, owner, report.evidence, world.ways, world.arrived[-3:])


@dataclass
class Pace:
    """What the client truly sent when, and what arrived when: each a time and seconds of audio."""

    call: Call
    sent: list[tuple[float, float]] = field(default_factory=list)
    arrived: list[tuple[float, float]] = field(default_factory=list)
    waiting: float = 0.0
    happened: set[str] = field(default_factory=set)

    def act(self, name: str, seconds: int) -> None:
        self.happened.add(name)
        getattr(self, f"_{name}")(seconds)

    def _talk(self, seconds: int, speed: float = 1.0) -> None:
        self.recover()
        for _ in range(10 * seconds):
            self.call.talk(0.1, speed=speed)
            self.sent.append((self.call.now, 0.1))
            self.arrived.append((self.call.now, 0.1))
        self.call.tick()

    def _fast(self, seconds: int) -> None:
        self._talk(seconds, speed=3.0)

    def _pause(self, seconds: int) -> None:
        self.recover()
        self.call.pause(seconds)

    def _cut(self, seconds: int) -> None:
        self._blocked(seconds, "cut")

    def _full(self, seconds: int) -> None:
        self._blocked(seconds, "full")

    def _stall(self, seconds: int) -> None:
        self.recover()
        began = self.call.now
        self.call.stands_still(seconds).tick(lag=float(seconds))
        self.sent += [(began + (number + 1) / 10, 0.1) for number in range(10 * seconds)]
        self.arrived.append((self.call.now, float(seconds)))

    def _blocked(self, seconds: int, link: str) -> None:
        self.call.link = link
        for _ in range(seconds):
            self.call.talk(1.0)
            self.sent += [(self.call.now - (9 - number) / 10, 0.1) for number in range(10)]
        self.waiting += seconds

    def recover(self) -> None:
        self.call.link = "up"
        if self.waiting:
            self.call.tick()
            self.arrived.append((self.call.now, self.waiting))
            self.waiting = 0.0


def lead(pieces: list[tuple[float, float]]) -> float:
    """The most that ever was ahead of real time."""
    most = busy = 0.0
    for at, seconds in sorted(pieces):
        busy = max(busy, at) + seconds
        most = max(most, busy - at)
    return most


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("talk", "fast", "pause", "cut", "full", "stall")), st.integers(1, 12)), min_size=1, max_size=5))
def test_nobody_is_called_too_fast_wrongly(parts: list[tuple[str, int]]) -> None:
    pace = Pace(assemblyai())
    for name, seconds in parts:
        pace.act(name, seconds)
    pace.recover()
    owner = too_fast(pace.call).verdict.owner
    allowed = {Owner.UNKNOWN}
    if lead(pace.sent) > 1.8:
        allowed.add(Owner.CLIENT)
    if lead(pace.arrived) <= 4.5 or "full" in pace.happened:
        allowed.add(Owner.VENDOR)
    if "cut" in pace.happened:
        allowed.add(Owner.NETWORK)
    if "stall" in pace.happened:
        allowed.add(Owner.SIDECAR)
    assert owner in allowed, (parts, owner, lead(pace.sent), lead(pace.arrived))


def test_the_model_names_what_was_in_the_way() -> None:
    world = World(deepgram().talk(1.0))
    world.arrived.append(world.call.now)
    world.cut(12)
    assert world.may_be_blamed() == {Owner.NETWORK}
    assert world.ends("cut").verdict.owner is Owner.NETWORK
