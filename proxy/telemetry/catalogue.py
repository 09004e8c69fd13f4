"""The one list of metrics: name, kind, unit, help, labels and buckets.

Code, METRICS.md and (in time) dashboards and rules are checked against it. It holds no values and knows of no session.
`python -m proxy.telemetry.catalogue` prints METRICS.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from proxy.core import tally
from proxy.core.policy import Action, Rule
from proxy.core.verdict import Category, Check, Noticed, Outcome, Owner, Phase, Retry, Side

PREFIX: Final = "earwitness_"

DIRECTIONS: Final = ("to_vendor", "to_client")
AUDIO_STAGES: Final = ("read", "written", "delivered", "reported")
DIAL_STAGES: Final = ("dns", "tcp", "tls", "upgrade")
REJECTED: Final = ("bad_request", "upgrade_required", "timeout", "tls", "address", "internal", "too_many_dials", "no_room")
INSPECTED: Final = ("framing", "deflate", "message", "session", "gate")
RESULT_KINDS: Final = ("interim", "final")
STALL_OF: Final[dict[str, str]] = {
    Noticed.VENDOR_SILENT: "vendor_silent", Noticed.CLIENT_SILENT: "client_silent", Noticed.NEVER_READY: "not_ready",
}
"""The facts that are stalls, and what the metric calls them."""
STALLS: Final = tuple(STALL_OF.values())
RESULTS: Final = {"yes": "agrees", "no": "contradicts", "cannot_tell": "cannot_tell"}
"""What a piece of evidence says of a claim, and what the metric calls it."""
VENDOR_OUTCOMES: Final = ("accepted", "rejected")
"""What the vendor made of traffic that a rule would have done something about."""
SIGNALS: Final = ("traces", "logs")
STATUS_CLASSES: Final = ("2xx", "3xx", "4xx", "5xx", "none")


@dataclass(frozen=True, slots=True)
class Metric:
    """`name` bears prefix, unit and `_total`, as it is scraped. Buckets are upper bounds, without +Inf."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, unit: str, labels: str, text: str) -> Metric:
    return Metric(f"{PREFIX}{name}_total", "counter", unit, text, tuple(labels.split()))


def _gauge(name: str, unit: str, labels: str, text: str) -> Metric:
    return Metric(PREFIX + name, "gauge", unit, text, tuple(labels.split()))


def _histogram(name: str, unit: str, labels: str, buckets: tuple[float, ...], text: str) -> Metric:
    return Metric(PREFIX + name, "histogram", unit, text, tuple(labels.split()), buckets)


METRICS: Final = (
    _counter("sessions_started", "", "listener vendor endpoint", "Sessions begun: upgrade requests whose head was read."),
    _gauge("sessions_active", "", "listener vendor endpoint", "Sessions that are open. Started less active is ended, always."),
    _counter("sessions_ended", "", "listener vendor endpoint outcome owner initiated_by",
             "Sessions ended, by how, whose problem it is, and who first did anything to end it."),
    _counter("errors", "", "listener vendor endpoint phase code category owner retry",
             "Sessions that ended in an error or were refused by the vendor: one for each, however many frames and closes told of it."),
    _counter("warnings", "", "listener vendor code", "Errors told without ending the session, and facts noticed while it was open."),
    _counter("stalls", "", "vendor kind", "Sessions that stood still, counted when it is noticed: once a session and kind."),
    _counter("service_seconds", "seconds", "listener vendor endpoint state",
             "Time of sessions, while it passes, by how they were served. Time in which a session could not be looked into is left out."),
    _counter("claims_checked", "", "vendor check result", "What vendors claimed as sessions ended, held against what was measured."),
    _counter("http_requests", "", "listener vendor status_class", "Requests that were no upgrade, by the status that the client got."),
    _counter("http_errors", "", "vendor code category owner", "Requests that were no upgrade and failed."),
    _counter("policy_actions", "", "vendor rule action",
             "What was done to clients' traffic, and in their place, by rules that are enforced."),
    _counter("policy_shadow", "", "vendor rule vendor_outcome",
             "Sessions in which a rule would have acted that is only observed, by whether the vendor took the traffic all the same."),
    _histogram("policy_delay_seconds", "seconds", "vendor", tally.HELD_SECONDS,
               "How long a client's messages were held that were held at all."),
    _gauge("policy_debt_seconds", "seconds", "vendor", "The most audio that is held among open sessions."),
    _counter("requests_rejected", "", "reason", "Requests refused before there was a session."),
    _histogram("dial_seconds", "seconds", "vendor stage", tally.DIAL_SECONDS, "Time to reach the vendor, by stage."),
    _histogram("ready_seconds", "seconds", "vendor endpoint", tally.READY_SECONDS,
               "From the client's request until the vendor was ready for audio."),
    _histogram("session_seconds", "seconds", "vendor outcome", tally.SESSION_SECONDS, "How long sessions lasted, observed as they end."),
    _counter("frames", "", "vendor direction type", "WebSocket frames relayed."),
    _counter("frame_bytes", "bytes", "vendor direction type", "Payload bytes of WebSocket frames relayed."),
    _counter("audio_seconds", "seconds", "listener vendor stage",
             "Audio read from the client, written to the vendor's socket, delivered (acknowledged by the vendor's TCP), "
             "and reported by the vendor itself."),
    _counter("audio_silent_seconds", "seconds", "vendor", "Audio read from the client that was silent, estimated from samples."),
    _histogram("audio_chunk_seconds", "seconds", "vendor", tally.CHUNK_SECONDS, "Duration of the client's audio messages."),
    _histogram("audio_gap_seconds", "seconds", "vendor", tally.GAP_SECONDS, "Time between two audio messages of a client."),
    _histogram("audio_rate_ratio", "ratio", "vendor", tally.RATE_RATIO, "Seconds of audio sent in a second, over windows of some seconds."),
    _gauge("audio_lead_seconds", "seconds", "vendor", "The largest lead of audio over real time among open sessions."),
    _histogram("first_result_seconds", "seconds", "vendor endpoint", tally.LATENCY_SECONDS,
               "From when the first word's audio was written until its first result."),
    _histogram("result_lag_seconds", "seconds", "vendor endpoint kind", tally.LATENCY_SECONDS,
               "How far a result is behind the audio it speaks of, by the result's own position. "
               "Not observed where the vendor gives none, nor for interim results within 1 s of the one before."),
    _counter("results", "", "vendor endpoint kind", "Results that the vendor sent."),
    _histogram("event_loop_lag_seconds", "seconds", "", tally.LAG_SECONDS, "How late a regular tick of the event loop came."),
    _gauge("overloaded", "", "", "1 while the process cannot keep up: new sessions are relayed blind, or refused (limits.overload)."),
    _gauge("buffered_bytes", "bytes", "direction", "Bytes that wait in the buffers of open sessions."),
    _gauge("undelivered_seconds", "seconds", "vendor", "Audio of open sessions that was written and is not yet acknowledged."),
    _counter("inspection_errors", "", "vendor where", "Faults while looking into what passed. The session went on."),
    _counter("sessions_uninspected", "", "vendor", "Sessions that ended with their inspection lost: relayed blind, at least in part."),
    _counter("fleet_fallbacks", "", "vendor",
             "Sessions for which Redis did not say in time whether the account has room: each process decided by itself."),
    _counter("telemetry_dropped", "", "signal", "Spans and log lines that were lost, because nobody took them in time."),
    _gauge("config_last_reload_successful", "", "", "1 if the settings were good when they were last read, else 0."),
    _gauge("config_last_reload_timestamp_seconds", "seconds", "", "When the settings that new sessions get were read, in Unix time."),
    _gauge("build_info", "", "version", "Always 1; the version that runs."),
    _gauge("error_info", "", "vendor code category owner retry", "Always 1; one for each known error, as its rule has it."),
)

BY_NAME: Final = {metric.name: metric for metric in METRICS}


def _values(members: type[StrEnum] | tuple[str, ...]) -> str:
    return ", ".join(f"`{member}`" for member in members)


LABELS: Final = {
    "listener": "the operator's name for the listener",
    "vendor": "the vendor's profile",
    "endpoint": "an endpoint of the profile",
    "outcome": _values(Outcome),
    "owner": f"who has to act: {_values(Owner)}",
    "initiated_by": _values(Side),
    "phase": _values(Phase),
    "code": "an error's code in the profile or `unclassified`; of a warning: its message type, a fact (README.md lists them), `flood` or "
            "`framing_<reason>`",
    "category": _values(Category),
    "retry": _values(Retry),
    "reason": _values(REJECTED),
    "stage": f"of a dial: {_values(DIAL_STAGES)}; of audio: {_values(AUDIO_STAGES)}",
    "direction": _values(DIRECTIONS),
    "type": _values(tally.FRAME_TYPES),
    "kind": f"of a result: {_values(RESULT_KINDS)}; of a stall: {_values(STALLS)}",
    "state": f"{_values(tally.SERVICE_STATES)}: results come in time; results, or acknowledgements of audio, come seconds late; "
             "the vendor says nothing to speech, or audio does not arrive; the vendor has not answered, or not said hello",
    "check": _values(Check),
    "result": _values(tuple(RESULTS.values())),
    "rule": f"of a policy: {_values(Rule)}",
    "action": _values(Action),
    "vendor_outcome": f"{_values(VENDOR_OUTCOMES)}: rejected where the session ended in an error that the rule would have prevented",
    "status_class": f"{_values(STATUS_CLASSES)}: none where the client left before there was an answer",
    "where": _values(INSPECTED),
    "signal": _values(SIGNALS),
    "version": "of the running program",
}
"""Every label and its closed set. Ids, texts, close codes and reasons are never labels."""

_HEAD: Final = """\
# Metrics

Generated from `proxy/telemetry/catalogue.py` by `python -m proxy.telemetry.catalogue > METRICS.md`; a test keeps the two equal.

`/metrics` answers in Prometheus text, or in OpenMetrics where the `Accept` header asks for it. Units are base units. In OpenMetrics
`errors_total`, `ready_seconds`, `first_result_seconds`, `result_lag_seconds` and `session_seconds` have exemplars: the `trace_id` of
a session of which a trace is kept (Prometheus stores them with `--enable-feature=exemplar-storage`). Beside these there are
`process_*` and `python_*`. All are counted in memory by the running process: they start at 0 with it.
"""

_AT_REST: Final = """\
## What is there before anything happened

Only configured vendors have series. The label sets that can be foreseen exist at 0 from the start, so that the first error is an
increase from 0 and not a series out of nowhere. A listener at rest has at most 400 series (histograms' buckets included; beside the
few that the process has once). Therefore these are foreseen in part:

- `errors_total`, with each rule's own owner and the phase that its condition or examples show, as far as there is room, in this
  order: the vendor's own rules, `unclassified`, and the rules that all vendors share, each at the first endpoint where it can
  strike; then the same at the other endpoints
- `sessions_ended_total`: the usual ends (`ENDS` in `proxy/telemetry/known.py`) at each endpoint
- `session_seconds`: the outcomes `ok` and `error`
- `warnings_total`: the facts that the endpoints' profile allows for, and the vendor's messages that warn
- `claims_checked_total`: the checks that the vendor's rules and limits give reason for
- `policy_actions_total`, `policy_shadow_total`: the rules that the listener's policy enforces, or observes, and that its vendor gives
  something to do; `policy_delay_seconds` is there from the first delay on
- `http_requests_total`, `http_errors_total`: where the profile has routes for plain HTTP; of errors those whose rules show that they
  come there, and `unclassified`

Any other combination appears when it first happens: an owner that the evidence corrected, a rarer end. All known errors stand in
`error_info` in any case.
"""


def markdown() -> Iterator[str]:
    """METRICS.md, line by line."""
    yield from _HEAD.splitlines()
    yield from ("", "| name | kind | labels | what it is |", "|---|---|---|---|")
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"
    yield from ("", "## Labels", "", "| label | values |", "|---|---|")
    for label, meaning in LABELS.items():
        yield f"| `{label}` | {meaning} |"
    yield from ("", "## Buckets", "", "Upper bounds; the vendors' published limits are bounds exactly.", "")
    for metric in METRICS:
        if metric.buckets:
            yield f"- `{metric.name}`: {', '.join(f'{bound:g}' for bound in metric.buckets)}"
    yield from ("", *_AT_REST.splitlines())


if __name__ == "__main__":
    import sys

    sys.stdout.write("\n".join(markdown()) + "\n")
