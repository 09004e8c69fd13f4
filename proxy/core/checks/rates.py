"""Claims about how fast things came: audio faster than real time, too many messages.

Owns the difference between what the client did and what others made of it. A loop that stands still, a socket that takes no
more and a link that is cut for a while all turn an even stream into a burst: what they may have added is taken off before a
client is blamed, and where they may have made the burst that a vendor saw, the vendor is not contradicted.
"""

from __future__ import annotations

from typing import Final

from proxy.core.checks.finding import CANNOT_TELL, NO, NO_AUDIO, STILL, YES, Case, Finding, found
from proxy.core.shape import MINUTE, SECOND, Rate
from proxy.core.verdict import Check, Owner

FAR_AHEAD: Final = 5.0
"""Seconds of audio ahead of real time that are surely too fast."""
HARDLY_AHEAD: Final = 1.5
"""Seconds that are surely not: a microphone's buffer."""
EVEN: Final = 1.1
AHEAD: Final = 1.75
"""Seconds that are too fast where the rate is above the vendor's, too."""

REAL_TIME: Final = "The audio left here no faster than real time: not the client. Send the vendor's support the ids and the evidence."
UNCLEAR: Final = "The client sent at an ordinary pace; whether it arrived so, or as a burst, is not known."
WE: Final = "The client sent evenly; Earwitness stood still and then passed on what had waited: it needs more CPU, or fewer sessions."
LINK: Final = "The client sent evenly; its audio was held up on the way and then arrived at once: look at the way there."
WINDOW: Final = "The client sent evenly; the vendor had stopped reading for a while (its receive window was zero) and then got all at once."
OTHERWISE: Final = "This session never sent so many messages: if a limit was reached, it is one of the whole account."
FEW: Final = "So many messages were never sent: not the client. Send the vendor's support the ids and the evidence."


def audio_rate(case: Case) -> Finding:
    known, clock = case.known, case.then.clock
    limit = known.spec.spec.limits.rate_ratio if known.spec is not None else None
    claimed = limit or EVEN
    if clock.first_at is None or (clock.timed and not case.then.read):
        return found(Check.AUDIO_RATE, CANNOT_TELL, "ratio", stage="read", claimed=limit, measured=0.0, owner=Owner.UNKNOWN, hint=NO_AUDIO)
    if not clock.timed:
        return found(Check.AUDIO_RATE, CANNOT_TELL, "ratio", stage="read", claimed=limit)
    lag, sent = case.then.lag_max, case.then.read
    span = clock.last_at - clock.first_at
    # Held to the whole time since the first chunk, delays on the way here cannot have made it look faster, but for the first one.
    surplus = sent - span - clock.chunk_max
    burst = 0.0 if case.held else clock.lead_max - clock.chunk_max
    rate = sent / (span + lag + clock.chunk_max)
    ahead = max(surplus, burst) - lag
    if ahead > FAR_AHEAD or (ahead > AHEAD and rate >= claimed):
        return found(Check.AUDIO_RATE, YES, "ratio", stage="read", claimed=limit, measured=sent / max(span, clock.chunk_max), window=span,
                     margin=lag)
    even = rate <= EVEN and surplus <= HARDLY_AHEAD
    agrees, stage, owner, hint = CANNOT_TELL, "read", Owner.UNKNOWN, UNCLEAR
    behind = known.delivery.behind_max
    if even and lag > STILL and HARDLY_AHEAD < burst <= lag + HARDLY_AHEAD:
        agrees, owner, hint = YES, Owner.SIDECAR, WE
    elif even and burst <= HARDLY_AHEAD and lag < STILL and behind > FAR_AHEAD > case.then.undelivered:
        agrees, stage, owner, hint = YES, "delivered", *((Owner.VENDOR, WINDOW) if known.delivery.behind_full else (Owner.NETWORK, LINK))
    elif even and burst <= HARDLY_AHEAD and case.in_step and case.whole:
        agrees, stage, owner, hint = NO, "delivered", Owner.VENDOR, REAL_TIME
    return found(Check.AUDIO_RATE, agrees, "ratio", stage=stage, claimed=limit, measured=rate, window=span, margin=lag, owner=owner,
                 hint=hint)


def message_rate(case: Case) -> Finding | None:
    """None where no rate is published."""
    limits = case.known.spec.spec.limits if case.known.spec is not None else None
    if limits is None:
        return None
    judged = [
        _rate(case, rate, limit, window)
        for rate, limit, window in (
            (case.then.shape.messages, limits.messages_per_minute, MINUTE), (case.then.shape.chunks, limits.chunks_per_second, SECOND))
        if rate is not None and limit is not None
    ]
    order = (YES, CANNOT_TELL, NO)
    return min(judged, key=lambda one: order.index(one.agrees), default=None)


def _rate(case: Case, rate: Rate, limit: float, window: float) -> Finding:
    known = case.known
    began = case.then.clock.first_at
    # Where all of it came in less than one window, nothing can have been heaped into it; else it may look so much more than it was.
    heap = 1.0 if began is not None and case.at - began + case.then.lag_max <= window else 1 + case.then.lag_max / window
    if rate.least > limit * heap and not (case.held and window == SECOND):
        return found(Check.MESSAGE_RATE, YES, "messages", stage="read", claimed=limit, measured=rate.least, window=window)
    if rate.least > limit and case.then.lag_max > STILL:
        return found(Check.MESSAGE_RATE, YES, "messages", stage="read", claimed=limit, measured=rate.least, window=window,
                     owner=Owner.SIDECAR, hint=WE)
    late = 1 + (case.then.lag_max + known.delivery.behind_max) / window
    if case.whole and case.in_step and rate.most * late <= limit:
        named = any(word in text for text in known.claim.said for word in (" message", " chunk"))
        return found(Check.MESSAGE_RATE, NO, "messages", stage="read", claimed=limit, measured=rate.most, window=window,
                     owner=Owner.VENDOR if named else Owner.UNKNOWN, hint=FEW if named else OTHERWISE)
    return found(Check.MESSAGE_RATE, CANNOT_TELL, "messages", stage="read", claimed=limit, measured=rate.most, window=window,
                 owner=Owner.UNKNOWN, hint=UNCLEAR)
