"""A bounded look into permessage-deflate messages (RFC 7692). The bytes themselves have gone on untouched.

Without context takeover each message stands for itself, and one that is too large is passed over. With it a message can
only be read by whoever read all before it; so once a direction has cost more than its budget, looking ends for good. It ends
as well where bomb follows bomb: a kilobyte on the wire would cost a millisecond each.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

LARGEST_MESSAGE: Final = 1 << 20
"""Inflated bytes of one message; beyond it the message is taken for a bomb."""
BUDGET: Final = 256 << 20
"""Inflated bytes of one direction with context takeover: about two hours of 16 kHz speech, and a bound on CPU."""

LARGE: Final = 64 * 1024
DENSE: Final = 50
"""A message is a bomb where it is larger than LARGE and so many times what it was on the wire. Speech and its transcripts are not."""
MOST_BOMBS: Final = 8

_TAIL: Final = b"\x00\x00\xff\xff"
_WINDOWS: Final = frozenset(map(str, range(8, 16)))  # no leading zeros (RFC 7692 section 7.1.2)


@dataclass(frozen=True, slots=True)
class Deflate:
    """What both ends agreed on, for each direction."""

    client_takeover: bool
    client_bits: int
    server_takeover: bool
    server_bits: int


def agreed(extensions: str) -> Deflate | None:
    """The terms in the response's Sec-WebSocket-Extensions, or None without permessage-deflate."""
    for extension in extensions.split(","):
        name, *parameters = (part.strip().lower() for part in extension.split(";"))
        if name == "permessage-deflate":
            values = {key.strip(): value.strip(' "') for key, _, value in (p.partition("=") for p in parameters)}
            return Deflate(
                client_takeover="client_no_context_takeover" not in values,
                client_bits=_bits(values.get("client_max_window_bits")),
                server_takeover="server_no_context_takeover" not in values,
                server_bits=_bits(values.get("server_max_window_bits")),
            )
    return None


def _bits(value: str | None) -> int:
    return int(value) if value is not None and value in _WINDOWS else 15


class Inflater:
    """Inflates the messages of one direction. `ended` once it cannot follow any more."""

    __slots__ = ("_bits", "_bombs", "_inflate", "_spent", "_takeover", "ended")

    def __init__(self, takeover: bool, bits: int) -> None:
        self._takeover = takeover
        self._bits = -max(bits, 9)  # zlib cannot read a window of 8 bits; one of 9 reads it as well
        self._inflate = zlib.decompressobj(self._bits)
        self._spent = self._bombs = 0
        self.ended = False

    def message(self, payload: bytes | None) -> bytes | None:
        """The message's bytes, or None where it could not be read. `payload` is None for one that was not kept."""
        if self.ended:
            return None
        if payload is None:
            self.ended = self._takeover
            return None
        if not self._takeover:
            self._inflate = zlib.decompressobj(self._bits)
        try:
            out = self._inflate.decompress(payload + _TAIL, LARGEST_MESSAGE)
        except zlib.error:
            self.ended = self._takeover
            return None
        self._spent += len(out)
        if len(out) > LARGE and len(out) > DENSE * len(payload):
            self._bombs += 1
            if self._bombs > MOST_BOMBS:
                self.ended = True
                return None
        if self._inflate.unconsumed_tail or self._inflate.eof:
            self.ended = self._takeover
            return None if self._inflate.unconsumed_tail else out
        if self._takeover and self._spent > BUDGET:
            self.ended = True
        return out
