"""Which trace a session belongs to, as its client said (W3C Trace Context, level 1) or as whoever traces it has decided.

Two ids and a flag, taken over as they are; that they become spans and exemplars is telemetry's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]([0-9a-f])(?:-|$)")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """`span_id` is of our own span, None where there is none. `sampled`: somebody keeps the trace."""

    trace_id: str | None = None
    span_id: str | None = None
    sampled: bool = False

    @property
    def mark(self) -> str | None:
        """What observations are marked with: an id that leads somewhere, or nothing."""
        return self.trace_id if self.sampled else None


def said(headers: Mapping[str, str]) -> TraceContext:
    """What a `traceparent` says, if it is a valid one. Names of headers in lower case."""
    match = _TRACEPARENT.match(headers.get("traceparent", ""))
    return TraceContext(match[1], None, bool(int(match[2], 16) & 1)) if match else TraceContext()
