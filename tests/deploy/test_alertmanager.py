"""Who hears of what: the routes and the inhibition of the example for Alertmanager, asked of its own tool."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import pytest
import yaml

from proxy.core.verdict import Owner
from proxy.prometheus import serving
from tests.aio import run

from .promtool import ROOT
from .test_rules import ALERTS

FILE: Final = ROOT / "deploy" / "alertmanager" / "alertmanager.yaml"
CONFIG: Final[dict[str, Any]] = yaml.safe_load(FILE.read_text())


def amtool(*arguments: str) -> str:
    return subprocess.run(["amtool", *arguments], capture_output=True, text=True, timeout=30, check=True).stdout


def receivers(**labels: str) -> list[str]:
    told = amtool("config", "routes", "test", f"--config.file={FILE}", *(f"{name}={value}" for name, value in labels.items()))
    return told.strip().split(",")


def test_amtool_takes_it() -> None:
    assert "SUCCESS" in amtool("check-config", str(FILE))


@pytest.mark.parametrize("owner", [Owner.VENDOR, Owner.OPERATOR, Owner.CLIENT, Owner.NETWORK, Owner.SIDECAR])
def test_a_ticket_goes_to_whoever_has_to_act_and_a_page_to_who_is_on_call_too(owner: Owner) -> None:
    assert receivers(severity="warning", owner=owner) == [owner]
    assert receivers(severity="critical", owner=owner) == ["on-call", owner]


def test_what_has_no_owner_is_not_lost() -> None:
    assert receivers(severity="warning", owner=Owner.UNKNOWN) == ["unowned"]
    assert receivers(severity="critical", owner=Owner.UNKNOWN) == ["on-call"]


def test_inhibition_names_alerts_and_labels_that_exist() -> None:
    names = {rule["alert"] for rule in ALERTS}
    for rule in CONFIG["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            label, values = matcher.replace("=~", "=").replace("!=", "=").replace('"', "").split("=")
            known = {"alertname": names, "owner": set(map(str, Owner)), "severity": {"critical", "warning"}}[label]
            assert set(values.split("|")) <= known
        assert set(rule.get("equal", [])) <= {"vendor", "owner"}


def alert(name: str, severity: str, owner: str, vendor: str = "") -> dict[str, dict[str, str]]:
    labels = {"alertname": name, "severity": severity, "owner": owner, "vendor": vendor}
    return {"labels": {label: value for label, value in labels.items() if value}}


EGRESS: Final = alert("EarwitnessEgressFailing", "critical", "network")
NOTHING_WORKS: Final = alert("EarwitnessAllSessionsFailing", "critical", "vendor", "acme")
QUICK: Final = alert("EarwitnessErrorBudgetBurn", "critical", "vendor", "acme")
SLOW: Final = alert("EarwitnessErrorBudgetBurn", "warning", "vendor", "acme")
LATE: Final = alert("EarwitnessServiceNotGood", "critical", "vendor", "acme")
SILENT: Final = alert("EarwitnessSilentStalls", "warning", "vendor", "acme")
UNKNOWN: Final = alert("EarwitnessErrorBudgetBurn", "critical", "unknown", "bolt")
ANOTHER: Final = alert("EarwitnessErrorBudgetBurn", "critical", "vendor", "bolt")
KEY: Final = alert("EarwitnessCredentialsRejected", "warning", "operator", "acme")
REVOKED: Final = alert("EarwitnessAllSessionsFailing", "critical", "operator", "acme")
DOWN: Final = alert("EarwitnessDown", "critical", "sidecar")
SOME_DOWN: Final = alert("EarwitnessInstanceDown", "warning", "sidecar")


@pytest.mark.parametrize(
    ("firing", "heard"),
    [
        ([EGRESS, NOTHING_WORKS, QUICK, LATE, SILENT, UNKNOWN, ANOTHER, KEY, REVOKED, DOWN], [EGRESS, KEY, REVOKED, DOWN]),
        ([NOTHING_WORKS, QUICK, SLOW, LATE, SILENT, UNKNOWN, ANOTHER, KEY], [NOTHING_WORKS, SILENT, UNKNOWN, ANOTHER, KEY]),
        ([QUICK, SLOW, LATE, KEY], [QUICK, LATE, KEY]),
        ([SLOW, UNKNOWN], [SLOW, UNKNOWN]),
        ([DOWN, SOME_DOWN], [DOWN]),
    ],
    ids=["the way out is broken", "nothing works with a vendor", "the budget burns", "slowly, and another quickly", "none is up"],
)
def test_one_cause_is_heard_of_once(tmp_path: Path, firing: list[dict[str, Any]], heard: list[dict[str, Any]]) -> None:
    async def main() -> list[dict[str, str]]:
        arguments = (f"--config.file={FILE}", f"--storage.path={tmp_path}", "--cluster.listen-address=")
        async with serving("prometheus-alertmanager", *arguments, folder=tmp_path) as address:
            await asyncio.to_thread(ask, address, json.dumps(firing).encode())
            told = await asyncio.to_thread(heard_of, address)
            for _ in range(50):  # it is told of alerts at once, and inhibits in its own time
                if told == due:
                    break
                await asyncio.sleep(0.1)
                told = await asyncio.to_thread(heard_of, address)
            return told

    def heard_of(address: str) -> list[dict[str, str]]:
        return sorted((one["labels"] for one in ask(address) if not one["status"]["inhibitedBy"]), key=str)

    def ask(address: str, data: bytes | None = None) -> Any:
        request = Request(f"http://{address}/api/v2/alerts", data, {"Content-Type": "application/json"})
        with urlopen(request, timeout=10) as answer:
            return json.load(answer) if data is None else None

    due = sorted((one["labels"] for one in heard), key=str)
    assert run(main()) == due
