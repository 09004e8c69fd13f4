"""Each of the vendor's own faults on request, in every way it can be told; every row of the vendor's error page is there."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import pytest

from proxy.simulators.nextevi import NextEVISimulator
from proxy.simulators.nextevi_faults import FAULTS, ROWS
from tests.aio import run
from tests.simulators.calls import bare
from tests.simulators.test_nextevi import QUERY, VOICE

UPGRADE = (
    f"GET {VOICE}{QUERY} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
).encode()

Frames = tuple[list[dict[str, Any]], bytes | None]


def faulty(fault: str, *, until: str = "", **options: Any) -> Frames:
    """The messages after the 101, and the payload of the close frame, None if none came before the stream's end or such a message."""

    async def main() -> Frames:
        async with NextEVISimulator(fault=fault, **options) as sim:
            reader, writer = await asyncio.open_connection(sim.host, sim.port)
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            try:
                return await _frames(reader, until)
            finally:
                writer.close()

    return run(main())


async def _frames(reader: asyncio.StreamReader, until: str) -> Frames:
    messages: list[dict[str, Any]] = []
    while not messages or messages[-1]["type"] != until:
        try:
            head = await reader.readexactly(2)
        except asyncio.IncompleteReadError:
            break
        length = head[1] if head[1] < 126 else int.from_bytes(await reader.readexactly(2))
        payload = await reader.readexactly(length)
        if head[0] & 15 == 8:
            return messages, payload
        messages.append(json.loads(payload))
    return messages, None


def refused(fault: str, path: str, **options: Any) -> bytes:
    async def main() -> bytes:
        async with NextEVISimulator(fault=fault, **options) as sim:
            return await bare(sim, path, {})

    return run(main())


def code_of(payload: bytes | None) -> int:
    assert payload is not None
    return int.from_bytes(payload[:2])


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("wording", ["documented", "live"])
def test_an_error_message_and_a_close(name: str, wording: str) -> None:
    row = ROWS[name]
    messages, close = faulty(name, wording=wording)
    assert [message["type"] for message in messages] == (["error"] if row.stage == "hello" else ["connection_metadata", "error"])
    said = messages[-1]["data"] if wording == "documented" else messages[-1]
    assert said["error_code"] == name
    assert "{" not in said["error_message"]
    assert close is not None
    assert (code_of(close), close[2:].decode()) == (row.close_code, said["error_message"] if wording == "documented" else name)


@pytest.mark.parametrize("name", ROWS)
def test_the_other_ways_to_tell_it(name: str) -> None:
    row = ROWS[name]
    messages, close = faulty(name + "-text")
    assert set(messages[-1]) == {"type", "error"}
    assert code_of(close) == row.close_code
    messages, close = faulty(name + "-close", wording="live")
    assert [message["type"] for message in messages] == ([] if row.stage == "hello" else ["connection_metadata"])
    assert close == struct.pack("!H", row.close_code)
    messages, close = faulty(name + "-disconnect")
    assert messages[-1] == {"type": "websocket.disconnect", "code": row.close_code, "reason": row.documented}
    assert close is None


def test_an_error_after_which_the_session_goes_on() -> None:
    messages, close = faulty("RATE_LIMITED-only", until="error")
    assert [message["type"] for message in messages] == ["connection_metadata", "error"]
    assert close is None


def test_a_hang_up() -> None:
    messages, close = faulty("hangup")
    assert [message["type"] for message in messages] == ["connection_metadata", "idle_warning", "system_message"]
    assert code_of(close) == 1000


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.status])
@pytest.mark.parametrize(("way", "path"), [("-http", VOICE + QUERY), ("-api", "/api/v1/projects/resolve")])
def test_http_twins(name: str, way: str, path: str) -> None:
    got = refused(name + way, path)
    assert got.startswith(f"HTTP/1.1 {ROWS[name].status} ".encode())
    assert json.loads(got.partition(b"\r\n\r\n")[2])["data"]["error_code"] == name
    assert b'{"detail":"' in refused(name + way, path, wording="live")


def test_the_vendors_page() -> None:
    """Its rows in its order, with their numbers, HTTP statuses and close codes."""
    assert [row.number for row in ROWS.values()] == [
        4001, 4001, 4003, 4004, 4004, 4002, 1001, 5001, 5002, 5003, 4004, 5004, 5005, 5000, 5503, 4000, 4000,
    ]  # fmt: skip
    assert [row.status for row in ROWS.values() if row.status] == [401, 401, 403, 404, 404, 429, 503]
    assert {name: row.close for name, row in ROWS.items() if row.close not in (None, row.number)} == {"INTERNAL_ERROR": 1011}
    assert all("\n" not in fault.about for fault in FAULTS.values())
