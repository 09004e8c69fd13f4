"""A collector for tests: takes OTLP over http/protobuf and keeps the spans, decoded."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status

SECONDS_TO_COME: Final = 15.0
KINDS: Final = {Sent.SPAN_KIND_SERVER: "server", Sent.SPAN_KIND_CLIENT: "client", Sent.SPAN_KIND_INTERNAL: "internal"}
STATUSES: Final = {Status.STATUS_CODE_UNSET: "unset", Status.STATUS_CODE_OK: "ok", Status.STATUS_CODE_ERROR: "error"}


@dataclass(frozen=True)
class Span:
    """As it was on the wire. Ids are hex, times are Unix seconds; events are name, time and attributes."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    begun: float
    ended: float
    status: str
    attributes: dict[str, Any]
    events: list[tuple[str, float, dict[str, Any]]]
    links: list[str]
    resource: dict[str, Any]


@dataclass
class Collector:
    """`spans` as they came; `status` is what it answers with; `raw` is all that was sent, `heard` the headers."""

    port: int = 0
    status: int = 200
    spans: list[Span] = field(default_factory=list)
    raw: bytes = b""
    heard: dict[str, str] = field(default_factory=dict)
    requests: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, *beginnings: str) -> list[Span]:
        return [span for span in self.spans if span.name.startswith(beginnings)]

    def wait(self, count: int) -> list[Span]:
        """Waits, in a thread that may wait, until so many spans are there."""
        give_up = time.monotonic() + SECONDS_TO_COME
        while len(self.spans) < count:
            assert time.monotonic() < give_up, f"only {[span.name for span in self.spans]}"
            time.sleep(0.01)
        return self.spans

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        self.requests += 1
        self.heard = headers
        if self.status != 200:
            return self.status
        if path != "/v1/traces" or headers.get("content-type") != "application/x-protobuf":
            return 415
        plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        self.raw += plain
        self.spans += _spans(ExportTraceServiceRequest.FromString(plain))
        return 200


@contextmanager
def collector(status: int = 200) -> Iterator[Collector]:
    found = Collector(status=status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            code = found.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(code)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for whole in request.resource_spans:
        resource = _attributes(whole.resource.attributes)
        for scope in whole.scope_spans:
            for span in scope.spans:
                yield Span(
                    span.name, KINDS[span.kind], span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                    span.start_time_unix_nano / 1e9, span.end_time_unix_nano / 1e9,
                    STATUSES[span.status.code], _attributes(span.attributes),
                    [(event.name, event.time_unix_nano / 1e9, _attributes(event.attributes)) for event in span.events],
                    [link.span_id.hex() for link in span.links], resource)


def _attributes(pairs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pair: KeyValue
    for pair in pairs:
        found[pair.key] = _value(pair.value)
    return found


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None
