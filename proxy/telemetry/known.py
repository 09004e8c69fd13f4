"""Which label sets are there at 0 before anything happened: what can be foreseen, within a budget of 400 series a listener.

Derived from the profiles, never typed. It counts nothing itself. METRICS.md says the same in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, product
from math import prod
from typing import Final

from proxy.core.classify import NOTHING, Meaning, meaning_of
from proxy.core.profile import Profile
from proxy.core.rules import Common, Rule
from proxy.core.tally import FRAME_TYPES
from proxy.core.verdict import Outcome, Owner, Phase, Side
from proxy.telemetry.catalogue import DIAL_STAGES, DIRECTIONS, INSPECTED, METRICS, RESULT_KINDS

FACTS: Final = ("container_in_raw",)

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

TIMED_OUTCOMES: Final = (Outcome.OK, Outcome.ERROR)
FAILED: Final = (Outcome.ERROR, Outcome.REFUSED_BY_VENDOR)

SERIES_AT_REST: Final = 400
"""What a listener may have before anything happened, but for the few series that the process has once."""

ErrorLabels = tuple[str, str, str, str, str, str]
"""Endpoint, phase, code, category, owner, retry."""


def errors(profile: Profile, common: Common) -> Iterator[ErrorLabels]:
    """The label sets of `errors_total` that are there at rest, without listener and vendor: as many as there is room for."""
    return islice(dict.fromkeys(_errors(profile, common)), max(0, SERIES_AT_REST - _others(profile, common)))


def _errors(profile: Profile, common: Common) -> Iterator[ErrorLabels]:
    """The likeliest first: each rule at one endpoint, the vendor's own before the common ones; then at the others."""
    everywhere = tuple(profile.endpoints)
    failures = [
        *((_endpoints(rule) or everywhere, _phases(rule), _labels(meaning_of(rule, True))) for rule in _failing(profile.rules)),
        (everywhere, (Phase.WEBSOCKET_CONNECT, Phase.WEBSOCKET_RUNTIME), _labels(NOTHING)),
        *((everywhere, _phases(rule), _labels(meaning_of(rule, False))) for rule in _failing(common.rules)),
    ]
    for turn in range(len(everywhere)):
        for endpoints, phases, labels in failures:
            for endpoint, phase in product(endpoints[turn : turn + 1], phases):
                yield endpoint, phase, *labels


def _others(profile: Profile, common: Common) -> int:
    """How many series all other metrics of a listener have at rest."""
    sizes = {"endpoint": len(profile.endpoints), "outcome": len(TIMED_OUTCOMES), "direction": len(DIRECTIONS), "type": len(FRAME_TYPES),
             "kind": len(RESULT_KINDS), "where": len(INSPECTED), "stage": len(DIAL_STAGES)}
    sets = {
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
    """The codes of `warnings_total`: the facts, and the vendor's messages that warn without ending a session. May repeat itself."""
    yield from FACTS
    for endpoint in profile.endpoints.values():
        for name, kinds in endpoint.server.kinds.items():
            if any(kind.role == "warning" or (kind.role == "error" and not kind.fatal) for kind in kinds):
                yield name


def _failing(rules: Iterable[Rule]) -> Iterator[Rule]:
    return (rule for rule in rules if not rule.one_of and rule.outcome == "error")


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
