"""The cross-examination: what the vendor claims, held against what was measured.

Owns which claim is held against which measurements (the checks), and what their findings come to: whose problem it is.

    yes           what was measured bears the claim out. The rule's owner stands, unless the measurement names the cause better
                  (the link, the vendor's own window, this process).
    no            the claim cannot be true. It is the vendor's problem, where all that the claim may mean is contradicted.
    cannot_tell   is two things. Nothing was measured that bears on the claim: then there is the vendor's word and nothing
                  against it, and the rule's owner stays. Or something was measured that speaks against the claim, but does
                  not prove it wrong: then to go on accusing would be to accuse on what is known to be doubtful, and the owner
                  is unknown.

To accuse the wrong party is worse than to say nothing. So a contradiction needs audio that the vendor's TCP has acknowledged, or
messages all of which were seen, with a margin; and there is none where this process itself could be the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from proxy.core.checks.access import concurrency, connection_rate, credentials, ready_before
from proxy.core.checks.chunks import chunk_bytes, chunk_duration
from proxy.core.checks.figures import reported_audio, session_duration
from proxy.core.checks.finding import LEAST_MARGIN, NO, YES, Case, Finding
from proxy.core.checks.forms import audio_decodable, message_shape
from proxy.core.checks.rates import audio_rate, message_rate
from proxy.core.checks.received import audio_received, idle
from proxy.core.classify import Meaning
from proxy.core.policy import Action, Rule
from proxy.core.report import Evidence
from proxy.core.session import Session
from proxy.core.verdict import Category, Noticed, Outcome, Owner, Side

STUCK_SECONDS: Final = 5.0
"""So much audio that nobody has acknowledged is reason enough for a client to leave."""
A_MINUTE: Final = 60.0
"""Seconds since a session was ready, up to which a rate that was too high may be that of new sessions."""
LATELY: Final = 2.0
"""Seconds in which what our own loop did may have led to an end."""

UNREACHED: Final = "The client left without the end message, after its audio had stopped reaching the vendor."
UNTAKEN: Final = "The client left without the end message, after the vendor had stopped reading: its receive window was zero."
STOOD_STILL: Final = "The connection was lost while Earwitness stood still: its peer may have lost patience, or its last words were lost."
SILENT_LEFT: Final = "The client left without the end message, after the vendor had fallen silent though it got audio."
UNREADY_LEFT: Final = "The client left without the end message, after waiting for the vendor's hello longer than it may take."
SHAPED_HERE: Final = ("What the vendor complains of is how its traffic was cut, joined or held by this listener's policy: compare the "
                      "policy's numbers with the vendor's limits.")
SILENT_OK: Final = "The session ended as it should, but the vendor had fallen silent before, though it got audio: something may be missing."

Look = Callable[[Case], Finding | None]
CHECKS: Final[dict[Category, tuple[Look, ...]]] = {
    Category.AUTH: (credentials, ready_before),
    Category.PERMISSION: (ready_before,),
    Category.CONCURRENCY_LIMIT: (concurrency, connection_rate),
    Category.PROTOCOL: (message_shape,),
    Category.AUDIO_FORMAT: (audio_decodable,),
    Category.AUDIO_CHUNK: (chunk_duration, chunk_bytes),
    Category.AUDIO_PACING: (audio_rate,),
    Category.SESSION_EXPIRED: (session_duration,),
}
"""By what the claim means. Idleness and rates depend on the vendor and the moment as well."""

SHAPING: Final[dict[Category, tuple[frozenset[Rule], frozenset[Action]]]] = {
    Category.AUDIO_PACING: (frozenset({Rule.PACE}), frozenset()),
    Category.AUDIO_CHUNK: (frozenset({Rule.CHUNK_DURATION, Rule.CHUNK_BYTES}), frozenset({Action.SPLIT, Action.COALESCED})),
    Category.RATE_LIMIT: (frozenset({Rule.MESSAGE_RATE, Rule.AUDIO_CHUNK_RATE}), frozenset({Action.SPLIT})),
}
"""By which rules the gate makes what such a claim is about, and by which actions, whatever the rule."""


@dataclass(frozen=True, slots=True)
class Examined:
    """The evidence on a claim, who has to act after it, and what to do in the light of it."""

    evidence: tuple[Evidence, ...]
    owner: Owner
    hint: str | None


def examine(session: Session, outcome: Outcome, meaning: Meaning, now: float) -> Examined:
    """What stands of a claim."""
    case = Case.of(session, meaning, now)
    reported = reported_audio(case)
    figures = (reported.evidence,) if reported is not None else ()
    if meaning.category is Category.NORMAL or not _vendor_claims(session, outcome):
        return Examined(figures, *_unclaimed(session, outcome, meaning, now))
    findings = [finding for look in _checks(case) if (finding := look(case)) is not None]
    owner, hint = _decide(findings, meaning)
    if owner is Owner.CLIENT and _shaped(case):
        owner, hint = Owner.UNKNOWN, SHAPED_HERE
    return Examined(tuple(finding.evidence for finding in findings) + figures, owner, hint)


def _vendor_claims(session: Session, outcome: Outcome) -> bool:
    """Whether it is the vendor's word that says why the session ended."""
    if outcome is Outcome.REFUSED_BY_VENDOR:
        return session.claim.answered_by is Side.VENDOR
    return outcome in (Outcome.ERROR, Outcome.OK) and session.judged_at is not None and (
        session.ending.fatal_error or session.claim.close_by is Side.VENDOR)


def _checks(case: Case) -> Iterator[Look]:
    category, known = case.meaning.category, case.known
    if category is Category.IDLE_TIMEOUT:
        yield idle if known.spec is not None and known.spec.spec.idle_reset == "message" else audio_received
    elif category is Category.RATE_LIMIT:
        if known.claim.ready:
            yield message_rate
        if known.ready_at is None or case.at - known.ready_at < A_MINUTE:
            yield connection_rate  # told a little late
    yield from CHECKS.get(category, ())


def _decide(findings: list[Finding], meaning: Meaning) -> tuple[Owner, str | None]:
    """The one place where the evidence changes the owner."""
    for finding in findings:
        if finding.agrees == YES:
            return finding.owner or meaning.owner, finding.hint or meaning.hint
    doubtful = [finding for finding in findings if finding.owner is Owner.UNKNOWN]
    if doubtful:
        return Owner.UNKNOWN, doubtful[0].hint or meaning.hint
    hint = next((finding.hint for finding in findings if finding.hint), None) or meaning.hint
    if findings and all(finding.agrees == NO for finding in findings):
        return findings[0].owner or meaning.owner, hint
    return meaning.owner, hint


def _shaped(case: Case) -> bool:
    """Whether what the vendor complains of may be the gate's work, and not the client's."""
    if case.meaning.category is Category.IDLE_TIMEOUT:
        return case.then.delay_max >= LEAST_MARGIN or case.then.held_at is not None
    rules, actions = SHAPING.get(case.meaning.category, (frozenset(), frozenset()))
    return any((rule in rules and action is not Action.REFUSED) or action in actions for rule, action in case.then.actions)


def _stuck(session: Session, now: float) -> tuple[Owner, str]:
    """Whose problem it is that audio was not acknowledged."""
    if session.lag_since(now - STUCK_SECONDS) >= LEAST_MARGIN or not session.delivery.stuck(now, STUCK_SECONDS):
        return Owner.UNKNOWN, UNREACHED
    return (Owner.VENDOR, UNTAKEN) if session.delivery.is_full else (Owner.NETWORK, UNREACHED)


def _unclaimed(session: Session, outcome: Outcome, meaning: Meaning, now: float) -> tuple[Owner, str | None]:
    """What was noticed of an end that the vendor gave no reason for."""
    silent_at = session.facts.get(Noticed.VENDOR_SILENT)
    silent = silent_at is not None and (session.results.last_at or 0.0) < silent_at
    if outcome is Outcome.ABANDONED:
        if session.undelivered_seconds > STUCK_SECONDS:
            return _stuck(session, now)
        if silent:
            return Owner.UNKNOWN, SILENT_LEFT
        if Noticed.NEVER_READY in session.facts and session.ready_at is None:
            return Owner.UNKNOWN, UNREADY_LEFT
    if meaning.category is Category.NETWORK and session.lag_since(now - LATELY) >= LEAST_MARGIN:
        return Owner.UNKNOWN, STOOD_STILL
    if outcome is Outcome.OK and silent:
        return meaning.owner, SILENT_OK
    return meaning.owner, meaning.hint
