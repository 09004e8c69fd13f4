"""What a fleet costs a call: a check on loopback, and calls while Redis is dead. `make bench-fleet`; figures, no assertions.

    check    from the question to the answer, one after the other, over the product's own connection, in this process; and while Redis is
             halted, from the question until the call goes on
    call     from a client's request to its 101, through a process of `earwitness run`, with a vendor in this process that answers at once

Redis is a real one: asked, stopped (connections refused), and halted (connections taken, nothing answered).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from proxy.core.fleet import Book, Terms
from proxy.core.policy import Rule
from proxy.fleet.fleet import Fleet
from proxy.fleet.store import Store, UnreachableError
from proxy.relay.loops import run_on
from tests.e2e.process import Process
from tests.fleet.server import RedisServer, redis_server
from tests.relay.peers import accept, connect, listening, request

CHECKS: Final = 5_000
CALLS: Final = 300
HALTS: Final = 5
KEY: Final = "the key of a fleet that is measured"
TERMS: Final = Terms(1e9, 10**9, frozenset({Rule.CONNECTION_RATE, Rule.CONCURRENCY}), 5.0)
HEAD: Final = request(b"/v1/listen?encoding=linear16&sample_rate=16000", b"Authorization: Token a-key-that-is-nobody's")


def quantiles(seconds: Iterable[float]) -> str:
    ordered = sorted(seconds)
    picked = (ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1])
    return "  ".join(f"{name} {value * 1000:7.3f} ms" for name, value in zip(("p50", "p99", "max"), picked, strict=True))


async def joined(fleet: Fleet) -> None:
    while not fleet.answers:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def checks(redis: RedisServer) -> tuple[list[float], list[float]]:
    fleet = Fleet(Store(redis.server), UnreachableError, Book(KEY.encode(), "bench", 15.0))
    fleet.start()
    await joined(fleet)
    found = []
    for number in range(CHECKS):
        began = time.perf_counter()
        lease = fleet.come(str(number), "acme", str(number % 20), TERMS)
        if await fleet.answered(lease):
            found.append(time.perf_counter() - began)
        fleet.left(lease)
        if number % 50 == 0:
            await asyncio.sleep(0.01)
    print(f"         answered in time: {len(found)} of {CHECKS}")
    late = []
    for _ in range(HALTS):
        redis.hang()
        while fleet.answers:
            began = time.perf_counter()
            lease = fleet.come("late", "acme", "another", TERMS)
            await fleet.answered(lease)
            late.append(time.perf_counter() - began)
            fleet.left(lease)
            await asyncio.sleep(0.03)
        redis.go_on()
        await joined(fleet)
    await fleet.close()
    return found, late


async def calls(address: str, most: int = CALLS) -> list[float]:
    """One after the other, each cut as soon as it is open."""
    found = []
    for _ in range(most):
        peer = await connect(int(address.rpartition(":")[2]))
        began = time.perf_counter()
        await peer.send(HEAD)
        assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        found.append(time.perf_counter() - began)
        peer.rst()
        await asyncio.sleep(0.005)
    return found


async def measured(folder: Path, redis: RedisServer, show: Callable[[str, list[float]], None]) -> None:
    found, late = await checks(redis)
    show("check", found)
    show(f"check, Redis halted ({len(late)} waited)", late)
    async with listening(lambda peer: _hold(peer)) as vendor:
        (folder / "key").write_text(KEY)
        rule = {"mode": "enforce", "scope": "fleet", "sessions": 10**6}
        anywhere = {"listen": "127.0.0.1:0"}
        settings: dict[str, Any] = {
            "metrics": anywhere, "admin": anywhere, "listeners": [
                {"vendor": "deepgram", "name": "asked", "upstream": vendor.url, **anywhere, "policy": {"rules": {"concurrency": rule}}},
                {"vendor": "deepgram", "name": "alone", "upstream": vendor.url, **anywhere}],
            "fleet": {"url": f"redis://127.0.0.1:{redis.port}", "key": {"file": str(folder / "key")}}}
        (folder / "earwitness.yaml").write_text(json.dumps(settings))
        process = Process(folder, "run", "--config", str(folder / "earwitness.yaml"))
        try:
            at = await process.ready()
            await process.said("fleet_joined")
            show("call, no fleet", await calls(at["alone"]))
            show("call, fleet", await calls(at["asked"]))
            redis.hang()
            show("call, Redis halted: the first 5", await calls(at["asked"], 5))
            show("call, Redis halted: the next", await calls(at["asked"]))
            await asyncio.to_thread(redis.stop)
            show("call, Redis refuses", await calls(at["asked"]))
        finally:
            process.stop()


async def _hold(peer: Any) -> None:
    await accept(peer)
    await peer.rest()


def main() -> None:
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as redis, asyncio.Runner(loop_factory=run_on("auto")) as runner:
        runner.run(measured(Path(name), redis, lambda what, found: print(f"{what:32} {quantiles(found)}", flush=True)))


if __name__ == "__main__":
    main()
