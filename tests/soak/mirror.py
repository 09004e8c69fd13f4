"""A vendor that sends back every byte it gets, and callers who compare: the bytes of both ways, and how long they take.

Callers send frames of all kinds, and now and then noise, cut anywhere; they and the vendor end in every way that a socket can.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from proxy.core.frames import made
from proxy.core.wire import FIN
from proxy.relay.ends import reset_on_close
from tests.relay.peers import SWITCHING, request

PATH: Final = b"/v1/listen?encoding=linear16&sample_rate=16000"
PIECES: Final = 25
APART_SECONDS: Final = 0.08
CUT_SHARE: Final = 0.1
"""How many of its connections the vendor resets in mid-call."""
PATIENCE_SECONDS: Final = 15.0


@dataclass
class Heard:
    """What the callers found. `latencies`: when, and how long a piece took there and back, in seconds."""

    latencies: list[tuple[float, float]] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    bytes: int = 0


@asynccontextmanager
async def mirror(tls: ssl.SSLContext, chance: random.Random) -> AsyncIterator[int]:
    """Its port."""
    open_now = set[asyncio.StreamWriter]()

    async def reflect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        cut_after = chance.randrange(200_000) if chance.random() < CUT_SHARE else None
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SWITCHING)
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
                if cut_after is not None and (cut_after := cut_after - len(data)) < 0:
                    reset(writer)
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            open_now.discard(writer)
            writer.close()

    server = await asyncio.start_server(reflect, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(open_now):
            writer.transport.abort()


def reset(writer: asyncio.StreamWriter) -> None:
    reset_on_close(writer.transport)  # type: ignore[arg-type]
    writer.transport.abort()


async def speak(host: str, port: int, name: str, heard: Heard, chance: random.Random) -> bool:
    """One call. Whether its request went out, so that a report of it is due."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await _converse(reader, writer, name, heard, chance)
    except (OSError, asyncio.IncompleteReadError):
        pass  # cut, or the process is gone: what came was compared
    except TimeoutError:
        heard.different.append(f"{name}: nothing came back for {PATIENCE_SECONDS:g} s")
    finally:
        if chance.random() < 0.5:
            reset(writer)
        writer.close()
    return True


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, heard: Heard, chance: random.Random) -> None:
    clock = asyncio.get_running_loop().time
    writer.write(request(PATH, b"Authorization: Token soak", b"x-soak-call: " + name.encode()))
    if not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101"):
        return
    for _ in range(PIECES):
        piece = _piece(chance)
        began, cut = clock(), chance.randrange(len(piece) + 1)
        for part in (piece[:cut], piece[cut:]):
            if writer.is_closing():
                return
            writer.write(part)
            await asyncio.sleep(0)
        back = await reader.readexactly(len(piece))
        heard.latencies.append((began, clock() - began))
        heard.bytes += 2 * len(piece)
        if back != piece:
            heard.different.append(f"{name}: {len(piece)} bytes came back otherwise than they went")
        await asyncio.sleep(APART_SECONDS)


def _piece(chance: random.Random) -> bytes:
    """Most are audio of 100 ms; the others are anything. Masked or not, random bytes are random bytes."""
    kind, mask = chance.random(), chance.randbytes(4)
    if kind < 0.8:
        return made(FIN | 2, chance.randbytes(3200), mask)
    if kind < 0.95:
        first, size = chance.choice((0, 1, 2, 9, 10)) | chance.choice((0, FIN)), chance.choice((0, 1, 125, 126, 700, 65535, 70_000))
        return made(first, chance.randbytes(size), mask) + b"\x89\x00"
    return chance.randbytes(chance.randrange(1, 2000))
