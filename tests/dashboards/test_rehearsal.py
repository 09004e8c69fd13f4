"""The calls for the picture: of every vendor, and made beside each other."""

from __future__ import annotations

from random import Random

from dashboards.rehearsal import FAILING, WEIGHTS, ordinary, rehearse
from proxy.demo import Stage
from proxy.simulators import SIMULATORS
from proxy.simulators.scenes import SCENES
from tests.aio import run


def test_every_vendor_has_good_calls_and_bad_ones() -> None:
    for scenes in ordinary():
        assert {scene.dialect.vendor for scene in scenes} == set(SIMULATORS) == set(WEIGHTS)


def test_what_fails_are_faults_that_the_vendor_has() -> None:
    async def main() -> int:
        async with Stage(FAILING) as stage:
            return len(stage.addresses)

    assert run(main()) == len(FAILING) + 2, "admin and metrics"


def test_calls_are_made_until_it_is_over() -> None:
    async def main() -> int:
        async with Stage((*SCENES, *FAILING)) as stage:
            await rehearse(stage, 0.5, Random(1), call_seconds=0.2)
            return len(stage._reports.reports())

    assert run(main()) == 2
