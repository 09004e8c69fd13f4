"""Claims about single pieces of audio: too short, too long, too large.

Owns their comparison with the published bounds. What the client sent is what the vendor got, piece by piece, since nothing is
merged or split on the way: if no piece was out of bounds, none can have been. A last short piece is what was left, and normal.
"""

from __future__ import annotations

from typing import Final

from proxy.core.checks.finding import CANNOT_TELL, NO, NO_AUDIO, YES, Case, Finding, found
from proxy.core.verdict import Check, Owner

ROUNDING: Final = 1e-6
WRAPPED: Final = 1.5
"""How much larger than the audio in it a message may be: base64 makes four bytes of three, and there is an envelope."""

ALL_WITHIN: Final = ("Every piece of audio was within the vendor's bounds: not the client. "
                     "Send the vendor's support the ids and the evidence.")
ONLY_THE_LAST: Final = "Only the last piece before the end was short, as a remainder is allowed to be."
NEAR: Final = "No piece of audio was seen to break the vendor's bounds, but not everything could be seen."


def chunk_duration(case: Case) -> Finding | None:
    """None where no bounds are published."""
    known = case.known
    bounds = known.spec.spec.limits.chunk_seconds if known.spec is not None else None
    if bounds is None:
        return None
    low, high = bounds
    clock = case.then.clock
    if not clock.chunks:
        return found(Check.CHUNK_DURATION, CANNOT_TELL, "seconds", stage="read", claimed=low, owner=Owner.UNKNOWN, hint=NO_AUDIO)
    if not clock.timed:
        return found(Check.CHUNK_DURATION, CANNOT_TELL, "seconds", stage="read", claimed=low)
    inner = clock.shortest_but_last
    if clock.chunk_max > high + ROUNDING:
        return found(Check.CHUNK_DURATION, YES, "seconds", stage="read", claimed=high, measured=clock.chunk_max)
    if inner is not None and inner < low - ROUNDING:
        return found(Check.CHUNK_DURATION, YES, "seconds", stage="read", claimed=low, measured=inner)
    shortest = clock.chunk_min
    if shortest < low - ROUNDING:
        if case.then.end_sent:
            return found(Check.CHUNK_DURATION, CANNOT_TELL, "seconds", stage="read", claimed=low, measured=shortest,
                         owner=Owner.UNKNOWN, hint=ONLY_THE_LAST)
        return found(Check.CHUNK_DURATION, YES, "seconds", stage="read", claimed=low, measured=shortest)
    nearest = (high, clock.chunk_max) if clock.chunk_max * shortest > low * high else (low, shortest)
    return _unbroken(case, Check.CHUNK_DURATION, "seconds", *nearest)


def chunk_bytes(case: Case) -> Finding | None:
    """None where no bound is published."""
    limit = case.known.spec.spec.limits.chunk_bytes if case.known.spec is not None else None
    if limit is None:
        return None
    largest = case.then.clock.bytes_max
    if largest > limit:
        return found(Check.CHUNK_BYTES, YES, "bytes", stage="read", claimed=limit, measured=largest)
    if largest * WRAPPED > limit:
        return found(Check.CHUNK_BYTES, CANNOT_TELL, "bytes", stage="read", claimed=limit, measured=largest, owner=Owner.UNKNOWN, hint=NEAR)
    return _unbroken(case, Check.CHUNK_BYTES, "bytes", limit, largest)


def _unbroken(case: Case, check: Check, unit: str, claimed: float, measured: float) -> Finding:
    if case.whole and case.then.clock.chunks:
        return found(check, NO, unit, stage="read", claimed=claimed, measured=measured, owner=Owner.VENDOR, hint=ALL_WITHIN)
    return found(check, CANNOT_TELL, unit, stage="read", claimed=claimed, measured=measured, owner=Owner.UNKNOWN, hint=NEAR)
