"""What is known of one session while it runs: its facts, clocks and counts, and who is told of which.

Owns the state that both directions (sides) write, and the report (reporting), the watch (watch) and the cross-examination
(examine) read. How bytes become facts is the sides' business, what the facts mean the ending's and the classifier's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.core.audio import UNTIMED
from proxy.core.claim import Claim
from proxy.core.ending import Ending
from proxy.core.evidence import Delivery
from proxy.core.tally import AudioSeconds, Tables, Traffic
from proxy.core.timing import AudioClock, ResultClock
from proxy.core.vendor import CompiledEndpoint, Request, Vendor
from proxy.core.verdict import Inspection, Phase, Side
from proxy.core.wire import FrameScanner, Gatherer

UNKNOWN_ENDPOINT: Final = "unknown"


class Known:
    """State of one session. `now` is always the monotonic clock; `wall` is Unix time at the start."""

    __slots__ = (
        "_ready_seconds", "answered_at", "audio", "audio_format", "buffered", "buffered_max", "claim", "clock", "connection_id",
        "delivery", "ending", "endpoint", "expires_at", "facts", "failed", "from_client", "from_vendor", "inspection", "kept_alive_at",
        "lead_seconds", "listener", "loop_lag_max", "ready_at", "req_id", "request", "results", "session_id", "spec", "started_at",
        "to_client", "to_vendor", "vendor", "vendor_profile", "wall", "warnings",
    )

    from_client: FrameScanner
    from_vendor: Gatherer

    def __init__(self, session_id: str, listener: str, vendor: Vendor, endpoint: CompiledEndpoint | None, request: Request,
                 tables: Tables, now: float, wall: float) -> None:
        self.session_id, self.listener, self.vendor, self.vendor_profile = session_id, listener, vendor.name, vendor
        self.endpoint = endpoint.name if endpoint else UNKNOWN_ENDPOINT
        self.spec = endpoint
        self.request = request
        self.started_at, self.wall = now, wall
        self.answered_at: float | None = None
        self.ready_at: float | None = None
        self.expires_at: float | None = None
        self.connection_id: str | None = None
        self.req_id: str | None = None
        self.claim = Claim(endpoint=endpoint.name if endpoint else None, phase=Phase.WEBSOCKET_CONNECT, ready=False)
        self.ending = Ending()
        self.inspection = Inspection.FULL
        self.kept_alive_at: float | None = None
        self.failed = False  # looking has raised
        self.facts: dict[str, float] = {}
        self.warnings: dict[str, int] = {}  # how often, by name
        self.to_vendor, self.to_client = Traffic(), Traffic()
        self.audio = AudioSeconds()
        self.audio_format = endpoint.audio_format(request) if endpoint else UNTIMED
        self._ready_seconds = tables.ready
        self.clock = AudioClock(self.audio_format, self.audio, tables)
        self.results = ResultClock(self.clock, tables)
        self.delivery = Delivery(self.audio)
        self.lead_seconds = 0.0
        self.loop_lag_max = 0.0
        self.buffered = (0, 0)
        self.buffered_max = 0

    def ids_from(self, headers: Mapping[str, str]) -> None:
        for name, header in (self.spec.spec.response_ids if self.spec else {}).items():
            if header.lower() in headers:
                setattr(self, name, headers[header.lower()])

    def ready(self, now: float) -> None:
        if self.ready_at is None:
            self.ready_at, self.claim.ready = now, True
            self._ready_seconds.observe(now - self.started_at)

    def blind(self, side: Side, inspection: Inspection = Inspection.LOST) -> None:
        """Something of that side went by unread: what was not seen may have been there."""
        if self.inspection is not Inspection.LOST:
            self.inspection = inspection
        if side is Side.CLIENT:
            self.claim.audio_sent, self.claim.end_sent = self.claim.audio_sent or None, self.claim.end_sent or None
        else:
            self.claim.ready = self.claim.ready or None
            self.ending.blind |= inspection is Inspection.LOST

    def warned(self, name: str) -> None:
        """An error or warning that did not end the session, or broken framing."""
        self.warnings[name] = self.warnings.get(name, 0) + 1

    def noticed(self, fact: str, now: float) -> None:
        """One of a closed set; the first time counts."""
        self.facts.setdefault(fact, now)

    @property
    def undelivered_seconds(self) -> float:
        return self.delivery.undelivered_seconds
