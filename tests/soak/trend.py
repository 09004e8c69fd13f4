"""Whether a figure stands still: its slope over a window, and quantiles early against late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, mean

WARM_UP = 1 / 2
"""The share of a run in which caches, pools and the heap may still grow."""


@dataclass(frozen=True)
class Trend:
    """`growth` is what the slope comes to over the window, in the figure's own unit, beside its mean."""

    mean: float
    growth: float


def trend(samples: Sequence[tuple[float, float]]) -> Trend:
    """Of (time, figure), after the warm-up."""
    late = settled(samples)
    times, figures = zip(*late, strict=True)
    return Trend(mean(figures), linear_regression(times, figures).slope * (times[-1] - times[0]))


def settled(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    first, last = samples[0][0], samples[-1][0]
    return [one for one in samples if one[0] >= first + WARM_UP * (last - first)]


def halves(samples: Sequence[tuple[float, float]], share: float) -> tuple[float, float]:
    """A quantile in the first half after the warm-up, and in the second."""
    late = settled(sorted(samples))
    middle = (late[0][0] + late[-1][0]) / 2
    early, last = ([figure for at, figure in late if (at < middle) is first] for first in (True, False))
    return quantile(early, share), quantile(last, share)


def quantile(figures: Sequence[float], share: float) -> float:
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def resident_kib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4.0


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
