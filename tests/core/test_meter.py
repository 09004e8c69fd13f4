"""What one message holds, and what is wrong with it."""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any

import orjson
import pytest

from proxy.core.audio import HEAD_BYTES
from proxy.core.deflate import Inflater
from proxy.core.frames import BrokenError, Cutter, Frame
from proxy.core.meter import Measured, Meter
from proxy.core.policy import Rule
from proxy.core.vendor import Request, Vendor
from tests.core.gating import BARE, FILES, PROTOBUF, masked_frame, samples, wav
from tests.core.playbook import BINARY, CONTINUATION, TEXT


def meter(of: Vendor = BARE, query: str = "", inflater: Inflater | None = None) -> Meter:
    return Meter(of.endpoints["v1"], Request.of(f"/v1?{query}", {}), inflater)


def frames(*raw: bytes) -> list[Frame]:
    cutter = Cutter()
    cutter.add(b"".join(raw))
    return [frame for _ in raw if (frame := cutter.next(1 << 24)) is not None]


def binary(payload: bytes) -> list[Frame]:
    return frames(masked_frame(BINARY, payload))


def text(**message: Any) -> list[Frame]:
    return frames(masked_frame(TEXT, orjson.dumps(message)))


@pytest.mark.parametrize(("query", "seconds"), [("", 1.0), ("rate=8000", 2.0), ("channels=2", 0.5), ("encoding=mulaw", 2.0)])
def test_bare_samples_are_timed_by_their_length(query: str, seconds: float) -> None:
    assert meter(query=query).measure(binary(samples(32000))) == Measured(seconds, audio=True, bare=True, alike=True)


def test_nothing_in_a_message_is_nothing() -> None:
    assert meter().measure(binary(b"")) == Measured()
    assert meter(FILES).measure(binary(b"")) == Measured()


def test_compressed_formats_are_audio_that_cannot_be_timed() -> None:
    assert meter(query="encoding=opus").measure(binary(b"OggS")) == Measured(audio=True, alike=True)


def test_fragments_are_one_message() -> None:
    parts = frames(masked_frame(BINARY, samples(100), b"abcd", fin=False), masked_frame(CONTINUATION, samples(220, 100), b"wxyz"))
    assert meter().measure(parts).seconds == pytest.approx(0.01)


def test_a_file_is_timed_by_its_own_header() -> None:
    one = meter(FILES)  # only the first is held against what is declared
    assert one.measure(binary(wav(samples(32000)))) == Measured(1.0, audio=True)
    assert one.measure(binary(wav(samples(32000), rate=8000))) == Measured(2.0, audio=True)
    assert one.measure(binary(b"\xff\xf3mp3")) == Measured(audio=True)


def test_audio_in_json_is_timed_by_the_length_of_its_base64() -> None:
    found = meter().measure(text(type="audio", data=b64encode(samples(3201)).decode()))
    assert found == Measured(3201 / 32000, audio=True)
    assert meter(query="encoding=opus").measure(text(type="audio", data="AAAA")) == Measured(audio=True)
    assert meter().measure(text(type="audio", data="")) == Measured()


def test_audio_in_protobuf_is_timed_too() -> None:
    data = b"\x08\x02\x1a\xc0\x02" + samples(320)
    assert meter(PROTOBUF).measure(binary(data)) == Measured(0.01, audio=True)
    one = meter(PROTOBUF)
    assert one.measure(binary(b"\x08\x01\x10\xc0\x3e")) == Measured()
    assert one.audio_format.sample_rate == 8000
    assert one.measure(binary(data)).seconds == pytest.approx(0.02)
    assert one.measure(binary(b"\xff\xff")).wrong_shape == "a message that is not of the vendor's protocol"
    assert one.measure(text(type="end")) == Measured()


def test_json_in_a_binary_message_is_no_audio() -> None:
    one = meter()
    assert one.measure(binary(samples(320))).bare
    assert one.measure(binary(b'{"type":"alive"}')) == Measured()


def test_only_the_head_of_binary_messages_is_unmasked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    plain = Frame.plain

    def looked(self: Frame, most: int | None = None) -> bytes:
        asked.append(most)
        return plain(self, most)

    monkeypatch.setattr(Frame, "plain", looked)
    meter().measure(binary(samples(320)))
    assert asked == [HEAD_BYTES]


def test_what_is_wrong_is_told_by_rule() -> None:
    assert Measured(wrong_format="one", wrong_shape="two").wrong == [(Rule.AUDIO_FORMAT, "one"), (Rule.MESSAGE_SHAPE, "two")]
    assert Measured().wrong == []


def test_a_container_in_audio_is_told_of_once() -> None:
    one = meter()
    assert one.measure(binary(wav(samples(800)))).wrong_format is not None
    assert one.measure(binary(wav(samples(800)))).wrong_format is None


@pytest.mark.parametrize(("query", "head", "words"), [
    ("channels=2", b"fLaC", "a container (flac) where raw pcm_s16le at 16000 Hz, 2 channels was declared"),
    ("", wav(samples(800)).replace(b"\x01\x00\x01\x00", b"\x55\x00\x01\x00"),
     "a WAV file of opaque where raw pcm_s16le at 16000 Hz was declared"),
])
def test_words_for_what_is_wrong(query: str, head: bytes, words: str) -> None:
    assert meter(query=query).measure(binary(head + samples(200))).wrong_format == words


def test_texts_are_judged_by_the_profile() -> None:
    one = meter()
    assert one.measure(text(type="end")) == Measured()
    assert one.measure(text(type="set", rate=8000)).wrong_shape == "a message of type 'set' lacks a field that the vendor requires"
    assert one.audio_format.sample_rate == 8000
    assert one.measure(text(type="other")).wrong_shape == "a message of a type that the vendor does not know"
    assert one.measure(frames(masked_frame(TEXT, b"3"))).wrong_shape == "a text message that is no JSON object"
    assert one.measure(frames(masked_frame(TEXT, b"\xff"))).wrong_shape == "a text message that is not JSON"
    assert one.measure(frames(masked_frame(TEXT, b"[" * 300_000))) == Measured()


def deflated(payload: bytes) -> list[Frame]:
    deflate = zlib.compressobj(wbits=-15)
    data = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frames(masked_frame(BINARY, data[:-4], rsv=0x40))


def test_compressed_messages_are_read_as_what_they_hold() -> None:
    assert meter(inflater=Inflater(True, 15)).measure(deflated(samples(32000))).seconds == 1.0
    with pytest.raises(BrokenError):
        meter().measure(deflated(samples(32000)))
    with pytest.raises(BrokenError):
        meter(inflater=Inflater(False, 15)).measure(frames(masked_frame(BINARY, b"\xff\xff", rsv=0x40)))
