"""One session: what came in, in order, and what it means.

Owns the facts of one socket between client and vendor. The relay tells it what happened (bytes of either side, the vendor's
answer, how a leg ended, a reading of TCP_INFO once a second) and asks for the report at the end, once. It never raises
at the relay for what peers send, does no I/O, and holds no audio; of text only what the gatherer has not looked at yet,
a few small messages of the last second, which go nowhere.

    client bytes             -> FrameScanner -> ClientSide: audio clock, end message, keep-alives, close
    vendor bytes -> Gatherer -> FrameScanner -> VendorSide: ready, results, error frames, the vendor's own figures, close
    both -> Ending (who did what first) and Claim (what was said) -> Verdict -> Report
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.core.audio import HEAD_BYTES, SILENCE_LEVEL, UNTIMED, container, peak
from proxy.core.claim import Claim, as_number
from proxy.core.deflate import Inflater, agreed
from proxy.core.ending import Ending
from proxy.core.evidence import Delivery, TcpSample
from proxy.core.inspect import Json, Kind, text_of
from proxy.core.tally import AUDIO, AudioSeconds, Tables, Traffic
from proxy.core.timing import AudioClock, ResultClock
from proxy.core.vendor import CompiledEndpoint, Request, Vendor
from proxy.core.verdict import Inspection, Phase, Side, Transport
from proxy.core.wire import OP_BINARY, OP_CLOSE, OP_TEXT, FrameScanner, Gatherer

UNKNOWN_ENDPOINT: Final = "unknown"

RESULT_SPACING: Final = 0.5
"""Seconds: interim results that follow each other more closely are counted but not parsed. No other message is passed over."""


class Session:
    """Facts of one session. `now` is always the monotonic clock; `wall` is Unix time at the start."""

    __slots__ = (
        "_client", "_ready_seconds", "_vendor", "answered_at", "audio", "audio_format", "buffered", "buffered_max", "claim", "clock",
        "connection_id", "delivery", "ending", "endpoint", "expires_at", "facts", "failed", "from_client", "from_vendor", "inspection",
        "kept_alive_at", "lead_seconds", "listener", "loop_lag_max", "ready_at", "req_id", "request", "results", "session_id", "spec",
        "started_at", "to_client", "to_vendor", "vendor", "vendor_profile", "wall", "warnings",
    )

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
        self._client, self._vendor = _ClientSide(self), _VendorSide(self)
        self.from_client = FrameScanner(self._client, self.to_vendor, AUDIO)
        self.from_vendor = Gatherer(FrameScanner(self._vendor, self.to_client))
        self.from_client.head = HEAD_BYTES

    # What the vendor answered, or why there was no answer

    def opened(self, headers: Mapping[str, str], now: float) -> None:
        """The 101, with its headers in lower case."""
        self.answered_at = now
        self.claim.phase = Phase.WEBSOCKET_RUNTIME
        if self.inspection is not Inspection.LOST:
            self.claim.audio_sent = self.claim.end_sent = False
        self._ids_from(headers)
        deflate = agreed(headers.get("sec-websocket-extensions", ""))
        if deflate is not None:
            self.from_client.deflate = self.from_vendor.scanner.deflate = True
            self._client.inflater = Inflater(deflate.client_takeover, deflate.client_bits)
            self._vendor.inflater = Inflater(deflate.server_takeover, deflate.server_bits)
        if self.spec is not None and self.spec.spec.ready == "handshake":
            self._ready(now)

    def refused(self, status: int, headers: Mapping[str, str], body: bytes, now: float) -> None:
        """Any other answer. `body` is its beginning, decompressed if that was possible."""
        self.answered_at = now
        known = {name.lower(): value for name, value in headers.items()}
        self._ids_from(known)
        self.claim.refused(self.vendor_profile.profile, status, known, body)
        self.ending.ended(self.claim.answered_by)

    def dial_failed(self, how: Transport) -> None:
        """There was no answer. A vendor that hung up was there; all else is the network's."""
        self.ending.lost(Side.VENDOR if how in (Transport.EOF, Transport.RESET) else Side.NETWORK, how)

    def misanswered(self, code: str) -> None:
        """Something answered that cannot be passed on. `code` is one of own.OWN."""
        self.ending.found = code
        self.ending.ended(Side.NETWORK)

    def client_left(self, how: Transport = Transport.EOF) -> None:
        """The client was gone before there was an answer."""
        self.ending.lost(Side.CLIENT, how)

    def refused_here(self, code: str) -> None:
        """`code` is one of own.OWN."""
        self.ending.own_code = code
        self.ending.ended(Side.SIDECAR)

    # While it is open

    def lost(self, side: Side, how: Transport) -> None:
        """A leg ended: FIN, RST or time-out."""
        self.settle()
        self.ending.lost(side, how)

    def uninspected(self) -> None:
        """Inspection of this session has failed: it goes on blind."""
        self.failed = True
        self.from_client.stop()
        self.from_vendor.stop()
        self._blind(Side.CLIENT)
        self._blind(Side.VENDOR)

    def tick(self, now: float, tcp: TcpSample | None, buffered: tuple[int, int], loop_lag: float) -> None:
        """Once a second, and at the end. `buffered`: bytes waiting here toward the vendor and toward the client."""
        self.buffered = buffered
        self.buffered_max = max(self.buffered_max, *buffered)
        self.loop_lag_max = max(self.loop_lag_max, loop_lag)
        self.settle()
        self.clock.tick(now)
        self.lead_seconds = self.clock.lead(now)
        self.delivery.sample(tcp, buffered[0], now)

    def settle(self) -> None:
        """Looks at what was only noted so far. Never raises: a fault in looking makes the session blind."""
        try:
            self.from_client.settle()
            self.from_vendor.settle()
        except Exception:
            self.uninspected()

    @property
    def undelivered_seconds(self) -> float:
        return self.delivery.undelivered_seconds

    # For the two sides

    def _ids_from(self, headers: Mapping[str, str]) -> None:
        for name, header in (self.spec.spec.response_ids if self.spec else {}).items():
            if header.lower() in headers:
                setattr(self, name, headers[header.lower()])

    def _ready(self, now: float) -> None:
        if self.ready_at is None:
            self.ready_at, self.claim.ready = now, True
            self._ready_seconds.observe(now - self.started_at)

    def _blind(self, side: Side, inspection: Inspection = Inspection.LOST) -> None:
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


class _Side:
    """What both directions share: inflating, closes, and framing that breaks."""

    __slots__ = ("inflater", "session")
    side = Side.UNKNOWN

    def __init__(self, session: Session) -> None:
        self.session = session
        self.inflater: Inflater | None = None

    def message(self, opcode: int, length: int, payload: bytes | None, compressed: bool, now: float) -> None:
        if compressed:
            payload = self.inflater.message(payload) if self.inflater else None
            length = len(payload) if payload is not None else length
        if payload is None or (compressed and self.inflater and self.inflater.ended):
            self.session._blind(self.side, Inspection.PARTIAL)
        if opcode == OP_BINARY:
            self.binary(length, payload, now)
        elif payload is not None and opcode == OP_TEXT:
            self.text(payload, now)

    def binary(self, length: int, head: bytes | None, now: float) -> None: ...

    def text(self, payload: bytes, now: float) -> None: ...

    def control(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == OP_CLOSE:
            self.session.from_vendor.settle()  # what it had said before comes first
            self.session.ending.closed(self.side, payload, now)

    def lost(self, reason: str) -> None:
        self.session._blind(self.side)
        self.session.warned(f"framing_{reason}")


class _ClientSide(_Side):
    """Client to vendor: audio and the client's messages."""

    __slots__ = ("_looked_at", "_was_quiet", "audio")
    side = Side.CLIENT

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.audio = session.clock.add_all
        self._looked_at = 0.0
        self._was_quiet = False

    def binary(self, length: int, head: bytes | None, now: float) -> None:
        session = self.session
        if not length and session.spec is not None and session.spec.spec.empty_binary == "end":
            self._end()
            return
        if head is None:
            session.clock.untimed()  # how much audio a compressed message holds is not known
        session.clock.add(length, now)
        if head:
            self._look(head, now)

    def _look(self, head: bytes, now: float) -> None:
        """The head of one message in ten: is it what was declared, and is anybody speaking?"""
        session = self.session
        if session.clock.chunks == 1 and session.clock.timed and container(head):
            session.noticed("container_in_raw", now)
        loudest = peak(head[:HEAD_BYTES], session.audio_format.name)
        if loudest is not None:
            quiet = loudest < SILENCE_LEVEL
            if quiet and self._was_quiet:  # once is a gap between two words
                session.audio.silent += session.audio.read - self._looked_at
            self._looked_at, self._was_quiet = session.audio.read, quiet

    def text(self, payload: bytes, now: float) -> None:
        found = self.session.spec.client.read(payload) if self.session.spec else None
        role = found[0].role if found is not None else None
        if role == "end":
            self._end()
        elif role == "keep_alive":
            self.session.kept_alive_at = now

    def _end(self) -> None:
        self.session.from_vendor.settle()
        self.session.ending.began(Side.CLIENT)
        if self.session.ending.initiated_by is Side.CLIENT:  # and not in answer to the vendor's end
            self.session.claim.end_sent = True


class _VendorSide(_Side):
    """Vendor to client: hello, results, errors, goodbye. Binary is counted by the scanner, and not looked at."""

    __slots__ = ("_inspector", "_next_look")
    side = Side.VENDOR

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._inspector = session.spec.server if session.spec else None
        self._next_look = 0.0

    def audio(self, length: int, times: list[float]) -> None: ...

    def text(self, payload: bytes, now: float) -> None:
        if self._inspector is None:
            return
        if now < self._next_look and self._inspector.is_passing(payload):
            self.session.results.pass_over(now)
            return
        found = self._inspector.read(payload)
        if found is None:
            return
        kind, json = found
        if kind.role == "result":
            if kind.has_text is None or kind.has_text(json) is not None:
                self._result(kind, json, now)
        else:
            self._other(kind, json, now)
        if kind.message.ids and (kind.role != "result" or self.session.req_id is None):
            self._ids(kind, json)

    def _result(self, kind: Kind, json: Json, now: float) -> None:
        self._next_look = now + RESULT_SPACING
        self.session.from_client.settle()
        self.session.results.add(
            now,
            kind.final is not None and kind.final(json),
            text_of(kind.utterance(json)) if kind.utterance else None,
            kind.speech_start(json) if kind.speech_start else None,
            kind.speech_end(json) if kind.speech_end else None,
        )

    def _other(self, kind: Kind, json: Json, now: float) -> None:
        session = self.session
        if kind.audio_seconds is not None:
            reported = kind.audio_seconds(json)
            if reported is not None:
                session.claim.reported_seconds = session.audio.reported = reported
        if kind.role == "ready":
            session._ready(now)
            session.expires_at = as_number(kind.expires_at(json)) if kind.expires_at else None
        elif kind.role == "end":
            session.ending.goodbye = True
        elif kind.role in ("error", "warning"):
            self._told(kind, json)

    def _told(self, kind: Kind, json: Json) -> None:
        session = self.session
        if kind.role == "error" and kind.fatal:
            session.claim.hear(session.vendor_profile.profile, kind.told(json))
            session.ending.fatal_error = True
            session.ending.began(Side.VENDOR)
        else:
            session.warned(kind.name)

    def _ids(self, kind: Kind, json: Json) -> None:
        told = kind.told(json)
        self.session.connection_id = self.session.connection_id or told.connection_id
        self.session.req_id = told.req_id or self.session.req_id
