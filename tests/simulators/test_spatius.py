"""Console and ingress: who may come in, animation for audio, the limits, and what is no message."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from proxy.simulators import SpatiusSimulator
from tests.aio import run
from tests.sdks import chunks, speech
from tests.spatius_proto import TYPES, build, read

INGRESS = "/v2/driveningress/websocket?id=avatar-1"
AUTH = {"X-App-ID": "app-1", "X-Session-Key": "key"}
CONFIGURE = build("configure", sample_rate=16000)
AUDIO = speech(0.35)


def spoken(audio: bytes = AUDIO, seconds: float = 0.1, req: str = "r-1") -> list[bytes | str]:
    return [*(build("audio", req_id=req, audio=chunk) for chunk in chunks(audio, seconds)), build("audio", req_id=req, end=True)]


async def hear(sim: SpatiusSimulator, send: list[bytes | str], until: int | None = None) -> tuple[list[Any], tuple[int, str] | None]:
    """Send everything; messages up to the close, or so many of them."""
    messages: list[Any] = []
    async with connect(sim.url + INGRESS, additional_headers=AUTH, compression=None) as socket:
        try:
            for message in send:
                await socket.send(message)
            while until is None or len(messages) < until:
                messages.append(read(await socket.recv()))  # type: ignore[arg-type]
        except ConnectionClosed:
            pass
        if until is not None:
            await socket.close()
    end = socket.protocol.close_rcvd
    return messages, None if end is None else (end.code, end.reason)


Heard = tuple[list[Any], tuple[int, str] | None, SpatiusSimulator]


def session(send: list[bytes | str], until: int | None = None, **options: Any) -> Heard:
    async def main() -> Heard:
        async with SpatiusSimulator(**options) as sim:
            return *await hear(sim, send, until), sim

    return run(main())


def refused(path: str = INGRESS, headers: dict[str, str] = AUTH, **options: Any) -> tuple[int, bytes]:
    async def main() -> tuple[int, bytes]:
        async with SpatiusSimulator(**options) as sim:
            with pytest.raises(InvalidStatus) as caught:
                async with connect(sim.url + path, additional_headers=headers):
                    pass
            response = caught.value.response
            assert sim.sessions[0].status == response.status_code
            return response.status_code, bytes(response.body or b"")

    return run(main())


def token(path: str = "/v1/console/session-tokens", key: str | None = "key", body: Any = None, method: str = "POST",
          **options: Any) -> tuple[int, Any]:
    body = {"expireAt": int(time.time()) + 300} if body is None else body

    def ask(url: str) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"} | ({} if key is None else {"X-Api-Key": key})
        try:
            with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)) as got:
                return got.status, json.load(got)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    async def main() -> tuple[int, Any]:
        async with SpatiusSimulator(**options) as sim:
            got = await asyncio.to_thread(ask, sim.url.replace("ws", "http", 1) + path)
            assert [seen.path for seen in sim.requests] == [path]
            assert sim.sessions == []
            return got

    return run(main())


def test_a_token_for_a_key() -> None:
    status, told = token()
    assert status == 200
    assert set(told) == {"sessionToken"}
    assert set(token("/v1/auth/session-token")[1]) == {"session_token"}


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"key": None}, 401),
        ({"key": "bad-key"}, 401),
        ({"body": {}}, 400),
        ({"body": []}, 400),
        ({"body": {"expireAt": 1}}, 400),
        ({"body": {"expireAt": int(time.time()) + 100_000}}, 400),
        ({"path": "/v1/console/nothing"}, 404),
        ({"method": "PUT"}, 405),
        ({"fault": "token-429"}, 429),
        ({"fault": "token-200-401"}, 200),
    ],
)
def test_no_token(facts: dict[str, Any], status: int) -> None:
    got, told = token(**facts)
    assert got == status
    assert "sessionToken" not in told
    assert ("errors" in told) == (status not in (404, 405))


@pytest.mark.parametrize(
    ("path", "headers", "status", "message"),
    [
        (INGRESS, {}, 400, "empty token"),
        (INGRESS, AUTH | {"X-Session-Key": "bad-key"}, 400, "Invalid session token"),
        (INGRESS, AUTH | {"X-Session-Key": "stale-key-1"}, 401, "session token expired"),
        (INGRESS + "&appId=app-1&sessionKey=bad-key", {}, 400, "Invalid session token"),
        (INGRESS, AUTH | {"X-App-ID": "unknown-app"}, 404, "app id unrecognized"),
        (INGRESS, {"X-Session-Key": "key"}, 404, "app id unrecognized"),
        (INGRESS, AUTH | {"X-App-ID": "other-app"}, 400, "App ID mismatch"),
        (INGRESS.partition("?")[0], AUTH, 404, "Avatar not found"),
        (INGRESS.replace("avatar-1", "no-avatar"), AUTH, 404, "Avatar not found"),
        ("/v3/driveningress/websocket?id=a", AUTH, 404, "Not Found"),
    ],
)
def test_refusals(path: str, headers: dict[str, str], status: int, message: str) -> None:
    assert refused(path, headers) == (status, json.dumps({"message": message}, separators=(",", ":")).encode() + b"\n")


def test_a_refusal_in_another_wording() -> None:
    assert refused(fault="avatarNotFound", wording="live")[1] == b'{"message":"Avatar not found: avatar-1"}\n'


def test_confirmed_then_animated_to_the_end() -> None:
    (hello, *frames, last), _, sim = session([CONFIGURE, *spoken()], 5)
    assert hello.type == TYPES["confirm"]
    assert hello.confirm.connection_id == sim.sessions[0].request_id
    assert {(frame.animation.connection_id, frame.animation.req_id) for frame in [*frames, last]} == {(sim.sessions[0].request_id, "r-1")}
    assert [frame.animation.end for frame in [*frames, last]] == [False, False, False, True]
    assert bytes(sim.sessions[0].audio) == AUDIO
    assert sim.sessions[0].close == (1000, "")


@pytest.mark.parametrize("seconds", [0.02, 0.3])
def test_the_same_audio_gives_the_same_frames(seconds: float) -> None:
    def frames(seconds: float) -> list[tuple[bool, bytes]]:
        return [(one.animation.end, one.animation.animation) for one in session([CONFIGURE, *spoken(seconds=seconds)], 5)[0][1:]]

    assert frames(seconds) == frames(0.1)


def test_opus_an_interrupt_and_a_second_request() -> None:
    opus = build("configure", sample_rate=24000, audio_format=1)
    sends = [opus, build("audio", req_id="r-1", audio=bytes(1000)), build("interrupt", req_id="r-1"), *spoken(bytes(400), req="r-2")]
    told = session(sends, 6)[0][1:]
    assert [(one.animation.req_id, one.animation.end) for one in told] == [
        ("r-1", False), ("r-1", False), ("r-1", True), ("r-2", False), ("r-2", True)]


@pytest.mark.parametrize("egress", [{"livekit_egress": {"api_token": "t"}}, {"livekit_egress": {"api_key": "k", "api_secret": "s"}}])
def test_with_an_egress_only_the_end_comes_back(egress: dict[str, Any]) -> None:
    told = session([build("configure", sample_rate=16000, egress_type=1, **egress), *spoken()], 2)[0]
    assert [one.animation.end for one in told] == [False, True]
    assert told[0].type == TYPES["confirm"]


def test_what_the_sibling_adds() -> None:
    hello, frame, state = session([CONFIGURE, *spoken()[:1], build("pause", req_id="r-1")], 3, sibling=True)[0]
    assert list(hello.confirm.capability) == ["pause", "playback_state"]
    assert frame.animation.avatar_id == "avatar-1"
    assert (state.playback_state.state, state.playback_state.played_ms, state.playback_state.reason) == (1, 100, "explicit")


@pytest.mark.parametrize(
    ("send", "code", "message"),
    [
        ([build("configure", sample_rate=12345)], 0, "unsupported sample rate: 12345"),
        ([build("configure")], 0, "unsupported sample rate: 0"),
        (["hello"], 0, "unexpected message type: text"),
        (spoken(), 0, "expected ClientConfigureSession message, got 3"),
        ([b"\xff\xff"], 0, "failed to unmarshal initial message: proto: a varint without an end"),
        ([build("configure", sample_rate=16000, egress_type=1)], 0, "missing livekit credentials"),
        ([build("configure", sample_rate=16000, egress_type=1, livekit_egress={"api_token": "bad-key"})], 16,
         "failed to create connection: failed to connect to room: unauthorized: invalid token"),
    ],
)
def test_refused_after_the_101(send: list[bytes | str], code: int, message: str) -> None:
    (told,), end, _ = session(send)
    assert (told.error.code, told.error.message) == (code, message)
    assert end == (1011, "")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("hello", "unexpected message type: text"),
        (b"\xff", "a varint without an end"),
        (b"\x08\x03\x20\x01", "a number where a message should be"),
        (CONFIGURE, "unexpected message type: 1"),
        (build("pause", req_id="r-1"), "unexpected message type: 8"),
    ],
)
def test_later_messages_that_are_none(message: bytes | str, told: str) -> None:
    (_, error), end, _ = session([CONFIGURE, message], wording="live")
    assert error.error.message == told
    assert end == (1000, "")


def test_idle_and_too_long() -> None:
    (_, told), _, _ = session([CONFIGURE], idle_seconds=0.05)
    assert (told.error.code, told.error.message) == (0, "no audio input for 0.05s")
    (told,), _, _ = session([], idle_seconds=0.05, wording="live")
    assert told.error.message == "livekit silence timeout"
    (_, told), end, _ = session([CONFIGURE], max_session_seconds=0.05)
    assert (told.error.code, end) == (4002, (4002, "session timeout"))


def test_silent_from_then_on() -> None:
    async def main() -> None:
        async with SpatiusSimulator(fault="stall", idle_seconds=0.2) as sim:
            told, _ = await hear(sim, [CONFIGURE, *spoken()])
            assert [one.type for one in told] == [TYPES["confirm"]]
            assert bytes(sim.sessions[0].audio) == AUDIO

    run(main())


@pytest.mark.parametrize("options", [{"idle_seconds": 0}, {"max_session_seconds": 0}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        SpatiusSimulator(**options)
