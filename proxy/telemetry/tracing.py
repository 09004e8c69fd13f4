"""Whether there are traces: only where the standard OTEL_* variables ask for them. Without, OpenTelemetry is not imported.

    OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT    turn them on; so does OTEL_TRACES_EXPORTER=otlp
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


class UnsupportedError(ValueError):
    """A variable asks for what there is not. The message names it."""


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether to export. Raises UnsupportedError."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    named = {name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",")} - {""}
    if named == {"none"}:
        return False
    if named - {"otlp"}:
        raise UnsupportedError(f"OTEL_TRACES_EXPORTER: there is otlp and none, not {', '.join(sorted(named - {'otlp'}))}")
    if not named and not any(environ.get(name) for name in ENDPOINTS):
        return False
    protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), PROTOCOL)
    if protocol != PROTOCOL:
        raise UnsupportedError(f"OTEL_EXPORTER_OTLP_PROTOCOL: there is {PROTOCOL}, not {protocol}")
    return True


def tracing(version: str) -> Tracing:
    """As the process's environment says."""
    try:
        if wanted(os.environ):
            from proxy.telemetry.exporting import Exported

            return Exported(version)
    except Exception as error:
        log.state("traces_off", logging.ERROR, error=error)
    return Tracing()
