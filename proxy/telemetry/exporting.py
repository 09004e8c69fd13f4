"""How spans leave the process: OTLP over http/protobuf, or as lines on standard error; in batches, from a thread of its own.

Owns the bound. A collector that is slow or gone costs spans, never time on the event loop: what finds no room in the queue, and
what a collector did not take, is counted and forgotten. The exporter's own complaints, one for each batch with hosts and
headers in them, are kept out of the log; one line tells when spans begin to get lost, and one when they get through again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult

from proxy.telemetry import log
from proxy.telemetry.spans import Spans

QUEUE_SPANS: Final = 2048
FLUSH_SECONDS: Final = 2.0
"""How long an exit waits for a collector."""
_SILENT: Final = logging.CRITICAL + 1


class Counting(SpanExporter):
    """Passes batches on, and counts them: `taken` from the queue, `lost` on the way, `settled` whether lost or not."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._failing = self._left = False
        self.taken = self.lost = self.settled = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = SpanExportResult.FAILURE
        with contextlib.suppress(Exception):
            result = self._inner.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            self.lost += len(spans)
        self.settled += len(spans)
        if failed != self._failing and not self._left:
            self._failing = failed
            log.state("traces_lost" if failed else "traces_back", logging.WARNING if failed else logging.INFO, count=self.lost)
        return result

    def leave(self) -> None:
        """The process ends: what is still on its way is counted by others, and the log may be closed before it fails."""
        self._left = True
        self._inner.shutdown()

    def shutdown(self) -> None:
        self._inner.shutdown()


class Bounded(SpanProcessor):
    """A batch processor that says no when its queue is full, and counts that: it drops the new, not what waits.

    `on_end` runs on the event loop's thread, batches are taken by another; no number is written by both.
    """

    def __init__(self, exporter: Counting, spans: int) -> None:
        self._exporter, self._most = exporter, spans
        self._batches = BatchSpanProcessor(exporter, max_queue_size=spans)
        self._given = self._refused = 0

    @property
    def waiting(self) -> int:
        return self._given - self._exporter.taken

    @property
    def dropped(self) -> int:
        return self._refused + self._exporter.lost

    @property
    def unsettled(self) -> int:
        """Spans that wait or are on their way."""
        return self._given - self._exporter.settled

    def leave(self) -> None:
        self._exporter.leave()

    def on_end(self, span: ReadableSpan) -> None:
        if self.waiting >= self._most:
            self._refused += 1
        else:
            self._given += 1
            self._batches.on_end(span)

    def shutdown(self) -> None:
        self._batches.shutdown()  # type: ignore[no-untyped-call]


def _console() -> SpanExporter:
    """A line of JSON each. Standard output is for the log alone."""
    return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: span.to_json(indent=None) + "\n")


EXPORTERS: Final[dict[str, Callable[[], SpanExporter]]] = {"otlp": OTLPSpanExporter, "console": _console}


class Exported(Spans):
    """Spans that go to a collector, as the OTEL_* variables say. Raises ValueError, or whatever the SDK does, where they are wrong."""

    def __init__(self, version: str, exporters: Collection[str] = ("otlp",)) -> None:
        _let_speak(logging.WARNING)
        self._provider = TracerProvider(resource=_resource(version), shutdown_on_exit=False)
        size = int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or QUEUE_SPANS)
        self._queues = [Bounded(Counting(EXPORTERS[name]()), size) for name in sorted(exporters)]
        for queue in self._queues:
            self._provider.add_span_processor(queue)
        _let_speak(_SILENT)
        super().__init__(self._provider.get_tracer("earwitness", version), lambda: sum(queue.dropped for queue in self._queues))

    async def close(self) -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # A daemon: a collector that does not answer must not hold up the exit.
        threading.Thread(target=end, name="traces-end", daemon=True).start()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await done.wait()
        except TimeoutError:
            lost = self.dropped + sum(queue.unsettled for queue in self._queues)
            for queue in self._queues:
                queue.leave()
            log.state("traces_lost", logging.WARNING, count=lost)


def _let_speak(level: int) -> None:
    """The SDK may say what it makes of the variables, but for headers, which hold keys; later it says nothing."""
    for library in ("opentelemetry", "urllib3", "requests"):
        logging.getLogger(library).setLevel(_SILENT)
    logging.getLogger("opentelemetry.sdk").setLevel(level)


def _resource(version: str) -> Resource:
    """What the variables say of this process, with our name where they give none."""
    found = Resource({SERVICE_VERSION: version}).merge(Resource.create())
    named = not str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    return found if named else found.merge(Resource({SERVICE_NAME: "earwitness"}))
