"""What is known of one session while it runs: its facts, clocks and counts, and who is told of which.

Owns the state that both directions (sides) write, and the report (reporting), the watch (watch) and the cross-examination
(examine) read. How bytes become facts is the sides' business, what the facts mean the ending's and the classifier's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from proxy.core.audio import UNTIMED
from proxy.core.claim import Claim
from proxy.core.crowd import Company
from proxy.core.ending import Ending
from proxy.core.evidence import Delivery, Latest
from proxy.core.gate import Gate
from proxy.core.held import Done
from proxy.core.inspect import Json, Kind, Told
from proxy.core.policy import Action, Rule
from proxy.core.shape import AudioForm, Shape
from proxy.core.tally import AUDIO, AudioSeconds, Tables, Traffic
from proxy.core.timing import AudioClock, Heard, ResultClock
from proxy.core.tracecontext import TraceContext, said
from proxy.core.vendor import CompiledEndpoint, Request, Vendor
from proxy.core.verdict import Inspection, Noticed, Phase, Side
from proxy.core.wire import FrameScanner

UNKNOWN_ENDPOINT: Final = "unknown"
LATE_END: Final = 10.0
"""Seconds after an error beyond which a close that says nothing of failure is no consequence of it."""
POLITE: Final = frozenset({None, 1000, 1001, 1005, 1012})


@dataclass(frozen=True, slots=True)
class Then:
    """What was known at one moment; of what only ticks tell, as of the last one but for `with_tick`. Names as in Known, where not told."""

    sent: Latest
    clock: Heard
    shape: Shape
    read: float
    """Seconds of audio."""
    form: AudioForm
    """Of the stream that the client was in."""
    held_at: float | None
    """When the last audio came that waited in the gate."""
    heard_at: float | None
    """When audio that was looked at was last not silent."""
    silent: float
    """Seconds of silence in it."""
    result_at: float | None
    """When the last result of the client's stream came."""
    inspection: Inspection
    broken: bool
    """Whether the client's framing was."""
    binary_audio: int
    """Messages that were audio and nothing else."""
    audio_sent: bool | None
    end_sent: bool | None
    """As a Claim has them."""
    actions: frozenset[tuple[Rule, Action]]
    delay_max: float
    """What the gate did."""
    undelivered: float
    """Seconds of audio."""
    buffered_max: int
    lag_max: float
    lagged_at: float | None
    lagged_for: float

    def with_tick(self, buffered_max: int, lag: float, lagged_at: float | None, lagged_for: float) -> Then:
        """A tick tells of what may have been before this moment as well: against nobody, where it was after."""
        return replace(self, buffered_max=buffered_max, lag_max=max(self.lag_max, lag), lagged_at=lagged_at, lagged_for=lagged_for)

    def lag_since(self, at: float) -> float:
        """Seconds for which our own loop may have stood still after `at`: an upper bound."""
        return self.lag_max if self.lagged_at is not None and self.lagged_at >= at else 0.0


def _nobody(seconds: float) -> None:
    """Who is told of delays where there is no gate."""


class Known:
    """State of one session. `now` is always the monotonic clock; `wall` is Unix time at the start."""

    __slots__ = (
        "_declared", "_pending", "_pending_at", "_pending_name", "_ready_seconds", "answered_at", "answers_elsewhere", "audio",
        "audio_format", "buffered", "buffered_max", "claim", "clock", "company", "connection_id", "crowded", "date", "delivery", "done",
        "ending", "endpoint", "expires_at", "facts", "failed", "form", "from_client", "from_vendor", "gate", "gate_failed", "heard_at",
        "held_seconds", "injected_at", "inspection", "judged_at", "kept_alive_at", "lagged_at", "lagged_for", "lead_seconds", "listener",
        "loop_lag_max", "loudest", "ready_at", "reported_of", "req_id", "request", "rests", "results", "seen", "session_id", "shape",
        "spec", "started_at", "stopped_at", "streams", "then", "to_client", "to_vendor", "trace", "vendor", "vendor_profile", "waiting",
        "wall", "warnings",
    )

    from_client: FrameScanner
    from_vendor: FrameScanner

    def __init__(self, session_id: str, listener: str, vendor: Vendor, endpoint: CompiledEndpoint | None, request: Request,
                 tables: Tables, now: float, wall: float) -> None:
        self.session_id, self.listener, self.vendor, self.vendor_profile = session_id, listener, vendor.name, vendor
        self.endpoint = endpoint.name if endpoint else UNKNOWN_ENDPOINT
        self.spec = endpoint
        self.request = request
        self.started_at, self.wall = now, wall
        self.trace = said(request.headers)
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
        self.form = AudioForm()
        self.warnings: dict[str, int] = {}  # how often, by name
        self.to_vendor, self.to_client = Traffic(), Traffic()
        self.audio = AudioSeconds()
        self._declared = endpoint.declared(request) if endpoint else (None, None, None)
        self.audio_format = endpoint.format_of(*self._declared) if endpoint else UNTIMED
        self.answers_elsewhere = False
        self.streams = 0  # that the client began by a message
        self.rests = False  # the client's last audio was marked as the last of its request
        self.stopped_at: float | None = None  # the vendor listens no longer to the stream, or the client has ended it
        self._pending: Told | None = None  # an error that counts only if nothing follows it
        self._pending_name = ""
        self._pending_at = 0.0
        self._ready_seconds = tables.ready
        self.clock = AudioClock(self.audio_format, self.audio, tables)
        self.results = ResultClock(self.clock, tables, self.trace.mark)
        self.delivery = Delivery(self.audio)
        self.lead_seconds = 0.0
        self.held_seconds = 0.0  # of audio that waits in the gate
        self.gate: Gate | None = None
        self.gate_failed = False  # it let go of everything, and does nothing any more
        self.done = Done(_nobody)  # to the traffic, by the gate or by who speaks in the client's place
        self.injected_at: float | None = None  # the last keep-alive that was not the client's own
        self.loop_lag_max = 0.0
        self.lagged_at: float | None = None  # when the loop was last seen to be late enough to matter,
        self.lagged_for = 0.0  # and by how many seconds
        self.waiting = 0  # bytes for the vendor, as of the last tick before it judged; while there are any, the client may not be read
        self.seen = Latest()  # what the client had sent, as of that tick,
        self.judged_at: float | None = None
        self.then: Then | None = None  # what was known when the vendor judged
        self.shape = Shape(endpoint.spec.limits if endpoint else None)
        self.company: Company | None = None  # the sessions of the same credential
        self.crowded: frozenset[Rule] = frozenset()  # the rules by which, over a whole fleet, this was one too many
        self.reported_of: tuple[float, float] | None = None  # audio delivered and read when the vendor last told its own figure
        self.date: str | None = None  # the vendor's clock, as its answer told it
        self.heard_at: float | None = None  # when audio that was looked at was last not silent
        self.loudest = 0.0  # peak of the audio that was looked at, 0 to 1
        self.buffered = (0, 0)
        self.buffered_max = 0

    def traced(self, trace: TraceContext) -> None:
        """Whoever traces sessions has given this one its ids. Before anything happens."""
        self.trace, self.results.mark = trace, trace.mark

    def ids_from(self, headers: Mapping[str, str]) -> None:
        for name, header in (self.spec.spec.response_ids if self.spec else {}).items():
            if header.lower() in headers:
                setattr(self, name, headers[header.lower()])

    def ids_of(self, kind: Kind, json: Json) -> None:
        told = kind.told(json)
        self.connection_id = self.connection_id or told.connection_id
        self.req_id = told.req_id or self.req_id

    def ready(self, now: float) -> None:
        if self.ready_at is None:
            self.ready_at, self.claim.ready = now, True
            self._ready_seconds.observe(now - self.started_at, self.trace.mark, now)

    def declared(self, *said: str | None) -> None:
        """A message says what the audio is: encoding, sample rate, channels; None keeps what was said before."""
        encoding, rate, channels = (new or old for new, old in zip(said, self._declared, strict=True))
        self._declared = (encoding, rate, channels)
        if self.spec is not None:
            self.audio_format = self.spec.format_of(encoding, rate, channels)
            self.clock.reformat(self.audio_format)

    def stream_began(self) -> None:
        """The client begins a stream, perhaps another one on the same socket: nothing that was said or seen of the last is about it."""
        if self.clock.odd:
            self.noticed(Noticed.ODD_BYTES, self.clock.last_at)
            self.clock.odd = False
        self.form = AudioForm(after=self.clock.chunks)
        self.streams += 1
        self.stopped_at = None
        self.claim.end_sent = False
        self.ending.reopened()
        self.results.restart()

    def hold_error(self, name: str, told: Told, now: float) -> None:
        """An error that ends the session only if the vendor says nothing more."""
        if self._pending is None:
            self._pending, self._pending_name, self._pending_at = told, name, now
            self.ending.perhaps_began(Side.VENDOR)
            self.results.await_next()
        else:
            self._pending.merge(told)

    def went_on(self) -> None:
        """The vendor has gone on: an error before this was a warning."""
        if self._pending is not None:
            self._pending = None
            if self.judged_at == self._pending_at:  # and not by an earlier word that was its last
                self.judged_at = self.then = None
            self.ending.did_not_begin()
            self.warned(self._pending_name)

    def conclude(self) -> None:
        """The session is over: an error that nothing followed has ended it, unless it went on for long and ended politely."""
        close = self.ending.client_close if self.ending.ended_by is Side.CLIENT else self.ending.vendor_close
        streams = self.spec is not None and self.spec.client.has_start  # where an error ends the stream, and the socket waits for the next
        if not streams and close is not None and close.code in POLITE and close.at - self._pending_at > LATE_END:
            self.went_on()
        if self._pending is not None:
            told, self._pending = self._pending, None
            self.claim.hear(self.vendor_profile.profile, told)
            self.ending.fatal_error = True

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
        self.form.flaws.setdefault(fact, now)

    @property
    def latest(self) -> Latest:
        """The client's last audio, message of any kind, and keep-alive."""
        audio_at = self.clock.last_at if self.clock.chunks else None
        times = [at for at in (audio_at, self.shape.at) if at is not None]
        return Latest(audio_at, max(times, default=None), self.kept_alive_at)

    def judged(self, now: float) -> None:
        """The vendor has ended the session at `now`: what it knew by then is what its claim is held against. The first time counts."""
        if self.judged_at is None:
            self.from_client.settle()
            self.judged_at = now
            self.then = self.so_far()

    def so_far(self) -> Then:
        """What is known at this moment."""
        return Then(self.latest, self.clock.so_far(), self.shape.so_far(), self.audio.read, self.form.so_far(),
                    self.gate.held_at if self.gate is not None else None, self.heard_at, self.audio.silent, self.results.last_in_stream,
                    self.inspection, any(name.startswith("framing_") for name in self.warnings) and self.from_client.is_lost,
                    self.to_vendor.frames[AUDIO], True if self.clock.chunks else self.claim.audio_sent, self.claim.end_sent,
                    frozenset(self.done.actions), self.done.delay_max, self.undelivered_seconds, self.buffered_max, self.loop_lag_max,
                    self.lagged_at, self.lagged_for)

    def lag_since(self, at: float) -> float:
        """Seconds for which our own loop may have stood still after `at`: an upper bound."""
        return self.loop_lag_max if self.lagged_at is not None and self.lagged_at >= at else 0.0

    @property
    def undelivered_seconds(self) -> float:
        return self.delivery.undelivered_seconds
