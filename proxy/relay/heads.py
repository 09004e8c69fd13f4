"""HTTP heads as bytes: the client's request as the vendor is to see it, the vendor's answer as the client is.

Header names, order, case and bytes stay as they came. What changes is what HTTP says a proxy must change (RFC 9110 section
7.6.1): Host, and headers that speak of one connection only. Nothing is added.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import Final

RawHeaders = Iterable[tuple[bytes, bytes]]

_HOP: Final = frozenset({b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
                         b"transfer-encoding", b"expect"})
_KEPT: Final = frozenset({b"upgrade", b"close", b"keep-alive", b"host"})
_ABSOLUTE: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class BadHeadError(ValueError):
    """A head that must not go on. The message says why, without quoting it."""


def request_head(target: str, headers: RawHeaders, host: bytes) -> bytes:
    """The upgrade request for the vendor. `target` is the raw path and query, as aiohttp's parser decoded it.

    Raises BadHeadError for a target that is not a plain path, and for values that would break the head.
    """
    headers = tuple(headers)
    return _request("GET", target, headers, host, _HOP | _nominated(headers))


def plain_head(method: str, target: str, headers: RawHeaders, host: bytes) -> bytes:
    """The request for the vendor that is no upgrade. A chunked body is to follow in chunks. Raises BadHeadError as above."""
    headers = tuple(headers)
    names = [name.lower() for name, _ in headers]
    coded = [value.strip().lower() for name, value in headers if name.lower() == b"transfer-encoding"]
    if (coded and (coded != [b"chunked"] or b"content-length" in names)) or names.count(b"content-length") > 1:
        raise BadHeadError("the length of the body is told in a way that others may read differently")
    if b"host" not in names:  # HTTP/1.0
        headers = ((b"Host", host), *headers)
    return _request(method, target, headers, host, _plain_hops(headers))


def _request(method: str, target: str, headers: RawHeaders, host: bytes, dropped: frozenset[bytes]) -> bytes:
    raw = target.encode("utf-8", "surrogateescape")
    if not raw.startswith(b"/") or _breaks(raw) or b" " in raw:
        raise BadHeadError("the request target is not a path")
    lines = [method.encode("ascii") + b" " + raw + b" HTTP/1.1"]
    for name, value in headers:
        low = name.lower()
        if low in dropped:
            continue
        if _breaks(name) or _breaks(value):
            raise BadHeadError("a header holds a line break")
        lines.append(name + b": " + (host if low == b"host" else value))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def origin_form(target: str) -> str:
    """Path and query of a target that may begin with the scheme and host of a proxy's request (RFC 9112, 3.2.2)."""
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        return target
    path = target[absolute.end():]
    return path if path.startswith("/") else "/" + path


def check_answer(status: int, reason: str, headers: RawHeaders) -> None:
    """Raises BadHeadError for an answer of the vendor's that no client should be given: parsers take more than HTTP has."""
    if status < 100:
        raise BadHeadError("the status is none")
    if _breaks(reason.encode("utf-8", "surrogateescape")) or any(_breaks(name) or _breaks(value) for name, value in headers):
        raise BadHeadError("a line of the head holds a line break")


def switching_head(reason: str, headers: RawHeaders) -> bytes:
    """The vendor's 101 for the client, verbatim."""
    return _answer(101, reason, headers)


def refusal_head(status: int, reason: str, headers: RawHeaders) -> bytes:
    """Any other answer. The connection ends with it, so that a body without a length ends with the connection."""
    headers = tuple(headers)
    dropped = (_HOP | _nominated(headers) | {b"connection"}) - {b"proxy-authenticate"}
    kept = [(name, value) for name, value in headers if name.lower() not in dropped]
    return _answer(status, reason, [*kept, (b"Connection", b"close")])


def plain_answer_head(status: int, reason: str, headers: RawHeaders, *, chunked: bool, closes: bool) -> bytes:
    """The answer to a request that was no upgrade.

    `chunked`: the body follows in chunks, as it came; `closes`: the connection ends with it.
    """
    headers = tuple(headers)
    dropped = _plain_hops(headers) - {b"proxy-authenticate"}
    # Where chunks come, a length beside them is not to be believed (RFC 9112, 6.3).
    dropped = dropped | {b"content-length"} if chunked or status == 204 else dropped  # a 204 must not have one (RFC 9110, 8.6)
    dropped = dropped if chunked else dropped | {b"transfer-encoding"}
    kept = [(name, value) for name, value in headers if name.lower() not in dropped]
    return _answer(status, reason, [*kept, (b"Connection", b"close")] if closes else kept)


def _plain_hops(headers: RawHeaders) -> frozenset[bytes]:
    """What stays on one connection, but for what tells where the body ends."""
    return (_HOP | _nominated(headers) | {b"connection", b"upgrade"}) - {b"transfer-encoding", b"content-length", b"host"}


def _answer(status: int, reason: str, headers: RawHeaders) -> bytes:
    lines = [b"HTTP/1.1 %d %s" % (status, reason.encode("utf-8", "surrogateescape"))]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _nominated(headers: RawHeaders) -> frozenset[bytes]:
    """Headers that `Connection` names as belonging to this connection only."""
    tokens = {token.strip().lower() for name, value in headers if name.lower() == b"connection" for token in value.split(b",")}
    return frozenset(tokens - _KEPT)


def _breaks(value: bytes) -> bool:
    return b"\r" in value or b"\n" in value or b"\0" in value


def lower(headers: RawHeaders) -> dict[str, str]:
    """Names in lower case to values, for looking at; the first of several. Bytes that are no UTF-8 are kept as Latin-1."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1").lower(), _text(value))
    return found


def repeated(headers: RawHeaders) -> list[tuple[str, str]]:
    """What `lower` leaves out."""
    headers = tuple(headers)
    first = lower(headers)
    return [(name, value) for name, value in ((name.decode("latin-1").lower(), _text(value)) for name, value in headers)
            if value != first[name]]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def upgrades(status: int, headers: dict[str, str], key: str | None) -> bool:
    """Whether an answer is a WebSocket 101 to that `Sec-WebSocket-Key` (RFC 6455 section 4.1)."""
    if status != 101 or headers.get("upgrade", "").lower() != "websocket":
        return False
    if key is None:
        return True
    digest = hashlib.sha1(key.strip().encode("latin-1", "replace") + _GUID, usedforsecurity=False).digest()
    return headers.get("sec-websocket-accept", "").strip() == base64.b64encode(digest).decode()
