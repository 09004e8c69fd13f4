"""Frames as bytes that can be held, cut and joined: what the gate handles.

Owns cutting a client's byte stream into whole frames, and making frames. A masked payload is cut at multiples of four bytes, so that the
pieces keep the mask, and joined by one XOR with the difference of two masks: nothing is unmasked on the way (RFC 6455, 5.3). What
frames mean for a session is read elsewhere (wire, sides).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proxy.core.audio import HEAD_BYTES
from proxy.core.wire import FIN, OP_CLOSE, unmask

MASKED: Final = 0x80
LARGEST_HEADER: Final = 14


class BrokenError(Exception):
    """The bytes are no frames, or frames that the gate does not touch."""


@dataclass(slots=True)
class Frame:
    """One whole frame as it came. `payload` is masked still."""

    raw: bytes
    first: int
    mask: bytes
    start: int

    @property
    def payload(self) -> bytes:
        return self.raw[self.start :]

    @property
    def head(self) -> bytes:
        """The beginning of the payload, unmasked."""
        return unmask(self.raw[self.start : self.start + HEAD_BYTES], self.mask)

    @property
    def plain(self) -> bytes:
        """The payload, unmasked."""
        return unmask(self.raw[self.start :], self.mask)

    @property
    def length(self) -> int:
        return len(self.raw) - self.start

    @property
    def opcode(self) -> int:
        return self.first & 0x0F


def header(data: bytes | bytearray) -> tuple[int, int] | None:
    """Lengths of header and payload of the frame that `data` begins with; None where that is not all there."""
    if len(data) < 2:
        return None
    length, start = data[1] & 0x7F, 2
    if length > 125:
        start = 4 if length == 126 else 10
        if len(data) < start:
            return None
        length = int.from_bytes(data[2:start], "big")
    if data[1] & MASKED:
        start += 4
    return start, length


class Cutter:
    """Bytes in, whole frames out. `rest` is what waits for the remainder of its frame."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = bytearray()

    def next(self, largest: int) -> Frame | None:
        """The next whole frame, None where there is none yet. Raises BrokenError for one that is larger than `largest` bytes."""
        found = header(self.rest)
        if found is None:
            return None
        start, length = found
        if start + length > largest:
            raise BrokenError("large")
        if len(self.rest) < start + length:
            return None
        raw = bytes(self.rest[: start + length])
        del self.rest[: start + length]
        if raw[0] & 0x0F >= OP_CLOSE and (length > 125 or not raw[0] & FIN):
            raise BrokenError("control")
        return Frame(raw, raw[0], raw[start - 4 : start] if raw[1] & MASKED else b"", start)


def made(first: int, payload: bytes, mask: bytes) -> bytes:
    """A frame. `payload` is masked already, with `mask`; an empty mask makes a frame as a server sends it."""
    size, flag = len(payload), MASKED if mask else 0
    if size < 126:
        head = bytes((first, flag | size))
    elif size < 65536:
        head = bytes((first, flag | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, flag | 127)) + size.to_bytes(8, "big")
    return head + mask + payload


def masked(payload: bytes, mask: bytes) -> bytes:
    """A plain payload under a mask, which is the same as unmasking one."""
    return unmask(payload, mask)


def joined(payload: bytes, mask: bytes, more: bytes, other: bytes) -> bytes:
    """Two masked payloads as one, under the mask of the first."""
    turn = len(payload) % 4
    turned = mask[turn:] + mask[:turn]
    difference = bytes(a ^ b for a, b in zip(turned, other, strict=True)) if mask and other else turned or other
    return payload + unmask(more, difference)
