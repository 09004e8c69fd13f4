"""The waiting: with a store of the test's, which answers when the test says so; and with a real one that is stopped and started."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from proxy.core.fleet import Book, Command, Lease, Script, Terms
from proxy.core.policy import Rule
from proxy.fleet import fleet as module
from proxy.fleet.fleet import Fleet
from proxy.fleet.store import Store, UnreachableError
from tests.aio import run
from tests.fleet.server import RedisServer

PATIENT: Final = 10.0
"""Seconds that no test waits: whoever gives up after them has not been answered at all."""
TERMS: Final = Terms(None, 1, frozenset({Rule.CONCURRENCY}), 5.0)


class Hand:
    """A store whose answers the test gives. `reachable` may be taken back, `broken` breaks the next exchange."""

    def __init__(self) -> None:
        self.reachable = self.answering = True
        self.connects = 0
        self.sent: list[Command] = []
        self.came = asyncio.Event()
        self._go_on = asyncio.Event()
        self._break = False
        self.closed = False

    async def connect(self) -> None:
        self.connects += 1
        if not self.reachable:
            raise UnreachableError("connection refused")

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        self.sent += commands
        self.came.set()
        while not self.answering:
            self._go_on.clear()
            await self._go_on.wait()
        if self._break:
            self._break = False
            raise UnreachableError("no connection")
        return [1 if command.lease is None else [1, 1, 1] for command in commands]

    async def close(self) -> None:
        self.closed = True

    def hang(self) -> None:
        self.answering = False

    def answer(self) -> None:
        self.answering = True
        self._go_on.set()

    def break_off(self) -> None:
        self._break = True
        self.answer()

    async def asked(self, script: Script) -> Command:
        """The next command of a kind that is not looked at yet."""
        async with asyncio.timeout(5):
            while True:
                found = next((command for command in self.sent if command.script is script), None)
                if found is not None:
                    self.sent.remove(found)
                    return found
                self.came.clear()
                await self.came.wait()


@asynccontextmanager
async def joined(hand: Hand, patience: float = PATIENT) -> AsyncIterator[Fleet]:
    fleet = Fleet(hand, UnreachableError, Book(b"shared", "earwitness", 15.0), patience)
    fleet.start()
    try:
        await hand.asked(Script.GREET)
        async with asyncio.timeout(5):
            while not fleet.answers:
                assert hand.reachable
                await asyncio.sleep(0)
        yield fleet
    finally:
        await fleet.close()
        assert hand.closed


def come(fleet: Fleet, name: str = "a") -> Lease:
    return fleet.come(name, "acme", "key", TERMS)


async def opened(fleet: Fleet, closed: bool = False) -> None:
    """Until the breaker is."""
    async with asyncio.timeout(5):
        while fleet.answers is not closed:
            assert fleet._task is not None
            await asyncio.sleep(0.005)


def test_an_answer_is_waited_for(loop: str) -> None:
    async def main() -> None:
        hand = Hand()
        async with joined(hand) as fleet:
            lease = come(fleet)
            assert await fleet.answered(lease)
            assert lease.refused is None
            fleet.left(lease, lingers=True)
            assert (await hand.asked(Script.LEAVE)).arguments == ("a", 5000, 0)

    run(main(), loop)


def test_what_comes_at_once_is_sent_at_once() -> None:
    async def main() -> None:
        hand = Hand()
        async with joined(hand) as fleet:
            leases = [come(fleet, str(number)) for number in range(50)]
            assert all(await asyncio.gather(*map(fleet.answered, leases)))
            assert len(hand.sent) == 50

    run(main())


def test_a_late_answer_is_not_waited_for_and_after_some_nobody_waits(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        hand = Hand()
        async with joined(hand, patience=0.02) as fleet:
            hand.hang()
            for number in range(3):
                lease = come(fleet, str(number))
                assert not await fleet.answered(lease)
                await asyncio.sleep(0.03)  # those within one patience would be one
            assert not fleet.answers
            last = come(fleet, "last")
            with pytest.raises(StopIteration):  # not even a turn of the loop
                fleet.answered(last).send(None)
            hand.answer()
            await opened(fleet, closed=True)
            assert await fleet.answered(come(fleet, "next"))
            asked = {command.arguments[0]: command.arguments[6] for command in hand.sent if command.script is Script.COME}
            assert asked == {"0": 1, "1": 0, "2": 0, "last": 0, "next": 1}  # who goes on is counted, and not asked about

    run(main())
    assert [(record.msg, getattr(record, "fields", {})) for record in caplog.records if record.msg.startswith("fleet_")] == [
        ("fleet_joined", {}), ("fleet_lost", {"reason": "no answer in time"}), ("fleet_joined", {})]


def test_whoever_waits_when_the_connection_breaks_goes_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)

    async def main() -> None:
        hand = Hand()
        async with joined(hand) as fleet:
            hand.hang()
            first, second = come(fleet, "sent"), come(fleet, "waits")
            waiting = [asyncio.ensure_future(fleet.answered(lease)) for lease in (first, second)]
            await hand.asked(Script.COME)
            hand.reachable = False
            hand.break_off()
            assert await asyncio.gather(*waiting) == [False, False]
            assert not fleet.answers
            third = come(fleet, "comes later")
            assert not await fleet.answered(third)
            fleet.left(second)
            hand.sent.clear()
            hand.reachable = True
            await opened(fleet, closed=True)
            counted = {command.arguments[0]: command.arguments[6] for command in hand.sent if command.script is Script.COME}
            assert counted == {"sent": 0, "comes later": 0}

    run(main())


def test_a_client_that_leaves_while_it_is_asked_about_leaves_nothing_behind() -> None:
    async def main() -> None:
        hand = Hand()
        async with joined(hand) as fleet:
            hand.hang()
            lease = come(fleet)
            asking = asyncio.ensure_future(fleet.answered(lease))
            await hand.asked(Script.COME)
            asking.cancel()
            assert (await asyncio.gather(asking, return_exceptions=True))[0].__class__ is asyncio.CancelledError
            fleet.left(lease, forgotten=True)
            hand.answer()
            assert (await hand.asked(Script.LEAVE)).arguments == ("a", 0, 1)

    run(main())


def test_before_there_is_a_connection_nobody_waits(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)

    async def main() -> None:
        hand = Hand()
        hand.reachable = False
        fleet = Fleet(hand, UnreachableError, Book(b"shared", "earwitness", 15.0), PATIENT)
        fleet.start()
        assert not await fleet.answered(come(fleet))
        async with asyncio.timeout(5):
            while hand.connects < 3:
                assert not fleet.answers
                await asyncio.sleep(0.005)
        await fleet.close()

    run(main())
    told = [getattr(record, "fields", None) for record in caplog.records if record.msg == "fleet_lost"]
    assert told == [{"reason": "connection refused"}]


def test_the_end_gives_back_what_is_held_and_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FAREWELL", 0.05)

    async def main() -> None:
        hand = Hand()
        async with joined(hand) as fleet:
            lease = come(fleet)
            assert await fleet.answered(lease)
            fleet.left(lease)
        assert (await hand.asked(Script.LEAVE)).arguments == ("a", 0, 0)

        hangs = Hand()
        async with joined(hangs) as fleet:
            lease = come(fleet)
            assert await fleet.answered(lease)
            hangs.hang()
            fleet.left(lease)
        await hangs.asked(Script.LEAVE)

    run(main())


def test_a_fault_of_ours_is_told_and_survived(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)

    async def main() -> None:
        hand = Hand()
        async with joined(hand) as fleet:
            with monkeypatch.context() as broken:
                broken.setattr(fleet._book, "answered", None)
                lease = come(fleet)
                assert not await fleet.answered(lease)
            await opened(fleet, closed=True)
            assert await fleet.answered(come(fleet, "b"))

    run(main())
    assert "internal" in [record.msg for record in caplog.records]


def test_other_keys_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    class Strangers(Hand):
        async def run(self, commands: Sequence[Command]) -> list[Any]:
            return [2 if command.script is Script.GREET else answer
                    for command, answer in zip(commands, await super().run(commands), strict=True)]

    async def main() -> None:
        hand = Strangers()
        async with joined(hand) as fleet:
            for name in "abc":
                fleet._book.renew_now()
                assert await fleet.answered(come(fleet, name))

    run(main())
    assert [record.msg for record in caplog.records].count("fleet_keys_differ") == 1


def test_a_real_server_that_hangs_is_stopped_and_comes_back_empty(redis: RedisServer, loop: str) -> None:
    async def main() -> None:
        fleet = Fleet(Store(redis.server), UnreachableError, Book(b"shared", "earwitness", 15.0), patience=0.5)
        fleet.start()
        await opened(fleet, closed=True)
        first = come(fleet, "first")
        assert await fleet.answered(first)
        redis.hang()
        while fleet.answers:
            lease = come(fleet, "while it hangs")
            assert not await fleet.answered(lease)
            fleet.left(lease)
        await asyncio.to_thread(redis.stop)
        second = come(fleet, "while it is dead")
        assert not await fleet.answered(second)
        await asyncio.to_thread(redis.start)
        await opened(fleet, closed=True)
        refused = come(fleet, "again")
        assert await fleet.answered(refused)
        assert refused.refused is Rule.CONCURRENCY
        assert sorted(await asyncio.to_thread(redis.members, "open")) == ["first", "while it is dead"]
        for lease in (first, second, refused):
            fleet.left(lease)
        await fleet.close()
        assert await asyncio.to_thread(redis.members, "open") == []

    run(main(), loop)
