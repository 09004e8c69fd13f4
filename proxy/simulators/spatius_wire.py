"""The messages of Spatius' driven ingress as bytes, both ways: protobuf (proto3), written and read by hand.

Source: the descriptors compiled into the vendor's SDKs, `proto/generated/message_pb2.py` of `spatius` 1.1.1 and of its sibling
`spatialreal` 0.2.2. A message is `{1: type, n: its content}`, where n is always one more than the type. What is zero or empty is
left out. Nothing here knows when what is said.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

CONTINUED: Final = 0x80
VARINT: Final = 0
BYTES: Final = 2
FIXED: Final = {1: 8, 5: 4}


class Kind(IntEnum):
    """`Message.type`."""

    CONFIGURE = 1
    CONFIRM = 2
    AUDIO = 3
    ERROR = 4
    ANIMATION = 5
    INTERRUPT = 7
    PAUSE = 8
    RESUME = 9
    PLAYBACK_STATE = 10


Value = int | bytes


def varint(number: int) -> bytes:
    """A negative number takes ten bytes, as an int32 or int64 does."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number >= CONTINUED:
        out.append(number & 0x7F | CONTINUED)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode(*fields: tuple[int, int | str | bytes]) -> bytes:
    """Numbers as varints, strings and bytes (also of a message inside) with their length."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3 | VARINT) + varint(value) if value else b""
        elif value:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | BYTES) + varint(len(data)) + data
    return out


def decode(data: bytes) -> dict[int, Value]:
    """Field number to value, the last of several. Raises ValueError for what is no protobuf."""
    fields: dict[int, Value] = {}
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, form = tag >> 3, tag & 7
        if form == VARINT:
            fields[number], at = _read_varint(data, at)
            continue
        if form == BYTES:
            size, at = _read_varint(data, at)
        elif form in FIXED:
            size = FIXED[form]
        else:
            raise ValueError(f"wire type {form}")
        if at + size > len(data) or number == 0:
            raise ValueError("cut short" if number else "field 0")
        fields[number] = data[at : at + size]
        at += size
    return fields


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= len(data):
            break
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < CONTINUED:
            return value, at + place + 1
    raise ValueError("a varint without an end")


def message(kind: Kind, content: bytes) -> bytes:
    """The envelope. Its content is there even if it is empty: that is what tells which one it is."""
    return encode((1, kind)) + varint((kind + 1) << 3 | BYTES) + varint(len(content)) + content


def open_message(data: bytes) -> tuple[int, dict[int, Value]]:
    """The type of a message and the fields of its content. Raises ValueError for what is no message."""
    fields = decode(data)
    kind = number(fields, 1)
    content = fields.get(kind + 1, b"")
    if not isinstance(content, bytes):
        raise ValueError("a number where a message should be")
    return kind, decode(content)


def number(fields: dict[int, Value], field: int) -> int:
    value = fields.get(field, 0)
    return value if isinstance(value, int) else 0


def raw(fields: dict[int, Value], field: int) -> bytes:
    value = fields.get(field, b"")
    return value if isinstance(value, bytes) else b""


def text(fields: dict[int, Value], field: int) -> str:
    return raw(fields, field).decode("utf-8", "replace")


def confirm(connection_id: str, *capabilities: str) -> bytes:
    return message(Kind.CONFIRM, encode((1, connection_id), *((2, name) for name in capabilities)))


def error(connection_id: str, req_id: str, code: int, detail: str) -> bytes:
    return message(Kind.ERROR, encode((1, connection_id), (2, req_id), (3, code), (4, detail)))


def animation(connection_id: str, req_id: str, payload: bytes = b"", *, end: bool = False, avatar_id: str = "") -> bytes:
    return message(Kind.ANIMATION, encode((1, connection_id), (2, req_id), (3, int(end)), (4, payload), (5, avatar_id)))


def playback_state(connection_id: str, req_id: str, state: int, played_ms: int, reason: str = "") -> bytes:
    return message(Kind.PLAYBACK_STATE, encode((1, connection_id), (2, req_id), (3, state), (4, played_ms), (5, reason)))
