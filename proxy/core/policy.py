"""What a listener's operator asks for: which rules watch the client's traffic, which hold it to the vendor's limits, and with what numbers.

Owns the shape of `policy:` in the settings, its defaults, and the joining with a vendor's limits. It touches no traffic: that is the
gate's business (gate), and the shadow's (shadow), which only counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from proxy.core import fields
from proxy.core.fields import Strict
from proxy.core.profile import Limits


class Mode(StrEnum):
    OFF = "off"
    OBSERVE = "observe"
    ENFORCE = "enforce"


class Rule(StrEnum):
    """Label values of the policy metrics, keys of `rules`."""

    PACE = "pace"
    CHUNK_DURATION = "chunk_duration"
    CHUNK_BYTES = "chunk_bytes"
    MESSAGE_RATE = "message_rate"
    AUDIO_CHUNK_RATE = "audio_chunk_rate"
    AUDIO_FORMAT = "audio_format"
    MESSAGE_SHAPE = "message_shape"
    IDLE = "idle"
    SESSION_DURATION = "session_duration"
    CONNECTION_RATE = "connection_rate"
    CONCURRENCY = "concurrency"
    END_PROPERLY = "end_properly"


class Action(StrEnum):
    DELAYED = "delayed"
    SPLIT = "split"
    COALESCED = "coalesced"
    REFUSED = "refused"
    INJECTED = "injected"
    TERMINATED = "terminated"


BY_DEFAULT: Final = frozenset({Rule.PACE, Rule.CHUNK_DURATION, Rule.CHUNK_BYTES, Rule.END_PROPERLY})
"""What a plain `mode: enforce` enforces. Rules that refuse, inject into a live call or end one must be named."""

Piece = Annotated[fields.Above0, Field(ge=0.01)]
"""Seconds of audio: in pieces much shorter a frame costs more than what is in it."""


class RulePolicy(Strict):
    mode: Mode | None = None
    """Of this rule; without it as the whole policy's."""


class Pace(RulePolicy):
    rate: fields.Above0 = 1.0
    """Seconds of audio a second."""
    lead_seconds: Piece | None = None
    """How far audio may be ahead of real time; else what the profile says, else 5 s."""
    credit_seconds: fields.Seconds | None = None
    """How much of a client's silence counts in its favour; else what the profile says, else 30 s."""


class ChunkDuration(RulePolicy):
    min_seconds: fields.Above0 | None = None
    max_seconds: Piece | None = None
    wait_seconds: fields.Above0 = 1.0
    """How long a short chunk waits for more audio."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_seconds and self.max_seconds and self.min_seconds * 2 > self.max_seconds:
            raise ValueError("max_seconds must be at least twice min_seconds, else not every chunk can be made to fit")
        return self


class ChunkBytes(RulePolicy):
    max_bytes: Annotated[fields.Count, Field(ge=64)] | None = None


class MessageRate(RulePolicy):
    per_minute: fields.Above0 | None = None


class AudioChunkRate(RulePolicy):
    per_second: fields.Above0 | None = None


class Idle(RulePolicy):
    max_seconds: fields.Above0 = 60.0
    """How long a session is kept open by keep-alives of ours, in all."""


class SessionDuration(RulePolicy):
    seconds: fields.Above0 | None = None
    """After which a session is ended in the vendor's own way; without it, at 98 % of the vendor's longest."""


class Scope(StrEnum):
    """Whose sessions count together."""

    PROCESS = "process"
    FLEET = "fleet"


class OfCredential(RulePolicy):
    """Of all sessions that share a credential."""

    scope: Scope = Scope.PROCESS
    """process: those that come through this one. fleet: those of all processes that share a Redis (`fleet` of the settings)."""
    local_share: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    """With scope fleet: the share of the limit that this process holds to by itself while Redis does not answer; without it, to none."""


class ConnectionRate(OfCredential):
    per_minute: fields.Above0 | None = None


class Concurrency(OfCredential):
    sessions: fields.Count | None = None
    linger_seconds: Annotated[float, Field(ge=0, le=3600, strict=True)] = 5.0
    """With scope fleet: how long a slot is kept after an end that the vendor may not have noticed yet."""


class EndProperly(RulePolicy):
    wait_seconds: fields.Above0 = 5.0
    """How long the vendor may take to end a session that we ended for its client."""


class Rules(Strict):
    pace: Pace = Pace()
    chunk_duration: ChunkDuration = ChunkDuration()
    chunk_bytes: ChunkBytes = ChunkBytes()
    message_rate: MessageRate = MessageRate()
    audio_chunk_rate: AudioChunkRate = AudioChunkRate()
    audio_format: RulePolicy = RulePolicy()
    message_shape: RulePolicy = RulePolicy()
    idle: Idle = Idle()
    session_duration: SessionDuration = SessionDuration()
    connection_rate: ConnectionRate = ConnectionRate()
    concurrency: Concurrency = Concurrency()
    end_properly: EndProperly = EndProperly()


class Policy(Strict):
    """`policy:` of the settings, or of one listener."""

    mode: Mode = Mode.OBSERVE
    rules: Rules = Rules()

    def mode_of(self, rule: Rule) -> Mode:
        own: Mode | None = getattr(self.rules, rule).mode
        if own is not None:
            return own
        return Mode.OBSERVE if self.mode is Mode.ENFORCE and rule not in BY_DEFAULT else self.mode

    def enforces(self, rule: Rule) -> bool:
        return self.mode_of(rule) is Mode.ENFORCE


LEAD_SECONDS: Final = 5.0
CREDIT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers that hold for one endpoint: the operator's, else the profile's; None where neither says."""

    rate: float
    lead: float
    credit: float
    chunk_min: float | None
    chunk_max: float | None
    chunk_wait: float
    chunk_bytes: int | None
    messages_per_minute: float | None
    chunks_per_second: float | None
    session_seconds: float | None
    connections_per_minute: float | None
    sessions: int | None
    watched_only: frozenset[Rule] = frozenset()
    """The vendor moves these limits itself: whoever held a fleet to a number would hold it back."""


def bounds(rules: Rules, limits: Limits) -> Bounds:
    """What the policy's rules come to at an endpoint with these limits."""
    pace, chunk = rules.pace, rules.chunk_duration
    shortest, longest = limits.chunk_seconds or (None, None)
    return Bounds(
        rate=pace.rate,
        lead=pace.lead_seconds or limits.lead_seconds or LEAD_SECONDS,
        credit=_first(pace.credit_seconds, limits.credit_seconds, CREDIT_SECONDS),
        chunk_min=chunk.min_seconds or shortest or None,
        chunk_max=chunk.max_seconds or longest,
        chunk_wait=chunk.wait_seconds,
        chunk_bytes=rules.chunk_bytes.max_bytes or limits.chunk_bytes,
        messages_per_minute=rules.message_rate.per_minute or limits.messages_per_minute,
        chunks_per_second=rules.audio_chunk_rate.per_second or limits.chunks_per_second,
        session_seconds=rules.session_duration.seconds or (limits.session_seconds * 0.98 if limits.session_seconds else None),
        connections_per_minute=rules.connection_rate.per_minute or limits.connections_per_minute,
        sessions=rules.concurrency.sessions or limits.sessions,
        watched_only=frozenset(_moving(rules, limits)) if limits.adapts else frozenset(),
    )


def _moving(rules: Rules, limits: Limits) -> Iterator[Rule]:
    if rules.connection_rate.scope is Scope.FLEET and "connections_per_minute" in limits.adapts:
        yield Rule.CONNECTION_RATE
    if rules.concurrency.scope is Scope.FLEET and "sessions" in limits.adapts:
        yield Rule.CONCURRENCY


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def touching(policy: Policy, numbers: Bounds) -> frozenset[Rule]:
    """The rules that are enforced, have to look at what a client sends before it goes, and have a number where they need one."""
    given = {
        Rule.PACE: True,
        Rule.CHUNK_DURATION: numbers.chunk_min or numbers.chunk_max,
        Rule.CHUNK_BYTES: numbers.chunk_bytes,
        Rule.MESSAGE_RATE: numbers.messages_per_minute,
        Rule.AUDIO_CHUNK_RATE: numbers.chunks_per_second,
        Rule.AUDIO_FORMAT: True,
        Rule.MESSAGE_SHAPE: True,
    }
    return frozenset(rule for rule, number in given.items() if number and policy.enforces(rule))
