"""The audio of ELSA's streams and uploads: whole WAV files, each with a header of its own, or a FLAC or OGG-Opus stream.

Sources: the vendor's example clients send every half second of audio as a complete WAV file, 16 kHz, 16 bit, mono; the error page
names what is allowed ("Only 16 kHz mono WAV, FLAC or OGG-Opus"). Nothing but WAV is decoded here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from proxy.core.audio import AudioFormat, container
from proxy.simulators.elsa_faults import UnusableError
from proxy.simulators.speech import Mark, Speech

FORM: Final = AudioFormat("pcm_s16le", 16000)
PACKED: Final = AudioFormat("opaque")
PCM: Final = frozenset({1, 0xFFFE})
"""Format tags: plain, and extensible."""
OPEN_ENDED: Final = frozenset({0, 0xFFFFFFFF})
"""Sizes of a data chunk that was written before its end was known."""


def samples(message: bytes, *, scripted: bool) -> bytes:
    """The samples of a WAV file. Raises UnusableError with the error that the kind of request has for it."""

    def refusal(unscripted: str) -> UnusableError:
        if scripted:
            return UnusableError("FailedToConvertAudio", audio_format=container(message) or "raw")
        return UnusableError(unscripted)

    try:
        form, data, whole = _wav(message)
    except (ValueError, struct.error):
        raise refusal("FailedToParseAudioHeader") from None
    if form != (1, 16000, 16):
        raise refusal("InvalidAudioFormat")
    if not data and whole:
        raise UnusableError("FailedToUseAudio")
    if len(data) % 2 or not whole:
        raise refusal("FailedToDecodeAudioFromBytes")
    return data


def _wav(message: bytes) -> tuple[tuple[int, int, int], bytes, bool]:
    """Channels, rate and bits; the samples; whether they are all there. Raises ValueError, or struct.error for what is cut short."""
    if message[:4] != b"RIFF" or message[8:12] != b"WAVE":
        raise ValueError("no WAV file")
    form, at = None, 12
    while True:
        name, size = struct.unpack_from("<4sI", message, at)
        at += 8
        if name == b"fmt ":
            tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", message, at)
            form = (channels, rate, bits if tag in PCM else 0)
        elif name == b"data":
            if form is None:
                raise ValueError("data before its format")
            rest = message[at:]
            return (form, rest, True) if size in OPEN_ENDED else (form, rest[:size], len(rest) >= size)
        at += size + size % 2


class Stream:
    """One stream: messages in; `heard` is what can be compared, the samples or the packed bytes."""

    def __init__(self, *, scripted: bool, tick: float, end: float) -> None:
        self._scripted, self._tick, self._end = scripted, tick, end
        self._packed = False
        self._speech: Speech | None = None
        self.heard = b""

    @property
    def seconds(self) -> float:
        return self._speech.seconds if self._speech else 0.0

    @property
    def words(self) -> list[str]:
        return [word.text for word in self._speech.words] if self._speech else []

    def hear(self, message: bytes) -> Iterator[Mark]:
        """Take one message in; yields the marks of speech. Raises UnusableError before the first, `heard` is set by then."""
        if self._speech is None:
            self._packed = container(message) in ("flac", "ogg")
            self._speech = Speech(PACKED if self._packed else FORM, tick=self._tick, end=self._end)
        self.heard = b""
        self.heard = message if self._packed else samples(message, scripted=self._scripted)
        return self._speech.hear(self.heard)
