"""Uploads: a form in, JSON out, and the errors that the error page has for them."""

from __future__ import annotations

import base64
import random
from typing import Any

import aiohttp
import pytest

from proxy.simulators import ElsaSimulator
from proxy.simulators.elsa_faults import ROWS
from tests.aio import run
from tests.sdks import speech
from tests.simulators.calls import AUDIO
from tests.simulators.wavs import wav

SCRIPTED = "/api/v2/score_audio"
UNSCRIPTED = "/api/v1/score_audio_plus"
KEY = {"Authorization": "ELSA a-token"}
FILE = wav(AUDIO)
NOISE = wav(random.Random(7).randbytes(40_000))
"""Every byte there is, line ends included."""


def form(audio: bytes | None = FILE, **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData({"api_plan": "premium", **fields})
    if audio is not None:
        data.add_field("audio_file", audio, filename="a.wav", content_type="audio/wav")
    return data


def post(path: str, headers: dict[str, str] = KEY, method: str = "POST", request: dict[str, Any] | None = None,
         **options: Any) -> tuple[int, Any, ElsaSimulator]:
    async def main() -> tuple[int, Any, ElsaSimulator]:
        async with ElsaSimulator(**options) as sim, aiohttp.ClientSession() as client:
            url = sim.url.replace("ws", "http", 1) + path
            async with client.request(method, url, headers=headers, **(request or {"data": form()})) as answer:
                return answer.status, await answer.json(), sim

    return run(main())


@pytest.mark.parametrize("path", [SCRIPTED, "/api/v3/score_audio"])
def test_a_scripted_upload(path: str) -> None:
    status, body, sim = post(path, request={"data": form(sentence="pizza party")})
    assert (status, body["total_time"], body["utterance"][0]["sentence"]) == (200, 3.1, "pizza party")
    assert bytes(sim.requests[0].audio) == AUDIO
    assert sim.sessions == []


def test_an_unscripted_upload() -> None:
    status, body, _ = post(UNSCRIPTED)
    assert status == 200
    assert body["speakers"][0]["utterances"][0]["text"].startswith("good morning")


@pytest.mark.parametrize("path", [SCRIPTED, UNSCRIPTED])
def test_every_byte_of_a_file_arrives(path: str) -> None:
    status, _, sim = post(path, request={"data": form(NOISE)})
    assert status == 200
    assert bytes(sim.requests[0].audio) == NOISE[44:]


@pytest.mark.parametrize("prefix", ["", "data:audio/wav;base64,"])
def test_json_with_audio_data(prefix: str) -> None:
    data = prefix + base64.b64encode(FILE).decode()
    assert post(SCRIPTED, request={"json": {"api_plan": "premium", "sentence": "a", "audio_data": data}})[:1] == (200,)


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        (SCRIPTED, {"data": form(None)}, "Missing audio param!"),
        (UNSCRIPTED, {"data": form(None)}, "Missing audio param!"),
        (SCRIPTED, {"data": b"no form"}, "Missing audio param!"),
        (SCRIPTED, {"json": ["a list"]}, "Missing audio param!"),
        (SCRIPTED, {"data": aiohttp.BytesPayload(b"{", content_type="application/json")}, "Missing audio param!"),
        (UNSCRIPTED, {"data": form(None, audio_path="https://audio.example/a.wav")}, "Failed to read audio from the URL"),
        (SCRIPTED, {"data": form(None, audio_data="%")}, "The server failed to parse your base64 audio"),
        (UNSCRIPTED, {"data": form(None, audio_data="%")}, "Failed to decode audio"),
        (SCRIPTED, {"data": form(wav(AUDIO, rate=8000))}, "The server failed to parse your wav audio"),
        (UNSCRIPTED, {"data": form(wav(AUDIO, rate=8000))}, "Only 16 kHz mono WAV, FLAC or OGG-Opus audio allowed"),
        (UNSCRIPTED, {"data": form(AUDIO)}, "Failed to parse audio header"),
    ],
)
def test_what_is_refused(path: str, asked: dict[str, Any], said: str) -> None:
    status, body, _ = post(path, request=asked)
    assert status == 400
    assert body == ({"message": said} if path == SCRIPTED else {"status": "failed", "reason": said})


def test_too_long() -> None:
    assert post(UNSCRIPTED, max_audio_seconds=3.0)[0] == 413
    assert post(UNSCRIPTED, max_audio_seconds=3.0, strict=False)[0] == 200
    assert post(SCRIPTED, max_audio_seconds=3.0)[0] == 200


def test_no_credential() -> None:
    assert post(SCRIPTED, {})[:2] == (401, {"message": "A valid authorization header is required"})
    assert post(UNSCRIPTED, {})[:2] == (401, {"status": "failed", "reason": "No session token provided"})


def test_another_method() -> None:
    assert post(SCRIPTED, method="GET", request={"params": {}})[0] == 405


@pytest.mark.parametrize("name", ROWS)
def test_an_error_on_request(name: str) -> None:
    status, body, _ = post(SCRIPTED, fault=name)
    assert (status, body["message"][:5]) == (ROWS[name].status, ROWS[name].text[:5])
    status, body, _ = post(UNSCRIPTED, fault=name, wording="live", request={"data": form(speech(0.1))})
    assert (status, body["status"], body["reason"].partition(": ")[0]) == (200, "failed", name)
