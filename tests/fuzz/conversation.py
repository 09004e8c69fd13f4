"""Any bytes as a call: who says what, whole or broken, and how it ends. The last word has the report, which is always there.

The bytes choose among a vendor's own messages as its profile describes them, with values that do not belong, cut short or changed;
among frames of any kind with any payload; among ends. So hypothesis and a coverage-guided fuzzer reach what lies behind the
first check of each message.
"""

from __future__ import annotations

import struct
from copy import deepcopy
from typing import Any, Final

import orjson

from proxy.core.exchange import Exchange
from proxy.core.messages import Message, Messages
from proxy.core.report import Report
from proxy.core.session import Session
from proxy.core.vendor import Vendor
from proxy.core.verdict import Side, Transport, Verdict
from tests.core.playbook import BINARY, TEXT, Play, frame, tcp

MOST_MOVES: Final = 64
VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 4004, 1e308, -1e-320, 2**63, -(2**63), 1e400, "", "a", "Error", "0", "-1", "true", "error",
    "token=s3cret-0a7c55e2b9", "x" * 600,
    "\u0000", "\ud7ff\uffff", "a*b{c}%s\\", [], [[]], {}, {"": {}}, [0, "a", None, {"a": []}], [{"words": [{"end": {}}]}],
)
HEADERS: Final[tuple[dict[str, str], ...]] = (
    {}, {"sec-websocket-extensions": "permessage-deflate; server_no_context_takeover"},
    {"sec-websocket-extensions": "permessage-deflate"}, {"dg-request-id": "a" * 600}, {"": "", "x": "\u0000"},
)

STATUSES: Final = (200, 204, 301, 400, 401, 402, 403, 404, 422, 429, 500, 502, 503, 599)


class Feed:
    """The bytes, taken one after the other; 0 for ever once they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def one(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def some(self, most: int) -> bytes:
        size = min(self.one(), most)
        self._at += size
        return self._data[self._at - size : self._at]

    def of(self, several: Any) -> Any:
        return several[self.one() % len(several)]


def converse(vendor: Vendor, data: bytes) -> tuple[Session, Report]:
    """The call that these bytes stand for, and its report."""
    feed = Feed(data)
    route = feed.of([route for route in vendor.profile.routes if route.kind == "websocket"])
    query = feed.of(("", "?encoding=linear16&sample_rate=16000", "?encoding=opus", "?sample_rate=0&encoding=mulaw&channels=9", "?a=%ff&a"))
    play = Play(route.path + feed.of(("", "/", "/x-1", "/x/y")) + query, vendor=vendor)
    if feed.one() % 8 == 0:
        _refused(play.session, feed, play.now)
    else:
        play.session.opened(feed.of(HEADERS), play.now)
        for _ in range(MOST_MOVES):
            if not feed:
                break
            _move(play, feed)
    return play.session, play.end()


def ask(vendor: Vendor, data: bytes) -> Verdict | None:
    """The same for a plain request: what is said of it, if it failed."""
    feed = Feed(data)
    route = feed.of([None, *(route for route in vendor.profile.routes if route.kind == "http")])
    exchange = Exchange(vendor, route)
    if feed.one() % 4:
        exchange.answered(feed.of(STATUSES), feed.of(HEADERS), _body(vendor, feed))
    if feed.one() % 4 == 0:
        exchange.lost(feed.of(list(Transport)))
    if feed.one() % 4 == 0:
        exchange.client_left()
    return exchange.verdict()


def _body(vendor: Vendor, feed: Feed) -> bytes:
    return _message(vendor.profile.body, "", False, feed) if feed.one() % 2 else feed.some(255)


def _refused(session: Session, feed: Feed, now: float) -> None:
    if feed.one() % 2:
        session.dial_failed(feed.of(list(Transport)))
    else:
        session.refused(feed.of(STATUSES), feed.of(HEADERS), _body(session.vendor_profile, feed), now)


def _move(play: Play, feed: Feed) -> None:
    """One thing that happens."""
    what, session = feed.one() % 12, play.session
    spec = session.spec
    assert spec is not None
    if what < 3:
        play.vendor(_said(spec.spec.server, feed, masked=False))
    elif what < 6:
        play.client(_said(spec.spec.client, feed, masked=True))
    elif what == 6:
        play.client(frame(BINARY, feed.some(255), masked=True, fin=bool(feed.one() % 4)))
    elif what == 7:
        play.vendor(frame(feed.one() % 16, feed.some(255), fin=bool(feed.one() % 4), rsv=feed.of((0, 0, 0, 0x40, 0x10))))
    elif what == 8:
        (play.client if feed.one() % 2 else play.vendor)(feed.some(255))
    elif what == 9:
        play.wait(feed.of((0.0, 0.1, 1.0, 11.0, 3700.0))).tick(feed.of((None, tcp(0, 0), tcp(100, 5000, 0), tcp(5000, 5000))))
    elif what == 10:
        payload = struct.pack("!H", feed.of((0, 410, 999, 1000, 1005, 1008, 1011, 3000, 3007, 4001, 4004, 5004, 65535))) + feed.some(125)
        masked = bool(feed.one() % 2)
        (play.client if masked else play.vendor)(frame(8, payload[: feed.of((127, 1, 0))], masked=masked))
    else:
        play.lost(feed.of((Side.CLIENT, Side.VENDOR)), feed.of(list(Transport)))


def _said(messages: Messages, feed: Feed, masked: bool) -> bytes:
    """A message of the profile's, as a frame."""
    kinds = [(name, message) for name, several in messages.kinds.items() for message in several] + [("", one) for one in messages.untyped]
    protobuf = messages.encoding == "protobuf"
    name, message = feed.of(kinds) if kinds else ("", None)
    payload = bytearray(_message(message, messages.type if name else "", protobuf, feed, name))
    spoil = feed.one()
    if spoil % 8 == 0:
        del payload[feed.one() :]
    elif spoil % 8 == 1 and payload:
        payload[feed.one() % len(payload)] = feed.one()
    return frame(BINARY if protobuf or spoil % 16 == 2 else TEXT, bytes(payload), masked)


def _message(message: Message | None, type_path: str, protobuf: bool, feed: Feed, name: str = "") -> bytes:
    """Its type, and at its paths whatever the bytes choose."""
    values: dict[str, Any] = {type_path: name} if type_path else {}
    for path in message.paths() if message is not None else ():
        choice = feed.one()
        if choice % 3:
            values[path] = feed.some(40).decode("latin-1") if choice % 5 == 0 else deepcopy(VALUES[choice % len(VALUES)])
    if message is not None and message.when is not None and message.when.equals is not None and feed.one() % 2:
        values[message.when.path] = message.when.equals
    if protobuf:
        return b"".join(_field(path.split("."), value) for path, value in values.items())
    whole: dict[str, Any] = {}
    for path, value in values.items():
        _set(whole, path.split("."), value)
    return orjson.dumps(whole, default=repr)


def _set(at: dict[str, Any], steps: list[str], value: Any) -> None:
    """A list where a path has a number, so long as nothing else is there."""
    for number, step in enumerate(steps[:-1]):
        inner = at.setdefault(step, {})
        if steps[number + 1].lstrip("-").isdigit() and inner in ({}, []):
            rest: dict[str, Any] = {}
            _set(rest, steps[number + 2 :], value) if steps[number + 2 :] else None
            at[step] = [rest or value]
            return
        if not isinstance(inner, dict):
            return
        at = inner
    at[steps[-1]] = value


def _field(steps: list[str], value: Any) -> bytes:
    """One protobuf field inside others. Numbers are varints, all else has a length."""
    tag = int(steps[0]) << 3
    if len(steps) > 1:
        inner = _field(steps[1:], value)
        return _varint(tag | 2) + _varint(len(inner)) + inner
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9:
        value = int(value)  # an enumeration's name in the profile
    if isinstance(value, float):
        return _varint(tag | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return _varint(tag) + _varint(value % 2**64)
    text = repr(value).encode()
    return _varint(tag | 2) + _varint(len(text)) + text


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
