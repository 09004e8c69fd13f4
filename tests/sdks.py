"""The vendors' own SDKs as callers, from their public constructors: one call each, told as an `Outcome`.

The same function runs against a simulator and through the sidecar, and the outcomes are compared. The sync ones block: in a
coroutine, `await asyncio.to_thread(deepgram_v1, url, audio)`. `url` is ws://HOST:PORT; `audio` is 16-bit mono at `RATE`.
"""

from __future__ import annotations

import asyncio
import importlib
import math
import threading
import warnings
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from assemblyai.streaming.v3 import (
    AsyncRealTimeTranscriber,
    RealTimeEvents,
    RealTimeParameters,
    RealTimeTranscriber,
    RealTimeTranscriberOptions,
)
from deepgram import AsyncDeepgramClient, DeepgramClient, DeepgramClientEnvironment
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

with warnings.catch_warnings():  # the SDK imports names that the websockets library has deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    for version in ("v1", "v2"):
        importlib.import_module(f"deepgram.listen.{version}.client")

RATE: Final = 16000
CHUNK_SECONDS: Final = 0.1


@dataclass
class Outcome:
    """What an application sees of a call: final texts in order, every text that came, the ids it was told, and its error."""

    transcripts: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    ended: bool = False
    error: str | None = None


def speech(*seconds: float) -> bytes:
    """16-bit audio: voice and silence by turns, in seconds."""
    samples = array("h")
    for number, length in enumerate(seconds):
        loud = 8000 if number % 2 == 0 else 0
        samples.extend(int(loud * math.sin(at * 0.2)) for at in range(int(length * RATE)))
    return samples.tobytes()


def chunks(audio: bytes, seconds: float = CHUNK_SECONDS) -> Iterator[bytes]:
    size = int(RATE * seconds) * 2
    return (audio[at : at + size] for at in range(0, len(audio), size))


async def spoken(audio: bytes, paced: bool) -> AsyncIterator[bytes]:
    """As fast as it is taken, or as a microphone would give it."""
    for chunk in chunks(audio):
        yield chunk
        if paced:
            await asyncio.sleep(CHUNK_SECONDS)


def _environment(url: str) -> Any:
    http = url.replace("ws", "http", 1)
    return DeepgramClientEnvironment(base=http, production=url, agent=url, agent_rest=http)


def _told(exc: BaseException) -> str:
    if isinstance(exc, ApiError):
        return f"HTTP {exc.status_code}"
    if isinstance(exc, InvalidStatus):  # what the SDK's own error wraps; it does not know this name of recent versions of websockets
        return f"HTTP {exc.response.status_code}"
    if isinstance(exc, ConnectionClosed):
        return f"closed {exc.rcvd.code} {exc.rcvd.reason}".strip() if exc.rcvd else "closed without a close frame"
    return type(exc).__name__


def _v1_message(outcome: Outcome, message: Any) -> None:
    if message.type == "Results":
        text = message.channel.alternatives[0].transcript
        outcome.ids.add(message.metadata.request_id)
        outcome.texts.append(text)
        if message.is_final and text:
            outcome.transcripts.append(text)
    elif message.type == "Metadata":
        outcome.ids.add(message.request_id)
        outcome.ended = True


def _v2_message(outcome: Outcome, message: Any) -> None:
    if message.type == "Connected":
        outcome.ids.add(message.request_id)
    elif message.type == "TurnInfo":
        outcome.ids.add(message.request_id)
        outcome.texts.append(message.transcript)
        if message.event == "EndOfTurn":
            outcome.transcripts.append(message.transcript)
    elif message.type == "Error":
        outcome.error = f"{message.code}: {message.description}"


def deepgram_v1(url: str, audio: bytes, *, key: str = "key", **query: Any) -> Outcome:
    """`DeepgramClient.listen.v1`, sync."""
    options = {"model": "nova-3", "encoding": "linear16", "sample_rate": str(RATE), "interim_results": "true", **query}
    return _deepgram_sync(lambda client: client.listen.v1.connect(**options), _v1_message, url, audio, key)


def deepgram_v2(url: str, audio: bytes, *, key: str = "key", **query: Any) -> Outcome:
    """`DeepgramClient.listen.v2` (Flux), sync."""
    options = {"model": "flux-general-en", "encoding": "linear16", "sample_rate": str(RATE), **query}
    return _deepgram_sync(lambda client: client.listen.v2.connect(**options), _v2_message, url, audio, key)


async def deepgram_v1_async(url: str, audio: bytes, *, key: str = "key", paced: bool = False, **query: Any) -> Outcome:
    """`AsyncDeepgramClient.listen.v1`."""
    options = {"model": "nova-3", "encoding": "linear16", "sample_rate": str(RATE), "interim_results": "true", **query}
    return await _deepgram_async(lambda client: client.listen.v1.connect(**options), _v1_message, url, audio, key, paced)


async def deepgram_v2_async(url: str, audio: bytes, *, key: str = "key", **query: Any) -> Outcome:
    """`AsyncDeepgramClient.listen.v2`."""
    options = {"model": "flux-general-en", "encoding": "linear16", "sample_rate": str(RATE), **query}
    return await _deepgram_async(lambda client: client.listen.v2.connect(**options), _v2_message, url, audio, key)


def _deepgram_sync(connect: Callable[[Any], Any], read: Callable[[Outcome, Any], None], url: str, audio: bytes, key: str) -> Outcome:
    outcome = Outcome()

    def failed(exc: BaseException) -> None:
        outcome.error = outcome.error or _told(exc)

    def speak(socket: Any) -> None:
        with suppress(ConnectionClosed):  # the listener hears of it as well
            for chunk in chunks(audio):
                socket.send_media(chunk)
            socket.send_close_stream()

    client = DeepgramClient(api_key=key, environment=_environment(url))
    try:
        with connect(client) as socket:
            socket.on(EventType.MESSAGE, lambda message: read(outcome, message))
            socket.on(EventType.ERROR, failed)
            speaker = threading.Thread(target=speak, args=(socket,))
            speaker.start()
            socket.start_listening()
            speaker.join()
    except (ApiError, ConnectionClosed, InvalidHandshake, OSError) as exc:
        failed(exc)
    return outcome


async def _deepgram_async(connect: Callable[[Any], Any], read: Callable[[Outcome, Any], None], url: str, audio: bytes, key: str,
                          paced: bool = False) -> Outcome:
    outcome = Outcome()

    def failed(exc: BaseException) -> None:
        outcome.error = outcome.error or _told(exc)

    async def speak(socket: Any) -> None:
        with suppress(ConnectionClosed):
            async for chunk in spoken(audio, paced):
                await socket.send_media(chunk)
            await socket.send_close_stream()

    client = AsyncDeepgramClient(api_key=key, environment=_environment(url))
    try:
        async with connect(client) as socket:
            socket.on(EventType.MESSAGE, lambda message: read(outcome, message))
            socket.on(EventType.ERROR, failed)
            await asyncio.gather(speak(socket), socket.start_listening())
    except (ApiError, ConnectionClosed, InvalidHandshake, OSError) as exc:
        failed(exc)
    return outcome


def _assemblyai(client: Any, outcome: Outcome) -> None:
    """Hear what the transcriber tells. The SDK logs and swallows what a handler raises, so these raise nothing."""

    def turn(_: Any, event: Any) -> None:
        outcome.texts.append(event.transcript)
        if event.end_of_turn and event.turn_is_formatted:
            outcome.transcripts.append(event.transcript)

    def failed(_: Any, error: Any) -> None:
        outcome.error = outcome.error or f"{error.code}: {error}"

    client.on(RealTimeEvents.Begin, lambda _, event: outcome.ids.add(event.id))
    client.on(RealTimeEvents.Turn, turn)
    client.on(RealTimeEvents.Termination, lambda _, event: setattr(outcome, "ended", True))
    client.on(RealTimeEvents.Error, failed)


def _assemblyai_options(url: str, key: str) -> Any:
    # It leaves after a second by itself, which a busy machine may take to let it in.
    return RealTimeTranscriberOptions(api_key=key, api_host=url, max_connection_retries=0, connect_timeout=20.0)


def assemblyai_sync(url: str, audio: bytes, *, key: str = "key", **parameters: Any) -> Outcome:
    """`RealTimeTranscriber`."""
    outcome = Outcome()
    client = RealTimeTranscriber(_assemblyai_options(url, key))
    _assemblyai(client, outcome)
    with warnings.catch_warnings():  # the SDK calls `connect()` of websockets in a way that is deprecated, and reads in a thread
        warnings.simplefilter("ignore", DeprecationWarning)
        client.connect(RealTimeParameters(**{"sample_rate": RATE, "format_turns": True, **parameters}))
        client.stream(chunks(audio))
        client.disconnect(terminate=True)
    return outcome


async def assemblyai_async(url: str, audio: bytes, *, key: str = "key", paced: bool = False, **parameters: Any) -> Outcome:
    """`AsyncRealTimeTranscriber`."""
    outcome = Outcome()
    client = AsyncRealTimeTranscriber(_assemblyai_options(url, key))
    _assemblyai(client, outcome)
    with warnings.catch_warnings():  # the SDK reads a property of websockets that is deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        await client.connect(RealTimeParameters(**{"sample_rate": RATE, "format_turns": True, **parameters}))
        await client.stream(spoken(audio, paced))
        await client.disconnect(terminate=True)
    return outcome
