"""Claims that are figures: how long a session may last, how much audio came.

Owns their comparison with our own. A clock that is set wrong must not turn into an accusation: the vendor's times are
compared with the vendor's clock alone, as its answer told it.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Final

from proxy.core.checks.finding import CANNOT_TELL, LEAST_MARGIN, MARGIN_SHARE, NO, YES, Case, Finding, found
from proxy.core.ending import FULL_LENGTH
from proxy.core.known import Known
from proxy.core.verdict import Check, Owner

LONGEST_MARGIN: Final = 60.0
REPORTED_SHARE: Final = 0.05
"""By how much two counts of the same audio may differ."""

EARLIER: Final = "The vendor had announced a longer session itself: unless the credential allowed less, it is the vendor's problem."
FAR_FROM_IT: Final = "The session was far from the longest that the vendor publishes: the credential or the account may allow less."


def session_duration(case: Case) -> Finding:
    known = case.known
    lasted = case.at - (known.answered_at if known.answered_at is not None else known.started_at)
    published = known.spec.spec.limits.session_seconds if known.spec is not None else None
    announced = _announced(known)
    limit = announced if announced is not None else published
    if limit is None:
        return found(Check.SESSION_DURATION, CANNOT_TELL, "seconds", measured=lasted)
    margin = max(min(LONGEST_MARGIN, limit), MARGIN_SHARE * limit)
    agrees, owner, hint = CANNOT_TELL, None, None
    if any(lasted >= FULL_LENGTH * one for one in (announced, published) if one is not None):
        agrees = YES
    elif lasted < limit - margin:
        agrees, owner, hint = (NO, Owner.UNKNOWN, EARLIER) if announced is not None else (CANNOT_TELL, Owner.UNKNOWN, FAR_FROM_IT)
    return found(Check.SESSION_DURATION, agrees, "seconds", claimed=limit, measured=lasted, margin=margin, owner=owner, hint=hint)


def _announced(known: Known) -> float | None:
    """How long the vendor said that the session may last, by its own clock; None where it did not tell both."""
    if known.expires_at is None or known.date is None:
        return None
    try:
        begun = parsedate_to_datetime(known.date).timestamp()
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return known.expires_at - begun if known.expires_at > begun else None


def reported_audio(case: Case) -> Finding | None:
    """The vendor's own count of the audio against ours, as of when it told; None where it tells none. It accuses nobody."""
    known = case.known
    reported = known.claim.reported_seconds
    if reported is None or known.reported_of is None or not case.then.clock.timed:
        return None
    delivered, read = known.reported_of
    margin = max(LEAST_MARGIN + known.delivery.rtt_seconds, REPORTED_SHARE * read)
    if reported > read + margin or (known.delivery.known and reported < delivered - margin):
        agrees = NO if case.whole else CANNOT_TELL
    else:
        agrees = YES if known.delivery.known and reported >= delivered - margin else CANNOT_TELL
    return found(Check.REPORTED_AUDIO, agrees, "seconds", stage="delivered" if known.delivery.known else "read", claimed=reported,
                 measured=delivered if known.delivery.known else read, margin=margin)
