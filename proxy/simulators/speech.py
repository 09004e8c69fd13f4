"""What a simulated vendor hears: words of a fixed script, laid along the voiced parts of the audio.

The same audio bytes give the same words at the same places, however they were cut into messages and whenever they
came, so that a transcript taken through a proxy can be compared with one taken without. No message, no clock.

Theory: the audio is looked at in frames of 20 ms, voiced or silent by their peak. A word takes up to 300 ms of voice;
silence ends it sooner. Audio that cannot be timed (Opus, AAC, containers) is not decoded: it counts as 4,000 bytes a
second of continuous speech.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from proxy.core.audio import SILENCE_LEVEL, AudioFormat, peak

_TEXT: Final = """
good morning this is the harbour office speaking the ferry to the northern islands leaves at half past nine from pier four
please bring your ticket and a warm coat because the wind is strong today the crossing takes about two hours and tea is
served on deck
"""
SCRIPT: Final = tuple(_TEXT.split())

FRAME_SECONDS: Final = 0.02
WORD_SECONDS: Final = 0.3
GAP_SECONDS: Final = 0.1
OPAQUE_BYTES_PER_SECOND: Final = 4000.0

Mark = Literal["onset", "resume", "tick", "pause", "end"]
"""Speech began; went on after a pause; another step of audio was heard; a short silence; a silence that ends the utterance."""


@dataclass(slots=True)
class Word:
    """One word and its place in the audio, in seconds from the first byte."""

    text: str
    start: float
    end: float


class Speech:
    """A listener: audio bytes in, marks out, with `words` and `position` (seconds) as they stand at each mark."""

    def __init__(self, form: AudioFormat, *, tick: float, pause: float = 0.2, end: float = 0.5) -> None:
        self.words: list[Word] = []
        self.position = 0.0
        self._name = form.name
        self._rate = form.bytes_per_second or OPAQUE_BYTES_PER_SECOND
        self._timed = form.bytes_per_second is not None
        self._frame = max(1, round(self._rate * FRAME_SECONDS / form.block)) * form.block
        self._step, self._pause, self._end = (max(1, round(seconds * self._rate / self._frame)) for seconds in (tick, pause, end))
        self._rest = b""
        self._bytes = self._frames = self._silent = 0
        self._speaking = self._word_open = self._paused = False

    @property
    def seconds(self) -> float:
        """All audio so far, the unfinished frame at its end included."""
        return self._bytes / self._rate

    def hear(self, data: bytes) -> Iterator[Mark]:
        """Take audio in; yields the marks in the order of the audio."""
        self._bytes += len(data)
        data = self._rest + data
        whole = len(data) - len(data) % self._frame
        self._rest = data[whole:]
        for at in range(0, whole, self._frame):
            yield from self._listen(data[at : at + self._frame])

    def _listen(self, frame: bytes) -> Iterator[Mark]:
        begun = self.position
        self._frames += 1
        self.position = self._frames * self._frame / self._rate
        level = peak(frame, self._name) if self._timed else 1.0
        if level is not None and level >= SILENCE_LEVEL:
            yield from self._voiced(begun)
        else:
            yield from self._quiet()
        if self._frames % self._step == 0:
            yield "tick"

    def _voiced(self, begun: float) -> Iterator[Mark]:
        self._silent = 0
        word = self.words[-1] if self._word_open else None
        if word is None or begun - word.start >= WORD_SECONDS - FRAME_SECONDS / 2:
            word = Word(SCRIPT[len(self.words) % len(SCRIPT)], begun, self.position)
            self.words.append(word)
            self._word_open = True
        word.end = self.position
        if not self._speaking:
            self._speaking = True
            yield "onset"
        elif self._paused:
            yield "resume"
        self._paused = False

    def _quiet(self) -> Iterator[Mark]:
        self._silent += 1
        if self._silent * FRAME_SECONDS >= GAP_SECONDS:
            self._word_open = False
        if self._speaking and self._silent == self._pause:
            self._paused = True
            yield "pause"
        if self._speaking and self._silent == self._end:
            self._speaking = self._paused = False
            yield "end"
