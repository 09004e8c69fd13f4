"""How a connection failed below WebSocket, by what libraries and systems print of it.

Owns their words for it: Python, Node.js, Go, Java, .NET, Rust, Apple's and Windows' systems, browsers, curl. Knows nothing of closes,
statuses and vendors: who asks has made sure that the text tells of no such thing.

Sources: those libraries, by the reports in tests/vendors/observed.yaml.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.core.phrases import Phrase, fold
from proxy.core.verdict import Phase, Transport

_LOOKED_AT: Final = 4096
_KINDS: Final = {
    Transport.DNS: (
        "getaddrinfo", "gaierror", "enotfound", "eai again", "name or service not known", "nodename nor servname*", "name resolution",
        "no such host", "could not resolve host", "unable to resolve host", "name not resolved", "unknownhostexception",
        "hostname could not be found", "dns server*", "clientconnectordnserror", "no such host is known", "failed to lookup address*",
        "lookup * server misbehaving"),
    Transport.TLS: (
        "certificate verify failed", "certificate has expired", "self signed certificate", "local issuer certificate", "x509",
        "verify the first certificate", "match certificate*", "certificate signed by unknown authority", "wrong version number",
        "ssl handshake", "tls handshake", "*sslhandshakeexception", "sslerror", "*certificateerror", "err cert*", "err ssl*",
        "invalid peer certificate", "certificate is not trusted", "certificate for this server is invalid", "secure tls connection",
        "ssl connect*", "ssl error*", "eof occurred in violation of protocol", "could not create ssl tls secure channel"),
    Transport.REFUSED: (
        "econnrefused", "connection refused", "connect call failed", "actively refused", "refused the network connection",
        "ehostunreach", "enetunreach", "no route to host", "network is unreachable", "host is unreachable", "network is down",
        "internet connection appears to be offline", "err internet disconnected", "err address unreachable",
        "unable to connect to the remote server", "java net connectexception", "err tunnel connection failed"),
    Transport.RESET: (
        "econnreset", "connection reset", "connectionreseterror", "epipe", "broken pipe", "econnaborted", "connection abort*",
        "forcibly closed", "aborted by the software*", "err connection aborted"),
    Transport.TIMEOUT: (
        "etimedout", "timed out during * handshake", "handshake has timed out", "handshake timed out", "connection timed out",
        "i o timeout", "start timed out", "connect timeout", "sockettimeoutexception", "the request timed out", "semaphore timeout*",
        "connection attempt failed because"),
    Transport.EOF: (
        "socket hang up", "connection lost", "connection was lost", "connection to remote host was lost", "eofexception", "unexpected eof",
        "without closing handshake", "without completing the clos* handshake", "socket is not connected", "endpoint is not connected",
        "incompletereaderror", "closing transport", "serverdisconnectederror", "server disconnected", "without sending tls close notify",
        "stream ends after * bytes", "valid http response", "before receiving a handshake response", "remote end closed connection",
        "underlying connection was closed", "broken before message completed", "enotconn",
        "frame header eof", "after close notify", "handshake not finished"),
}
_PHRASES: Final = tuple((kind, tuple(map(Phrase, phrases))) for kind, phrases in _KINDS.items())

_END: Final = re.compile(r"\bclos(?:e|ing) handshake\b", re.IGNORECASE)
"""The one handshake that an open session has."""
_OPEN: Final = tuple(map(Phrase, ("read etimedout", "write etimedout", "read tcp", "write tcp", "read operation timed out")))
_DIALLING: Final = tuple(map(Phrase, (
    "*handshake*", "failed to connect", "cannot connect", "could not connect", "unable to connect", "in connection establishment",
    "dial tcp", "secure tls connection", "socket hang up", "serverdisconnectederror", "server disconnected", "stream ends after * bytes",
    "valid http response", "without response", "max retries exceeded")))


def broken(text: str) -> Transport | None:
    """The kind of failure; None where the text tells of none."""
    folded = fold(text[:_LOOKED_AT])
    return next((kind for kind, phrases in _PHRASES if _found(phrases, folded)), None)


def when_broken(text: str) -> Phase | None:
    """Whether that was before or after the session was open; None where the text does not say."""
    folded = fold(_END.sub("", text[:_LOOKED_AT]))
    if _found(_OPEN, folded):
        return Phase.WEBSOCKET_RUNTIME
    return Phase.WEBSOCKET_CONNECT if _found(_DIALLING, folded) else None


def _found(phrases: tuple[Phrase, ...], folded: str) -> bool:
    return any(phrase.found_in(folded) for phrase in phrases)
