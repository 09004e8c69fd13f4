"""The way out: bounded, counted, and silent about itself."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from proxy.telemetry.exporting import EXPORTERS, FLUSH_SECONDS, Bounded, Counting, Exported
from tests.aio import run
from tests.otlp import collector


class Fake(SpanExporter):
    """Takes what it is given, or does not."""

    def __init__(self) -> None:
        self.result: SpanExportResult | Exception = SpanExportResult.SUCCESS
        self.ended = False
        self.busy, self.answers = threading.Event(), threading.Event()
        self.answers.set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.busy.set()
        self.answers.wait(10)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def shutdown(self) -> None:
        self.ended = True


def spans(count: int) -> list[ReadableSpan]:
    return [ReadableSpan(str(number)) for number in range(count)]


def test_what_a_collector_did_not_take_is_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fake = Fake()
    counting = Counting(fake)
    for result, count in ((SpanExportResult.SUCCESS, 1), (SpanExportResult.FAILURE, 2), (OSError("no"), 4), (SpanExportResult.SUCCESS, 8)):
        fake.result = result
        counting.export(spans(count))
    assert (counting.taken, counting.lost) == (15, 6)
    said = [(record.msg, vars(record)["fields"]) for record in caplog.records]
    assert said == [("traces_lost", {"count": 2}), ("traces_back", {"count": 6})]
    counting.shutdown()
    assert fake.ended


def test_a_full_queue_drops_the_new_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    fake = Fake()
    fake.answers.clear()
    counting = Counting(fake)
    bounded = Bounded(counting, 4)
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(bounded)
    tracer = provider.get_tracer("test")
    for _ in range(4):
        tracer.start_span("x").end()
    assert fake.busy.wait(10), "a full batch goes at once"
    for _ in range(6):
        tracer.start_span("x").end()
    assert (counting.taken, bounded.waiting, bounded.dropped) == (4, 4, 2)
    fake.answers.set()
    provider.shutdown()
    assert (counting.taken, bounded.waiting, bounded.dropped) == (8, 0, 2)


def test_an_exit_does_not_wait_for_a_collector_that_is_gone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer S3CR3T")
    exported = Exported("1.0")
    exported._tracer.start_span("x").end()
    began = time.monotonic()
    run(exported.close())
    assert time.monotonic() - began < FLUSH_SECONDS + 5
    assert {record.msg for record in caplog.records} <= {"traces_lost"}, "the exporter complains by itself"
    assert "S3CR3T" not in caplog.text
    assert "traces_lost" in caplog.text


def test_what_is_on_its_way_at_an_exit_is_counted_once_and_told_by_nobody_later(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    fake = Fake()
    fake.answers.clear()
    fake.result = SpanExportResult.FAILURE
    monkeypatch.setitem(EXPORTERS, "console", lambda: fake)
    monkeypatch.setattr("proxy.telemetry.exporting.FLUSH_SECONDS", 0.05)
    exported = Exported("1.0", ["console"])
    exported._tracer.start_span("x").end()
    run(exported.close())
    assert fake.busy.wait(10)
    assert [(record.msg, vars(record)["fields"]) for record in caplog.records] == [("traces_lost", {"count": 1})]
    ending = [thread for thread in threading.enumerate() if thread.name == "traces-end"]
    fake.answers.set()
    for thread in ending:
        thread.join(10)
    assert exported.dropped == 1
    assert len(caplog.records) == 1, "the log may be closed by then"


def test_the_variables_are_the_standard_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as found:
        for name, value in {
            "OTEL_EXPORTER_OTLP_ENDPOINT": found.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_SERVICE_NAME": "calls", "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=calls-0,k8s.node.name=n1,service.version=9",
        }.items():
            monkeypatch.setenv(name, value)
        exported = Exported("1.0")
        exported._tracer.start_span("x").end()
        run(exported.close())
        [span] = found.spans
        said = {"service.name": "calls", "k8s.pod.name": "calls-0", "k8s.node.name": "n1", "service.version": "9"}
        assert said.items() <= span.resource.items()
        assert (found.heard["x-tenant"], found.heard["content-encoding"]) == ("blue", "gzip")
        assert exported.dropped == 0


def test_without_a_name_it_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", found.url + "/v1/traces")
        exported = Exported("1.0")
        exported._tracer.start_span("x").end()
        run(exported.close())
        assert {name: found.spans[0].resource[name] for name in ("service.name", "service.version")} == {
            "service.name": "earwitness", "service.version": "1.0"}


def test_on_a_console_each_is_a_line_beside_the_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    exported = Exported("1.0", {"console"})
    exported._tracer.start_span("x").end()
    exported._tracer.start_span("y").end()
    run(exported.close())
    captured = capsys.readouterr()
    assert [json.loads(line)["name"] for line in captured.err.splitlines()] == ["x", "y"]
    assert captured.out == ""


def test_there_may_be_several(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        exported = Exported("1.0", {"otlp", "console"})
        exported._tracer.start_span("x").end()
        run(exported.close())
        assert [span.name for span in found.spans] == ["x"]
    assert json.loads(capsys.readouterr().err)["name"] == "x"
    assert exported.dropped == 0
