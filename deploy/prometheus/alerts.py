"""The alerts, by whose page or ticket they are at first: expressions and words around the numbers of thresholds.yaml.

`severity: critical` is a page, and there are six of them; `warning` is a ticket. Where a verdict tells the owner, the alert has
that owner, whatever group it stands in: a vendor whose claim the measurements contradict is not the client's ticket.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

VENDOR: Final = "{{ $labels.vendor }}"
CODE: Final = "{{ $labels.code }}"
OWNER: Final = "{{ $labels.owner }}"
COUNT: Final = '{{ $value | printf "%.0f" }}'
SHARE: Final = "{{ $value | humanizePercentage }}"

SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

Numbers = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """`wait` is how long it has to be true. `labels` stand beside those of the expression's result."""

    name: str
    expr: str
    wait: str
    summary: str
    description: str
    labels: Mapping[str, str] = field(default_factory=dict)
    severity: str = "warning"


def groups(numbers: Numbers) -> dict[str, list[Alert]]:
    """All alerts; each group has its page among the runbooks."""
    recurring = numbers["recurring"]
    return {
        "network": [_egress(numbers["egress"])],
        "vendor": [*_burns(numbers["budget"]), _all_failing(numbers["all_failing"], numbers["budget"]["owners"]),
                   _not_good(numbers["not_good"]), _upstream(recurring), _stalls(numbers["stalls"]), _slow_ready(numbers["slow_ready"])],
        "operator": _operator(recurring),
        "client": [*_client(recurring), _never_speak(numbers["never_speak"]), _abandoned(numbers["abandoned"])],
        "sidecar": [_down(numbers["down"], numbers["targets"]), _instance_down(numbers["instance_down"], numbers["targets"]),
                    _bypassed(numbers["bypassed"], numbers["targets"]), _loop_lag(numbers["loop_lag"]),
                    _overloaded(numbers["overloaded"]), _reload(numbers["reload"]), _fleet(numbers["fleet"]),
                    _inspection(numbers["inspection"]), _uninspected(numbers["uninspected"]),
                    _unclassified(numbers["unclassified"]), _contradictions(numbers["contradictions"])],
    }


def _increase(by: str, series: str, window: str, ago: str = "") -> str:
    """Over all processes. For counters of which every label set is there from the start."""
    return f"sum by ({by}) (increase({series}[{window}]{f' offset {ago}' if ago else ''}))"


def _ended(window: str) -> str:
    return f"vendor:earwitness_sessions_ended:increase{window}"


def _often(by: str, count: str, least: int, share: float, of: str) -> str:
    """So many, and so large a share of what the vendor has of `of`."""
    above = ">" if by == "vendor" else "> on (vendor) group_left ()"
    return f"{count} >= {least}\n" + (f"and {count} {above} {share} * {of}\n" if share else "")


def _count(noun: str) -> str:
    """The value with its noun: `1 error`, `2 errors`. Sentences are made so that no verb has to follow the number."""
    return f'{{{{ with $value | printf "%.0f" }}}}{{{{ . }}}} {noun}{{{{ if ne . "1" }}}}s{{{{ end }}}}{{{{ end }}}}'


def _seconds(duration: str) -> int:
    return sum(int(count) * SECONDS[unit] for count, unit in re.findall(r"(\d+)([smhdw])", duration))


# --- network ---

def _egress(n: Numbers) -> Alert:
    window = n["window"]
    by_vendor, by_node = (f"{level}:earwitness_egress_failed:ratio_increase{window}" for level in ("vendor", "node"))
    failed = {level: f'sum by ({level}) ({level}_owner:earwitness_sessions_failed:increase{window}{{owner=~"{n["owners"]}"}})'
              for level in ("vendor", "node")}
    return Alert(
        "EarwitnessEgressFailing",
        f"""\
(
  count({by_vendor} > {n["share"]} and {failed["vendor"]} >= {n["each"]}) >= {n["vendors"]}
  and
  count({by_vendor} > {n["share"]} and {failed["vendor"]} >= {n["each"]}) == count({by_vendor})
)
or
(
  {by_node} > {n["share"]}
  and {failed["node"]} >= {n["failures"]}
  and on () count({by_node} > {n["others"]}) == 1
  and on () count({by_node} <= {n["others"]}) >= 1
)
""",
        n["for"],
        "Every vendor fails, or one node alone does: the way out is broken rather than a vendor.",
        f"{{{{ with $labels.node }}}}Sessions fail on node {{{{ . }}}} and on no other: {SHARE} in {window}."
        f"{{{{ else }}}}Sessions fail with all {COUNT} vendors that have traffic, over {window}.{{{{ end }}}}",
        {"owner": "network"}, "critical",
    )


# --- vendor ---

def _burns(n: Numbers) -> list[Alert]:
    alerts = []
    for burn in n["burns"]:
        most = f"{burn['factor'] * (1 - n['objective']):.4g}"
        short, long = (f"vendor_owner:earwitness_sessions_failed:ratio_rate{burn[which]}" for which in ("short", "long"))
        failed = f"vendor_owner:earwitness_sessions_failed:increase{burn['long']}"
        alerts.append(Alert(
            "EarwitnessErrorBudgetBurn",
            f"{long} > {most}\nand {short} > {most}\nand {failed} >= {burn['failures']}\n",
            burn["for"],
            "Sessions fail so often that the error budget does not last.",
            f"{VENDOR}: {SHARE} of the sessions that ended in {burn['long']} failed, and it goes on in the last {burn['short']}; "
            f"{OWNER} has to act. The objective allows for {100 * (1 - n['objective']):g} %.",
            {"long": burn["long"], "short": burn["short"]}, burn["severity"],
        ))
    return alerts


def _all_failing(n: Numbers, owners: str) -> Alert:
    window, usual = n["window"], n["usual"]
    failed, served = f"vendor_owner:earwitness_sessions_failed:increase{window}", f"vendor:earwitness_sessions_served:increase{window}"
    before = _increase("vendor", "instance_vendor:earwitness_sessions_served:sum", usual["window"], window)
    refused = _increase("vendor, owner", "instance_vendor_owner:earwitness_sessions_failed:sum", usual["window"], window)
    share = usual["times"] * _seconds(window) / _seconds(usual["window"])
    good = _increase("vendor", 'earwitness_service_seconds_total{state="good"}', window)
    return Alert(
        "EarwitnessAllSessionsFailing",
        f"""\
(
  {failed}{{owner=~"{owners}"}} >= {n["failures"]}
  or
  (
    {failed}{{owner="operator"}} >= {n["failures"]}
    and {failed} > {share:.4g} * {refused}
    and on (vendor) {before} >= {usual["served"]}
  )
)
unless on (vendor) {served} > 0
unless on (vendor) {good} >= {n["good_seconds"]} * sum by (vendor) ({failed})
""",
        n["for"],
        "Sessions fail and none succeeds.",
        f"{VENDOR}: {_count('session')} failed in {window} for which {OWNER} has to act, and none was served.",
        severity="critical",
    )


def _not_good(n: Numbers) -> Alert:
    service = "earwitness_service_seconds_total"
    bad = f'sum by (vendor) (rate({service}{{state!="good"}}[{n["window"]}]))'
    return Alert(
        "EarwitnessServiceNotGood",
        f"{bad} / sum by (vendor) (rate({service}[{n['window']}])) > {n['share']}\nand {bad} >= {n['sessions']}\n",
        n["for"],
        "Open sessions are not served: the vendor is late, says nothing to speech, or never becomes ready.",
        f"{VENDOR}: {SHARE} of the time of open sessions in {n['window']} was not good.",
        {"owner": "vendor"}, "critical",
    )


def _upstream(n: Numbers) -> Alert:
    return _recurring(n["upstream"], "EarwitnessUpstreamErrors", "upstream_error|unavailable",
                      "The vendor says again and again that it failed inside, or is overloaded.")


def _stalls(n: Numbers) -> Alert:
    stalls = _increase("vendor, kind", 'earwitness_stalls_total{kind=~"vendor_silent|not_ready"}', n["window"])
    started = _increase("vendor", "earwitness_sessions_started_total", n["window"])
    return Alert(
        "EarwitnessSilentStalls",
        _often("vendor, kind", stalls, n["sessions"], n["share"], started),
        n["for"],
        "Sessions stand still without an error: the vendor says nothing.",
        f"{VENDOR}: {_count('session')} stood still ({{{{ $labels.kind }}}}) in {n['window']}.",
        {"owner": "vendor"},
    )


def _slow_ready(n: Numbers) -> Alert:
    name, window = "earwitness_ready_seconds", n["window"]
    every = _increase("vendor", f"{name}_count", window)
    return Alert(
        "EarwitnessSlowToBecomeReady",
        f"1 - {_increase('vendor', _bucket(name, n['seconds']), window)} / {every} > {n['share']}\nand {every} >= {n['sessions']}\n",
        n["for"],
        "Sessions take long to become ready for audio.",
        f"{VENDOR}: {SHARE} of the sessions in {window} took more than {n['seconds']} s until the vendor was ready.",
        {"owner": "vendor"},
    )


def _bucket(histogram: str, bound: float) -> str:
    return f'{histogram}_bucket{{le="{float(bound)}"}}'


# --- errors of one kind, whoever has to act ---

def _recurring(n: Numbers, name: str, categories: str, summary: str) -> Alert:
    errors = f'vendor_code_category_owner:earwitness_errors:increase{n["window"]}{{category=~"{categories}"}}'
    return Alert(name, _often("code", errors, n["errors"], n["share"], _ended(n["window"])), n["for"], summary,
                 f"{VENDOR}: {_count('error')} {CODE} in {n['window']}; {OWNER} has to act.")


def _operator(n: Numbers) -> list[Alert]:
    return [
        _recurring(n["credentials"], "EarwitnessCredentialsRejected", "auth|permission",
                   "A key or token is refused, or not allowed to do this."),
        _recurring(n["billing"], "EarwitnessBillingExhausted", "billing", "Balance, plan or minutes are used up."),
        _recurring(n["not_found"], "EarwitnessConfigNotFound", "config_not_found",
                   "An id, project, avatar or configuration is not known to the vendor."),
        _recurring(n["deprecated"], "EarwitnessDeprecatedEndpoint", "deprecated", "An endpoint is used that the vendor has retired."),
        _recurring(n["capacity"], "EarwitnessCapacityReached", "rate_limit|concurrency_limit",
                   "The account's limit is reached: too many at once, or in a time."),
    ]


# --- client ---

def _client(n: Numbers) -> list[Alert]:
    return [
        _recurring(n["pacing"], "EarwitnessPacingViolations", "audio_pacing|audio_chunk",
                   "Audio is sent too fast, or in pieces of a wrong size."),
        _recurring(n["format"], "EarwitnessWrongAudioFormat", "audio_format", "Audio cannot be decoded."),
        _undeclared(n["format"]),
        _recurring(n["idle"], "EarwitnessIdleTimeouts", "idle_timeout", "Sessions end because nothing more comes from the client."),
        _recurring(n["protocol"], "EarwitnessProtocolErrors", "protocol", "The form or order of the conversation is broken."),
        _recurring(n["request"], "EarwitnessInvalidRequests", "invalid_request", "A parameter, value, model or path is refused."),
    ]


def _noticed(n: Numbers, name: str, facts: str, least: int, summary: str, told: str) -> Alert:
    """Facts of sessions, which end nothing."""
    seen = _increase("vendor, code", f'earwitness_warnings_total{{code=~"{facts}"}}', n["window"])
    started = _increase("vendor", "earwitness_sessions_started_total", n["window"])
    return Alert(name, _often("code", seen, least, n["share"], started), n["for"], summary,
                 f"{VENDOR}: {_count('session')} in {n['window']} {told} ({CODE}).", {"owner": "client"})


def _undeclared(n: Numbers) -> Alert:
    return _noticed(n, "EarwitnessAudioNotAsDeclared", "container_in_raw|format_mismatch|odd_bytes|text_in_audio", n["errors"],
                    "What is sent as audio is not what was declared.", "had audio that is not what was declared")


def _never_speak(n: Numbers) -> Alert:
    return _noticed(n, "EarwitnessCallersNeverSpeak", "all_zero_audio", n["sessions"],
                    "Callers send audio that is all silence: a muted microphone, or a capture that is broken.", "had nothing but silence")


def _abandoned(n: Numbers) -> Alert:
    left = _increase("vendor", 'earwitness_sessions_ended_total{outcome="abandoned"}', n["window"])
    return Alert(
        "EarwitnessSessionsAbandoned",
        _often("vendor", left, n["sessions"], n["share"], _ended(n["window"])),
        n["for"],
        "Clients leave without the end message: last results are lost, and some vendors go on counting.",
        f"{VENDOR}: {_count('session')} in {n['window']} ended without the vendor's end message.",
        {"owner": "client"},
    )


# --- sidecar ---

SIDECAR: Final = {"owner": "sidecar"}


def _down(n: Numbers, targets: str) -> Alert:
    return Alert(
        "EarwitnessDown", f"absent(up{{{targets}}} == 1)", n["for"],
        "No Earwitness answers a scrape: calls have no way out, or nobody watches them.",
        "No target of Earwitness is up.", SIDECAR, "critical",
    )


def _instance_down(n: Numbers, targets: str) -> Alert:
    return Alert(
        "EarwitnessInstanceDown", f"count by (job) (up{{{targets}}} == 0) > 0", n["for"],
        "Some Earwitness does not answer its scrapes.", f"job {{{{ $labels.job }}}}: {_count('target')} down.", SIDECAR,
    )


def _bypassed(n: Numbers, targets: str) -> Alert:
    started, window = "earwitness_sessions_started_total", n["window"]
    return Alert(
        "EarwitnessBypassed",
        f"""\
sum(increase({started}[{window}])) == 0
and count(up{{{targets}}} == 1) > 0
and (
  sum(increase({started}[{window}] offset {n["week"]}))
  or
  sum(increase({started}[{window}] offset {n["day"]}))
) >= {n["sessions"]}
""",
        n["for"],
        "Earwitness is up and nobody calls through it, at an hour at which they did.",
        f"No session began in {window}. A week ago at this time, or a day ago where that is not known, there were {n['sessions']} or more.",
        SIDECAR,
    )


def _loop_lag(n: Numbers) -> Alert:
    name, window = "earwitness_event_loop_lag_seconds", n["window"]
    late = f"1 - {_increase('instance', _bucket(name, n['seconds']), window)} / {_increase('instance', f'{name}_count', window)}"
    return Alert(
        "EarwitnessEventLoopLag", f"{late} > {n['share']}", n["for"],
        "The process is late to everything: it has too much to do, or too little CPU.",
        f"{SHARE} of the ticks of {{{{ $labels.instance }}}} in {window} came more than {n['seconds']} s late.", SIDECAR,
    )


def _overloaded(n: Numbers) -> Alert:
    return Alert(
        "EarwitnessOverloaded", f"max_over_time(earwitness_overloaded[{n['window']}]) > 0", n["for"],
        "The process cannot keep up: new sessions are relayed blind, or refused.",
        "{{ $labels.instance }} had more to do than it can keep up with.", SIDECAR,
    )


def _reload(n: Numbers) -> Alert:
    return Alert(
        "EarwitnessReloadFailed", "earwitness_config_last_reload_successful == 0", n["for"],
        "The last settings that were to be read again were refused: the ones before them are in force.",
        "{{ $labels.instance }} goes on with the settings that it had; its log says file, line and path of every mistake.", SIDECAR,
    )


def _fleet(n: Numbers) -> Alert:
    return Alert(
        "EarwitnessFleetFallbacks", f"{_increase('vendor', 'earwitness_fleet_fallbacks_total', n['window'])} >= {n['sessions']}", n["for"],
        "Redis does not say whether the account has room: limits of a whole account are not held.",
        f"{VENDOR}: {_count('session')} in {n['window']} began unasked. The vendor's own limit remains.", SIDECAR,
    )


def _inspection(n: Numbers) -> Alert:
    return Alert(
        "EarwitnessInspectionErrors",
        f"{_increase('vendor, where', 'earwitness_inspection_errors_total', n['window'])} >= {n['errors']}", n["for"],
        "What passed could not be looked into. The calls went on.",
        f"{VENDOR}: {_count('fault')} in {n['window']} while looking into what passed ({{{{ $labels.where }}}}).", SIDECAR,
    )


def _uninspected(n: Numbers) -> Alert:
    lost = _increase("vendor", "earwitness_sessions_uninspected_total", n["window"])
    return Alert(
        "EarwitnessSessionsUninspected", _often("vendor", lost, n["sessions"], n["share"], _ended(n["window"])), n["for"],
        "Sessions are relayed blind: their verdicts lack what was said.",
        f"{VENDOR}: {_count('session')} in {n['window']} went through without being looked into.", SIDECAR,
    )


def _rising(now: str, before: str, least: int, n: Numbers) -> str:
    """Many in the window, and many more than in a window of the time before, where there was such a time."""
    share = n["times"] * _seconds(n["window"]) / _seconds(n["usual"])
    return f"{now} >= {least}\nunless {now} <= {share:.4g} * {before}\n"


def _unclassified(n: Numbers) -> Alert:
    by, unknown = "vendor, code", 'instance_vendor_code_category_owner:earwitness_errors:sum{category="unclassified"}'
    now, before = _increase(by, unknown, n["window"]), _increase(by, unknown, n["usual"], n["window"])
    return Alert(
        "EarwitnessUnclassifiedErrorsRising", _rising(now, before, n["errors"], n), n["for"],
        "More and more errors are of no known kind: the catalogue is out of date.",
        f"{VENDOR}: {_count('error')} {CODE} of no known kind in {n['window']}, more than {n['times']} times as many as usual.", SIDECAR,
    )


def _contradictions(n: Numbers) -> Alert:
    by, against = "vendor, check", 'earwitness_claims_checked_total{result="contradicts"}'
    now, before = _increase(by, against, n["window"]), _increase(by, against, n["usual"], n["window"])
    return Alert(
        "EarwitnessContradictionsRising", _rising(now, before, n["claims"], n), n["for"],
        "More and more of what the vendor claims is not what was measured.",
        f"{VENDOR}: measurements contradicted {_count('claim')} ({{{{ $labels.check }}}}) in {n['window']}, "
        f"more than {n['times']} times as many as usual.", SIDECAR,
    )
