"""The cross-examination: what the vendor claims, held against what was measured.

Owns the judgement whether a claim can stand, and whose problem it is if it cannot. So far one claim is examined, the one that
accuses most often and most wrongly: that no audio came. Every other claim keeps the owner that its rule gives.

A claim is contradicted only by audio that the vendor's TCP has acknowledged inside the vendor's own window, with a margin for
what the measurement does not see; and never where this process itself could be the cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

from proxy.core.classify import Meaning
from proxy.core.limits import idle_window
from proxy.core.report import Evidence
from proxy.core.session import Session
from proxy.core.verdict import Category, Outcome, Owner, Side

SAMPLED_EVERY: Final = 1.0
"""Seconds between two readings of TCP_INFO: delivery may have happened that much before it was seen."""
LEAST_MARGIN: Final = 1.0
STUCK_SECONDS: Final = 5.0
"""So much audio that nobody has acknowledged is reason enough for a client to leave."""
MARGIN_SHARE: Final = 0.2

_HINTS: Final = {
    ("no", Owner.VENDOR): "The vendor says that no audio came, but its own TCP has acknowledged audio inside that time: not the client. "
                          "Send the vendor's support the ids and the evidence.",
    ("yes", Owner.NETWORK): "The client went on sending, but its audio was not acknowledged by the vendor: look at the way there.",
    ("yes", Owner.VENDOR): "The client went on sending, but the vendor stopped reading: its receive window was zero.",
    ("cannot_tell", Owner.UNKNOWN): "The vendor says that nothing came, and what was measured does not settle whether that is so.",
}
"""In place of the rule's hint, where the evidence says more."""


@dataclass(frozen=True, slots=True)
class Examined:
    """The evidence on a claim, who has to act after it, and what to do in the light of it."""

    evidence: tuple[Evidence, ...]
    owner: Owner
    hint: str | None


def examine(session: Session, outcome: Outcome, meaning: Meaning, now: float) -> Examined:
    """What stands of a claim."""
    if outcome is Outcome.ABANDONED and session.undelivered_seconds > STUCK_SECONDS:
        return Examined((), Owner.UNKNOWN, "The client left without the end message, after its audio had stopped reaching the vendor.")
    window = idle_window(session)
    if meaning.category is not Category.IDLE_TIMEOUT or session.ending.ended_by is not Side.VENDOR or window is None:
        return Examined((), meaning.owner, meaning.hint)
    close = session.ending.vendor_close
    found, owner = _audio_received(session, meaning, window, close.at if close else now)
    return Examined((found,), owner, _HINTS.get((found.agrees, owner), meaning.hint))


def _audio_received(session: Session, meaning: Meaning, window: float, at: float) -> tuple[Evidence, Owner]:
    clock, delivery = session.clock, session.delivery
    tcp = delivery.last
    margin = max(LEAST_MARGIN + (tcp.rtt_seconds if tcp else 0.0), MARGIN_SHARE * window)
    last_read = at - clock.last_at if clock.chunks else inf
    last_delivered = at - delivery.delivered_at if delivery.delivered_at is not None else inf
    stage, measured, agrees, owner = "delivered", last_delivered, "cannot_tell", Owner.UNKNOWN
    if last_read >= window - margin:
        stage, measured = "read", last_read
        # Keep-alives should have kept the session open: whether they reached the vendor is not known.
        if session.kept_alive_at is None or at - session.kept_alive_at >= window - margin:
            agrees, owner = "yes", meaning.owner
    elif session.loop_lag_max >= margin or not delivery.known or not clock.timed:
        pass
    elif last_delivered + SAMPLED_EVERY <= window - margin:
        agrees, owner = "no", Owner.VENDOR
    elif last_delivered >= window - margin:
        agrees, owner = "yes", Owner.VENDOR if tcp is not None and tcp.window == 0 else Owner.NETWORK
    known = measured if measured < inf else None
    return Evidence("audio_received", stage, window, _rounded(known), "seconds_since_audio", window, round(margin, 3), agrees), owner


def _rounded(value: float | None) -> float | None:
    return round(value, 3) if value is not None else None
