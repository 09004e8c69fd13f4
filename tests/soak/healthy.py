"""Healthy calls of all vendors for some minutes, under the shipped rules at sixty times their speed: no alert may fire.

A minute of it is an hour to the rules.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from deploy.prometheus.generate import HERE, main
from proxy.simulators.caller import call
from proxy.simulators.scenes import SCENES, Scene
from tests.e2e.process import earwitness
from tests.e2e.test_alerts import Webhook, begun, hurried, listening, watching, written

AT_ONCE: Final = 3
"""Callers of each kind."""
SECONDS: Final = 4.0
OF_THE_MACHINE: Final = "EarwitnessEventLoopLag"
"""What tells of the machine, not of the calls."""


async def soak(minutes: float, folder: Path) -> tuple[int, set[str]]:
    """Calls made, and alerts that fired."""
    scenes = [scene for scene in SCENES if scene.code == "normal" and not scene.vendor.get("fault") and not scene.policy
              and not scene.vendor.get("concurrency") and scene.manner.then == "end"]
    thresholds = written(folder / "thresholds.yaml", hurried((HERE / "thresholds.yaml").read_text()))
    main(str(thresholds), str(folder / "rules.yaml"), str(folder / "object.yaml"))
    webhook, calls = Webhook(), 0
    until = asyncio.get_running_loop().time() + 60 * minutes

    async def caller(url: str, scene: Scene, after: float) -> None:
        nonlocal calls
        await asyncio.sleep(after)
        while asyncio.get_running_loop().time() < until:
            await call(url, scene.dialect, scene.manner, SECONDS, {})
            calls += 1

    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(listening(webhook))
        sidecar = stack.enter_context(earwitness(folder, "run", listeners=await begun(scenes, stack)))
        addresses = await sidecar.ready()
        await stack.enter_async_context(watching(folder, addresses["metrics"], receiver))
        await asyncio.gather(*(
            caller(f"ws://{addresses[f'scene-{number}']}", scene, SECONDS * turn / AT_ONCE)
            for number, scene in enumerate(scenes) for turn in range(AT_ONCE)
        ))
    return calls, {one[1] for one in webhook.fired}
