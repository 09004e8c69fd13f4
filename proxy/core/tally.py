"""Plain numbers that add up: what sessions count while bytes flow, and what a scrape reads.

On the hot path a frame costs a few integer additions here and nothing else: no metric object, no lock, no label look-up.
Telemetry turns these tables into metrics when it is asked to. All of it lives on one thread.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

FRAME_TYPES: Final = ("audio", "binary", "text", "ping", "pong", "close", "continuation", "other")
AUDIO, BINARY, TEXT, PING, PONG, CLOSE, CONTINUATION, OTHER = range(8)

SERVICE_STATES: Final = ("good", "lagging", "stalled", "not_ready")
GOOD, LAGGING, STALLED, NOT_READY = range(4)

# Bucket bounds. The vendors' own limits are bounds exactly (0.05 s, 1 s, 3600 s, 10800 s), so that a rule can ask
# "how many were over the limit" without interpolation. Each bound is a series a label set: they are few on purpose.
CHUNK_SECONDS: Final[tuple[float, ...]] = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
GAP_SECONDS: Final[tuple[float, ...]] = (0.05, 0.1, 0.25, 1.0, 3.0, 10.0)
RATE_RATIO: Final[tuple[float, ...]] = (0.5, 0.9, 1.0, 1.1, 1.25, 2.0)
LATENCY_SECONDS: Final[tuple[float, ...]] = (0.25, 0.5, 1.0, 1.5, 3.0)
DIAL_SECONDS: Final[tuple[float, ...]] = (0.05, 0.2, 1.0, 5.0)
READY_SECONDS: Final[tuple[float, ...]] = (0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SESSION_SECONDS: Final[tuple[float, ...]] = (5.0, 60.0, 300.0, 1800.0, 3600.0, 10800.0)
HELD_SECONDS: Final[tuple[float, ...]] = (0.1, 1.0, 10.0)
LAG_SECONDS: Final[tuple[float, ...]] = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Example:
    """One value that was counted, and the id of the trace in which more is told of it. `at` is the monotonic clock."""

    value: float
    mark: str
    at: float


class Histogram:
    """Counts per bucket, the last for what is above every bound. `counts` are not cumulative. `examples`: the latest by bucket."""

    __slots__ = ("bounds", "counts", "examples", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.examples: dict[int, Example] = {}

    def observe(self, value: float, mark: str | None = None, at: float = 0.0) -> None:
        """`mark` and its time make an example of the value."""
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.total += value
        if mark is not None:
            self.examples[bucket] = Example(value, mark, at)

    def add(self, other: Histogram) -> None:
        """Raises ValueError where the bounds differ."""
        if self.bounds != other.bounds:
            raise ValueError(f"bounds differ: {self.bounds} and {other.bounds}")
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total += other.total
        for bucket, example in other.examples.items():
            known = self.examples.get(bucket)
            if known is None or known.at < example.at:
                self.examples[bucket] = example


class Traffic:
    """Frames and payload bytes of one direction, by FRAME_TYPES; `wire_bytes` counts everything that crossed."""

    __slots__ = ("bytes", "frames", "wire_bytes")

    def __init__(self) -> None:
        self.frames = [0] * len(FRAME_TYPES)
        self.bytes = [0] * len(FRAME_TYPES)
        self.wire_bytes = 0

    def add(self, other: Traffic) -> None:
        self.frames = [a + b for a, b in zip(self.frames, other.frames, strict=True)]
        self.bytes = [a + b for a, b in zip(self.bytes, other.bytes, strict=True)]
        self.wire_bytes += other.wire_bytes


class AudioSeconds:
    """Seconds of audio at each stage. `delivered` was acknowledged by the vendor's TCP, `reported` is its own count.

    `silent` and `voiced` are estimates from samples; what is in between is neither.
    """

    __slots__ = ("delivered", "read", "reported", "silent", "voiced", "written")

    def __init__(self) -> None:
        self.read = self.written = self.delivered = self.reported = self.silent = self.voiced = 0.0

    def add(self, other: AudioSeconds) -> None:
        self.read += other.read
        self.written += other.written
        self.delivered += other.delivered
        self.reported += other.reported
        self.silent += other.silent
        self.voiced += other.voiced


class Tables:
    """The histograms and counts that all sessions of one listener and endpoint write into as they go.

    `served` is seconds of open sessions, by SERVICE_STATES.
    """

    __slots__ = ("chunk", "final_lag", "finals", "first_result", "gap", "interim_lag", "interims", "rate", "ready", "served")

    def __init__(self) -> None:
        self.ready = Histogram(READY_SECONDS)
        self.chunk = Histogram(CHUNK_SECONDS)
        self.gap = Histogram(GAP_SECONDS)
        self.rate = Histogram(RATE_RATIO)
        self.first_result = Histogram(LATENCY_SECONDS)
        self.interim_lag = Histogram(LATENCY_SECONDS)
        self.final_lag = Histogram(LATENCY_SECONDS)
        self.interims = 0
        self.finals = 0
        self.served = [0.0] * len(SERVICE_STATES)
