"""Whether there are traces: only where the standard OTEL_* variables ask for them. Without, OpenTelemetry is not imported.

    OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT    turn them on; so does OTEL_TRACES_EXPORTER=otlp
    OTEL_TRACES_EXPORTER=console                                         a line each on standard error, to look at
    OTEL_TRACES_EXPORTER=none, OTEL_SDK_DISABLED=true                    turn them off

Name, resource, sampler, batches, headers and TLS are the SDK's own variables. What is wrong with them is told in one log line
and costs the traces, never the start.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Final

from proxy.telemetry import log
from proxy.telemetry.traces import Tracing

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL: Final = "http/protobuf"
OTLP: Final = "otlp"
CONSOLE: Final = "console"


class UnsupportedError(ValueError):
    """A variable asks for what there is not. The message names it."""


def wanted(environ: Mapping[str, str]) -> frozenset[str]:
    """The exporters that are asked for. Raises UnsupportedError."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return frozenset()
    named = frozenset(name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",")) - {""}
    if named == {"none"}:
        return frozenset()
    if others := named - {OTLP, CONSOLE}:
        raise UnsupportedError(f"OTEL_TRACES_EXPORTER: there is {OTLP}, {CONSOLE} and none, not {', '.join(sorted(others))}")
    if not named and any(environ.get(name) for name in ENDPOINTS):
        named = frozenset({OTLP})
    protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), PROTOCOL)
    if OTLP in named and protocol != PROTOCOL:
        raise UnsupportedError(f"OTEL_EXPORTER_OTLP_PROTOCOL: there is {PROTOCOL}, not {protocol}")
    return named


def tracing(version: str) -> Tracing:
    """As the process's environment says."""
    try:
        if exporters := wanted(os.environ):
            from proxy.telemetry.exporting import Exported

            return Exported(version, exporters)
    except Exception as error:
        log.state("traces_off", logging.ERROR, error=error)
    return Tracing()
