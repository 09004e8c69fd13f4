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

from proxy.core.below import broken
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
    r"(?:\bHTTP(?:/[0-9.]{1,3})?(?: error| status)?[ :]{1,2}|\bstatus(?:[ _]code)?(?: not 101| received)?\W{1,3}b?'?"
    r"|\bresponse(?: code| status)?(?: was not 101)?: b?'?|\bfrom (?:the )?server \[?|\breturned (?:an )?error: \(?"
    r"|\b(?:client|server) error '|\bnotAnUpgrade\(|\bbut (?:got|was) '?|\bError\{code: )([2-5][0-9]{2})\b"
    r"|\b([2-5][0-9]{2}|101), message='|HandshakeError: ([2-5][0-9]{2}|101)\b|\b([45][0-9]{2}) (?:client|server) error: ",
    re.IGNORECASE)
_CLOSE: Final = re.compile(
    r"(?:(?:code['\"]?|closed?|closure|disconnect(?:ed)?|closed for [^:\n]{1,60}|exiting gracefully)(?: is)?[\s:=('\"]{1,3}([1-5][0-9]{3})"
    r"|\breceived (10(?:0[0-9]|1[0-5])|[34][0-9]{3}))\b(?! ?(?:ms|s|bytes|frames|messages|samples|chunks|packets)\b)", re.IGNORECASE)
_REASON: Final = re.compile(r"\breason['\"]?(?:\s?[:=]\s?|\s)['\"]?([^\n'\"]*)", re.IGNORECASE)
_AFTER: Final = re.compile(r"(?: \([^()]{0,60}\))?[\s:,;>]*(.*)", re.DOTALL)
_CLASS: Final = re.compile(r"\s*(?:[A-Za-z_][\w.]{0,99})?(?:Error|Exception): ")
_PRINTED: Final = re.compile(r"\s*\{\s*(?!type: '(?!error'))[A-Za-z_]\w{0,30}: ", re.IGNORECASE)
_CUT: Final = 1006
"""What libraries report where no close frame came."""
_NORMAL: Final = 1000
_FOR_CODE: Final = {
    _NORMAL: ("connection closed normally",),
    1002: ("reserved bits", "rsv1", "rsv data", "must not mask any frames", "invalid frame header", "bad opcode", "unknown opcode*",
           "invalid opcode*"),
    1007: ("text frame as utf 8", "invalid utf 8 sequence"),
    1009: ("max payload size exceeded", "message too long", "message too big", "frame too large"),
}
"""What libraries print instead of the code with which they close: they do not take what they received."""
_INSTEAD: Final = tuple((code, tuple(map(Phrase, phrases))) for code, phrases in _FOR_CODE.items())

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
        return int(match[match.lastindex or 1])
    close = _close(text) or _instead(text)
    return (broken(text) if close is None or close.code == _CUT else None) or close


def bare(text: str) -> str:
    """The text without the names of exceptions before it, which are a library's and no words of the vendor's."""
    at = 0
    while at < _LOOKED_AT and (match := _CLASS.match(text, at)) is not None:
        at = match.end()
    return text[at:]


def is_printed(text: str) -> bool:
    """Whether this is what Node.js prints of an error or a close: no JSON, and no message but an error."""
    return _PRINTED.match(text) is not None


def _of_repr(text: str) -> Quoted | None:
    """`ConnectionClosedError(<received>, <sent>, <whether the first came first>)`, each a Close or None."""
    if (match := _REPR.search(text)) is None:
        return None
    if match[2] is not None and not _REPR_CLIENT_FIRST.search(text, match.end()):
        return Quoted(int(match[2]), match[3] or match[4] or None, Side.VENDOR)
    if (sent := _REPR_SENT.search(text, match.end())) is None:
        return None
    return Quoted(int(sent[1]), sent[2] or sent[3] or None, Side.CLIENT)


def _instead(text: str) -> Quoted | None:
    folded = fold(text)
    code = next((code for code, phrases in _INSTEAD if any(phrase.found_in(folded) for phrase in phrases)), None)
    return None if code is None else Quoted(code, None, None if code == _NORMAL else Side.CLIENT)


def _close(text: str) -> Quoted | None:
    if (match := _CLOSE.search(text)) is None:
        return None
    after = _REASON.search(text) or _AFTER.match(text, match.end())
    reason = (after[1] if after else "").strip(" \t\n)}>,'\"")
    return Quoted(int(match[1] or match[2]), None if reason in ("", "None") else reason, Side.VENDOR if match[2] else None)
