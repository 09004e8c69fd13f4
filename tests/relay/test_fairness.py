"""A leg that brings very much at once rests, so that others are read; all of its bytes come, in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.policy import Policy
from proxy.core.verdict import Side, Transport
from proxy.relay import splice
from proxy.relay.feeds import NOTHING
from proxy.relay.splice import MUCH, Leg, Splice
from proxy.relay.turns import Turns
from tests.aio import run
from tests.relay.peers import frame
from tests.relay.policies import gated, policy

DATA = b"".join(frame(2, bytes([number]) * (64 << 10), mask=b"abcd") for number in range(128))
"""8 MiB."""
MODES = {"observed": Policy(), "gated": policy(pace={"rate": 100.0, "lead_seconds": 300.0})}


class Line(asyncio.Transport):
    """A transport that only knows whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.written, self.closed = True, bytearray(), False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.closed
        self.reads = True

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, 0


class Nobody:
    """Who is told."""

    def leg_ended(self, side: Side, how: Transport) -> None: ...

    def inspection_failed(self) -> None: ...

    def spliced_out(self) -> None: ...


def joined() -> tuple[Splice, Line, Line]:
    both = Splice(Nobody(), NOTHING, NOTHING, Turns())
    client, vendor = Line(), Line()
    both.join(client, vendor)
    both.start(b"", b"")
    return both, client, vendor


async def rested(leg: Leg) -> None:
    while leg.resting:  # noqa: ASYNC110 - a leg tells nobody
        await asyncio.sleep(splice.REST_SECONDS)


def test_much_at_once_is_written_and_then_the_leg_rests(loop: str) -> None:
    async def main() -> None:
        both, client, vendor = joined()
        both.client.data_received(bytes(MUCH - 1))
        assert client.reads
        both.client.data_received(bytes(MUCH))
        assert (client.reads, vendor.reads) == (False, True)
        assert len(vendor.written) == 2 * MUCH - 1
        await rested(both.client)
        assert (client.reads, vendor.reads) == (True, True)

    run(main(), loop)


@given(st.lists(st.sampled_from(["much", "little", "full", "room", "rested"]), max_size=12))
def test_a_leg_is_read_while_the_other_side_takes_more_and_it_does_not_rest(steps: list[str]) -> None:
    async def main() -> None:
        both, client, vendor = joined()
        full, resting, sent = False, False, 0
        for step in steps:
            if step in ("much", "little"):
                size = MUCH if step == "much" else 1
                both.client.data_received(bytes(size))
                sent, resting = sent + size, resting or step == "much"
            elif step == "rested":
                await rested(both.client)
                resting = False
            else:
                full = step == "full"
                (both.vendor.pause_writing if full else both.vendor.resume_writing)()
            assert client.reads is not (full or resting)
            assert vendor.reads
        assert len(vendor.written) == sent

    run(main())


@pytest.mark.parametrize("gone", ["closing", "lost"])
def test_a_leg_that_goes_while_it_rests_is_left_alone(loop: str, gone: str) -> None:
    async def main() -> None:
        both, client, _ = joined()
        both.client.data_received(bytes(MUCH))
        client.closed = True
        if gone == "lost":
            both.client.connection_lost(None)
        await rested(both.client)
        assert not client.reads

    run(main(), loop)


def test_a_leg_that_is_let_go_is_kept_by_no_timer(loop: str) -> None:
    async def main() -> None:
        raised: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        both, _, _ = joined()
        both.client.data_received(bytes(MUCH))
        both.client.let_go()
        assert not both.client.resting
        await asyncio.sleep(2 * splice.REST_SECONDS)
        assert not raised  # a timer would have asked for the transport

    run(main(), loop)


class Turn:
    """Which turn of the loop it is."""

    def __init__(self) -> None:
        self.number = 0
        self._loop = asyncio.get_running_loop()
        self._count()

    def _count(self) -> None:
        self.number += 1
        self._next = self._loop.call_soon(self._count)

    def stop(self) -> None:
        self._next.cancel()


class Between(asyncio.Protocol):
    """Between a transport and its leg: what is read in which turn."""

    def __init__(self, leg: Leg, turn: Turn) -> None:
        self.leg, self.turn = leg, turn
        self.seen: list[tuple[int, int]] = []
        self.pause_writing, self.resume_writing = leg.pause_writing, leg.resume_writing  # type: ignore[method-assign]
        self.eof_received, self.connection_lost = leg.eof_received, leg.connection_lost  # type: ignore[method-assign]
        leg.transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        self.seen.append((len(data), self.turn.number))
        self.leg.data_received(data)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [Side.CLIENT, Side.VENDOR])
def test_much_is_read_once_a_turn_however_much_waits(loop: str, options: dict[str, Any], side: Side, mode: str) -> None:
    async def main() -> None:
        async with gated(options, MODES[mode]) as relay:
            client, vendor = await relay.open()
            source, sink = (client, vendor) if side is Side.CLIENT else (vendor, client)
            [call] = relay.app.relay.calls
            assert call._splice is not None
            turn = Turn()
            between = Between(call._splice.client if side is Side.CLIENT else call._splice.vendor, turn)
            source.writer.write(DATA)
            assert await sink.exactly(len(DATA)) == DATA
            turn.stop()
            turns: Counter[int] = Counter()
            for size, number in between.seen:
                turns[number] += size
            largest = max(size for size, _ in between.seen)
            assert MUCH <= max(turns.values()) < 4 * MUCH + largest  # a turn in which this process had to wait may bring it anew
            client.rst()
            await relay.report()

    run(main(), loop)
