"""`earwitness demo`: simulated vendors, the sidecar, and callers good and bad; then a table of what each saw and what was reported.

Owns the playing of scenes and the table. What happens in a scene, and what has to be said about it, stands in
`simulators/scenes.py`; the sidecar is the one of `run`, from a settings file that is written for the occasion.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, Final, Self

import orjson

from proxy.app import App, running
from proxy.core.report import Report
from proxy.core.session import NOTABLE_LAG
from proxy.core.verdict import Owner
from proxy.prometheus import judging
from proxy.relay.loops import run_on
from proxy.settings import load
from proxy.simulators import SIMULATORS, Simulator
from proxy.simulators.caller import call
from proxy.simulators.scenes import SCENES, Scene
from proxy.telemetry.history import History

REPORT_SECONDS: Final = 12.0
"""How long after the client's end a report may take: a little more than a leg has to write what is left."""
LONGEST: Final = 10.0
"""Seconds of the longest wait on stage: a vendor's idle timer, as long as it really is."""
BETWEEN_CALLS_SECONDS: Final = 3.0
CALL_HEADER: Final = "x-demo-call"
OURS: Final = frozenset({Owner.UNKNOWN, Owner.SIDECAR})
"""Owners that accuse nobody but ourselves."""

HEADINGS: Final = ("vendor", "call", "what the client saw", "outcome", "code", "owner", "retry", "begun by")
SEEN: Final = 2
"""The column that gives way where the terminal is narrow."""
NARROWEST: Final = 24
WIDEST: Final = 52
PLAIN: Final = 200
"""Characters a line where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Played:
    """A scene that is over. No report: the sidecar owes one."""

    scene: Scene
    seen: str
    report: Report | None

    @property
    def differs(self) -> dict[str, tuple[str, str]]:
        """What the report says and what the scene implies, where that is not the same."""
        if self.report is None:
            return {}
        scene, verdict = self.scene, self.report.verdict
        pairs: dict[str, tuple[str, str]] = {
            "outcome": (verdict.outcome, scene.outcome),
            "code": (verdict.code, scene.code),
            "owner": (verdict.owner, scene.owner),
            "initiated_by": (verdict.initiated_by, scene.begun_by),
        }
        return {name: (said, due) for name, (said, due) in pairs.items() if said != due}

    @property
    def wrong(self) -> list[str]:
        """How the report differs from what the scene implies."""
        if self.report is None:
            return ["there is no report"]
        return [f"{name} is {said}, should be {due}" for name, (said, due) in self.differs.items()]

    @property
    def stood_still(self) -> float:
        """For how many seconds our own process did, by the report's account."""
        return self.report.self_.loop_lag_seconds_max if self.report is not None else 0.0

    @property
    def undecided(self) -> bool:
        """Whether it differs in nothing but that it accuses nobody else, because we had stood still: true, if of little use."""
        return self.differs.keys() == {"owner"} and self.differs["owner"][0] in OURS and self.stood_still >= NOTABLE_LAG

    @property
    def cells(self) -> tuple[str, ...]:
        said: tuple[str, ...] = ("no report", "", "", "", "")
        if self.report is not None:
            verdict = self.report.verdict
            said = (verdict.outcome, verdict.code, verdict.owner, verdict.retry, verdict.initiated_by)
        return (self.scene.dialect.vendor, self.scene.name, self.seen, *said)


class _Reports(History):
    """The sidecar's history, which also tells whoever waits for the report of a call."""

    def __init__(self) -> None:
        super().__init__()
        self._awaited: dict[str, asyncio.Future[Report]] = {}

    def expect(self, name: str) -> asyncio.Future[Report]:
        future = self._awaited[name] = asyncio.get_running_loop().create_future()
        return future

    def give_up(self, name: str) -> None:
        self._awaited.pop(name, None)

    def add(self, report: Report) -> None:
        super().add(report)
        future = self._awaited.pop(report.correlation.get(CALL_HEADER, ""), None)
        if future is not None and not future.done():
            future.set_result(report)


@dataclass(slots=True)
class Stage:
    """Everything that runs: a simulator and a listener for each kind of vendor that the scenes ask for, and one sidecar."""

    scenes: Sequence[Scene]
    profiles: Sequence[Path] = ()
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _names: dict[str, str] = field(default_factory=dict)
    _simulators: list[Simulator] = field(default_factory=list)
    _reports: _Reports = field(default_factory=_Reports)
    _app: App | None = None
    _numbers: int = 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            listeners = await self._listeners(stack)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="earwitness-demo-")))
            file = folder / "earwitness.yaml"
            anywhere = {"listen": "127.0.0.1:0"}
            settings = {"metrics": anywhere, "admin": anywhere, "listeners": listeners, "correlation": {"headers": [CALL_HEADER]},
                        "profiles": [str(path) for path in self.profiles]}
            file.write_bytes(orjson.dumps(settings))  # JSON is YAML
            self._app = await stack.enter_async_context(running(load(file)))
            self._app.relay.history = self._reports
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _listeners(self, stack: AsyncExitStack) -> list[dict[str, Any]]:
        """Starts the simulators. Scenes with equal vendors share one."""
        listeners: list[dict[str, Any]] = []
        for scene in self.scenes:
            vendor, key = scene.dialect.vendor, _kind(scene)
            if key not in self._names:
                self._names[key] = vendor if not any(one["name"] == vendor for one in listeners) else f"{vendor}-{len(listeners)}"
                listeners.append({"name": self._names[key], "vendor": vendor, "listen": "127.0.0.1:0",
                                  "upstream": await self._upstream(scene, stack), "policy": dict(scene.policy)})
        return listeners

    async def _upstream(self, scene: Scene, stack: AsyncExitStack) -> str:
        if scene.upstream == "no-such-name":
            return "http://vendor.invalid"
        if scene.upstream == "closed-port":
            # Bound, and nobody listens: nobody else can take it meanwhile.
            held = stack.enter_context(socket.socket())
            held.bind(("127.0.0.1", 0))
            return f"http://127.0.0.1:{held.getsockname()[1]}"
        if scene.upstream == "no-tls":
            server = await stack.enter_async_context(await asyncio.start_server(_plain_http, "127.0.0.1", 0))
            return f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        simulator = await stack.enter_async_context(SIMULATORS[scene.dialect.vendor](**scene.vendor))
        self._simulators.append(simulator)
        return f"http://127.0.0.1:{simulator.port}"

    @property
    def addresses(self) -> Mapping[str, str]:
        """`host:port` by listener, and of `metrics` and `admin`."""
        assert self._app is not None
        return {bound.name: f"{bound.host}:{bound.port}" for bound in self._app.bound}

    async def play(self, scene: Scene, seconds: float) -> Played:
        self._numbers += 1
        name = f"call-{self._numbers}"
        report = self._reports.expect(name)
        url = f"ws://{self.addresses[self._names[_kind(scene)]]}"
        seen = await call(url, scene.dialect, scene.manner, seconds, {CALL_HEADER: name})
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                return Played(scene, seen, await report)
        except TimeoutError:
            return Played(scene, seen, None)
        finally:
            self._reports.give_up(name)

    def forget(self) -> None:
        """Lets go what simulators remember of sessions that are over."""
        for simulator in self._simulators:
            simulator.sessions[:] = [session for session in simulator.sessions if not session.ended.is_set()]


async def _plain_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a plain HTTP server says to a TLS greeting."""
    await reader.read(1024)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    writer.close()


def _kind(scene: Scene) -> str:
    return f"{scene.dialect.vendor} {scene.upstream} {sorted(scene.vendor.items())} {scene.policy}"


def demo(seconds: float, serve: bool, prometheus: bool = False) -> int:
    """Plays every scene, prints the table, and with `serve` goes on with a call now and then until told to stop.

    seconds: length of a good call. prometheus: one watches all of it. Returns 1 if a verdict was not the one that its scene implies
    (but for one that our own lag left undecided), or if it was stopped before the table, else 0.
    """
    with _no_log_lines(), asyncio.Runner(loop_factory=run_on("auto")) as runner, suppress(asyncio.CancelledError):
        return runner.run(_demo(seconds, serve, prometheus))
    return 1


@contextmanager
def _no_log_lines() -> Iterator[None]:
    """The table tells it; log lines would stand in between."""
    log, silent = logging.getLogger("earwitness"), logging.NullHandler()
    log.addHandler(silent)
    log.propagate = False
    try:
        yield
    finally:
        log.propagate = True
        log.removeHandler(silent)


async def _demo(seconds: float, serve: bool, prometheus: bool) -> int:
    acting = asyncio.current_task()
    assert acting is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, acting.cancel)  # nothing that was started stays behind
    async with Stage(SCENES) as stage, AsyncExitStack() as beside:
        if prometheus:
            address = await beside.enter_async_context(judging(stage.addresses["metrics"]))
            _say(f"prometheus, with the alert rules: http://{address}   what is pending there fires after a minute")
        _say(f"{len(SCENES)} calls at once, through one sidecar, to simulated vendors: about {max(seconds, LONGEST) + 2:.0f} s")
        played = await perform(stage, SCENES, seconds)
        print(table(played, shutil.get_terminal_size((PLAIN, 24)).columns))
        wrong = _say_wrong(played)
        metrics = stage.addresses["metrics"]
        if serve:
            _say(f"metrics: http://{metrics}/metrics   sessions: http://{stage.addresses['admin']}/sessions   Ctrl-C ends it")
            wrong += await _serve(stage, seconds)
        else:
            _say(f"metrics were at http://{metrics}/metrics; `earwitness demo --serve` keeps them up")
    return 1 if wrong else 0


async def perform(stage: Stage, scenes: Sequence[Scene], seconds: float) -> list[Played]:
    """All scenes at once, in the order in which they were given."""
    over = 0

    async def one(scene: Scene) -> Played:
        nonlocal over
        played = await stage.play(scene, seconds)
        over += 1
        if sys.stdout.isatty():
            print(f"\r{over} of {len(scenes)} calls are over", end="" if over < len(scenes) else "\r\x1b[K", flush=True)
        return played

    return await asyncio.gather(*map(one, scenes))


async def _serve(stage: Stage, seconds: float) -> int:
    """Calls, one after the other, until SIGINT or SIGTERM. Returns how many verdicts were wrong."""
    stop, wrong = asyncio.Event(), 0
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Who comes after another cannot come alone; and good calls are the greater part.
    alone = [scene for scene in SCENES if not scene.manner.after]
    good = cycle(scene for scene in alone if scene.code == "normal")
    for scene in (one for other in cycle(alone) for one in (next(good), other)):
        calling = asyncio.create_task(stage.play(scene, seconds))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((calling, stopping), return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            calling.cancel()
            await asyncio.wait((calling,))
            return wrong
        stopping.cancel()
        played = calling.result()
        _say("  ".join((*played.cells[:SEEN], *played.cells[SEEN + 1 :])))
        wrong += _say_wrong([played])
        stage.forget()
        try:
            await asyncio.wait_for(stop.wait(), BETWEEN_CALLS_SECONDS)
        except TimeoutError:
            continue
        return wrong
    return wrong


def table(played: Sequence[Played], width: int) -> str:
    """Lines of at most `width` characters, if the words allow it: what the client saw is cut first."""
    rows = [HEADINGS, *(one.cells for one in played)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    others = sum(widths) - widths[SEEN] + 2 * (len(widths) - 1)
    widths[SEEN] = min(widths[SEEN], WIDEST, max(NARROWEST, width - others))
    lines = []
    for row in rows:
        cells = (_cut(cell, size).ljust(size) for cell, size in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * size for size in widths))
    return "\n".join(lines)


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"


def _say_wrong(played: Sequence[Played]) -> int:
    """Returns how many verdicts are wrong. One that our own lag left open is told, and is not."""
    differ = [one for one in played if one.wrong]
    wrong = [one for one in differ if not one.undecided]
    for one in differ:
        name, how = f"{one.scene.dialect.vendor}, {one.scene.name}", "; ".join(one.wrong)
        if one.undecided:
            _say(f"undecided: {name}: {how}: this process stood still for {one.stood_still:.1f} s, and so accuses nobody else")
        else:
            _say(f"WRONG: {name}: {how}")
    if len(differ) > len(wrong):
        _say("this machine is busy: with more CPU to itself the demo decides all of them")
    if len(played) > 1 and not wrong:
        rest = f"all {len(played)}" if not differ else f"{len(played) - len(differ)} of {len(played)}"
        _say(f"{rest} verdicts are those that the calls imply{', none is wrong' if differ else ''}")
    return len(wrong)


def _say(line: str) -> None:
    print(line, flush=True)
