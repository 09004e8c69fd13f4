"""The one list of log lines: what each event means, and its fields.

LOGS.md is made from it, and tests hold the code to it: names of events and fields are stable, other people's tools read them.
`python -m proxy.telemetry.events` prints LOGS.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

from proxy.core.report import AudioReport, Close, Evidence, Fact, LatencyReport, Report, SelfReport
from proxy.core.verdict import Verdict
from proxy.telemetry import reported


@dataclass(frozen=True, slots=True)
class Event:
    """`levels`: those it may come with. `fields`: beside `time`, `level` and `event`."""

    name: str
    levels: str
    meaning: str
    fields: tuple[str, ...] = ()


def _names(shape: type[object]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(shape))  # type: ignore[arg-type]


IDS: Final = ("session_id", "trace_id", "span_id")
PLACE: Final = ("listener", "vendor", "endpoint")
VENDORS_IDS: Final = ("connection_id", "req_id")
VERDICT: Final = _names(Verdict)
REPORT: Final = ("schema", *(name.rstrip("_") for name in _names(Report) if name != "verdict"), *VERDICT)
CLOSES: Final = ("client_close", "vendor_close")
NESTED: Final = {
    "audio": _names(AudioReport), "latency": _names(LatencyReport), "self": _names(SelfReport), "evidence": _names(Evidence),
    "facts": _names(Fact), **dict.fromkeys(CLOSES, _names(Close)),
    "traffic": tuple(f"{way}.{what}" for way in ("to_vendor", "to_client") for what in ("wire_bytes", "frames", "bytes")),
}
"""What stands inside of fields of a report. Frames and bytes are by type of frame, and only types that there were."""

EVENTS: Final = (
    Event("session_open", "info", "A session has begun: says what a process carried, should it be killed.", (*IDS, *PLACE, "correlation")),
    Event("noticed", "info", "Something was noticed of an open session: once for each fact, as it is noticed.",
          (*IDS, *PLACE, *VENDORS_IDS, "fact", "seconds")),
    Event("session_progress", "info", "How an open session stands, every `log.progress_seconds`.",
          (*IDS, *PLACE, *VENDORS_IDS, "seconds", "phase", "ready", "state", "audio_seconds", "results", "inspection")),
    Event("session_end", "info, warning, error",
          "The one report of a session. Warning where it failed, error where the fault is ours.", REPORT),
    Event("http_failed", "warning", "A request that was no upgrade failed, or was refused. Fields of the verdict, as far as known.",
          ("listener", "trace_id", "span_id", "correlation", *VERDICT)),
    Event("http_abandoned", "info", "The client left such a request before its answer was through.",
          ("listener", "trace_id", "span_id", "correlation", *VERDICT)),
    Event("ready", "info", "All listeners are bound.", ("listeners", "version", "compiled")),
    Event("reloaded", "info", "The settings were read again, and are good: new sessions get them.", ("listeners",)),
    Event("reload_failed", "error", "The settings were read again, and cannot be used: those from before stay.", ("problems", "error")),
    Event("overloaded", "warning", "For seconds the process could not keep up: from here on new sessions are relayed blind, or refused."),
    Event("overload_over", "info", "It keeps up again."),
    Event("fleet_joined", "info", "Redis answers in time: limits with `scope: fleet` are held over all processes from here on."),
    Event("fleet_lost", "warning",
          "It does not: new sessions go on unasked (`earwitness_fleet_fallbacks_total`), and each process has its local share, if that.",
          ("reason",)),
    Event("fleet_keys_differ", "warning",
          "Processes with another `fleet.key` are on this Redis: they do not find each other's sessions, and each lot counts by itself."),
    Event("draining", "info", "The process begins to end.", ("open_sessions",)),
    Event("stopped", "info", "It has ended."),
    Event("traces_off", "error", "The OTEL_* variables ask for what there is not: nothing is traced.", ("error",)),
    Event("traces_lost", "warning", "Spans get lost, first of all: the collector does not take them.", ("count",)),
    Event("traces_back", "info", "The collector takes spans again.", ("count",)),
    Event("log_lines_dropped", "warning", "Lines were lost, because nobody read them in time.", ("count",)),
    Event("report_failed", "error", "A fault of ours while a report was made; there is a poor one instead.", (*IDS, "listener", "error")),
    Event("internal", "error, critical", "A fault of ours. Sessions go on as far as they can.", (*IDS, "listener", "error")),
    Event("log", "any", "A line of a library's.", ("logger", "message", "error")),
)
BY_NAME: Final = {event.name: event for event in EVENTS}

MEANINGS: Final = {
    "time": "UTC, ISO 8601, with milliseconds",
    "level": "debug, info, warning, error, critical",
    "event": "one of the names above",
    "session_id": "our own id of a session",
    "trace_id": "of W3C Trace Context: the client's, or where it sent none and sessions are traced, ours",
    "span_id": "of the session's span; of a plain request the server's span; null where nothing is traced",
    "listener": "the operator's name for the listener",
    "vendor": "the vendor's profile",
    "endpoint": "an endpoint of the profile",
    "correlation": "the application's own ids, by the names under `correlation` in the settings",
    "connection_id": "the vendor's id of the connection or session",
    "req_id": "the vendor's id of the request",
    "code": "the error's name: `code` of metrics, `error.type` of spans",
    "fact": "one of a closed set: README.md lists them",
    "seconds": "since the session began",
    "phase": "`session_token`, `http_request`, `websocket_connect`, `websocket_runtime`",
    "ready": "whether the vendor has said that it takes audio",
    "state": "how the session is served: see `earwitness_service_seconds_total`; null where it cannot be seen",
    "audio_seconds": "`read` from the client, `delivered` to the vendor",
    "results": "how many came so far",
    "inspection": "`full`, `partial`, `lost`",
    "error": "`type`, `message` and `at` of an exception; redacted",
    "count": "since the process began",
    "listeners": "the address of each, by name",
    "problems": "what is wrong with the settings, with file, line and path where they have one",
    "version": "of the running program",
    "compiled": "whether the hot path was compiled when this was installed",
    "reason": "why Redis cannot be had, in words of ours",
    "open_sessions": "how many are waited for",
    "logger": "of the library",
    "message": "its words, redacted",
}

_HEAD: Final = """\
# Log lines and spans

Generated from `proxy/telemetry/events.py` by `python -m proxy.telemetry.events > LOGS.md`; a test keeps the two equal.

Standard output has one JSON object a line. A session makes few: it begins, something may be noticed, it ends; one that lasts tells
now and then how it stands. Names of events and fields are stable. All strings of peers are redacted; there is no transcript.
"""
_SPANS: Final = """\
## Spans

Where the OTEL_* variables ask for traces, a session has three spans, in the trace of the client's `traceparent` if it sent one.
They go out as OTLP over http/protobuf, or with OTEL_TRACES_EXPORTER=console to standard error, a line of JSON each.
Resource attributes are those of OTEL_RESOURCE_ATTRIBUTES. Status is Error, with `error.type`, only where something failed.

| span | kind | from, to | attributes beside `earwitness.listener` and `earwitness.vendor` |
|---|---|---|---|
| `GET <route>` | server | the client's handshake: to the 101 or the refusal | `http.*`, `url.path` (the route's) |
| `GET <route>` | client | the vendor's handshake, likewise | `http.*`, `url.full` (the route), `server.address`, `server.port` |
| `session` | internal | the whole session; linked to both; `span_id` of its log lines | the report, as below |

Events of `session`: `ready`, `first_audio`, `first_result`, `stall` (`earwitness.kind`), `error` (`error.type`), `close`
(`earwitness.by`, `earwitness.code`). The handshakes are exported while it is open, the session itself when it has ended. A plain
HTTP request has a server and a client span. No query, header or path beyond the route is on any of them.
"""
_TAIL: Final = """\
## Fields of a report

`session_end` has all of these, null where not known. The session's span has the same under `earwitness.`, with dots for what
stands inside.
"""


def markdown() -> Iterator[str]:
    """LOGS.md, line by line."""
    yield from _HEAD.splitlines()
    yield from ("", "| event | level | what it is | fields |", "|---|---|---|---|")
    for event in EVENTS:
        shown = "the report" if event.fields == REPORT else ", ".join(f"`{name}`" for name in event.fields) or "-"
        yield f"| `{event.name}` | {event.levels} | {event.meaning} | {shown} |"
    yield from ("", "## Fields", "", "| field | what it is |", "|---|---|")
    yield from (f"| `{name}` | {meaning} |" for name, meaning in MEANINGS.items())
    yield from ("", *_SPANS.splitlines(), "", *_TAIL.splitlines(), "", "| field | what it is |", "|---|---|")
    for name in REPORT:
        yield f"| `{name}` | {reported.MEANINGS[name]} |"
        for inner in NESTED.get(name, ()):
            yield f"| `{name}.{inner}` | {reported.MEANINGS[meant(name, inner)]} |"


def meant(name: str, inner: str) -> str:
    """Under which name the meaning of an inner field stands: both closes have one, and both directions."""
    return f"{'close' if name in CLOSES else name}.{inner.rpartition('.')[2]}"


if __name__ == "__main__":
    import sys

    sys.stdout.write("\n".join(markdown()) + "\n")
