"""The gate: holds a client's traffic to the vendor's limits before it leaves.

Owns what may go when; bytes and a clock reading in, bytes and a time to be woken out. The audio that goes out is the audio that came
in, in its order; text keeps its place among it, pings overtake what is held. It makes no frame that did not come, but for cutting
audio that is too long and joining audio that is too short (shaping). Anything that it cannot read makes it let go of all that it
holds and stay off.

    bytes -> whole messages (assembly, meter) -> cut | join (shaping) -> queue (held) -> when they are due (schedule) -> bytes

The queue is bounded, in seconds and in bytes: what has come beyond that stays in the form in which it came until there is room.

Audio that is too short waits at the end of the queue, for more or until its time is up; whatever else comes sends it on its way.
One chunk of the network that is one audio frame like the last one, and that may go at once, goes as it is, for the price of a few
comparisons and additions.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from proxy.core.assembly import OVERHEAD, Assembly
from proxy.core.deflate import Inflater
from proxy.core.frames import BrokenError, Frame
from proxy.core.held import Done, Held, Unit, as_it_came, pieces_of
from proxy.core.meter import Measured, Meter
from proxy.core.pacing import ROUNDING
from proxy.core.policy import Action, Bounds, Policy, Rule, bounds, touching
from proxy.core.schedule import Schedule
from proxy.core.shaping import Shaper
from proxy.core.vendor import CompiledEndpoint, Request
from proxy.core.wire import OP_CLOSE, WHOLE_BINARY

HELD_SECONDS: Final = 300.0
HELD_BYTES: Final = 32 << 20
"""Nothing is added to what is held beyond these; a message that is longer than that by itself waits until it is alone."""
READ_BYTES: Final = (256 + 16) << 10
"""The most that a loop hands over at once: what it reads, and what was there of a TLS record. It has to find room."""
CLOSE_SECONDS: Final = 5.0
"""How long a close may wait for the audio before it."""
NO_RUN: Final = -1
ANYTHING: Final = Measured(alike=True)
"""A message that no rule asks about."""

RATES: Final = (Rule.MESSAGE_RATE, Rule.AUDIO_CHUNK_RATE)


def gate_for(policy: Policy, endpoint: CompiledEndpoint | None, request: Request, inflater: Inflater | None,
             delayed: Callable[[float], None] = lambda seconds: None) -> Gate | None:
    """A session's gate; None where no rule is enforced that has to look at what the client sends.

    inflater: the gate's own, where compression was agreed on. delayed: is told the seconds that each held piece waited.
    """
    if endpoint is None:
        return None
    numbers = bounds(policy.rules, endpoint.spec.limits)
    enforced = touching(policy, numbers)
    return Gate(enforced, numbers, Meter(endpoint, request, inflater), delayed) if enforced else None


class Gate:
    """One session's. `enforced` are the rules that act."""

    __slots__ = (
        "_assembly", "_deadline", "_drops_rest", "_enforced", "_held", "_holder", "_is_closed", "_is_over", "_measured", "_meter",
        "_run_head", "_run_seconds", "_run_size", "_schedule", "_shaper", "_wait", "done", "off", "refusal", "wake_at", "why_off",
    )

    def __init__(self, enforced: frozenset[Rule], numbers: Bounds, meter: Meter,
                 delayed: Callable[[float], None] = lambda seconds: None) -> None:
        self._enforced, self._meter, self._wait = enforced, meter, numbers.chunk_wait
        self._assembly, self._held = Assembly(), Held()
        self._shaper, self._schedule = Shaper(enforced, numbers), Schedule(enforced, numbers)
        self._holder = Rule.PACE  # what the first of the queue waits for, or last waited for
        self._deadline = inf  # of a close that waits
        self._is_closed = False  # a close has come: what follows is no longer frames (RFC 6455 section 1.4)
        self._is_over = False  # nothing more will come,
        self._drops_rest = False  # and what there is of a cut message does not go
        self._measured: Measured | None = None  # of the message that there is no room for
        self._run_size, self._run_head, self._run_seconds = NO_RUN, b"", 0.0  # of the last frame, while nothing is held
        self.wake_at: float | None = None
        self.off = False
        self.why_off: str | None = None
        self.refusal: tuple[Rule, str] | None = None
        self.done = Done(delayed)

    # What the shell calls

    def feed(self, data: bytes, now: float) -> bytes:
        """Bytes from the client. Gives back what leaves now. Never raises: what it cannot follow it lets go."""
        if len(data) == self._run_size and data.startswith(self._run_head) and self._schedule.at_once(self._run_seconds, now):
            return data
        if self.off:
            return data
        if self.refusal is not None:
            return b""
        self._assembly.add(data)
        return self._try(self._take_in, now)

    def release(self, now: float) -> bytes:
        """What leaves now of what was held. Never raises."""
        return self._try(self._take_in if self._assembly.waiting else self._release, now)

    def let_go(self, why: str = "inspection") -> bytes:
        """Everything that is held, as it stands, from a frame's beginning; from now on the gate does nothing."""
        if self.off:
            return b""
        self.off, self.why_off = True, why
        self._run_size, self.wake_at, self._deadline, self._measured = NO_RUN, None, inf, None
        held = [part for unit in self._held.clear() for part in unit.leave()]
        return b"".join(held) + self._assembly.take()

    def finish(self, now: float, whole: bool) -> None:
        """Nothing more will come: what is held goes within the bound of a close. `whole`: not what there is of a cut message.

        To be followed by a `release`.
        """
        self._is_over, self._drops_rest = True, whole
        self._run_size = NO_RUN
        self._deadline = min(self._deadline, now + CLOSE_SECONDS)
        self.wake_at = now

    def hurry(self, now: float) -> bytes:
        """Nobody listens any more to whom audio could go: a close does not wait for it. Never raises."""
        self._deadline = min(self._deadline, now)
        return self.release(now)

    def abandon(self) -> None:
        """Nothing goes any more: all audio that is here is counted as cut, what there was no room for as well. Never raises."""
        try:
            while (frames := self._assembly.next()) is not None and frames[0].opcode != OP_CLOSE:
                if frames[0].opcode < OP_CLOSE:
                    self.done.cut_seconds += (self._measured or self._meter.measure(frames)).seconds or 0.0
                    self._measured = None
                    self._assembly.taken()
        except Exception:  # no frames, or none that can be measured
            self._measured = None
        self.done.cut_seconds += sum(unit.seconds or 0.0 for unit in self._held.clear())

    @property
    def is_closing(self) -> bool:
        """Whether a close, or the end of all, waits for what is before it."""
        return self._deadline < inf

    @property
    def empty(self) -> bool:
        """Whether nothing waits that could go."""
        return not self._held.units

    @property
    def held_seconds(self) -> float:
        return self._held.seconds

    @property
    def held_at(self) -> float | None:
        """When the last audio came that waits; None where none does."""
        return next((unit.came for unit in reversed(self._held.units) if unit.is_audio), None)

    @property
    def held_bytes(self) -> int:
        """All that is held, what is not in the queue yet included, with what it costs to hold it."""
        return self._held.bytes + self._assembly.waiting

    @property
    def is_full(self) -> bool:
        """Whether no more should be read from the client, until something has gone. What is not whole alone has to become so first."""
        if not self._held.units:
            return False
        return self._measured is not None or self._held.seconds >= HELD_SECONDS or self.held_bytes > HELD_BYTES - READ_BYTES

    def _try(self, step: Callable[[list[bytes], float], None], now: float) -> bytes:
        """What leaves in a step; everything, where it fails."""
        out: list[bytes] = []
        try:
            step(out, now)
        except BrokenError as error:
            out.append(self.let_go(str(error)))
        except Exception:  # a fault of ours must not cost anybody the call
            out.append(self.let_go("inspection"))
        if self._held.units or self._assembly.waiting:
            self._run_size = NO_RUN  # the next frame comes after what waits
        return b"".join(out)

    # From bytes to pieces

    def _take_in(self, out: list[bytes], now: float) -> None:
        """All whole messages that there is room for. Raises where it cannot go on; what is to blame has not been taken then."""
        self._run_size = NO_RUN
        while not self._is_closed and (frames := self._next(out, now)) is not None:
            self._run_size = NO_RUN
            first = frames[0]
            if first.opcode < OP_CLOSE:
                if not self._message(frames, out, now):
                    return
            elif first.opcode != OP_CLOSE:
                self._release(out, now)
                out += (first.head, first.payload)  # waits for nobody (RFC 6455, 5.4); what goes out are whole messages
            else:
                self._is_closed = True
                self._push(self._assembly.opened(), now)  # came before it, and may not follow it (RFC 6455, 5.5.1)
                self._deadline = min(self._deadline, now + CLOSE_SECONDS)
                self._held.push(Unit([first.head, first.payload], now, first.size, is_free=True))
        if self._is_closed or (self._is_over and self._room >= OVERHEAD):  # there is nothing whole any more
            self._push_rest(now)
        self._release(out, now)

    def _next(self, out: list[bytes], now: float) -> list[Frame] | None:
        """Of what has come; None where nothing more of it is whole, or where there is no room."""
        while (frames := self._assembly.next(self._room)) is None and self._room < OVERHEAD:
            self._release(out, now)
            if self._room < OVERHEAD:
                break
        return frames

    @property
    def _room(self) -> float:
        """Bytes that may be held besides."""
        return HELD_BYTES - self.held_bytes if self._held.units else inf

    def _message(self, frames: list[Frame], out: list[bytes], now: float) -> bool:
        """Whether it was taken, and more may be."""
        if self._measured is None:
            self._measured = self._meter.measure(frames) if self._enforced else ANYTHING
            self.refusal = next((wrong for wrong in self._measured.wrong if wrong[0] in self._enforced), None)
            if self.refusal is not None:
                self._refuse(self.refusal[0], out, now)
                return False
        measured = self._measured
        if not self._fits(frames[0], measured):
            self._release(out, now)
            if not self._fits(frames[0], measured):
                return False
        self._measured = None
        self._whole(frames, measured, now)
        self._assembly.taken()
        return True

    def _fits(self, first: Frame, measured: Measured) -> bool:
        """Whether there is room for it in the queue, where each of its pieces costs more than its bytes."""
        if not self._held.units:
            return True
        seconds = measured.seconds or 0.0
        if self._held.seconds + seconds > HELD_SECONDS:
            return False
        cut = self._shaper.cut(seconds, len(first.payload), self._meter.audio_format) if measured.bare else None
        return self._room >= OVERHEAD * (len(cut.sizes) + 1 if cut is not None else 1)

    def _push_rest(self, now: float) -> None:
        rest = self._assembly.take()
        if not self._drops_rest:
            self._push(rest, now)

    def _push(self, data: bytes, now: float) -> None:
        """What is no whole message, as it came."""
        if data:
            self._held.push(Unit([data], now, len(data), is_free=True))

    def _refuse(self, rule: Rule, out: list[bytes], now: float) -> None:
        """What may go still goes; nothing after that."""
        self.done.count(rule, Action.REFUSED)
        self._release(out, now)
        self._assembly.taken()
        self._measured = None
        self.abandon()
        self._assembly.take()
        self.wake_at, self._deadline = None, inf

    def _whole(self, frames: list[Frame], measured: Measured, now: float) -> None:
        """A message. One frame of bare samples may be joined to what waits for more, and be cut; all else stays as it is."""
        frame = frames[0]
        single = frame.first == WHOLE_BINARY
        if single and measured.bare:
            alike = self._bare(frame, measured.seconds or 0.0, now)
        else:
            parts = [part for frame in frames for part in (frame.head, frame.payload)]
            self._held.push(Unit(parts, now, sum(map(len, parts)), measured.seconds, measured.audio))
            alike = single and measured.alike
        if alike:
            self._run_size, self._run_seconds = frame.size, measured.seconds or 0.0
            self._run_head = frame.head[: len(frame.head) - len(frame.mask)]

    def _bare(self, frame: Frame, seconds: float, now: float) -> bool:
        """Whether it goes as it is, unless it waits."""
        units = self._held.units
        if joins := bool(units) and self._is_short(units[-1]):
            unit = self._held.last()
            unit.append(frame.payload, frame.mask, seconds)
            self.done.count(Rule.CHUNK_DURATION, Action.COALESCED)
        else:
            unit = as_it_came(frame, seconds, now)
        cut = self._shaper.cut(unit.seconds or 0.0, unit.samples, self._meter.audio_format)
        if cut is None:
            self._held.push(unit)
            return not joins
        self.done.count(cut.rule, Action.SPLIT)
        for piece in pieces_of(unit, cut.sizes, now):
            self._held.push(piece)
        return False

    # From pieces to bytes

    def _release(self, out: list[bytes], now: float) -> None:
        units, due = self._held.units, inf
        while units:
            due = self._due(units[0], now)
            if due > now + ROUNDING:
                break
            self._go(out, now)
        if now >= self._deadline - ROUNDING:
            self._cut_off(out, now)
        if not units:
            due = inf
            if not self._assembly.waiting:
                self._deadline = inf
        wake = min(due, self._deadline)
        self.wake_at = wake if wake < inf else None

    def _due(self, unit: Unit, now: float) -> float:
        """When the first of the queue may go; notes what it waits for."""
        if unit.is_free:
            return now
        due, rule = self._schedule.due(unit.seconds, unit.is_audio, unit.came < now - ROUNDING, now)
        if self._is_short(unit) and len(self._held.units) == 1 and not self._is_over and unit.came + self._wait > due:
            due, rule = unit.came + self._wait, Rule.CHUNK_DURATION
        if rule is not None:
            unit.held_by = self._holder = rule
        return due

    def _is_short(self, unit: Unit) -> bool:
        """Whether it would rather go with more."""
        return unit.samples > 0 and self._shaper.is_short(unit.seconds or 0.0)

    def _go(self, out: list[bytes], now: float) -> None:
        unit = self._held.first()
        if not unit.is_free:
            self._schedule.count(unit.is_audio, now)
        if unit.samples and self._schedule.windows:
            self._gather(unit, now)
        self._schedule.spend(unit.seconds, now)
        self._leave(unit, out, now)

    def _gather(self, unit: Unit, now: float) -> None:
        """Takes along what is there, where one has waited for its turn, or the next one would have to."""
        units = self._held.units
        while units and units[0].samples:
            rule = unit.held_by if unit.held_by in RATES else self._schedule.full(now)
            seconds = (unit.seconds or 0.0) + (units[0].seconds or 0.0)
            fits = self._shaper.fits(seconds, unit.samples + units[0].samples)
            if rule is None or not fits or not self._schedule.has_time_for(seconds, now):
                return
            unit.absorb(self._held.first())
            self.done.count(rule, Action.COALESCED)

    def _leave(self, unit: Unit, out: list[bytes], now: float) -> None:
        out += unit.leave()
        waited = now - unit.came
        if waited > ROUNDING:
            self.done.waited(waited, unit.held_by or self._holder)

    def _cut_off(self, out: list[bytes], now: float) -> None:
        """The bound of a close is over: audio before it is dropped, and counted; all else goes."""
        for unit in self._held.clear():
            if unit.seconds is None:
                self._leave(unit, out, now)
            else:
                self.done.cut_seconds += unit.seconds
