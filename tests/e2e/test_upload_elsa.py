"""ELSA's uploads: what a client is answered through the sidecar is what it is answered without; and what is told of a failure."""

from __future__ import annotations

import io
import logging
from typing import Any

import aiohttp
import pytest

from proxy.simulators import ElsaSimulator
from tests.aio import run
from tests.e2e.rig import AUDIO, sidecar, upstream
from tests.simulators.wavs import wav

SCRIPTED = "/api/v2/score_audio"
UNSCRIPTED = "/api/v1/score_audio_plus"


def form(audio: bytes) -> aiohttp.FormData:
    data = aiohttp.FormData({"api_plan": "premium", "sentence": "good morning"})
    data.add_field("audio_file", io.BytesIO(audio), filename="a.wav", content_type="audio/wav")
    return data


async def post(url: str, audio: bytes, key: str) -> tuple[int, str | None, bytes]:
    async with aiohttp.ClientSession() as client, client.post(url, data=form(audio), headers={"Authorization": f"ELSA {key}"}) as answer:
        return answer.status, answer.headers.get("content-type"), await answer.read()


class Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.fields: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == "http_failed":
            self.fields.append(vars(record)["fields"])


def both(path: str, audio: bytes = AUDIO, key: str = "key", **options: Any) -> tuple[int, bytes, list[dict[str, Any]]]:
    """Status, body and what the sidecar told."""
    told, logger = Told(), logging.getLogger("earwitness")

    async def main() -> tuple[int, bytes, list[dict[str, Any]]]:
        async with ElsaSimulator(**options) as simulator:
            direct = await post(upstream(simulator) + path, wav(audio), key)
            async with sidecar({"vendor": "elsa", "upstream": upstream(simulator)}) as beside:
                through = await post(beside.url("elsa", "http") + path, wav(audio), key)
            assert through == direct
            assert simulator.requests[0].audio == simulator.requests[1].audio
        return through[0], through[2], told.fields

    logger.addHandler(told)
    try:
        return run(main(), "uvloop")
    finally:
        logger.removeHandler(told)


@pytest.mark.parametrize("path", [SCRIPTED, "/api/v3/score_audio", UNSCRIPTED])
def test_an_upload(path: str) -> None:
    status, body, told = both(path)
    assert (status, told) == (200, [])
    assert b"good morning" in body


def test_an_upload_of_many_pieces() -> None:
    assert both(SCRIPTED, AUDIO * 12)[0] == 200


@pytest.mark.parametrize("wording", ["documented", "live"])
@pytest.mark.parametrize(("path", "options", "code", "owner"), [
    (SCRIPTED, {"key": "bad-key"}, "UserDoesNotExist", "operator"),
    (UNSCRIPTED, {"key": "bad-key"}, "InvalidSessionToken", "operator"),
    (SCRIPTED, {"fault": "ClientIsNotActive"}, "ClientIsNotActive", "operator"),
    (UNSCRIPTED, {"fault": "ASRSocketTimeout"}, "ASRSocketTimeout", "vendor"),
    (UNSCRIPTED, {"max_audio_seconds": 1.0}, "AudioTooBigForSync", "client"),
    (SCRIPTED, {"audio": b""}, "FailedToUseAudio", "unknown"),
])
def test_a_failure(path: str, options: dict[str, Any], code: str, owner: str, wording: str) -> None:
    """In the other wording the unscripted ones come with HTTP 200."""
    status, _, (told,) = both(path, wording=wording, **options)
    assert (status == 200) == (wording == "live" and path == UNSCRIPTED)
    assert (told["code"], told["owner"], told["phase"], told["vendor"]) == (code, owner, "http_request", "elsa")
    assert not any(secret in str(told) for secret in ("bad-key", "u-17"))
