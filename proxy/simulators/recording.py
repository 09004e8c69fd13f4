"""A recording of real speech, and how it is cut into messages.

Owns the audio that callers speak: 16 kHz, 16 bit, mono, or the same at another rate.
"""

from __future__ import annotations

import wave
from array import array
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

RECORDING: Final = Path(__file__).with_name("speech.wav")
RATE: Final = 16000
WIDTH: Final = 2


@cache
def recording(rate: int = RATE) -> bytes:
    """The WAV file's samples, 16 bit, mono; at another rate than 16 kHz interpolated."""
    with wave.open(str(RECORDING)) as file:
        if (file.getframerate(), file.getsampwidth(), file.getnchannels()) != (RATE, WIDTH, 1):
            raise ValueError(f"{RECORDING.name} is not 16 kHz, 16 bit, mono")
        samples: bytes = file.readframes(file.getnframes())
    return samples if rate == RATE else _resampled(array("h", samples), rate).tobytes()


def _resampled(samples: array[int], rate: int) -> array[int]:
    found, last = array("h"), len(samples) - 1
    for n in range(len(samples) * rate // RATE):
        at, rest = divmod(n * RATE, rate)
        found.append((samples[at] * (rate - rest) + samples[min(at + 1, last)] * rest) // rate)
    return found


def spoken(seconds: float, chunk: float, header: bool = False, rate: int = RATE) -> Iterator[bytes]:
    """So much of the recording, over and over, in messages of `chunk` seconds; the last may be shorter."""
    whole, size, total = recording(rate), int(chunk * rate) * WIDTH, int(seconds * rate) * WIDTH
    if header:
        yield RECORDING.read_bytes()[:44]
    for at in range(0, total, size):
        start, length = at % len(whole), min(size, total - at)
        yield (whole * (2 + length // len(whole)))[start : start + length]
