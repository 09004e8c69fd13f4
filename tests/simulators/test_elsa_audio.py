"""What of a message is audio, and which error each kind of request has for what is none."""

from __future__ import annotations

import struct

import pytest

from proxy.simulators.elsa_audio import Stream, samples
from proxy.simulators.elsa_faults import UnusableError
from tests.sdks import speech
from tests.simulators.wavs import wav, wavs

VOICE = speech(1.0, 0.8)
LIST = struct.pack("<4sI", b"LIST", 5) + b"INFO.\0"


def error(message: bytes, *, scripted: bool) -> tuple[str, dict[str, str]]:
    with pytest.raises(UnusableError) as caught:
        samples(message, scripted=scripted)
    name, values = caught.value.refusal
    return name, dict(values)


@pytest.mark.parametrize(
    "message",
    [
        wav(VOICE),
        wav(VOICE, tag=0xFFFE),
        wav(VOICE, size=0),
        wav(VOICE, size=0xFFFFFFFF),
        wav(VOICE)[:36] + LIST + wav(VOICE)[36:],
        wav(VOICE) + LIST,
    ],
    ids=["plain", "extensible", "open-ended", "open-ended-too", "with-a-list", "list-last"],
)
@pytest.mark.parametrize("scripted", [True, False])
def test_a_wav_file(message: bytes, scripted: bool) -> None:
    assert samples(message, scripted=scripted) == VOICE


@pytest.mark.parametrize(
    ("message", "name", "said"),
    [
        (VOICE, "FailedToParseAudioHeader", "raw"),
        (b"", "FailedToParseAudioHeader", "raw"),
        (wav(VOICE)[:30], "FailedToParseAudioHeader", "wav"),
        (wav(VOICE)[:12] + wav(VOICE)[36:], "FailedToParseAudioHeader", "wav"),
        (b"ID3\x04" + bytes(40), "FailedToParseAudioHeader", "mp3"),
        (wav(VOICE, rate=8000), "InvalidAudioFormat", "wav"),
        (wav(VOICE, channels=2), "InvalidAudioFormat", "wav"),
        (wav(VOICE, bits=8), "InvalidAudioFormat", "wav"),
        (wav(VOICE, tag=7), "InvalidAudioFormat", "wav"),
        (wav(VOICE[:-1]), "FailedToDecodeAudioFromBytes", "wav"),
        (wav(VOICE, size=len(VOICE) + 2), "FailedToDecodeAudioFromBytes", "wav"),
    ],
)
def test_what_is_refused(message: bytes, name: str, said: str) -> None:
    assert error(message, scripted=False) == (name, {})
    assert error(message, scripted=True) == ("FailedToConvertAudio", {"audio_format": said})


@pytest.mark.parametrize("scripted", [True, False])
def test_a_file_without_audio(scripted: bool) -> None:
    assert error(wav(b""), scripted=scripted)[0] == "FailedToUseAudio"


def test_headers_are_no_audio() -> None:
    stream = Stream(scripted=True, tick=0.5, end=0.5)
    heard = b""
    marks: list[str] = []
    for message in wavs(VOICE):
        marks += stream.hear(message)
        heard += stream.heard
    assert heard == VOICE
    assert stream.seconds == 1.8
    assert marks[0] == "onset"
    assert marks.count("end") == 1
    assert stream.words[:2] == ["good", "morning"]


def test_packed_audio_is_taken_as_it_is() -> None:
    stream = Stream(scripted=False, tick=0.5, end=0.5)
    assert stream.seconds == 0.0
    assert stream.words == []
    for message in (b"OggS" + bytes(1996), bytes(2000)):
        assert [*stream.hear(message)]
        assert stream.heard == message
    assert stream.seconds == 1.0


def test_what_cannot_be_heard_leaves_nothing() -> None:
    stream = Stream(scripted=False, tick=0.5, end=0.5)
    [*stream.hear(wav(VOICE))]
    with pytest.raises(UnusableError, match="FailedToParseAudioHeader"):
        stream.hear(VOICE)
    assert stream.heard == b""
    assert stream.seconds == 1.8
