"""What NextEVI says to what it hears: transcriptions, and once somebody stopped speaking the answer, as text and as speech.

Sources: [react] the vendor's React SDK 1.1.6, `utils/websocket.ts` (all these messages are flat); [lk] livekit-plugins-nextevi 0.1.0.
"""

from __future__ import annotations

import base64
import math
from array import array
from typing import Final

from proxy.core.audio import AudioFormat
from proxy.simulators.line import Line
from proxy.simulators.speech import Speech, Word

RATE: Final = 24000
PARTIAL_SECONDS: Final = 0.5
END_SILENCE_SECONDS: Final = 0.6
ANSWER: Final = ("Thank you, ", "I have written it down.")
_SPOKEN_SECONDS: Final = 0.1


def _tone() -> str:
    """A tenth of a second of an answer: 16 bit, mono, at RATE, in base64."""
    samples = array("h", (int(4000 * math.sin(at * 0.1)) for at in range(int(RATE * _SPOKEN_SECONDS))))
    return base64.b64encode(samples.tobytes()).decode()


class Talk:
    """One session's conversation, told on its line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._speech = Speech(AudioFormat("pcm_s16le", RATE), tick=PARTIAL_SECONDS, end=END_SILENCE_SECONDS)
        self._done = self._turn = 0

    @property
    def seconds(self) -> float:
        return self._speech.seconds

    async def hear(self, data: bytes) -> None:
        for mark in self._speech.hear(data):
            words = self._speech.words[self._done :]
            if mark == "onset":
                await self._transcription([], event="speech_started")
            elif mark == "tick" and words:
                await self._transcription(words)
            elif mark == "end":
                await self._transcription(words, final=True)
                await self._transcription([], event="utterance_end")
                self._done = len(self._speech.words)
                await self._turn_complete(" ".join(word.text for word in words))
                await self.answer()

    async def answer(self) -> None:
        """The agent's turn: its text in pieces, then its speech."""
        self._turn += 1
        generation = f"gen-{self._turn}"
        for number, content in enumerate(ANSWER):
            last = number == len(ANSWER) - 1
            chunk = {"content": content, "is_final": last, "generation_id": generation, "chunk_index": number}
            await self._line.say({"type": "llm_response_chunk", **chunk})
        for number, last in enumerate((False, True)):
            await self._line.say({"type": "tts_chunk", "content": _tone(), "chunk_id": f"{generation}-{number}", "is_last": last})

    async def interrupt(self) -> None:
        await self._line.say({"type": "tts_interruption", "content": ""})

    async def _transcription(self, words: list[Word], *, final: bool = False, event: str = "normal") -> None:
        await self._line.say(
            {
                "type": "transcription",
                "transcript": " ".join(word.text for word in words),
                "confidence": 0.97 if words else 0.0,
                "is_final": final,
                "is_speech_final": final,
                "words": [
                    {"word": word.text, "start": round(word.start, 3), "end": round(word.end, 3), "confidence": 0.97} for word in words
                ],
                "session_id": self._line.session.request_id,
                "processing_time": 0.05,
                "metadata": {"event_type": event},
            }
        )

    async def _turn_complete(self, transcript: str) -> None:
        emotions = [{"emotion": "calm", "confidence": 0.8, "percentage": 80.0}]
        await self._line.say({"type": "emotion_update", "top_emotions": emotions})
        result = {"is_complete": True, "confidence": 0.9, "reasons": ["silence"], "processing_time": 0.01}
        await self._line.say({"type": "turn_complete", "turn_result": result, "transcript": transcript})
