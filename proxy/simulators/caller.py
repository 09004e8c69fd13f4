"""A client of a vendor's, to be watched: it speaks a real recording, well or badly, and says in a few words what it saw.

Owns how a client behaves on the wire. It speaks through a plain WebSocket library and knows no verdict.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import wave
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

RECORDING: Final = Path(__file__).with_name("speech.wav")
RATE: Final = 16000
WIDTH: Final = 2
ANSWER_SECONDS: Final = 12.0
"""How long a caller waits for the 101, and after its last word for the end."""
PAUSE_SECONDS: Final = 0.4
"""Before a caller says a text of its own, between two of them, and before it leaves badly."""
TEXT: Final = 20
"""Characters of a transcript that a caller repeats: its end."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One endpoint as its clients speak it. `scheme` stands before the key in Authorization; `end` is the end message."""

    vendor: str
    path: str
    scheme: str
    end: str


@dataclass(frozen=True, slots=True)
class Manner:
    """How a caller behaves.

    key: None for none at all. path: instead of the dialect's. seconds: of audio, None for as long as the others, 0 for none.
    chunk: seconds of audio a message. pace: times real time. header: begin with the WAV header. says: texts after the audio.
    then: say goodbye and listen; only listen; close without goodbye; close as if pings had got no answer; die (RST).
    """

    key: str | None = "demo-key"
    path: str | None = None
    seconds: float | None = None
    chunk: float = 0.1
    pace: float = 1.0
    header: bool = False
    says: tuple[str, ...] = ()
    then: Literal["end", "listen", "leave", "give-up", "die"] = "end"
    compression: bool = False
    after: float = 0.0


@cache
def recording() -> bytes:
    """The WAV file's samples: 16 kHz, 16 bit, mono."""
    with wave.open(str(RECORDING)) as file:
        if (file.getframerate(), file.getsampwidth(), file.getnchannels()) != (RATE, WIDTH, 1):
            raise ValueError(f"{RECORDING.name} is not 16 kHz, 16 bit, mono")
        samples: bytes = file.readframes(file.getnframes())
    return samples


def spoken(seconds: float, chunk: float, header: bool = False) -> Iterator[bytes]:
    """So much of the recording, over and over, in messages of `chunk` seconds; the last may be shorter."""
    whole, size, total = recording(), int(chunk * RATE) * WIDTH, int(seconds * RATE) * WIDTH
    if header:
        yield RECORDING.read_bytes()[:44]
    for at in range(0, total, size):
        start, length = at % len(whole), min(size, total - at)
        yield (whole[start : start + length] + whole)[:length]


async def call(url: str, dialect: Dialect, manner: Manner, seconds: float, headers: dict[str, str]) -> str:
    """One call to its end, of `seconds` unless the manner says otherwise. Returns what the client saw; raises nothing of the network's."""
    await asyncio.sleep(manner.after)
    if manner.key is not None:
        headers = headers | {"Authorization": dialect.scheme + manner.key}
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
    heard = _Heard()
    speaker = asyncio.create_task(_speak(line, dialect, manner, seconds))
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


async def _speak(line: ClientConnection, dialect: Dialect, manner: Manner, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    began, said = clock(), 0.0
    for piece in spoken(seconds, manner.chunk, manner.header):
        await line.send(piece)
        said += len(piece) / (RATE * WIDTH)
        await asyncio.sleep(max(0.0, began + said / manner.pace - clock()))
    for text in manner.says:
        await asyncio.sleep(PAUSE_SECONDS)
        await line.send(text)
    if manner.then == "end":
        await line.send(dialect.end)
    elif manner.then != "listen":
        await asyncio.sleep(PAUSE_SECONDS)
        await _leave(line, manner.then)


async def _leave(line: ClientConnection, how: Literal["leave", "give-up", "die"]) -> None:
    if how == "die":
        line.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.transport.abort()
    else:
        await line.close(*((1000, "") if how == "leave" else (1011, "keepalive ping timeout")))


class _Heard:
    """What was told to the client: the last text, the last error, and how it ended."""

    def __init__(self) -> None:
        self.text = self.error = self.close = ""

    def hear(self, data: str | bytes) -> None:
        message: dict[str, Any] = json.loads(data)
        if message["type"] == "Error":
            self.error = str(message.get("error") or message.get("code") or message.get("variant"))
        alternatives = message.get("channel", {}).get("alternatives", ()) if message["type"] == "Results" else (message,)
        self.text = next((found["transcript"] for found in alternatives if found.get("transcript")), self.text)

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
