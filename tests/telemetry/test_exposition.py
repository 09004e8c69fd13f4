import shutil
import subprocess
import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from proxy.core.tally import Example, Histogram
from proxy.telemetry.catalogue import BY_NAME, METRICS
from proxy.telemetry.exposition import Exposition, Labels, Rows, wants_openmetrics
from proxy.telemetry.ledger import Ledger
from proxy.telemetry.metrics import Metrics

from .fakes import COMMON, FakeSession, profile, report

OPENMETRICS = "application/openmetrics-text"


def rows(**some: Rows) -> dict[str, Rows]:
    return {metric.name: () for metric in METRICS} | {f"earwitness_{name}": values for name, values in some.items()}


def samples(page: bytes, parser: Any = parse_text) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families: Iterable[Any] = parser(page.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def histogram() -> Histogram:
    made = Histogram(BY_NAME["earwitness_audio_chunk_seconds"].buckets)
    for value in (0.05, 0.06, 0.09, 99.0):
        made.observe(value)
    return made


@pytest.mark.parametrize(("accept", "parser"), [("", parse_text), (OPENMETRICS, parse_openmetrics)])
def test_what_is_written_is_what_a_parser_reads(accept: str, parser: Any) -> None:
    page, _ = Exposition().page(rows(
        audio_chunk_seconds=[(("acme",), histogram())],
        frames_total=[(("acme", "to_vendor", "audio"), 7)],
        audio_lead_seconds=[(("acme",), 1e-07)],
    ), accept)
    read = samples(page, parser)
    vendor = ("vendor", "acme")
    assert read["earwitness_frames_total", (("direction", "to_vendor"), ("type", "audio"), vendor)] == 7
    assert read["earwitness_audio_lead_seconds", (vendor,)] == 1e-07
    assert read["earwitness_audio_chunk_seconds_bucket", (("le", "0.05"), vendor)] == 1
    assert read["earwitness_audio_chunk_seconds_bucket", (("le", "0.1"), vendor)] == 3
    assert read["earwitness_audio_chunk_seconds_bucket", (("le", "1.0"), vendor)] == 3
    assert read["earwitness_audio_chunk_seconds_bucket", (("le", "+Inf"), vendor)] == 4
    assert read["earwitness_audio_chunk_seconds_count", (vendor,)] == 4
    assert read["earwitness_audio_chunk_seconds_sum", (vendor,)] == pytest.approx(99.2)
    assert any(name.startswith("process_") for name, _ in read)
    assert any(name.startswith("python_gc_") for name, _ in read)


def test_content_types() -> None:
    exposition = Exposition()
    assert exposition.page(rows(), "")[1].startswith("text/plain; version=0.0.4")
    page, kind = exposition.page(rows(), OPENMETRICS)
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert page.endswith(b"# EOF\n")
    assert page.count(b"# EOF") == 1


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")))
def test_any_label_value_survives(value: str) -> None:
    page, _ = Exposition().page(rows(warnings_total=[(("main", "acme", value), 3)]), OPENMETRICS)
    read = samples(page, parse_openmetrics)
    assert read["earwitness_warnings_total", (("code", value), ("listener", "main"), ("vendor", "acme"))] == 3


def test_a_row_with_too_few_labels_is_our_bug() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        Exposition().page(rows(warnings_total=[(("main",), 3)]), "")


def test_a_page_can_be_asked_for_again() -> None:
    exposition, table = Exposition(), histogram()
    exposition.page(rows(audio_chunk_seconds=[(("acme",), table)]), "")
    table.observe(0.03)
    read = samples(exposition.page(rows(audio_chunk_seconds=[(("acme",), table)]), "")[0])
    assert read["earwitness_audio_chunk_seconds_count", (("vendor", "acme"),)] == 5


@pytest.mark.parametrize(("accept", "expected"), [
    ("", False),
    ("*/*", False),
    ("text/plain", False),
    (OPENMETRICS, True),
    (f"{OPENMETRICS};version=1.0.0;q=0.5,{OPENMETRICS};version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", True),
    (f"text/plain;version=0.0.4;q=0.5, {OPENMETRICS};version=1.0.0;q=0.4", False),
    (f"{OPENMETRICS};q=0", False),
    (f"{OPENMETRICS};q=nonsense", False),
    (";;,q=,;q=1,,", False),
])
def test_the_format_that_is_preferred(accept: str, expected: bool) -> None:
    assert wants_openmetrics(accept) is expected


def test_promtool_finds_nothing_to_complain_about() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing: install what tests/apt-packages.txt lists"
    book = Ledger({"main": profile()}, COMMON, strict=True)
    session = FakeSession()
    book.started(session)
    book.ended(session, report())
    done = subprocess.run([promtool, "check", "metrics"], input=Metrics(book, "1.0").render("")[0], capture_output=True, timeout=30)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_exemplars_stand_in_openmetrics_alone() -> None:
    seen = Histogram(BY_NAME["earwitness_first_result_seconds"].buckets)
    seen.observe(0.4, "a" * 32, time.monotonic())
    labels: Labels = ("main", "acme", "v1", "websocket_runtime", "E7", "auth", "operator", "after_fix")
    some = rows(first_result_seconds=[(("acme", "v1"), seen)], errors_total=[(labels, 3)])
    examples = {"earwitness_errors_total": {labels: Example(1.0, "b" * 32, time.monotonic())}}
    exposition = Exposition()
    text, _ = exposition.page(some, "", examples)
    assert b"#" not in b"".join(line for line in text.splitlines() if not line.startswith(b"#"))
    page, _ = exposition.page(some, OPENMETRICS, examples)
    families: Iterable[Any] = parse_openmetrics(page.decode())  # type: ignore[no-untyped-call]
    found = [(s.name, s.labels.get("le"), s.exemplar) for family in families for s in family.samples if s.exemplar]
    assert [(name, bound, exemplar.labels, exemplar.value) for name, bound, exemplar in found] == [
        ("earwitness_errors_total", None, {"trace_id": "b" * 32}, 1.0),
        ("earwitness_first_result_seconds_bucket", "0.5", {"trace_id": "a" * 32}, 0.4)]
    for _, _, exemplar in found:
        assert abs(float(exemplar.timestamp) - time.time()) < 5
    assert exposition.page(some, OPENMETRICS, examples)[0].split(b"# HELP process")[0] == page.split(b"# HELP process")[0], (
        "the same example has the same time in each scrape")
