"""The handshake: who is let in, with what headers, and who is refused how."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import brotli
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from proxy.simulators import DeepgramSimulator
from proxy.simulators.base import BAD_KEY
from tests.aio import run, tls_pair
from tests.simulators.calls import CLOSE_STREAM, TOKEN, V1, V2, call, spoken


async def refusal(sim: DeepgramSimulator, path: str, headers: dict[str, str]) -> Any:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(sim.url + path, additional_headers=headers):
            pass
    return caught.value.response


def test_the_101() -> None:
    async def main() -> None:
        async with DeepgramSimulator() as sim:
            seen = await call(sim, V1, [CLOSE_STREAM], {"aUTHORIZATION": "bearer jwt"})
            session = sim.sessions[0]
            await session.ended.wait()
            assert seen.headers["dg-request-id"] == session.request_id
            assert "dg-error" in seen.headers["access-control-expose-headers"]
            assert "Sec-WebSocket-Protocol" not in seen.headers
            assert (session.path, session.status, session.texts) == (V1, 101, [CLOSE_STREAM])
            assert ("aUTHORIZATION", "bearer jwt") in session.headers
            assert session.close == (1000, "")

    run(main())


def test_the_key_as_a_subprotocol_is_answered_with_its_first_word() -> None:
    async def main() -> None:
        offered = [Subprotocol("token"), Subprotocol("secret"), Subprotocol("x-deepgram-session-id")]
        async with DeepgramSimulator() as sim:
            seen = await call(sim, V1, [CLOSE_STREAM], {}, subprotocols=offered)
            assert seen.headers["Sec-WebSocket-Protocol"] == "token"

    run(main())


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (V1, {}, 401, "INVALID_AUTH"),
        (V1, {"Authorization": "Token bad-key"}, 401, "INVALID_AUTH"),
        (V1, {"Authorization": "key"}, 401, "INVALID_AUTH"),
        (V2, {"Authorization": "Token "}, 401, "INVALID_AUTH"),
        ("/v9/listen", TOKEN, 405, "Method Not Allowed"),
        ("/v1/listen?encoding=linear16", TOKEN, 400, "Bad Request"),
        ("/v1/listen?encoding=linear16&sample_rate=fast", TOKEN, 400, "Bad Request"),
        ("/v1/listen?encoding=wax", TOKEN, 400, "Bad Request"),
        ("/v2/listen", TOKEN, 400, "Bad Request"),
    ],
)
def test_refused(path: str, headers: dict[str, str], status: int, code: str) -> None:
    async def main() -> None:
        async with DeepgramSimulator() as sim:
            response = await refusal(sim, path, headers)
            body = json.loads(response.body)
            assert (response.status_code, body["err_code"]) == (status, code)
            assert response.headers["dg-error"] == body["err_msg"]
            assert response.headers["dg-request-id"] == body["request_id"] == sim.sessions[0].request_id
            assert sim.sessions[0].status == status

    run(main())


@pytest.mark.parametrize(("accept", "encoding", "unpack"), [
    ("gzip, deflate", "gzip", gzip.decompress), ("gzip, deflate, br", "br", brotli.decompress), ("zebra, *", None, bytes),
])
def test_the_modern_body_and_its_compression(accept: str, encoding: str | None, unpack: Callable[[bytes], bytes]) -> None:
    async def main() -> None:
        async with DeepgramSimulator(body="modern") as sim:
            response = await refusal(sim, V1, {"Accept-Encoding": accept})
            assert response.headers.get("content-encoding") == encoding
            assert json.loads(unpack(response.body)) == {
                "category": "INVALID_AUTH",
                "message": "Invalid credentials.",
                "details": "Invalid credentials.",
                "request_id": sim.sessions[0].request_id,
            }

    run(main())


def test_one_session_too_many() -> None:
    async def main() -> None:
        async with DeepgramSimulator(concurrency=1) as sim:
            async with connect(sim.url + V1, additional_headers=TOKEN):
                assert (await refusal(sim, V1, TOKEN)).status_code == 429
            await sim.sessions[0].ended.wait()
            assert (await call(sim, V1, [CLOSE_STREAM], TOKEN)).code == 1000

    run(main())


def test_over_tls_and_with_deflate(tmp_path: Path) -> None:
    cert, key = tls_pair(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)

    async def main() -> None:
        async with DeepgramSimulator(tls=server, compression=True) as sim:
            assert sim.url.startswith("wss://")
            trust = ssl.create_default_context(cafile=cert)
            async with connect(sim.url + V1, additional_headers=TOKEN, ssl=trust) as socket:
                assert socket.response is not None
                assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
                await socket.send(CLOSE_STREAM)
                assert json.loads(await socket.recv())["type"] == "Metadata"

    run(main())


def test_strict_reads_no_faster_than_it_may() -> None:
    async def main() -> float:
        async with DeepgramSimulator() as sim:
            began = asyncio.get_running_loop().time()
            await call(sim, V1, spoken(audio=bytes(16000)), TOKEN)  # half a second of audio
            return asyncio.get_running_loop().time() - began

    assert run(main()) >= 0.4


@pytest.mark.parametrize("options", [{"body": "old"}, {"idle_seconds": 0}, {"flux_idle_seconds": -1}])
def test_options_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no body 'old'; there are: legacy, modern|must be above 0"):
        DeepgramSimulator(**options)


@pytest.mark.parametrize(("method", "headers", "body", "status", "code"), [
    ("POST", TOKEN, b'{"ttl_seconds":3600}', 200, None),
    ("POST", TOKEN, b"", 200, None),
    ("POST", {}, b"", 401, "INVALID_AUTH"),
    ("POST", {"Authorization": f"Token {BAD_KEY}"}, b"", 401, "INVALID_AUTH"),
    ("POST", TOKEN, b'{"ttl_seconds":0}', 400, "Bad Request"),
    ("POST", TOKEN, b"[]", 400, "Bad Request"),
    ("POST", TOKEN, b"{", 400, "INVALID_JSON"),
    ("GET", TOKEN, b"", 405, "Method Not Allowed"),
])
def test_a_temporary_token(method: str, headers: dict[str, str], body: bytes, status: int, code: str | None) -> None:
    async def main() -> None:
        async with (DeepgramSimulator() as sim, aiohttp.ClientSession() as client,
                    client.request(method, sim.url.replace("ws", "http", 1) + "/v1/auth/grant", headers=headers, data=body) as answer):
            said = await answer.json()
            assert (answer.status, said.get("err_code")) == (status, code)
            assert answer.headers["dg-request-id"] == sim.requests[0].request_id
            if code is None:
                assert (said["access_token"][:4], said["expires_in"]) == ("jwt-", 3600 if body else 30)

    run(main())
