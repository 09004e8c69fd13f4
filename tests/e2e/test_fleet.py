"""Several processes of `earwitness run` that share a real Redis: what passes, what a killed one leaves, and Redis gone and back.

Checks are waited for longer than they are in life: what is counted has to be exact on a busy machine, too.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.core.policy import Rule
from tests.aio import run
from tests.e2e.plants import Plants
from tests.e2e.process import Process, earwitness, page
from tests.e2e.rig import sidecar
from tests.fleet.server import RedisServer, redis_server
from tests.relay.peers import Peer, Server, accept, connect, listening, request, until
from tests.relay.policies import close

PROCESSES: Final = 4
SLOTS: Final = 8
LEASE: Final = 2.0
FLEET: Final = {"scope": "fleet", "mode": "enforce"}

Secured = tuple[RedisServer, dict[str, Any]]

plants = Plants()
PASSWORD: Final = plants.mint("password of Redis", 0)
KEY: Final = plants.mint("key of the fleet", 1)
NEXTEVI: Final = plants.mint("credential in a query", 4)
DEEPGRAM: Final = plants.mint("credential in a header", 3)
TALKING: Final = request(f"/ws/voice/one?api_key={NEXTEVI}".encode())
LISTENING: Final = request(b"/v1/listen?encoding=linear16&sample_rate=16000", f"Authorization: Token {DEEPGRAM}".encode())


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    """A Redis, and `fleet` of the settings that lead to it."""
    folder = tmp_path
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "key").write_text(KEY + "\n")
    with redis_server(folder, PASSWORD) as redis:
        yield redis, {"url": f"redis://127.0.0.1:{redis.port}/0", "password": {"file": str(folder / "password")},
                      "key": {"file": str(folder / "key")}, "lease_seconds": LEASE, "check_seconds": 1.0}


def listeners(vendor: Server, **concurrency: Any) -> list[dict[str, Any]]:
    shared = {"upstream": vendor.url, "listen": "127.0.0.1:0"}
    return [{"vendor": "nextevi", "policy": {"rules": {"connection_rate": FLEET}}, **shared},  # the profile has the limit
            {"vendor": "deepgram", "policy": {"rules": {"concurrency": FLEET | {"sessions": SLOTS, "linger_seconds": 0.0} | concurrency}},
             **shared}]


async def call(address: str, what: bytes) -> tuple[int, Peer]:
    """The status that a client gets."""
    peer = await connect(int(address.rpartition(":")[2]))
    await peer.send(what)
    return int((await peer.head())[9:12]), peer


async def hold(peer: Peer) -> None:
    """A vendor that takes every call, and ends none."""
    await accept(peer)
    await peer.rest()


class Pods:
    """All processes, with the address of each listener, and the clients that got through."""

    def __init__(self, processes: list[Process], at: list[dict[str, str]]) -> None:
        self.processes, self.at = processes, at
        self.clients: list[tuple[int, str, Peer]] = []

    async def call(self, number: int, name: str, what: bytes) -> int:
        status, peer = await call(self.at[number][name], what)
        if status == 101:
            self.clients.append((number, name, peer))
        else:
            peer.close()
        return status

    async def listen(self, number: int) -> int:
        return await self.call(number, "deepgram", LISTENING)

    async def pages(self) -> str:
        """All that whoever looks can see."""
        places = [at for process, at in zip(self.processes, self.at, strict=True) if process.runs]
        found = [await page(at[name], path) for at in places for name, path in (("metrics", "/metrics"), ("admin", "/sessions"))]
        return "\n".join(text for _, text in found)

    async def fallbacks(self, number: int, vendor: str = "deepgram") -> int:
        _, text = await page(self.at[number]["metrics"], "/metrics")
        name = f'earwitness_fleet_fallbacks_total{{vendor="{vendor}"}} '
        return int(float(next(line for line in text.splitlines() if line.startswith(name)).removeprefix(name)))


@asynccontextmanager
async def pods(folder: Path, fleet: dict[str, Any], vendor: Server) -> AsyncIterator[Pods]:
    with ExitStack() as stack:
        processes = []
        for number in range(PROCESSES):
            (own := folder / str(number)).mkdir()
            processes.append(stack.enter_context(earwitness(own, "run", fleet=fleet, listeners=listeners(vendor),
                                                            drain={"accept_seconds": 0, "grace_seconds": 0})))
        found = Pods(processes, [await process.ready() for process in processes])
        for process in processes:
            await process.said("fleet_joined")
        try:
            yield found
        finally:
            for *_, peer in found.clients:
                peer.rst()


@pytest.mark.alone
def test_a_fleet(tmp_path: Path, secured: Secured) -> None:
    redis, fleet = secured

    async def main() -> None:
        async with listening(hold) as vendor, pods(tmp_path, fleet, vendor) as fleet_of:
            await exactly_a_hundred_a_minute(fleet_of, vendor)
            await as_many_at_once_as_there_are_slots(fleet_of)
            await slots_of_a_killed_process_run_out(fleet_of)
            await one_that_ends_gives_its_slots_back(fleet_of, redis)
            shown = await fleet_of.pages() + await asyncio.to_thread(redis.dump)
            await redis_may_hang_die_and_come_back_empty(fleet_of, redis)
            shown += await fleet_of.pages() + await asyncio.to_thread(redis.dump)
            assert "earwitness_fleet_fallbacks_total" in shown
            assert ":open" in shown
        said = "\n".join(process.out + process.err for process in fleet_of.processes) + (tmp_path / "redis.log").read_text()
        assert "session_end" in said
        assert plants.leaks(shown + said) == []

    run(main(), timeout=55)


async def exactly_a_hundred_a_minute(fleet: Pods, vendor: Server) -> None:
    """Of NextEVI's connections. All within a minute: the first one is not yet forgotten when the last one comes."""
    limit = asyncio.Semaphore(24)

    async def one(number: int) -> int:
        async with limit:
            return await fleet.call(number % PROCESSES, "nextevi", TALKING)

    assert Counter(await asyncio.gather(*map(one, range(140)))) == {101: 100, 429: 40}
    assert len(vendor.peers) == 100
    assert [await fleet.fallbacks(number, "nextevi") for number in range(PROCESSES)] == [0] * PROCESSES


async def as_many_at_once_as_there_are_slots(fleet: Pods) -> None:
    assert [await fleet.listen(number % PROCESSES) for number in range(SLOTS)] == [101] * SLOTS
    assert [await fleet.listen(number) for number in range(PROCESSES)] == [429] * PROCESSES


async def slots_of_a_killed_process_run_out(fleet: Pods) -> None:
    fleet.processes[0].stop()  # SIGKILL
    for _ in range(2):
        async with asyncio.timeout(10 * LEASE):
            while await fleet.listen(1) != 101:
                assert fleet.processes[1].runs
                await asyncio.sleep(0.1)
    await asyncio.sleep(LEASE)  # the others' leases have been renewed meanwhile
    assert [await fleet.listen(number) for number in (1, 2, 3)] == [429] * 3


async def one_that_ends_gives_its_slots_back(fleet: Pods, redis: RedisServer) -> None:
    """At once, and not after a lease: its two."""
    ending = fleet.processes[2]
    ending.signal(signal.SIGTERM)
    assert await ending.ended() == 0
    assert len(ending.lines("session_end")) == 35 + 4  # with those that were refused
    assert len(await asyncio.to_thread(redis.valid, "open")) == SLOTS - 2


async def redis_may_hang_die_and_come_back_empty(fleet: Pods, redis: RedisServer) -> None:
    redis.hang()
    assert [await fleet.listen(3) for _ in range(6)] == [101] * 6  # far beyond the limit: the vendor's remains
    assert await fleet.fallbacks(3) == 6
    await asyncio.to_thread(redis.stop)
    assert await fleet.listen(3) == 101
    before = [len(fleet.processes[number].lines("fleet_joined")) for number in (1, 3)]
    await fleet.processes[3].said("fleet_lost")
    await asyncio.to_thread(redis.start)
    for number, times in zip((1, 3), before, strict=True):
        await fleet.processes[number].said("fleet_joined", times + 1)
    there = sum(name == "deepgram" and number in (1, 3) for number, name, _ in fleet.clients)
    async with asyncio.timeout(10):
        while len(await asyncio.to_thread(redis.valid, "open")) < there:
            await asyncio.sleep(0.05)
            assert fleet.processes[3].runs
    assert [await fleet.listen(number) for number in (1, 3)] == [429, 429]


def test_a_reload_leaves_open_sessions_their_slots_and_a_slot_lingers(secured: Secured) -> None:
    redis, fleet = secured

    async def main() -> None:
        async with listening(hold) as vendor:
            own = listeners(vendor, sessions=2, linger_seconds=60.0)[1]
            async with sidecar(own, fleet=fleet) as beside:
                app = beside.app
                assert app.fleet is not None
                await until(lambda: app.fleet is not None and app.fleet.answers)
                address = beside.url("deepgram")
                (one, first), (two, second) = [await call(address, LISTENING) for _ in range(2)]
                assert (one, two) == (101, 101)
                [listener] = app._settings.listeners
                other = listener.policy.model_copy(update={"rules": listener.policy.rules.model_copy(update={
                    "concurrency": listener.policy.rules.concurrency.model_copy(update={"scope": "process", "sessions": 9})})})
                changed = app._settings.with_profiles((listener.model_copy(update={"policy": other}),), app._settings.catalogue)
                app._reread = lambda: changed
                assert await app.reload() == []
                status, third = await call(address, LISTENING)
                assert status == 101  # nobody asks Redis any more
                members = await asyncio.to_thread(redis.members, "open")
                assert len(members) == 2
                first.rst()
                ended = (await beside.reports.next()).session_id
                await vendor.peers[1].send(close(1000))
                vendor.peers[1].writer.close()
                await second.rest()
                second.writer.close()
                await beside.reports.next()
                async with asyncio.timeout(5):
                    while await asyncio.to_thread(redis.members, "open") != [ended]:  # the one that was cut lingers
                        assert app.fleet.answers
                        await asyncio.sleep(0.02)
                third.rst()
            assert ended in members
            assert await asyncio.to_thread(redis.members, "open") == [ended]

    run(main())


@pytest.mark.parametrize("dead", ["refused", "hanging"])
def test_a_dead_redis_holds_no_call_up(secured: Secured, dead: str) -> None:
    """With the 20 ms of every day. One that hangs is not given up on before a second has passed."""
    redis, fleet = secured
    del fleet["check_seconds"]

    async def main() -> None:
        async with listening(hold) as vendor, sidecar(listeners(vendor, sessions=1)[1], fleet=fleet) as beside:
            app = beside.app
            await until(lambda: app.fleet is not None and app.fleet.answers)
            if dead == "hanging":
                redis.hang()
            else:
                await asyncio.to_thread(redis.stop)
            peers = []
            for _ in range(5):
                status, peer = await call(beside.url("deepgram"), LISTENING)
                assert status == 101
                peers.append(peer)
            assert app.ledger.fallbacks["deepgram",] == 5
            assert not app.ledger.actions["deepgram", Rule.CONCURRENCY, "refused"]
            for peer in peers:
                peer.rst()

    run(main())
