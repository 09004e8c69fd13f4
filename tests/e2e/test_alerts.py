"""From a vendor's failure to the webhook of whoever has to act: sidecar, Prometheus and Alertmanager as processes of their own.

The rules are the shipped ones, from a thresholds file in which a minute is a second and nothing else is changed; so are the routes,
but for waits and addresses.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from deploy.prometheus.generate import HERE, main
from proxy.prometheus import first_scrape, serving
from proxy.simulators import SIMULATORS
from proxy.simulators.caller import call
from proxy.simulators.scenes import SCENES, Scene
from tests.aio import run
from tests.e2e.process import earwitness

ALERTMANAGER: Final = HERE.parent / "alertmanager" / "alertmanager.yaml"
COMES_SECONDS: Final = 40.0
SETTLES_SECONDS: Final = 5.0
"""After the last alert that is due: long enough for any other that is on its way."""

CALLS: Final = (
    ("deepgram", "overloaded", 12),
    ("assemblyai", "a wrong key", 3),
    ("assemblyai", "no balance left", 1),
    ("assemblyai", "a file, as fast as it goes", 3),
    ("assemblyai", "a call", 4),
    ("nextevi", "a call", 2),
)
"""Vendor, scene, and how many such calls: an outage, a bad key, an exhausted balance, a client that sends too fast; and good ones."""

DUE: Final[set[tuple[str, ...]]] = {
    ("on-call", "EarwitnessAllSessionsFailing", "critical", "vendor", "deepgram", ""),
    ("vendor", "EarwitnessAllSessionsFailing", "critical", "vendor", "deepgram", ""),
    ("vendor", "EarwitnessUpstreamErrors", "warning", "vendor", "deepgram", "http_503"),
    ("operator", "EarwitnessCredentialsRejected", "warning", "operator", "assemblyai", "1008_invalid_key"),
    ("operator", "EarwitnessBillingExhausted", "warning", "operator", "assemblyai", "1008_balance"),
    ("client", "EarwitnessPacingViolations", "warning", "client", "assemblyai", "3007_transmission_rate"),
}
"""Receiver, alert, severity, owner, vendor, code."""


def hurried(thresholds: str) -> str:
    """A minute is a second, an hour a minute, a day 24. But Prometheus takes 5 s to find its first target, at any speed."""
    def shorter(found: re.Match[str]) -> str:
        count, unit = int(found[1]), found[2]
        return {"s": f"{count * 1000 // 60}ms", "m": f"{count}s", "h": f"{count}m", "d": f"{count * 24}m", "w": f"{count * 168}m"}[unit]

    return re.sub(r"\b(\d+)([smhdw])\b", shorter, thresholds).replace("\ndown: {for: 5s}", "\ndown: {for: 15s}")


class Webhook:
    """Where Alertmanager sends to: what fires, and what is over, by receiver."""

    def __init__(self) -> None:
        self.fired: set[tuple[str, ...]] = set()
        self.resolved: set[tuple[str, ...]] = set()
        self.annotations: list[dict[str, str]] = []
        self._news = asyncio.Event()

    async def take(self, request: web.BaseRequest) -> web.Response:
        told: dict[str, Any] = json.loads(await request.read())
        assert request.path == f"/{told['receiver']}"
        for alert in told["alerts"]:
            labels = alert["labels"]
            one = (told["receiver"], *(labels.get(name, "") for name in ("alertname", "severity", "owner", "vendor", "code")))
            (self.fired if alert["status"] == "firing" else self.resolved).add(one)
            self.annotations.append(alert["annotations"])
        self._news.set()
        return web.Response()

    async def has(self, which: set[tuple[str, ...]], due: set[tuple[str, ...]]) -> None:
        try:
            async with asyncio.timeout(COMES_SECONDS):
                while not which >= due:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"still to come: {due - which}; came: {which}") from None


@asynccontextmanager
async def listening(webhook: Webhook) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(webhook.take))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.addresses
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def watching(folder: Path, sidecar: str, receiver: str) -> AsyncIterator[None]:
    """Alertmanager, and Prometheus, which has scraped the sidecar once."""
    routes = ALERTMANAGER.read_text().replace("127.0.0.1:9095", receiver)
    for wait, shorter in (("group_wait: 30s", "group_wait: 500ms"), ("group_interval: 5m", "group_interval: 1s")):
        assert wait in routes
        routes = routes.replace(wait, shorter)
    routing = written(folder / "alertmanager.yml", routes)
    arguments = (f"--config.file={routing}", f"--storage.path={folder / 'alerts'}", "--cluster.listen-address=")
    async with serving("prometheus-alertmanager", *arguments, folder=folder) as alertmanager:
        judging = written(folder / "prometheus.yml", json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "rules.yaml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            "scrape_configs": [{"job_name": "earwitness", "static_configs": [{"targets": [sidecar]}]}],
        }))
        data = f"--storage.tsdb.path={folder / 'data'}"
        async with serving("prometheus", f"--config.file={judging}", data, folder=folder) as prometheus:
            await first_scrape(prometheus)
            yield


def written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


async def begun(scenes: list[Scene], stack: AsyncExitStack) -> list[dict[str, Any]]:
    """Simulated vendors, one a scene, and the listeners that lead to them."""
    listeners = []
    for number, scene in enumerate(scenes):
        simulator = await stack.enter_async_context(SIMULATORS[scene.dialect.vendor](**scene.vendor))
        listeners.append({"name": f"scene-{number}", "vendor": scene.dialect.vendor, "listen": "127.0.0.1:0",
                          "upstream": f"http://127.0.0.1:{simulator.port}"})
    return listeners


@pytest.mark.timeout(90)
def test_each_failure_reaches_who_has_to_act_and_nobody_else(tmp_path: Path) -> None:
    scenes = [next(scene for scene in SCENES if (scene.dialect.vendor, scene.name) == (vendor, name)) for vendor, name, _ in CALLS]
    thresholds = written(tmp_path / "thresholds.yaml", hurried((HERE / "thresholds.yaml").read_text()))
    main(str(thresholds), str(tmp_path / "rules.yaml"), str(tmp_path / "object.yaml"))
    webhook = Webhook()

    async def play() -> None:
        async with AsyncExitStack() as stack:
            receiver = await stack.enter_async_context(listening(webhook))
            sidecar = stack.enter_context(earwitness(tmp_path, "run", listeners=await begun(scenes, stack)))
            addresses = await sidecar.ready()
            await stack.enter_async_context(watching(tmp_path, addresses["metrics"], receiver))
            await asyncio.gather(*(
                call(f"ws://{addresses[f'scene-{number}']}", scene.dialect, scene.manner, 2.0, {})
                for number, scene in enumerate(scenes) for _ in range(CALLS[number][2])
            ))
            await webhook.has(webhook.fired, DUE)
            await asyncio.sleep(SETTLES_SECONDS)
            await webhook.has(webhook.resolved, {one for one in DUE if one[1] == "EarwitnessAllSessionsFailing"})

    run(play(), "uvloop", timeout=80)
    # That one speaks of the machine, which runs all of this besides.
    assert {one for one in webhook.fired if one[1] != "EarwitnessEventLoopLag"} == DUE
    assert all(set(one) == {"summary", "description", "runbook_url"} for one in webhook.annotations)
    assert any(one["description"] == "deepgram: 12 errors http_503 in 1m; vendor has to act." for one in webhook.annotations)


def test_hurrying_changes_durations_alone() -> None:
    assert hurried("{window: 15m, failures: 3, share: 0.25, for: 30s, usual: {window: 3h, times: 2}}  # a 1d, 1w") == \
        "{window: 15s, failures: 3, share: 0.25, for: 500ms, usual: {window: 3m, times: 2}}  # a 24m, 168m"
