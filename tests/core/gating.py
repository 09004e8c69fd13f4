"""A gate on a made-up clock: what a client sends and when, and what leaves and when.

Owns a reader of frames that shares nothing with the gate's, and a vendor with every kind of audio.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import cycle
from operator import xor
from typing import Any, Final

from proxy.core.deflate import Inflater
from proxy.core.gate import Gate, gate_for
from proxy.core.policy import Policy
from proxy.core.rules import Common
from proxy.core.vendor import Request, Vendor
from tests.core.playbook import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from tests.core.profiles import profile

LIMITS: Final[dict[str, Any]] = {
    "chunk_seconds": [0.05, 1.0], "chunk_bytes": 24000, "messages_per_minute": 1000, "chunks_per_second": 100,
}
AUDIO: Final[dict[str, Any]] = {
    "encoding": {"query": "encoding", "default": "linear16"}, "sample_rate": {"query": "rate", "default": "16000"},
    "channels": {"query": "channels"}, "formats": {"linear16": "pcm_s16le", "linear32": "pcm_s32le", "mulaw": "mulaw", "opus": "opaque"},
}
CLIENT: Final[dict[str, Any]] = {"kinds": {
    "end": {"role": "end"},
    "alive": {"role": "keep_alive"},
    "set": {"role": "control", "required": ["id"], "declares": {"encoding": "encoding", "sample_rate": "rate", "channels": "channels"}},
    "audio": {"role": "audio", "audio": {"path": "data", "encoding": "base64"}},
}}
FIELDS: Final[dict[str, Any]] = {"encoding": "protobuf", "type": "1", "kinds": {
    "1": {"role": "start", "name": "start", "declares": {"sample_rate": "2"}},
    "2": {"role": "audio", "name": "audio", "audio": {"path": "3", "encoding": "bytes"}},
}}


def _endpoint(**parts: Any) -> dict[str, Any]:
    return {"audio": AUDIO, "ready": "handshake", "limits": LIMITS, "client": CLIENT, **parts}


def vendor(**endpoint: Any) -> Vendor:
    return Vendor(profile(endpoints={"v1": _endpoint(**endpoint)}), Common.model_validate({"rules": []}))


BARE: Final = vendor()
FILES: Final = vendor(audio={**AUDIO, "each_message": "wav"})
PROTOBUF: Final = vendor(client=FIELDS)


def policy(*rules: str, **numbers: dict[str, Any]) -> Policy:
    """Enforces these rules alone."""
    return Policy.model_validate({"rules": {name: {"mode": "enforce", **numbers.get(name, {})} for name in (*rules, *numbers)}})


def gate(asked: Policy, query: str = "", of: Vendor = BARE, inflater: Inflater | None = None, waits: list[float] | None = None) -> Gate:
    told: list[float] = [] if waits is None else waits
    made = gate_for(asked, of.endpoints["v1"], Request.of(f"/v1?{query}", {}), inflater, told.append)
    assert made is not None
    return made


@dataclass(slots=True)
class Message:
    """A whole message, or a control frame, that has left."""

    opcode: int
    payload: bytes
    at: float
    raw: bytes
    mask: bytes
    compressed: bool = False
    frames: int = 1


@dataclass(slots=True)
class Reader:
    """Whole messages out of bytes. Raises where bytes are no frames, or messages are mixed."""

    messages: list[Message] = field(default_factory=list)
    rest: bytes = b""
    open: Message | None = None

    def add(self, data: bytes, at: float) -> None:
        self.rest += data
        while (size := self._size()) is not None and len(self.rest) >= size:
            raw, self.rest = self.rest[:size], self.rest[size:]
            self._frame(raw, at)

    def _size(self) -> int | None:
        data = self.rest
        if len(data) < 2:
            return None
        extra = {126: 2, 127: 8}.get(data[1] & 127, 0)
        if len(data) < 2 + extra:
            return None
        length = int.from_bytes(data[2 : 2 + extra], "big") if extra else data[1] & 127
        return 2 + extra + (4 if data[1] & 128 else 0) + length

    def _frame(self, raw: bytes, at: float) -> None:
        start = 2 + {126: 2, 127: 8}.get(raw[1] & 127, 0) + (4 if raw[1] & 128 else 0)
        mask = raw[start - 4 : start] if raw[1] & 128 else b""
        payload = bytes(map(xor, raw[start:], cycle(mask))) if mask else raw[start:]
        opcode = raw[0] & 15
        if opcode in (CLOSE, PING, PONG):
            self.messages.append(Message(opcode, payload, at, raw, mask))
            return
        if opcode == CONTINUATION:
            assert self.open is not None
            self.open.payload += payload
            self.open.raw += raw
            self.open.frames += 1
        else:
            assert opcode in (TEXT, BINARY)
            assert self.open is None
            self.open = Message(opcode, payload, at, raw, mask, bool(raw[0] & 0x40))
        if raw[0] & 128:
            self.messages.append(self.open)
            self.open = None


class Run:
    """A gate, and who calls it: on the dot, as its timer says."""

    def __init__(self, of: Gate, began: float = 0.0) -> None:
        self.gate = of
        self.now = began
        self.reader = Reader()
        self.out = b""

    @property
    def messages(self) -> list[Message]:
        return self.reader.messages

    @property
    def audio(self) -> list[Message]:
        return [message for message in self.messages if message.opcode == BINARY and message.payload]

    def until(self, at: float) -> Run:
        """Time goes by."""
        turns = 0
        while (wake := self.gate.wake_at) is not None and wake <= at:
            turns = turns + 1 if wake <= self.now else 0
            assert turns < 3, "a timer that is due at once, again and again"
            self.now = max(self.now, wake)
            self._left(self.gate.release(self.now))
        self.now = at
        return self

    def feed(self, *data: bytes, at: float | None = None) -> Run:
        if at is not None:
            self.until(at)
        for chunk in data:
            self._left(self.gate.feed(chunk, self.now))
        return self

    def drain(self, most: float = 1e6) -> Run:
        """Until nothing waits any more."""
        while self.gate.wake_at is not None:
            assert self.gate.wake_at < self.now + most
            self.until(self.gate.wake_at)
        return self

    def finish(self, whole: bool = True) -> Run:
        self.gate.finish(self.now, whole)
        return self.drain()

    def _left(self, data: bytes) -> None:
        self.out += data
        if not self.gate.off:
            self.reader.add(data, self.now)


def joined(messages: Iterable[Message]) -> bytes:
    return b"".join(message.payload for message in messages)


def masked_frame(opcode: int, payload: bytes, mask: bytes = b"\x11\x22\x33\x44", fin: bool = True, rsv: int = 0,
                 width: int | None = None) -> bytes:
    """One frame under this mask; an empty one for none. `width` forces 0, 2 or 8 extra bytes of length."""
    size = len(payload)
    width = width if width is not None else 0 if size < 126 else 2 if size < 65536 else 8
    shown = {0: size, 2: 126, 8: 127}[width]
    head = bytes([(0x80 if fin else 0) | rsv | opcode, (0x80 if mask else 0) | shown]) + (size.to_bytes(width, "big") if width else b"")
    return head + mask + (bytes(map(xor, payload, cycle(mask))) if mask else payload)


_RAMP: Final = b"".join(number.to_bytes(4, "little") for number in range(1 << 19))


def samples(length: int, start: int = 0) -> bytes:
    """Bytes that tell where in the stream they belong."""
    return (_RAMP * (1 + (start % len(_RAMP) + length) // len(_RAMP)))[start % len(_RAMP) :][:length]


def speech(seconds: float, rate: int = 16000, width: int = 2, start: int = 0, mask: bytes = b"\x11\x22\x33\x44") -> bytes:
    """A frame of so much audio."""
    return masked_frame(BINARY, samples(round(seconds * rate) * width, start), mask)


def wav(data: bytes, rate: int = 16000, channels: int = 1) -> bytes:
    """A whole file of 16 bit samples, with a header of 44 bytes."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE") + form + struct.pack("<4sI", b"data", len(data)) + data
