"""What is said in somebody's place, as bytes: the vendor's own end message and keep-alive, and close frames.

Owns the making of these few frames, and the finding of a close among frames that leave. When anything is said is decided
elsewhere (standin); nothing here knows time.
"""

from __future__ import annotations

from typing import Final, Literal

from proxy.core.frames import BrokenError, Cutter, head
from proxy.core.vendor import CompiledEndpoint
from proxy.core.wire import FIN, OP_CLOSE, WHOLE_TEXT, unmask

LONGEST_REASON: Final = 123
"""Bytes (RFC 6455, 5.5.1): a close holds two bytes of code besides."""
NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008


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
