"""Scripted and unscripted streams from the 101 on: who is told what, several streams on a socket, credentials, limits."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from proxy.simulators import ElsaSimulator
from tests.aio import run
from tests.sdks import speech
from tests.simulators.calls import AUDIO
from tests.simulators.wavs import wav, wavs

SCRIPTED = "/api/v2/ws/score_audio"
UNSCRIPTED = "/api/v1/ws/score_audio_plus"
KEY = {"Authorization": "ELSA a-token"}
END = '{"type": "ELSA:end_stream"}'
PLUS = '{"api_plan":"premium","return_json":true}'

T = TypeVar("T")
Talk = Callable[[ClientConnection], Awaitable[T]]


def start(sentence: str = "good morning", plan: str = "premium") -> str:
    return json.dumps({"type": "ELSA:start_stream", "data": {"stream_info": {"api_plan": plan, "sentence": sentence}}})


def session(path: str, talk: Talk[T], headers: dict[str, str] = KEY, **options: Any) -> tuple[T, ElsaSimulator]:
    async def main() -> tuple[T, ElsaSimulator]:
        async with ElsaSimulator(**options) as sim:
            async with connect(sim.url + path, additional_headers=headers, compression=None) as socket:
                said = await talk(socket)
            await sim.sessions[0].ended.wait()
            return said, sim

    return run(main())


async def until(socket: ClientConnection, *ends: str) -> list[dict[str, Any]]:
    """Messages up to one whose type or status is among these, or that finishes a stream (`finished`), or the close."""
    seen: list[dict[str, Any]] = []
    while True:
        try:
            message = json.loads(await socket.recv())
        except ConnectionClosed:
            return seen
        seen.append(message)
        finished = message.get("data", {}).get("stream_finished") is True
        if message.get("type", message.get("status")) in ends or (finished and "finished" in ends):
            return seen


async def say(socket: ClientConnection, *messages: str | bytes) -> None:
    for message in messages:
        await socket.send(message)


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [message.get("type", message.get("status", "")).removeprefix("ELSA:") for message in messages]


async def spoken(socket: ClientConnection, first: str, audio: bytes = AUDIO) -> list[dict[str, Any]]:
    await say(socket, first, *wavs(audio), END)
    return await until(socket, "finished", "success", "failed", "ELSA:error")


def test_a_scripted_stream() -> None:
    seen, sim = session(SCRIPTED, lambda socket: spoken(socket, start()))
    assert kinds(seen)[:3] == ["wsConnect", "ready", "start_stream_result"]
    assert kinds(seen).count("audioACK") == len([*wavs(AUDIO)])
    results = [message["data"] for message in seen if message["type"] == "ELSA:decoding_result"]
    assert [one["stream_finished"] for one in results] == [False] * (len(results) - 1) + [True]
    assert len(results) > 2
    (utterance,) = results[-1]["utterance"]
    assert (utterance["sentence"], utterance["total_time"]) == ("good morning", 3.1)
    assert [word["text"] for word in utterance["words"]][:4] == ["good", "morning", "this", "is"]
    assert bytes(sim.sessions[0].audio) == AUDIO
    assert sim.sessions[0].chunks[0] == 16044
    assert sim.sessions[0].texts == [start(), END]


def test_several_streams_on_one_socket() -> None:
    async def talk(socket: ClientConnection) -> list[list[dict[str, Any]]]:
        first = await spoken(socket, start("one"))
        ready = await until(socket, "ELSA:ready")
        return [first, ready, await spoken(socket, start("two"), speech(0.5))]

    (first, ready, second), _ = session(SCRIPTED, talk)
    assert kinds(ready) == ["ready"]
    assert kinds(second) == ["start_stream_result", "audioACK", "decoding_result", "decoding_result"]
    told = [seen[-1]["data"]["utterance"][0] for seen in (first, second)]
    assert [(one["sentence"], one["total_time"]) for one in told] == [("one", 3.1), ("two", 0.5)]


def test_without_a_sentence_the_words_are_the_sentence() -> None:
    seen, _ = session(SCRIPTED, lambda socket: spoken(socket, '{"type":"ELSA:start_stream"}', speech(0.6)))
    assert seen[-1]["data"]["utterance"][0]["sentence"] == "good morning"


def test_the_server_stops_listening_when_nobody_speaks() -> None:
    async def talk(socket: ClientConnection) -> list[dict[str, Any]]:
        await say(socket, start(), *wavs(speech(1.0, 2.5)), END)
        return await until(socket, "finished")

    seen, _ = session(SCRIPTED, talk)
    assert kinds(seen)[-2:] == ["stopped_listening", "decoding_result"]
    assert kinds(seen).count("audioACK") == 5  # 1 s, and 1.5 s of silence; what came later is ignored


@pytest.mark.parametrize(("plan", "options", "acknowledged"), [("standard", {}, 41), ("premium", {"max_audio_seconds": 2.0}, 5)])
def test_no_scripted_stream_is_longer_than_the_plan(plan: str, options: dict[str, Any], acknowledged: int) -> None:
    async def talk(socket: ClientConnection) -> list[dict[str, Any]]:
        await say(socket, start(plan=plan), *wavs(speech(22.0)))
        return await until(socket, "finished")

    seen, _ = session(SCRIPTED, talk, **options)
    assert kinds(seen)[-2:] == ["stopped_listening", "decoding_result"]
    assert kinds(seen).count("audioACK") == acknowledged


def test_an_unscripted_stream() -> None:
    seen, sim = session(UNSCRIPTED, lambda socket: spoken(socket, PLUS))
    assert kinds(seen) == ["processing", "processing", "success"]
    assert seen[0]["stream_id"] == sim.sessions[0].request_id
    assert "stream_id" not in seen[1]
    assert "X-Amz-Signature=" in seen[2]["result_link"]
    assert "X-Amz-Signature=" in seen[2]["audio_link"]
    assert seen[2]["speakers"][0]["utterances"][0]["text"].startswith("good morning")
    assert bytes(sim.sessions[0].audio) == AUDIO
    seen, _ = session(UNSCRIPTED, lambda socket: spoken(socket, '{"api_plan":"premium"}', speech(0.5)))
    assert sorted(seen[-1]) == ["audio_link", "result_link", "status"]


@pytest.mark.parametrize(("strict", "last"), [(True, "failed"), (False, "success")])
def test_no_unscripted_stream_is_longer_than_the_plan(strict: bool, last: str) -> None:
    seen, _ = session(UNSCRIPTED, lambda socket: spoken(socket, PLUS), max_audio_seconds=1.0, strict=strict)
    assert kinds(seen)[-1] == last
    assert seen[-1].get("reason") == ("Audio is too big for sync mode, please change to async mode" if strict else None)


@pytest.mark.parametrize(
    ("headers", "scripted", "unscripted"),
    [
        ({}, "A valid authorization header is required", "No session token provided"),
        ({"Authorization": "Token a"}, "A valid authorization header is required", "No session token provided"),
        ({"Authorization": "ELSA"}, "No session token provided", "No session token provided"),
        ({"Authorization": "Elsa bad-key"}, "Could not find client ID", "Invalid session token: bad-key"),
    ],
)
def test_credentials(headers: dict[str, str], scripted: str, unscripted: str) -> None:
    seen, sim = session(SCRIPTED, lambda socket: spoken(socket, start()), headers)
    assert seen[-1] == {"type": "ELSA:error", "message": scripted}
    assert "start_stream_result" not in kinds(seen)
    assert sim.sessions[0].audio == b""
    seen, _ = session(UNSCRIPTED, lambda socket: spoken(socket, PLUS), headers)
    assert seen == [{"status": "failed", "reason": unscripted}]
    for path, text in ((SCRIPTED, scripted), (UNSCRIPTED, unscripted)):
        assert refusal(path, headers, early=True)[1] == text


def refusal(path: str, headers: dict[str, str], **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        session(path, lambda socket: until(socket), headers, **options)
    body = json.loads(caught.value.response.body or b"")
    return caught.value.response.status_code, body.get("message") or body["reason"]


def test_another_path() -> None:
    assert refusal("/api/v2/connect", KEY) == (404, "Not Found")


@pytest.mark.parametrize("scheme", ["ELSA", "Elsa", "elsa", "Bearer"])
def test_schemes(scheme: str) -> None:
    seen, _ = session(SCRIPTED, lambda socket: spoken(socket, start(), speech(0.5)), {"Authorization": f"{scheme} token"}, early=True)
    assert kinds(seen)[-1] == "decoding_result"


def test_audio_that_is_none() -> None:
    async def talk(socket: ClientConnection, first: str) -> list[dict[str, Any]]:
        await say(socket, first, wav(speech(0.5), rate=8000))
        return await until(socket, "ELSA:error", "failed")

    seen, _ = session(SCRIPTED, lambda socket: talk(socket, start()))
    assert seen[-1]["message"] == "The server failed to parse your wav audio"
    seen, sim = session(UNSCRIPTED, lambda socket: talk(socket, PLUS))
    assert seen[-1]["reason"] == "Only 16 kHz mono WAV, FLAC or OGG-Opus audio allowed"
    assert sim.sessions[0].audio == b""


@pytest.mark.parametrize(("path", "first"), [(SCRIPTED, start()), (UNSCRIPTED, PLUS)])
def test_an_end_without_audio(path: str, first: str) -> None:
    seen, _ = session(path, lambda socket: spoken(socket, first, b""))
    assert (seen[-1].get("message") or seen[-1]["reason"]) == "Missing audio param!"


def test_what_is_ignored() -> None:
    """Audio and an end before a start, and messages that are none."""

    async def talk(socket: ClientConnection) -> list[dict[str, Any]]:
        await say(socket, wav(speech(0.5)), END, "no json", "[]", '{"type":"ELSA:other"}', '{"a":1}')
        return await spoken(socket, start("heard"), speech(0.5))

    seen, _ = session(SCRIPTED, talk)
    assert kinds(seen) == ["wsConnect", "ready", "start_stream_result", "audioACK", "decoding_result", "decoding_result"]


def test_seconds_must_be_some() -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        ElsaSimulator(max_audio_seconds=0)
