"""Sessions and exchanges as OpenTelemetry spans.

    the client's span            (traceparent)
      `- GET /route      SERVER  the client's handshake, ends at the 101 or the refusal
           |- GET /route CLIENT  the vendor's handshake, likewise
           `- session            from the request to the end; linked to both; carries the report

The handshakes are exported while the session is open, the session when it has ended. Between them the log tells of progress.
Owns names, kinds, statuses and attributes. All is derived from what the session knows anyway, when somebody looks at it: nothing
runs on a frame. `error.type` is the verdict's code, on spans whose status is Error. No query, no header, no word of a peer's
that is not in the report as well. How spans leave the process is another module's business (exporting).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.propagate import extract
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue

from proxy.core.report import Report
from proxy.core.session import Session
from proxy.core.tracecontext import TraceContext
from proxy.core.verdict import Outcome, Phase, Verdict
from proxy.telemetry import log
from proxy.telemetry.catalogue import STALL_OF
from proxy.telemetry.traces import Passage, Trace, Tracing

PREFIX: Final = "earwitness."
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""What may stand in a span's name and attributes: the client may have made up others."""
FAILED: Final = frozenset({Outcome.ERROR, Outcome.REFUSED_BY_VENDOR, Outcome.REFUSED_HERE})
_ON_THE_SPAN: Final = frozenset({"schema", "trace_id", "span_id", "started_at", "ended_at"})
"""Fields of a report that a span has in a form of its own."""


class Spans(Tracing):
    """`lost` gives the number of spans that were dropped."""

    def __init__(self, tracer: Tracer, lost: Callable[[], int]) -> None:
        self._tracer, self._lost = tracer, lost

    @property
    def dropped(self) -> int:
        return self._lost()

    def session(self, session: Session, route: str | None) -> Trace:
        try:
            return SessionSpans(self._tracer, session, route)
        except Exception as error:
            log.state("internal", logging.ERROR, error=error, session_id=session.session_id)
            return Trace()

    def exchange(self, method: str, listener: str, vendor: str, route: str | None, headers: Mapping[str, str]) -> Passage:
        try:
            return ExchangeSpans(self._tracer, method, listener, vendor, route, headers)
        except Exception as error:
            log.state("internal", logging.ERROR, error=error, listener=listener)
            return super().exchange(method, listener, vendor, route, headers)


class Hops:
    """The two spans of one request: ours as a server, and ours as a client."""

    __slots__ = ("_attributes", "_client", "_name", "_tracer", "server")

    def __init__(self, tracer: Tracer, parent: Context, method: str, route: str | None, protocol: str, begun: int,
                 ours: Mapping[str, str]) -> None:
        known = method if method in METHODS else "_OTHER"
        self._tracer = tracer
        self._name = f"{known if known != '_OTHER' else 'HTTP'} {route or ''}".rstrip()
        self._attributes: dict[str, AttributeValue] = {"http.request.method": known, "network.protocol.name": protocol, **ours}
        server: dict[str, AttributeValue] = {"url.path": route, "http.route": route} if route else {}
        self.server = tracer.start_span(self._name, parent, SpanKind.SERVER, {**self._attributes, **server}, start_time=begun)
        self._client: Span | None = None

    def dialling(self, origin: str, route: str) -> Span:
        """The request goes on to the vendor. Of its address only what the settings say is told."""
        url = urlsplit(origin)
        port = url.port or (443 if url.scheme == "https" else 80)
        vendors: dict[str, AttributeValue] = {"server.address": url.hostname or "", "server.port": port, "url.template": route,
                                              "url.full": f"{origin.rstrip('/')}{route}"}
        self._client = self._tracer.start_span(self._name, set_span_in_context(self.server), SpanKind.CLIENT,
                                               {**self._attributes, **vendors})
        return self._client

    def over(self, status: int | None, told: int | None, code: str | None, ended: int) -> None:
        """`code` names what failed, if anything did. A server's 4xx is no error of the server's (semantic conventions)."""
        if self._client is not None:
            _finish(self._client, status, code, ended)
        _finish(self.server, told, code if told is not None and told >= 500 else None, ended)


class SessionSpans(Trace):
    """Of one session."""

    __slots__ = ("_first_result_at", "_hops", "_open", "_route", "_span")

    def __init__(self, tracer: Tracer, session: Session, route: str | None) -> None:
        begun = int(session.wall * 1e9)
        ours = {PREFIX + "listener": session.listener, PREFIX + "vendor": session.vendor}
        self._route = route or ""
        self._hops = Hops(tracer, extract(session.request.headers), "GET", route, "websocket", begun, ours)
        server = self._hops.server
        self._span = tracer.start_span("session", set_span_in_context(server), SpanKind.INTERNAL, {
            PREFIX + "session_id": session.session_id, "network.protocol.name": "websocket", **ours,
        }, [Link(server.get_span_context())], start_time=begun)
        self._open = True  # the handshakes are
        self._first_result_at: float | None = None
        session.traced(_context(self._span))

    def dialling(self, origin: str) -> None:
        self._span.add_link(self._hops.dialling(origin, self._route).get_span_context())

    def look(self, session: Session) -> None:
        if self._first_result_at is None:
            self._first_result_at = session.results.first_at
        if self._open and session.claim.phase is Phase.WEBSOCKET_RUNTIME and session.answered_at is not None:
            self._open = False
            self._hops.over(101, 101, None, _at(session, session.answered_at))

    def over(self, session: Session, report: Report, told: int | None) -> None:
        try:
            self._over(session, report, told)
        except Exception as error:
            log.state("internal", logging.ERROR, error=error, session_id=session.session_id)

    def _over(self, session: Session, report: Report, told: int | None) -> None:
        self.look(session)
        verdict, ended = report.verdict, int(session.wall * 1e9 + report.duration_seconds * 1e9)
        code = verdict.code if verdict.outcome in FAILED else None
        if self._open:
            answered = _at(session, session.answered_at) if session.answered_at is not None else ended
            self._hops.over(verdict.http_status, told, code, answered)
        if self._span.is_recording():
            for name, at, said in sorted(self._events(session, report, code), key=lambda event: event[1]):
                self._span.add_event(name, said, at)
            self._span.set_attributes(dict(attributes(report)))
        _finish(self._span, None, code, ended)

    def _events(self, session: Session, report: Report, code: str | None) -> Iterator[tuple[str, int, dict[str, AttributeValue]]]:
        audio = session.clock
        for name, when in (("ready", session.ready_at), ("first_audio", audio.first_at), ("first_result", self._first_result_at)):
            if when is not None:
                yield name, _at(session, when), {}
        for fact, when in session.facts.items():
            if fact in STALL_OF:
                yield "stall", _at(session, when), {PREFIX + "kind": STALL_OF[fact]}
        if code is not None:
            when = session.judged_at or (session.answered_at if self._open else None)
            at = _at(session, when) if when is not None else int(session.wall * 1e9 + report.duration_seconds * 1e9)
            yield "error", at, {"error.type": code}
        for side, close in (("client", session.ending.client_close), ("vendor", session.ending.vendor_close)):
            if close is not None:
                code_of: dict[str, AttributeValue] = {} if close.code is None else {PREFIX + "code": close.code}
                yield "close", _at(session, close.at), {PREFIX + "by": side, **code_of}


class ExchangeSpans(Passage):
    """Of one plain HTTP exchange."""

    __slots__ = ("_hops", "_route")

    def __init__(self, tracer: Tracer, method: str, listener: str, vendor: str, route: str | None, headers: Mapping[str, str]) -> None:
        self._route = route or ""
        self._hops = Hops(tracer, extract(headers), method, route, "http", time.time_ns(),
                          {PREFIX + "listener": listener, PREFIX + "vendor": vendor})
        super().__init__(_context(self._hops.server))

    def dialling(self, origin: str) -> None:
        self._hops.dialling(origin, self._route)

    def over(self, status: int | None, told: int | None, verdict: Verdict | None) -> None:
        code = verdict.code if verdict is not None and verdict.outcome in FAILED else None
        self._hops.over(status, told, code, time.time_ns())


def attributes(report: Report) -> Iterator[tuple[str, AttributeValue]]:
    """The report, flat: names are those of the log line with our prefix. What is not known is left out."""
    for name, value in report.as_dict().items():
        if name == "facts":
            yield PREFIX + name, [str(fact["fact"]) for fact in value]
        elif name == "evidence":
            yield PREFIX + name, [f"{one['check']}:{one['agrees']}" for one in value]
        elif name not in _ON_THE_SPAN:
            yield from _flat(PREFIX + name, value)


def _flat(name: str, value: Any) -> Iterator[tuple[str, AttributeValue]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif value is not None:
        yield name, str(value) if isinstance(value, str) else value


def _finish(span: Span, status: int | None, code: str | None, ended: int) -> None:
    if status is not None:
        span.set_attribute("http.response.status_code", status)
    if code is not None:
        span.set_attribute("error.type", code)
        span.set_status(StatusCode.ERROR)
    span.end(ended)


def _context(span: Span) -> TraceContext:
    known = span.get_span_context()
    return TraceContext(f"{known.trace_id:032x}", f"{known.span_id:016x}", known.trace_flags.sampled)


def _at(session: Session, at: float) -> int:
    """The monotonic clock's reading as Unix nanoseconds."""
    return int((session.wall + at - session.started_at) * 1e9)
