"""The pages beside the calls, as a client sees them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.relay.pages import MOST_READERS, from_elsewhere
from tests.aio import run
from tests.relay.peers import Peer, Rig, connect, rig


async def ask(relay: Rig, port: str, line: bytes, accept: bytes = b"*/*") -> tuple[int, dict[str, str], bytes]:
    """Status, header fields and body."""
    peer = await connect(relay.port(port))
    await peer.send(line + b" HTTP/1.1\r\nHost: localhost\r\nAccept: " + accept + b"\r\nConnection: close\r\n\r\n")
    head, body = (await peer.head()).decode(), await peer.rest()
    peer.close()
    return int(head.split(" ")[1]), dict(field.split(": ", 1) for field in head.split("\r\n")[1:-2]), body


def test_metrics(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, _ = await relay.open()
            status, fields, body = await ask(relay, "metrics", b"GET /metrics")
            assert status == 200
            assert fields["Content-Type"].startswith("text/plain")
            assert b'\nearwitness_sessions_active{listener="deepgram",vendor="deepgram",endpoint="v1"} 1' in body
            _, fields, body = await ask(relay, "metrics", b"GET /metrics?x=y", b"application/openmetrics-text; version=1.0.0")
            assert fields["Content-Type"].startswith("application/openmetrics-text")
            assert body.endswith(b"# EOF\n")
            client.rst()
            await relay.report()

    run(main(), loop)


def test_probes_and_drain(loop: str) -> None:
    """Ready never depends on a vendor; there is none here. After a drain began it is healthy and not ready."""
    async def main() -> None:
        async with rig() as relay:
            client, _ = await relay.open()
            assert (await ask(relay, "metrics", b"GET /-/ready"))[::2] == (200, b"ready\n")
            assert (await ask(relay, "metrics", b"GET /-/healthy"))[::2] == (200, b"healthy\n")
            assert (await ask(relay, "admin", b"POST /-/drain"))[::2] == (202, b"draining\n")
            assert (await ask(relay, "metrics", b"GET /-/ready"))[::2] == (503, b"draining\n")
            assert (await ask(relay, "metrics", b"GET /-/healthy"))[::2] == (200, b"healthy\n")
            relay.app.drain()  # a second time: at once
            assert (await relay.report()).verdict.outcome == "drained"
            await relay.app.drained.wait()
            client.rst()

    run(main(), loop)


def test_sessions(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, _ = await relay.open()
            status, fields, body = await ask(relay, "admin", b"GET /sessions")
            assert (status, fields["Content-Type"]) == (200, "application/json")
            assert [one["vendor"] for one in json.loads(body)["open"]] == ["deepgram"]
            client.rst()
            await relay.report()
            page = json.loads((await ask(relay, "admin", b"GET /sessions"))[2])
            assert page["open"] == []
            assert page["ended"][0]["ended_by"] == "client"

    run(main(), loop)


@pytest.mark.parametrize(("port", "line", "status"), [
    ("metrics", b"GET /", 404), ("metrics", b"GET /sessions", 404), ("metrics", b"POST /metrics", 405), ("metrics", b"HEAD /metrics", 200),
    ("metrics", b"GET /metrics/", 404), ("admin", b"GET /metrics", 404), ("admin", b"GET /-/drain", 405),
    ("admin", b"DELETE /sessions", 405),
    ("admin", b"GET /-/reload", 405), ("metrics", b"POST /-/reload", 404), ("admin", b"HEAD /-/drain", 405),
])
def test_what_is_not_there(loop: str, port: str, line: bytes, status: int) -> None:
    async def main() -> None:
        async with rig() as relay:
            got, fields, body = await ask(relay, port, line)
            assert got == status
            if line.startswith(b"HEAD"):
                assert int(fields["Content-Length"]) > 0
                assert body == b""
            assert relay.app.relay.ready

    run(main(), loop)


def test_what_is_no_http(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            for port in ("metrics", "admin"):
                peer: Peer = await connect(relay.port(port))
                await peer.send(b"nonsense\r\n\r\n")
                assert (await peer.head()).split(b" ")[1] == b"400"
                peer.close()

    run(main(), loop)


@pytest.mark.parametrize("page", ["metrics", "admin"])
def test_one_reader_too_many_ends_the_oldest(loop: str, page: str) -> None:
    """So that a probe is always let in, whoever else holds connections."""
    async def main() -> None:
        async with rig() as relay:
            readers = [await connect(relay.port(page)) for _ in range(MOST_READERS)]
            for number in range(3):
                readers.append(await connect(relay.port(page)))
                assert await readers[number].rest() == b""
            last = readers[-1]
            await last.send(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await last.head()).startswith(b"HTTP/1.1 ")
            assert not any(reader.reader.at_eof() for reader in readers[3:])
            for reader in readers:
                reader.close()

    run(main(), loop)


@pytest.mark.parametrize(("peer", "headers", "elsewhere"), [
    (("127.0.0.1", 1), {"Host": "localhost:9465"}, False),
    (("::1", 1, 0, 0), {"Host": "[::1]:9465"}, False),
    (("127.0.0.1", 1), {}, False),
    (("10.0.0.7", 1), {"Host": "localhost"}, True),
    (("fe80::1", 1, 0, 0), {"Host": "127.0.0.1"}, True),
    (None, {"Host": "localhost"}, True),
    (("127.0.0.1", 1), {"Host": "example.com"}, True),
    (("127.0.0.1", 1), {"Host": "localhost", "Origin": "http://localhost"}, True),
])
def test_who_asks_from_elsewhere(peer: tuple[Any, ...] | None, headers: dict[str, str], elsewhere: bool) -> None:
    request = SimpleNamespace(transport=SimpleNamespace(get_extra_info={"peername": peer}.get), headers=headers)
    assert from_elsewhere(cast(Any, request)) is elsewhere
    assert from_elsewhere(cast(Any, SimpleNamespace(transport=None, headers=headers)))
