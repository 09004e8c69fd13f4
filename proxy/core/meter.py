"""What a client's whole messages hold, for the gate: how much audio, and whether they are what the vendor takes.

Owns the reading of one message before it goes out, by the profile. It keeps what the session's own reading (sides) keeps only of
messages that have gone: the declared format. It decides nothing, and knows no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from proxy.core.audio import HEAD_BYTES, AudioFormat, container, is_text, wav
from proxy.core.deflate import Inflater
from proxy.core.frames import BrokenError, Frame
from proxy.core.inspect import LARGEST, Json, Kind
from proxy.core.policy import Rule
from proxy.core.protobuf import HEAD
from proxy.core.vendor import CompiledEndpoint, Request
from proxy.core.wire import OP_TEXT, RSV1


@dataclass(frozen=True, slots=True)
class Measured:
    """A message: seconds of audio in it, None where it holds none or cannot be timed; what is wrong with it, as sentences.

    audio: it holds audio, timed or not. bare: it is nothing but samples, which may be cut and joined. alike: the next one of its
    length need not be read.
    """

    seconds: float | None = None
    audio: bool = False
    bare: bool = False
    alike: bool = False
    wrong_format: str | None = None
    wrong_shape: str | None = None

    @property
    def wrong(self) -> list[tuple[Rule, str]]:
        """What is wrong with it, by the rules that may refuse it."""
        both = ((Rule.AUDIO_FORMAT, self.wrong_format), (Rule.MESSAGE_SHAPE, self.wrong_shape))
        return [(rule, sentence) for rule, sentence in both if sentence is not None]


_PLAIN: Final = Measured()


class Meter:
    """Reads the messages of one session in their order."""

    __slots__ = ("_audio_seen", "_binary", "_declared", "_endpoint", "_inflater", "_wav", "audio_format")

    def __init__(self, endpoint: CompiledEndpoint, request: Request, inflater: Inflater | None) -> None:
        self._endpoint, self._inflater = endpoint, inflater
        self._declared = endpoint.declared(request)
        self.audio_format: AudioFormat = endpoint.format_of(*self._declared)
        self._wav = endpoint.spec.audio.each_message == "wav"
        self._binary = endpoint.client.binary
        self._audio_seen = False

    def measure(self, frames: list[Frame]) -> Measured:
        """A whole message, in the frames that it came in. Raises BrokenError where it is compressed and cannot be read."""
        first = frames[0]
        opcode, compressed = first.opcode, bool(first.first & RSV1)
        if len(frames) > 1 or compressed:
            payload = b"".join([frame.plain() for frame in frames])
            if compressed:
                payload = self._inflated(payload)
            return self._read(opcode, len(payload), payload)
        most = LARGEST + 1 if opcode == OP_TEXT else HEAD if self._binary else HEAD_BYTES
        return self._read(opcode, len(first.payload), first.plain(most))

    def _inflated(self, payload: bytes) -> bytes:
        inflated = self._inflater.message(payload) if self._inflater is not None else None
        if inflated is None or (self._inflater is not None and self._inflater.ended):
            raise BrokenError("deflate")
        return inflated

    def _read(self, opcode: int, length: int, payload: bytes) -> Measured:
        """A message of `length` bytes, unmasked, or as much of it as is looked at."""
        if opcode == OP_TEXT:
            return _PLAIN if self._binary or not self._endpoint.spec.client.all() else self._message(payload, length)
        if self._binary:
            return self._message(payload[:HEAD], length)
        if not length:
            return _PLAIN  # a command, where it means anything
        return self._file(length, payload[:HEAD_BYTES]) if self._wav else self._samples(length, payload[:HEAD_BYTES])

    def _samples(self, length: int, head: bytes) -> Measured:
        first, self._audio_seen = not self._audio_seen, True
        rate = self.audio_format.bytes_per_second
        if rate is None:
            return Measured(audio=True, alike=True)
        wrong = self._wrong_samples(head) if first else None
        if head.startswith(b"{") and is_text(head):  # a keep-alive in a binary message, most often
            return Measured(wrong_format=wrong)
        return Measured(length / rate, audio=True, bare=True, alike=True, wrong_format=wrong)

    def _file(self, length: int, head: bytes) -> Measured:
        first, self._audio_seen = not self._audio_seen, True
        found = wav(head)
        if found is None:
            wrong = "text where a WAV file is expected" if first and is_text(head) else None
            return Measured(audio=True, wrong_format=wrong)  # another container may be allowed
        held, start = found
        wrong = f"WAV of {_said(held)} where {_said(self.audio_format)} is expected" if first and held != self.audio_format else None
        rate = held.bytes_per_second
        return Measured(max(0, length - start) / rate if rate else None, audio=True, wrong_format=wrong)

    def _wrong_samples(self, head: bytes) -> str | None:
        declared = _said(self.audio_format)
        found = wav(head)
        if found is not None:
            return f"a WAV file of {_said(found[0])} where raw {declared} was declared"
        name = container(head)
        if name is not None:
            return f"a container ({name}) where raw {declared} was declared"
        return f"text (JSON or base64) where raw {declared} was declared" if is_text(head) else None

    def _message(self, payload: bytes, length: int) -> Measured:
        if not self._binary and length > LARGEST:
            return _PLAIN  # nobody reads these
        found = self._endpoint.client.read(payload, length)
        if found is None:
            return Measured(wrong_shape=self._unknown(payload))
        kind, json = found
        if kind.declares is not None:
            said = kind.declares.read(json)
            encoding, rate, channels = (new or old for new, old in zip(said, self._declared, strict=True))
            self._declared = (encoding, rate, channels)
            self.audio_format = self._endpoint.format_of(encoding, rate, channels)
        lacks = any(get(json) is None for get in kind.required)
        shape = f"a message of type {kind.name!r} lacks a field that the vendor requires" if lacks else None
        return self._held(kind, json, shape)

    def _unknown(self, payload: bytes) -> str:
        if self._binary:
            return "a message that is not of the vendor's protocol"
        try:
            json = orjson.loads(payload)
        except ValueError:
            return "a text message that is not JSON"
        return "a message of a type that the vendor does not know" if type(json) is dict else "a text message that is no JSON object"

    def _held(self, kind: Kind, json: Json, shape: str | None) -> Measured:
        piece = kind.held(json) if kind.held is not None else None
        if piece is None or not piece.length:
            return Measured(wrong_shape=shape)
        first, self._audio_seen = not self._audio_seen, True
        rate = self.audio_format.bytes_per_second
        wrong = self._wrong_samples(piece.head[:HEAD_BYTES]) if first and rate else None
        return Measured(piece.length / rate if rate else None, audio=True, wrong_format=wrong, wrong_shape=shape)


def _said(audio_format: AudioFormat) -> str:
    if audio_format.sample_rate is None:
        return audio_format.name
    channels = f", {audio_format.channels} channels" if audio_format.channels != 1 else ""
    return f"{audio_format.name} at {audio_format.sample_rate} Hz{channels}"
