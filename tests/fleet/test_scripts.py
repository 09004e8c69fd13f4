"""The scripts on a real Redis, and the book whose commands they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from proxy.core.fleet import Book, Command, Lease, Script, Terms
from proxy.core.policy import Rule
from proxy.fleet.store import Store
from tests.aio import run
from tests.fleet.server import RedisServer

BOTH: Final = frozenset({Rule.CONNECTION_RATE, Rule.CONCURRENCY})
off: Final = asyncio.to_thread
"""The server is asked from a thread: to wait there blocks no event loop."""
EXACTLY: Final = Terms(None, 3, BOTH, 5.0)


class Pod:
    """A book and its connection; the clock is the test's, but Redis has its own."""

    def __init__(self, redis: RedisServer, secret: bytes = b"shared", lease_seconds: float = 15.0) -> None:
        self.book, self.store, self.now = Book(secret, "earwitness", lease_seconds), Store(redis.server), 0.0

    async def exchange(self) -> list[Command]:
        commands = self.book.commands(self.now)
        for command, answer in zip(commands, await self.store.run(commands) if commands else [], strict=True):
            self.book.answered(command, answer)
        return commands

    async def come(self, name: str, terms: Terms, credential: str = "key") -> Lease:
        lease = self.book.come(name, "acme", credential, terms, self.now)
        await self.exchange()
        return lease

    async def leave(self, lease: Lease, **how: bool) -> None:
        self.book.left(lease, self.now, **how)
        await self.exchange()


@asynccontextmanager
async def pods(redis: RedisServer, number: int, **options: Any) -> AsyncIterator[list[Pod]]:
    found = [Pod(redis, **options) for _ in range(number)]
    try:
        for pod in found:
            await pod.store.connect()
        yield found
    finally:
        for pod in found:
            await pod.store.close()


def on(redis: RedisServer, number: int, story: Callable[..., Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with pods(redis, number, **options) as found:
            await story(*found)

    run(main())


@pytest.mark.parametrize(("terms", "rule"), [
    (Terms(5, None, BOTH, 0.0), Rule.CONNECTION_RATE), (Terms(None, 5, BOTH, 0.0), Rule.CONCURRENCY),
])
def test_over_several_processes_exactly_so_many_pass(redis: RedisServer, terms: Terms, rule: Rule) -> None:
    async def story(*pods: Pod) -> None:
        async def several(number: int, pod: Pod) -> list[Lease]:
            return [await pod.come(f"{number}-{turn}", terms) for turn in range(4)]

        leases = [lease for found in await asyncio.gather(*map(several, range(4), pods)) for lease in found]
        assert [lease.refused for lease in leases].count(None) == 5
        assert {lease.refused for lease in leases} == {None, rule}
        assert (await pods[0].come("another's", terms, "another key")).refused is None

    on(redis, 4, story)


def test_who_is_refused_is_counted_nowhere(redis: RedisServer) -> None:
    async def story(pod: Pod) -> None:
        terms = Terms(100, 1, BOTH, 0.0)
        first = await pod.come("a", terms)
        assert (await pod.come("b", terms)).refused is Rule.CONCURRENCY
        assert (await off(redis.members, "came"), await off(redis.members, "open")) == (["a"], ["a"])
        await pod.leave(first)
        assert (await off(redis.members, "came"), await off(redis.members, "open")) == (["a"], [])
        assert (await pod.come("c", terms)).refused is None

    on(redis, 1, story)


def test_who_never_got_as_far_as_the_vendor_has_not_come(redis: RedisServer) -> None:
    async def story(pod: Pod) -> None:
        await pod.leave(await pod.come("a", Terms(100, 10, BOTH, 60.0)), forgotten=True)
        assert await off(redis.ask, "KEYS", "*") == ["earwitness:fleet"]

    on(redis, 1, story)


def test_who_came_more_than_a_minute_ago_does_not_count(redis: RedisServer) -> None:
    """What was written down late counts from when it was."""
    async def story(pod: Pod) -> None:
        terms = Terms(2, None, frozenset({Rule.CONNECTION_RATE}), 0.0)
        for name, came_at in (("a", -59.0), ("b", -61.0)):
            lease = pod.book.come(name, "acme", "key", terms, came_at)
            pod.book.waive(lease)
        await pod.exchange()
        assert [(await pod.come(name, terms)).refused for name in "cd"] == [None, Rule.CONNECTION_RATE]
        assert await off(redis.members, "came") == ["a", "c"]

    on(redis, 1, story)


def test_who_is_let_in_all_the_same_is_counted_once(redis: RedisServer) -> None:
    async def story(pod: Pod) -> None:
        for name in "abc":
            await pod.come(name, EXACTLY)
        lease = pod.book.come("d", "acme", "key", EXACTLY, 0.0)
        pod.book.waive(lease)
        sent = pod.book.commands(0.0)
        await pod.store.run(sent)
        pod.book.lost(sent)  # though it had arrived
        await pod.exchange()
        assert sorted(await off(redis.members, "open")) == ["a", "b", "c", "d"]
        assert lease.crowded == frozenset({Rule.CONCURRENCY})

    on(redis, 1, story)


def test_slots_of_who_is_not_heard_of_run_out_and_renewed_ones_do_not(redis: RedisServer) -> None:
    async def story(dead: Pod, alive: Pod) -> None:
        await dead.come("a", EXACTLY)
        await alive.come("b", EXACTLY)

        async with asyncio.timeout(10):
            while await off(redis.valid, "open") != ["b"]:
                alive.book.renew_now()
                await alive.exchange()
                await asyncio.sleep(0.1)
        assert [(await alive.come(name, EXACTLY)).refused for name in "cde"] == [None, None, Rule.CONCURRENCY]

    on(redis, 2, story, lease_seconds=1.0)


def test_a_slot_may_linger(redis: RedisServer) -> None:
    async def story(pod: Pod) -> None:
        terms = Terms(None, 1, BOTH, 0.5)
        await pod.leave(await pod.come("a", terms), lingers=True)
        assert (await pod.come("b", terms)).refused is Rule.CONCURRENCY
        async with asyncio.timeout(10):
            while (keys := await off(redis.ask, "KEYS", "*:open")):
                assert len(keys) == 1  # the key goes with the last that is in it
                await asyncio.sleep(0.05)
        assert (await pod.come("c", terms)).refused is None

    on(redis, 1, story)


def test_nothing_stays_for_ever(redis: RedisServer) -> None:
    async def story(pod: Pod) -> None:
        await pod.come("a", Terms(100, 10, BOTH, 600.0))
        await pod.come("b", Terms(100, 10, BOTH, 600.0))
        pod.now = 9.0
        await pod.exchange()
        ttl = {key.rpartition(":")[2]: await off(redis.ask, "PTTL", key) for key in await off(redis.ask, "KEYS", "*")}
        assert ttl.keys() == {"came", "open", "fleet"}
        assert 0 < ttl["open"] <= 15_001
        assert 0 < ttl["came"] <= 60_000
        assert 0 < ttl["fleet"] <= 30_001
        await pod.leave(await pod.come("c", Terms(100, 10, BOTH, 600.0)), lingers=True)
        [key] = await off(redis.ask, "KEYS", "*:open")
        assert 15_001 < await off(redis.ask, "PTTL", key) <= 600_001

    on(redis, 1, story)


def test_a_server_that_has_forgotten_everything_learns_who_is_there(redis: RedisServer) -> None:
    async def story(pod: Pod) -> None:
        for name in "abc":
            await pod.come(name, EXACTLY)
        await off(redis.ask, "FLUSHDB")
        pod.book.renew_now()
        await pod.exchange()
        assert sorted(await off(redis.members, "open")) == ["a", "b", "c"]
        assert (await pod.come("d", EXACTLY)).refused is Rule.CONCURRENCY

    on(redis, 1, story)


def test_processes_with_different_keys_notice(redis: RedisServer) -> None:
    async def main() -> None:
        async with pods(redis, 1) as [mine], pods(redis, 1, secret=b"another") as [other]:
            assert [command.script for command in await mine.exchange()] == [Script.GREET]
            assert not mine.book.strangers
            await other.exchange()
            assert other.book.strangers

    run(main())
