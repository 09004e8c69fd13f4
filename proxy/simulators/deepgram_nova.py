"""Deepgram `/v1/listen`: Results as the audio goes by, control messages, the idle timer, Metadata at the end.

Sources: the SDK's `listen/v1/types` and `listen/v1/socket_client.py`; the vendor's troubleshooting page for the idle timer;
deepgram-dotnet-sdk#133 for a KeepAlive without any audio.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import orjson

from proxy.core.audio import UNTIMED, AudioFormat, container
from proxy.simulators.deepgram_faults import MODEL_UUID, end, metadata, schema_error, undecodable
from proxy.simulators.line import Line
from proxy.simulators.speech import Speech, Word

if TYPE_CHECKING:
    from proxy.simulators.base import Simulator

INTERIM_SECONDS: Final = 0.5
LONGEST_SEGMENT_SECONDS: Final = 3.0
THROTTLE: Final = 1.25
"""Times real time: "throttled, not closed", from the vendor's page on recovering from connection errors."""

Query = Mapping[str, list[str]]


def flag(query: Query, key: str) -> bool:
    return query.get(key, ["false"])[0].lower() == "true"


def opened(first: bytes) -> tuple[AudioFormat, bytes] | None:
    """The format that a container's first bytes tell, with the audio behind a WAV header; None for bytes that are no audio."""
    if container(first) is None:
        return None
    at = first.find(b"data")
    if container(first) != "wav" or at < 0 or len(first) < 36:
        return UNTIMED, first
    channels = int.from_bytes(first[22:24], "little")
    width = int.from_bytes(first[34:36], "little")
    name = {(1, 16): "pcm_s16le", (1, 32): "pcm_s32le", (7, 8): "mulaw", (6, 8): "alaw"}
    form = name.get((int.from_bytes(first[20:22], "little"), width))
    return (AudioFormat(form, int.from_bytes(first[24:28], "little"), channels) if form else UNTIMED), first[at + 8 :]


async def throttle(line: Line, speech: Speech) -> None:
    """Read no more until real time has caught up with the audio."""
    ahead = line.session.opened_at + speech.seconds / THROTTLE - line.loop.time()
    if ahead > 0:
        await asyncio.sleep(ahead)


class NovaSession:
    """One v1 session. A segment of audio is final at the end of an utterance, after 3 s, or on Finalize."""

    def __init__(self, simulator: Simulator, line: Line, query: Query, form: AudioFormat | None, idle_seconds: float) -> None:
        self._simulator, self._line, self._query, self._idle = simulator, line, query, idle_seconds
        self._form = form
        self._speech = Speech(form or UNTIMED, tick=INTERIM_SECONDS)
        self._start = 0.0
        self._done = 0

    async def run(self) -> None:
        line = self._line
        if line.held:
            await line.pong()  # there is no hello that could come with the 101
            line.release()
        await self._simulator.strike(line)
        began = line.loop.time()
        kept = False
        while True:
            latest = began + 2 * self._idle if kept and not line.session.audio else None
            message = await line.next_message(self._idle, latest)
            if message is None:
                await end(line, "NET-0000" if kept and not line.session.audio else "NET-0001")
                return
            if isinstance(message, bytes):
                line.heard_at = line.loop.time()
                if not message or not await self._audio(message):
                    break
            else:
                line.session.texts.append(message)
                kind = _kind(message)
                kept = kept or kind == "KeepAlive"
                if kind == "CloseStream":
                    break
                await self._control(kind, message)
        if line.protocol.close_sent is None and not line.cut:
            await self._finish()

    async def _audio(self, data: bytes) -> bool:
        """Listen to one message; False if it cannot be decoded, which has then been told."""
        line = self._line
        if not line.session.audio and self._form is None:
            known = opened(data)
            line.session.audio += data
            if known is None:
                await undecodable(line)
                return False
            self._form, data = known
            self._speech = Speech(self._form, tick=INTERIM_SECONDS)
        else:
            line.session.audio += data
        line.session.chunks.append(len(data))
        for mark in self._speech.hear(data):
            if mark == "onset" and flag(self._query, "vad_events"):
                await line.say({"type": "SpeechStarted", "channel": [0], "timestamp": round(self._speech.words[-1].start, 2)})
            elif mark == "tick":
                if self._speech.position - self._start >= LONGEST_SEGMENT_SECONDS:
                    await self._result(final=True)
                elif flag(self._query, "interim_results") and self._speech.position > self._start:
                    await self._result()
            elif mark == "end":
                await self._result(final=True, speech_final=True)
                if "utterance_end_ms" in self._query:
                    last = round(self._speech.words[-1].end, 2)
                    await line.say({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last})
        await self._simulator.strike(line, self._speech.seconds)
        if self._simulator.strict:
            await throttle(line, self._speech)
        return True

    async def _control(self, kind: str | None, message: str) -> None:
        line = self._line
        if kind == "KeepAlive":
            line.heard_at = line.loop.time()
        elif kind == "Finalize":
            await self._result(final=True, from_finalize=True)
        elif kind == "Configure":
            keyterms = orjson.loads(message).get("keyterms", [])
            await line.say({"type": "ConfigureSuccess", "request_id": line.session.request_id, "keyterms": keyterms})
        else:
            await line.say(schema_error(message))

    async def _finish(self) -> None:
        session = self._line.session
        if self._speech.seconds > self._start:
            await self._result(final=True, to_the_end=True)
        channels = self._form.channels if self._form and session.audio else 0
        await self._line.say(metadata(session, self._speech.seconds, channels))
        await self._line.close(1000)

    async def _result(
        self, *, final: bool = False, speech_final: bool = False, from_finalize: bool = False, to_the_end: bool = False
    ) -> None:
        until = self._speech.seconds if to_the_end else self._speech.position
        words = self._speech.words[self._done :]
        channels = self._form.channels if self._form and flag(self._query, "multichannel") else 1
        for channel in range(channels):
            await self._line.say(
                {
                    "type": "Results",
                    "channel_index": [channel, channels],
                    "duration": round(until - self._start, 4),
                    "start": round(self._start, 4),
                    "is_final": final,
                    "speech_final": speech_final,
                    "channel": {"alternatives": [_alternative(words)]},
                    "metadata": {
                        "request_id": self._line.session.request_id,
                        "model_info": {"name": "general-nova-3", "version": "2025-04-17.21547", "arch": "nova-3"},
                        "model_uuid": MODEL_UUID,
                    },
                    "from_finalize": from_finalize,
                }
            )
        if final:
            self._start, self._done = until, len(self._speech.words)


def _alternative(words: list[Word]) -> dict[str, object]:
    return {
        "transcript": " ".join(word.text for word in words),
        "confidence": 0.99 if words else 0.0,
        "words": [{"word": w.text, "start": round(w.start, 2), "end": round(w.end, 2), "confidence": 0.99} for w in words],
    }


def _kind(message: str) -> str | None:
    try:
        kind = orjson.loads(message)["type"]
    except (ValueError, TypeError, KeyError):
        return None
    return kind if isinstance(kind, str) else None
