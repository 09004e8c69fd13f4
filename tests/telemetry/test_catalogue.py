import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.telemetry.catalogue import BY_NAME, LABELS, METRICS, PREFIX, Metric, markdown

ROOT = Path(__file__).parents[2]
by_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(METRICS)


@by_metric
def test_a_metric_is_named_by_convention(metric: Metric) -> None:
    assert re.fullmatch(PREFIX + "[a-z_]+", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    if metric.unit:
        assert metric.name.removesuffix("_total").endswith("_" + metric.unit)
    assert metric.unit in ("", "seconds", "bytes", "ratio")
    assert metric.help.endswith(".")
    assert "\n" not in metric.help


@by_metric
def test_labels_are_described_and_buckets_rise(metric: Metric) -> None:
    assert set(metric.labels) <= set(LABELS)
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert list(metric.buckets) == sorted(set(metric.buckets))


def test_every_label_is_used() -> None:
    assert set(LABELS) == {label for metric in METRICS for label in metric.labels}


def test_the_vendors_limits_are_bounds() -> None:
    assert {0.05, 1.0} <= set(BY_NAME["earwitness_audio_chunk_seconds"].buckets)
    assert {3600.0, 10800.0} <= set(BY_NAME["earwitness_session_seconds"].buckets)
    assert 1.0 in BY_NAME["earwitness_audio_rate_ratio"].buckets


def test_metrics_md_is_what_the_catalogue_says() -> None:
    said = "\n".join(markdown()) + "\n"
    assert (ROOT / "METRICS.md").read_text() == said, "run: python -m proxy.telemetry.catalogue > METRICS.md"
    assert all(f"| `{metric.name}` |" in said for metric in METRICS)


def test_the_module_prints_it() -> None:
    done = subprocess.run([sys.executable, "-m", "proxy.telemetry.catalogue"], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode() == (ROOT / "METRICS.md").read_text()
