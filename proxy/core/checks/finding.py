"""What every check is given and what it gives back.

Owns the two shapes, and the one reading of `agrees`: `yes`, what was measured bears the claim out; `no`, it cannot be true;
`cannot_tell`, neither. A check says whose problem it is only where what it measured says more than the rule does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proxy.core.classify import Meaning
from proxy.core.known import Known, Then
from proxy.core.report import Evidence
from proxy.core.verdict import Check, Inspection, Owner

YES, NO, CANNOT_TELL = "yes", "no", "cannot_tell"

NO_AUDIO: Final = "No audio was seen to come from the client at all, so that there is nothing to bear the vendor's claim out."
LEAST_MARGIN: Final = 1.0
"""Seconds, besides the round trip, that what was measured may be off."""
MARGIN_SHARE: Final = 0.2
"""The same as a share of the vendor's window; the larger counts."""
STILL: Final = 1.0
"""Seconds for which our own loop may stand still without anybody else noticing."""
HELD_BYTES: Final = 65536
"""Once so much waits here, the side that sends it is no longer read: how fast it sends is ours to answer for."""


@dataclass(frozen=True, slots=True)
class Case:
    """A session that is over, and the vendor's word on it, said at `at`."""

    known: Known
    meaning: Meaning
    at: float
    then: Then

    @classmethod
    def of(cls, known: Known, meaning: Meaning, now: float) -> Case:
        """As of when the vendor judged, or of `now` where it never did."""
        at = known.judged_at if known.judged_at is not None else now
        return cls(known, meaning, at, known.then or known.so_far())

    @property
    def whole(self) -> bool:
        """Whether everything was seen that crossed."""
        return self.then.inspection is Inspection.FULL

    @property
    def in_step(self) -> bool:
        """Whether what came to us went on, and arrived, as it came: nothing of ours or of the network's made bursts of it."""
        known = self.known
        behind = self.then.clock.chunk_max + LEAST_MARGIN + STILL
        return known.delivery.known and known.delivery.behind_max <= behind and self.then.lag_max < STILL and not self.held

    @property
    def held(self) -> bool:
        """Whether a side may have had to wait for us."""
        return self.then.buffered_max >= HELD_BYTES

    @property
    def says(self) -> str:
        """What the claim is called: the words of its code and rule, folded."""
        return f" {self.meaning.code} {self.meaning.rule or ''} ".lower().replace("_", " ").replace("-", " ")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result. `owner` is None where the rule's stands; `hint` is None where it has nothing to add."""

    evidence: Evidence
    owner: Owner | None = None
    hint: str | None = None

    @property
    def agrees(self) -> str:
        return self.evidence.agrees


def found(check: Check, agrees: str, unit: str, *, stage: str | None = None, claimed: float | None = None, measured: float | None = None,
          window: float | None = None, margin: float | None = None, owner: Owner | None = None, hint: str | None = None) -> Finding:
    """A finding, its figures rounded to milliseconds."""
    numbers = (None if value is None else round(value, 3) for value in (claimed, measured, window, margin))
    claimed, measured, window, margin = numbers
    return Finding(Evidence(check, stage, claimed, measured, unit, window, margin, agrees), owner, hint)
