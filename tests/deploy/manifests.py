"""Everything that is shipped for Kubernetes, rendered by the tools that people use and checked against the API's schemas.

    python -m tests.deploy.manifests

prints every object, each once it has passed. What the objects mean is asked by the tests beside.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import kubernetes_validate
import yaml
from pydantic import BaseModel, ConfigDict, Field

from .promtool import ROOT

KUBERNETES: Final = ROOT / "deploy" / "kubernetes"
HELM: Final = ROOT / "deploy" / "helm"
VERSIONS: Final = ("1.29", "1.37")
"""Of the API: the first that has native sidecars without being asked, and the newest there is a schema for."""

Object = dict[str, Any]
DURATION: Final = r"^(\d+(ms|s|m|h|d|w|y))+$"


def tool(name: str, *arguments: str) -> str:
    """Runs a tool of the environment that the tests run in, and gives what it printed."""
    done = subprocess.run([Path(sys.executable).with_name(name), *arguments], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def kustomized(folder: Path) -> tuple[Object, ...]:
    return tuple(yaml.safe_load_all(tool("kubectl", "kustomize", str(folder))))


@cache
def templated(chart: str, release: str, *values: str) -> tuple[Object, ...]:
    """A chart as it is installed under a name; values as KEY=VALUE."""
    given = [argument for value in values for argument in ("--set", value)]
    return tuple(filter(None, yaml.safe_load_all(tool("helm", "template", release, str(HELM / chart), *given))))


def one(objects: tuple[Object, ...], kind: str, name: str | None = None) -> Object:
    """The only one of its kind, or of that name."""
    found = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    assert len(found) == 1, [one["metadata"]["name"] for one in found]
    return found[0]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Rule(_Strict):
    record: str | None = Field(None, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    alert: str | None = None
    expr: str
    wait: str | None = Field(None, alias="for", pattern=DURATION)
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Group(_Strict):
    name: str = Field(min_length=1)
    rules: list[_Rule]


class _Rules(_Strict):
    groups: list[_Group]


class _Expression(_Strict):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = []


class _Selector(_Strict):
    matchLabels: dict[str, str] = {}  # noqa: N815
    matchExpressions: list[_Expression] = []  # noqa: N815


class _Namespaces(_Strict):
    any: bool = False
    matchNames: list[str] = []  # noqa: N815


class _Relabeling(_Strict):
    sourceLabels: list[str] = []  # noqa: N815
    targetLabel: str  # noqa: N815
    regex: str | None = None
    replacement: str | None = None
    action: Literal["replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep"] | None = None


class _Endpoint(_Strict):
    port: str
    path: str
    interval: str = Field(pattern=DURATION)
    relabelings: list[_Relabeling]


class _PodMonitor(_Strict):
    namespaceSelector: _Namespaces | None = None  # noqa: N815
    selector: _Selector
    podMetricsEndpoints: list[_Endpoint]  # noqa: N815


OPERATOR: Final[dict[str, type[BaseModel]]] = {"PrometheusRule": _Rules, "PodMonitor": _PodMonitor}
"""What there is no schema for: as far as we use the Prometheus operator's objects, in the form that its reference gives them."""


def check(thing: Object) -> None:
    """Raises where the API would not take it, or would take no notice of a part of it."""
    if thing["apiVersion"] == "monitoring.coreos.com/v1":
        assert thing.keys() == {"apiVersion", "kind", "metadata", "spec"}
        OPERATOR[thing["kind"]].model_validate(thing["spec"])
    else:
        for version in VERSIONS:
            kubernetes_validate.validate(thing, version, strict=True)


def shipped() -> dict[str, tuple[Object, ...]]:
    """Every rendering, by what it is."""
    return {
        **{name: kustomized(KUBERNETES / name) for name in ("examples/sidecar", "gateway", "examples/gateway", "monitoring")},
        "helm sidecar": templated("example", "voice-agent"),
        "helm gateway": templated("earwitness-gateway", "earwitness-gateway"),
        "helm gateway, all on": templated("earwitness-gateway", "voice", "tls.secretName=earwitness-tls", "monitoring.enabled=true",
                                          "monitoring.labels.release=prometheus", "podAnnotations.team=voice", "nodeSelector.pool=calls",
                                          "tolerations[0].operator=Exists", "imagePullSecrets[0].name=pull",
                                          "priorityClassName=high", f"earwitness.image.digest=sha256:{'0' * 64}"),
    }


def main() -> None:
    for name, objects in shipped().items():
        for thing in objects:
            check(thing)
            print(f"---\n# {name}: {thing['kind']} {thing['metadata']['name']}: passed\n{yaml.safe_dump(thing, sort_keys=False)}", end="")


if __name__ == "__main__":
    main()
