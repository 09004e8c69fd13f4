"""Sessions of all vendors, good and bad, over TLS, while everything that can happen to a process happens to two of them.

One process stays for the whole run, and is read again and scraped: its memory, descriptors and latencies must stand still. The other
is drained or killed every few seconds, and started anew. Each call must have its one report, and each byte must come as it went.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import ssl
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from time import monotonic
from typing import Any, Final

from proxy.simulators import SIMULATORS, Simulator
from proxy.simulators.caller import call
from proxy.simulators.scenes import SCENES, Scene
from tests.aio import tls_pair
from tests.e2e.process import Process, earwitness, page
from tests.e2e.rig import server_tls
from tests.soak.accounts import HEADER, Account, settled
from tests.soak.mirror import Heard, mirror, speak
from tests.soak.trend import descriptors, resident_kib

SECONDS: Final = 2.0
"""Audio of a good call."""
ACTORS: Final = 16
MIRRORED: Final = 10
RESTLESS: Final = 6
"""Callers at once: of scenes and of the mirror at the one process, of the mirror at the other."""
PAUSE_SECONDS: Final = 0.2
"""Between two calls of a caller of scenes: refusals take no time, and these cores have vendors and callers to carry as well."""
READ_AGAIN_SECONDS: Final = 5.0
LIFE_SECONDS: Final = (4.0, 9.0)
"""How long the restless process lives."""
KILLED: Final = 0.4
"""How often it is killed and not drained."""
CLOSES_SECONDS: Final = 3.0
OF_A_CALL: Final = 2
"""Descriptors. How many calls are open is chance and goes up and down; a call that stays open is found at the end."""
SEED: Final = 20


@dataclass
class Found:
    """What a run came to. `resident`, `open_files`: (time, KiB), (time, those beyond open calls), of the process that stays."""

    steady: Account = field(default_factory=Account)
    restless: Account = field(default_factory=Account)
    heard: Heard = field(default_factory=Heard)
    resident: list[tuple[float, float]] = field(default_factory=list)
    open_files: list[tuple[float, float]] = field(default_factory=list)
    files_before: int = 0
    files_after: int = 0
    calls: int = 0
    scrapes: int = 0
    reloads: int = 0
    drains: int = 0
    kills: int = 0
    bad_exits: list[str] = field(default_factory=list)


class Soak:
    """One run on one event loop."""

    def __init__(self, loop: str, seconds: float, folder: Path) -> None:
        self.loop, self.seconds, self.folder = loop, seconds, folder
        self.found = Found()
        self._chance = random.Random(SEED)
        self._numbers = count(1)
        self._due: dict[str, Scene | None] = {}
        self._until = monotonic() + seconds
        self._simulators: list[Simulator] = []

    async def run(self) -> Found:
        cert, key = tls_pair(self.folder)
        async with AsyncExitStack() as stack:
            tls = server_tls(cert, key)
            scenes = [scene for scene in SCENES if _alone(scene)]
            listeners = [await self._listener(number, scene, tls, cert, stack) for number, scene in enumerate(scenes)]
            port = await stack.enter_async_context(mirror(tls, self._chance))
            listeners.append(_listener("mirror", "deepgram", port, cert))
            settings = {"listeners": listeners, "correlation": {"headers": [HEADER]}, "drain": {"accept_seconds": 0.5, "grace_seconds": 2}}
            self._until = monotonic() + self.seconds
            await asyncio.gather(self._steady(scenes, settings), self._restless(settings))
        return self.found

    async def _listener(self, number: int, scene: Scene, tls: ssl.SSLContext, cert: str, stack: AsyncExitStack) -> dict[str, Any]:
        simulator = await stack.enter_async_context(SIMULATORS[scene.dialect.vendor](**scene.vendor, tls=tls))
        self._simulators.append(simulator)
        return _listener(f"scene-{number}", scene.dialect.vendor, simulator.port, cert, dict(scene.policy))

    # The process that stays

    async def _steady(self, scenes: list[Scene], settings: dict[str, Any]) -> None:
        with earwitness(_made(self.folder / "steady"), "run", "--loop", self.loop, **settings) as process:
            addresses = await process.ready()
            # libuv keeps /dev/null in reserve from its first connection on.
            self.found.files_before = descriptors(process.pid) + (self.loop == "uvloop")
            plays = cycle(enumerate(scenes))
            async with asyncio.TaskGroup() as group:
                for _ in range(ACTORS):
                    group.create_task(self._actor(addresses, plays))
                for _ in range(MIRRORED):
                    group.create_task(self._mirrored(addresses["mirror"]))
                group.create_task(self._watch(process, addresses["metrics"], addresses["admin"]))
                group.create_task(self._read_again(process, settings))
            await self._emptied(addresses["admin"], process.pid)
            process.signal(signal.SIGTERM)
            self._exited(await process.ended())
        self.found.steady = settled(process.lines(), self._due, killed=False)

    async def _actor(self, addresses: dict[str, str], plays: Iterator[tuple[int, Scene]]) -> None:
        await asyncio.sleep(self._chance.random() * SECONDS)
        while monotonic() < self._until:
            number, scene = next(plays)
            name = self._name(scene)
            await asyncio.sleep(PAUSE_SECONDS)
            await call(f"ws://{addresses[f'scene-{number}']}", scene.dialect, scene.manner, SECONDS, {HEADER: name})
            for simulator in self._simulators:
                simulator.sessions[:] = [session for session in simulator.sessions if not session.ended.is_set()]

    async def _mirrored(self, address: str) -> None:
        host, port = address.split(":")
        while monotonic() < self._until:
            await speak(host, int(port), self._name(None), self.found.heard, self._chance)

    def _name(self, scene: Scene | None) -> str:
        self.found.calls += 1
        name = f"call-{next(self._numbers)}"
        self._due[name] = scene
        return name

    async def _watch(self, process: Process, metrics: str, admin: str) -> None:
        while monotonic() < self._until:
            now = monotonic()
            self.found.resident.append((now, resident_kib(process.pid)))
            await page(metrics, "/metrics")
            sessions = json.loads((await page(admin, "/sessions"))[1])["open"]
            self.found.open_files.append((now, descriptors(process.pid) - OF_A_CALL * len(sessions)))
            self.found.scrapes += 1
            await asyncio.sleep(1.0)

    async def _read_again(self, process: Process, settings: dict[str, Any]) -> None:
        """Now and then with a mistake: then everything stays as it was."""
        while monotonic() < self._until:
            await asyncio.sleep(READ_AGAIN_SECONDS)
            self.found.reloads += 1
            mistake = {"unknown": 1} if self.found.reloads % 4 == 0 else {}
            process.settings(**settings, **mistake, log={"progress_seconds": self.found.reloads % 2})
            process.signal(signal.SIGHUP)

    async def _emptied(self, admin: str, pid: int) -> None:
        """Until no session is open, half-closed ones have their time; then until as little is open as at first, for some seconds."""
        async with asyncio.timeout(60):
            while json.loads((await page(admin, "/sessions"))[1])["open"]:  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.2)
        give_up = monotonic() + CLOSES_SECONDS
        while (left := descriptors(pid)) > self.found.files_before and monotonic() < give_up:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0.05)
        self.found.files_after = left

    # The process that does not

    async def _restless(self, settings: dict[str, Any]) -> None:
        while monotonic() < self._until:
            folder = _made(self.folder / f"restless-{self.found.drains + self.found.kills}")
            with earwitness(folder, "run", "--loop", self.loop, **settings) as process:
                addresses, killed = await process.ready(), self._chance.random() < KILLED
                async with asyncio.TaskGroup() as group:
                    callers = [group.create_task(self._unsteady(addresses["mirror"])) for _ in range(RESTLESS)]
                    await asyncio.sleep(self._chance.uniform(*LIFE_SECONDS))
                    process.signal(signal.SIGKILL if killed else signal.SIGTERM)
                    code = await process.ended()
                    for caller in callers:
                        caller.cancel()
            if killed:
                self.found.kills += 1
            else:
                self.found.drains += 1
                self._exited(code)
            self.found.restless.add(settled(process.lines(), {}, killed))

    async def _unsteady(self, address: str) -> None:
        host, port = address.split(":")
        heard = Heard()
        while await speak(host, int(port), f"other-{next(self._numbers)}", heard, self._chance):
            self.found.calls += 1
            self.found.heard.different += heard.different
            self.found.heard.bytes += heard.bytes
            heard = Heard()
        await asyncio.Event().wait()

    def _exited(self, code: int) -> None:
        if code:
            self.found.bad_exits.append(f"exit code {code} after SIGTERM")


def _alone(scene: Scene) -> bool:
    """Whether what comes of it hangs neither on other calls nor on how fast these two cores are just then."""
    at_once = scene.manner.pace > 1.0 or (scene.manner.chunk is not None and scene.manner.chunk < 0.01)
    return scene.upstream == "simulator" and "concurrency" not in scene.vendor and not at_once


def _listener(name: str, vendor: str, port: int, cert: str, policy: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "vendor": vendor, "listen": "127.0.0.1:0", "upstream": f"https://127.0.0.1:{port}", "upstream_tls": {"ca": cert},
            "policy": policy or {}}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
