"""The client's leg where a gate stands in it: bytes wait here until they may go on.

    client -> gate -> what leaves now -> the session looks at it -> vendor
               \\-> held: one timer, at the time when the next of it may go

Owns the timer, the reading that stops while the gate is full, the waiting while the vendor's transport takes no more (it would only
move what is held to where it is not bounded), and the way out: a FIN is passed on once the gate is empty, which the
gate bounds; after an RST what is held goes nowhere. What may go when is the gate's business, what follows from a refusal or
from a client that left is the keeper's. A session without a gate has a plain leg, and nothing of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import ClassVar, Final, Protocol

from proxy.core.gate import READ_BYTES, Gate
from proxy.core.policy import Rule
from proxy.core.verdict import Side, Transport
from proxy.core.wire import Feed
from proxy.relay.splice import PART, Leg, Splice

HELD_BYTES: Final = 512 << 20
"""What all gates of the process may hold. Beyond it, no client is read of whom messages are held,"""
PART_BYTES: Final = 64 << 10
"""and no more than so much of one that is not whole: nothing but more of it could get that out of the gate."""
STEP: Final = 0.001
"""Of the loops' timers, in seconds: one that came too early would have to be set again and again until it is time."""


class Room:
    """What all gates together hold, in bytes, and how many there are."""

    __slots__ = ("gates", "held")

    def __init__(self) -> None:
        self.gates = 0
        self.held = 0

    @property
    def is_full(self) -> bool:
        """Whether it might be too much if each of them got one read more: they learn of it after that. A thousand are reckoned with."""
        return self.held > HELD_BYTES - min(self.gates * READ_BYTES, HELD_BYTES // 2)


class Keeper(Protocol):
    """Who decides what follows. Called on the loop."""

    @property
    def ends_properly(self) -> bool:
        """Whether the vendor is told the end by whole messages: then what there is of a cut one is not passed on."""

    def leaving(self, data: bytes) -> bytes:
        """The session has seen these frames, which leave now. Gives back what of them is still to be written."""

    def refused(self, rule: Rule, sentence: str) -> None:
        """The gate has refused a message. Nothing leaves it any more."""

    def reading_stopped(self) -> None:
        """The client is not read for the time being."""

    def parted(self, how: Transport, then: Callable[[Transport], None]) -> None:
        """The client has left, and all of its own that could go has gone. `then` is to be called, now or later."""


class GatedLeg(Leg):
    """`room` is shared by all of a process; `is_closed` tells whether the vendor has sent its close, and hears nothing any more."""

    __slots__ = ("_at", "_blocked", "_feed", "_finished", "_full", "_gate", "_goes", "_held", "_is_closed", "_keeper", "_known", "_lets_in",
                 "_muted", "_room", "_timer")
    __deletable__: ClassVar = ("_keeper",)  # asked for by the compiler

    def __init__(self, splice: Splice, side: Side, look: Feed, gate: Gate, keeper: Keeper, room: Room,
                 is_closed: Callable[[], bool]) -> None:
        super().__init__(splice, side, look)
        self._gate, self._keeper, self._room, self._is_closed = gate, keeper, room, is_closed
        self._feed = gate.feed
        self._known = False  # to the room
        self._held = 0  # bytes, as of the last time that the room was told
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0  # when it wakes us
        self._blocked = False  # the vendor's socket takes no more
        self._full = False  # the gate takes no more
        self._lets_in = False  # it has to: what is left to read ends with a FIN
        self._muted = False
        self._finished = False  # the gate knows that nothing more will come
        self._goes: tuple[Transport, Callable[[Transport], None]] | None = None

    def start(self) -> None:
        super().start()
        self.other.afterwards(self._vendor_spoke)
        self._known = True
        self._room.gates += 1

    def data_received(self, data: bytes) -> None:
        if len(data) >= PART:
            self.brings(len(data))
        now = monotonic()
        out = self._feed(data, now)
        if out is data:
            self._write(data)
            try:
                self._look.feed(data, now)
            except Exception:
                self._splice.fail()
            return
        self._leave(out, now)
        self._end_soon(now)
        self._settle(now)

    def _end_soon(self, now: float) -> None:
        """The answer to a close of the vendor's is not held up by audio, which nobody there hears."""
        if self._gate.is_closing and self._is_closed():
            self._leave(self._gate.hurry(now), now)

    def _vendor_spoke(self) -> None:
        """It may have closed, while a close waits here: its client says nothing more, and nothing else would wake us."""
        if self._gate.is_closing and not self._muted and self._is_closed():
            now = monotonic()
            self._end_soon(now)
            self._settle(now)

    def _leave(self, out: bytes, now: float) -> None:
        """The session looks first: a close that leaves may have to wait for the end message."""
        if not out:
            return
        try:
            self._look.feed(out, now)
            out = self._keeper.leaving(out)
        except Exception:
            self._splice.fail()
        if out:
            self._write(out)

    def _settle(self, now: float) -> None:
        """What follows from what the gate holds now."""
        gate = self._gate
        if self._muted:
            return
        self._count()
        if gate.refusal is not None:
            self.stop_writing()
            try:
                self._keeper.refused(*gate.refusal)
            except Exception:
                self._splice.abort()  # what was refused cannot go on
            return
        crowded = self._room.is_full and gate.held_bytes > 0
        if crowded and gate.empty and gate.held_bytes > PART_BYTES:
            self._let_go(now)
        full = not self._lets_in and (gate.is_full or (crowded and not gate.empty))
        if full != self._full:
            self._full = full
            if full:
                super().hold_reading()
                self._keeper.reading_stopped()
            elif not self._blocked:
                super().read_on()
        if self._goes is not None and gate.empty:
            self._go()
        elif gate.wake_at is not None and not self._waits:
            self._arm(gate.wake_at)

    @property
    def _waits(self) -> bool:
        """Whether nothing is to leave, because the vendor takes nothing. A close waits for audio only so long, and for this no longer."""
        return self._blocked and not self._gate.is_closing

    def _count(self) -> None:
        """What waits on the vendor's transport has left the gate and not the process."""
        held = self._gate.held_bytes
        if self._blocked and not self.other.ended:
            held += self.other.transport.get_write_buffer_size()
        self._room.held += held - self._held
        self._held = held

    def _let_go(self, now: float) -> None:
        self._leave(self._gate.let_go("room"), now)
        self._count()

    # The timer

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            if self._at <= at:
                return
            self._timer.cancel()
        self._at = at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, at - monotonic()) + STEP, self._woken)

    def _woken(self) -> None:
        self._timer = None
        if not self._waits:
            self._release(monotonic())

    def _release(self, now: float) -> None:
        self._leave(self._gate.release(now), now)
        self._settle(now)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Reading

    def hold_reading(self) -> None:
        self._blocked = True
        super().hold_reading()
        self._count()
        if self._waits:
            self._disarm()

    def read_on(self) -> None:
        self._blocked = False
        if not self._full:
            super().read_on()
        self._count()
        if not self._muted and self._held:
            self._release(monotonic())

    def fin_waits(self) -> None:
        """Its client has hung up: what the kernel still has of it is read, so that the FIN comes through."""
        if self._full and not self._blocked:
            self._lets_in = True
            self._settle(monotonic())

    # The end

    def stop_writing(self) -> None:
        """What is held stays here, too."""
        super().stop_writing()
        self._muted = True
        self._feed = _passed_by
        self.blind()
        self._disarm()
        if self._full and not self._blocked:
            super().read_on()
        self._full = False

    def left(self, how: Transport, then: Callable[[Transport], None]) -> None:
        self._goes = how, then
        if how is not Transport.EOF or self._muted or self.other.ended:
            self._go()
            return
        now = monotonic()
        if not self._finished:
            self._finished = True
            self._gate.finish(now, self._keeper.ends_properly)
        self._end_soon(now)
        self._release(now)

    def _go(self) -> None:
        assert self._goes is not None
        (how, then), self._goes = self._goes, None
        self.stop_writing()
        self._splice.watch.leg_ended(self.side, how)
        try:
            self._keeper.parted(how, then)
        except Exception:
            then(how)

    def let_go(self) -> None:
        super().let_go()
        del self._keeper
        self._goes = None

    def rests(self) -> None:
        self._disarm()
        self._room.held -= self._held
        self._held = 0
        if self._known:
            self._known = False
            self._room.gates -= 1


def _passed_by(data: bytes, now: float) -> bytes:
    """The gate of a leg that writes no more."""
    return data
