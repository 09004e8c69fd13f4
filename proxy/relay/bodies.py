"""The beginning of a failing answer's body, decompressed for a look. What goes to the client is never touched."""

from __future__ import annotations

import zlib
from typing import Final

from proxy.core.claim import BODY_LIMIT

LOOKED_AT: Final = BODY_LIMIT
"""Bytes that come out at most, whatever a bomb would give."""


def beginning(data: bytes, encoding: str) -> bytes:
    """The first bytes of a body with this Content-Encoding; none where it is unknown or broken: better no words than wrong ones."""
    name = encoding.strip().lower()
    try:
        if name in ("", "identity"):
            return data[:LOOKED_AT]
        if name in ("gzip", "x-gzip", "deflate"):
            return zlib.decompressobj(47 if name != "deflate" or data[:1] == b"\x78" else -15).decompress(data, LOOKED_AT)
        if name == "br":
            import brotli  # only where a vendor really answers so

            return bytes(brotli.Decompressor().process(data, output_buffer_limit=LOOKED_AT)[:LOOKED_AT])
    except Exception:  # each library has an error of its own for broken data, and all mean the same here
        return b""
    return b""
