"""Temporary tokens, in both wordings."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from proxy.simulators import AssemblyAISimulator
from proxy.simulators.base import BAD_KEY
from tests.aio import run
from tests.simulators.calls import KEY


def ask(query: str = "", headers: dict[str, str] = KEY, method: str = "GET", path: str = "/v3/token", **options: Any) -> tuple[int, Any]:
    async def main() -> tuple[int, Any]:
        async with (AssemblyAISimulator(**options) as sim, aiohttp.ClientSession() as client,
                    client.request(method, sim.url.replace("ws", "http", 1) + path + query, headers=headers) as answer):
            return answer.status, await answer.json()

    return run(main())


def test_a_token() -> None:
    status, body = ask("?expires_in_seconds=600&max_session_duration_seconds=10800")
    assert (status, body["expires_in_seconds"], body["token"][:4]) == (200, 600, "tmp-")


@pytest.mark.parametrize(("query", "headers", "documented", "live"), [
    ("", {}, (401, "Missing API key"), (422, ["header", "authorization"])),
    ("", {"Authorization": BAD_KEY}, (401, "Invalid API key"), (401, "Invalid API key")),
    ("", {"Authorization": "Bearer key"}, (401, "Invalid API key"), (401, "Invalid API key")),
    ("?expires_in_seconds=601", KEY, (400, "expires_in_seconds is out of range"), (422, ["query", "expires_in_seconds"])),
    ("?max_session_duration_seconds=x", KEY, (400, "max_session_duration_seconds is out of range"),
     (422, ["query", "max_session_duration_seconds"])),
])
def test_refusals(query: str, headers: dict[str, str], documented: tuple[int, Any], live: tuple[int, Any]) -> None:
    status, body = ask(query, headers)
    assert (status, body["error"]) == documented
    status, body = ask(query, headers, wording="live")
    assert (status, body["error"] if "error" in body else body["detail"][0]["loc"]) == live


def test_nothing_else_is_there() -> None:
    assert ask(method="POST")[0] == 404
    assert ask(path="/v3/tokens")[0] == 404
