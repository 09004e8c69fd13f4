"""Callers of a simulator: one through the WebSocket library, one on a bare socket that sees the bytes as they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from proxy.simulators import Simulator
from tests.sdks import chunks, speech

AUDIO: Final = speech(1.0, 0.8, 0.7, 0.6)
V1: Final = "/v1/listen?encoding=linear16&sample_rate=16000"
V2: Final = "/v2/listen?model=flux-general-en&encoding=linear16&sample_rate=16000"
V3: Final = "/v3/ws?sample_rate=16000"
TOKEN: Final = {"Authorization": "Token key"}
KEY: Final = {"Authorization": "key"}
CLOSE_STREAM: Final = '{"type":"CloseStream"}'
TERMINATE: Final = '{"type":"Terminate"}'


@dataclass
class Call:
    """What the client got: the 101's headers, messages, and the close as it came (None: no close frame; code 1005: an empty one)."""

    headers: Mapping[str, str]
    messages: list[dict[str, Any]] = field(default_factory=list)
    code: int | None = None
    reason: str = ""

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]


async def call(sim: Simulator, path: str, send: Iterable[str | bytes], headers: Mapping[str, str], **options: Any) -> Call:
    """Send everything as fast as it goes, listen until the end."""
    async with connect(sim.url + path, additional_headers=headers, compression=None, **options) as socket:
        assert socket.response is not None
        seen = Call(socket.response.headers)
        speaker = asyncio.create_task(_speak(socket, send))
        with suppress(ConnectionClosed):
            while True:
                seen.messages.append(json.loads(await socket.recv()))
        await speaker
        if socket.protocol.close_rcvd is not None:
            seen.code, seen.reason = socket.protocol.close_rcvd.code, socket.protocol.close_rcvd.reason
    return seen


async def _speak(socket: Any, send: Iterable[str | bytes]) -> None:
    with suppress(ConnectionClosed):
        for message in send:
            await socket.send(message)


async def bare(sim: Simulator, path: str, headers: Mapping[str, str], seconds: float = 1.0) -> bytes:
    """Everything that comes after an upgrade request, to the end of the stream or for so long. Raises ConnectionResetError."""
    reader, writer = await asyncio.open_connection(sim.host, sim.port)
    head = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", **headers}
    head["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    writer.write(f"GET {path} HTTP/1.1\r\n{''.join(f'{k}: {v}' + chr(13) + chr(10) for k, v in head.items())}\r\n".encode())
    got = b""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while data := await reader.read(65536):
                    got += data
    finally:
        writer.close()
    return got


def spoken(*, seconds: float = 0.1, audio: bytes = AUDIO, end: str = CLOSE_STREAM) -> list[str | bytes]:
    return [*chunks(audio, seconds), end]
