"""How a connection ends: what `connection_lost` was told, in our words; and how a close of ours becomes an RST.

Knows the kernel's numbers and the loops' exceptions, and nothing of legs or sessions.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import struct
from typing import Final

from proxy.core.verdict import Transport

_GIVEN_UP: Final = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
"""With which the kernel gives a peer up that it does not hear of any more: it says what it last learned of the way there."""
_RESETS: Final = struct.pack("ii", 1, 0)


def how_lost(exc: Exception | None) -> Transport:
    """What `connection_lost` was told, in our words."""
    if exc is None:
        return Transport.EOF
    if isinstance(exc, ssl.SSLError):
        return Transport.TLS
    return Transport.TIMEOUT if isinstance(exc, OSError) and exc.errno in _GIVEN_UP else Transport.RESET


def reset_on_close(transport: asyncio.Transport) -> None:
    """Closing will send RST instead of FIN (SO_LINGER with no time)."""
    sock = transport.get_extra_info("socket")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
    except (OSError, AttributeError, ValueError):
        return
