"""From sessions to spans: shapes, statuses, attributes, events; on a made-up clock."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from proxy.core.policy import Action, Rule
from proxy.core.session import Session
from proxy.core.tracecontext import TraceContext
from proxy.core.verdict import Category, Outcome, Owner, Phase, Retry, Transport, Verdict
from proxy.telemetry.spans import PREFIX, Spans, attributes
from tests.core.playbook import BINARY, V1, V2, WALL, Play, frame

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
PARENT: Final = "b7ad6b7169203331"
SAID: Final = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
ORIGIN: Final = "https://acme.test:8443"


class Traced:
    """Spans of one session, kept in memory."""

    def __init__(self, play: Play, sampler: Sampler = ParentBased(ALWAYS_ON), route: str | None = "/v1/listen") -> None:  # noqa: B008
        self.memory, self.play = InMemorySpanExporter(), play
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.memory))
        self.spans = Spans(provider.get_tracer("test"), lambda: 7)
        self.trace = self.spans.session(self.session, route)

    @property
    def session(self) -> Session:
        return self.play._session

    @property
    def done(self) -> list[ReadableSpan]:
        return list(self.memory.get_finished_spans())

    def over(self, told: int | None = None) -> dict[str, ReadableSpan]:
        """By kind."""
        self.trace.over(self.session, self.play.end({"headers": ("x-call",)}), told)
        return {span.kind.name.lower(): span for span in self.done}


def own(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert isinstance(context, SpanContext)
    return context


def ids(span: ReadableSpan) -> tuple[str, str]:
    return f"{own(span).trace_id:032x}", f"{own(span).span_id:016x}"


def said(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


def seconds(span: ReadableSpan) -> tuple[float, float]:
    return round((span.start_time or 0) / 1e9 - WALL, 3), round((span.end_time or 0) / 1e9 - WALL, 3)


def test_a_session_that_went_well() -> None:
    traced = Traced(play := Play(V1, {**SAID, "x-call": "call-7"}))
    assert play.session.trace.trace_id == TRACE
    traced.trace.dialling(ORIGIN)
    traced.trace.look(play.session)
    assert traced.done == [], "there is no answer yet"
    play.wait(0.25).opened(acme_id="r-1")
    traced.trace.look(play.session)
    assert [span.kind for span in traced.done] == [SpanKind.CLIENT, SpanKind.SERVER], "both are exported while the session is open"
    play.speaks(1.0).wait(0.5).hears(type="Results", text="hello", start=0.0, duration=1.0, final=True)
    traced.trace.look(play.session)
    play.says(type="Finish").hears(type="Summary", duration=1.0, request="r-1").vendor_closes()
    spans = traced.over()
    server, client, whole = spans["server"], spans["client"], spans["internal"]
    assert len(traced.done) == 3
    assert [span.name for span in (server, client, whole)] == ["GET /v1/listen", "GET /v1/listen", "session"]
    assert {ids(span)[0] for span in traced.done} == {TRACE}
    assert server.parent is not None
    assert f"{server.parent.span_id:016x}" == PARENT
    assert [span.parent.span_id if span.parent else None for span in (client, whole)] == 2 * [own(server).span_id]
    assert [link.context.span_id for link in whole.links] == [own(server).span_id, own(client).span_id]
    assert (seconds(server), seconds(whole)) == ((0.0, 0.25), (0.0, 1.75))
    assert play.session.trace == TraceContext(TRACE, ids(whole)[1], sampled=True)
    assert {span.status.status_code for span in traced.done} == {StatusCode.UNSET}
    ours = {"http.request.method": "GET", "network.protocol.name": "websocket", "http.response.status_code": 101,
            PREFIX + "listener": "main", PREFIX + "vendor": "acme"}
    assert said(server) == {**ours, "url.path": "/v1/listen", "http.route": "/v1/listen"}
    assert said(client) == {**ours, "url.template": "/v1/listen", "url.full": ORIGIN + "/v1/listen", "server.address": "acme.test",
                            "server.port": 8443}
    assert [(event.name, round(event.timestamp / 1e9 - WALL, 3)) for event in whole.events] == [
        ("ready", 0.25), ("first_audio", 0.35), ("first_result", 1.75), ("close", 1.75)]
    report = said(whole)
    assert report.items() >= {
        PREFIX + "code": "normal", PREFIX + "outcome": "ok", PREFIX + "req_id": "r-1", PREFIX + "audio.read_seconds": 1.0,
        PREFIX + "latency.first_result_seconds": 1.4, PREFIX + "traffic.to_vendor.frames.audio": 10,
        PREFIX + "correlation.x-call": "call-7",
    }.items()
    assert "error.type" not in report
    assert traced.spans.dropped == 7


def test_an_error_in_the_middle() -> None:
    traced = Traced(play := Play(V2), route="/v2/listen")
    traced.trace.dialling("http://acme.test")
    play.opened().hears(type="Hello", id="c-1").speaks(0.5).wait(1)
    play.hears(type="Error", code="E7", message="no audio came").vendor_closes(4001)
    spans = traced.over()
    whole = spans["internal"]
    assert (whole.status.status_code, whole.status.description) == (StatusCode.ERROR, None)
    assert said(whole)["error.type"] == said(whole)[PREFIX + "code"] == "NO_SPEECH"
    assert (said(whole)[PREFIX + "connection_id"], said(whole)[PREFIX + "server_code"]) == ("c-1", "E7")
    assert said(whole)[PREFIX + "vendor_close.code"] == 4001
    told = {event.name: (round(event.timestamp / 1e9 - WALL, 3), dict(event.attributes or {})) for event in whole.events}
    assert told["error"] == (1.5, {"error.type": "NO_SPEECH"})
    assert told["close"] == (1.5, {PREFIX + "by": "vendor", PREFIX + "code": 4001})
    assert {spans[kind].status.status_code for kind in ("server", "client")} == {StatusCode.UNSET}, "the handshakes went well"
    assert (said(spans["client"])["server.port"], said(spans["client"])["url.full"]) == (80, "http://acme.test/v2/listen")
    assert whole.parent is not None
    assert spans["server"].parent is None, "without a traceparent the trace begins here"


def test_a_refusal_ends_all_three_with_the_code() -> None:
    traced = Traced(play := Play(V1))
    traced.trace.dialling(ORIGIN)
    play.wait(0.1)._session.refused(401, {}, b"", play.now)
    play.wait(0.1)
    spans = traced.over(401)
    assert [said(spans[kind]).get("error.type") for kind in ("client", "internal", "server")] == ["BAD_KEY", "BAD_KEY", None]
    assert [spans[kind].status.status_code for kind in ("client", "internal", "server")] == [
        StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET], "a server's 4xx is no error of the server's"
    assert [said(spans[kind]).get("http.response.status_code") for kind in ("client", "internal", "server")] == [401, None, 401]
    assert [seconds(spans[kind])[1] for kind in ("client", "internal", "server")] == [0.1, 0.2, 0.1]


@pytest.mark.parametrize(("happens", "told", "code"), [
    (lambda session: session.dial_failed(Transport.TIMEOUT), 504, "transport_timeout"),
    (lambda session: session.refused_here("sidecar_draining"), 503, "sidecar_draining"),
])
def test_no_answer(happens: Any, told: int, code: str) -> None:
    traced = Traced(play := Play(V1))
    traced.trace.dialling(ORIGIN)
    happens(play.wait(0.3)._session)
    spans = traced.over(told)
    for kind in ("server", "client", "internal"):
        assert said(spans[kind])["error.type"] == code
        assert spans[kind].status.status_code is StatusCode.ERROR
    assert said(spans["server"])["http.response.status_code"] == told
    assert "http.response.status_code" not in said(spans["client"])


def test_a_client_that_leaves_is_no_error() -> None:
    traced = Traced(play := Play(V1), route=None)
    play.wait(0.1)._session.client_left()
    spans = traced.over()
    assert spans.keys() == {"server", "internal"}, "the vendor was not asked"
    assert {span.status.status_code for span in traced.done} == {StatusCode.UNSET}
    assert "http.route" not in said(spans["server"])
    assert spans["server"].name == "GET"


def test_a_stall_is_an_event() -> None:
    traced = Traced(play := Play(V2))
    play.opened().wait(31).tick()
    spans = traced.over()
    told = {event.name: dict(event.attributes or {}) for event in spans["internal"].events}
    assert told["stall"] == {PREFIX + "kind": "not_ready"}


def test_what_is_not_sampled_has_ids_and_no_spans() -> None:
    for sampler, headers, trace in ((ALWAYS_OFF, {}, None), (ParentBased(ALWAYS_ON), {"traceparent": f"00-{TRACE}-{PARENT}-00"}, TRACE)):
        traced = Traced(play := Play(V1, headers), sampler)
        traced.trace.dialling(ORIGIN)
        play.opened()
        traced.trace.look(play.session)
        assert traced.over() == {}
        assert play.session.trace.trace_id == (trace or play.session.trace.trace_id)
        assert play.session.trace.trace_id is not None
        assert play.session.trace.mark is None, "no exemplar leads there"


def test_every_field_of_a_report_has_room() -> None:
    play = Play(V1, {f"x-{n}": "id-1" for n in range(20)}).opened(acme_id="r-1").client(frame(BINARY, b"OggS" + bytes(60), masked=True))
    play.speaks(1.0)
    for opcode in range(11):
        play.client(frame(opcode if opcode not in (8,) else 9, b"x", masked=True)).vendor(frame(opcode if opcode != 8 else 9, b"x"))
    play.session.done.count(Rule.PACE, Action.DELAYED)
    report = play.client_closes(1000, "bye").vendor_closes(4001, "bye").end({"headers": tuple(f"x-{n}" for n in range(20))})
    flat = dict(attributes(report))
    assert len(flat) < 124, "an SDK keeps 128 by default, and four are not of the report"
    assert (flat[PREFIX + "actions.pace.delayed"], flat[PREFIX + "facts"]) == (1, ["container_in_raw"])
    assert not {PREFIX + name for name in ("schema", "trace_id", "started_at")} & flat.keys()


def verdict(outcome: Outcome) -> Verdict:
    return Verdict(vendor="acme", outcome=outcome, phase=Phase.SESSION_TOKEN, code="BAD_KEY", category=Category.AUTH, owner=Owner.OPERATOR,
                   retry=Retry.AFTER_FIX)


@pytest.mark.parametrize(("method", "status", "told", "given", "server", "client"), [
    ("POST", 200, 200, None, None, None),
    ("POST", 401, 401, verdict(Outcome.REFUSED_BY_VENDOR), None, "BAD_KEY"),
    ("POST", None, 502, verdict(Outcome.ERROR), "BAD_KEY", "BAD_KEY"),
    ("POST", None, None, verdict(Outcome.ABANDONED), None, None),
    ("BREW-WITH-A-SECRET", 200, 200, None, None, None),
])
def test_a_plain_exchange(method: str, status: int | None, told: int | None, given: Verdict | None, server: str | None,
                          client: str | None) -> None:
    traced = Traced(Play(V1))
    passage = traced.spans.exchange(method, "main", "acme", "/token", SAID)
    assert passage.context.trace_id == TRACE
    passage.dialling(ORIGIN)
    passage.over(status, told, given)
    spans = {span.kind.name.lower(): span for span in traced.done}
    assert spans.keys() == {"server", "client"}
    assert [said(spans[kind]).get("error.type") for kind in ("server", "client")] == [server, client]
    assert [said(spans[kind]).get("http.response.status_code") for kind in ("server", "client")] == [told, status]
    assert {span.name for span in traced.done} == {f"{method if method == 'POST' else 'HTTP'} /token"}
    assert {said(span)["network.protocol.name"] for span in traced.done} == {"http"}
    assert {said(span)["http.request.method"] for span in traced.done} == {method if method == "POST" else "_OTHER"}


def test_a_fault_in_tracing_costs_the_trace_alone(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.INFO)
    traced = Traced(play := Play(V1))
    monkeypatch.setattr("proxy.telemetry.spans.attributes", lambda report: 1 / 0)
    assert "internal" not in traced.over()
    monkeypatch.setattr("proxy.telemetry.spans.extract", lambda headers: 1 / 0)
    trace = traced.spans.session(play.session, None)
    trace.dialling(ORIGIN)
    assert traced.spans.exchange("GET", "main", "acme", None, SAID).context == TraceContext(TRACE, None, sampled=True)
    assert [record.msg for record in caplog.records] == 3 * ["internal"]
