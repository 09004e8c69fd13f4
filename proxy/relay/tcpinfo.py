"""Reading TCP_INFO of a socket: the kernel's own account of what the peer has acknowledged.

The layout is Linux's (include/uapi/linux/tcp.h); offsets have been stable since fields are only ever added. Where a socket or
kernel does not tell, the answer is None and the evidence says `cannot_tell`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

from proxy.core.evidence import TcpSample

_SIZE: Final = 232
_FIELDS: Final = struct.Struct("=B23xI40xI48xQ16xI52xQQ12xI").unpack
"""tcpi_state, unacked, rtt, bytes_acked, notsent_bytes, bytes_sent, bytes_retrans, snd_wnd."""
_TCP_INFO: Final = getattr(socket, "TCP_INFO", 11)
LEFT: Final = frozenset({7, 8, 9, 11})
"""CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING: the peer sent FIN or RST."""
STATE_CLOSED: Final = 7


def state_of(transport: asyncio.BaseTransport) -> int | None:
    """The TCP state (1 is established, 7 closed, 8 the peer has sent FIN), or None."""
    raw = _read(transport, 1)
    return raw[0] if raw else None


def sample(transport: asyncio.BaseTransport) -> TcpSample | None:
    """One reading. Works on both loops, through their stand-ins for sockets."""
    raw = _read(transport, _SIZE)
    if raw is None or len(raw) != _SIZE:
        return None
    state, unacked, rtt, acked, unsent, sent, again, window = _FIELDS(raw)
    # The SYN counts as one acknowledged byte.
    return TcpSample(max(acked - 1, 0), sent - again + unsent, unacked, unsent, window, rtt / 1e6, state in LEFT)


def _read(transport: asyncio.BaseTransport, size: int) -> bytes | None:
    try:
        sock = transport.get_extra_info("socket")
        if sock is None:
            return None
        # What uvloop gives for a socket makes a whole one for each question, at several times the cost of the call.
        bare = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, 0, sock.fileno())
    except (OSError, ValueError, AttributeError):  # asyncio's TLS transport forgets its parts
        return None
    try:
        raw: bytes = bare.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, size)
    except OSError:
        return None
    finally:
        bare.detach()  # the descriptor is the transport's
    return raw
