"""When there are traces: only where the standard variables ask for them, and never at the cost of a start."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from proxy.telemetry.traces import Tracing
from proxy.telemetry.tracing import UnsupportedError, tracing, wanted
from tests.aio import run

AT = "http://127.0.0.1:4318"


@pytest.mark.parametrize(("variables", "wants"), [
    ({}, set()),
    ({"OTEL_SERVICE_NAME": "calls", "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=a"}, set()),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": AT}, {"otlp"}),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": AT + "/v1/traces"}, {"otlp"}),
    ({"OTEL_TRACES_EXPORTER": "otlp"}, {"otlp"}),
    ({"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"console"}),
    ({"OTEL_TRACES_EXPORTER": "otlp, console"}, {"otlp", "console"}),
    ({"OTEL_TRACES_EXPORTER": " none ", "OTEL_EXPORTER_OTLP_ENDPOINT": AT}, set()),
    ({"OTEL_TRACES_EXPORTER": "", "OTEL_EXPORTER_OTLP_ENDPOINT": AT}, {"otlp"}),
    ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": AT}, set()),
    ({"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": AT}, {"otlp"}),
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT": AT}, {"otlp"}),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, set()),
])
def test_what_turns_them_on(variables: dict[str, str], wants: set[str]) -> None:
    assert wanted(variables) == wants


@pytest.mark.parametrize("variables", [
    {"OTEL_TRACES_EXPORTER": "zipkin"}, {"OTEL_TRACES_EXPORTER": "otlp,zipkin"}, {"OTEL_TRACES_EXPORTER": "console,none"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": AT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
])
def test_what_there_is_not_is_told_and_costs_the_traces_alone(
        variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UnsupportedError):
        wanted(variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert type(tracing("1.0")) is Tracing
    [record] = caplog.records
    assert (record.msg, record.levelno) == ("traces_off", logging.ERROR)
    assert record.exc_info is not None
    assert str(record.exc_info[1]).startswith("OTEL_")


def test_a_variable_that_the_sdk_cannot_read_costs_the_traces_alone(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "many")
    assert type(tracing("1.0")) is Tracing
    assert [record.msg for record in caplog.records] == ["traces_off"]


def test_nothing_is_imported_until_it_is_wanted() -> None:
    """A start has 600 ms; OpenTelemetry would take a third of them."""
    script = ("import sys; from proxy.app import App; from proxy.telemetry.tracing import tracing; tracing('1.0');"
              "print(sorted({name.split('.')[0] for name in sys.modules} & {'opentelemetry', 'requests', 'google', 'urllib3'}))")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=clean)
    assert done.stdout == "[]\n"


def test_without_them_closing_is_nothing() -> None:
    nobody = Tracing()
    run(nobody.close())
    assert nobody.dropped == 0
