"""A tag walker over the beginning of a protobuf message.

Owns the wire format (protobuf.dev, "Encoding"): tags, varints, lengths. It knows no schema: a tree of field numbers says what is
wanted, everything else is stepped over. It never writes protobuf, copies no payload but short strings, and never raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from proxy.core.audio import HEAD_BYTES

HEAD: Final = 1024
"""Bytes of a message that are looked at: enough for ids, an error's text and where the audio begins."""
LONGEST: Final = 512
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS: Final = {_FIXED64: 8, _FIXED32: 4}
_SIGN: Final = 1 << 63


class Leaf(Enum):
    """What to make of a field: a number or a string, or bytes that are only measured."""

    VALUE = "value"
    BYTES = "bytes"


Tree = dict[int, "Tree | Leaf"]
Fields = dict[int | str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """A field of bytes: how long it is, and how it begins."""

    length: int
    head: bytes


def tree(values: Iterable[str], pieces: Iterable[str] = ()) -> Tree:
    """What is wanted, from paths of field numbers. Raises ValueError for a path that is none."""
    whole: Tree = {}
    for paths, leaf in ((values, Leaf.VALUE), (pieces, Leaf.BYTES)):
        for path in paths:
            *way, last = (_number(step) for step in path.split("."))
            here = whole
            for step in way:
                below = here.setdefault(step, {})
                if isinstance(below, Leaf):
                    below = here[step] = {}
                here = below
            here.setdefault(last, leaf)
    return whole


def _number(step: str) -> int:
    if not (step.isascii() and step.isdigit() and 0 < int(step) < 1 << 29):
        raise ValueError(f"{step!r} is no field number")
    return int(step)


def walk(data: bytes, wanted: Tree, length: int | None = None) -> Fields | None:
    """The wanted fields of a message of `length` bytes that begins with `data`; None for what is no protobuf.

    Each field stands under its number and under the same as a string, which is how paths of several steps and of one look it
    up. Where a field comes twice the last one counts, as in every decoder. What lies beyond `data`, or its first kilobyte, is not there.
    """
    found: Fields = {}
    # A message that was compressed comes in whole: a megabyte of tiny fields would hold everybody up for half a second.
    return found if _walk(data[:HEAD], 0, len(data) if length is None else length, wanted, found) else None


def _walk(data: bytes, at: int, end: int, wanted: Tree, found: Fields) -> bool:
    """Fields from `at` to `end`, as far as there is data. False for broken encoding."""
    size = min(end, len(data))
    while at < size:
        tag, at = _varint(data, at, size)
        if at < 0:
            return tag >= 0
        number, kind = tag >> 3, tag & 7
        if not number:
            return False
        want = wanted.get(number)
        if kind == _BYTES:
            length, at = _varint(data, at, size)
            if at < 0:
                return length >= 0
            if at + length > end or (want is not None and not _take(data, at, length, want, found, number)):
                return False
            at += length
        elif kind == _VARINT:
            value, at = _varint(data, at, size)
            if at < 0:
                return value >= 0
            if want is Leaf.VALUE:
                found[number] = found[str(number)] = value - 2 * _SIGN if value & _SIGN else value
        elif kind in _WIDTHS:
            at += _WIDTHS[kind]
        else:
            return False
    return True


def _take(data: bytes, at: int, length: int, want: Tree | Leaf, found: Fields, number: int) -> bool:
    if want is Leaf.BYTES:
        found[number] = found[str(number)] = Piece(length, data[at : at + min(length, HEAD_BYTES)])
    elif want is Leaf.VALUE:
        text = data[at : at + min(length, LONGEST)]
        found[number] = found[str(number)] = text.decode("utf-8", "replace")
    else:
        assert isinstance(want, dict)
        inner: Fields = found.setdefault(number, {})
        found[str(number)] = inner
        return _walk(data, at, at + length, want, inner)
    return True


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number and where it ends. (0, -1) where the data end before it does, (-1, -1) where it is too long."""
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2 * _SIGN - 1), at
        shift += 7
        if shift >= 70:
            return -1, -1
    return 0, -1
