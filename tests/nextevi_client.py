"""NextEVI's clients: the WebSocket client of `livekit-plugins-nextevi`, and the documented flow, which no SDK of theirs has.

The same function runs against a simulator and through the sidecar, and the outcomes are compared. The plugin's own module is loaded
alone: the package wants an agents framework, of which the client needs an exception's name and nothing else. The documented flow is
written with a plain WebSocket library: an envelope around each message, audio in base64, `keep_alive`.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import files
from types import ModuleType
from typing import Any, Final
from unittest.mock import patch

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.sdks import RATE, Outcome

VOICE_RATE: Final = 24000
FRAME: Final = VOICE_RATE // 50 * 2
"""Bytes of the 20 ms that LiveKit's audio comes in."""
ANSWER_SECONDS: Final = 10.0


def at_24k(audio: bytes) -> bytes:
    """Audio at RATE, half as many samples again. Silence gets a sound too low to hear, for the client sends no frame of zeros."""
    samples = array("h", audio)
    return array("h", (samples[at * RATE // VOICE_RATE] or 1 for at in range(len(samples) * VOICE_RATE // RATE))).tobytes()


@dataclass
class Config:
    """The two methods of the plugin's `NextEVIConfig` that its client calls, with what they return."""

    url: str
    key: str
    config_id: str

    def get_websocket_url(self, connection_id: str) -> str:
        return f"{self.url}/ws/voice/{connection_id}?api_key={self.key}&config_id={self.config_id}"

    def get_connection_headers(self) -> dict[str, str]:
        return {"User-Agent": "livekit-nextevi/0.1.0"}


@dataclass
class Frame:
    """LiveKit's `AudioFrame`, as far as the client reads it."""

    data: bytes
    sample_rate: int = VOICE_RATE
    num_channels: int = 1

    @property
    def samples_per_channel(self) -> int:
        return len(self.data) // 2


class NoConnectionError(Exception):
    """What the client raises if it cannot connect."""


@contextmanager
def _framework() -> Iterator[None]:
    livekit, agents, rtc = (ModuleType(name) for name in ("livekit", "livekit.agents", "livekit.rtc"))
    vars(agents).update(APIConnectionError=NoConnectionError, utils=None)
    vars(livekit).update(agents=agents, rtc=rtc)
    with patch.dict(sys.modules, {module.__name__: module for module in (livekit, agents, rtc)}):
        yield


@cache
def _client() -> Any:
    (path,) = (file for file in files("livekit-plugins-nextevi") or () if file.name == "nextevi_websocket_client.py")
    spec = importlib.util.spec_from_file_location("nextevi_websocket_client", str(path.locate()))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _framework():
        spec.loader.exec_module(module)
    return module.NextEVIWebSocketClient


class _Heard:
    """What the application is told, in either form; `done` once so many turns were answered."""

    def __init__(self, turns: int) -> None:
        self.outcome, self.done, self._turns = Outcome(), asyncio.Event(), turns

    async def hear(self, message: dict[str, Any]) -> None:
        kind, body = message["type"], message.get("data", message)
        if kind == "connection_metadata":
            self.outcome.ids.add(body["connection_id"])
        elif kind == "transcription" and body["transcript"]:
            self.outcome.ids.add(body["session_id"])
            self.outcome.texts.append(body["transcript"])
            if body["is_final"]:
                self.outcome.transcripts.append(body["transcript"])
        elif kind == "error":
            self.outcome.error = f"{body.get('error_code')}: {body.get('error_message') or body.get('error')}"
        elif kind == "websocket.disconnect":
            self.outcome.error = f"told to be closed with {body['code']} {body['reason']}"
        elif kind == "tts_chunk" and body["is_last"]:
            self._turns -= 1
            if not self._turns:
                self.done.set()

    def closed(self, code: int | None, reason: str | None) -> None:
        end = f"closed {code} {reason or ''}".strip()
        self.outcome.error = f"{self.outcome.error}; {end}" if self.outcome.error else end


async def nextevi_livekit(url: str, audio: bytes, *, key: str, turns: int = 2, config: str = "config-1") -> Outcome:
    """The plugin's client: flat messages, binary audio, frames of zeros left out. Leaves once so many turns were answered."""
    heard, client = _Heard(turns), _client()(Config(url, key, config))
    client.set_message_handler(heard.hear)
    try:
        await client.connect()
    except NoConnectionError as exc:
        heard.outcome.error = str(exc)
        return heard.outcome
    socket = client._websocket
    voice = at_24k(audio)
    for at in range(0, len(voice), FRAME):
        await client.send_audio(Frame(voice[at : at + FRAME]))
    await _until(heard, client._receive_task)
    if client.is_connected:
        heard.outcome.ended = True
    else:
        await socket.wait_closed()
        heard.closed(socket.close_code, socket.close_reason)
    await client.disconnect()
    return heard.outcome


async def nextevi_documented(url: str, audio: bytes, *, key: str, turns: int = 2, config: str = "config-1") -> Outcome:
    """The documented flow. Leaves once so many turns were answered."""
    heard = _Heard(turns)
    try:
        socket = await connect(Config(url, key, config).get_websocket_url("conn-1"), proxy=None)
    except InvalidStatus as refused:
        heard.outcome.error = f"HTTP {refused.response.status_code}"
        return heard.outcome

    async def listen() -> None:
        with suppress(ConnectionClosed):
            while True:
                await heard.hear(json.loads(await socket.recv()))

    async def say(kind: str, **data: Any) -> None:
        with suppress(ConnectionClosed):
            await socket.send(json.dumps({"type": kind, "timestamp": 1.5, "message_id": "m", **({"data": data} if data else {})}))

    listener = asyncio.create_task(listen())
    await say("session_settings", audio={"sample_rate": VOICE_RATE, "channels": 1, "encoding": "linear16"})
    voice = at_24k(audio)
    for number, at in enumerate(range(0, len(voice), 5 * FRAME)):
        await say("audio_input", audio=base64.b64encode(voice[at : at + 5 * FRAME]).decode(), chunk_id=f"chunk-{number}")
    await say("keep_alive")
    await _until(heard, listener)
    if listener.done():
        await socket.wait_closed()
        heard.closed(socket.close_code, socket.close_reason)
    else:
        heard.outcome.ended = True
    await socket.close()
    await listener
    return heard.outcome


async def _until(heard: _Heard, listener: asyncio.Task[None]) -> None:
    """All was answered, or the connection is gone."""
    done = asyncio.create_task(heard.done.wait())
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.wait({done, listener}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        done.cancel()
