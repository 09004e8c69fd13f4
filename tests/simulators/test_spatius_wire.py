"""What the simulator writes and reads by hand, against the `protobuf` library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.simulators import spatius_wire as wire
from proxy.simulators.spatius_wire import Kind
from tests.spatius_proto import build, read

texts = st.text(max_size=200)


@given(texts, texts, st.integers(-(2**31), 2**31 - 1), texts)
def test_an_error_is_written_as_protobuf_writes_it(connection: str, req: str, code: int, detail: str) -> None:
    assert wire.error(connection, req, code, detail) == build("error", connection_id=connection, req_id=req, code=code, message=detail)


@given(texts, texts, st.binary(max_size=400), st.booleans(), texts)
def test_so_is_an_animation(connection: str, req: str, payload: bytes, end: bool, avatar: str) -> None:
    by_hand = wire.animation(connection, req, payload, end=end, avatar_id=avatar)
    assert by_hand == build("animation", connection_id=connection, req_id=req, end=end, animation=payload, avatar_id=avatar)


def test_the_other_messages() -> None:
    assert wire.confirm("c") == build("confirm", connection_id="c")
    assert wire.confirm("c", "pause", "more") == build("confirm", connection_id="c", capability=["pause", "more"])
    state = build("playback_state", connection_id="c", req_id="r", state=2, played_ms=70000, reason="explicit")
    assert wire.playback_state("c", "r", 2, 70000, "explicit") == state
    assert wire.confirm("") == build("confirm")


@given(texts, st.booleans(), st.binary(max_size=400), texts)
def test_audio_is_read(req: str, end: bool, audio: bytes, trace: str) -> None:
    kind, content = wire.open_message(build("audio", req_id=req, end=end, audio=audio, trace_context={"traceparent": trace}))
    assert kind == Kind.AUDIO
    assert (wire.text(content, 1), bool(wire.number(content, 2)), wire.raw(content, 3)) == (req, end, audio)
    assert wire.text(wire.decode(wire.raw(content, 4)), 1) == trace


def test_the_frames_that_were_measured() -> None:
    configure = bytes.fromhex("08011203" + "08807d")
    assert configure == build("configure", sample_rate=16000)
    kind, content = wire.open_message(configure)
    assert (kind, wire.number(content, 1), wire.number(content, 3)) == (Kind.CONFIGURE, 16000, 0)
    assert len(build("audio", req_id="20250101120000_abcdefghijkl", audio=bytes(3200))) == 3237
    assert len(build("audio", req_id="20250101120000_abcdefghijkl", end=True)) == 35
    assert len(build("interrupt", req_id="20250101120000_abcdefghijkl")) == 33


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_value_error(data: bytes) -> None:
    try:
        kind, _ = wire.open_message(data)
    except ValueError:
        return
    assert isinstance(kind, int)


@pytest.mark.parametrize("data", [b"\x80", b"\x0a\x05ab", b"\x0b", b"\x02\x01a", b"\xff" * 11])
def test_broken_bytes(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"varint|cut short|wire type|field 0"):
        wire.decode(data)


def test_fixed_widths_are_passed_over() -> None:
    assert wire.decode(b"\x09" + bytes(8) + b"\x15" + bytes(4) + b"\x18\x07") == {1: bytes(8), 2: bytes(4), 3: 7}


def test_what_is_missing_is_empty_and_a_wrong_form_too() -> None:
    fields = wire.decode(b"\x08\x07\x12\x01a")
    assert (wire.number(fields, 2), wire.raw(fields, 1), wire.text(fields, 9)) == (0, b"", "")
    assert read(wire.confirm("x")).confirm.connection_id == "x"
