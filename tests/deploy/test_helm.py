"""The charts: that Helm has nothing against them, that they refuse what would not run, and that they say what the Kustomize files say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.helm.generate import written
from deploy.prometheus.generate import HERE, RULES

from .manifests import HELM, KUBERNETES, Object, one, shipped, templated, tool
from .pods import GATEWAYS, SIDECARS
from .promtool import ROOT

CHARTS: Final = ("earwitness", "earwitness-gateway", "example")


def refused(*values: str, chart: str = "earwitness-gateway") -> str:
    given = [argument for value in values for argument in ("--set", value)]
    done = subprocess.run([Path(sys.executable).with_name("helm"), "template", "x", HELM / chart, *given],
                          capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize("chart", CHARTS)
def test_lint_has_nothing_to_say(chart: str) -> None:
    told = tool("helm", "lint", "--strict", str(HELM / chart))
    assert "[WARNING]" not in told
    assert "[ERROR]" not in told


@pytest.mark.parametrize("chart", ["earwitness-gateway", "example"])
def test_a_chart_can_be_packed(chart: str, tmp_path: Path) -> None:
    """With what lies in it as links."""
    tool("helm", "package", str(HELM / chart), "--destination", str(tmp_path))
    (packed,) = tmp_path.iterdir()
    assert tool("helm", "template", "x", str(packed)) == tool("helm", "template", "x", str(HELM / chart))


def test_the_schemas_are_what_the_generator_writes() -> None:
    for file, text in written().items():
        assert file.read_text() == text, "run: python -m deploy.helm.generate"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("earwitness.settings.drain.grace=3", "settings.drain: Additional property grace is not allowed"),
        ("earwitness.settings.listeners[0].listen=8101", "settings.listeners.0.listen"),
        ("earwitness.imgae.tag=1", "Additional property imgae is not allowed"),
        ("earwitness.image.digest=latest", "image.digest: Does not match pattern"),
        ("replica=3", "Additional property replica is not allowed"),
        ("networkPolicy.clients=", "networkPolicy.clients"),
    ],
)
def test_what_would_not_run_is_not_installed(value: str, told: str) -> None:
    assert told in refused(value)


def test_large_numbers_stay_whole() -> None:
    objects = templated("earwitness-gateway", "x", "earwitness.settings.limits.memory_bytes=268435456")
    settings = one(objects, "ConfigMap")["data"]["earwitness.yaml"]
    assert '"memory_bytes": 268435456' in settings


def test_the_grace_follows_the_settings() -> None:
    objects = templated("earwitness-gateway", "x", "earwitness.settings.drain.grace_seconds=600")
    assert one(objects, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 630


def test_other_settings_are_other_pods() -> None:
    def sums(*values: str) -> set[str]:
        pods = one(templated("earwitness-gateway", "x", *values), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return set(pods.values())

    assert sums() != sums("earwitness.settings.log.level=debug")


def test_without_a_scaler_there_are_so_many_pods_as_one_says() -> None:
    objects = templated("earwitness-gateway", "x", "autoscaling.enabled=false", "networkPolicy.enabled=false", "replicas=3")
    assert one(objects, "Deployment")["spec"]["replicas"] == 3
    assert {thing["kind"] for thing in objects} == {"ConfigMap", "Service", "Deployment", "PodDisruptionBudget"}


def test_a_listener_is_a_port_of_everything() -> None:
    objects = templated("earwitness-gateway", "x", "earwitness.settings.listeners[0].vendor=elsa",
                        "earwitness.settings.listeners[0].name=lessons", "earwitness.settings.listeners[0].listen=0.0.0.0:9000")
    (port,) = one(objects, "Service")["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("lessons", 9000, "lessons")
    assert one(objects, "NetworkPolicy")["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 9000}]


def test_both_ways_to_a_sidecar_are_one() -> None:
    """But for where the image is."""
    kustomize, helm = (work.ours | {"image": "", "imagePullPolicy": ""} for work in (SIDECARS[0], SIDECARS[2]))
    assert kustomize == helm
    packaged = yaml.safe_load((HELM / "earwitness" / "values.yaml").read_text())
    assert packaged["settings"] == yaml.safe_load((KUBERNETES / "sidecar" / "earwitness.yaml").read_text())
    assert packaged["resources"] == kustomize["resources"]


def test_both_ways_to_a_gateway_are_one() -> None:
    kustomize, helm = (work.ours | {"imagePullPolicy": ""} for work in (GATEWAYS[0], GATEWAYS[2]))
    assert kustomize == helm
    packaged = yaml.safe_load((HELM / "earwitness-gateway" / "values.yaml").read_text())["earwitness"]["settings"]
    assert packaged == yaml.safe_load((KUBERNETES / "gateway" / "earwitness.yaml").read_text())
    for kind, parts in {"HorizontalPodAutoscaler": ("minReplicas", "maxReplicas", "metrics", "behavior"), "NetworkPolicy": ("egress",),
                        "Service": ("ports",)}.items():
        for part in parts:
            assert one(GATEWAYS[0].objects, kind)["spec"][part] == one(GATEWAYS[2].objects, kind)["spec"][part]
    same = ("automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds", "securityContext")
    assert [GATEWAYS[0].pod[name] for name in same] == [GATEWAYS[2].pod[name] for name in same]


def test_what_watches_is_the_same_too() -> None:
    objects: tuple[Object, ...] = shipped()["helm gateway, all on"]
    assert one(objects, "PrometheusRule")["spec"] == yaml.safe_load(RULES.read_text())
    assert one(objects, "PodMonitor")["spec"] == yaml.safe_load((HERE / "podmonitor.yaml").read_text())["spec"]
    assert one(objects, "PodMonitor")["metadata"]["labels"] == {"release": "prometheus"}
    for name in ("overview", "vendor"):
        board: dict[str, Any] = one(objects, "ConfigMap", f"voice-earwitness-dashboard-{name}")["data"]
        assert json.loads(board[f"earwitness-{name}.json"]) == json.loads((ROOT / "dashboards" / f"{name}.json").read_text())
