"""Rows of numbers as Prometheus text or OpenMetrics.

Owns the two formats and the choice between them; it knows nothing of sessions. Names and labels of a series are rendered once
and kept, and a page is made in parts, since a scrape runs on the event loop, between frames. (Measured with 1,000 open sessions and
2,000 series: prometheus_client's families and encoder take 20 ms, this takes 3.) Process and Python metrics come from prometheus_client.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from proxy.core.tally import Example, Histogram
from proxy.telemetry.catalogue import METRICS, Metric

Labels = tuple[str, ...]
Rows = Iterable[tuple[Labels, float | Histogram]]
Examples = Mapping[Labels, Example]
_NO_EXAMPLES: Mapping[str, Examples] = {}


class Exposition:
    """Writes pages. The series it has seen are kept: label values are closed sets."""

    def __init__(self) -> None:
        self._epoch = time.time() - time.monotonic()  # once: an example must not change its time from scrape to scrape
        self._series: dict[tuple[str, Labels], tuple[str, ...]] = {}
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)

    def page(self, rows: Mapping[str, Rows], accept: str, examples: Mapping[str, Examples] = _NO_EXAMPLES) -> tuple[bytes, str]:
        """All of the catalogue from `rows` (by metric name), in the format that the `Accept` header prefers; and its content type.

        `examples` are of counters; histograms have their own. Only OpenMetrics can show them."""
        return b"".join(self.parts(rows, accept, examples)), content_type(accept)

    def parts(self, rows: Mapping[str, Rows], accept: str, examples: Mapping[str, Examples] = _NO_EXAMPLES) -> Iterator[bytes]:
        """The same page, one metric after the other: whoever asks may let others run in between."""
        open_metrics = wants_openmetrics(accept)
        for metric in METRICS:
            lines = [_head(metric, open_metrics)]
            shown = examples.get(metric.name, {}) if open_metrics else {}
            for labels, value in rows[metric.name]:
                series = self._series.get((metric.name, labels)) or self._name(metric, labels)
                if isinstance(value, Histogram):
                    written = list(map(_line, series, _numbers(value)))
                    for bucket, example in value.examples.items() if open_metrics else ():
                        written[bucket] = self._shown(written[bucket], example)
                    lines += written
                else:
                    line = _line(series[0], value)
                    lines.append(self._shown(line, shown[labels]) if labels in shown else line)
            yield "".join(lines).encode()
        theirs: bytes = (openmetrics.generate_latest if open_metrics else generate_latest)(self._process)
        yield theirs

    def _shown(self, line: str, example: Example) -> str:
        """The line with its exemplar. A trace id is all that goes with one."""
        return f'{line[:-1]} # {{trace_id="{example.mark}"}} {example.value} {example.at + self._epoch:.3f}\n'

    def _name(self, metric: Metric, labels: Labels) -> tuple[str, ...]:
        """The text of a series up to its value; a histogram has one for each bucket, then sum and count."""
        pairs = tuple(_pair(name, value) for name, value in zip(metric.labels, labels, strict=True))
        if metric.kind == "histogram":
            bounds = (*map(repr, metric.buckets), "+Inf")
            series = (
                *(f"{metric.name}_bucket{_braced(*pairs, _pair('le', bound))}" for bound in bounds),
                f"{metric.name}_sum{_braced(*pairs)}",
                f"{metric.name}_count{_braced(*pairs)}",
            )
        else:
            series = (metric.name + _braced(*pairs),)
        self._series[metric.name, labels] = series
        return series


def _numbers(histogram: Histogram) -> Iterable[float]:
    buckets = tuple(accumulate(histogram.counts))
    return (*buckets, histogram.total, buckets[-1])


def _line(series: str, value: float) -> str:
    return f"{series} {value}\n"


def _head(metric: Metric, open_metrics: bool) -> str:
    name = metric.name.removesuffix("_total") if open_metrics else metric.name
    unit = f"# UNIT {name} {metric.unit}\n" if open_metrics and metric.unit else ""
    return f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n{unit}"


def _pair(name: str, value: str) -> str:
    escaped = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'{name}="{escaped}"'


def _braced(*pairs: str) -> str:
    return f"{{{','.join(pairs)}}}" if pairs else ""


def content_type(accept: str) -> str:
    """Of the format that the `Accept` header prefers."""
    return str(openmetrics.CONTENT_TYPE_LATEST if wants_openmetrics(accept) else CONTENT_TYPE_PLAIN_0_0_4)


def wants_openmetrics(accept: str) -> bool:
    """Whether the header prefers OpenMetrics to plain text. Unreadable parts of it are passed over."""
    best, chosen = 0.0, False
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind not in ("application/openmetrics-text", "text/plain"):
            continue
        quality = next((_quality(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        if quality > best:
            best, chosen = quality, kind == "application/openmetrics-text"
    return chosen


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
