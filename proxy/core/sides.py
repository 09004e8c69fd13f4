"""The two directions of a session: from messages to facts.

    client bytes -> FrameScanner -> ClientSide: audio clock, end message, keep-alives, close
    vendor bytes -> FrameScanner -> VendorSide: ready, results, error frames, the vendor's own figures, close

Owns what a message changes in what is known of the session. It knows nothing of sockets, nor of what the facts come to.
"""

from __future__ import annotations

from typing import ClassVar, Final

from proxy.core.audio import HEAD_BYTES, PLAIN_WAV, SILENCE_LEVEL, SPEECH_LEVEL, UNTIMED, container, is_text, peak, plain_wav, wav
from proxy.core.claim import as_close_code, as_number
from proxy.core.deflate import Inflater
from proxy.core.inspect import LARGEST, Json, Kind, text_of
from proxy.core.known import Known
from proxy.core.protobuf import HEAD
from proxy.core.tally import AUDIO, BINARY
from proxy.core.verdict import Inspection, Noticed, Side
from proxy.core.wire import FLOOD, OP_BINARY, OP_CLOSE, OP_TEXT, SAMPLED, weight

GOING_ON: Final = 5.0
"""Seconds after an error from which on any word of the vendor's shows that it goes on; sooner it may be an acknowledgement on its way, or a
goodbye."""


class OneSide:
    """What both directions share: inflating, closes, and framing that breaks."""

    __slots__ = ("inflater", "known")
    __deletable__: ClassVar = ("known",)  # asked for by the compiler
    side = Side.UNKNOWN

    def __init__(self, known: Known) -> None:
        self.known = known
        self.inflater: Inflater | None = None

    def message(self, opcode: int, length: int, payload: bytes | None, compressed: bool, now: float) -> int:
        took = 0
        if compressed:
            payload = self.inflater.message(payload) if self.inflater else None
            if payload is not None:
                length, payload = len(payload), self._kept(opcode, payload)
                took = (length >> 10) + (weight(payload) if opcode == OP_TEXT and payload is not None else 0)
        if payload is None or (compressed and self.inflater and self.inflater.ended):
            self.known.blind(self.side, Inspection.PARTIAL)
        if opcode == OP_BINARY:
            self.binary(length, payload, now)
        elif payload is not None and opcode == OP_TEXT:
            self.text(payload, now)
        return took

    @property
    def head(self) -> int:
        """How much of a binary message is asked for."""
        return 0

    def _kept(self, opcode: int, payload: bytes) -> bytes | None:
        """What the scanner would have kept of a message, had it not been compressed."""
        return payload[: self.head] if opcode == OP_BINARY else payload if len(payload) <= LARGEST else None

    def binary(self, length: int, head: bytes | None, now: float) -> None: ...

    def text(self, payload: bytes, now: float) -> None: ...

    def control(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == OP_CLOSE:
            if self.side is Side.VENDOR:
                self.known.judged(now)
            self.known.ending.closed(self.side, payload, now)

    def let_go(self) -> None:
        """Of the session, which has it: the two would wait for the collector."""
        del self.known

    def lost(self, reason: str) -> None:
        self.known.blind(self.side)
        self.known.warned(reason if reason == FLOOD else f"framing_{reason}")


class ClientSide(OneSide):
    """Client to vendor: audio, in binary messages or inside others, and the client's messages."""

    __slots__ = ("_declared", "_inspector", "_looked_at", "_packed", "_plain", "_plain_length", "_text_length", "_was_quiet", "_wav",
                 "audio")
    side = Side.CLIENT

    def __init__(self, known: Known) -> None:
        super().__init__(known)
        self._inspector = known.spec.client if known.spec else None
        self._wav = known.spec is not None and known.spec.spec.audio.each_message == "wav"
        self._declared = known.audio_format
        self._plain, self._plain_length = b"", -1  # the header of a file of that length
        self.audio = self._counted if known.shape.counts else known.clock.add_all
        self._text_length = -1  # of a binary message that was no audio
        self._packed = False
        self._looked_at = 0.0
        self._was_quiet = False

    @property
    def head(self) -> int:
        return HEAD if self._inspector is not None and self._inspector.binary else HEAD_BYTES

    @property
    def looks_at_each(self) -> bool:
        """Whether every binary message must be looked at to time its audio."""
        return self._wav or (self._inspector is not None and self._inspector.binary)

    def let_go(self) -> None:
        super().let_go()
        self.audio = _unheard

    def binary(self, length: int, head: bytes | None, now: float) -> None:
        known = self.known
        if self._inspector is not None and self._inspector.binary:
            self._read(head or b"", length, now)
        elif not length and known.spec is not None and known.spec.spec.empty_binary == "end":
            self._end(now)
        elif head is None:
            known.clock.reformat(UNTIMED)  # how much audio a compressed message holds is not known
            self._chunk(length, now)
        elif self._wav:
            self._wav_file(length, head, now)
        elif head.startswith(b"{") and is_text(head):
            self._no_audio(length, now)
        else:
            self._chunk(length, now)
            if head:
                self._look(head, now)

    def _chunk(self, length: int, now: float) -> None:
        self.known.clock.add(length, now)
        self.known.shape.chunk(now)

    def _counted(self, length: int, times: list[float]) -> None:
        """Messages nobody has looked into: where they must be counted, or where one of this length was no audio."""
        known = self.known
        if length == self._text_length:
            known.shape.text_in_binary += len(times)
            for now in times:
                known.shape.message(now)
            return
        known.clock.add_all(length, times)
        if known.shape.counts:
            for now in times:
                known.shape.chunk(now)

    def _no_audio(self, length: int, now: float) -> None:
        """JSON in a binary message, a keep-alive most often. The next ones of that length are taken for the same."""
        self.known.from_client.look_at_next()
        self._text_length = length
        self.audio = self._counted
        self.known.noticed(Noticed.TEXT_IN_AUDIO, now)
        self.known.shape.text_in_binary += 1
        self.known.shape.message(now)

    def _wav_file(self, length: int, head: bytes, now: float) -> None:
        """A message that is a whole file: what it holds stands in its own header."""
        known, found = self.known, wav(head)
        self._file(length, head)
        self._packed = found is None and (self._packed or container(head) is not None)
        if found is None:
            if not self._packed:  # in another container, which goes on without a header, nothing can be compared
                known.noticed(Noticed.FORMAT_MISMATCH, now)
            known.clock.reformat(UNTIMED)
            self._chunk(length, now)
            return
        held, start = found
        if held != known.audio_format:
            known.noticed(Noticed.FORMAT_MISMATCH, now)
        known.clock.reformat(held)
        self._chunk(length - start, now)
        self._listen(head[start:], held.name)

    def _file(self, length: int, head: bytes) -> None:
        """Whether it is a file that any reader would take."""
        declared, form = self.known.audio_format, self.known.form
        if length != self._plain_length or declared is not self._declared:
            self._plain_length, self._declared, self._plain = length, declared, plain_wav(declared, length)
        if self._plain and head[:PLAIN_WAV] == self._plain:
            form.files += 1
        else:
            form.others += 1

    def _look(self, head: bytes, now: float) -> None:
        """The head of one message in ten, and of small ones: is it what was declared, and is anybody speaking?"""
        known = self.known
        if known.clock.chunks == known.form.after + 1 and known.clock.timed and container(head):
            known.noticed(Noticed.CONTAINER_IN_RAW, now)
            found = wav(head)
            if found is not None and found[0] != known.audio_format:
                known.noticed(Noticed.FORMAT_MISMATCH, now)
        if is_text(head):
            known.noticed(Noticed.TEXT_IN_AUDIO, now)
        self._listen(head[:HEAD_BYTES], known.audio_format.name)

    def _listen(self, head: bytes, name: str) -> None:
        """Whether it is silence. Once is a gap between two words."""
        loudest = peak(head, name)
        if loudest is not None:
            audio, quiet = self.known.audio, loudest < SILENCE_LEVEL
            if quiet and self._was_quiet:
                audio.silent += audio.read - self._looked_at
            elif loudest >= SPEECH_LEVEL:
                audio.voiced += audio.read - self._looked_at
            self.known.loudest = max(self.known.loudest, loudest)
            if not quiet:
                self.known.heard_at = self.known.clock.last_at
            self._looked_at, self._was_quiet = audio.read, quiet

    def text(self, payload: bytes, now: float) -> None:
        if self._inspector is not None and not self._inspector.binary:
            self._read(payload, len(payload), now)
        else:
            self.known.shape.strange(payload)
            self.known.shape.message(now)

    def _read(self, payload: bytes, length: int, now: float) -> None:
        found, shape = self._inspector.read(payload, length) if self._inspector is not None else None, self.known.shape
        if found is None:
            shape.strange(payload)
            shape.message(now)
            return
        kind, json = found
        shape.good(all(get(json) is not None for get in kind.required))
        if kind.role != "audio":
            shape.message(now)
        if kind.declares is not None:
            self.known.declared(*kind.declares.read(json))
        if kind.message.answers_elsewhere:
            self.known.answers_elsewhere = True
        if kind.role == "audio":
            self.known.rests = kind.final is not None and kind.final(json)
            self._held(kind, json, now)
        elif kind.role == "end":
            self._end(now)
        elif kind.role == "start":
            self.known.stream_began()
            self.known.from_client.look_at_next()
        elif kind.role == "keep_alive":
            self.known.kept_alive_at = now
        if kind.message.ids:
            self.known.ids_of(kind, json)

    def _held(self, kind: Kind, json: Json, now: float) -> None:
        """Audio inside a message."""
        piece = kind.held(json) if kind.held is not None else None
        if piece is None or not piece.length:
            return
        known = self.known
        if kind.message.audio and kind.message.audio.encoding == "bytes":  # of a binary message: it is audio after all
            known.to_vendor.frames[BINARY] -= 1
            known.to_vendor.frames[AUDIO] += 1
        self._chunk(piece.length, now)
        if known.clock.chunks % SAMPLED == 1 and piece.head:
            self._look(piece.head, now)

    def _end(self, now: float) -> None:
        known = self.known
        known.ending.began(Side.CLIENT)
        known.stopped_at = known.stopped_at or now
        if known.ending.initiated_by is Side.CLIENT or known.ending.is_open:  # and not in answer to the vendor's end
            known.claim.end_sent = True


class VendorSide(OneSide):
    """Vendor to client: hello, results, errors, goodbye. Binary is counted by the scanner, and looked at only where it is protobuf."""

    __slots__ = ("_inspector",)
    side = Side.VENDOR

    def __init__(self, known: Known) -> None:
        super().__init__(known)
        self._inspector = known.spec.server if known.spec else None

    @property
    def head(self) -> int:
        return HEAD if self._inspector is not None and self._inspector.binary else 0

    def audio(self, length: int, times: list[float]) -> None: ...

    def binary(self, length: int, head: bytes | None, now: float) -> None:
        if head and self._inspector is not None and self._inspector.binary:
            self._read(head, length, now)

    def text(self, payload: bytes, now: float) -> None:
        if self._inspector is None or self._inspector.binary:
            return
        results = self.known.results
        if now < results.awaited_from and self._inspector.is_passing(payload):
            results.pass_over(now)
            return
        self._read(payload, len(payload), now)

    def _read(self, payload: bytes, length: int, now: float) -> None:
        found = self._inspector.read(payload, length) if self._inspector is not None else None
        if found is None:
            return
        kind, json = found
        if kind.role == "result":
            if kind.has_text is None or kind.has_text(json) is not None:
                self._result(kind, json, now)
        else:
            self._other(kind, json, now)
        if kind.message.ids:
            self.known.ids_of(kind, json)

    def _result(self, kind: Kind, json: Json, now: float) -> None:
        final = kind.final is not None and kind.final(json)
        if now < self.known.results.awaited_from and kind.final is not None and not final:
            self.known.results.pass_over(now)  # an interim one, whether or not that could be told from its bytes
            return
        self.known.from_client.settle()
        self.known.went_on()
        self.known.results.add(
            now,
            final,
            text_of(kind.utterance(json)) if kind.utterance else None,
            kind.speech_start(json) if kind.speech_start else None,
            kind.speech_end(json) if kind.speech_end else None,
        )

    def _other(self, kind: Kind, json: Json, now: float) -> None:
        known = self.known
        if kind.role in ("error", "warning"):
            self._told(kind, json, now)
            return
        if self._goes_on(kind, now):
            known.went_on()
        if kind.declares is not None:
            known.declared(*kind.declares.read(json))
        if kind.audio_seconds is not None:
            reported = kind.audio_seconds(json)
            if reported is not None:
                known.claim.reported_seconds = known.audio.reported = reported
                known.from_client.settle()
                known.reported_of = (known.audio.delivered, known.audio.read)
        if kind.role == "ready" and known.judged_at is None:
            known.ready(now)
            known.expires_at = as_number(kind.expires_at(json)) if kind.expires_at else None
        elif kind.role == "end":
            known.ending.goodbye = True
        elif kind.role == "stopped":
            known.stopped_at = known.stopped_at or now
            known.ending.goodbye = True
        elif kind.role == "disconnect":
            known.judged(now)
            known.ending.told(as_close_code(kind.close_code(json)), text_of(kind.close_reason(json)), now)

    def _goes_on(self, kind: Kind, now: float) -> bool:
        """Whether a message shows that the session goes on after an error. Where a client begins its streams, an error ends the stream."""
        known = self.known
        if kind.role == "info" and known.judged_at is not None and known.spec is not None and not known.spec.client.has_start:
            return now - known.judged_at >= GOING_ON
        return kind.role == "ready"

    def _told(self, kind: Kind, json: Json, now: float) -> None:
        known = self.known
        if known.ending.stood_in:
            known.warned(kind.name)
            return
        if kind.role == "error" and kind.fatal:
            known.judged(now)
        if kind.role == "error" and kind.fatal == "if_last":
            known.hold_error(kind.name, kind.told(json), now)
        elif kind.role == "error" and kind.fatal:
            known.claim.hear(known.vendor_profile.profile, kind.told(json))
            known.ending.fatal_error = True
            known.ending.began(Side.VENDOR)
        else:
            known.warned(kind.name)


def _unheard(length: int, times: list[float]) -> None:
    """Where audio goes once all is told."""
