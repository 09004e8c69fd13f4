"""What is said in somebody's place, as bytes: the vendor's own end message and keep-alive, and close frames.

Owns the making of these few frames, and the finding of a close among frames that cross. When anything is said is decided
elsewhere (standin); nothing here knows time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from proxy.core.frames import BrokenError, Cutter, Frame, head
from proxy.core.vendor import CompiledEndpoint
from proxy.core.wire import FIN, OP_CLOSE, WHOLE_TEXT, unmask

LONGEST_REASON: Final = 123
"""Bytes (RFC 6455, 5.5.1): a close holds two bytes of code besides."""
NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008
SERVICE_RESTART: Final = 1012
LARGEST_LAST: Final = 1 << 24
"""Bytes of a frame that is kept until it is whole."""


def said(endpoint: CompiledEndpoint | None, role: Literal["end", "keep_alive"]) -> bytes | None:
    """The text of the first message of this role that the profile lets be sent; None where there is none."""
    messages = endpoint.spec.client.all() if endpoint is not None else []
    return next((message.send.encode() for message in messages if message.role == role and message.send is not None), None)


def text_frame(text: bytes, mask: bytes) -> bytes:
    """A whole text message. `mask` is of four bytes toward a vendor, empty toward a client."""
    return _frame(WHOLE_TEXT, text, mask)


def close_frame(code: int, reason: str, mask: bytes) -> bytes:
    """A close, its reason cut to what fits, never inside a character."""
    words = reason.encode()[:LONGEST_REASON].decode(errors="ignore").encode()
    return _frame(FIN | OP_CLOSE, code.to_bytes(2, "big") + words, mask)


def _frame(first: int, payload: bytes, mask: bytes) -> bytes:
    return head(first, len(payload), mask) + unmask(payload, mask)


def before_close(data: bytes) -> tuple[bytes, bytes]:
    """Whole frames as two parts: what goes before the first close, and the close with what follows; the second may be empty."""
    cutter = Cutter()
    cutter.add(data)
    at = 0
    try:
        while (frame := cutter.next(len(data))) is not None and frame.opcode != OP_CLOSE:
            at += frame.size
    except BrokenError:
        return data, b""
    return (data, b"") if frame is None else (data[:at], data[at:])


class UpToClose:
    """The last of a stream that stands between two messages: whole frames go on, its close and what follows do not.

    Nor do texts that `says_goodbye`.
    """

    __slots__ = ("_cutter", "_open", "_over", "_says_goodbye")

    def __init__(self, says_goodbye: Callable[[bytes], bool]) -> None:
        self._says_goodbye = says_goodbye
        self._cutter = Cutter()
        self._open = False  # a message has begun to go on, and not ended
        self._over = False

    @property
    def takes_a_message(self) -> bool:
        """Whether what went on ends with a whole message."""
        return not self._open

    def feed(self, data: bytes) -> bytes:
        """What goes on of it. Never raises: after bytes that are no frames nothing does."""
        out: list[bytes] = []
        if self._over:
            return b""
        try:
            self._cutter.add(data)
            while not self._over and (frame := self._cutter.next(LARGEST_LAST)) is not None:
                self._over = frame.opcode == OP_CLOSE
                if not (self._over or (frame.first == WHOLE_TEXT and self._says_goodbye(frame.payload))):
                    out += (frame.head, frame.payload)
                    self._count(frame)
        except BrokenError:
            self._over = True
        return b"".join(out)

    def _count(self, frame: Frame) -> None:
        if frame.opcode < OP_CLOSE:
            self._open = not frame.first & FIN
