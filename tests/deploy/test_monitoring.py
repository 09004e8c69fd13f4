"""Rules, routes and dashboards for the cluster are the files that are tested elsewhere; nothing of them stands twice."""

from __future__ import annotations

import base64
from typing import Final

import pytest
import yaml

from deploy.prometheus.generate import HERE, RULES
from tests.dashboards.queries import matchers, selectors

from .manifests import Object, one, shipped
from .promtool import ROOT

OBJECTS: Final[tuple[Object, ...]] = shipped()["monitoring"]


def test_the_rules_are_the_rules() -> None:
    assert one(OBJECTS, "PrometheusRule")["spec"] == yaml.safe_load(RULES.read_text())


def test_the_routes_are_the_routes() -> None:
    secret = one(OBJECTS, "Secret", "earwitness-alertmanager")
    assert base64.b64decode(secret["data"]["alertmanager.yaml"]) == (ROOT / "deploy" / "alertmanager" / "alertmanager.yaml").read_bytes()


@pytest.mark.parametrize("name", ["overview", "vendor"])
def test_a_dashboard_is_the_dashboard_and_can_be_applied(name: str) -> None:
    board = one(OBJECTS, "ConfigMap", f"earwitness-dashboard-{name}")
    text = board["data"][f"earwitness-{name}.json"]
    assert text == (ROOT / "dashboards" / f"{name}.json").read_text()
    assert board["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert len(text) < 256 * 1024  # what `kubectl apply` can note down beside it


def test_targets_have_the_labels_that_the_rules_know_them_by() -> None:
    """The operator's and the example for a Prometheus without one."""
    (endpoint,) = one(OBJECTS, "PodMonitor")["spec"]["podMetricsEndpoints"]
    given = {relabeling["targetLabel"]: relabeling.get("replacement") for relabeling in endpoint["relabelings"]}
    targets = yaml.safe_load((HERE / "thresholds.yaml").read_text())["targets"]
    (selector,) = selectors(f"up{{{targets}}}")
    assert matchers(selector) == {"job": ("Equal", given["job"])}
    assert given.keys() == {"job", "node"}
    example = yaml.safe_load((HERE / "prometheus.yaml").read_text())["scrape_configs"][0]
    assert example["job_name"] == given["job"]
    assert example["relabel_configs"][0]["regex"] == endpoint["port"]
