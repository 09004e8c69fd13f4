"""Two transports, joined: bytes cross as they came, both ways.

    client <-> Leg(client) <-> Leg(vendor) <-> vendor

A chunk is written to the other side first and looked at afterwards; whatever goes wrong in looking never reaches the bytes.
Back-pressure: a leg whose peer's socket takes no more stops reading. Fairness: a leg that brings more at once than anybody speaks
is not read again for a moment. How a leg's end becomes the other's:

    FIN   both legs plain TCP: a FIN, the other way stays open.
          a leg has TLS (which knows no half-close): the client's FIN is held, the vendor's remaining bytes go on, and the
          vendor's leg closes when it ends, or after `HELD_FIN_SECONDS`; the vendor's FIN ends both, once all is written.
    RST   an RST, once all is written; so does whatever breaks TLS: a fatal alert, a record that is none.

When many calls end at once, what follows from that for their other legs is done call by call, a turn of the loop each; or before
the other side is heard again, so that who hung up first stays first.
Nothing here knows of vendors or verdicts: a `Watch` is told what happened.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import ClassVar, Final, Protocol, cast

from proxy.core.verdict import Side, Transport
from proxy.core.wire import Feed
from proxy.relay.ends import how_lost, reset_on_close
from proxy.relay.feeds import NOTHING, First, Then
from proxy.relay.tcpinfo import LEFT, STATE_CLOSED, state_of
from proxy.relay.turns import Turns

HELD_FIN_SECONDS: Final = 10.0
FLUSH_SECONDS: Final = 10.0
"""How long a leg that is ending may take to write what is left, to a peer that may not read it."""
LOOK_SECONDS: Final = 0.05
"""How often it is looked at whether that has been written, where nothing else tells."""
MUCH: Final = 64 << 10
"""Bytes at once: two seconds of speech in 16 bits at 16 kHz. uvloop would read a socket that has that much up to 32 times, 8 MiB,
before it looks at another one."""
PART: Final = 16 << 10
"""Bytes in one read that may be a part of it: TLS hands over a record at a time."""
REST_SECONDS: Final = 0.004
"""For which a leg that has brought so much is not read. It may still bring 60 MB a second, 16 over TLS, and leaves most of a core
to others."""
_CUT: Final = (Transport.RESET, Transport.TLS)
"""What came before may not have been all."""


class Watch(Protocol):
    """Who is told. Called on the loop; must not raise, nor be slow."""

    def leg_ended(self, side: Side, how: Transport) -> None:
        """A leg's peer sent FIN or RST, or was given up by the kernel. The first of a side counts: its end may be told after its FIN."""

    def inspection_failed(self) -> None:
        """Looking at bytes raised. The splice has stopped looking."""

    def spliced_out(self) -> None:
        """Both legs are gone. Called once, last."""


class Leg:
    """One side's protocol. `data_received` is the hot path: a write, a clock reading, a look.

    The loops ask a protocol for its methods, not for its ancestry; a class that inherits from none of theirs can be compiled.
    """

    __slots__ = ("_brought", "_look", "_rest", "_since", "_splice", "_write", "ended", "eof", "fin_sent", "other", "reading_held",
                 "side", "told", "transport", "was_reset")
    __deletable__: ClassVar = ("_splice", "other", "transport")  # asked for by the compiler

    def __init__(self, splice: Splice, side: Side, look: Feed) -> None:
        self._splice = splice
        self._look = look
        self._write: Callable[[bytes], None] = _drop
        self.side = side
        self.ended = False  # the transport is gone
        self.eof = False  # the peer will send no more
        self.fin_sent = False  # to the peer: nothing can be written any more
        self.reading_held = False  # the other side takes no more
        self._rest: asyncio.TimerHandle | None = None  # not read until then: it has brought MUCH
        self._brought, self._since = 0, 0.0  # in large parts, since when
        self.was_reset = False  # seen at its socket, while reading was held
        self.told = False  # its peer has got a close of ours, and time to leave: how the other side ends is nothing to it

    @property
    def protocol(self) -> asyncio.Protocol:
        """Itself, to be given a transport."""
        return cast(asyncio.Protocol, self)

    def join(self, transport: asyncio.Transport, other: Leg) -> None:
        self.transport, self.other = transport, other

    def start(self) -> None:
        self._write = self.other.transport.write

    def stop_writing(self) -> None:
        """What comes in from now on goes nowhere."""
        self._write = _drop

    def through(self, passes: Callable[[bytes], bytes]) -> None:
        """Of what comes in, only what this gives back goes on."""
        write = self._write
        self._write = lambda data: write(passes(data))

    def blind(self) -> None:
        self._look = NOTHING

    def mute(self) -> None:
        """What comes in from now on goes nowhere, and nobody looks at it."""
        self.stop_writing()
        self.blind()

    def beforehand(self, act: Callable[[], None]) -> None:
        """Acts each time before bytes that have crossed are looked at."""
        if self._look is not NOTHING:
            self._look = First(act, self._look)

    def afterwards(self, act: Callable[[], None]) -> None:
        """Acts each time that bytes have crossed and were looked at."""
        self._look = Then(self._look, act)

    def left(self, how: Transport, then: Callable[[Transport], None]) -> None:
        """The peer has left. Tells of it, then lets the other leg know."""
        self._splice.watch.leg_ended(self.side, how)
        then(how)

    def rests(self) -> None:
        """The splice is over."""

    def let_go(self) -> None:
        """Of all that has it. Circles would stay, with 600 KiB of TLS buffers on asyncio, until the collector comes by."""
        del self.transport, self.other, self._splice
        self.blind()
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def data_received(self, data: bytes) -> None:
        if len(data) >= PART:
            self.brings(len(data))
        self._write(data)
        try:
            self._look.feed(data, monotonic())
        except Exception:
            self._splice.fail()

    def pause_writing(self) -> None:
        self.other.hold_reading()

    def resume_writing(self) -> None:
        self.other.read_on()

    def hold_reading(self) -> None:
        if not self.ended and not self.reading_held:
            self.reading_held = True
            self.transport.pause_reading()

    def read_on(self) -> None:
        if self.reading_held:
            self.reading_held = False
            self._resume()

    @property
    def resting(self) -> bool:
        return self._rest is not None

    def brings(self, size: int) -> None:
        """A large part has come. A leg that brings MUCH of them at once is read on in a moment, unless something else holds it then."""
        now = monotonic()
        if now - self._since > REST_SECONDS:
            self._brought, self._since = 0, now
        self._brought += size
        if self._brought >= MUCH and not self.ended and self._rest is None:
            self.transport.pause_reading()
            self._rest = asyncio.get_running_loop().call_later(REST_SECONDS, self._rested)

    def _rested(self) -> None:
        self._rest = None
        self._resume()

    def _resume(self) -> None:
        if not (self.reading_held or self.resting or self.ended or self.transport.is_closing()):
            self.transport.resume_reading()

    @property
    def can_be_told(self) -> bool:
        """Whether something may still be written to the peer."""
        return not (self.ended or self.fin_sent or self.transport.is_closing())

    def write_fin(self) -> None:
        """After which nothing can be written."""
        if self.can_be_told:
            self.fin_sent = True
            self.transport.write_eof()

    def fin_waits(self) -> None:
        """While reading is held, the peer has sent a FIN: it is met when what came before it is read."""

    def eof_received(self) -> bool:
        """True keeps our transport open for the other way, where it can be (not under TLS)."""
        self.eof = True
        return self._splice.eof(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self._splice.lost(self, exc)


def _drop(data: bytes) -> None:
    """How a leg writes whose other side is gone."""


class Splice:
    """Two legs and their ends."""

    __slots__ = ("_done", "_due", "_timers", "_turns", "client", "vendor", "watch")

    def __init__(self, watch: Watch, look_client: Feed, look_vendor: Feed, turns: Turns,
                 client: Callable[[Splice, Side, Feed], Leg] = Leg) -> None:
        self.watch = watch
        self._turns = turns
        self.client = client(self, Side.CLIENT, look_client)
        self.vendor = Leg(self, Side.VENDOR, look_vendor)
        self._timers: list[asyncio.TimerHandle] = []
        self._due: deque[Callable[[], None]] = deque()  # what follows from ends, in their order
        self._done = False

    def join(self, client: asyncio.Transport, vendor: asyncio.Transport) -> None:
        """Both transports, which already have the legs as their protocols. Nothing crosses yet."""
        self.client.join(client, self.vendor)
        self.vendor.join(vendor, self.client)

    def start(self, from_client: bytes, from_vendor: bytes) -> None:
        """Lets bytes cross, first those that came early."""
        self.client.start()
        self.vendor.start()
        for leg, early in ((self.vendor, from_vendor), (self.client, from_client)):
            if early:
                leg.data_received(early)
        for leg in (self.client, self.vendor):
            # New protocols miss an earlier pause_writing.
            if leg.transport.get_write_buffer_size() > leg.transport.get_write_buffer_limits()[1]:
                leg.pause_writing()

    @property
    def buffered(self) -> tuple[int, int]:
        """Bytes that wait in here, toward the vendor and toward the client."""
        return tuple(0 if leg.ended else leg.transport.get_write_buffer_size() for leg in (self.vendor, self.client))  # type: ignore[return-value]

    def blind(self) -> None:
        """Nobody looks at what crosses from now on."""
        self.client.blind()
        self.vendor.blind()

    def fail(self) -> None:
        self.blind()
        self.watch.inspection_failed()

    def look_at_sockets(self) -> None:
        """Once a second: while reading is held neither loop reports a reset, so look."""
        for leg in (self.client, self.vendor):
            state = state_of(leg.transport) if leg.reading_held and not leg.ended else None
            if state == STATE_CLOSED:
                leg.was_reset = True
                leg.transport.abort()
            elif state in LEFT:
                leg.fin_waits()

    def abort(self) -> None:
        """Ends both legs now."""
        for leg in (self.client, self.vendor):
            if not leg.ended:
                leg.transport.abort()

    def eof(self, leg: Leg) -> bool:
        """Whether the leg stays open for the other way. What follows from its FIN waits for its turn."""
        self._comes(leg, partial(self._pass_eof_on, leg))
        return not (leg.other.ended or leg.other.eof) and self._can_stay(leg)

    @staticmethod
    def _can_stay(leg: Leg) -> bool:
        """Where both legs can be half closed, or where the vendor's answer to a client's FIN can still be written to it."""
        return leg.transport.can_write_eof() and (leg.side is Side.CLIENT or leg.other.transport.can_write_eof())

    def _pass_eof_on(self, leg: Leg) -> None:
        if not self._done:
            leg.left(Transport.EOF, partial(self._end_after_fin, leg))

    def _end_after_fin(self, leg: Leg, how: Transport) -> None:
        if self._done or leg.other.ended or (leg.other.told and not leg.other.eof):
            return
        other = leg.other
        if other.eof or not self._can_stay(leg):
            self.finish(other)
        elif not other.transport.can_write_eof():
            self.later(HELD_FIN_SECONDS, partial(self.finish, other))
        else:
            other.write_fin()

    def lost(self, leg: Leg, exc: Exception | None) -> None:
        """Nothing can be written to the leg any more. What follows from that waits for its turn."""
        leg.other.stop_writing()
        self._comes(leg, partial(self._pass_loss_on, leg, exc))

    def _comes(self, leg: Leg, act: Callable[[], None]) -> None:
        """What follows from an end of the leg waits for its turn, but not until the other side was heard: who was first stays first."""
        self._due.append(act)
        leg.other.beforehand(self._catch_up)
        self._turns.add(self._follow)

    def _follow(self) -> None:
        if self._due:
            self._due.popleft()()

    def _catch_up(self) -> None:
        for _ in range(len(self._due)):  # an end that comes of it has its turn later: its leg is being heard
            self._follow()

    def _pass_loss_on(self, leg: Leg, exc: Exception | None) -> None:
        how = Transport.RESET if leg.was_reset else how_lost(exc)
        if not self._done and not leg.other.ended:
            leg.left(how, partial(self._end_after_loss, leg))
            return
        self.watch.leg_ended(leg.side, how)
        if not self._done:
            self._done = True
            for timer in self._timers:
                timer.cancel()
            self.client.rests()
            self.watch.spliced_out()

    def _end_after_loss(self, leg: Leg, how: Transport) -> None:
        if self._done or leg.other.ended or (leg.other.told and not leg.other.eof):
            return
        if how in _CUT and not leg.other.told:
            self._reset(leg.other)
        else:
            self.finish(leg.other)

    def _reset(self, leg: Leg) -> None:
        """Writes what is left, then an RST."""
        reset_on_close(leg.transport)
        if leg.transport.can_write_eof() or leg.transport.is_closing():
            self.finish(leg)
        else:
            self.later(FLUSH_SECONDS, partial(self._give_up, leg))
            self._reset_when_written(leg)

    def _reset_when_written(self, leg: Leg) -> None:
        """To close TLS is to say goodbye first, as if what the peer got had been all. No loop tells when a buffer is empty."""
        if leg.ended:
            return
        if leg.transport.get_write_buffer_size():
            self.later(LOOK_SECONDS, partial(self._reset_when_written, leg))
        else:
            leg.transport.abort()

    def finish(self, leg: Leg) -> None:
        """Writes what is left, then closes; a peer that does not read is not waited for forever."""
        if leg.ended:
            return
        if not leg.transport.is_closing():  # asyncio's TLS transport cannot be used, nor aborted, once it was closed twice
            leg.transport.close()
        self.later(FLUSH_SECONDS, partial(self._give_up, leg))

    def _give_up(self, leg: Leg) -> None:
        if not leg.ended:
            reset_on_close(leg.transport)  # bytes are lost: a FIN would say that they all came
            leg.transport.abort()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Acts after so long, unless the splice is over."""
        self._timers.append(asyncio.get_running_loop().call_later(seconds, self._turns.add, act))
