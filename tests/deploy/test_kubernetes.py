"""What the manifests mean: a sidecar that does its pod no harm, a gateway that ends calls properly, and both as the process really is."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import promql_parser
import pytest
import yaml

from proxy import cli
from proxy.relay.server import END_SECONDS
from proxy.telemetry.catalogue import BY_NAME
from tests.dashboards.queries import selectors

from .manifests import KUBERNETES, Object, check, kustomized, one, shipped
from .pods import GATEWAYS, POD_IP, SIDECARS, Workload, pod
from .promtool import ROOT

APPLICATION: Final[dict[str, Object]] = {
    thing["metadata"]["name"]: thing for thing in yaml.safe_load_all((KUBERNETES / "examples" / "sidecar" / "application.yaml").read_text())
}
PORT: Final = "earwitness-prom"
READY: Final = {"path": "/-/ready", "port": PORT}


def each(*workloads: Workload) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("work", [pytest.param(work, id=f"{work.rendering} {work.name}") for work in workloads])


every_pod = each(*SIDECARS, *GATEWAYS)
sidecars = each(*SIDECARS)
gateways = each(*GATEWAYS)


@pytest.mark.parametrize("name", list(shipped()))
def test_the_api_takes_every_object(name: str) -> None:
    for thing in shipped()[name]:
        check(thing)


def test_what_the_api_does_not_know_is_found() -> None:
    wrong = copy.deepcopy(SIDECARS[0].thing)
    pod(wrong)["initContainers"][0]["startupprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        check(wrong)
    wrong = copy.deepcopy(one(shipped()["monitoring"], "PodMonitor"))
    wrong["spec"]["podMetricEndpoints"] = []
    with pytest.raises(ValueError, match="podMetricEndpoints"):
        check(wrong)


@every_pod
def test_the_settings_are_good(work: Workload, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check-config", str(work.settings_file(tmp_path))]) == 0
    assert capsys.readouterr().err == ""


@every_pod
@pytest.mark.parametrize("pod_ip", [POD_IP, "fd00::7"])
def test_the_process_listens_where_the_pod_says(work: Workload, pod_ip: str, tmp_path: Path) -> None:
    """Metrics on the pod's address, of either family; what commands it on loopback; ports under their listeners' names."""
    settings = work.settings(tmp_path, pod_ip)
    assert (settings.metrics.listen.host, settings.metrics.listen.port) == (pod_ip, work.ports[PORT])
    assert settings.admin.listen.is_loopback
    listening = {listener.name: listener.listen.port for listener in settings.listeners if not listener.listen.is_loopback}
    assert listening == {name: port for name, port in work.ports.items() if name != PORT}


@every_pod
def test_our_container_has_no_privilege(work: Workload) -> None:
    """The restricted level of the pod security standards, and a root that is read-only."""
    security = work.ours["securityContext"]
    assert security["allowPrivilegeEscalation"] is security["privileged"] is False
    assert security["readOnlyRootFilesystem"] is security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["runAsGroup"] == 10001
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert all(mount["readOnly"] for mount in work.ours["volumeMounts"])
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    assert user.groups() == ("10001", "10001")


@every_pod
def test_our_container_has_what_it_needs_and_is_not_throttled(work: Workload) -> None:
    resources = work.ours["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}


@every_pod
def test_nothing_restarts_a_process_that_has_calls(work: Workload) -> None:
    assert work.ours["startupProbe"]["httpGet"] == READY
    assert "livenessProbe" not in work.ours
    assert "lifecycle" not in work.ours


@every_pod
def test_names_of_ports_are_ones(work: Workload) -> None:
    """At most 15 characters, which the API wants and its schema does not know."""
    assert all(re.fullmatch(r"(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?", name) for name in work.ports)


@every_pod
def test_spans_say_which_pod_they_are_of(work: Workload) -> None:
    known = work.variables()
    attributes = dict(pair.split("=", 1) for pair in known["OTEL_RESOURCE_ATTRIBUTES"].split(","))
    assert attributes == {"k8s.pod.name": "metadata.name", "k8s.namespace.name": "metadata.namespace", "k8s.pod.uid": "metadata.uid",
                          "k8s.node.name": "spec.nodeName"}
    assert not any(name.startswith("OTEL_EXPORTER") for name in known)  # which would turn traces on


@every_pod
def test_prometheus_finds_it(work: Workload) -> None:
    monitor = one(shipped()["monitoring"], "PodMonitor")["spec"]
    (expression,) = monitor["selector"]["matchExpressions"]
    assert work.labels[expression["key"]] in expression["values"]
    assert [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]] == [PORT]
    assert PORT in work.ports


@sidecars
def test_it_is_a_native_sidecar(work: Workload) -> None:
    (container,) = [one for one in work.pod["initContainers"] if one["name"] == "earwitness"]
    assert container["restartPolicy"] == "Always"
    assert container.get("readinessProbe") is None  # whether the application takes calls is the application's to say


@each(*SIDECARS[:2])
def test_the_application_is_untouched(work: Workload) -> None:
    """But for the label, our container and our volume."""
    without = copy.deepcopy(work.thing)
    del without["spec"]["template"]["metadata"]["labels"]["earwitness"]
    del pod(without)["initContainers"]
    assert [volume["name"] for volume in pod(without).pop("volumes")] == ["earwitness"]
    assert without == APPLICATION[work.name]


@sidecars
def test_only_the_pod_itself_reaches_the_sidecar(work: Workload, tmp_path: Path) -> None:
    assert all(listener.listen.is_loopback for listener in work.settings(tmp_path).listeners)


@sidecars
def test_a_sidecar_ends_within_the_grace_that_a_pod_has_by_default(work: Workload, tmp_path: Path) -> None:
    drain = work.settings(tmp_path).drain
    assert drain.accept_seconds == 0
    assert drain.accept_seconds + drain.grace_seconds + END_SECONDS < 30


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "Job"])
def test_what_a_pod_has_already_stays(kind: str, tmp_path: Path) -> None:
    """And the sidecar comes first: whoever prepares the application may call a vendor, too."""
    spec = {"initContainers": [{"name": "migrate"}], "containers": [{"name": "agent"}], "volumes": [{"name": "cache", "emptyDir": {}}]}
    mine = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "mine"}, "spec": {"template": {"spec": spec}}}
    component = os.path.relpath(KUBERNETES / "sidecar", tmp_path.resolve())
    (tmp_path / "application.yaml").write_text(yaml.safe_dump(mine | {"apiVersion": "batch/v1" if kind == "Job" else "apps/v1"}))
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["application.yaml"], "components": [component]}))
    made = pod(one(kustomized(tmp_path), kind))
    assert [container["name"] for container in made["initContainers"]] == ["earwitness", "migrate"]
    assert {volume["name"] for volume in made["volumes"]} == {"earwitness", "cache"}
    assert made["containers"] == spec["containers"]


def test_a_workload_can_be_left_out() -> None:
    (console,) = [thing for thing in shipped()["examples/sidecar"] if thing["metadata"]["name"] == "console"]
    assert console == APPLICATION["console"]


def test_a_sidecar_brings_no_network_policy() -> None:
    """It would be the application's, which it would cut off."""
    assert "NetworkPolicy" not in {thing["kind"] for thing in shipped()["examples/sidecar"]}


@gateways
def test_a_pod_of_the_gateway_has_the_time_that_its_drain_takes(work: Workload, tmp_path: Path) -> None:
    drain = work.settings(tmp_path).drain
    assert work.pod["terminationGracePeriodSeconds"] == drain.grace_seconds + 30
    assert drain.accept_seconds + drain.grace_seconds + END_SECONDS < work.pod["terminationGracePeriodSeconds"]


@gateways
def test_calls_are_taken_until_it_is_known_that_they_should_not_come(work: Workload, tmp_path: Path) -> None:
    probe = work.ours["readinessProbe"]
    assert probe["httpGet"] == READY
    assert work.settings(tmp_path).drain.accept_seconds > probe["failureThreshold"] * probe["periodSeconds"]


@gateways
def test_a_new_pod_is_there_before_an_old_one_goes(work: Workload) -> None:
    assert work.thing["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "replicas" not in work.thing["spec"]  # the scaler's to say
    assert one(work.objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@gateways
def test_pods_of_the_gateway_stand_apart(work: Workload) -> None:
    spread = work.pod["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


@gateways
def test_everything_selects_the_pods_of_the_gateway(work: Workload) -> None:
    selectors = [
        work.thing["spec"]["selector"]["matchLabels"],
        one(work.objects, "Service")["spec"]["selector"],
        one(work.objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(work.objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in work.pod["topologySpreadConstraints"]),
    ]
    assert all(selector.items() <= work.labels.items() for selector in selectors)
    assert one(work.objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == work.name
    assert work.pod["automountServiceAccountToken"] is False


@gateways
def test_the_service_leads_to_listeners(work: Workload) -> None:
    ports = one(work.objects, "Service")["spec"]["ports"]
    assert {port["name"]: port["port"] for port in ports} == {name: port for name, port in work.ports.items() if name != PORT}
    assert all(port["targetPort"] == port["name"] for port in ports)
    tls = any("__TLS__CERT" in name for name in work.variables())
    assert {port["appProtocol"] for port in ports} == {"kubernetes.io/wss" if tls else "kubernetes.io/ws"}


@gateways
def test_every_listener_has_its_certificate_or_none_has(work: Workload, tmp_path: Path) -> None:
    given = {name.removeprefix("EARWITNESS__LISTENERS__") for name in work.variables() if "__TLS__" in name}
    listeners = work.settings(tmp_path).listeners
    assert given in (set(), {f"{number}__TLS__{what}" for number in range(len(listeners)) for what in ("CERT", "KEY")})
    mounts = {mount["mountPath"] for mount in work.ours["volumeMounts"]}
    assert all(str(Path(value).parent) in mounts for name, value in work.variables().items() if "__TLS__" in name)


@gateways
def test_a_gateway_refuses_what_it_cannot_carry(work: Workload, tmp_path: Path) -> None:
    assert work.settings(tmp_path).limits.overload == "refuse"


def test_a_gateway_is_for_clients_of_the_cluster_alone(tmp_path: Path) -> None:
    """Where no network policy is enforced, too; and for no web page."""
    for listener in GATEWAYS[0].settings(tmp_path).listeners:
        assert listener.allow.origins == ()
        assert listener.allow.clients
        assert all(network.is_private or str(network) == "100.64.0.0/10" for network in listener.allow.clients)


@gateways
def test_the_network_policy_lets_through_what_is_needed_and_no_more(work: Workload) -> None:
    policy = one(work.objects, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    calls, scrapes = policy["ingress"]
    open_to_clients = {number for port in calls["ports"] for number in range(port["port"], port.get("endPort", port["port"]) + 1)}
    assert open_to_clients == {port for name, port in work.ports.items() if name != PORT}
    assert [port["port"] for port in scrapes["ports"]] == [9464]
    assert all(rule["from"] for rule in policy["ingress"])
    assert all(rule["to"] for rule in policy["egress"])
    out = {port["port"]: rule["to"] for rule in policy["egress"] for port in rule["ports"]}
    assert out.keys() == {53, 443, 4318, 6379}
    blocks = {to["ipBlock"]["cidr"]: to["ipBlock"]["except"] for to in out[443]}
    assert blocks.keys() == {"0.0.0.0/0", "::/0"}
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(blocks["0.0.0.0/0"])  # neither the cluster nor a cloud's metadata
    assert out[6379] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "redis"}}}]


@gateways
def test_it_is_scaled_by_open_sessions_and_down_slowly(work: Workload) -> None:
    scaler = one(work.objects, "HorizontalPodAutoscaler")["spec"]
    (metric,) = scaler["metrics"]
    assert metric["pods"]["metric"]["name"] == "earwitness_sessions_active"
    assert scaler["minReplicas"] >= 2
    assert scaler["behavior"]["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 900}]
    assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 900


def test_the_adapter_gives_what_the_scaler_goes_by() -> None:
    """A sum for each pod of a metric that exists; with the labels that the adapter fills in."""
    (rule,) = yaml.safe_load((KUBERNETES / "gateway" / "adapter.yaml").read_text())["rules"]["custom"]
    (series,) = selectors(rule["seriesQuery"])
    assert series.name in BY_NAME
    assert rule["name"]["as"] == one(GATEWAYS[0].objects, "HorizontalPodAutoscaler")["spec"]["metrics"][0]["pods"]["metric"]["name"]
    filled = (rule["metricsQuery"].replace("<<.Series>>", str(series.name)).replace("<<.GroupBy>>", "pod")
              .replace("<<.LabelMatchers>>", 'namespace="voice",pod=~"a|b"'))
    assert promql_parser.parse(filled).prettify() == 'sum by (pod) (earwitness_sessions_active{namespace="voice",pod=~"a|b"})'


IN_A_NETWORK_OF_ITS_OWN: Final = """
ip link set lo up
ip address add {pod_ip}/32 dev lo
: >{folder}/log
{python} -m proxy.cli run >{folder}/log &
process=$!
for _ in $(seq 400); do grep -q '"event":"ready"' {folder}/log && break; sleep 0.05; done
{python} -m proxy.cli healthcheck
kill -TERM $process
wait $process
"""


@each(SIDECARS[0], GATEWAYS[0])
def test_the_process_runs_as_its_pod_says(work: Workload, tmp_path: Path) -> None:
    """With the pod's environment and settings, in a network that has the pod's address: it binds every port that the pod names."""
    env = work.variables() | {"EARWITNESS_CONFIG": str(work.settings_file(tmp_path)), "EARWITNESS__DRAIN__ACCEPT_SECONDS": "0"}
    script = IN_A_NETWORK_OF_ITS_OWN.format(pod_ip=POD_IP, python=sys.executable, folder=tmp_path)
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", script], cwd=ROOT, capture_output=True, text=True,
                          env=env | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, timeout=50, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\n", "")
    told: dict[str, Any] = json.loads((tmp_path / "log").read_text().splitlines()[0])
    bound = {name: int(address.rpartition(":")[2]) for name, address in told["listeners"].items()}
    assert work.ports.items() <= {PORT if name == "metrics" else name: port for name, port in bound.items()}.items()
    assert told["listeners"]["metrics"].startswith(POD_IP)
