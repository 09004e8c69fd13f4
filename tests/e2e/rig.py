"""A sidecar in the test's own loop, from a settings file, and SDK calls with it and without it, side by side."""

from __future__ import annotations

import asyncio
import inspect
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from proxy.app import App, running
from proxy.core.report import Report
from proxy.settings import Settings, load
from proxy.simulators import SIMULATORS, Simulator
from proxy.telemetry.history import History
from tests.sdks import Outcome, speech

AUDIO: Final = speech(1.0, 0.8, 0.7, 0.6)
ANYWHERE: Final = "127.0.0.1:0"

Place = Callable[..., Any]
"""A driver of tests/sdks.py: sync, or a coroutine function."""


class Reports(History):
    """The sidecar's history; `next` waits for a report."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[Report] = asyncio.Queue()

    def add(self, report: Report) -> None:
        super().add(report)
        self.queue.put_nowait(report)

    async def next(self) -> Report:
        async with asyncio.timeout(10):
            return await self.queue.get()


@dataclass
class Sidecar:
    app: App
    reports: Reports

    def url(self, name: str, scheme: str = "ws", host: str | None = None) -> str:
        bound = next(bound for bound in self.app.bound if bound.name == name)
        return f"{scheme}://{host or bound.host}:{bound.port}"


@asynccontextmanager
async def sidecar(*listeners: dict[str, Any], **settings: Any) -> AsyncIterator[Sidecar]:
    """Listeners need `vendor` and `upstream`; addresses are any that are free."""
    whole = {"metrics": {"listen": ANYWHERE}, "admin": {"listen": ANYWHERE}, **settings}
    whole["listeners"] = [{"listen": ANYWHERE, **listener} for listener in listeners]
    async with running(_loaded(whole)) as app:
        reports = Reports()
        app.relay.history = reports
        yield Sidecar(app, reports)


def _loaded(settings: dict[str, Any]) -> Settings:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "earwitness.yaml")
        file.write_text(json.dumps(settings))
        return load(file)


def server_tls(cert: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return context


def upstream(simulator: Simulator) -> str:
    return simulator.url.replace("ws", "http", 1)


async def dial(place: Place, url: str, key: str, **options: Any) -> Outcome:
    """One call of an SDK; the sync ones in a thread."""
    if inspect.iscoroutinefunction(place):
        done: Outcome = await place(url, AUDIO, key=key, **options)
    else:
        done = await asyncio.to_thread(place, url, AUDIO, key=key, **options)
    return done


@dataclass
class Compared:
    """The same call twice. Ids differ from session to session, so in the outcomes each is replaced by whose it is."""

    direct: Outcome
    through: Outcome
    simulator: Simulator
    report: Report


async def compare(vendor: str, place: Place, key: str = "key", query: dict[str, Any] | None = None, **options: Any) -> Compared:
    """`options` are the simulator's, `query` the call's. Limits are lenient: the SDKs are given the audio as fast as it goes."""
    async with SIMULATORS[vendor](**{"strict": False, **options}) as simulator:
        direct = await dial(place, simulator.url, key, **query or {})
        async with sidecar({"vendor": vendor, "upstream": upstream(simulator)}) as beside:
            through = await dial(place, beside.url(vendor), key, **query or {})
            report = await beside.reports.next()
    assert len(simulator.sessions) == 2
    first, second = ({session.request_id: "its own"} for session in simulator.sessions)
    return Compared(
        replace(direct, ids={first.get(one, "another's") for one in direct.ids}),
        replace(through, ids={second.get(one, "another's") for one in through.ids}),
        simulator,
        report,
    )
