"""What a client's whole messages hold, for the gate: how much audio, and whether they are what the vendor takes.

Owns the reading of one message before it goes out, by the profile. It keeps what the session's own reading (sides) keeps only of
messages that have gone: the declared format. It decides nothing, and knows no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proxy.core.audio import HEAD_BYTES, AudioFormat, container, is_text, wav
from proxy.core.deflate import Inflater
from proxy.core.inspect import Json, Kind
from proxy.core.vendor import CompiledEndpoint, Request
from proxy.core.wire import OP_TEXT

BAD_FORMAT: Final = "audio_format"
BAD_SHAPE: Final = "message_shape"


@dataclass(frozen=True, slots=True)
class Measured:
    """A message: seconds of audio in it, None where it holds none or cannot be timed; what is wrong with it, as a sentence.

    raw: it is bare samples.
    """

    seconds: float | None = None
    raw: bool = False
    wrong_format: str | None = None
    wrong_shape: str | None = None


_PLAIN: Final = Measured()


class Meter:
    """Reads the messages of one session in their order."""

    __slots__ = ("_audio_seen", "_declared", "_endpoint", "_inflater", "_wav", "audio_format", "failed")

    def __init__(self, endpoint: CompiledEndpoint, request: Request, inflater: Inflater | None) -> None:
        self._endpoint, self._inflater = endpoint, inflater
        self._declared = endpoint.declared(request)
        self.audio_format: AudioFormat = endpoint.format_of(*self._declared)
        self._wav = endpoint.spec.audio.each_message == "wav"
        self._audio_seen = False
        self.failed = False  # compression can no longer be followed

    @property
    def bare(self) -> bool:
        """Whether binary messages are bare samples whose length tells their duration."""
        return not (self._wav or self._endpoint.client.binary) and self.audio_format.bytes_per_second is not None

    def read(self, opcode: int, payload: bytes, compressed: bool) -> Measured:
        """A whole message, unmasked. Never raises."""
        if compressed:
            inflated = self._inflater.message(payload) if self._inflater is not None else None
            if inflated is None or (self._inflater is not None and self._inflater.ended):
                self.failed = True
                return _PLAIN
            payload = inflated
        if opcode == OP_TEXT:
            return self._text(payload)
        if self._endpoint.client.binary:
            return self._message(payload)
        return self._binary(payload)

    def samples(self, length: int, head: bytes) -> Measured:
        """A message of `length` bytes of bare samples that begins so. For `bare` endpoints."""
        first, self._audio_seen = not self._audio_seen, True
        rate = self.audio_format.bytes_per_second or 0.0
        return Measured(length / rate if rate else None, raw=True, wrong_format=self._wrong_samples(head) if first else None)

    def _binary(self, payload: bytes) -> Measured:
        if not payload:
            return _PLAIN
        if self._wav:
            first, self._audio_seen = not self._audio_seen, True
            found = wav(payload[:HEAD_BYTES])
            rate = found[0].bytes_per_second if found is not None else None
            wrong = self._wrong_file(found) if first else None
            return Measured((len(payload) - found[1]) / rate if found and rate else None, wrong_format=wrong)
        return self.samples(len(payload), payload[:HEAD_BYTES]) if self.bare else _PLAIN

    def _wrong_samples(self, head: bytes) -> str | None:
        name = container(head)
        if name is not None:
            return f"{name} where {self.audio_format.name} was declared"
        return f"text where {self.audio_format.name} was declared" if is_text(head) else None

    def _wrong_file(self, found: tuple[AudioFormat, int] | None) -> str | None:
        if found is None or found[0] == self.audio_format:
            return None  # another container may be allowed
        held = found[0]
        return f"{held.sample_rate or '?'} Hz, {held.channels} channels where {self.audio_format.sample_rate} Hz mono is expected"

    def _text(self, payload: bytes) -> Measured:
        inspector = self._endpoint.client
        if inspector.binary or not self._endpoint.spec.client.all():
            return _PLAIN
        return self._message(payload)

    def _message(self, payload: bytes) -> Measured:
        found = self._endpoint.client.read(payload, len(payload))
        if found is None:
            return Measured(wrong_shape="a message that the vendor does not know")
        kind, json = found
        if kind.declares is not None:
            said = kind.declares.read(json)
            encoding, rate, channels = (new or old for new, old in zip(said, self._declared, strict=True))
            self._declared = (encoding, rate, channels)
            self.audio_format = self._endpoint.format_of(encoding, rate, channels)
        if any(get(json) is None for get in kind.required):
            return Measured(wrong_shape=f"a message of type {kind.name or 'without one'} lacks a required field")
        return Measured(self._held(kind, json))

    def _held(self, kind: Kind, json: Json) -> float | None:
        piece = kind.held(json) if kind.held is not None else None
        rate = self.audio_format.bytes_per_second
        return piece.length / rate if piece is not None and piece.length and rate else None
