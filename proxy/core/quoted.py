"""What client libraries print of a connection's end, read back into facts.

Owns the reading of other people's exceptions and log lines: which close frame they tell of and who sent it, with which
status a handshake was refused, how a connection failed below. Libraries set the name of a code beside it,
`sent 1011 (internal error) keepalive ping timeout; no close frame received`: taken for the vendor's words, that accuses
the vendor of what the client did.

Two degrees of certainty. `quoted` reads what Python's websockets alone writes, wherever it stands. `reported` reads the
habits of many libraries; it is for texts that mean nothing as a vendor's words.

Sources: websockets 17 `exceptions.py` (ConnectionClosed, its repr too) and 8 (`code = 1006 (...), no reason`); aiohttp, ws and
Node.js, browsers, gorilla/websocket, System.Net.WebSockets, ws4py and Starscream by the reports in tests/vendors/observed.yaml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from proxy.core.phrases import Phrase, fold
from proxy.core.verdict import Side, Transport

_LOOKED_AT: Final = 4096
_FRAMES: Final = re.compile(
    r"\b(received|sent) ([0-9]{3,5}) \([^()]{0,60}\)(.*?)"
    r"(?:; then (?:received|sent) [0-9]{3,5} \(|; no close frame (?:received|sent)|\Z)", re.DOTALL | re.IGNORECASE)
_OLDER: Final = re.compile(r"\bcode = ([0-9]{3,5}) \([^()]{0,60}\), (?:reason = (.*)|no reason)", re.DOTALL | re.IGNORECASE)
_REPR: Final = re.compile(r"\bConnectionClosed\w{0,5}\((None|Close\(code=([0-9]{3,5}), reason=(?:'([^']{0,200})'|\"([^\"]{0,200})\")\))")
_REPR_SENT: Final = re.compile(r"Close\(code=([0-9]{3,5}), reason=(?:'([^']{0,200})'|\"([^\"]{0,200})\")\)")
_REPR_CLIENT_FIRST: Final = re.compile(r"\), False\)")

_STATUS: Final = re.compile(
    r"(?:\bHTTP(?:/[0-9.]{1,3})?(?: error| status)?[ :]{1,2}|\bstatus(?:[ _]code)?(?: not 101)?\W{1,3}b?'?"
    r"|\bresponse(?: code| status)?: b?'?|HandshakeError: |\bnotAnUpgrade\(|\bbut (?:got|was) '?)([2-5][0-9]{2})\b"
    r"|\b([2-5][0-9]{2}), message='", re.IGNORECASE)
_CLOSE: Final = re.compile(
    r"(?:code['\"]?|closed?|closure|disconnect(?:ed)?)(?: is)?[\s:=('\"]{1,3}([1-5][0-9]{3})\b(?! ?(?:ms|s|bytes)\b)", re.IGNORECASE)
_REASON: Final = re.compile(r"\breason['\"]?(?:\s?[:=]\s?|\s)['\"]?([^\n'\"]*)", re.IGNORECASE)
_AFTER: Final = re.compile(r"(?: \([^()]{0,60}\))?[\s:,;>]*(.*)", re.DOTALL)
_CUT: Final = 1006
"""What libraries report where no close frame came."""

_BELOW: Final = {
    Transport.DNS: (
        "getaddrinfo", "gaierror", "enotfound", "eai again", "name or service not known", "nodename nor servname*", "name resolution",
        "no such host", "could not resolve host", "unable to resolve host", "name not resolved", "unknownhostexception",
        "hostname could not be found"),
    Transport.TLS: (
        "certificate verify failed", "certificate has expired", "self signed certificate", "local issuer certificate", "x509",
        "verify the first certificate", "match certificate*", "certificate signed by unknown authority", "wrong version number",
        "ssl handshake", "tls handshake", "*sslhandshakeexception", "sslerror", "*certificateerror", "err cert*", "err ssl*"),
    Transport.REFUSED: ("econnrefused", "connection refused", "connect call failed", "actively refused"),
    Transport.RESET: ("econnreset", "connection reset", "connectionreseterror", "socket hang up", "epipe", "broken pipe"),
    Transport.TIMEOUT: (
        "etimedout", "timed out during * handshake", "handshake has timed out", "handshake timed out", "connection timed out",
        "i o timeout", "start timed out", "connect timeout", "sockettimeoutexception"),
}
_PHRASES: Final = tuple((kind, tuple(map(Phrase, phrases))) for kind, phrases in _BELOW.items())


@dataclass(frozen=True, slots=True)
class Quoted:
    """`by` is None where the text does not say who closed first."""

    code: int
    reason: str | None
    by: Side | None


def quoted(text: str) -> Quoted | None:
    """The close that an exception of websockets tells of, wherever in the text; None for any other text."""
    text = text[:_LOOKED_AT]
    if match := _FRAMES.search(text):
        return Quoted(int(match[2]), match[3].strip() or None, Side.VENDOR if match[1].lower() == "received" else Side.CLIENT)
    if match := _OLDER.search(text):
        return Quoted(int(match[1]), (match[2] or "").strip() or None, None)
    return _of_repr(text)


def reported(text: str) -> Quoted | int | Transport | None:
    """What a library's or application's line tells of: a close, a refusal's status, or how the connection failed below."""
    text = text[:_LOOKED_AT]
    if match := _STATUS.search(text):
        return int(match[1] or match[2])
    close = _close(text)
    if close is None or close.code == _CUT:
        folded = fold(text)
        for kind, phrases in _PHRASES:
            if any(phrase.found_in(folded) for phrase in phrases):
                return kind
    return close


def _of_repr(text: str) -> Quoted | None:
    """`ConnectionClosedError(<received>, <sent>, <whether the first came first>)`, each a Close or None."""
    if (match := _REPR.search(text)) is None:
        return None
    if match[2] is not None and not _REPR_CLIENT_FIRST.search(text, match.end()):
        return Quoted(int(match[2]), match[3] or match[4] or None, Side.VENDOR)
    if (sent := _REPR_SENT.search(text, match.end())) is None:
        return None
    return Quoted(int(sent[1]), sent[2] or sent[3] or None, Side.CLIENT)


def _close(text: str) -> Quoted | None:
    if (match := _CLOSE.search(text)) is None:
        return None
    after = _REASON.search(text) or _AFTER.match(text, match.end())
    reason = (after[1] if after else "").strip(" \t\n)}>,'\"")
    return Quoted(int(match[1]), None if reason in ("", "None") else reason, None)
