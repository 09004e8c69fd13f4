"""Faults that any vendor can have, as they are on the wire."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from proxy.simulators import FAULTS, SIMULATORS, AssemblyAISimulator, DeepgramSimulator, faults
from tests.aio import run
from tests.simulators.calls import AUDIO, KEY, TOKEN, V1, V2, V3, bare, call, spoken


def raw(fault: str, path: str = V3, headers: dict[str, str] = KEY, seconds: float = 1.0, **options: Any) -> bytes:
    async def main() -> bytes:
        vendor = DeepgramSimulator if path in (V1, V2) else AssemblyAISimulator
        async with vendor(fault=fault, **options) as sim:
            return await bare(sim, path, headers, seconds)

    return run(main())


def after_the_head(got: bytes) -> bytes:
    head, _, rest = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return rest


@pytest.mark.parametrize(
    ("fault", "payload"),
    [
        ("close-410", struct.pack("!H", 410) + b"Gone"),
        ("close-5004", struct.pack("!H", 5004) + b"Internal error"),
        ("close-100", struct.pack("!H", 100)),
        ("close-empty", b""),
        ("close-1001", struct.pack("!H", 1001)),
        ("close-1012", struct.pack("!H", 1012) + b"Service restart"),
        ("close-1013", struct.pack("!H", 1013) + b"Try again later"),
    ],
)
def test_close_frames_as_asked_for(fault: str, payload: bytes) -> None:
    rest = after_the_head(raw(fault, V1, TOKEN, 2.0))
    assert rest == bytes((0x88, len(payload))) + payload


@pytest.mark.parametrize("status", [403, 429, 500, 502, 503, 504])
def test_something_in_between_answers(status: int) -> None:
    got = raw(f"http_{status}")
    assert got.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"text/html" in got
    assert b"<h1>" in got
    assert b"dg-" not in got


def test_odd_answers_to_the_request() -> None:
    assert b"\r\nlocation: https://example.invalid/moved\r\n" in raw("redirect")
    assert raw("garbage")[:3] == b"\x15\x03\x01"
    assert raw("no-upgrade-header") == b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"
    assert raw("no-answer", seconds=0.1) == b""


def test_a_slow_answer_is_one_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("proxy.simulators.faults.asyncio.sleep", sleep)
    assert b'"type":"Begin"' in after_the_head(raw("slow-handshake", seconds=0.2))
    assert waited == [faults.SLOW_SECONDS]


@pytest.mark.parametrize(("path", "headers", "first"), [(V3, KEY, b"\x81"), (V2, TOKEN, b"\x81"), (V1, TOKEN, b"\x8a")])
def test_glued(path: str, headers: dict[str, str], first: bytes) -> None:
    """In one piece: the first read that has the head has the first frame as well."""

    async def main() -> bytes:
        vendor = AssemblyAISimulator if path == V3 else DeepgramSimulator
        async with vendor(fault="glued") as sim:
            reader, writer = await asyncio.open_connection(sim.host, sim.port)
            lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
            upgrade = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            writer.write(f"GET {path} HTTP/1.1\r\n{upgrade}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n".encode())
            got = await reader.read(65536)
            writer.close()
            return got

    assert after_the_head(run(main())).startswith(first)


def test_eof_is_a_fin_without_a_close_frame() -> None:
    async def main() -> tuple[int | None, int]:
        async with DeepgramSimulator(strict=False, fault="eof", fault_after=1.0) as sim:
            seen = await call(sim, V1 + "&interim_results=true", spoken(), TOKEN)
            return seen.code, len(seen.messages)

    assert run(main()) == (None, 2)  # results at 0.5 and 1.0 s of audio


def test_reset_is_an_rst_amid_a_frame() -> None:
    with pytest.raises(ConnectionResetError):
        raw("reset")


def test_stall_keeps_the_socket_and_says_no_more() -> None:
    async def main() -> list[str]:
        async with DeepgramSimulator(strict=False, fault="stall", fault_after=1.0, idle_seconds=0.2) as sim:
            seen = await call(sim, V1 + "&interim_results=true", [*spoken()[:-1]], TOKEN)
            assert bytes(sim.sessions[0].audio) == AUDIO
            return [message["type"] for message in seen.messages]

    assert run(main()) == ["Results", "Results"]


def test_every_fault_is_told_in_one_line_and_unknown_ones_are_listed() -> None:
    for vendor, known in FAULTS.items():
        assert set(faults.COMMON) < set(known)
        assert all(about and "\n" not in about for about in known.values())
        with pytest.raises(ValueError, match=f"no fault 'nonsense' for {vendor}; there are: .*close-410"):
            SIMULATORS[vendor](fault="nonsense")
