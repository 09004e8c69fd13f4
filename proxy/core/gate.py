"""The gate: holds a client's traffic to the vendor's limits before it leaves.

Owns what may go when, and in which pieces; bytes and a clock reading in, bytes and a time to be woken out. The audio that goes out
is the audio that came in, in its order; text keeps its place among it, pings overtake what is held. It makes no frame that did
not come, but for cutting audio that is too long and joining audio that is too short. Anything that it cannot read makes it let go of
all that it holds and stay off.

    bytes -> whole messages -> cut | join -> queue -> when they are due -> bytes

One chunk of the network that is one audio frame like the last one, and that may go at once, goes as it is, for the price of a few
comparisons and additions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Final

from proxy.core.frames import BrokenError, Cutter, Frame, joined, made
from proxy.core.meter import Measured, Meter
from proxy.core.pacing import Pacer, Window
from proxy.core.policy import Action, Bounds, Rule
from proxy.core.wire import FIN, OP_BINARY, OP_CLOSE, OP_CONTINUATION, RSV1, WHOLE_BINARY

HELD_SECONDS: Final = 300.0
HELD_BYTES: Final = 32 << 20
CLOSE_SECONDS: Final = 5.0
"""How long a close may wait for the audio before it."""
RATE_MARGIN: Final = 0.95
"""The share of a published rate that is used: what leaves here evenly may arrive less so."""
NO_RUN: Final = -1
_EPSILON: Final = 1e-9


@dataclass(slots=True)
class Unit:
    """What goes out in one piece. `seconds` of audio, None for everything else; `came` when the first of it came."""

    raw: bytes
    came: float
    seconds: float | None = None
    mask: bytes = b""
    payload: bytes = b""
    """Masked, of bare audio alone: it may be joined."""
    is_close: bool = False


@dataclass(slots=True)
class Done:
    """What was done to the traffic."""

    actions: dict[tuple[Rule, Action], int] = field(default_factory=dict)
    delay_max: float = 0.0
    cut_seconds: float = 0.0
    """Audio that never left, because the session ended first."""

    def count(self, rule: Rule, action: Action) -> None:
        self.actions[rule, action] = self.actions.get((rule, action), 0) + 1


class Gate:
    """One session's. `enforced` are the rules that act; `delayed` is told the seconds that a held piece waited."""

    __slots__ = (
        "_block", "_bounds", "_chunks", "_compressed", "_cutter", "_deadline", "_delayed", "_enforced", "_largest", "_message", "_messages",
        "_meter", "_opcode", "_pacer", "_queue", "_run_head", "_run_seconds", "_run_size", "_short", "_short_due", "done", "held_bytes",
        "held_seconds", "off", "refusal", "wake_at",
    )

    def __init__(self, enforced: frozenset[Rule], bounds: Bounds, meter: Meter,
                 delayed: Callable[[float], None] = lambda seconds: None) -> None:
        self._enforced, self._bounds, self._meter, self._delayed = enforced, bounds, meter, delayed
        self._cutter = Cutter()
        self._pacer = Pacer(bounds.rate, bounds.lead, bounds.credit) if Rule.PACE in enforced else None
        self._messages = self._window(Rule.MESSAGE_RATE, bounds.messages_per_minute, 60.0)
        self._chunks = self._window(Rule.AUDIO_CHUNK_RATE, bounds.chunks_per_second, 1.0)
        self._queue: deque[Unit] = deque()
        self._short: Unit | None = None  # audio that is too short to go
        self._short_due = inf
        self._message: list[Frame] = []  # the frames of a message that is not whole
        self._deadline = inf  # of a close that waits
        self._run_size, self._run_head, self._run_seconds = NO_RUN, b"", 0.0
        self.held_bytes = 0
        self.held_seconds = 0.0
        self.wake_at: float | None = None
        self.off = False
        self.refusal: tuple[Rule, str] | None = None
        self.done = Done()

    def _window(self, rule: Rule, most: float | None, seconds: float) -> Window | None:
        return Window(most * RATE_MARGIN, seconds) if rule in self._enforced and most is not None else None

    # What the shell calls

    def feed(self, data: bytes, now: float) -> bytes:
        """Bytes from the client. Gives back what leaves now."""
        if (len(data) == self._run_size and data.startswith(self._run_head) and not self._queue and not self._cutter.rest
                and not self._message and (self._pacer is None or self._pacer.passes(self._run_seconds, now))):
            return data
        if self.off:
            return data
        if self.refusal is not None:
            return b""
        self._cutter.rest += data
        out = b""
        try:
            while self.refusal is None and (frame := self._cutter.next(HELD_BYTES)) is not None:
                out += self._frame(frame, now)
        except BrokenError:
            return out + self.let_go()
        if self._meter.failed:
            return out + self.let_go()
        return out + self.release(now)

    def release(self, now: float) -> bytes:
        """What leaves now of what was held."""
        if now >= self._short_due - _EPSILON:
            self._flush_short()
        if now >= self._deadline - _EPSILON:
            self._cut_off()
        out = []
        due = inf
        while self._queue:
            unit = self._queue[0]
            due = self._due(unit, now)
            if due > now + _EPSILON:
                break
            out.append(self._go(self._queue.popleft(), now))
            due = inf
        wake = min(due, self._short_due, self._deadline)
        self.wake_at = wake if wake < inf else None
        return b"".join(out)

    def let_go(self) -> bytes:
        """Everything that is held, as it stands; from now on the gate does nothing."""
        self.off = True
        self._run_size = NO_RUN
        self._flush_short()
        held = b"".join(unit.raw for unit in self._queue) + b"".join(frame.raw for frame in self._message) + bytes(self._cutter.rest)
        self._queue.clear()
        self._message.clear()
        self._cutter.rest.clear()
        self.held_bytes, self.held_seconds, self.wake_at = 0, 0.0, None
        return held

    def finish(self, now: float, whole: bool) -> None:
        """Nothing more will come: what is held goes within the bound of a close. `whole`: not what there is of a cut message."""
        rest = b"".join(frame.raw for frame in self._message) + bytes(self._cutter.rest)
        self._message.clear()
        self._cutter.rest.clear()
        self._flush_short()
        if rest and not whole:
            self._push_other(Unit(rest, now))
        self._deadline = min(self._deadline, now + CLOSE_SECONDS)
        self.wake_at = now

    @property
    def empty(self) -> bool:
        return not self._queue and self._short is None

    @property
    def is_full(self) -> bool:
        """Whether no more should be read from the client."""
        return self.held_seconds > HELD_SECONDS or self.held_bytes + len(self._cutter.rest) > HELD_BYTES

    # From frames to units

    def _frame(self, frame: Frame, now: float) -> bytes:
        if frame.opcode >= OP_CLOSE:
            if frame.opcode != OP_CLOSE:
                # Pings and pongs wait for nobody (RFC 6455, 5.4), and what goes out are whole messages.
                return self.release(now) + frame.raw
            self._push_other(Unit(frame.raw, now, is_close=True))
            self._deadline = now + CLOSE_SECONDS
            return b""
        if (frame.opcode == OP_CONTINUATION) != bool(self._message) or frame.opcode > OP_BINARY:
            self._cutter.rest[:0] = frame.raw
            raise BrokenError("order")
        self._message.append(frame)
        if frame.first & FIN:
            frames, self._message = self._message, []
            self._whole(frames, now)
        elif sum(len(one.raw) for one in self._message) > HELD_BYTES:
            raise BrokenError("large")
        return b""

    def _whole(self, frames: list[Frame], now: float) -> None:
        first = frames[0]
        single = len(frames) == 1
        bare = single and first.first == WHOLE_BINARY and self._meter.bare and first.length > 0
        if bare:
            measured = self._meter.samples(first.length, first.head)
        else:
            payload = first.plain if single else b"".join(frame.plain for frame in frames)
            measured = self._meter.read(first.opcode, payload, bool(first.first & RSV1))
        if self._refuses(measured):
            return
        raw = first.raw if single else b"".join(frame.raw for frame in frames)
        if measured.seconds is None:
            self._push_other(Unit(raw, now))
        elif bare:
            self._bare(first, measured.seconds, now)
        else:
            self._push(Unit(raw, now, measured.seconds))

    def _refuses(self, measured: Measured) -> bool:
        for rule, wrong in ((Rule.AUDIO_FORMAT, measured.wrong_format), (Rule.MESSAGE_SHAPE, measured.wrong_shape)):
            if wrong is not None and rule in self._enforced:
                self.refusal = (rule, wrong)
                self.done.count(rule, Action.REFUSED)
                return True
        return False

    def _bare(self, frame: Frame, seconds: float, now: float) -> None:
        """A frame of bare samples: as it is, cut, or joined with others."""
        size = self._piece(frame.length, seconds)
        if size is None and not self._is_short(seconds) and self._short is None and not self._joins():
            self._run_size, self._run_head, self._run_seconds = self._run_of(frame, seconds)
            self._push(Unit(frame.raw, now, seconds, frame.mask, frame.payload))
            return
        self._run_size = NO_RUN
        payload = frame.payload
        step = size or len(payload)
        for at in range(0, len(payload), step):
            self._join(payload[at : at + step], frame.mask, now)

    def _run_of(self, frame: Frame, seconds: float) -> tuple[int, bytes, float]:
        """Frames like this one go the short way, where nothing but the pace may hold them."""
        if self._messages is not None or self._chunks is not None:
            return NO_RUN, b"", 0.0
        return len(frame.raw), frame.raw[: frame.start - len(frame.mask)], seconds

    def _piece(self, length: int, seconds: float) -> int | None:
        """Bytes of each piece, where a frame is too long: as many equal ones as it takes, so that none is too short."""
        pieces, rule = 1, None
        longest, most = self._bounds.chunk_max, self._bounds.chunk_bytes
        if longest is not None and Rule.CHUNK_DURATION in self._enforced and seconds > longest + _EPSILON:
            pieces, rule = ceil(seconds / longest - _EPSILON), Rule.CHUNK_DURATION
        if most is not None and Rule.CHUNK_BYTES in self._enforced and length > most and ceil(length / most) > pieces:
            pieces, rule = ceil(length / most), Rule.CHUNK_BYTES
        if rule is None:
            return None
        self.done.count(rule, Action.SPLIT)
        step = _aligned(ceil(length / pieces), self._meter.audio_format.block)
        while rule is Rule.CHUNK_BYTES and most is not None and step > most:
            step -= _unit(self._meter.audio_format.block)
        rate = self._meter.audio_format.bytes_per_second
        while longest is not None and rate and Rule.CHUNK_DURATION in self._enforced and step / rate > longest + _EPSILON:
            step -= _unit(self._meter.audio_format.block)
        return max(step, _unit(self._meter.audio_format.block))

    def _is_short(self, seconds: float) -> bool:
        shortest = self._bounds.chunk_min
        return shortest is not None and Rule.CHUNK_DURATION in self._enforced and seconds < shortest - _EPSILON

    def _joins(self) -> bool:
        """Whether audio waits at the queue's end for its turn in a rate of messages: what comes may go with it."""
        return bool(self._queue) and bool(self._queue[-1].payload) and (self._messages is not None or self._chunks is not None)

    def _join(self, payload: bytes, mask: bytes, now: float) -> None:
        seconds = len(payload) / (self._meter.audio_format.bytes_per_second or inf)
        if self._short is None and self._joins() and self._fits(self._queue[-1], len(payload), seconds):
            unit = self._queue.pop()
            self._forget(unit)
            self.done.count(Rule.AUDIO_CHUNK_RATE if self._chunks is not None else Rule.MESSAGE_RATE, Action.COALESCED)
            self._push(_more(unit, payload, mask, seconds))
            return
        unit = Unit(b"", now, seconds, mask, payload)
        if self._short is not None:
            if not self._fits(self._short, len(payload), seconds):
                self._flush_short()
            else:
                unit, self._short = self._short, None
                self._forget(unit)
                unit = _more(unit, payload, mask, seconds)
                self.done.count(Rule.CHUNK_DURATION, Action.COALESCED)
        unit.raw = made(WHOLE_BINARY, unit.payload, unit.mask)
        assert unit.seconds is not None
        if not self._is_short(unit.seconds):
            self._short_due = inf
            self._push(unit)
            return
        self._short = unit
        self._short_due = unit.came + self._bounds.chunk_wait
        self.held_seconds += unit.seconds
        self.held_bytes += len(unit.raw)

    def _fits(self, unit: Unit, length: int, seconds: float) -> bool:
        """Whether so much more keeps a piece within the limits."""
        longest, most = self._bounds.chunk_max, self._bounds.chunk_bytes
        if longest is not None and (unit.seconds or 0.0) + seconds > longest + _EPSILON:
            return False
        return most is None or len(unit.payload) + length <= most

    def _flush_short(self) -> None:
        if self._short is not None:
            unit, self._short, self._short_due = self._short, None, inf
            self._queue.append(unit)

    # The queue

    def _push_other(self, unit: Unit) -> None:
        """Anything but audio keeps its place: short audio before it goes as it is."""
        self._flush_short()
        self._run_size = NO_RUN if self._queue else self._run_size
        self._push(unit)

    def _push(self, unit: Unit) -> None:
        self._queue.append(unit)
        self.held_bytes += len(unit.raw)
        self.held_seconds += unit.seconds or 0.0

    def _forget(self, unit: Unit) -> None:
        self.held_bytes -= len(unit.raw)
        self.held_seconds = max(0.0, self.held_seconds - (unit.seconds or 0.0))

    def _due(self, unit: Unit, now: float) -> float:
        if unit.is_close:
            return now
        due = now
        if self._messages is not None:
            due = max(due, self._messages.due(now))
        if unit.seconds is not None:
            if self._chunks is not None:
                due = max(due, self._chunks.due(now))
            if self._pacer is not None:
                due = max(due, self._pacer.due(unit.seconds, now))
        return due

    def _go(self, unit: Unit, now: float) -> bytes:
        self._forget(unit)
        if self._messages is not None and not unit.is_close:
            self._messages.spend(now)
        if unit.seconds is not None:
            if self._chunks is not None:
                self._chunks.spend(now)
            if self._pacer is not None:
                self._pacer.spend(unit.seconds, now)
        waited = now - unit.came
        if waited > _EPSILON:
            self._delayed(waited)
            self.done.delay_max = max(self.done.delay_max, waited)
            self.done.count(self._held_by(unit), Action.DELAYED)
        if unit.is_close:
            self._deadline = inf
        return unit.raw

    def _held_by(self, unit: Unit) -> Rule:
        if self._pacer is not None and unit.seconds is not None:
            return Rule.PACE
        if self._messages is not None:
            return Rule.MESSAGE_RATE
        return Rule.AUDIO_CHUNK_RATE if self._chunks is not None else Rule.CHUNK_DURATION

    def _cut_off(self) -> None:
        """The bound of a close is over: audio before it is dropped, and counted."""
        self._flush_short()
        self._deadline = inf
        kept = [unit for unit in self._queue if unit.seconds is None]
        for unit in self._queue:
            if unit.seconds is not None:
                self.done.cut_seconds += unit.seconds
                self._forget(unit)
        self._queue = deque(kept)


def _more(unit: Unit, payload: bytes, mask: bytes, seconds: float) -> Unit:
    whole = joined(unit.payload, unit.mask, payload, mask)
    return Unit(made(WHOLE_BINARY, whole, unit.mask), unit.came, (unit.seconds or 0.0) + seconds, unit.mask, whole)


def _unit(block: int) -> int:
    """Where a frame may be cut: at whole samples, and at multiples of the mask's four bytes."""
    return block * 4 if block % 4 else block


def _aligned(length: int, block: int) -> int:
    unit = _unit(block)
    return ceil(length / unit) * unit
