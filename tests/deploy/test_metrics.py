"""A real scrape: promtool's check of names and forms finds nothing to say, after calls, refusals and plain HTTP."""

from __future__ import annotations

from proxy.demo import Stage, perform
from proxy.simulators.scenes import SCENES
from tests.aio import run
from tests.e2e.process import page

from .test_rules import promtool


def test_promtool_has_nothing_to_say_about_a_scrape() -> None:
    names = {"a call", "a wrong key", "no credit left", "a wrong path", "leaves without CloseStream"}
    scenes = [scene for scene in SCENES if scene.name in names]

    async def main() -> str:
        async with Stage(scenes) as stage:
            await perform(stage, scenes, 0.5)
            status, metrics = await page(stage.addresses["metrics"], "/metrics")
            assert status == 200
            return metrics

    metrics = run(main(), "uvloop")
    assert 'outcome="refused_by_vendor",owner="operator"' in metrics
    assert promtool("check", "metrics", stdin=metrics.encode()) == ""
