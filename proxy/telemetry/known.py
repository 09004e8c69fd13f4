"""Which label sets are there at 0 before anything happened: what can be foreseen, within a budget of 400 series a listener.

Derived from the profiles, never typed. It counts nothing itself. METRICS.md says the same in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from proxy.core.classify import NOTHING, Meaning, meaning_of
from proxy.core.profile import Common, Profile, Rule
from proxy.core.verdict import Outcome, Owner, Phase, Side

FACTS: Final = ("never_ready", "vendor_silent", "client_silent", "near_limit", "idle_soon", "early_audio", "late_audio",
                "all_zero_audio", "container_in_raw")

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

ErrorLabels = tuple[str, str, str, str, str, str]
"""Endpoint, phase, code, category, owner, retry."""


def errors(profile: Profile, common: Common) -> Iterator[ErrorLabels]:
    """The label sets of `errors_total` that are there at rest, without listener and vendor. May repeat itself."""
    anywhere = (next(iter(profile.endpoints)),)
    for rule, meaning in _failures(profile, common):
        for endpoint in _endpoints(rule) or anywhere:
            for phase in _phases(rule):
                yield endpoint, phase, *_labels(meaning)
    yield anywhere[0], Phase.WEBSOCKET_CONNECT, *_labels(NOTHING)
    yield anywhere[0], Phase.WEBSOCKET_RUNTIME, *_labels(NOTHING)


def meanings(profile: Profile, common: Common) -> Iterator[tuple[str, str, str, str]]:
    """Code, category, owner and retry of each known error, for `error_info`. May repeat itself."""
    for _, meaning in _failures(profile, common):
        yield _labels(meaning)
    yield _labels(NOTHING)


def warnings(profile: Profile) -> Iterator[str]:
    """The codes of `warnings_total`: the facts, and the vendor's messages that warn without ending a session. May repeat itself."""
    yield from FACTS
    for endpoint in profile.endpoints.values():
        for name, kinds in endpoint.server.kinds.items():
            if any(kind.role == "warning" or (kind.role == "error" and not kind.fatal) for kind in kinds):
                yield name


def _failures(profile: Profile, common: Common) -> Iterator[tuple[Rule, Meaning]]:
    for rules, own in ((profile.rules, True), (common.rules, False)):
        for rule in rules:
            if not rule.one_of and rule.outcome == "error":
                yield rule, meaning_of(rule, own)


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
