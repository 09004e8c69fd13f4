"""Audio formats: bytes to seconds, or "cannot be timed"; what a stream's first bytes look like; whether it is silence.

Owns arithmetic on audio bytes. It knows nothing of vendors, messages or clocks.
"""

from __future__ import annotations

import re
import struct
from array import array
from dataclasses import dataclass
from typing import Final

WIDTHS: Final = {"pcm_s16le": 2, "pcm_s32le": 4, "mulaw": 1, "alaw": 1}
"""Bytes per sample of the formats that can be timed."""

HEAD_BYTES: Final = 128
"""How much of a frame is looked at: 64 samples of 16 bit, and enough for any container's magic."""

SILENCE_LEVEL: Final = 0.004
"""Peak, as a share of full scale, below which a frame counts as silent: about -48 dBFS, under room noise on a headset."""

SPEECH_LEVEL: Final = 0.03
"""Peak from which on somebody may be taken to speak: about -30 dBFS. An open microphone that only listens stays below."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """A declared format. `bytes_per_second` is None where bytes do not tell seconds (compressed, container, undeclared)."""

    name: str
    sample_rate: int | None = None
    channels: int = 1

    @property
    def block(self) -> int:
        """Bytes of one sample of all channels; 1 where the format cannot be timed."""
        return WIDTHS[self.name] * self.channels if self.name in WIDTHS else 1

    @property
    def bytes_per_second(self) -> float | None:
        width = WIDTHS.get(self.name)
        if width is None or not self.sample_rate:
            return None
        return float(width * self.channels * self.sample_rate)


UNTIMED: Final = AudioFormat("opaque")

_WAV_PCM: Final = {(1, 16): "pcm_s16le", (1, 32): "pcm_s32le", (7, 8): "mulaw", (6, 8): "alaw"}
"""Format tag and bits of a sample (RFC 2361, Microsoft's mmreg.h) to our names."""

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]+={0,2}")

_MAGIC: Final = (
    (b"RIFF", "wav"),
    (b"OggS", "ogg"),
    (b"\x1aE\xdf\xa3", "webm"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
    (b"#!AMR", "amr"),
    (b"FORM", "aiff"),
    (b"caff", "caf"),
)


def container(head: bytes) -> str | None:
    """The container that a stream's first bytes announce, or None."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    return "mp4" if head[4:8] == b"ftyp" else None


def is_text(head: bytes) -> bool:
    """Whether a message is text after all: JSON sent as binary, or base64. Samples never look so for long."""
    if head[:1] == b"{":
        return head.isascii() and head.count(b'"') > 1
    # In A-law silence is one letter all along, and what is faint and below zero all of capitals.
    return len(head) >= HEAD_BYTES - 2 and _BASE64.fullmatch(head) is not None and len(set(head)) > 1 and not head.isupper()


def wav(head: bytes) -> tuple[AudioFormat, int] | None:
    """What a WAV file that begins so holds, and where its samples begin; None for what is no WAV, or hides that beyond `head`."""
    if not head.startswith(b"RIFF") or head[8:12] != b"WAVE":
        return None
    found, at = UNTIMED, 12
    while at + 8 <= len(head):
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        at += 8
        if name == b"data":
            return found, at
        if name == b"fmt " and at + 16 <= len(head):
            tag, channels, rate = (int.from_bytes(head[at + i : at + i + n], "little") for i, n in ((0, 2), (2, 2), (4, 4)))
            name_of = _WAV_PCM.get((tag, int.from_bytes(head[at + 14 : at + 16], "little")))
            found = AudioFormat(name_of, rate, channels) if name_of and rate and channels else UNTIMED
        at += size + (size & 1)
    return None


PLAIN_WAV: Final = 44


def plain_wav(declared: AudioFormat, length: int) -> bytes:
    """The header under which a WAV file of `length` bytes holds nothing but samples, as any reader takes it; empty where there is none."""
    tag, bits = next((form for form, name in _WAV_PCM.items() if name == declared.name), (0, 0))
    if tag != 1 or declared.sample_rate is None or length < PLAIN_WAV:
        return b""
    form = struct.pack("<HHIIHH", tag, declared.channels, declared.sample_rate, declared.block * declared.sample_rate, declared.block, bits)
    return struct.pack("<4sI8sI", b"RIFF", length - 8, b"WAVEfmt ", len(form)) + form + struct.pack("<4sI", b"data", length - PLAIN_WAV)


def peak(head: bytes, name: str) -> float | None:
    """The largest sample as a share of full scale, 0 to 1; None for formats whose samples cannot be read here.

    Samples of PCM are little-endian, as is every machine this runs on.
    """
    if name == "pcm_s16le":
        return _peak16(head) / 32768 if len(head) > 1 else None
    if name == "pcm_s32le":
        wide = array("i", head[: len(head) & ~3])
        return max(max(wide), -min(wide)) / 2147483648 if wide else None
    if name == "mulaw" and head:
        return max(_mulaw(byte) for byte in head) / 32124
    if name == "alaw" and head:
        return max(_alaw(byte) for byte in head) / 32256
    return None


def _peak16(head: bytes) -> int:
    """In compiled code a loop over small numbers, which costs less than `max` and `min`: those make an object of every sample."""
    loudest = 0
    for at in range(1, len(head), 2):
        level = head[at] << 8 | head[at - 1]
        if level > 0x7FFF:
            level = 0x10000 - level
        if level > loudest:
            loudest = level
    return loudest


def _mulaw(byte: int) -> int:
    """ITU-T G.711 mu-law magnitude."""
    code = ~byte & 0x7F
    return ((((code & 0x0F) << 3) + 0x84) << (code >> 4)) - 0x84


def _alaw(byte: int) -> int:
    """ITU-T G.711 A-law magnitude."""
    code = (byte ^ 0x55) & 0x7F
    segment, step = code >> 4, (code & 0x0F) << 4
    return (step + 8) if not segment else (step + 0x108) << (segment - 1)
