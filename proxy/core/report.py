"""The one report a session ends with: its verdict, and what was measured.

Owns the shape that the log line, the admin page and (later) the session span share. Times are UTC ISO 8601 strings made
from one wall-clock reading at the start; durations come from the monotonic clock, so that a clock step changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from proxy.core.verdict import Inspection, Verdict

SCHEMA: Final = 1


@dataclass(slots=True)
class Close:
    """A close frame as it was on the wire, illegal codes included. `code` is None for an empty one."""

    code: int | None
    reason: str | None
    at: str


@dataclass(slots=True)
class Evidence:
    """One claim held against one measurement. `agrees` is `yes`, `no` or `cannot_tell`."""

    check: str
    stage: str | None
    claimed: float | None
    measured: float | None
    unit: str
    window_seconds: float | None
    margin_seconds: float | None
    agrees: str


@dataclass(slots=True)
class Fact:
    """Something noticed while the session was open."""

    fact: str
    at: str
    seconds: float | None = None


@dataclass(slots=True)
class AudioReport:
    """Seconds of audio, by stage; None where the format cannot be timed."""

    format: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    read_seconds: float | None = None
    written_seconds: float | None = None
    delivered_seconds: float | None = None
    reported_seconds: float | None = None
    silent_seconds: float | None = None
    chunk_seconds_min: float | None = None
    chunk_seconds_max: float | None = None
    gap_seconds_max: float | None = None
    rate_ratio: float | None = None
    lead_seconds_max: float | None = None
    cut_seconds: float | None = None
    """Audio that the gate held and that never left, because the session ended first."""


@dataclass(slots=True)
class LatencyReport:
    ready_seconds: float | None = None
    first_result_seconds: float | None = None
    result_lag_seconds_last: float | None = None
    result_lag_seconds_max: float | None = None
    results: int = 0
    finals: int = 0


@dataclass(slots=True)
class SelfReport:
    """What we may have done to the session ourselves."""

    loop_lag_seconds_max: float = 0.0
    buffered_bytes_max: int = 0
    gate_delay_seconds: float = 0.0


@dataclass(slots=True)
class Report:
    """Everything about one session. `as_dict` is the log line."""

    session_id: str
    listener: str
    started_at: str
    ended_at: str
    duration_seconds: float
    verdict: Verdict
    ready_at: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    client_close: Close | None = None
    vendor_close: Close | None = None
    evidence: list[Evidence] = field(default_factory=list)
    self_: SelfReport = field(default_factory=SelfReport)
    audio: AudioReport = field(default_factory=AudioReport)
    latency: LatencyReport = field(default_factory=LatencyReport)
    traffic: dict[str, Any] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    inspection: Inspection = Inspection.FULL
    correlation: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Flat but for the measurements: the verdict's fields stand at the top, beside the session's."""
        whole: dict[str, Any] = _plain(self)
        verdict = whole.pop("verdict")
        whole["self"] = whole.pop("self_")
        return {"schema": SCHEMA, **whole, **verdict}


def _plain(value: Any) -> Any:
    """Dataclasses to dicts, all the way down. `dataclasses.asdict` copies every leaf as well, at three times the cost."""
    names = getattr(type(value), "__dataclass_fields__", None)
    if names is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    return [_plain(item) for item in value] if type(value) is list else value


def utc(wall: float) -> str:
    """Unix seconds to ISO 8601 with milliseconds and a Z."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
