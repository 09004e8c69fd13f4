"""The Prometheus beside the demo: it has the rules and a scrape when it is given, and is gone afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.demo import Stage
from proxy.prometheus import judging, rules, serving
from proxy.simulators.scenes import SCENES
from tests.aio import run
from tests.e2e.process import page


def test_it_judges_what_it_has_scraped() -> None:
    async def main() -> tuple[list[str], str]:
        async with Stage(SCENES[:1]) as stage:
            async with judging(stage.addresses["metrics"]) as address:
                _, told = await page(address, "/api/v1/rules")
                _, scraped = await page(address, "/api/v1/query?query=sum(earwitness_sessions_started_total)")
            with pytest.raises(ConnectionRefusedError):
                await page(address, "/")
        return [group["name"] for group in json.loads(told)["data"]["groups"]], json.loads(scraped)["data"]["result"][0]["value"][1]

    groups, started = run(main(), "uvloop")
    assert "earwitness.recorded" in groups
    assert started == "0"


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving("prometheus", "--config.file=/nowhere", folder=tmp_path):
            raise AssertionError("it started")

    with pytest.raises(RuntimeError, match="no such file"):
        run(main())


def test_the_rules_are_those_of_the_checkout_or_of_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert rules() == Path(__file__).parents[1] / "deploy" / "prometheus" / "rules" / "earwitness.yaml"
    assert rules().exists()
    (tmp_path / "proxy" / "_rules").mkdir(parents=True)
    monkeypatch.setattr("proxy.prometheus._PACKAGE", tmp_path / "proxy")
    assert rules() == tmp_path / "proxy" / "_rules" / "earwitness.yaml"
