"""Readings of what the process can carry, and the ladder of an overload, through a whole relay."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.app import App
from proxy.core.overload import SECONDS, reserve
from proxy.core.verdict import Inspection, Outcome, Owner
from proxy.relay import capacity
from proxy.relay.capacity import Capacity, make_room
from proxy.settings.model import Limits
from tests.aio import run
from tests.relay.peers import Rig, frame, request, rig
from tests.relay.policies import policy


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def late(self, one: Capacity, seconds: float) -> None:
        """A second with its twenty ticks, late by so much in all."""
        for _ in range(20):
            self.now += 0.0501
            one.tick(seconds / 20)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def is_overloaded(one: Capacity) -> bool:
    return one.overloaded


def overload(app: App) -> None:
    """As if the process had not kept up for some seconds."""
    for _ in range(SECONDS):
        app.capacity._judge.second(1.0, 1.0, 0.0)


def recover(app: App) -> None:
    for _ in range(SECONDS):
        app.capacity._judge.second(1.0, 0.0, 0.0)


# Readings


@pytest.mark.parametrize("refuses", [False, True])
def test_lateness(clock: Clock, refuses: bool) -> None:
    one = Capacity(refuses, clock=clock)
    one.start()
    for _ in range(SECONDS):
        assert (one.overloaded, one.refusal(None)) == (False, None)
        clock.late(one, 0.5)
    assert one.overloaded
    assert (one.blinds, one.refusal(None)) == ((False, "sidecar_overloaded") if refuses else (True, None))
    for _ in range(SECONDS):
        assert one.overloaded
        clock.late(one, 0.0)
    assert (one.overloaded, one.blinds, one.refusal(None)) == (False, False, None)
    one.stop()


@pytest.mark.parametrize("told", [True, False])
def test_cpu_that_was_used(clock: Clock, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the system does not say how long a thread had to wait for its turn."""
    if not told:
        monkeypatch.setattr(capacity, "_opened", lambda path: None)
    one = Capacity(clock=clock)
    one.start()
    for _ in range(SECONDS):
        spin = one._used() + 0.05
        while one._used() < spin:
            pass
        clock.now += 0.05
        for _ in range(SECONDS):
            one.tick(0.0)
        clock.now += 0.96
        one.tick(0.0)
    assert not is_overloaded(one)  # a twentieth of a core
    monkeypatch.setattr(one, "_used", lambda: clock.now)
    for _ in range(SECONDS + 1):
        clock.late(one, 0.0)
    assert is_overloaded(one)
    one.stop()


def test_resident_memory_is_read(clock: Clock) -> None:
    one = Capacity(clock=clock)
    one.start()
    clock.late(one, 0.0)
    assert 10 << 20 < one.resident < 1 << 40
    one.memory_bytes = one.resident * 2
    assert one.refusal(None) is None
    one.memory_bytes = one.resident
    assert one.refusal(None) == "sidecar_out_of_resources"
    one.stop()


@pytest.mark.parametrize(("version", "text", "most"), [
    ("memory.max", "268435456\n", 268435456), ("memory.max", "max\n", None),
    ("memory/memory.limit_in_bytes", "1048576", 1048576), ("memory/memory.limit_in_bytes", "9223372036854771712", None),
])
def test_what_the_container_may_have(version: str, text: str, most: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / version
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    monkeypatch.setattr(capacity, "_GROUP", tmp_path)
    assert capacity._group_bytes() == most


def test_without_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "_GROUP", tmp_path)
    assert capacity._group_bytes() is None


# The ladder


async def talk(relay: Rig) -> None:
    """A session that is open, and works."""
    client, vendor = await relay.open()
    for sent, one, other in ((frame(2, bytes(3200), mask=b"abcd"), client, vendor), (frame(1, b'{"type":"Results"}'), vendor, client)):
        await one.send(sent)
        assert await other.exactly(len(sent)) == sent
    vendor.rst()
    assert await client.reset()


@pytest.mark.parametrize("more", [{}, {"policy": policy("enforce")}], ids=["observe", "enforce"])
def test_a_sidecar_relays_new_sessions_blind(loop: str, more: dict[str, Any]) -> None:
    async def main() -> None:
        async with rig(listener=more) as relay:
            before, vendor = await relay.open()
            overload(relay.app)
            await talk(relay)
            blind = await relay.report()
            assert blind.inspection is Inspection.LOST
            assert relay.app.ledger.uninspected == {("deepgram",): 1}
            assert sum(relay.app.ledger.inspection_errors.values()) == 0
            recover(relay.app)
            await talk(relay)
            assert (await relay.report()).inspection is Inspection.FULL
            vendor.rst()
            assert await before.reset()
            assert (await relay.report()).inspection is Inspection.FULL

    run(main(), loop)


def test_a_gateway_refuses_them(loop: str) -> None:
    async def main() -> None:
        async with rig(limits=Limits(overload="refuse")) as relay:
            before, vendor = await relay.open()
            overload(relay.app)
            refused = await relay.call()
            head = await refused.head()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nx-earwitness: sidecar_overloaded\r\n" in head
            assert b"\r\nRetry-After: 5\r\n" in head
            verdict = (await relay.report()).verdict
            assert (verdict.outcome, verdict.code, verdict.owner) == (Outcome.REFUSED_HERE, "sidecar_overloaded", Owner.SIDECAR)
            await before.send(b"\x82\x00")
            assert await vendor.exactly(2) == b"\x82\x00"
            recover(relay.app)
            await talk(relay)
            await relay.report()

    run(main(), loop)


@pytest.mark.parametrize("asked", [request(), b"GET /v1/projects HTTP/1.1\r\nHost: relay.test\r\n\r\n"], ids=["session", "plain"])
def test_neither_takes_calls_without_descriptors(loop: str, asked: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with rig() as relay:
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            monkeypatch.setattr("proxy.relay.capacity.resource.getrlimit", lambda _: (64, limits[1]))
            extra = [await relay.connect() for _ in range(0, 64 - reserve(64), 2)]
            client = await relay.call(asked)
            assert b"\r\nx-earwitness: sidecar_out_of_resources\r\n" in await client.head()
            for peer in extra:
                peer.rst()
            if asked == request():
                assert (await relay.report()).verdict.code == "sidecar_out_of_resources"

    run(main(), loop)


def test_the_page_tells_of_it(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            overload(relay.app)
            relay.app._lagged(0.0)
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port("metrics"))
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert b"\nearwitness_overloaded 1\n" in await reader.read()
            writer.close()

    run(main(), loop)


TOLD = """
import os, resource
from proxy.relay.capacity import make_room
before = os.listdir("/proc/self/fd")
make_room()
assert os.listdir("/proc/self/fd") == before
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
print(open("/proc/self/status").read().partition("FDSize:")[2].split()[0])
"""


@pytest.mark.parametrize(("most", "room"), [(4096, 4096), (20_000, 16_384)])
def test_a_process_has_the_room_for_descriptors_before_it_needs_it(most: int, room: int) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < most:
        pytest.skip("the system allows fewer")
    told = subprocess.run(["prlimit", f"--nofile=256:{most}", sys.executable, "-c", TOLD], capture_output=True, text=True, check=False)
    assert (told.stdout.split(), told.stderr) == ([str(most), str(most), str(room)], "")


def test_where_there_is_no_room_it_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.capacity.resource.setrlimit", lambda *_: None)
    monkeypatch.setattr("proxy.relay.capacity.TABLE", 1 << 30)
    monkeypatch.setattr("proxy.relay.capacity.resource.getrlimit", lambda _: (1024, resource.RLIM_INFINITY))
    make_room()
