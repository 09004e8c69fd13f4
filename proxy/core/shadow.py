"""What a policy that only observes would have done to a session, told from what is known of it at its end.

Owns that judgement alone; it costs nothing while audio flows. It tells of what would surely have been done: where a session's own figures
leave room for doubt, a rule counts as not needed. Whether the vendor took the traffic all the same is read from the verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.core.known import Known
from proxy.core.policy import Bounds, Mode, Policy, Rule, bounds
from proxy.core.shape import Rate
from proxy.core.verdict import Category, Noticed, Phase, Side, Verdict

ROUNDING: Final = 1e-6

FITS: Final[dict[Rule, frozenset[Category]]] = {
    Rule.PACE: frozenset({Category.AUDIO_PACING}),
    Rule.CHUNK_DURATION: frozenset({Category.AUDIO_CHUNK}),
    Rule.CHUNK_BYTES: frozenset({Category.AUDIO_CHUNK}),
    Rule.MESSAGE_RATE: frozenset({Category.RATE_LIMIT}),
    Rule.AUDIO_CHUNK_RATE: frozenset({Category.RATE_LIMIT}),
    Rule.AUDIO_FORMAT: frozenset({Category.AUDIO_FORMAT}),
    Rule.MESSAGE_SHAPE: frozenset({Category.PROTOCOL, Category.INVALID_REQUEST}),
    Rule.IDLE: frozenset({Category.IDLE_TIMEOUT}),
    Rule.SESSION_DURATION: frozenset({Category.SESSION_EXPIRED}),
    Rule.CONNECTION_RATE: frozenset({Category.RATE_LIMIT, Category.CONCURRENCY_LIMIT}),
    Rule.CONCURRENCY: frozenset({Category.CONCURRENCY_LIMIT, Category.RATE_LIMIT}),
    Rule.END_PROPERLY: frozenset(),
}
"""What a vendor says that rejects what the rule is about. Nobody rejects a session whose client has gone; it is billed."""


def shadowed(known: Known, policy: Policy) -> frozenset[Rule]:
    """The rules that observe, and would have acted on this session, which is over."""
    if known.spec is None:
        return frozenset()
    numbers = bounds(policy.rules, known.spec.spec.limits)
    observed = [rule for rule in _WOULD if policy.mode_of(rule) is Mode.OBSERVE or (policy.enforces(rule) and rule in numbers.watched_only)]
    return frozenset(rule for rule in observed if _WOULD[rule](known, numbers))


def rejected(rule: Rule, verdict: Verdict) -> bool:
    """Whether the vendor ended the session, or refused it, for what the rule is about: also where its client had said the end already."""
    return Side.VENDOR in (verdict.initiated_by, verdict.ended_by) and verdict.category in FITS[rule]


def _paced(known: Known, numbers: Bounds) -> bool:
    """Audio that was ahead at the end, or at any moment by more than all silence before it could have made up for."""
    clock, read = known.clock, known.audio.read
    if clock.first_at is None:
        return False
    span = clock.last_at - clock.first_at
    if read - numbers.rate * span > numbers.lead + ROUNDING:
        return True
    silence = span - read + clock.lead(clock.last_at)  # in which nothing would have been left to play
    return numbers.rate <= 1.0 and clock.lead_max - min(numbers.credit, silence) > numbers.lead + ROUNDING


def _cut_or_joined(known: Known, numbers: Bounds) -> bool:
    """A last short chunk is what was left, and goes as it is. One before a text would do so, too, but is not told from others here."""
    clock = known.clock
    if numbers.chunk_max is not None and clock.chunk_max > numbers.chunk_max + ROUNDING:
        return True
    shortest = clock.shortest_but_last
    return numbers.chunk_min is not None and shortest is not None and 0.0 < shortest < numbers.chunk_min - ROUNDING


def _cut(known: Known, numbers: Bounds) -> bool:
    return numbers.chunk_bytes is not None and known.clock.bytes_max > numbers.chunk_bytes


def _slowed(known: Known, numbers: Bounds) -> bool:
    return _over(known.shape.messages, numbers.messages_per_minute)


def _thinned(known: Known, numbers: Bounds) -> bool:
    return _over(known.shape.chunks, numbers.chunks_per_second)


def _over(rate: Rate | None, limit: float | None) -> bool:
    return rate is not None and limit is not None and rate.least > limit


def _refused_format(known: Known, numbers: Bounds) -> bool:
    """Only the first audio is looked at."""
    first_at = known.clock.first_at
    seen = [known.facts[fact] for fact in (Noticed.CONTAINER_IN_RAW, Noticed.FORMAT_MISMATCH, Noticed.TEXT_IN_AUDIO) if fact in known.facts]
    return bool(seen) and (first_at is None or min(seen) <= first_at)


def _refused_shape(known: Known, numbers: Bounds) -> bool:
    return known.shape.malformed > 0


def _kept_alive(known: Known, numbers: Bounds) -> bool:
    assert known.spec is not None
    says = any(message.role == "keep_alive" for message in known.spec.spec.client.all())
    return says and Noticed.IDLE_SOON in known.facts


def _ended_in_time(known: Known, numbers: Bounds) -> bool:
    return Noticed.NEAR_LIMIT in known.facts


def _not_let_in(known: Known, numbers: Bounds) -> bool:
    company, limit = known.company, numbers.connections_per_minute
    here = company is not None and limit is not None and company.per_minute > limit
    return here or Rule.CONNECTION_RATE in known.crowded


def _one_too_many(known: Known, numbers: Bounds) -> bool:
    here = known.company is not None and numbers.sessions is not None and known.company.open > numbers.sessions
    return here or Rule.CONCURRENCY in known.crowded


def _ended_properly(known: Known, numbers: Bounds) -> bool:
    """The client has left a stream open."""
    assert known.spec is not None
    claim, ending = known.claim, known.ending
    left_open = claim.phase is Phase.WEBSOCKET_RUNTIME and claim.end_sent is False and not ending.goodbye and not ending.blind
    return known.spec.has_end and left_open and ending.ended_by is Side.CLIENT


_WOULD: Final[dict[Rule, Callable[[Known, Bounds], bool]]] = {
    Rule.PACE: _paced,
    Rule.CHUNK_DURATION: _cut_or_joined,
    Rule.CHUNK_BYTES: _cut,
    Rule.MESSAGE_RATE: _slowed,
    Rule.AUDIO_CHUNK_RATE: _thinned,
    Rule.AUDIO_FORMAT: _refused_format,
    Rule.MESSAGE_SHAPE: _refused_shape,
    Rule.IDLE: _kept_alive,
    Rule.SESSION_DURATION: _ended_in_time,
    Rule.CONNECTION_RATE: _not_let_in,
    Rule.CONCURRENCY: _one_too_many,
    Rule.END_PROPERLY: _ended_properly,
}
