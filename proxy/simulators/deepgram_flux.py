"""Deepgram `/v2/listen` (Flux): Connected, TurnInfo by turns, fatal errors, an end without a code.

Sources: the SDK's `listen/v2/types`; the vendor's pages on the Flux state machine (an Update every 0.25 s of audio, also
without new words), on ForceEndTurn, and on CloseStream ("does not finalize the active turn", no Metadata, and "closes the
connection without sending a WebSocket close status code"); deepgram-python-sdk#618 (60 s, reset by pings) and #649
(a KeepAlive ends the connection at once).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from proxy.core.audio import UNTIMED, AudioFormat
from proxy.simulators.deepgram_faults import end, fatal
from proxy.simulators.deepgram_nova import Query, opened, throttle
from proxy.simulators.line import Line
from proxy.simulators.speech import Mark, Speech

if TYPE_CHECKING:
    from proxy.simulators.base import Simulator

UPDATE_SECONDS: Final = 0.25


class FluxSession:
    """One v2 session. `sequence_id` counts every message that the server sends."""

    def __init__(self, simulator: Simulator, line: Line, query: Query, form: AudioFormat | None, idle_seconds: float) -> None:
        self._simulator, self._line, self._query, self._idle = simulator, line, query, idle_seconds
        self._form = form
        self._speech = Speech(form or UNTIMED, tick=UPDATE_SECONDS)
        self._turn = 0
        self._start = 0.0
        self._done = 0
        self._told_at = 0.0
        self._eager = "eager_eot_threshold" in query
        self._natural = float(query.get("eot_threshold", ["0.7"])[0]) < 1.0

    async def run(self) -> None:
        line = self._line
        line.pings_count = True
        await line.say({"type": "Connected", "request_id": line.session.request_id, "sequence_id": len(line.session.sent)})
        line.release()
        await self._simulator.strike(line)
        while (message := await line.next_message(self._idle)) is not None:
            line.heard_at = line.loop.time()
            if isinstance(message, bytes):
                await self._audio(message)
                continue
            line.session.texts.append(message)
            if not await self._control(message):
                return
        await end(line, "NET-0001")  # what Flux says after its 60 s is not published: a guess

    async def _audio(self, data: bytes) -> None:
        line = self._line
        if not line.session.audio and self._form is None:
            self._form, heard = opened(data) or (UNTIMED, data)
            self._speech = Speech(self._form, tick=UPDATE_SECONDS)
        else:
            heard = data
        line.session.audio += data
        line.session.chunks.append(len(data))
        for mark in self._speech.hear(heard):
            await self._turn_info(mark)
        await self._simulator.strike(line, self._speech.seconds)
        if self._simulator.strict:
            await throttle(line, self._speech)

    async def _turn_info(self, mark: Mark) -> None:
        if mark == "onset":
            await self._say("StartOfTurn" if self._done == len(self._speech.words) - 1 else "Update")
        elif mark == "pause" and self._eager:
            await self._say("EagerEndOfTurn")
        elif mark == "resume" and self._eager:
            await self._say("TurnResumed")
        elif mark == "end" and self._natural:
            await self._end_turn("model")
        elif mark == "tick" and self._told_at < self._speech.position:
            await self._say("Update")

    async def _control(self, text: str) -> bool:
        """Obey one message; False once the session has ended."""
        line = self._line
        try:
            message = orjson.loads(text)
            kind = message["type"]
        except (ValueError, TypeError, KeyError):
            message, kind = {}, None
        if kind == "CloseStream":
            if self._speech.seconds > self._told_at:
                await self._say("Update")
            await (line.end_raw(None) if line.wording == "documented" else line.close(1000))
            return False
        if kind == "ForceEndTurn":
            if len(self._speech.words) > self._done:
                await self._end_turn("manual")
        elif kind == "Configure":
            number = len(line.session.sent)
            kept = {key: message[key] for key in ("thresholds", "keyterms", "language_hints") if key in message}
            rid = line.session.request_id
            await line.say({"type": "ConfigureSuccess", "request_id": rid, "sequence_id": number, **kept})
        else:
            await (fatal(line, "UNPARSABLE_CLIENT_MESSAGE") if line.wording == "documented" else line.end_raw(None))
            return False
        return True

    async def _end_turn(self, trigger: str) -> None:
        await self._say("EndOfTurn", trigger=trigger)
        self._turn += 1
        self._start, self._done = self._speech.position, len(self._speech.words)

    async def _say(self, event: str, **more: object) -> None:
        words = self._speech.words[self._done :]
        self._told_at = self._speech.position
        await self._line.say(
            {
                "type": "TurnInfo",
                "request_id": self._line.session.request_id,
                "sequence_id": len(self._line.session.sent),
                "event": event,
                "turn_index": self._turn,
                "audio_window_start": round(self._start, 4),
                "audio_window_end": round(self._speech.position, 4),
                "transcript": " ".join(word.text for word in words),
                "words": [{"word": w.text, "confidence": 0.99, "start": round(w.start, 2), "end": round(w.end, 2)} for w in words],
                "end_of_turn_confidence": {"EndOfTurn": 0.9, "EagerEndOfTurn": 0.6}.get(event, 0.05),
                **more,
            }
        )
