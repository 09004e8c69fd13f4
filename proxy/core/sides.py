"""The two directions of a session: from messages to facts.

    client bytes             -> FrameScanner -> ClientSide: audio clock, end message, keep-alives, close
    vendor bytes -> Gatherer -> FrameScanner -> VendorSide: ready, results, error frames, the vendor's own figures, close

Owns what a message changes in what is known of the session. It knows nothing of sockets, nor of what the facts come to.
"""

from __future__ import annotations

from typing import Final

from proxy.core.audio import HEAD_BYTES, SILENCE_LEVEL, container, peak
from proxy.core.claim import as_number
from proxy.core.deflate import Inflater
from proxy.core.inspect import Json, Kind, text_of
from proxy.core.known import Known
from proxy.core.verdict import Inspection, Side
from proxy.core.wire import OP_BINARY, OP_CLOSE, OP_TEXT

RESULT_SPACING: Final = 0.5
"""Seconds: interim results that follow each other more closely are counted but not parsed. No other message is passed over."""


class OneSide:
    """What both directions share: inflating, closes, and framing that breaks."""

    __slots__ = ("inflater", "session")
    side = Side.UNKNOWN

    def __init__(self, session: Known) -> None:
        self.session = session
        self.inflater: Inflater | None = None

    def message(self, opcode: int, length: int, payload: bytes | None, compressed: bool, now: float) -> None:
        if compressed:
            payload = self.inflater.message(payload) if self.inflater else None
            length = len(payload) if payload is not None else length
        if payload is None or (compressed and self.inflater and self.inflater.ended):
            self.session.blind(self.side, Inspection.PARTIAL)
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
        self.session.blind(self.side)
        self.session.warned(f"framing_{reason}")


class ClientSide(OneSide):
    """Client to vendor: audio and the client's messages."""

    __slots__ = ("_looked_at", "_was_quiet", "audio")
    side = Side.CLIENT

    def __init__(self, session: Known) -> None:
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


class VendorSide(OneSide):
    """Vendor to client: hello, results, errors, goodbye. Binary is counted by the scanner, and not looked at."""

    __slots__ = ("_inspector", "_next_look")
    side = Side.VENDOR

    def __init__(self, session: Known) -> None:
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
            session.ready(now)
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
