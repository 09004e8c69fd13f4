"""Names: kept, stale answers used, one look-up for all who ask."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from proxy.relay.names import FRESH_SECONDS, PATIENCE_SECONDS, RETRY_SECONDS, STALE_SECONDS, Names
from tests.aio import run


class Resolver:
    """Stands for the loop's getaddrinfo and its clock."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.address = "192.0.2.1"
        self.down = False
        self.gate: asyncio.Event | None = None
        self.now = 1000.0

    def install(self) -> Names:
        loop = asyncio.get_running_loop()
        loop.getaddrinfo = self.getaddrinfo  # type: ignore[method-assign, assignment]
        loop.time = lambda: self.now  # type: ignore[method-assign]
        return Names()

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked.append(host)
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.address, port)),
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", port, 0, 0))]


async def first(names: Names, host: str = "vendor.test", port: int = 443) -> str:
    return (await names.resolve(host, port))[0]["host"]


async def some_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


Scenario = Callable[[Resolver, Names], Any]


def played(scenario: Scenario) -> None:
    async def main() -> None:
        resolver = Resolver()
        names = resolver.install()
        await scenario(resolver, names)
        await names.close()

    # No time limit of aio's own: this test turns the clock.
    with asyncio.Runner() as runner:
        runner.run(main())


def test_an_answer_is_kept_for_a_while() -> None:
    async def scenario(resolver: Resolver, names: Names) -> None:
        assert await first(names) == "192.0.2.1"
        resolver.address = "192.0.2.2"
        resolver.now += FRESH_SECONDS - 1
        assert await first(names) == "192.0.2.1"
        resolver.now += 1
        assert await first(names) == "192.0.2.2"
        assert len(resolver.asked) == 2

    played(scenario)


def test_the_answer_is_whole() -> None:
    async def scenario(resolver: Resolver, names: Names) -> None:
        four, six = await names.resolve("vendor.test", 443)
        assert (four["hostname"], four["host"], four["port"], four["family"]) == ("vendor.test", "192.0.2.1", 443, socket.AF_INET)
        assert (six["host"], six["family"]) == ("2001:db8::1", socket.AF_INET6)

    played(scenario)


def test_names_and_ports_are_kept_apart() -> None:
    async def scenario(resolver: Resolver, names: Names) -> None:
        await first(names)
        await first(names, "other.test")
        await first(names, port=80)
        assert resolver.asked == ["vendor.test", "other.test", "vendor.test"]

    played(scenario)


def test_a_stale_answer_is_used_when_there_is_no_other() -> None:
    async def scenario(resolver: Resolver, names: Names) -> None:
        await first(names)
        resolver.down = True
        resolver.now += FRESH_SECONDS
        assert await first(names) == "192.0.2.1"
        assert len(resolver.asked) == 2
        # It does not ask again for every call.
        resolver.now += RETRY_SECONDS / 2
        assert await first(names) == "192.0.2.1"
        assert len(resolver.asked) == 2
        resolver.now += RETRY_SECONDS
        assert await first(names) == "192.0.2.1"
        assert len(resolver.asked) == 3
        # And takes the new answer once there is one.
        resolver.down, resolver.address = False, "192.0.2.3"
        resolver.now += RETRY_SECONDS
        assert await first(names) == "192.0.2.3"

    played(scenario)


def test_an_answer_can_be_too_old() -> None:
    async def scenario(resolver: Resolver, names: Names) -> None:
        await first(names)
        resolver.down = True
        resolver.now += STALE_SECONDS + 1
        with pytest.raises(socket.gaierror):
            await first(names)

    played(scenario)


def test_a_name_that_was_never_known() -> None:
    async def scenario(resolver: Resolver, names: Names) -> None:
        resolver.down = True
        for _ in range(2):
            with pytest.raises(socket.gaierror):
                await first(names)
        resolver.down = False
        assert await first(names) == "192.0.2.1"

    played(scenario)


def test_one_look_up_for_many() -> None:
    async def scenario(resolver: Resolver, names: Names) -> None:
        resolver.gate = asyncio.Event()
        asking = [asyncio.create_task(first(names)) for _ in range(50)]
        await some_turns()
        resolver.gate.set()
        assert set(await asyncio.gather(*asking)) == {"192.0.2.1"}
        assert resolver.asked == ["vendor.test"]

    played(scenario)


def test_one_who_gives_up_ends_nobodys_look_up() -> None:
    async def scenario(resolver: Resolver, names: Names) -> None:
        resolver.gate = asyncio.Event()
        leaving, staying = asyncio.create_task(first(names)), asyncio.create_task(first(names))
        await some_turns()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        resolver.gate.set()
        assert await staying == "192.0.2.1"

    played(scenario)


def test_the_last_who_gives_up_leaves_an_answer_for_the_next() -> None:
    async def scenario(resolver: Resolver, names: Names) -> None:
        resolver.gate = asyncio.Event()
        leaving = asyncio.create_task(first(names))
        await some_turns()
        leaving.cancel()
        resolver.down = True
        resolver.gate.set()  # fails with nobody there: no "exception was never retrieved"
        await some_turns()
        resolver.down = False
        assert await first(names) == "192.0.2.1"

    played(scenario)


def test_closing_ends_a_look_up() -> None:
    async def scenario(resolver: Resolver, names: Names) -> None:
        resolver.gate = asyncio.Event()
        asking = asyncio.create_task(first(names))
        await some_turns()
        await names.close()
        with pytest.raises(asyncio.CancelledError):
            await asking

    played(scenario)


def test_a_real_look_up(loop: str) -> None:
    async def main() -> None:
        assert {one["host"] for one in await Names().resolve("localhost", 80)} & {"127.0.0.1", "::1"}

    run(main(), loop)


def test_a_resolver_that_says_nothing_costs_no_call_the_stale_answer() -> None:
    """It is waited for a little, by all who ask together, and then not asked again for a while; what it says at last is heard."""
    async def scenario(resolver: Resolver, names: Names) -> None:
        await first(names)
        resolver.gate, resolver.address = asyncio.Event(), "192.0.2.4"
        resolver.now += FRESH_SECONDS
        asking = [asyncio.create_task(first(names)) for _ in range(3)]
        await some_turns()
        assert not any(one.done() for one in asking)
        resolver.now += PATIENCE_SECONDS
        assert await asyncio.gather(*asking) == ["192.0.2.1"] * 3
        resolver.now += RETRY_SECONDS / 2
        assert await first(names) == "192.0.2.1"
        assert len(resolver.asked) == 2
        resolver.gate.set()
        await some_turns()
        assert await first(names) == "192.0.2.4"
        assert len(resolver.asked) == 2

    played(scenario)
