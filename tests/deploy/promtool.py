"""Cases of alerts, as they are written in cases/*.yaml, as the tests that promtool runs. `python -m tests.deploy.promtool` runs them all.

A case has series, with a value a minute in promtool's notation, and says at which minutes an alert fires, with which labels and
words, and at which it does not. A scene says which alerts are heard of in all of its time. Series are written short:
`errors_total vendor=acme code=X`: without the prefix, and without the labels that do not matter, which are filled in.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from proxy.telemetry.catalogue import BY_NAME, PREFIX

ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final = ROOT / "deploy" / "prometheus" / "rules" / "earwitness.yaml"
CASES: Final = Path(__file__).parent / "cases"
RUNBOOKS: Final = "https://runbooks.example/earwitness"

TARGET: Final = {"job": "earwitness", "instance": "10.0.0.1:9464"}
FILLED_IN: Final = {"endpoint": "v1", "phase": "websocket_runtime", "retry": "backoff", "initiated_by": "vendor"}

Case = dict[str, Any]


def cases() -> list[Case]:
    """All of them; `file` is where one stands."""
    return [case | {"file": path.stem} for path in sorted(CASES.glob("*.yaml")) for case in yaml.safe_load(path.read_text())]


def labels(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split())


def series(text: str) -> tuple[str, dict[str, str]]:
    """Metric and labels. Raises ValueError where the catalogue does not have it so."""
    name, _, rest = text.partition(" ")
    given = labels(rest)
    if name == "up":
        return name, TARGET | given
    metric = BY_NAME.get(PREFIX + name) or BY_NAME[PREFIX + name.removesuffix("_bucket").removesuffix("_count")]
    whole = {"listener": given.get("vendor", ""), **FILLED_IN, **given}
    known = {*metric.labels, *TARGET, "node"} | ({"le"} if name.endswith("_bucket") else set())
    if stray := given.keys() - known:
        raise ValueError(f"{text}: no label {sorted(stray)}")
    if missing := set(metric.labels) - whole.keys():
        raise ValueError(f"{text}: without {sorted(missing)}")
    return PREFIX + name, TARGET | {label: value for label, value in whole.items() if label in known}


def _written(text: str) -> str:
    name, given = series(text)
    return f"{name}{{{','.join(f'{label}={chr(34)}{value}{chr(34)}' for label, value in sorted(given.items()))}}}"


def _test(case: Case) -> dict[str, Any]:
    made: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": _written(text), "values": str(values)} for text, values in case["series"].items()],
    }
    if "scene" in case:
        return {**made, "name": case["scene"], "promql_expr_test": list(_heard(case))}
    times = {minute: [_alert(case, one) for one in some] for minute, some in case.get("fires", {}).items()}
    times |= {minute: [] for minute in case["quiet"]}
    return {**made, "name": case["alert"], "alert_rule_test": [
        {"alertname": case["alert"], "eval_time": f"{minute}m", "exp_alerts": times[minute]} for minute in sorted(times)
    ]}


def _alert(case: Case, one: dict[str, str]) -> dict[str, Any]:
    page = f"{RUNBOOKS}/{case['file']}.md#{case['alert'].lower()}"
    return {
        "exp_labels": labels(one["labels"]),
        "exp_annotations": {"summary": case["summary"], "description": one["description"], "runbook_url": page},
    }


def _heard(case: Case) -> Iterator[dict[str, Any]]:
    for severity, which in (("critical", "pages"), ("warning", "tickets")):
        yield {
            "expr": f'group by (alertname) (count_over_time(ALERTS{{alertstate="firing",severity="{severity}"}}[{case["minutes"]}m]))',
            "eval_time": f"{case['minutes']}m",
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in case.get(which, [])],
        }


def _rules(case: Case) -> dict[str, Any]:
    """For a scene, all. For an alert, itself and what is recorded for it: days by the minute take long enough."""
    whole: dict[str, Any] = yaml.safe_load(RULES.read_text())
    if "scene" in case:
        return whole
    recorded, *others = whole["groups"]
    alerts = [rule for group in others for rule in group["rules"] if rule["alert"] == case["alert"]]
    wanted = "\n".join(rule["expr"] for rule in alerts)
    kept: list[Any] = []
    for rule in reversed(recorded["rules"]):
        if rule["record"] in wanted:
            wanted += rule["expr"]
            kept.insert(0, rule)
    return {"groups": [{"name": "recorded", "rules": kept}, {"name": "alerts", "rules": alerts}]}


def run(case: Case) -> subprocess.CompletedProcess[str]:
    """promtool's own words are on standard output and error; its code is 0 where all is as it should be."""
    rules = _rules(case)
    # Left to itself, promtool has no order of groups, and what is recorded comes now before and now after it is asked for.
    whole = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [_test(case)],
             "group_eval_order": [group["name"] for group in rules["groups"]]}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rules.yaml").write_text(yaml.safe_dump(rules))
        Path(folder, "tests.yaml").write_text(yaml.safe_dump(whole))
        return subprocess.run(["promtool", "test", "rules", f"{folder}/tests.yaml"],
                              capture_output=True, text=True, timeout=50, check=False)


if __name__ == "__main__":
    code = 0
    for one in cases():
        done = run(one)
        print(f"{one['file']:<9} {one.get('alert') or one['scene']:<50} {'ok' if done.returncode == 0 else done.stdout + done.stderr}")
        code |= done.returncode
    sys.exit(code)
