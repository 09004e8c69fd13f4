"""Frames as bytes that can be held, cut and joined: what the gate handles.

Owns cutting a client's byte stream into whole frames, and making frames. A masked payload is cut at multiples of four bytes, so that the
pieces keep the mask, and joined by one XOR with the difference of two masks: nothing is unmasked on the way (RFC 6455, 5.3). What
frames mean for a session is read elsewhere (wire, sides).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import Final

from proxy.core.wire import FIN, LARGEST_CONTROL, OP_BINARY, OP_CLOSE, OP_CONTINUATION, OP_PONG, RSV, RSV1, unmask

MASKED: Final = 0x80
MASK_BYTES: Final = 4
_RESERVED: Final = RSV & ~RSV1


class BrokenError(Exception):
    """The bytes are no frames, or frames that the gate does not touch."""


@dataclass(slots=True)
class Frame:
    """One whole frame as it came. `payload` is masked still; `head` ends with the mask."""

    head: bytes
    payload: bytes

    @property
    def first(self) -> int:
        return self.head[0]

    @property
    def opcode(self) -> int:
        return self.head[0] & 0x0F

    @property
    def mask(self) -> bytes:
        return self.head[-MASK_BYTES:] if self.head[1] & MASKED else b""

    @property
    def size(self) -> int:
        return len(self.head) + len(self.payload)

    def plain(self, most: int | None = None) -> bytes:
        """The payload, or its first `most` bytes, unmasked."""
        return unmask(self.payload[:most], self.mask)


class Cutter:
    """Bytes in, whole frames out."""

    __slots__ = ("_at", "_data", "_need", "_rest")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0  # where in it the next frame begins
        self._rest = bytearray()  # a frame that is not whole: what comes is added, and looked at when it may be
        self._need = 2  # bytes until there is something to see

    def add(self, data: bytes) -> None:
        """To be read by `next`."""
        if self._at < len(self._data):  # frames that nobody had room for
            self._rest, self._data, self._at = bytearray(self._data[self._at :]), b"", 0
        if self._rest:
            self._rest += data
        else:
            self._data, self._at = data, 0

    @property
    def waiting(self) -> int:
        """How many bytes wait for the remainder of their frame."""
        return len(self._rest) + len(self._data) - self._at

    def next(self, largest: int) -> Frame | None:
        """The next whole frame, None where there is none yet. Raises BrokenError, and takes nothing, where there will be none.

        largest: bytes of a frame. What comes in many chunks is put together once.
        """
        if self._rest:
            if len(self._rest) < self._need:
                return None
            self._data, self._at, self._rest = bytes(self._rest), 0, bytearray()
        data, at = self._data, self._at
        while len(data) - at >= self._need:
            header = _header(data, at)
            if isinstance(header, int):
                self._need = header
                continue
            start, length = header
            _check(data[at], start, length, largest)
            end = at + start + length
            if len(data) < end:
                self._need = start + length
                break
            self._at, self._need = end, 2
            return Frame(data[at : at + start], data[at + start : end])
        self._rest, self._data, self._at = bytearray(data[at:]), b"", 0
        return None

    def take(self) -> bytes:
        """All that waits."""
        rest = bytes(self._rest) + self._data[self._at :]
        self._data, self._at, self._rest, self._need = b"", 0, bytearray(), 2
        return rest


def _header(data: bytes, at: int) -> tuple[int, int] | int:
    """Lengths of header and payload of the frame that begins at `at`; how many bytes it takes to tell, where these are not there."""
    length, start = data[at + 1] & 0x7F, 2
    if length > 125:
        start = 4 if length == 126 else 10
        if len(data) < at + start:
            return start
        length = int.from_bytes(data[at + 2 : at + start], "big")
    return (start + MASK_BYTES if data[at + 1] & MASKED else start), length


def _check(first: int, start: int, length: int, largest: int) -> None:
    """What the gate can follow (RFC 6455, 5.2). Which frames may follow each other is not checked here."""
    opcode = first & 0x0F
    if start + length > largest:
        raise BrokenError("large")
    if first & _RESERVED or OP_BINARY < opcode < OP_CLOSE or opcode > OP_PONG:
        raise BrokenError("reserved")
    if first & RSV1 and (opcode >= OP_CLOSE or opcode == OP_CONTINUATION):
        raise BrokenError("reserved")
    if opcode >= OP_CLOSE and (length > LARGEST_CONTROL or not first & FIN):
        raise BrokenError("control")


def head(first: int, size: int, mask: bytes) -> bytes:
    """A frame's header for a payload of `size` bytes; without a mask as a server sends it."""
    flag = MASKED if mask else 0
    if size < 126:
        return bytes((first, flag | size)) + mask
    if size < 65536:
        return bytes((first, flag | 126)) + size.to_bytes(2, "big") + mask
    return bytes((first, flag | 127)) + size.to_bytes(8, "big") + mask


def made(first: int, payload: bytes, mask: bytes) -> bytes:
    """A frame. `payload` is masked already, with `mask`; an empty mask makes a frame as a server sends it."""
    return head(first, len(payload), mask) + payload


def masked(payload: bytes, mask: bytes) -> bytes:
    """A plain payload under a mask, which is the same as unmasking one."""
    return unmask(payload, mask)


def remasked(payload: bytes, mask: bytes, onto: bytes, length: int) -> bytes:
    """A payload under `mask`, as it continues one of `length` bytes that is under the mask `onto`; either may be empty."""
    turn = length % MASK_BYTES
    onto = onto[turn:] + onto[:turn]
    if onto == mask:
        return payload
    difference = bytes(a ^ b for a, b in zip(onto, mask, strict=True)) if onto and mask else onto or mask
    return unmask(payload, difference)


def pieces(length: int, most: int, block: int) -> list[int]:
    """Lengths of nearly equal pieces of up to `most` bytes: as few as it takes.

    They are cut at whole samples of `block` bytes and at multiples of the mask's four; one that small may have to be larger than `most`.
    """
    unit = lcm(block, MASK_BYTES)
    units, rest = divmod(length, unit)
    room = max(most // unit, 1)
    count = max(1, -(-length // (room * unit)))
    each, more = divmod(units, count)
    sizes = [(each + 1) * unit] * more + [each * unit] * (count - more)
    sizes[-1] += rest
    return [size for size in sizes if size]
