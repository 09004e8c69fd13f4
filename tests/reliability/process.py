"""A real process whose surroundings are broken: what it writes to, what it may open, whom it tells.

    1. open calls pass bytes both ways, and the page answers, while it is broken
    2. each call ends with one report (on /sessions, where the log cannot be read), and this says that it was good
    3. afterwards the process has no more descriptors than before, and ends with 0 when it is asked to
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.aio import free_port
from tests.e2e.process import page
from tests.relay.peers import SWITCHING, Peer, Server, connect, listening, request
from tests.reliability.rows_ends import AUDIO, BYE, END, RESULT

SECONDS: Final = 30.0
SPARE: Final = 2
"""Descriptors that come and go with what the process reads of itself."""


@dataclass
class Surroundings:
    """What a process is started with. `stdout` is a descriptor; `within` is a command that becomes the one that is put behind it."""

    stdout: int = subprocess.DEVNULL
    within: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    beside: Any = None
    """Something else that runs."""


class Sidecar:
    """The running process, and a vendor that answers 101 to whoever comes."""

    def __init__(self, process: subprocess.Popen[bytes], vendor: Server, ports: dict[str, int], around: Surroundings) -> None:
        self.process, self.vendor, self.ports, self.around = process, vendor, ports, around
        self.answers: set[str] = set()

    async def page(self, path: str, name: str = "metrics", method: str = "GET") -> tuple[int, str]:
        return await page(f"127.0.0.1:{self.ports[name]}", path, method)

    async def is_up(self) -> bool:
        with suppress(OSError):
            return (await self.page("/-/ready"))[0] == 200
        return False

    async def call(self) -> tuple[Peer, Peer | None, bytes]:
        """A client, its vendor's end if there was a 101, and the head of the answer."""
        client = await connect(self.ports["calls"])
        await client.send(request())
        head = await client.head()
        own = re.search(rb"x-earwitness: (\w+)", head)
        self.answers.add(head[9:12].decode() + (f" {own[1].decode()}" if own else ""))
        return client, await self.vendor.arrived.get() if head.startswith(b"HTTP/1.1 101") else None, head

    @property
    def clients_saw(self) -> str:
        """Of all calls; that no byte was lost or changed, `speaks` and `ends` have seen."""
        return "".join(["101, all bytes", *(f"; beyond the limit {answer}" for answer in sorted(self.answers - {"101"}))])

    async def speaks(self, client: Peer, vendor: Peer) -> None:
        for one, other, said in ((client, vendor, AUDIO), (vendor, client, RESULT)):
            await one.send(said)
            assert await other.exactly(len(said)) == said

    async def ends(self, client: Peer, vendor: Peer) -> None:
        await client.send(END)
        assert await vendor.exactly(len(END)) == END
        await vendor.send(BYE)
        vendor.writer.close()
        assert await client.rest() == BYE
        client.close()

    async def good_call(self) -> None:
        client, vendor, head = await self.call()
        assert vendor is not None, head
        await self.speaks(client, vendor)
        await self.ends(client, vendor)

    async def reports(self, least: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(SECONDS):
            while True:
                seen = json.loads((await self.page("/sessions", "admin"))[1])
                if len(seen["ended"]) >= least and not seen["open"]:
                    ended: list[dict[str, Any]] = seen["ended"]
                    return ended
                await asyncio.sleep(0.01)

    async def metric(self, name: str) -> float:
        """The sum of all its series."""
        text = (await self.page("/metrics"))[1]
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith((name + " ", name + "{")))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    async def settles(self, most: int) -> None:
        """Until it has no more descriptors than that."""
        async with asyncio.timeout(SECONDS):
            while self.descriptors() > most + SPARE:  # noqa: ASYNC110 - the process does not tell
                await asyncio.sleep(0.02)


async def answers(peer: Peer) -> None:
    await peer.head()
    await peer.send(SWITCHING)
    await asyncio.Event().wait()


def started(command: list[str], stdout: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=environment)


@asynccontextmanager
async def sidecar(folder: Path, around: Surroundings, loop: str) -> AsyncIterator[Sidecar]:
    async with listening(answers) as vendor:
        ports = {name: free_port() for name in ("calls", "metrics", "admin")}
        at = {name: {"listen": f"127.0.0.1:{port}"} for name, port in ports.items()}
        file = folder / "earwitness.yaml"
        file.write_text(json.dumps({
            "metrics": at["metrics"], "admin": at["admin"], "drain": {"accept_seconds": 0, "grace_seconds": 0},
            "listeners": [{"name": "calls", "vendor": "deepgram", "upstream": vendor.url, "policy": around.policy, **at["calls"]}],
            **around.settings}))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("EARWITNESS")}
        command = [*around.within, sys.executable, "-m", "proxy.cli", "run", "--loop", loop, "--config", str(file)]
        process = started(command, around.stdout, {**clean, **around.environment})
        try:
            one = Sidecar(process, vendor, ports, around)
            async with asyncio.timeout(SECONDS):
                while not await one.is_up():
                    assert process.poll() is None
                    await asyncio.sleep(0.02)
            yield one
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, SECONDS) == 0
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


Play = Callable[[Sidecar], Awaitable[None]]


@dataclass(frozen=True)
class ProcessRow:
    """`around` gives the surroundings and what is to be closed afterwards."""

    name: str
    group: str
    fault: str
    client: str
    says: str
    around: Callable[[], tuple[Surroundings, Callable[[], None]]]
    play: Play


PROCESS_ROWS: Final[list[ProcessRow]] = []


def process_row(group: str, fault: str, *, client: str, says: str = "ok normal none client vendor",
                around: Callable[[], tuple[Surroundings, Callable[[], None]]]) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        PROCESS_ROWS.append(ProcessRow(play.__name__, group, fault, client, says, around, play))
        return play

    return add


async def played(row: ProcessRow, folder: Path, loop: str) -> None:
    around, close = await asyncio.to_thread(row.around)
    try:
        async with sidecar(folder, around, loop) as one:
            await one.good_call()
            await one.reports(1)
            before = one.descriptors()
            await row.play(one)
            await one.good_call()
            reports = await one.reports(2)
            found = [" ".join(report[name] for name in ("outcome", "code", "owner", "initiated_by", "ended_by")) for report in reports]
            assert set(found) == set(row.says.split(" or ")), found
            assert one.clients_saw == row.client
            started, ended = await one.metric("earwitness_sessions_started_total"), await one.metric("earwitness_sessions_ended_total")
            assert started == ended >= len(reports)  # of many, not all are kept
            await one.settles(before)
    finally:
        close()
