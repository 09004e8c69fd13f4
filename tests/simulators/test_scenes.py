"""The scenes say what they play, each once, with words of the closed sets, and reach every simulated vendor."""

from __future__ import annotations

import pytest

from proxy.core.verdict import Outcome, Owner, Side
from proxy.simulators import SIMULATORS
from proxy.simulators.scenes import SCENES, Scene


def test_names_are_told_apart() -> None:
    names = [(scene.dialect.vendor, scene.name) for scene in SCENES]
    assert len(set(names)) == len(names)
    assert {vendor for vendor, _ in names} == set(SIMULATORS)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.dialect.vendor}: {scene.name}")
def test_what_is_expected_is_possible(scene: Scene) -> None:
    assert scene.outcome in set(Outcome)
    assert scene.owner in set(Owner)
    assert scene.begun_by in set(Side)
    SIMULATORS[scene.dialect.vendor](**scene.vendor)  # raises for an option that does not exist


def test_healthy_calls_are_ended_by_the_client() -> None:
    healthy = [scene for scene in SCENES if scene.code == "normal"]
    assert healthy
    assert {(scene.outcome, scene.owner, scene.begun_by) for scene in healthy} == {("ok", "none", "client")}
