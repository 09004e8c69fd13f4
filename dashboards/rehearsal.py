"""Traffic to look at: the demo's calls for some minutes, good ones for the most part, and for a while a vendor that fails.

Owns which calls are made and when. The calls are those of `proxy/simulators/scenes.py`, through one sidecar.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

from dashboards.prometheus import Prometheus, scraping
from proxy.demo import Stage
from proxy.simulators.caller import Manner
from proxy.simulators.dialects import NOVA
from proxy.simulators.scenes import SCENES, Scene

CALL_SECONDS: Final = 6.0
APART_SECONDS: Final = 0.3
GOOD: Final = 0.93
"""The part of the calls that are good ones, while nothing is wrong."""
WEIGHTS: Final[Mapping[str, float]] = {"deepgram": 4, "assemblyai": 3, "nextevi": 2, "spatius": 2, "elsa": 2}
OUTAGE: Final = (0.5, 0.65)
"""When the one vendor fails, in parts of the whole time."""


def _failing(name: str, fault: str, seconds: float = CALL_SECONDS) -> Scene:
    return Scene(name, NOVA, "", "vendor", manner=Manner(seconds=seconds), vendor={"fault": fault, "fault_after": 2.0})


FAILING: Final = (_failing("overloaded", "http_503"), _failing("it falls silent", "stall", 25.0), _failing("it is slow", "slow-handshake"),
                  _failing("going away", "close-1001"))
"""Nobody calls a vendor silent who did not speak to it for 10 s."""


@asynccontextmanager
async def scraped(stage: Stage, folder: Path, interval: int = 1) -> AsyncIterator[Prometheus]:
    """A Prometheus that has scraped the stage once before anything happens."""
    context = scraping(stage.addresses["metrics"], folder, interval)
    prometheus = await asyncio.to_thread(context.__enter__)
    try:
        await asyncio.to_thread(prometheus.await_scrape, 0.0)
        yield prometheus
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def ordinary() -> tuple[Sequence[Scene], Sequence[Scene]]:
    """The demo's good calls, and its bad ones. Who needs another call beside it is left out."""
    alone = [scene for scene in SCENES if not scene.manner.after and "concurrency" not in scene.vendor]
    good = [scene for scene in alone if scene.outcome == "ok"]
    return good, [scene for scene in alone if scene not in good]


async def rehearse(stage: Stage, seconds: float, random: Random, call_seconds: float = CALL_SECONDS) -> None:
    """Calls, begun one after the other and running beside each other, for so long. What they show of themselves is not looked at."""
    good, bad = ordinary()
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as calls:
        while (passed := (loop.time() - began) / seconds) < 1:
            vendor = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            choice = [scene for scene in (good if random.random() < GOOD else bad) if scene.dialect.vendor == vendor]
            if vendor == NOVA.vendor and OUTAGE[0] < passed < OUTAGE[1] and random.random() < 0.7:
                choice = list(FAILING)
            calls.create_task(stage.play(random.choice(choice), call_seconds))
            stage.forget()
            await asyncio.sleep(APART_SECONDS)
