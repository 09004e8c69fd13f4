"""Closes as they stand in people's logs: in the words of Python's `websockets`, which most speech SDKs are built on.

Owns the reading of its exceptions back into who closed first, with which code and reason. The library sets the name of a
code beside it, `sent 1011 (internal error) keepalive ping timeout; no close frame received`: taken for the vendor's words,
that accuses the vendor of what the client did.

Sources: websockets 17 `exceptions.py` (ConnectionClosed) and 8 (`code = 1006 (...), no reason`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from proxy.core.verdict import Side

_LOOKED_AT: Final = 4096
_FRAMES: Final = re.compile(
    r"\b(received|sent) ([0-9]{3,5}) \([^()]{0,60}\)(.*?)"
    r"(?:; then (?:received|sent) [0-9]{3,5} \(|; no close frame (?:received|sent)|\Z)", re.DOTALL)
_OLDER: Final = re.compile(r"\bcode = ([0-9]{3,5}) \([^()]{0,60}\), (?:reason = (.*)|no reason)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Quoted:
    """`by` is None where the text does not say who closed first."""

    code: int
    reason: str | None
    by: Side | None


def quoted(text: str) -> Quoted | None:
    """The close that an exception's text tells of, wherever in it; None for any other text."""
    text = text[:_LOOKED_AT]
    if match := _FRAMES.search(text):
        return Quoted(int(match[2]), match[3].strip() or None, Side.VENDOR if match[1] == "received" else Side.CLIENT)
    if match := _OLDER.search(text):
        return Quoted(int(match[1]), (match[2] or "").strip() or None, None)
    return None
