"""The dashboards as source: `python -m dashboards.generate [FOLDER]` writes overview.json and vendor.json, beside this file if not
told where.

Owns what is shown. Metrics, and the labels that a query may select by, come from the catalogue; how Grafana wants it said stands
in grafana.py. Every query bears the matchers of `job` and `instance`, and of those variables whose label its metric has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from dashboards.grafana import Json, Links, Panel, Query, constant, dashboard, source, to_dashboard, to_page, variable
from proxy.telemetry.catalogue import BY_NAME, PREFIX

HERE: Final = Path(__file__).parent
RUNBOOKS: Final = "${runbooks}/README.md"
OVERVIEW: Final = "earwitness-overview"
VENDOR: Final = "earwitness-vendor"
THRESHOLDS: Final = HERE.parent / "deploy" / "prometheus" / "thresholds.yaml"
"""Where the rules have it from where the runbooks are served."""

EXEMPLARS: Final = {"errors_total", "ready_seconds", "first_result_seconds", "result_lag_seconds", "session_seconds"}
"""Metrics that name the traces of sessions, as METRICS.md says."""

GREEN, YELLOW, ORANGE, RED, PURPLE, BLUE, GREY, TEAL = (
    "#73BF69", "#FADE2A", "#FF9830", "#F2495C", "#B877D9", "#5794F2", "#9FA7B3", "#4AB8C1")
OUTCOMES: Final = {"ok": GREEN, "error": RED, "refused_by_vendor": ORANGE, "refused_here": PURPLE, "abandoned": YELLOW, "drained": BLUE}
OWNERS: Final = {"operator": PURPLE, "client": YELLOW, "vendor": RED, "network": ORANGE, "sidecar": BLUE, "none": GREEN, "unknown": GREY}
STATES: Final = {"good": GREEN, "lagging": YELLOW, "stalled": RED, "not_ready": BLUE}
STAGES: Final = {"read": BLUE, "written": TEAL, "delivered": GREEN, "reported": ORANGE}
CLASSES: Final = {"2xx": GREEN, "3xx": BLUE, "4xx": YELLOW, "5xx": RED, "none": GREY}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a dashboard selects by: `variables` are names of labels. The rest writes PromQL within it."""

    variables: tuple[str, ...] = ()

    def of(self, name: str, *matchers: str, suffix: str = "") -> str:
        """A selector. Raises KeyError for a metric that the catalogue does not have."""
        metric = BY_NAME[PREFIX + name]
        chosen = ("job", "instance", *(label for label in self.variables if label in metric.labels))
        selected = ",".join((*(f'{label}=~"${label}"' for label in chosen), *matchers))
        return f"{metric.name}{suffix}{{{selected}}}"

    def rate(self, by: str, name: str, *matchers: str, suffix: str = "") -> str:
        """A second."""
        return f"sum{_by(by)} (rate({self.of(name, *matchers, suffix=suffix)}[$__rate_interval]))"

    def a_minute(self, by: str, name: str, *matchers: str) -> str:
        return f"60 * {self.rate(by, name, *matchers)}"

    def grown(self, by: str, name: str, *matchers: str) -> str:
        """Over all that is shown."""
        return f"sum{_by(by)} (increase({self.of(name, *matchers)}[$__range]))"

    def quantile(self, part: float, by: str, name: str, *matchers: str) -> str:
        """Without the series in which nothing was observed: they are not a number, which is not at least 0."""
        return f"histogram_quantile({part}, {self.rate(f'{by}, le' if by else 'le', name, *matchers, suffix='_bucket')}) >= 0"

    def mean(self, by: str, name: str, *matchers: str) -> str:
        return f"{self.rate(by, name, *matchers, suffix='_sum')} / {self.rate(by, name, *matchers, suffix='_count')} >= 0"

    def buckets(self, name: str, *matchers: str) -> Query:
        return Query(self.rate("le", name, *matchers, suffix="_bucket"), "{{le}}", exemplar=name in EXEMPLARS)

    def latency(self, by: str, legend: str, name: str) -> tuple[Query, ...]:
        return (Query(self.quantile(0.95, by, name), f"{legend} p95", exemplar=name in EXEMPLARS),
                Query(self.mean(by, name), f"{legend} mean"))

    def reach(self, *names: str) -> str:
        """A sentence on the variables that the metrics of a panel do not have."""
        missing = [label for label in self.variables if any(label not in BY_NAME[PREFIX + name].labels for name in names)]
        return f" Not by {' or '.join(missing)}." if missing else ""


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _stats(scope: Scope) -> Iterator[Panel]:
    ended, ok = scope.grown("", "sessions_ended_total", 'outcome!="drained"'), scope.grown("", "sessions_ended_total", 'outcome="ok"')
    failed = scope.grown("", "sessions_ended_total", 'owner="vendor"')
    yield _stat("Open sessions", "Sessions that are open now.", f"sum({scope.of('sessions_active')})")
    yield _stat("Sessions ended", "Sessions that ended in the time that is shown.", ended)
    yield _stat("Ended well", "The part of sessions whose outcome is ok, of all but those that a drain ended.", f"{ok} / {ended}",
                "percentunit", decimals=1)
    yield _stat("Failed by the vendor", "The part of sessions that ended, or never began, for a reason that is the vendor's to mend.",
                f"{failed} / {ended}", "percentunit", decimals=1, warn=0.01, alarm=0.05)
    yield _stat("Audio delivered", "Audio that the vendor's TCP has acknowledged.",
                scope.grown("", "audio_seconds_total", 'stage="delivered"'), "s", decimals=1)
    yield _stat("Stalls", f"Sessions that stood still.{scope.reach('stalls_total')}", scope.grown("", "stalls_total"), warn=1)
    yield _stat("Contradicted claims", f"What vendors claimed and the measurement contradicts.{scope.reach('claims_checked_total')}",
                scope.grown("", "claims_checked_total", 'result="contradicts"'), warn=1)


def _stat(title: str, description: str, expr: str, unit: str = "none", decimals: int = 0, warn: float | None = None,
          alarm: float | None = None, width: int = 3) -> Panel:
    return Panel("stat", title, description, unit, (Query(expr, title, instant=True),), width, decimals=decimals, warn=warn, alarm=alarm)


def _ends(scope: Scope) -> Panel:
    return Panel("timeseries", "How sessions ended", "Sessions ended a minute, by outcome.", "cpm",
                 (Query(scope.a_minute("outcome", "sessions_ended_total"), "{{outcome}}"),), 8, stacked=True, colors=OUTCOMES)


def _states(scope: Scope) -> Panel:
    states, total = scope.rate("state", "service_seconds_total"), scope.rate("", "service_seconds_total")
    return Panel("timeseries", "Open time by state",
                 "How the time of open sessions was served, while it passes. An outage shows here before calls end.", "percentunit",
                 (Query(f"{states} / on () group_left () {total} >= 0", "{{state}}"),), 8, stacked=True, highest=1, colors=STATES)


def _owners(scope: Scope) -> Panel:
    return Panel("timeseries", "Errors by owner", "Errors a minute, by who has to act.", "cpm",
                 (Query(scope.a_minute("owner", "errors_total"), "{{owner}}", exemplar=True),), 8, stacked=True,
                 colors=OWNERS, links=TO_RUNBOOK)


def _audio(scope: Scope, width: int) -> Panel:
    return Panel("timeseries", "Audio relayed",
                 "Seconds of audio a second: read from clients, written to vendors, acknowledged by their TCP, reported by themselves."
                 + scope.reach("audio_seconds_total"), "none",
                 (Query(scope.rate("stage", "audio_seconds_total"), "{{stage}}"),), width, colors=STAGES)


def _chunks(scope: Scope, width: int) -> Panel:
    return Panel("heatmap", "Duration of audio messages",
                 "Audio messages of clients a second, by their duration. Some vendors refuse less than 0.05 s or more than 1 s."
                 + scope.reach("audio_chunk_seconds"), "s", (scope.buckets("audio_chunk_seconds"),), width)


def _events(title: str, description: str, expr: str, legend: str, width: int, links: Links | None = None,
            exemplar: bool = False) -> Panel:
    """For what happens now and then. Kinds that do not happen are left out: there are many."""
    query = Query(f"{expr} > 0", legend, exemplar=exemplar)
    return Panel("timeseries", title, description, "cpm", (query,), width, bars=True, links=links or {})


def _policy(scope: Scope, width: int) -> tuple[Panel, Panel]:
    done = "What enforced rules did to clients' traffic, and in their place, a minute."
    shadow = "Sessions a minute in which a rule would have acted that is only observed, by whether the vendor took them all the same."
    return (
        _events("Policy actions", done + scope.reach("policy_actions_total"),
                scope.a_minute("rule, action", "policy_actions_total"), "{{rule}} {{action}}", width),
        _events("Policy, observed only", shadow + scope.reach("policy_shadow_total"),
                scope.a_minute("rule, vendor_outcome", "policy_shadow_total"), "{{rule}} {{vendor_outcome}}", width))


def _stalls(scope: Scope, by: str, legend: str, width: int) -> Panel:
    return _events("Stalls over time", f"Sessions that began to stand still, a minute.{scope.reach('stalls_total')}",
                   scope.a_minute(f"{by}kind", "stalls_total"), f"{legend}{{{{kind}}}}", width, TO_RUNBOOKS)


TO_RUNBOOK: Final[Links] = {"": ("Runbook of ${__series.name}", "${runbooks}/${__series.name}.md")}
TO_RUNBOOKS: Final[Links] = {"": ("Runbooks", RUNBOOKS)}
TO_VENDOR: Final[Links] = {"": ("${__field.labels.vendor}", f"/d/{VENDOR}?var-vendor=${{__field.labels.vendor}}&${{__url_time_range}}")}


def overview() -> Json:
    scope = Scope()
    sidecars = _stat("Sidecars", "Processes that are scraped.", f"sum({scope.of('build_info')})")
    return dashboard(
        OVERVIEW, "Earwitness / Overview", "All vendors: how sessions end, whose problem it is, how late results are.",
        (*_variables(),), (to_dashboard("Vendor", VENDOR), to_page("Runbooks", RUNBOOKS)),
        (("At a glance", 4, (sidecars, *_stats(scope))), ("Sessions", 8, (_ends(scope), _success(scope), _states(scope))),
         ("Errors", 8, (_owners(scope), _errors(scope, ("vendor", "code", "owner", "retry"), 16))),
         ("Latency", 8, (*_latencies(scope),)), ("Audio", 8, (*_audio_by_vendor(scope),)),
         ("Policy and evidence", 8, (*_policy(scope, 6), _stalls(scope, "vendor, ", "{{vendor}} ", 6), _contradicted(scope))),
         ("Sidecar", 7, (*_sidecar(scope, 5),))))


def _variables() -> Iterator[Json]:
    yield source()
    yield variable("job", f"{PREFIX}build_info")
    yield variable("instance", f'{PREFIX}build_info{{job=~"$job"}}')
    yield constant("runbooks", "Runbooks", yaml.safe_load(THRESHOLDS.read_text())["runbooks"])


def _success(scope: Scope) -> Panel:
    ok, all_of_them = (scope.rate("vendor", "sessions_ended_total", matcher) for matcher in ('outcome="ok"', 'outcome!="drained"'))
    return Panel("timeseries", "Success by vendor", "The part of sessions whose outcome is ok. A client's fault lowers it as well.",
                 "percentunit", (Query(f"{ok} / {all_of_them} >= 0", "{{vendor}}"),), 8, highest=1, links=TO_VENDOR)


def _errors(scope: Scope, labels: tuple[str, ...], width: int) -> Panel:
    columns = {**{label: label.title() for label in labels}, "Value": "Sessions"}
    links = {"owner": ("Runbook", "${runbooks}/${__value.text}.md")}
    if "vendor" in labels:
        links["vendor"] = ("Vendor", f"/d/{VENDOR}?var-vendor=${{__value.text}}&${{__url_time_range}}")
    return Panel("table", "Errors by code", "Sessions that ended in an error, or were refused, in the time that is shown.", "none",
                 (Query(f"topk(20, {scope.grown(', '.join(labels), 'errors_total')} > 0.5)", instant=True),), width, decimals=0,
                 columns=columns, links=links)


def _latencies(scope: Scope) -> Iterator[Panel]:
    yield Panel("timeseries", "Time to ready", "From the client's request until the vendor was ready for audio.", "s",
                scope.latency("vendor", "{{vendor}}", "ready_seconds"), 8, links=TO_VENDOR)
    yield Panel("timeseries", "First result", "From when the first word's audio was written until its first result.", "s",
                scope.latency("vendor", "{{vendor}}", "first_result_seconds"), 8, links=TO_VENDOR)
    yield Panel("timeseries", "Result lag", "How far a result is behind the audio it speaks of, by the result's own position.", "s",
                scope.latency("vendor, kind", "{{vendor}} {{kind}}", "result_lag_seconds"), 8, links=TO_VENDOR)


def _audio_by_vendor(scope: Scope) -> Iterator[Panel]:
    yield _audio(scope, 6)
    yield Panel("timeseries", "Pace", "Seconds of audio that clients send in a second: 1 is live.", "none",
                scope.latency("vendor", "{{vendor}}", "audio_rate_ratio"), 6, links=TO_VENDOR)
    yield Panel("timeseries", "Lead over real time", "The largest lead of audio over real time among open sessions.", "s",
                (Query(f"max by (vendor) ({scope.of('audio_lead_seconds')})", "{{vendor}}"),), 6, links=TO_VENDOR)
    yield _chunks(scope, 6)


def _contradicted(scope: Scope) -> Panel:
    return _events("Claims contradicted over time", "Sessions a minute in which the measurement contradicts what the vendor claimed.",
                   scope.a_minute("vendor, check", "claims_checked_total", 'result="contradicts"'), "{{vendor}} {{check}}", 6, TO_VENDOR)


def _sidecar(scope: Scope, width: int) -> Iterator[Panel]:
    lag = "event_loop_lag_seconds"
    yield Panel("timeseries", "Event loop lag", "How late a regular tick of the event loop came, over all sidecars.", "s",
                (Query(scope.quantile(0.99, "instance", lag), "{{instance}} p99"),), width)
    yield Panel("timeseries", "Buffered", "Bytes that wait in the buffers of open sessions.", "bytes",
                (Query(f"sum by (direction) ({scope.of('buffered_bytes')})", "{{direction}}"),), width)
    faults = (("inspection_errors_total", "inspection error"), ("sessions_uninspected_total", "session uninspected"),
              ("requests_rejected_total", "request rejected"), ("telemetry_dropped_total", "telemetry dropped"),
              ("fleet_fallbacks_total", "fleet fallback"))
    yield Panel("timeseries", "The sidecar's own faults",
                "Faults while looking into what passed, sessions relayed blind, requests refused, spans and log lines lost, a minute.",
                "cpm", tuple(Query(scope.a_minute("", name), legend) for name, legend in faults), width, links=TO_RUNBOOKS)
    yield _stat("Overloaded", "Sidecars that cannot keep up: new sessions are relayed blind there, or refused.",
                f"sum({scope.of('overloaded')})", warn=1)
    yield _stat("Reloads that failed", "Sidecars that run on older settings than those in their files: the newer ones were refused.",
                f"sum(1 - {scope.of('config_last_reload_successful')})", warn=1)
    yield Panel("stat", "Settings read", "How long ago the settings in use were read, where that was longest ago.", "s",
                (Query(f"max(time() - {scope.of('config_last_reload_timestamp_seconds')})", "Settings read", instant=True),), 3, decimals=0)


def vendor() -> Json:
    scope = Scope(("vendor", "listener", "endpoint"))
    started, within = (Scope(names).of("sessions_started_total") for names in ((), ("vendor",)))
    return dashboard(
        VENDOR, "Earwitness / Vendor", "One vendor, by listener and endpoint where its metrics tell them apart.",
        (*_variables(), variable("vendor", started, multi=False), variable("listener", within), variable("endpoint", within)),
        (to_dashboard("Overview", OVERVIEW), to_page("Runbooks", RUNBOOKS)),
        (("At a glance", 4, (*_stats(scope),)), ("Sessions", 8, (_ends(scope), _began(scope), _states(scope), *_lengths(scope))),
         ("Errors", 8, (_owners(scope), _errors(scope, ("code", "category", "phase", "owner", "retry"), 16), *_told(scope))),
         ("Latency", 8, (*_latency_of_one(scope),)), ("Audio", 8, (*_audio_of_one(scope),)),
         ("Policy", 8, (*_policy(scope, 8), *_held(scope))), ("Requests that are no session", 8, (*_http(scope),))))


def _began(scope: Scope) -> Panel:
    return Panel("timeseries", "Who ended it", "Sessions ended a minute, by who first did anything to end them.", "cpm",
                 (Query(scope.a_minute("initiated_by", "sessions_ended_total"), "{{initiated_by}}"),), 8, stacked=True)


def _lengths(scope: Scope) -> Iterator[Panel]:
    yield Panel("timeseries", "Sessions open", "Sessions that are open, by endpoint.", "none",
                (Query(f"sum by (endpoint) ({scope.of('sessions_active')})", "{{endpoint}}"),), 8, stacked=True)
    yield Panel("timeseries", "Length of sessions", "How long sessions lasted that ended." + scope.reach("session_seconds"), "s",
                (Query(scope.quantile(0.5, "outcome", "session_seconds"), "{{outcome}} p50", exemplar=True),), 8)
    yield _stalls(scope, "", "", 8)


def _told(scope: Scope) -> Iterator[Panel]:
    yield _events("Errors over time", "Errors a minute, by code and endpoint.",
                  scope.a_minute("endpoint, code", "errors_total"), "{{code}} ({{endpoint}})", 8, exemplar=True)
    yield _events("Warnings", "Errors told without ending the session, and facts noticed while it was open, a minute."
                  + scope.reach("warnings_total"), scope.a_minute("code", "warnings_total"), "{{code}}", 8)
    yield _events("Claims checked", "What the vendor claimed as sessions ended, held against what was measured, a minute."
                  + scope.reach("claims_checked_total"), scope.a_minute("check, result", "claims_checked_total"), "{{check}} {{result}}", 8)


def _latency_of_one(scope: Scope) -> Iterator[Panel]:
    yield Panel("timeseries", "Reaching the vendor", "Time to reach the vendor, by stage." + scope.reach("dial_seconds"), "s",
                scope.latency("stage", "{{stage}}", "dial_seconds"), 8)
    yield Panel("timeseries", "Time to ready", "From the client's request until the vendor was ready for audio."
                + scope.reach("ready_seconds"), "s", scope.latency("endpoint", "{{endpoint}}", "ready_seconds"), 8)
    yield Panel("timeseries", "First result", "From when the first word's audio was written until its first result."
                + scope.reach("first_result_seconds"), "s", scope.latency("endpoint", "{{endpoint}}", "first_result_seconds"), 8)
    yield Panel("timeseries", "Result lag", "How far a result is behind the audio it speaks of, by the result's own position."
                + scope.reach("result_lag_seconds"), "s", scope.latency("endpoint, kind", "{{endpoint}} {{kind}}", "result_lag_seconds"), 8)
    yield Panel("heatmap", "Result lag, all of it", "Results a second, by how far they are behind." + scope.reach("result_lag_seconds"),
                "s", (scope.buckets("result_lag_seconds"),), 8)
    yield Panel("timeseries", "Results", "Results that the vendor sent, a minute." + scope.reach("results_total"), "cpm",
                (Query(scope.a_minute("endpoint, kind", "results_total"), "{{endpoint}} {{kind}}"),), 8)


def _audio_of_one(scope: Scope) -> Iterator[Panel]:
    yield _audio(scope, 8)
    yield Panel("timeseries", "Lead and debt", "The largest lead over real time, and the audio that is written and not acknowledged."
                + scope.reach("audio_lead_seconds"), "s",
                (Query(f"max({scope.of('audio_lead_seconds')})", "lead"),
                 Query(f"sum({scope.of('undelivered_seconds')})", "undelivered")), 8)
    whole = Scope(("vendor",))  # what was read could be had by listener, what was silent could not
    silent, read = whole.rate("", "audio_silent_seconds_total"), whole.rate("", "audio_seconds_total", 'stage="read"')
    yield Panel("timeseries", "Silence", "The part of the clients' audio that was silent, estimated from samples."
                + scope.reach("audio_silent_seconds_total"), "percentunit", (Query(f"{silent} / {read} >= 0", "silent"),), 8, highest=1)
    yield _chunks(scope, 8)
    yield Panel("heatmap", "Time between audio messages", "Audio messages of clients a second, by the time since the one before."
                + scope.reach("audio_gap_seconds"), "s", (scope.buckets("audio_gap_seconds"),), 8)
    yield Panel("timeseries", "Pace", "Seconds of audio that clients send in a second, over windows of some seconds."
                + scope.reach("audio_rate_ratio"), "none",
                (*(Query(scope.quantile(part, "", "audio_rate_ratio"), f"p{part * 100:.0f}") for part in (0.05, 0.5, 0.95)),), 8)
    yield Panel("timeseries", "Frames", "WebSocket frames relayed a second." + scope.reach("frames_total"), "cps",
                (Query(scope.rate("direction, type", "frames_total") + " > 0", "{{direction}} {{type}}"),), 12)
    yield Panel("timeseries", "Bytes", "Payload bytes of WebSocket frames relayed a second." + scope.reach("frame_bytes_total"), "Bps",
                (Query(scope.rate("direction, type", "frame_bytes_total") + " > 0", "{{direction}} {{type}}"),), 12)


def _held(scope: Scope) -> Iterator[Panel]:
    yield Panel("timeseries", "Held back", "How long messages were held that were held at all, and the most audio that is held now."
                + scope.reach("policy_delay_seconds"), "s",
                (*scope.latency("", "delay", "policy_delay_seconds"),
                 Query(f"max({scope.of('policy_debt_seconds')})", "held now")), 8)


def _http(scope: Scope) -> Iterator[Panel]:
    yield Panel("timeseries", "HTTP requests", "Requests that were no upgrade, a minute, by the status that the client got."
                + scope.reach("http_requests_total"), "cpm",
                (Query(scope.a_minute("status_class", "http_requests_total"), "{{status_class}}"),), 12, stacked=True, colors=CLASSES)
    yield _events("HTTP errors", "Requests that were no upgrade and failed, a minute." + scope.reach("http_errors_total"),
                  scope.a_minute("code, owner", "http_errors_total"), "{{code}} ({{owner}})", 12)


DASHBOARDS: Final = {"overview.json": overview, "vendor.json": vendor}


def text(board: Json) -> str:
    return json.dumps(board, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file, make in DASHBOARDS.items():
        (Path(*sys.argv[1:]) if sys.argv[1:] else HERE).joinpath(file).write_text(text(make()))
