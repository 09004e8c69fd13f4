"""Random sessions against the model of what truly arrived: whatever happens in whatever order, nobody is accused wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.policy import Policy
from proxy.core.report import Report
from proxy.core.verdict import Owner

from .caller import Avatar, Call, assemblyai, deepgram
from .gatedplay import GatedPlay
from .playbook import BINARY
from .truth import NET_0001, cut, full
from .truth_claims import too_fast
from .truth_own import ENFORCE, NO_CREDIT, SILENCE


@dataclass
class World:
    """What truly happened: when what starts the timer anew was sent and arrived, and who was in the way when.

    `window` is the vendor's timer; `margin` what the check leaves open at its edge: its own, and a second between two readings.
    """

    call: Call
    window: float = 10.0
    margin: float = 3.0
    sent: list[float] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    blocked_from: int | None = None  # the bytes that had gone when nothing arrived any more
    ways: list[tuple[float, float, Owner]] = field(default_factory=list)
    stalled: float = 0.0

    def act(self, name: str, seconds: int) -> None:
        began = self.call.now
        getattr(self, name)(seconds)
        play = self.call.play
        if isinstance(play, GatedPlay):
            if self.blocked_from is None:
                self.arrived += [at for at, _ in play.left if at >= began]
            if play.gate.held_at is not None:
                self.ways.append((began, self.call.now, Owner.SIDECAR))

    def talk(self, seconds: int) -> None:
        self._open()
        for _ in range(seconds):
            self.call.talk(1.0)
            self._came(self.call.now)

    def burst(self, seconds: int) -> None:
        """A file, three times as fast as it plays."""
        self._open()
        for _ in range(seconds):
            self.call.talk(3.0, speed=3.0)
            self._came(self.call.now)

    def piece(self, seconds: int) -> None:
        """Several seconds in one message."""
        self._open()
        self.call.talk(3.0 * seconds, chunk=3.0 * seconds, speed=3.0)
        self._came(self.call.now)

    def pause(self, seconds: int) -> None:
        self._spend(seconds, Owner.CLIENT, lambda: self.call.pause(seconds))

    def keep_alive(self, seconds: int) -> None:
        self._open()
        began = self.call.now
        self.call.keep_alive(seconds)
        times = [began + at for at in range(4, seconds + 1, 4)]
        self.sent += times
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
        self._came(self.call.now)

    def _came(self, at: float) -> None:
        """Audio from the client; where there is a gate, it goes on when that says so."""
        self.sent.append(at)
        if not isinstance(self.call.play, GatedPlay):
            self.arrived.append(at)

    def _open(self) -> None:
        if self.blocked_from is not None:
            self.call.link = "up"
            self.call.tick()
            if self._gone > self.blocked_from:
                self.arrived.append(self.call.now)
            self.blocked_from = None

    @property
    def _gone(self) -> int:
        return self.call.play.session.to_vendor.wire_bytes

    def _blocked(self, seconds: int, owner: Owner, how: Callable[[Call], Call], send: Callable[[float], Call] | None = None) -> None:
        how(self.call)
        self.blocked_from = self._gone if self.blocked_from is None else self.blocked_from
        self._spend(seconds, owner, lambda: (send or self.call.talk)(seconds))
        self.sent.append(self.call.now - (seconds % 4 if send else 0))

    def _spend(self, seconds: int, owner: Owner, act: object) -> None:
        assert callable(act)
        began = self.call.now
        act()
        self.ways.append((began, began + seconds, owner))

    def ends(self, last: str, drained: str = "") -> Report:
        play = self.call.play
        if drained == "before":
            play.session.drained()
        if isinstance(self.call, Avatar):
            self.call.complains(3, SILENCE).play.vendor_closes(1000)
        else:
            play.vendor_closes(1011, NET_0001)
        if drained == "after":
            play.session.drained()
        if last == "stall":
            self.arrived = [at for at in self.arrived if at < self.call.now]  # the heap came after the close
            return self.call.tick(lag=self.stalled).play.end()
        return self.call.tick().play.end()

    def may_be_blamed(self) -> set[Owner]:
        """Who may truly be said to be the cause of the vendor's claim, by the model alone."""
        now = self.call.now
        since = now - max(self.arrived, default=100.0)
        if since < self.window - self.margin:
            return {Owner.VENDOR}  # it had got something inside its window
        in_the_way = {owner for began, ended, owner in self.ways if ended > now - since and began < now}
        if since < self.window:
            in_the_way.add(Owner.VENDOR)  # a little early
        if now - max(self.sent, default=100.0) < self.window - self.margin:
            in_the_way.discard(Owner.CLIENT)  # the vendor would have had it in time
        return in_the_way or {Owner.VENDOR}


KINDS = ("talk", "burst", "pause", "keep_alive", "binary", "cut", "cut_alive", "full", "stall")
segments = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 14)), min_size=1, max_size=6)
WHOLE = ("talk", "piece", "burst", "pause", "cut", "full", "stall")
POLICIES = st.sampled_from([None, ENFORCE, NO_CREDIT])
ENDS = st.sampled_from(["", "", "", "before", "after"])


def play(world: World, parts: list[tuple[str, int]], drained: str) -> None:
    world.act("talk", 1)
    for index, (name, seconds) in enumerate(parts):
        world.act(name, seconds)
        if name == "stall" and index < len(parts) - 1:
            world.call.tick(lag=float(seconds))
    report = world.ends(parts[-1][0], drained)
    owner = report.verdict.owner
    may = {Owner.SIDECAR} if drained == "before" else world.may_be_blamed()
    assert owner is Owner.UNKNOWN or owner in may, (parts, owner, may, report.evidence, world.ways, world.arrived[-3:])


@settings(max_examples=400, deadline=None)
@given(segments, st.sampled_from([(8000, 1, False), (16000, 2, True)]), POLICIES, ENDS)
def test_nobody_is_accused_wrongly(parts: list[tuple[str, int]], kind: tuple[int, int, bool], policy: Policy | None, drained: str) -> None:
    rate, width, tls = kind
    play(World(deepgram(rate, width, tls=tls, policy=policy)), parts, drained)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(WHOLE), st.integers(1, 14)), min_size=1, max_size=6), POLICIES, ENDS)
def test_nobody_is_accused_wrongly_where_a_message_cannot_be_cut(parts: list[tuple[str, int]], policy: Policy | None, drained: str) -> None:
    play(World(Avatar(policy=policy), 15.0, 4.0), parts, drained)


@dataclass
class Pace:
    """What the client truly sent when, what left here and what arrived when: each a time and seconds of audio."""

    call: Call
    sent: list[tuple[float, float]] = field(default_factory=list)
    left: list[tuple[float, float]] = field(default_factory=list)
    arrived: list[tuple[float, float]] = field(default_factory=list)
    waiting: float = 0.0
    happened: set[str] = field(default_factory=set)

    def act(self, name: str, seconds: int) -> None:
        self.happened.add(name)
        began = self.call.now
        getattr(self, f"_{name}")(seconds)
        play = self.call.play
        if isinstance(play, GatedPlay):
            self._leave([one for one in play.left if one[0] > began])

    def _came(self, *pieces: tuple[float, float]) -> None:
        """From the client; where there is a gate, it goes on when that says so."""
        self.sent += pieces
        if not isinstance(self.call.play, GatedPlay):
            self._leave(list(pieces))

    def _leave(self, pieces: list[tuple[float, float]]) -> None:
        self.left += pieces
        if self.call.link == "up":
            self.arrived += pieces
        else:
            self.waiting += sum(seconds for _, seconds in pieces)

    def _talk(self, seconds: int, speed: float = 1.0, chunk: float = 0.1) -> None:
        self.recover()
        for _ in range(round(seconds / chunk)):
            self.call.talk(chunk, speed=speed, chunk=chunk)
            self._came((self.call.now, chunk))
        self.call.tick()

    def _short(self, seconds: int) -> None:
        self._talk(seconds, chunk=0.02)

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
        if not isinstance(self.call.play, GatedPlay):
            self._leave([(self.call.now, 0.1)] * 10 * seconds)

    def _blocked(self, seconds: int, link: str) -> None:
        self.call.link = link
        for _ in range(seconds):
            self.call.talk(1.0)
            self._came(*((self.call.now - (9 - number) / 10, 0.1) for number in range(10)))

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


PACES = ("talk", "short", "fast", "pause", "cut", "full", "stall")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PACES), st.integers(1, 12)), min_size=1, max_size=5), POLICIES)
def test_nobody_is_called_too_fast_wrongly(parts: list[tuple[str, int]], policy: Policy | None) -> None:
    paced(Pace(assemblyai(policy=policy)), parts)


def paced(pace: Pace, parts: list[tuple[str, int]]) -> None:
    for name, seconds in parts:
        pace.act(name, seconds)
    pace.recover()
    owner = too_fast(pace.call).verdict.owner
    allowed = {Owner.UNKNOWN}
    if min(lead(pace.sent), lead(pace.left)) > 1.8:
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
