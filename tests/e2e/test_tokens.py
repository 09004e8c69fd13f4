"""Tokens through the sidecar, from the vendors' simulators: what is passed on, and what is told of a refusal."""

from __future__ import annotations

import json
import logging
from typing import Any

import aiohttp
import pytest

from proxy.app import running
from proxy.settings import Overrides, load
from proxy.simulators import AssemblyAISimulator, DeepgramSimulator
from proxy.simulators.base import BAD_KEY
from tests.aio import run

ANYWHERE = "127.0.0.1:0"


async def through(sim: Any, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, Any, dict[str, int]]:
    """The answer that came through a sidecar, and the codes of what it found wrong."""
    overrides = Overrides(vendor=sim.vendor, listen=ANYWHERE, upstream=sim.url.replace("ws", "http", 1), metrics=ANYWHERE, admin=ANYWHERE)
    async with running(load(overrides=overrides)) as app, aiohttp.ClientSession() as client:
        port = next(bound.port for bound in app.bound if bound.name == sim.vendor)
        async with client.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, data=body) as answer:
            status, said = answer.status, await answer.json()
    return status, said, {f"{code} {category} {owner}": n for (_, code, category, owner), n in app.ledger.request_errors.items() if n}


@pytest.mark.parametrize(("path", "headers", "status", "found"), [
    ("?expires_in_seconds=60", {"Authorization": "key"}, 200, {}),
    ("", {}, 422, {"1008_missing_authorization auth operator": 1}),
    ("?expires_in_seconds=601", {"Authorization": "key"}, 422, {"http_422 invalid_request client": 1}),
    ("", {"Authorization": BAD_KEY}, 401, {"1008_invalid_key auth operator": 1}),
])
def test_assemblyai(path: str, headers: dict[str, str], status: int, found: dict[str, int]) -> None:
    async def main() -> None:
        async with AssemblyAISimulator(wording="live") as sim:
            assert (await through(sim, "GET", "/v3/token" + path, headers))[::2] == (status, found)

    run(main())


@pytest.mark.parametrize(("body", "key", "status", "found"), [
    ({"ttl_seconds": 30}, "SECRETKEY1", 200, {}),
    ({"ttl_seconds": 0}, "SECRETKEY1", 400, {"http_400 invalid_request client": 1}),
    ({}, BAD_KEY, 401, {"INVALID_AUTH auth operator": 1}),
])
def test_deepgram(body: dict[str, int], key: str, status: int, found: dict[str, int], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with DeepgramSimulator() as sim:
            answer = await through(sim, "POST", "/v1/auth/grant", {"Authorization": f"Token {key}"}, json.dumps(body).encode())
            assert answer[::2] == (status, found)
            assert f"Token {key}" in dict(sim.requests[0].headers).values()

    run(main())
    assert "SECRETKEY1" not in str([vars(record) for record in caplog.records if record.name == "earwitness"])
