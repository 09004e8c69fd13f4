"""Into which pieces bare audio is brought: what must be cut, what is too short to go, what may go together.

Owns the comparison of a piece with the bounds of the rules that are enforced. It touches no bytes and knows no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

from proxy.core.audio import AudioFormat
from proxy.core.frames import pieces
from proxy.core.policy import Bounds, Rule

ROUNDING: Final = 1e-9
PACED_SECONDS: Final = 1.0
"""Audio in a message that is longer than the lead is cut into pieces of about this: else it would have to go at once."""
LARGEST_JOINED: Final = 64 << 10
"""Bytes that messages are joined up to for a rate's sake, where no bound is published."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Why a message is cut, and the lengths of its pieces in bytes."""

    rule: Rule
    sizes: list[int]


class Shaper:
    """Of one session. Seconds and bytes are of samples alone."""

    __slots__ = ("_least", "_longest", "_most", "_paced", "_room_bytes", "_room_seconds", "_shortest")

    def __init__(self, enforced: frozenset[Rule], bounds: Bounds) -> None:
        duration = Rule.CHUNK_DURATION in enforced
        self._shortest = bounds.chunk_min or 0.0 if duration else 0.0
        self._longest = bounds.chunk_max or inf if duration else inf
        self._most = bounds.chunk_bytes if Rule.CHUNK_BYTES in enforced else None
        self._paced = bounds.lead if Rule.PACE in enforced else inf
        self._least = bounds.chunk_min or 0.0  # what is cut for its pace, and what is joined, keeps to the vendor's bounds in any case
        self._room_seconds = bounds.chunk_max or inf
        self._room_bytes = bounds.chunk_bytes or (inf if bounds.chunk_max else LARGEST_JOINED)

    def is_short(self, seconds: float) -> bool:
        """Whether such a piece waits for more."""
        return seconds < self._shortest - ROUNDING

    def fits(self, seconds: float, length: int) -> bool:
        """Whether joined audio of such a size stays within the bounds."""
        return seconds <= self._room_seconds + ROUNDING and length <= self._room_bytes

    def cut(self, seconds: float, length: int, audio_format: AudioFormat) -> Cut | None:
        """How a message is cut; None where it need not be."""
        rate = audio_format.bytes_per_second or inf
        limits = []
        if seconds > self._longest + ROUNDING:
            limits.append((int(self._longest * rate + ROUNDING), Rule.CHUNK_DURATION))
        if self._most is not None and length > self._most:
            limits.append((max(self._most, int(2 * self._least * rate + ROUNDING)) if rate < inf else self._most, Rule.CHUNK_BYTES))
        if seconds > self._paced + ROUNDING:
            limits.append((int(max(min(PACED_SECONDS, self._paced), 2 * self._least) * rate + ROUNDING), Rule.PACE))
        if not limits:
            return None
        most, rule = min(limits, key=lambda limit: limit[0])
        sizes = pieces(length, most, audio_format.block)
        return Cut(rule, sizes) if len(sizes) > 1 else None
