"""What the sidecar says on /metrics that it has carried."""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

SECONDS_TO_SETTLE: Final = 5.0


@dataclass(frozen=True)
class Carried:
    """Totals since the process started."""

    audio_frames: float
    audio_written: float
    audio_reported: float
    texts: float
    results: float
    ended_well: float
    active: float

    def __sub__(self, other: Carried) -> Carried:
        return Carried(*(mine - its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))


def _samples(port: int) -> list[Sample]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def lag(port: int, limit: float) -> tuple[float, float]:
    """How often the event loop has ticked so far, and how often it was late by more than `limit` seconds, a bound of the histogram."""
    found = {s.labels.get("le", s.name): s.value for s in _samples(port) if s.name.startswith("earwitness_event_loop_lag_seconds")}
    ticks = found["+Inf"]
    return ticks, ticks - found[str(limit)]


def read(port: int) -> Carried:
    samples = _samples(port)

    def total(name: str, **labels: str) -> float:
        return sum(s.value for s in samples if s.name == f"earwitness_{name}" and labels.items() <= s.labels.items())

    return Carried(
        audio_frames=total("frames_total", direction="to_vendor", type="audio"),
        audio_written=total("audio_seconds_total", stage="written"),
        audio_reported=total("audio_seconds_total", stage="reported"),
        texts=total("frames_total", direction="to_client", type="text"),
        results=total("results_total"),
        ended_well=total("sessions_ended_total", outcome="ok"),
        active=total("sessions_active"),
    )


def settled(port: int, active: float) -> Carried:
    """The same, once no more sessions are open than that."""
    give_up = time.monotonic() + SECONDS_TO_SETTLE
    while (carried := read(port)).active > active and time.monotonic() < give_up:
        time.sleep(0.05)
    return carried
