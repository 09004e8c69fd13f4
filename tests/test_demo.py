"""The demo: its scenes are witnessed rightly, a wrong rule is found out by it, and the table can be read."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import yaml

from proxy.demo import HEADINGS, Played, Stage, demo, perform, table
from proxy.settings import packaged
from proxy.simulators.scenes import SCENES, Scene
from tests.aio import run
from tests.e2e.process import earwitness, page

SHORT: Final = 0.5
"""Seconds of a good call."""


def named(name: str, vendor: str = "deepgram") -> Scene:
    return next(scene for scene in SCENES if scene.name == name and scene.dialect.vendor == vendor)


def played(scenes: list[Scene], *stages: Sequence[Path]) -> list[Played]:
    """The scenes on each stage, which has these profiles. All play at once."""
    async def one(profiles: Sequence[Path]) -> list[Played]:
        async with Stage(scenes, profiles) as stage:
            return await perform(stage, scenes, SHORT)

    async def main() -> list[Played]:
        return [played for each in await asyncio.gather(*map(one, stages or [()])) for played in each]

    return run(main(), "uvloop")


@pytest.mark.alone
def test_all_of_it_and_then_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    async def main() -> tuple[str, str]:
        with earwitness(tmp_path, "demo", "--serve", "--seconds", str(SHORT)) as process:
            await process.printed("Ctrl-C ends it")
            table = process.out
            status, metrics = await page(table.partition("metrics: http://")[2].partition("/")[0], "/metrics")
            assert status == 200
            assert "earwitness_sessions_started_total{" in metrics
            await process.printed("deepgram  a call  ok")
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0, process.out
            return table, process.err

    out, err = run(main(), timeout=40)
    assert err == ""
    assert f"all {len(SCENES)} verdicts are those that the calls imply" in out
    assert "\r" not in out, "no terminal: plain lines"
    for scene in SCENES:
        assert f"{scene.dialect.vendor:<10}  {scene.name}" in out


def test_it_is_silent_while_it_plays(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("proxy.demo.SCENES", (named("a wrong key"),))
    assert demo(SHORT, serve=False) == 0
    captured = capsys.readouterr()
    assert "metrics were at http://127.0.0.1:" in captured.out
    assert captured.err == ""
    log = logging.getLogger("earwitness")
    assert (log.propagate, log.handlers) == (True, []), "and no longer"


@pytest.mark.alone
@pytest.mark.parametrize(
    ("vendor", "rule", "key", "value", "scene"),
    [
        ("deepgram", "net-0001", "owner", "vendor", "the client falls silent"),
        ("deepgram", "payment", "code", "SOMETHING_ELSE", "no credit left"),
        ("assemblyai", "chunk", "category", "upstream_error", "pieces of 20 ms"),
        ("assemblyai", "balance", "when", {"number": 4999}, "no balance left"),
    ],
)
def test_a_wrong_rule_is_found_out(tmp_path: Path, vendor: str, rule: str, key: str, value: object, scene: str) -> None:
    profile = yaml.safe_load((packaged() / "vendors" / f"{vendor}.yaml").read_text())
    changed = next(one for one in profile["rules"] if one["id"] == rule)
    changed[key] = value
    file = tmp_path / f"{vendor}.yaml"
    file.write_text(yaml.safe_dump(profile))
    right, wrong = played([named(scene, vendor)], [], [file])
    assert right.wrong == []
    assert wrong.wrong != []


def test_what_is_wrong_is_named() -> None:
    scene = replace(named("a wrong key"), code="TOO_MANY_REQUESTS", owner="vendor", begun_by="client", outcome="ok")
    (one,) = played([scene])
    assert one.wrong == [
        "outcome is refused_by_vendor, should be ok", "code is INVALID_AUTH, should be TOO_MANY_REQUESTS",
        "owner is operator, should be vendor", "initiated_by is vendor, should be client",
    ]


def test_a_wrong_verdict_is_the_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("proxy.demo.SCENES", (replace(named("a wrong key"), owner="vendor"),))
    assert demo(SHORT, serve=False) == 1
    assert "WRONG: deepgram, a wrong key: owner is operator, should be vendor" in capsys.readouterr().out


def test_scenes_with_equal_vendors_share_a_listener_which_is_named_after_them() -> None:
    async def main() -> set[str]:
        async with Stage([named("a call"), named("a wrong key"), named("overloaded")]) as stage:
            return set(stage.addresses)

    assert run(main()) == {"deepgram", "deepgram-1", "admin", "metrics"}


def test_what_is_over_is_forgotten() -> None:
    async def main() -> list[int]:
        async with Stage([named("a wrong key")]) as stage:
            await perform(stage, [named("a wrong key")], SHORT)
            seen = [len(simulator.sessions) for simulator in stage._simulators]
            stage.forget()
            return seen + [len(simulator.sessions) for simulator in stage._simulators]

    assert run(main()) == [1, 0]


def test_the_table_gives_way_where_the_client_is_quoted() -> None:
    rows = [Played(named("a call"), "x" * 300, None), Played(named("a wrong key"), "HTTP 401", None)]
    for width in (120, 200):
        lines = table(rows, width).splitlines()
        assert [heading for heading in HEADINGS if heading not in lines[0]] == []
        assert max(map(len, lines)) <= width
        assert "…" in lines[2]
        assert "no report" in lines[3]


def test_a_prometheus_that_watches_is_told_of_and_goes_with_it(tmp_path: Path) -> None:
    async def main() -> str:
        with earwitness(tmp_path, "demo", "--serve", "--prometheus") as process:
            await process.printed("calls at once")
            address = process.out.partition("rules: http://")[2].partition(" ")[0]
            assert "EarwitnessBillingExhausted" in (await page(address, "/api/v1/rules"))[1]
            process.signal(signal.SIGTERM)  # in the middle of the calls
            assert await process.ended() == 1
            with pytest.raises(ConnectionRefusedError):
                await page(address, "/")
            return process.err

    assert run(main(), timeout=40) == ""


def test_a_terminal_sees_progress() -> None:
    shown = "from proxy import demo; demo.SCENES = demo.SCENES[:2]; sys.exit(demo.demo(0.3, False))"
    script = f"import pty, sys; sys.exit(pty.spawn([sys.executable, '-c', 'import sys; {shown}']) >> 8)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=40, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stdout
    assert b"\r1 of 2 calls are over" in done.stdout
