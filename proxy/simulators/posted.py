"""A plain HTTP request with a body, which a WebSocket library does not read: taken apart, so that the library is given the rest.

Owns the head, `Content-Length` and the chunked coding (RFC 9112, sections 6 and 7.1), as clients really send them. No sockets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_END = b"\r\n\r\n"
_BODY_HEADER = re.compile(rb"\r\n(?:content-length|transfer-encoding|expect):[^\r\n]*", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Posted:
    """`head` is the same request as a GET without a body."""

    method: str
    head: bytes
    body: bytes


def posted(data: bytes) -> Posted | None:
    """The request at the start of a connection; None while it is not whole. Raises ValueError for one that never will be."""
    head, end, rest = data.partition(_END)
    if not end:
        return None
    if _CHUNKED.search(head):
        body = _unchunked(rest)
    else:
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        body = rest[:size] if len(rest) >= size else None
    if body is None:
        return None
    method, _, target = head.partition(b" ")
    return Posted(method.decode("ascii"), b"GET " + _BODY_HEADER.sub(b"", target) + _END, body)


def _unchunked(data: bytes) -> bytes | None:
    body, at = b"", 0
    while (line_end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line_end].partition(b";")[0], 16)
        begin = line_end + 2
        if len(data) < begin + size + 2:
            return None
        if size == 0:
            return body
        body += data[begin : begin + size]
        at = begin + size + 2
    return None
