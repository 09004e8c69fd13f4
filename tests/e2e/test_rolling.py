"""Gateways that are replaced under load: three old processes, three new ones, a balancer before them, and calls in real time."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from proxy.simulators import SIMULATORS, Simulator
from tests.aio import run
from tests.e2e.balancer import Balancer, balancing
from tests.e2e.process import Process, earwitness
from tests.e2e.rig import upstream
from tests.sdks import Outcome, assemblyai_async, deepgram_v1_async, speech
from tests.simulators.calls import KEY, TERMINATE, V3

GATEWAYS: Final = 3
CALLS: Final = 200
SDK_CALLS: Final = 10
"""Of each of two SDKs."""
PIECE_SECONDS: Final = 1.0
PIECE: Final = bytes(int(16000 * PIECE_SECONDS) * 2)
DRAIN: Final = {"accept_seconds": 0.3, "grace_seconds": 3}
LOST: Final = 10
VENDORS: Final = ("deepgram", "assemblyai")


def listeners(simulators: list[Simulator]) -> list[dict[str, Any]]:
    return [{"vendor": vendor, "listen": "127.0.0.1:0", "upstream": upstream(one)} for vendor, one in zip(VENDORS, simulators, strict=True)]


async def begun(url: str, name: str) -> ClientConnection:
    line = await connect(url + V3, additional_headers={**KEY, "X-Call": name}, compression=None, proxy=None, open_timeout=30)
    assert json.loads(await line.recv())["type"] == "Begin"
    return line


async def spoken(line: ClientConnection, done: Callable[[], bool]) -> str:
    """Speaks in real time until it is done, then hangs up as it should. Gives how the vendor, or who is in between, ended it."""
    ends = ""

    async def hear() -> None:
        nonlocal ends
        try:
            async for message in line:
                ends = json.loads(message)["type"]
        except ConnectionClosed as error:
            ends = f"{error.rcvd.code} {error.rcvd.reason}" if error.rcvd else "cut"

    hearing = asyncio.create_task(hear())
    try:
        while not done():
            await line.send(PIECE)
            await asyncio.sleep(PIECE_SECONDS)
        await line.send(TERMINATE)
    except ConnectionClosed:
        pass
    await hearing
    return ends


async def caller(balancer: Balancer, name: str, door: asyncio.Semaphore, done: Callable[[], bool]) -> list[str]:
    """A call that is dialled again when it is told to. Gives how each of its sessions ended."""
    async with door:
        line, ends = await begun(balancer.url, name), list[str]()
    ends.append(await spoken(line, done))
    if ends[0] != "Termination":
        left = iter([False, True])
        ends.append(await spoken(await begun(balancer.url, name), lambda: next(left)))
    return ends


async def sdk_caller(balancer: Balancer, place: Callable[..., Any], audio: bytes) -> list[Outcome]:
    """The SDK's own call, until it ends well: what an application would do."""
    first = await place(balancer.url, audio, paced=True)
    return [first] if first.error is None else [first, await place(balancer.url, speech(0.5, 0.5))]


async def started(stack: AsyncExitStack, folder: Path, names: list[str], settings: dict[str, Any]) -> list[Process]:
    processes = []
    for name in names:
        (folder / name).mkdir()
        processes.append(stack.enter_context(earwitness(folder / name, "run", **settings)))
    for process in processes:
        await process.ready()
    return processes


async def opened(processes: list[Process], calls: int) -> None:
    """Waits until so many are open, and none more or less."""
    while sum(one.out.count('"event":"session_open"') for one in processes) < calls:  # noqa: ASYNC110 - a process of its own tells of it
        await asyncio.sleep(0.25)
    assert sum(len(one.lines("session_open")) for one in processes) == calls
    assert not any(one.lines("session_end") for one in processes)


async def replaced(old: list[Process], new: list[Process], balancers: dict[str, Balancer]) -> None:
    """One after the other: the new one takes calls, the old one none that balancers have not sent to it already."""
    for before, after in zip(old, new, strict=True):
        there, here = await before.ready(), await after.ready()
        for name, balancer in balancers.items():
            balancer.to = [here[name] if address == there[name] else address for address in balancer.to]
        before.signal(signal.SIGTERM)
        await before.said("draining")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def drained_after_the_grace(process: Process) -> int:
    """How many were, in a process with one report for each of its sessions."""
    ends = process.lines("session_end")
    assert sorted(end["session_id"] for end in ends) == sorted(line["session_id"] for line in process.lines("session_open"))
    assert {end["outcome"] for end in ends} <= {"ok", "drained"}
    cut = [end for end in ends if end["outcome"] == "drained"]
    assert {(end["owner"], end["initiated_by"]) for end in cut} <= {("sidecar", "sidecar")}
    [draining] = process.lines("draining")
    before = at(draining["time"]) + timedelta(seconds=DRAIN["accept_seconds"] + DRAIN["grace_seconds"])
    assert all(at(end["ended_at"]) >= before - timedelta(seconds=0.01) for end in cut)  # two clocks
    return len(cut)


async def names_what_is_lost(process: Process) -> None:
    """Killed, a process leaves the beginnings of what it carried, by the names that applications know."""
    address, before = (await process.ready())["assemblyai"], len(process.lines("session_open"))
    names = [f"lost{number}" for number in range(LOST)]
    lines = [await begun(f"ws://{address}", name) for name in names]
    await process.said("session_open", before + LOST)
    await process.said("session_end", before)
    process.signal(signal.SIGKILL)
    assert await process.ended() == -signal.SIGKILL
    for line in lines:
        await line.wait_closed()
    ended = {end["session_id"] for end in process.lines("session_end")}
    lost = [line for line in process.lines("session_open") if line["session_id"] not in ended]
    assert sorted(line["correlation"]["X-Call"] for line in lost) == sorted(names)


@pytest.mark.timeout(120)
def test_gateways_are_replaced_under_calls(tmp_path: Path) -> None:
    """Every fourth plain call ends by itself meanwhile; the others are told to try again, do, and finish on a new process."""
    hung_up = asyncio.Event()
    audio = speech(60.0)  # made before: it takes its time, and while the loop stands still for it, vendors find other calls idle

    async def main() -> None:
        async with AsyncExitStack() as stack:
            vendors = [await stack.enter_async_context(SIMULATORS[vendor](strict=False)) for vendor in VENDORS]
            settings = {"drain": DRAIN, "timeouts": {"dial": 60}, "correlation": {"headers": ["X-Call"]},
                        "listeners": listeners(vendors)}
            names = [f"{age}{number}" for age in ("old", "new") for number in range(GATEWAYS)]
            processes = await started(stack, tmp_path, names, settings)
            old, new = processes[:GATEWAYS], processes[GATEWAYS:]
            balancers = {name: await stack.enter_async_context(balancing([(await one.ready())[name] for one in old])) for name in VENDORS}

            door = asyncio.Semaphore(10)
            plain = [asyncio.create_task(caller(balancers["assemblyai"], str(number), door, hung_up.is_set if number % 4 == 0 else bool))
                     for number in range(CALLS - 2 * SDK_CALLS)]
            await opened(old, len(plain))
            sdks = [asyncio.create_task(sdk_caller(balancers[name], place, audio)) for number in range(SDK_CALLS)
                    for name, place in (("deepgram", deepgram_v1_async), ("assemblyai", assemblyai_async))]
            await opened(old, CALLS)
            await replaced(old, new, balancers)
            hung_up.set()

            ends = await asyncio.gather(*plain)
            again = ["1012 earwitness: draining", "Termination"]
            assert ends == [["Termination"] if number % 4 == 0 else again for number in range(len(plain))]
            for outcomes in await asyncio.gather(*sdks):
                assert ["1012" in (one.error or "") for one in outcomes] == [True, False]
                assert outcomes[-1].error is None
                assert outcomes[-1].ended

            assert [await one.ended() for one in old] == [0] * GATEWAYS
            cut = [drained_after_the_grace(one) for one in old]
            assert sum(cut) == sum(len(one) == 2 for one in ends) + len(sdks)
            await names_what_is_lost(new[0])
            for one in new[1:]:
                one.signal(signal.SIGTERM)
            assert [await one.ended() for one in new[1:]] == [0] * (GATEWAYS - 1)
            reports = [end for one in old + new for end in one.lines("session_end")]
            assert sum(end["outcome"] == "ok" for end in reports) == CALLS
            assert len(reports) == sum(cut) + CALLS
            assert sum(len(one.lines("session_end")) for one in new) == sum(cut)  # whoever was told to try again has finished there
            assert [one.err for one in old + new] == [""] * 2 * GATEWAYS

    run(main(), timeout=90)
