"""WAV files, right and wrong, for whoever takes audio in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.sdks import RATE, chunks


def wav(samples: bytes, *, rate: int = RATE, channels: int = 1, bits: int = 16, tag: int = 1, size: int | None = None) -> bytes:
    """A whole file of 44 bytes and the samples. size: what its data chunk claims to hold."""
    size, width = len(samples) if size is None else size, channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * width, width, bits)
    return struct.pack("<4sI4s", b"RIFF", 36 + len(samples), b"WAVE") + form + struct.pack("<4sI", b"data", size) + samples


def wavs(samples: bytes, seconds: float = 0.5) -> Iterator[bytes]:
    """As the vendor's example client sends a recording: every half second a file of its own."""
    return (wav(piece) for piece in chunks(samples, seconds))
