"""What is told where nobody traces: the client's own ids, and nothing else."""

from __future__ import annotations

from proxy.core.tracecontext import TraceContext
from proxy.telemetry.traces import Tracing, ids

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_an_exchange_has_the_ids_of_its_client() -> None:
    passage = Tracing().exchange("GET", "main", "acme", "/v1", {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    passage.dialling("https://api.example")
    passage.over(200, 200, None)
    assert passage.context == TraceContext(TRACE, None, sampled=True)
    assert ids(passage.context) == {"trace_id": TRACE, "span_id": None}
    assert ids(Tracing().exchange("GET", "main", "acme", None, {}).context) == {"trace_id": None, "span_id": None}
