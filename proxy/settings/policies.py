"""The policy of each listener: its own keys over those of the whole file, and whether what it asks for can be had.

Owns the precedence of `policy:` and its contradictions, which show only once the vendor's limits are known. What a rule is and does is
the core's business (policy, reach).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from proxy.core.audio import WIDTHS
from proxy.core.policy import Bounds, Mode, OfCredential, Policy, Rule, Scope, bounds
from proxy.core.profile import Endpoint, Profile
from proxy.core.reach import acts, bare, counts, says
from proxy.settings.document import Keys

M = TypeVar("M", bound=BaseModel)

_NUMBER: Final = {
    Rule.MESSAGE_RATE: "per_minute",
    Rule.AUDIO_CHUNK_RATE: "per_second",
    Rule.CHUNK_BYTES: "max_bytes",
    Rule.CHUNK_DURATION: "min_seconds or max_seconds",
    Rule.SESSION_DURATION: "seconds",
    Rule.CONNECTION_RATE: "per_minute",
    Rule.CONCURRENCY: "sessions",
}
"""What an operator can write where the vendor publishes no limit."""
LOWEST_RATE: Final = 8000
"""Samples a second, that speech comes in."""


def without_nulls(data: Any) -> Any:
    """A value of null stands for the default."""
    return {key: without_nulls(value) for key, value in data.items() if value is not None} if isinstance(data, dict) else data


def merged(base: M, nearer: M) -> M:
    """Key by key, those that were written there over all of the base."""
    given = {name: getattr(nearer, name) for name in nearer.model_fields_set}
    both = {name: merged(getattr(base, name), value) if isinstance(value, BaseModel) else value for name, value in given.items()}
    return base.model_copy(update=both)


def contradictions(everywhere: Policy, listeners: Sequence[tuple[Policy, Profile]], fleet: bool = False) -> Iterator[tuple[Keys, str]]:
    """Where, and what is wrong, of the policy of the file and those that the listeners wrote. `fleet`: there is one.

    What is asked for by name must be possible: at the listener that asks for it, or at one at least if the whole file does.
    """
    impossible: dict[Rule, list[str]] = {}
    for number, (own, profile) in enumerate(listeners):
        policy = merged(everywhere, own)
        for rule in Rule:
            of_listener = ("listeners", number, "policy", "rules", rule.value)
            if wrong := _disagrees(rule, policy, profile) or _alone(rule, policy, fleet):
                yield of_listener if rule.value in own.rules.model_fields_set else ("policy", "rules", rule.value), wrong
            elif getattr(policy.rules, rule).mode is Mode.ENFORCE and (wrong := _why_not(rule, policy, profile)):
                if getattr(own.rules, rule).mode is Mode.ENFORCE:
                    yield (*of_listener, "mode"), wrong
                else:
                    impossible.setdefault(rule, []).append(wrong)
    for rule, reasons in impossible.items():
        if len(reasons) == len(listeners):
            yield ("policy", "rules", rule.value, "mode"), "; ".join(dict.fromkeys(reasons))


def _disagrees(rule: Rule, policy: Policy, profile: Profile) -> str | None:
    """Numbers of a rule that do not go together, the operator's and the vendor's. The vendor's alone may, where they are only observed."""
    disagree = {Rule.CHUNK_DURATION: _durations, Rule.CHUNK_BYTES: _sizes}.get(rule)
    asked = policy.enforces(rule) or getattr(policy.rules, rule).model_fields_set - {"mode"}
    if disagree is None or policy.mode_of(rule) is Mode.OFF or not asked:
        return None
    found = (disagree(bounds(policy.rules, endpoint.limits), endpoint) for endpoint in profile.endpoints.values())
    return next((wrong for wrong in found if wrong is not None), None)


def _durations(numbers: Bounds, endpoint: Endpoint) -> str | None:
    shortest, longest = numbers.chunk_min or 0.0, numbers.chunk_max
    if longest is not None and shortest * 2 > longest:
        return f"the most must be at least twice the least for every chunk to fit: {shortest:g} s and {longest:g} s are too near"
    if numbers.chunk_wait < shortest:
        return f"a wait of {numbers.chunk_wait:g} s is too short for chunks of at least {shortest:g} s to fill"
    return None


def _sizes(numbers: Bounds, endpoint: Endpoint) -> str | None:
    """Pieces that are too short for the vendor, in any of its formats."""
    widths = [WIDTHS[name] for name in endpoint.audio.formats.values() if name in WIDTHS]
    if numbers.chunk_bytes is None or numbers.chunk_min is None or not widths:
        return None
    least = int(2 * numbers.chunk_min * LOWEST_RATE * min(widths))
    if numbers.chunk_bytes >= least:
        return None
    return f"pieces of {numbers.chunk_bytes} bytes are too short for chunks of at least {numbers.chunk_min:g} s: {least} bytes have to fit"


def _alone(rule: Rule, policy: Policy, fleet: bool) -> str | None:
    shared = getattr(policy.rules, rule)
    if not isinstance(shared, OfCredential) or policy.mode_of(rule) is Mode.OFF:
        return None
    if shared.scope is Scope.FLEET and not fleet:
        return "scope: fleet needs fleet.url, the Redis that the processes share"
    if shared.scope is Scope.PROCESS and shared.local_share is not None:
        return "local_share goes with scope: fleet"
    return None


def _why_not(rule: Rule, policy: Policy, profile: Profile) -> str | None:
    """Why no endpoint of the vendor can have the rule enforced; None where one can."""
    each = [(endpoint, bounds(policy.rules, endpoint.limits)) for endpoint in profile.endpoints.values()]
    if any(acts(rule, endpoint, numbers) for endpoint, numbers in each):
        return None
    return f"cannot be enforced at {profile.vendor}: {_reason(rule, each)}"


def _reason(rule: Rule, each: Sequence[tuple[Endpoint, Bounds]]) -> str:
    if any(rule in numbers.watched_only for _, numbers in each):
        return "with scope: fleet; it moves this limit itself, so that it can only be observed"
    if any(counts(rule, endpoint, numbers) for endpoint, numbers in each) and not any(bare(endpoint) for endpoint, _ in each):
        return "its audio comes in messages that cannot be cut or joined"
    if rule is Rule.IDLE:
        alive = any(says(endpoint, "keep_alive") for endpoint, _ in each)
        return "when it ends idle sessions is not known" if alive else "it has no keep-alive message that could be sent for a client"
    if rule is Rule.END_PROPERLY:
        return "it has no end message that could be sent for a client"
    if rule is Rule.MESSAGE_SHAPE:
        return "nothing is known of its clients' messages"
    if rule is Rule.PACE:
        return "its audio cannot be timed"
    return f"it publishes no limit; set {_NUMBER[rule]}"
