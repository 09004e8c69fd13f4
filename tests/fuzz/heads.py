"""Heads of any bytes, as the relay reads and passes them on: aiohttp's parser, then ours, then the parser again as whoever comes next.

What goes on is one head, which is read as what was looked at: the same method and path, and no field that was not there.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, HttpResponseParser

from proxy.core.paths import hides, path_of
from proxy.relay.heads import (
    BadHeadError,
    check_answer,
    lower,
    origin_form,
    plain_answer_head,
    plain_head,
    refusal_head,
    request_head,
    switching_head,
    upgrades,
)

HOST: Final = b"vendor.test"
_LOOP: Final = cast(asyncio.AbstractEventLoop, object())  # the parsers hand it on to readers that nobody waits for


def _parsed(parser: Any, data: bytes) -> Any | None:
    """The first head, as aiohttp reads it with the limits that the relay sets."""
    try:
        one = parser(BaseProtocol(_LOOP), _LOOP, 2**16, max_line_size=65536, max_field_size=65536, max_headers=256)
        messages = one.feed_data(data)[0]
    except (HttpProcessingError, ValueError):
        return None
    return messages[0][0] if messages else None


def look_at_heads(data: bytes) -> None:
    """The first byte says which way the head goes."""
    if data[:1] in (b"", b"A"):
        _answer(data[1:])
    else:
        _request(data[1:])


def _request(data: bytes) -> None:
    came = _parsed(HttpRequestParser, data)
    if came is None:
        return
    target = origin_form(came.path)
    for method, make in (("GET", request_head), (came.method, None)):
        try:
            head = make(target, came.raw_headers, HOST) if make else plain_head(method, target, came.raw_headers, HOST)
        except (BadHeadError, UnicodeEncodeError):
            continue
        _is_one(head)
        if method == "CONNECT":
            continue  # never passed on
        again = _parsed(HttpRequestParser, head)
        names = [name.lower() for name, _ in came.raw_headers]
        if again is None:  # none without a host, and none with lengths that the first reader took back
            assert make is not None
            assert b"host" not in names or b"content-length" in names
            continue
        assert (again.method, again.path) == (method, target)
        assert all(name.lower() in (*names, b"host") for name, _ in again.raw_headers)
        assert [value for name, value in again.raw_headers if name.lower() == b"host"] in ([HOST], [])
        hides(path_of(target))


def _answer(data: bytes) -> None:
    came = _parsed(HttpResponseParser, data)
    if came is None:
        return
    headers = lower(came.raw_headers)
    upgrades(came.code, headers, "dGhlIHNhbXBsZSBub25jZQ==")
    try:
        check_answer(came.code, came.reason, came.raw_headers)
    except BadHeadError:
        return
    for head in (switching_head(came.reason, came.raw_headers), refusal_head(came.code, came.reason, came.raw_headers),
                 plain_answer_head(came.code, came.reason, came.raw_headers, chunked=came.chunked, closes=not came.chunked)):
        _is_one(head)
        again = _parsed(HttpResponseParser, head)
        assert again is None or again.reason == came.reason


def _is_one(head: bytes) -> None:
    assert head.endswith(b"\r\n\r\n")
    assert b"\r\n\r\n" not in head[:-4]
    bare = head.replace(b"\r\n", b"")
    assert not any(byte in bare for byte in b"\r\n\0")
