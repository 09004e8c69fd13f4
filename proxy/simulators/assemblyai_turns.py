"""AssemblyAI's Turn messages, from what was heard.

Source: the vendor's page "Message sequence" (universal-streaming): each message finalises words as they come through, `transcript`
holds the final ones only, the newest word is not final yet; `utterance` is filled at a pause; with `format_turns` the end of a turn
is told twice.
"""

from __future__ import annotations

from typing import Final

from proxy.core.audio import AudioFormat
from proxy.simulators.line import Line
from proxy.simulators.speech import Speech

PARTIAL_SECONDS: Final = 0.5
END_SILENCE_SECONDS: Final = 0.6


class Turns:
    """The turns of one session, told on its line."""

    def __init__(self, line: Line, form: AudioFormat, *, formatted: bool) -> None:
        self._line, self._formatted = line, formatted
        self._speech = Speech(form, tick=PARTIAL_SECONDS, end=END_SILENCE_SECONDS)
        self._order = self._done = self._settled = 0

    @property
    def seconds(self) -> float:
        return self._speech.seconds

    async def hear(self, data: bytes) -> None:
        for mark in self._speech.hear(data):
            if mark == "end":
                await self.end()
            elif mark in ("tick", "pause") and len(self._speech.words) > self._done:
                await self._turn(pause=mark == "pause")

    async def end(self) -> None:
        """End the turn, if one is going on."""
        if len(self._speech.words) > self._done:
            await self._turn(ended=True)
            if self._formatted:
                await self._turn(ended=True, formatted=True)
            self._order += 1
            self._done = len(self._speech.words)
            self._settled = 0

    async def _turn(self, *, ended: bool = False, formatted: bool = False, pause: bool = False) -> None:
        words = self._speech.words[self._done :]
        settled = self._settled = len(words) if ended or pause else max(self._settled, len(words) - 1)
        texts = [word.text for word in words]
        if formatted:
            texts[0], texts[-1] = texts[0].capitalize(), texts[-1] + "."
            if len(texts) == 1:
                texts = [words[0].text.capitalize() + "."]
        transcript = " ".join(texts[:settled])
        await self._line.say(
            {
                "turn_order": self._order,
                "turn_is_formatted": formatted,
                "end_of_turn": ended,
                "transcript": transcript,
                "end_of_turn_confidence": 0.9 if ended else 0.02,
                "words": [
                    {
                        "start": round(word.start * 1000),
                        "end": round(word.end * 1000),
                        "text": text,
                        "confidence": 0.99,
                        "word_is_final": number < settled,
                    }
                    for number, (word, text) in enumerate(zip(words, texts, strict=True))
                ],
                "utterance": transcript if pause or (ended and not formatted) else "",
                "type": "Turn",
            }
        )
