"""The demo: its scenes are witnessed rightly, a wrong rule is found out by it, and the table can be read."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from proxy.core.report import Report, SelfReport
from proxy.core.verdict import Outcome, Owner, Side, Verdict
from proxy.demo import HEADINGS, Played, Stage, _say_wrong, demo, perform, table
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
    assert re.search(rf"(?:all|of) {len(SCENES)} verdicts are those that the calls imply", out), "a busy machine may leave some undecided"
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


def told(scene: Scene, lag: float, **verdict: Any) -> Played:
    """A report of the scene as it should be, but for these fields, from a process that stood still for so long."""
    right = Verdict(outcome=Outcome(scene.outcome), code=scene.code, owner=Owner(scene.owner), initiated_by=Side(scene.begun_by))
    return Played(scene, "", Report("id", "deepgram", "", "", 1.0, replace(right, **verdict), self_=SelfReport(lag)))


@pytest.mark.parametrize("owner", [Owner.UNKNOWN, Owner.SIDECAR])
def test_what_our_own_lag_left_undecided_is_told_and_is_not_wrong(owner: Owner, capsys: pytest.CaptureFixture[str]) -> None:
    scene = named("told of silence in mid-speech")
    open_, right = told(scene, 1.26, owner=owner), told(scene, 1.26)
    assert _say_wrong([open_, right]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"undecided: deepgram, told of silence in mid-speech: owner is {owner}, should be vendor: this process stood still for 1.3 s, "
        "and so accuses nobody else",
        "this machine is busy: with more CPU to itself the demo decides all of them",
        "1 of 2 verdicts are those that the calls imply, none is wrong",
    ]


@pytest.mark.parametrize(
    ("lag", "verdict"),
    [
        pytest.param(0.4, {"owner": Owner.UNKNOWN}, id="hardly late"),
        pytest.param(5.0, {"owner": Owner.CLIENT}, id="somebody else is accused"),
        pytest.param(5.0, {"owner": Owner.NETWORK}, id="the network is accused"),
        pytest.param(5.0, {"owner": Owner.NONE}, id="nobody has to act"),
        pytest.param(5.0, {"owner": Owner.UNKNOWN, "code": "DATA-0000"}, id="another code"),
        pytest.param(5.0, {"owner": Owner.UNKNOWN, "initiated_by": Side.CLIENT}, id="another beginning"),
        pytest.param(5.0, {"code": "DATA-0000"}, id="the code alone"),
    ],
)
def test_lag_excuses_nothing_else(lag: float, verdict: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert _say_wrong([told(named("told of silence in mid-speech"), lag, **verdict)]) == 1
    assert capsys.readouterr().out.startswith("WRONG: deepgram, told of silence in mid-speech: ")


def test_no_report_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert _say_wrong([Played(named("a call"), "", None)]) == 1
    assert "there is no report" in capsys.readouterr().out


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
