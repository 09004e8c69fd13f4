"""Writes rules/earwitness.yaml from thresholds.yaml: recording rules, then the alerts of `alerts.py`, as Prometheus reads them; and
prometheusrule.yaml, the same for the Prometheus operator.

    python -m deploy.prometheus.generate [THRESHOLDS [RULES [OBJECT]]]

Recording rules come in two steps. A counter of a process that is summed over labels within that process is a counter still, and
resets with it. So a combination of labels that is new (a rare end, an owner that the evidence corrected) is an increase of a sum
that was there, and not a series out of nowhere, of which `increase` would not see the first. Sums over processes are made of
increases. Which of them are recorded, and over which windows, is read from the alerts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.prometheus.alerts import Alert, groups

HERE: Final = Path(__file__).parent
RULES: Final = HERE / "rules" / "earwitness.yaml"
OBJECT: Final = HERE / "prometheusrule.yaml"
HEAD: Final = "# Generated from thresholds.yaml by `python -m deploy.prometheus.generate`; a test keeps the two equal.\n\n"

ENDED: Final = "earwitness_sessions_ended_total"
IN_A_PROCESS: Final = {
    "instance_vendor:earwitness_sessions_ended:sum": f"sum without (listener, endpoint, outcome, owner, initiated_by) ({ENDED})",
    "instance_vendor:earwitness_sessions_served:sum":
        f'sum without (listener, endpoint, outcome, owner, initiated_by) ({ENDED}{{outcome=~"ok|abandoned|drained"}})',
    "instance_vendor_owner:earwitness_sessions_failed:sum":
        f'sum without (listener, endpoint, outcome, initiated_by) ({ENDED}{{outcome=~"error|refused_by_vendor|refused_here"}})',
    "instance_vendor_code_category_owner:earwitness_errors:sum":
        "sum without (listener, endpoint, phase, retry) (earwitness_errors_total or earwitness_http_errors_total)",
}
"""Counters of each process, with the labels of its target."""

Rule = dict[str, Any]


def rules(numbers: dict[str, Any]) -> dict[str, Any]:
    """The whole file, as YAML has it."""
    alerts = groups(numbers)
    recorded = [
        *({"record": name, "expr": expr} for name, expr in IN_A_PROCESS.items()),
        *_increases(alert.expr for some in alerts.values() for alert in some),
        *_ratios(numbers),
    ]
    return {"groups": [{"name": "earwitness.recorded", "rules": recorded}, *(
        {"name": f"earwitness.{owner}", "rules": [_rule(alert, f"{numbers['runbooks']}/{owner}.md") for alert in some]}
        for owner, some in alerts.items()
    )]}


def _increases(exprs: Iterable[str]) -> Iterator[Rule]:
    """What the expressions name as level:metric:increaseWINDOW, each once."""
    sources = {name.split(":")[1]: name for name in IN_A_PROCESS}
    named = re.findall(r"\b([a-z_]+):([a-z_]+):increase(\w+)", "\n".join(exprs))
    for level, metric, window in dict.fromkeys(named):
        yield {
            "record": f"{level}:{metric}:increase{window}",
            "expr": f"sum by ({', '.join(level.split('_'))}) (increase({sources[metric]}[{window}]))",
        }


def _ratios(numbers: dict[str, Any]) -> Iterator[Rule]:
    egress, budget = numbers["egress"], numbers["budget"]
    ended, failed = "instance_vendor:earwitness_sessions_ended:sum", "instance_vendor_owner:earwitness_sessions_failed:sum"
    for level in ("vendor", "node"):
        yield {
            "record": f"{level}:earwitness_egress_failed:ratio_increase{egress['window']}",
            "expr": f'sum by ({level}) (increase({failed}{{owner=~"{egress["owners"]}"}}[{egress["window"]}]))\n'
                    f"/ (sum by ({level}) (increase({ended}[{egress['window']}])) > 0)\n",
        }
    for window in dict.fromkeys(burn[which] for burn in budget["burns"] for which in ("short", "long")):
        yield {
            "record": f"vendor_owner:earwitness_sessions_failed:ratio_rate{window}",
            "expr": f'sum by (vendor, owner) (rate({failed}{{owner=~"{budget["owners"]}"}}[{window}]))\n'
                    f"/ on (vendor) group_left ()\nsum by (vendor) (rate({ended}[{window}]))\n",
        }


def _rule(alert: Alert, page: str) -> Rule:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.wait,
        "labels": {"severity": alert.severity, **alert.labels},
        "annotations": {"summary": alert.summary, "description": alert.description, "runbook_url": f"{page}#{alert.name.lower()}"},
    }


class _Dumper(yaml.SafeDumper):
    """Expressions stand as blocks, line by line."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def written(thresholds: Path) -> str:
    """The file of rules, for these thresholds."""
    return _yaml(rules(yaml.safe_load(thresholds.read_text())))


def written_as_object(thresholds: Path) -> str:
    """The same as an object of Kubernetes."""
    head = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "earwitness"}}
    return _yaml({**head, "spec": rules(yaml.safe_load(thresholds.read_text()))})


def _yaml(data: dict[str, Any]) -> str:
    return HEAD + yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=1000)


def main(thresholds: str = str(HERE / "thresholds.yaml"), target: str = str(RULES), manifest: str = str(OBJECT)) -> None:
    Path(target).write_text(written(Path(thresholds)))
    Path(manifest).write_text(written_as_object(Path(thresholds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
