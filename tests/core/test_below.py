"""How a connection failed, by what libraries print: the kind, and whether the session was open."""

from __future__ import annotations

import pytest

from proxy.core.below import broken, when_broken
from proxy.core.verdict import Phase, Transport

OPEN, DIALLING = Phase.WEBSOCKET_RUNTIME, Phase.WEBSOCKET_CONNECT


@pytest.mark.parametrize(("text", "kind", "when"), [
    ("WebSocket protocol error: Connection reset without closing handshake", Transport.RESET, None),
    ("The remote party closed the WebSocket connection without completing the close handshake.", Transport.EOF, None),
    ("Error during WebSocket handshake: net::ERR_CONNECTION_RESET", Transport.RESET, DIALLING),
    ("Failed to connect. Reason: [Errno 104] Connection reset by peer", Transport.RESET, DIALLING),
    ("Connection to remote host was lost.", Transport.EOF, None),
    ('Error Domain=NSPOSIXErrorDomain Code=57 "Socket is not connected"', Transport.EOF, None),
    ("IO error: tls handshake eof", Transport.TLS, DIALLING),
    ("java.io.EOFException", Transport.EOF, None),
    ("Error: socket hang up", Transport.EOF, DIALLING),
    ("dial tcp 10.0.0.5:443: i/o timeout", Transport.TIMEOUT, DIALLING),
    ("read tcp 10.0.0.5:51234->10.0.0.6:443: i/o timeout", Transport.TIMEOUT, OPEN),
    ("read ETIMEDOUT", Transport.TIMEOUT, OPEN),
    ("connect ETIMEDOUT 10.0.0.5:443", Transport.TIMEOUT, None),
    ("OSError: [Errno 113] No route to host", Transport.REFUSED, None),
    ("getaddrinfo ENOTFOUND api.vendor.example", Transport.DNS, None),
    ("use of closed network connection", None, None),
    ("websocket: bad handshake", None, DIALLING),
    ("asyncio.exceptions.TimeoutError", None, None),
    ("", None, None),
])
def test_the_kind_and_whether_it_was_open(text: str, kind: Transport | None, when: Phase | None) -> None:
    assert (broken(text), when_broken(text)) == (kind, when)


@pytest.mark.parametrize("part", ["close handshake ", "stream ends after ", "without completing the clos", "handshake"])
def test_no_text_makes_it_run_away(part: str) -> None:
    text = part * (5_000_000 // len(part))
    broken(text)
    when_broken(text)
