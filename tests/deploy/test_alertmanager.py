"""Who hears of what: the routes and the inhibition of the example for Alertmanager, asked of its own tool."""

from __future__ import annotations

import subprocess
from typing import Any, Final

import pytest
import yaml

from proxy.core.verdict import Owner

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
