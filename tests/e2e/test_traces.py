"""Traces through the whole sidecar, as a collector gets and decodes them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from proxy.simulators import AssemblyAISimulator, DeepgramSimulator
from proxy.simulators.base import BAD_KEY
from proxy.telemetry.events import BY_NAME
from tests.aio import free_port, run
from tests.e2e.rig import Sidecar, sidecar, upstream
from tests.otlp import Collector, Span, collector
from tests.simulators.calls import TERMINATE, V3

SECRET: Final = "SECRETKEY1234567890"
TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
PARENT: Final = "b7ad6b7169203331"
SAMPLED: Final = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
SILENCE: Final = bytes(3200)


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collector() as found:
        for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": found.url, "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_SERVICE_NAME": "calls",
                            "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=calls-0,k8s.namespace.name=voice,k8s.node.name=n1"}.items():
            monkeypatch.setenv(name, value)
        yield found


async def called(beside: Sidecar, vendor: str, path: str, headers: dict[str, str], *messages: str | bytes) -> str:
    """One call to its end; gives the first message of the vendor."""
    async with connect(beside.url(vendor) + path, additional_headers=headers, compression=None, proxy=None) as line:
        first = await line.recv()
        with suppress(ConnectionClosed):
            for message in messages:
                await line.send(message)
        await line.wait_closed()
    return str(first)


def kinds(spans: list[Span]) -> dict[str, Span]:
    return {span.kind: span for span in spans}


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    """Events and fields: all of them are listed in LOGS.md."""
    said = [(str(record.msg), vars(record)["fields"]) for record in caplog.records if record.name == "earwitness"]
    for event, fields in said:
        assert set(fields) <= set(BY_NAME[event].fields), event
    return said


def test_a_failed_session_has_the_vendors_id_on_it(traces: Collector, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> str:
        async with AssemblyAISimulator(fault="3005_session_cancelled", fault_after=0.15) as simulator, \
                sidecar({"vendor": "assemblyai", "upstream": upstream(simulator)}) as beside:
            begin = await called(beside, "assemblyai", f"{V3}&token={SECRET}", {"Authorization": SECRET, **SAMPLED}, SILENCE, SILENCE)
            await beside.reports.next()
            assert ("traceparent", SAMPLED["traceparent"]) in [(name.lower(), value) for name, value in simulator.sessions[0].headers]
        return str(json.loads(begin)["id"])

    identity = run(main())
    spans = kinds(traces.spans)
    session, server, client = spans["internal"], spans["server"], spans["client"]
    assert len(traces.spans) == 3
    assert {span.trace_id for span in traces.spans} == {TRACE}
    assert server.parent_id == PARENT
    assert (client.parent_id, session.parent_id) == (server.span_id, server.span_id)
    assert session.links == [server.span_id, client.span_id]
    assert session.attributes["earwitness.connection_id"] == identity
    assert session.attributes["error.type"] == session.attributes["earwitness.code"] == "3005_session_cancelled"
    assert (session.status, server.status, client.status) == ("error", "unset", "unset")
    assert (session.attributes["earwitness.close_code"], session.attributes["earwitness.owner"]) == (3005, "vendor")
    assert [name for name, _, _ in session.events] == ["ready", "first_audio", "error", "close", "close"]
    assert client.attributes["server.address"] == "127.0.0.1"
    assert client.attributes["url.full"].endswith("/v3/ws")
    assert session.resource.items() >= {"service.name": "calls", "k8s.pod.name": "calls-0", "k8s.namespace.name": "voice"}.items()
    assert server.begun <= client.begun <= client.ended <= session.ended
    for event, fields in lines(caplog):
        if "session_id" in fields:
            assert (fields["trace_id"], fields["span_id"]) == (TRACE, session.span_id), event
    assert [event for event, _ in lines(caplog)] == ["session_open", "session_end"]
    assert SECRET.encode() not in traces.raw
    assert b"token" not in traces.raw


def test_the_handshakes_come_while_the_session_is_open(traces: Collector) -> None:
    async def main() -> None:
        async with AssemblyAISimulator() as simulator, sidecar({"vendor": "assemblyai", "upstream": upstream(simulator)}) as beside:
            line = await connect(beside.url("assemblyai") + V3, additional_headers={"Authorization": "key"}, compression=None, proxy=None)
            await asyncio.to_thread(traces.wait, 2)
            assert {span.kind for span in traces.spans} == {"server", "client"}
            assert beside.app.relay.calls
            await line.send(TERMINATE)
            await line.wait_closed()
            await asyncio.to_thread(traces.wait, 3)
        session = kinds(traces.spans)["internal"]
        assert session.attributes["earwitness.outcome"] == "ok"
        assert kinds(traces.spans)["server"].parent_id == "", "there was no traceparent: the trace begins here"

    run(main())


def test_a_refusal_and_a_vendor_that_is_not_there(traces: Collector) -> None:
    async def main() -> None:
        nowhere = {"name": "gone", "vendor": "deepgram", "upstream": f"http://127.0.0.1:{free_port()}"}
        async with DeepgramSimulator() as simulator, sidecar({"vendor": "deepgram", "upstream": upstream(simulator)}, nowhere) as beside:
            for name, path in (("deepgram", "/v1/listen?model=nova-3"), ("gone", "/v1/listen"), ("deepgram", "/nowhere")):
                with pytest.raises(InvalidStatus):
                    await connect(beside.url(name) + path, additional_headers={"Authorization": f"Token {BAD_KEY}"}, proxy=None)
                await beside.reports.next()

    run(main())
    by_trace: dict[str, dict[str, Span]] = {}
    for span in traces.spans:
        by_trace.setdefault(span.trace_id, {})[span.kind] = span
    refused, gone, lost = sorted(by_trace.values(), key=lambda spans: spans["server"].begun)
    found = [[(kind, spans[kind].attributes.get("error.type"), spans[kind].attributes.get("http.response.status_code"), spans[kind].status)
              for kind in ("server", "client", "internal") if kind in spans] for spans in (refused, gone, lost)]
    assert found == [
        [("server", None, 401, "unset"), ("client", "INVALID_AUTH", 401, "error"), ("internal", "INVALID_AUTH", None, "error")],
        [("server", "transport_refused", 502, "error"), ("client", "transport_refused", None, "error"),
         ("internal", "transport_refused", None, "error")],
        [("server", None, 404, "unset"), ("internal", "sidecar_not_found", None, "error")],
    ]


def test_plain_http_has_its_two_spans(traces: Collector, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with AssemblyAISimulator(wording="live") as simulator, \
                sidecar({"vendor": "assemblyai", "upstream": upstream(simulator)}) as beside, aiohttp.ClientSession() as client:
            for key in ("key", BAD_KEY):
                url = beside.url("assemblyai", "http") + "/v3/token?expires_in_seconds=60"
                async with client.get(url, headers={"Authorization": key, **SAMPLED}) as answer:
                    await answer.read()

    run(main())
    assert sorted((span.kind, span.name, span.attributes["http.response.status_code"], span.attributes.get("error.type"))
                  for span in traces.spans) == [
        ("client", "GET /v3/token", 200, None), ("client", "GET /v3/token", 401, "1008_invalid_key"),
        ("server", "GET /v3/token", 200, None), ("server", "GET /v3/token", 401, None)]
    assert {span.trace_id for span in traces.spans} == {TRACE}
    [(event, fields)] = lines(caplog)
    assert (event, fields["trace_id"], fields["code"]) == ("http_failed", TRACE, "1008_invalid_key")
    assert fields["span_id"] in {span.span_id for span in traces.named("GET") if span.kind == "server"}


@pytest.mark.parametrize(("variables", "headers", "count"), [
    ({}, {"traceparent": f"00-{TRACE}-{PARENT}-00"}, 0), ({"OTEL_TRACES_SAMPLER": "always_off"}, SAMPLED, 0),
    ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, {}, 0),
    ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, SAMPLED, 3),
    ({"OTEL_TRACES_SAMPLER": "always_on"}, {"traceparent": f"00-{TRACE}-{PARENT}-00"}, 3),
])
def test_sampling(variables: dict[str, str], headers: dict[str, str], count: int, traces: Collector,
                  monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    async def main() -> tuple[str | None, str]:
        async with AssemblyAISimulator() as simulator, sidecar({"vendor": "assemblyai", "upstream": upstream(simulator)}) as beside:
            await called(beside, "assemblyai", V3, {"Authorization": "key", **headers}, TERMINATE)
            report = await beside.reports.next()
            async with aiohttp.ClientSession() as client, client.get(
                    beside.url("metrics", "http") + "/metrics", headers={"Accept": "application/openmetrics-text"}) as answer:
                return report.trace_id, await answer.text()

    trace_id, page = run(main())
    assert len(traces.spans) == count
    assert trace_id is not None
    assert (trace_id == TRACE) == bool(headers)
    assert (f'# {{trace_id="{trace_id}"}}' in page) == bool(count), "exemplars lead to traces that are kept"


def test_a_collector_that_is_gone_costs_the_sessions_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for name, value in {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
                        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRET}", "OTEL_BSP_SCHEDULE_DELAY": "20",
                        "OTEL_BSP_MAX_QUEUE_SIZE": "4", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)

    async def main() -> None:
        async with AssemblyAISimulator() as simulator, sidecar({"vendor": "assemblyai", "upstream": upstream(simulator)}) as beside:
            for _ in range(10):
                await called(beside, "assemblyai", V3, {"Authorization": "key"}, TERMINATE)
                assert (await beside.reports.next()).verdict.outcome == "ok"
            async with asyncio.timeout(15):
                while beside.app.tracing.dropped < 20:  # noqa: ASYNC110 - another thread counts
                    await asyncio.sleep(0.01)
            async with aiohttp.ClientSession() as client, client.get(beside.url("metrics", "http") + "/metrics") as answer:
                [line] = [line for line in (await answer.text()).splitlines() if 'telemetry_dropped_total{signal="traces"}' in line]
            assert float(line.split()[-1]) >= 20
            ending = time.monotonic()
        assert time.monotonic() - ending < 10, "the exit is bounded"

    run(main())
    assert {event for event, _ in lines(caplog)} == {"session_open", "session_end", "traces_lost"}
    assert not [record for record in caplog.records if record.name.startswith(("opentelemetry", "urllib3", "requests"))]
    assert SECRET not in caplog.text


def test_progress_of_a_session_that_is_open(caplog: pytest.LogCaptureFixture) -> None:
    """Its span comes only when it has ended; this is there before, tracing or not."""
    caplog.set_level(logging.INFO)

    async def main() -> str:
        async with AssemblyAISimulator() as simulator, \
                sidecar({"vendor": "assemblyai", "upstream": upstream(simulator)}, log={"progress_seconds": 0.5}) as beside:
            line = await connect(beside.url("assemblyai") + V3, additional_headers={"Authorization": "key", **SAMPLED}, compression=None,
                                 proxy=None)
            identity = str(json.loads(await line.recv())["id"])
            await line.send(SILENCE)
            async with asyncio.timeout(10):
                while [event for event, _ in lines(caplog)].count("session_progress") < 2:  # noqa: ASYNC110 - the log has no event
                    await asyncio.sleep(0.02)
            await line.send(TERMINATE)
            await line.wait_closed()
            await beside.reports.next()
        return identity

    identity = run(main())
    *_, (_, told) = [line for line in lines(caplog) if line[0] == "session_progress"]
    assert told.items() >= {"connection_id": identity, "trace_id": TRACE, "span_id": None, "vendor": "assemblyai", "ready": True,
                            "results": 0, "state": "good", "inspection": "full"}.items()
    assert told["audio_seconds"]["read"] == 0.1
    assert told["seconds"] >= 1.0
