"""A client of a vendor's, to be watched: it speaks a real recording, well or badly, and says in a few words what it saw.

Owns how a client behaves on the wire. It speaks through a plain WebSocket library and knows no verdict.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from proxy.simulators.dialects import Dialect
from proxy.simulators.recording import WIDTH, spoken

ANSWER_SECONDS: Final = 12.0
"""How long a caller waits for the 101, and after its last word for the end."""
PAUSE_SECONDS: Final = 0.4
"""Before a caller says a text of its own, between two of them, and before it leaves badly."""
TEXT: Final = 20
"""Characters of a transcript that a caller repeats: its end."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a caller behaves.

    key: None for none at all. path: instead of the dialect's. seconds: of audio, None for as long as the others, 0 for none.
    chunk: seconds of audio a message, None for the dialect's. pace: times real time. header: begin with the WAV header. says: texts
    after the audio.
    then: say goodbye and listen; only listen; close without goodbye; close as if pings had got no answer; die (RST).
    """

    key: str | None = "demo-key"
    path: str | None = None
    seconds: float | None = None
    chunk: float | None = None
    pace: float = 1.0
    header: bool = False
    says: tuple[str, ...] = ()
    then: Literal["end", "listen", "leave", "give-up", "die"] = "end"
    compression: bool = False
    after: float = 0.0


async def call(url: str, dialect: Dialect, manner: Manner, seconds: float, headers: dict[str, str]) -> str:
    """One call to its end, of `seconds` unless the manner says otherwise. Returns what the client saw; raises nothing of the network's."""
    await asyncio.sleep(manner.after)
    headers = {**dialect.headers, **headers}
    if manner.key is not None:
        headers[dialect.key_header] = dialect.scheme + manner.key
    try:
        line = await connect(
            url + (manner.path or dialect.path), additional_headers=headers, compression="deflate" if manner.compression else None,
            proxy=None, ping_interval=None, open_timeout=ANSWER_SECONDS, close_timeout=1, user_agent_header="earwitness-demo",
        )
    except InvalidStatus as refused:
        return _refusal(refused)
    except TimeoutError:
        return "no answer"
    except (InvalidHandshake, InvalidMessage, OSError) as failed:
        return f"no WebSocket: {type(failed).__name__}"
    return await _converse(line, dialect, manner, seconds if manner.seconds is None else manner.seconds)


async def _converse(line: ClientConnection, dialect: Dialect, manner: Manner, seconds: float) -> str:
    heard = _Heard(dialect)
    speaker = asyncio.create_task(_speak(line, dialect, manner, seconds, heard))
    try:
        async with asyncio.timeout(seconds + ANSWER_SECONDS):
            while True:
                heard.hear(await line.recv())
    except ConnectionClosed as closed:
        heard.close = _close(closed)
    except TimeoutError:
        heard.close = "nothing more"
    finally:
        speaker.cancel()
        with suppress(asyncio.CancelledError, ConnectionClosed):
            await speaker
        line.transport.abort()
    return str(heard)


async def _speak(line: ClientConnection, dialect: Dialect, manner: Manner, seconds: float, heard: _Heard) -> None:
    clock = asyncio.get_running_loop().time
    for message in dialect.opening:
        await line.send(message)
    if dialect.waits:
        await heard.welcome.wait()
    began, said = clock(), 0.0
    for piece in spoken(seconds, manner.chunk or dialect.chunk, manner.header, dialect.rate):
        await line.send(dialect.wrap(piece))
        said += len(piece) / (dialect.rate * WIDTH)
        await asyncio.sleep(max(0.0, began + said / manner.pace - clock()))
        if dialect.gives_up and heard.error:
            break
    for text in manner.says:
        await asyncio.sleep(PAUSE_SECONDS)
        await line.send(text)
    if manner.then == "end":
        await _say_goodbye(line, dialect, heard)
    elif manner.then != "listen":
        await asyncio.sleep(PAUSE_SECONDS)
        await _leave(line, manner.then)


async def _say_goodbye(line: ClientConnection, dialect: Dialect, heard: _Heard) -> None:
    if dialect.end is not None:
        await line.send(dialect.end)
    if dialect.leaves:
        await asyncio.sleep(PAUSE_SECONDS)
        if dialect.end is not None:  # else nobody will say that all is done
            await heard.enough.wait()
        await line.close()


async def _leave(line: ClientConnection, how: Literal["leave", "give-up", "die"]) -> None:
    if how == "die":
        line.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.transport.abort()
    else:
        await line.close(*((1000, "") if how == "leave" else (1011, "keepalive ping timeout")))


class _Heard:
    """What was told to the client: the last text, the last error, and how it ended."""

    def __init__(self, dialect: Dialect) -> None:
        self._read = dialect.read
        self.text = self.error = self.close = ""
        self.welcome = asyncio.Event()  # to speak, or there is nothing to wait for any more
        self.enough = asyncio.Event()  # to leave: it is done, or has failed

    def hear(self, data: str | bytes) -> None:
        told = self._read(data)
        self.text, self.error = told.text or self.text, told.error or self.error
        if told.ready or told.error:
            self.welcome.set()
        if told.done or told.error:
            self.enough.set()

    def __str__(self) -> str:
        text = self.text if len(self.text) <= TEXT else "…" + self.text[1 - TEXT :]
        return ", ".join(part for part in (f'"{text}"' if text else "", self.error, self.close) if part)


def _refusal(refused: InvalidStatus) -> str:
    answer = refused.response
    said = answer.headers.get("dg-error") or answer.headers.get("x-earwitness") or answer.headers.get("content-type", "")
    return f"HTTP {answer.status_code} {said}".strip()


def _close(closed: ConnectionClosed) -> str:
    if closed.rcvd is not None and not closed.rcvd_then_sent and closed.sent is not None:
        return f"left with {closed.sent.code}"
    if closed.rcvd is not None:
        return f"close {closed.rcvd.code} {closed.rcvd.reason}".strip()
    if closed.sent is not None:
        return f"left with {closed.sent.code}" if closed.sent.code != 1002 else "a broken close frame (its library says 1002)"
    return "connection lost"
