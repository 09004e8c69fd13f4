"""One fault on a stage: a client, a vendor, the whole relay between them, and what has to hold afterwards whatever happened.

    1. each end heard what the other said, byte for byte; less only where it ended with an RST
    2. there is one report, and it says what the row says
    3. no task, socket, descriptor or object of the call is left
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.app import App
from proxy.core.report import Report
from proxy.core.session import NOTABLE_LAG
from proxy.relay.call import Call
from proxy.telemetry import log
from tests.relay.peers import SWITCHING, Peer, Rig, Script, request, rig, until

PLAIN: Final = ("plain",)
TLS: Final = ("tls",)
BOTH: Final = (*PLAIN, *TLS)
OURS: Final = "proxy."
"""Whatever a call is made of is of a type of ours."""
TURNS: Final = 50
KEPT: Final = {"Report", "AudioReport", "LatencyReport", "SelfReport", "Close", "Verdict", "Evidence", "Fact", "_Group", "_Known", "Rate",
              "Histogram"}
"""What is to stay: the last reports, which /sessions shows, and the series of the metrics, which are bounded by their labels."""


class End:
    """One end of a call: what it said after its head, what it heard of the other's, and how that ended."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.said = b""
        self.heard = bytearray()
        self.ended = ""
        self.left = False

    async def says(self, data: bytes) -> None:
        self.said += data
        await self.peer.send(data)

    def pushes(self, data: bytes) -> None:
        """Says it without waiting for anybody to take it."""
        self.said += data
        self.peer.writer.write(data)

    async def hears(self, size: int) -> None:
        """That much and no more."""
        self.heard += await self.peer.exactly(size)

    async def hears_out(self) -> None:
        """Until the other end sends no more."""
        try:
            while data := await self.peer.more():
                self.heard += data
            self.ended = "FIN"
        except (ConnectionError, ssl.SSLError):
            self.ended = "RST"

    def fin(self) -> None:
        self.peer.fin()

    def leaves(self) -> None:
        """In good order: what was said goes first."""
        self.left = True
        self.peer.writer.close()

    def rst(self) -> None:
        self.left = True
        self.peer.rst()

    def stops_reading(self) -> None:
        self.peer.transport.pause_reading()

    def reads_on(self) -> None:
        self.peer.transport.resume_reading()


@dataclass
class Stage:
    """Where a row is played. `head` is that of the client's answer."""

    rig: Rig
    wire: str
    patch: pytest.MonkeyPatch
    client: End = field(init=False)
    vendor: End | None = None
    head: bytes = b""

    async def open(self, glued: bytes = b"") -> tuple[End, End]:
        """Client and vendor of a session with a 101; `glued` comes with it."""
        self.client = End(await self.rig.call(request()))
        vendor = await self.arrives()
        await vendor.peer.head()
        await vendor.peer.send(SWITCHING + glued)
        vendor.said += glued
        self.head = await self.client.peer.head()
        return self.client, vendor

    async def call(self, data: bytes = request()) -> End:
        """A client that has sent its request."""
        self.client = End(await self.rig.call(data))
        return self.client

    async def arrives(self) -> End:
        assert self.rig.vendor is not None
        self.vendor = End(await self.rig.vendor.arrived.get())
        return self.vendor

    async def answered(self) -> bytes:
        """The head of the client's answer."""
        self.head = await self.client.peer.head()
        return self.head

    @property
    def the_call(self) -> Call:
        (call,) = self.rig.app.relay.calls
        return call

    @property
    def seen(self) -> str:
        """What the client saw: status, our own name for it where the answer is ours, and how it ended."""
        status = self.head[9:12].decode()
        own = self.head.partition(b"x-earwitness: ")[2].partition(b"\r\n")[0].decode()
        return ", ".join(part for part in (f"{status} {own}".strip(), self.client.ended or "left" * self.client.left) if part)


Play = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Row:
    """`says` are outcome, code, owner, initiated_by and ended_by of the report; several, with `or`, where it is chance who is heard first.

    `client` is as Stage.seen.
    """

    name: str
    group: str
    fault: str
    client: str
    says: str
    play: Play
    wires: tuple[str, ...] = BOTH
    vendor: str = ""
    """How it ended for the vendor: FIN, RST, or nothing where it was the vendor who left, or none came."""
    script: Script | None = None
    options: dict[str, Any] | Callable[[], dict[str, Any]] = field(default_factory=dict)
    patches: dict[str, Any] = field(default_factory=dict)
    prepare: Callable[[App], None] | None = None
    also: Callable[[Report, Stage], None] = lambda report, stage: None
    note: str = ""


ROWS: Final[list[Row]] = []


def row(group: str, fault: str, *, client: str, says: str, **more: Any) -> Callable[[Play], Play]:
    """Adds a row; the function is its play, and its name the row's."""
    def add(play: Play) -> Play:
        ROWS.append(Row(play.__name__, group, fault, client, says, play, **more))
        return play

    return add


@dataclass(frozen=True)
class Census:
    """What is there: sockets, tasks, objects."""

    sockets: frozenset[str]
    tasks: int
    objects: Counter[str]

    @classmethod
    def now(cls) -> Census:
        gc.collect()
        return cls(frozenset(_sockets()), len(asyncio.all_tasks()), Counter(type(one).__qualname__ for one in gc.get_objects()
                                                                            if str(type(one).__module__).startswith(OURS)))


def _sockets() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith(("socket:", "pipe:")):
            found.add(target)
    return found


class Told(logging.Handler):
    """The log, as lines; pytest's own would keep the records, with tracebacks and all that they hold."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(log.Lines())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    def ends(self) -> int:
        return sum(line["event"] == "session_end" for line in self.lines)


async def until_gone(before: Census) -> None:
    """Fails where anything is left of what came after `before`."""
    await until(lambda: _sockets() <= before.sockets and len(asyncio.all_tasks()) <= before.tasks)

    def left() -> list[str]:
        return [name for name in Census.now().objects - before.objects if name not in KEPT]

    for _ in range(TURNS):  # what the loop still has to tell an object keeps it, without a task
        if not left():
            return
        await asyncio.sleep(0.01)
    assert not (found := left()), f"left behind: {found}"


async def played(row: Row, wire: str, options: dict[str, Any], patch: pytest.MonkeyPatch) -> None:
    told = Told()
    patch.setattr(log.LOG, "handlers", [told])
    patch.setattr(log.LOG, "propagate", False)
    patch.setattr(log.LOG, "isEnabledFor", lambda level: True)
    for name, value in row.patches.items():
        patch.setattr(name, value)
    more = row.options() if callable(row.options) else row.options
    async with rig(row.script, **{**options, **more}) as relay:
        stage = Stage(relay, wire, patch)
        before = Census.now()
        if row.prepare is not None:
            row.prepare(relay.app)
        await row.play(stage)
        for end in (stage.client, stage.vendor):
            if end is not None and not (end.left or end.ended):
                await end.hears_out()
                end.peer.writer.close()
        report = await relay.report()
        judged(row, stage, report)
        for peer in [*relay.clients, *(relay.vendor.peers if relay.vendor else ())]:
            peer.close()
        await until_gone(before)
        assert relay.reports.next.empty(), "more than one report"
        assert told.ends() == relay.reports.seen or "proxy.telemetry.log.session_end" in row.patches


def judged(row: Row, stage: Stage, report: Report) -> None:
    verdict = report.verdict
    found = " ".join((verdict.outcome, verdict.code, verdict.owner, verdict.initiated_by, verdict.ended_by))
    vendor = stage.vendor.ended if stage.vendor is not None else ""
    assert stage.seen == row.client, found
    assert vendor in row.vendor.split(" or "), found
    allowed = row.says.split(" or ")
    if report.self_.loop_lag_seconds_max >= NOTABLE_LAG:  # the machine stood still: then nobody is accused, and that is right
        allowed += [told.replace(told.split()[2], "unknown", 1) for told in allowed if told]
    assert found in allowed, found
    if stage.head.startswith(b"HTTP/1.1 101 "):
        for hearing, saying in ((stage.client, stage.vendor), (stage.vendor, stage.client)):
            if hearing is not None and saying is not None:
                _heard(bytes(hearing.heard), saying.said, less=hearing.left or hearing.ended == "RST")
    row.also(report, stage)


def _heard(heard: bytes, said: bytes, less: bool) -> None:
    assert heard == said[: len(heard)]
    assert less or len(heard) == len(said), f"{len(heard)} of {len(said)} bytes"
