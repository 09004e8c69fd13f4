"""Formats, containers and levels, against tables of others."""

from __future__ import annotations

import io
import math
import struct
import warnings
import wave
from base64 import b64encode
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.audio import HEAD_BYTES, SILENCE_LEVEL, UNTIMED, AudioFormat, container, is_text, peak, plain_wav

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # audioop leaves the standard library with Python 3.13
    audioop = pytest.importorskip("audioop")


@pytest.mark.parametrize(("declared", "block", "per_second"), [
    (AudioFormat("pcm_s16le", 16000), 2, 32000.0),
    (AudioFormat("pcm_s16le", 44100, 2), 4, 176400.0),
    (AudioFormat("pcm_s32le", 8000), 4, 32000.0),
    (AudioFormat("mulaw", 8000), 1, 8000.0),
    (AudioFormat("alaw", 8000, 2), 2, 16000.0),
    (AudioFormat("pcm_s16le"), 2, None),
    (AudioFormat("pcm_s16le", 0), 2, None),
    (AudioFormat("opaque", 48000, 2), 1, None),
    (UNTIMED, 1, None),
])
def test_bytes_to_seconds(declared: AudioFormat, block: int, per_second: float | None) -> None:
    assert declared.block == block
    assert declared.bytes_per_second == per_second


@pytest.mark.parametrize(("head", "name"), [
    (b"RIFF\x24\x08\x00\x00WAVEfmt ", "wav"), (b"OggS\x00\x02", "ogg"), (b"\x1aE\xdf\xa3\x9fB", "webm"), (b"fLaC\x00", "flac"),
    (b"ID3\x04", "mp3"), (b"#!AMR\n", "amr"), (b"#!AMR-WB\n", "amr"), (b"FORM\x00", "aiff"), (b"caff\x00", "caf"),
    (b"\x00\x00\x00\x20ftypisom", "mp4"), (b"\x00\x00\x00\x20", None), (b"", None), (b"RIF", None), (bytes(64), None),
])
def test_containers_are_told_by_their_first_bytes(head: bytes, name: str | None) -> None:
    assert container(head) == name


@pytest.mark.parametrize("code", range(256))
def test_g711_levels_are_those_of_the_standard_library(code: int) -> None:
    byte = bytes([code])
    mulaw = abs(struct.unpack("<h", audioop.ulaw2lin(byte, 2))[0])
    alaw = abs(struct.unpack("<h", audioop.alaw2lin(byte, 2))[0])
    assert peak(byte, "mulaw") == mulaw / 32124
    assert peak(byte, "alaw") == alaw / 32256


def tone(level: float, samples: int = 64) -> list[float]:
    return [level * math.sin(2 * math.pi * n / 16) for n in range(samples)]


def encode(wave: list[float], name: str) -> bytes:
    pcm = struct.pack(f"<{len(wave)}h", *(round(32767 * value) for value in wave))
    if name == "pcm_s32le":
        return struct.pack(f"<{len(wave)}i", *(round(2147483647 * value) for value in wave))
    if name == "mulaw":
        return bytes(audioop.lin2ulaw(pcm, 2))
    return bytes(audioop.lin2alaw(pcm, 2)) if name == "alaw" else pcm


@pytest.mark.parametrize("name", ["pcm_s16le", "pcm_s32le", "mulaw", "alaw"])
def test_silence_and_speech_fall_on_their_sides_of_the_level(name: str) -> None:
    silence, room, quiet, loud = (peak(encode(tone(level), name), name) for level in (0, 0.001, 0.02, 1.0))
    assert silence is not None
    assert room is not None
    assert quiet is not None
    assert silence < SILENCE_LEVEL
    assert room < SILENCE_LEVEL
    assert quiet == pytest.approx(0.02, rel=0.05)
    assert loud == pytest.approx(1.0, rel=0.05)


def test_the_lowest_sample_is_full_scale() -> None:
    assert peak(b"\x00\x80", "pcm_s16le") == 1.0
    assert peak(b"\x00\x00\x00\x80", "pcm_s32le") == 1.0


@pytest.mark.parametrize("name", ["pcm_s16le", "pcm_s32le", "mulaw", "alaw", "opaque"])
def test_nothing_has_no_level(name: str) -> None:
    assert peak(b"", name) is None


def test_a_cut_sample_is_left_out() -> None:
    assert peak(b"\x00\x40\xff", "pcm_s16le") == 0.5
    assert peak(b"\x00", "pcm_s16le") is None
    assert peak(b"\x00\x00\x00\x40\xff\xff\xff", "pcm_s32le") == 0.5


def test_what_cannot_be_read_has_no_level() -> None:
    assert peak(b"OggS", "opaque") is None


def test_mulaw_levels_rise_with_the_code() -> None:
    levels = [peak(bytes([code]), "mulaw") or 0.0 for code in range(0xFF, 0x7F, -1)]
    assert all(a < b for a, b in pairwise(levels))


@given(st.binary(max_size=HEAD_BYTES), st.sampled_from(["pcm_s16le", "pcm_s32le", "mulaw", "alaw"]))
def test_a_level_is_a_share_of_full_scale(head: bytes, name: str) -> None:
    level = peak(head, name)
    assert level is None or 0.0 <= level <= 1.0


@pytest.mark.parametrize("offset", range(-40, 1, 8))
def test_faint_telephony_is_no_text(offset: int) -> None:
    """Noise a little below zero is made of capitals in A-law."""
    noise = [offset - (number * 7919) % 24 for number in range(HEAD_BYTES)]
    head = encoded_alaw(noise)
    assert not is_text(head)


def encoded_alaw(samples: list[int]) -> bytes:
    return bytes(audioop.lin2alaw(struct.pack(f"<{len(samples)}h", *samples), 2))


def test_base64_and_json_are_text() -> None:
    assert is_text(b64encode(bytes(range(HEAD_BYTES)))[:HEAD_BYTES])
    assert is_text(b'{"type": "KeepAlive"}')
    assert not is_text(b"A" * HEAD_BYTES)


@pytest.mark.parametrize(("channels", "width", "name"), [(1, 2, "pcm_s16le"), (2, 2, "pcm_s16le"), (1, 4, "pcm_s32le")])
def test_the_plainest_header_is_the_standard_librarys(channels: int, width: int, name: str) -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes(bytes(channels * width * 800))
    whole = out.getvalue()
    assert plain_wav(AudioFormat(name, 16000, channels), len(whole)) == whole[:44]


@pytest.mark.parametrize(("of", "length"), [
    (AudioFormat("pcm_s16le", 16000), 43), (AudioFormat("mulaw", 8000), 844), (AudioFormat("pcm_s16le"), 844), (UNTIMED, 844),
])
def test_not_everything_has_a_plain_header(of: AudioFormat, length: int) -> None:
    assert plain_wav(of, length) == b""
