"""A rendered workload, seen as the kubelet sees it: its pod, our container in it, the environment and the settings that this gets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.settings import Settings, load

from .manifests import Object, one, shipped

OURS: Final = "earwitness"
POD_IP: Final = "10.1.2.3"


@dataclass(frozen=True)
class Workload:
    """One with Earwitness in its pods, among all the objects that it was rendered with."""

    rendering: str
    name: str

    @property
    def objects(self) -> tuple[Object, ...]:
        return shipped()[self.rendering]

    @property
    def thing(self) -> Object:
        found = [one for one in self.objects if one["metadata"]["name"] == self.name and one["kind"] in ("Deployment", "Job")]
        assert len(found) == 1
        return found[0]

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.thing["spec"]["template"]["metadata"]["labels"]
        return labels

    @property
    def pod(self) -> Object:
        return pod(self.thing)

    @property
    def ours(self) -> Object:
        found = [one for kind in ("initContainers", "containers") for one in self.pod.get(kind, []) if one["name"] == OURS]
        assert len(found) == 1
        container: Object = found[0]
        return container

    @property
    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in self.ours["ports"]}

    def variables(self, pod_ip: str = POD_IP) -> dict[str, str]:
        """The environment: each variable may use those before it."""
        known: dict[str, str] = {}
        for entry in self.ours["env"]:
            field = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            value = pod_ip if field == "status.podIP" else field or entry["value"]
            known[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda found: known[found[1]], value)
        return known

    def settings_file(self, folder: Path) -> Path:
        """What is mounted where EARWITNESS_CONFIG says, written to a folder."""
        volume = next(volume for volume in self.pod["volumes"] if volume["name"] == OURS)
        mount = next(mount for mount in self.ours["volumeMounts"] if mount["name"] == OURS)
        path = Path(self.variables()["EARWITNESS_CONFIG"])
        assert str(path.parent) == mount["mountPath"]
        file = folder / path.name
        file.write_text(one(self.objects, "ConfigMap", volume["configMap"]["name"])["data"][file.name])
        return file

    def settings(self, folder: Path, pod_ip: str = POD_IP) -> Settings:
        """As the process has them in the pod, but for certificates: these are not here."""
        env = {name: value for name, value in self.variables(pod_ip).items() if name.startswith("EARWITNESS__") and "__TLS__" not in name}
        return load(self.settings_file(folder), env)


def pod(thing: Object) -> Object:
    spec: Object = thing["spec"]["template"]["spec"]
    return spec


SIDECARS: Final = (
    Workload("examples/sidecar", "voice-agent"), Workload("examples/sidecar", "transcribe-archive"),
    Workload("helm sidecar", "voice-agent"),
)
GATEWAYS: Final = (
    Workload("gateway", "earwitness-gateway"), Workload("examples/gateway", "earwitness-gateway"),
    Workload("helm gateway", "earwitness-gateway"), Workload("helm gateway, all on", "voice-earwitness"),
)
