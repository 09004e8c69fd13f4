"""Words lie where the voice is, and do not depend on how the audio was cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.audio import UNTIMED, AudioFormat
from proxy.simulators.speech import SCRIPT, Mark, Speech
from tests.sdks import speech

FORM = AudioFormat("pcm_s16le", 16000)
AUDIO = speech(0.7, 0.3, 0.4, 0.6, 0.2)


def listen(pieces: list[bytes], form: AudioFormat = FORM) -> tuple[Speech, list[tuple[Mark, float]]]:
    heard = Speech(form, tick=0.5)
    return heard, [(mark, round(heard.position, 2)) for piece in pieces for mark in heard.hear(piece)]


def test_words_and_marks() -> None:
    heard, marks = listen([AUDIO])
    assert [(word.text, round(word.start, 2), round(word.end, 2)) for word in heard.words] == [
        (SCRIPT[0], 0.0, 0.3),
        (SCRIPT[1], 0.3, 0.6),
        (SCRIPT[2], 0.6, 0.7),
        (SCRIPT[3], 1.0, 1.3),
        (SCRIPT[4], 1.3, 1.4),
        (SCRIPT[5], 2.0, 2.2),
    ]
    assert [mark for mark in marks if mark[0] != "tick"] == [
        ("onset", 0.02),
        ("pause", 0.9),
        ("resume", 1.02),
        ("pause", 1.6),
        ("end", 1.9),
        ("onset", 2.02),
    ]
    assert [at for mark, at in marks if mark == "tick"] == [0.5, 1.0, 1.5, 2.0]
    assert heard.seconds == 2.2


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9000), max_size=12))
def test_the_cuts_do_not_matter(sizes: list[int]) -> None:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(AUDIO[at : at + size])
        at += size
    heard, marks = listen([*pieces, AUDIO[at:]])
    whole, expected = listen([AUDIO])
    assert (heard.words, marks) == (whole.words, expected)


def test_silence_has_no_words_and_compressed_audio_counts_as_speech() -> None:
    quiet, marks = listen([bytes(32000)])
    assert quiet.words == []
    assert {mark for mark, _ in marks} == {"tick"}
    opaque, _ = listen([bytes(4000)], UNTIMED)
    assert opaque.seconds == 1.0
    assert [word.text for word in opaque.words] == list(SCRIPT[:4])


def test_every_timed_format_hears_voice() -> None:
    for name, loud in (("pcm_s32le", b"\x00\x00\x00\x20"), ("mulaw", b"\x00"), ("alaw", b"\x2a")):
        heard, _ = listen([loud * 8000], AudioFormat(name, 8000))
        assert heard.seconds == 1.0
        assert len(heard.words) == 4
