"""Which label sets are there at 0 before anything happened: what can be foreseen, within a budget of 400 series a listener.

Derived from the profiles, never typed. It counts nothing itself. METRICS.md says the same in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, product
from math import prod
from typing import Final

from proxy.core.classify import NOTHING, Meaning, meaning_of
from proxy.core.messages import Message
from proxy.core.policy import Action, Bounds, Mode, Policy, bounds
from proxy.core.policy import Rule as PolicyRule
from proxy.core.profile import Endpoint, Profile
from proxy.core.reach import acts, counts
from proxy.core.rules import Common, Rule
from proxy.core.tally import FRAME_TYPES, SERVICE_STATES
from proxy.core.verdict import Category, Check, Noticed, Outcome, Owner, Phase, Side
from proxy.telemetry.catalogue import (
    DIAL_STAGES,
    DIRECTIONS,
    INSPECTED,
    METRICS,
    RESULT_KINDS,
    RESULTS,
    STALLS,
    STATUS_CLASSES,
    VENDOR_OUTCOMES,
)

ENDS: Final = (
    (Outcome.OK, Owner.NONE, Side.CLIENT),
    (Outcome.OK, Owner.NONE, Side.VENDOR),
    (Outcome.ERROR, Owner.OPERATOR, Side.VENDOR),
    (Outcome.ERROR, Owner.CLIENT, Side.CLIENT),
    (Outcome.ERROR, Owner.CLIENT, Side.VENDOR),
    (Outcome.ERROR, Owner.VENDOR, Side.VENDOR),
    (Outcome.ERROR, Owner.NETWORK, Side.NETWORK),
    (Outcome.ERROR, Owner.NETWORK, Side.VENDOR),
    (Outcome.ERROR, Owner.UNKNOWN, Side.VENDOR),
    (Outcome.REFUSED_BY_VENDOR, Owner.OPERATOR, Side.VENDOR),
    (Outcome.REFUSED_BY_VENDOR, Owner.CLIENT, Side.VENDOR),
    (Outcome.REFUSED_BY_VENDOR, Owner.VENDOR, Side.VENDOR),
    (Outcome.REFUSED_BY_VENDOR, Owner.NETWORK, Side.NETWORK),
    (Outcome.REFUSED_HERE, Owner.SIDECAR, Side.SIDECAR),
    (Outcome.ABANDONED, Owner.CLIENT, Side.CLIENT),
    (Outcome.DRAINED, Owner.SIDECAR, Side.SIDECAR),
)
"""Outcome, owner and initiator of the ends that every deployment meets sooner or later."""

CLAIMED: Final = {
    Category.IDLE_TIMEOUT: (Check.AUDIO_RECEIVED, Check.IDLE),
    Category.AUDIO_CHUNK: (Check.CHUNK_DURATION, Check.CHUNK_BYTES),
    Category.AUDIO_PACING: (Check.AUDIO_RATE,),
    Category.AUDIO_FORMAT: (Check.AUDIO_DECODABLE,),
    Category.SESSION_EXPIRED: (Check.SESSION_DURATION,),
    Category.CONCURRENCY_LIMIT: (Check.CONCURRENCY, Check.CONNECTION_RATE),
    Category.RATE_LIMIT: (Check.CONNECTION_RATE, Check.MESSAGE_RATE),
    Category.PROTOCOL: (Check.MESSAGE_SHAPE,),
    Category.AUTH: (Check.CREDENTIALS, Check.READY_BEFORE),
    Category.PERMISSION: (Check.READY_BEFORE,),
}
"""What a claim of each category is held against, where there is something to hold it against."""

RARE: Final = frozenset({"reading_stopped"})
"""Facts that are told when they are there and not before."""

PLAIN: Final = frozenset({Phase.SESSION_TOKEN, Phase.HTTP_REQUEST})
"""The phases of plain HTTP."""

TIMED_OUTCOMES: Final = (Outcome.OK, Outcome.ERROR)
FAILED: Final = (Outcome.ERROR, Outcome.REFUSED_BY_VENDOR)

SERIES_AT_REST: Final = 400
"""What a listener may have before anything happened, but for the few series that the process has once."""

OBSERVING: Final = Policy()
"""What holds where nobody says otherwise."""

ErrorLabels = tuple[str, str, str, str, str, str]
"""Endpoint, phase, code, category, owner, retry."""


def errors(profile: Profile, common: Common, policy: Policy = OBSERVING) -> Iterator[ErrorLabels]:
    """The label sets of `errors_total` that are there at rest, without listener and vendor: as many as there is room for."""
    return islice(dict.fromkeys(_errors(profile, common)), max(0, SERIES_AT_REST - _others(profile, common, policy)))


def _errors(profile: Profile, common: Common) -> Iterator[ErrorLabels]:
    """The likeliest first: each rule at one endpoint, the vendor's own before the common ones; then at the others."""
    everywhere = tuple(profile.endpoints)
    own = [(_endpoints(rule) or everywhere, _phases(rule), _labels(meaning_of(rule, True))) for rule in _failing(profile.rules)]
    failures = [
        *((endpoints, phases[:1], labels) for endpoints, phases, labels in own),
        *((endpoints, phases[1:], labels) for endpoints, phases, labels in own),
        (everywhere, (Phase.WEBSOCKET_CONNECT, Phase.WEBSOCKET_RUNTIME), _labels(NOTHING)),
        *((everywhere, _phases(rule), _labels(meaning_of(rule, False))) for rule in _failing(common.rules)),
    ]
    for turn in range(len(everywhere)):
        for endpoints, phases, labels in failures:
            for endpoint, phase in product(endpoints[turn : turn + 1], phases):
                if phase not in PLAIN:
                    yield endpoint, phase, *labels


def _others(profile: Profile, common: Common, policy: Policy) -> int:
    """How many series all other metrics of a listener have at rest."""
    sizes = {"endpoint": len(profile.endpoints), "outcome": len(TIMED_OUTCOMES), "direction": len(DIRECTIONS), "type": len(FRAME_TYPES),
             "kind": len(RESULT_KINDS), "where": len(INSPECTED), "stage": len(DIAL_STAGES), "state": len(SERVICE_STATES)}
    sets = {
        "earwitness_stalls_total": len(STALLS),
        "earwitness_claims_checked_total": len(checks(profile)) * len(RESULTS),
        "earwitness_http_requests_total": len(status_classes(profile)),
        "earwitness_http_errors_total": len(request_errors(profile, common)),
        "earwitness_policy_actions_total": len(actions(profile, policy)),
        "earwitness_policy_shadow_total": len(shadows(profile, policy)),
        "earwitness_policy_delay_seconds": 0,
        "earwitness_sessions_ended_total": len(profile.endpoints) * len(ENDS),
        "earwitness_warnings_total": len(set(warnings(profile))),
        "earwitness_error_info": len(set(meanings(profile, common))),
        "earwitness_errors_total": 0,
    }
    return sum(
        sets.get(metric.name, prod(sizes.get(label, 1) for label in metric.labels)) * (len(metric.buckets) + 3 if metric.buckets else 1)
        for metric in METRICS if "vendor" in metric.labels
    )


def meanings(profile: Profile, common: Common) -> Iterator[tuple[str, str, str, str]]:
    """Code, category, owner and retry of each known error, for `error_info`. May repeat itself."""
    for rule in (*_failing(profile.rules), *_failing(common.rules)):
        yield _labels(meaning_of(rule, False))
    yield _labels(NOTHING)


def warnings(profile: Profile) -> Iterator[str]:
    """The codes of `warnings_total`: facts, and the vendor's messages that need not end a session. May repeat itself."""
    for endpoint in profile.endpoints.values():
        yield from facts(endpoint)
        for name, messages in (*endpoint.server.kinds.items(), ("untyped", endpoint.server.untyped)):
            yield from (message.name or name for message in messages if _may_pass(message))


def _may_pass(message: Message) -> bool:
    return message.role == "warning" or (message.role == "error" and message.fatal is not True)


def facts(endpoint: Endpoint) -> Iterator[Noticed]:
    """What can be noticed of the endpoint's sessions."""
    limits, server = endpoint.limits, endpoint.server.all()
    foreseen = {
        Noticed.NEVER_READY: endpoint.ready == "message",
        Noticed.EARLY_AUDIO: endpoint.ready == "message",
        Noticed.VENDOR_SILENT: any(message.role == "result" for message in server),
        Noticed.NEAR_LIMIT: limits.session_seconds is not None or any(message.expires_at for message in server),
        Noticed.IDLE_SOON: limits.idle_seconds is not None or limits.idle_query is not None,
    }
    return (fact for fact in Noticed if fact not in RARE and foreseen.get(fact, True))


def checks(profile: Profile) -> set[Check]:
    """What claims by the profile's own rules may be held against."""
    claimed = {rule.category for rule in _failing(profile.rules)}
    found = {check for category, several in CLAIMED.items() if category in claimed for check in several}
    every = [message for endpoint in profile.endpoints.values() for message in endpoint.server.all()]
    limits = [endpoint.limits for endpoint in profile.endpoints.values()]
    idle = {endpoint.idle_reset for endpoint in profile.endpoints.values()}
    possible = {
        Check.AUDIO_RECEIVED: "audio" in idle,
        Check.IDLE: "message" in idle,
        Check.CHUNK_BYTES: any(limit.chunk_bytes for limit in limits),
        Check.CHUNK_DURATION: any(limit.chunk_seconds for limit in limits),
        Check.MESSAGE_RATE: any(limit.messages_per_minute or limit.chunks_per_second for limit in limits),
        Check.READY_BEFORE: any(endpoint.ready == "message" for endpoint in profile.endpoints.values()),
    }
    if any(message.audio_seconds for message in every):
        found.add(Check.REPORTED_AUDIO)
    return {check for check in found if possible.get(check, True)}


def actions(profile: Profile, policy: Policy) -> list[tuple[PolicyRule, Action]]:
    """What the enforced rules may do, for `policy_actions_total`."""
    every = (does for rule in PolicyRule if policy.enforces(rule) for does in product([rule], _does(rule, profile, policy)))
    return list(dict.fromkeys(every))


def shadows(profile: Profile, policy: Policy) -> list[tuple[PolicyRule, str]]:
    """The rules that only count, and what the vendor may make of the traffic, for `policy_shadow_total`."""
    counted = [rule for rule in PolicyRule if policy.mode_of(rule) is not Mode.OFF
               and not (policy.enforces(rule) and _does(rule, profile, policy))
               and any(counts(rule, *one) for one in _bounded(profile, policy))]
    return list(product(counted, VENDOR_OUTCOMES))


def _does(rule: PolicyRule, profile: Profile, policy: Policy) -> list[Action]:
    return [action for one in _bounded(profile, policy) for action in acts(rule, *one)]


def _bounded(profile: Profile, policy: Policy) -> list[tuple[Endpoint, Bounds]]:
    return [(endpoint, bounds(policy.rules, endpoint.limits)) for endpoint in profile.endpoints.values()]


def status_classes(profile: Profile) -> tuple[str, ...]:
    return STATUS_CLASSES if any(route.kind == "http" for route in profile.routes) else ()


def request_errors(profile: Profile, common: Common) -> list[tuple[str, str, str]]:
    """Code, category and owner of what `http_errors_total` counts, where there are routes for plain HTTP."""
    if not status_classes(profile):
        return []
    rules = [rule for rule in (*_failing(profile.rules), *_failing(common.rules)) if PLAIN.intersection(_phases(rule))]
    return list(dict.fromkeys(_labels(meaning)[:3] for meaning in (*(meaning_of(rule, False) for rule in rules), NOTHING)))


def _failing(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Those by which a session can fail; words without a number are for `earwitness explain`."""
    return (rule for rule in rules
            if not rule.one_of and rule.outcome == "error" and not all(when.numbered is False for when in rule.when))


def _labels(meaning: Meaning) -> tuple[str, str, str, str]:
    return meaning.code, meaning.category, meaning.owner, meaning.retry


def _endpoints(rule: Rule) -> tuple[str, ...]:
    """The endpoints a rule names; none where any of its conditions holds everywhere."""
    if any(when.endpoint is None for when in rule.when):
        return ()
    return tuple(dict.fromkeys(endpoint for when in rule.when for endpoint in when.endpoint or ()))


def _phases(rule: Rule) -> tuple[Phase, ...]:
    """Where a rule strikes: as its conditions say, else as its examples show."""
    said = dict.fromkeys(phase for when in rule.when for phase in when.phase or ())
    return tuple(said or dict.fromkeys(
        example.phase or (Phase.WEBSOCKET_CONNECT if example.http_status is not None else Phase.WEBSOCKET_RUNTIME)
        for example in rule.examples
    ))
