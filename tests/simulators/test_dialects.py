"""What each endpoint's clients send, and what they make of what they hear."""

from __future__ import annotations

import asyncio
import wave
from io import BytesIO
from typing import Any

import pytest

from proxy.simulators import SIMULATORS, spatius_wire
from proxy.simulators.caller import Manner, call
from proxy.simulators.dialects import (
    AVATAR,
    FLUX,
    NOVA,
    SCRIPTED,
    UNSCRIPTED,
    V3,
    VOICE,
    VOICE_AS_DOCUMENTED,
    Dialect,
    Told,
    wav_file,
)
from proxy.simulators.recording import recording
from tests.aio import run

ALL = {"nova": NOVA, "flux": FLUX, "v3": V3, "voice": VOICE, "documented": VOICE_AS_DOCUMENTED, "avatar": AVATAR, "scripted": SCRIPTED,
       "unscripted": UNSCRIPTED}


@pytest.fixture(scope="module")
def calls() -> dict[str, tuple[str, bytes]]:
    """A good call of each, all at once: what its client saw, and what its vendor heard."""
    async def one(dialect: Dialect) -> tuple[str, bytes]:
        options: dict[str, Any] = {"strict": False} if dialect is VOICE else {}
        async with SIMULATORS[dialect.vendor](**options) as simulator:
            seen = await call(simulator.url, dialect, Manner(), 2.0, {})
            return seen, bytes(simulator.sessions[0].audio)

    async def main() -> list[tuple[str, bytes]]:
        return await asyncio.gather(*map(one, ALL.values()))

    return dict(zip(ALL, run(main()), strict=True))


@pytest.mark.parametrize("name", ALL)
def test_a_good_call_brings_the_speech_across(name: str, calls: dict[str, tuple[str, bytes]]) -> None:
    dialect: Dialect = ALL[name]
    seen, audio = calls[name]
    assert audio == recording(dialect.rate)[: 2 * 2 * dialect.rate]
    assert seen.endswith("left with 1000" if dialect.leaves else ("close 1005" if dialect is FLUX else "close 1000"))


def test_a_wav_file_is_one() -> None:
    with wave.open(BytesIO(wav_file(b"\1\0" * 800))) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels(), file.getnframes()) == (16000, 2, 1, 800)


@pytest.mark.parametrize(("dialect", "message", "told"), [
    (NOVA, '{"type":"Results","channel":{"alternatives":[{"transcript":"hi"}]}}', Told("hi")),
    (FLUX, '{"type":"Error","code":"X"}', Told("", "X")),
    (V3, '{"type":"Error","error":"no"}', Told("", "no")),
    (VOICE, '{"type":"error","data":{"error_code":"A"}}', Told("", "A")),
    (VOICE, '{"type":"error","error":"b"}', Told("", "b")),
    (VOICE, '{"type":"transcription","transcript":"hi","is_speech_final":true}', Told("hi", "", True)),
    (SCRIPTED, '{"type":"ELSA:error","message":"no"}', Told("", "no", True)),
    (SCRIPTED, '{"type":"ELSA:ready"}', Told()),
    (SCRIPTED, '{"type":"ELSA:start_stream_result","data":{"success":true}}', Told("", "", False, True)),
    (UNSCRIPTED, '{"status":"processing","stream_id":"1"}', Told("", "", False, True)),
    (AVATAR, spatius_wire.confirm("c-1"), Told("", "", False, True)),
    (VOICE, '{"type":"connection_metadata","data":{"status":"connected"}}', Told("", "", False, True)),
    (UNSCRIPTED, '{"status":"failed","reason":"no"}', Told("", "no", True)),
    (UNSCRIPTED, '{"status":"success"}', Told("", "", True)),
    (UNSCRIPTED, "[]", Told()),
    (AVATAR, spatius_wire.error("c", "r", 3, "bad"), Told("", "3 bad")),
    (AVATAR, spatius_wire.animation("c", "r", b"x"), Told("animation")),
    (AVATAR, spatius_wire.animation("c", "r", end=True), Told("animation", "", True)),
    (AVATAR, "text", Told()),
])
def test_what_is_heard(dialect: Dialect, message: str | bytes, told: Told) -> None:
    assert dialect.read(message) == told
