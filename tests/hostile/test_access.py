"""Who may ask a listener for what, through a whole relay; and what a web page on the same machine may do."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from proxy.app import _doors, _vendors
from proxy.settings import load
from proxy.settings.model import Allow
from tests.aio import run, tls_pair
from tests.relay.peers import SWITCHING, Peer, connect, listening, relaying, request, rig, settings


async def answer(peer: Peer) -> None:
    head = await peer.head()
    await peer.send(SWITCHING if b"pgrade" in head else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await peer.rest()


def plain(target: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: relay.test", *fields]) + b"\r\n\r\n"


@pytest.mark.parametrize(("asked", "status"), [
    (request(), 101), (request(b"/v1/listen/x?a=b"), 101), (request(b"/v2/listen"), 403), (request(b"/v3/nothing"), 404),
    (plain(b"/v1/auth/grant"), 200), (plain(b"/v1/auth/grant/x"), 200), (plain(b"/v1/projects"), 403), (plain(b"/v1/auth"), 403),
    (plain(b"/v1/auth/grants"), 403), (plain(b"/v1/%61uth/grant"), 403), (plain(b"/v1//auth/grant"), 403),
    (plain(b"/v1/auth/grant/..;/projects"), 404), (plain(b"/v1/auth/grant/%252e%252e/projects"), 404),
])
def test_paths(loop: str, asked: bytes, status: int) -> None:
    async def main() -> None:
        async with rig(answer, listener={"allow": Allow(paths=("/v1/listen", "/v1/auth/grant"))}) as relay:
            client = await relay.call(asked)
            head = await client.head()
            assert head.startswith(b"HTTP/1.1 %d " % status), head
            assert (b"x-earwitness: sidecar_not_allowed" in head) is (status == 403)
            client.rst()
            if b"pgrade" in asked:
                report = await relay.report()
                assert report.verdict.outcome == ("refused_here" if status in (403, 404) else "abandoned")
                assert (report.verdict.owner == "operator") is (status == 403)

    run(main(), loop)


@pytest.mark.parametrize(("allowed", "page", "passes"), [
    (None, b"https://evil.example", True), (None, None, True), ((), None, True), ((), b"https://app.example", False), ((), b"null", False),
    (("https://app.example",), b"https://app.example", True), (("https://app.example",), b"HTTPS://APP.example", True),
    (("https://app.example",), b"https://app.example.evil", False), (("https://app.example",), b"http://app.example", False),
    (("https://app.example",), None, True),
])
def test_web_pages(loop: str, allowed: Any, page: bytes | None, passes: bool) -> None:
    """SDKs send no Origin and are never looked at for it."""
    fields = [b"Origin: " + page] if page is not None else []

    async def main() -> None:
        async with rig(answer, listener={"allow": Allow(origins=allowed)}) as relay:
            for asked in (request(b"/v1/listen", *fields), plain(b"/v1/projects", *fields)):
                client = await relay.call(asked)
                assert (b" 403 " not in (await client.head()).partition(b"\r\n")[0]) is passes
                client.rst()
            await relay.report()

    run(main(), loop)


def test_a_certificate_is_lent_to_no_page(tmp_path: Path) -> None:
    """The one thing that a listener has and its client has not."""
    cert, key = tls_pair(tmp_path)

    def origins(more: str) -> object:
        file = tmp_path / "settings.yaml"
        file.write_text(f"listeners: [{{vendor: deepgram, upstream_tls: {{cert: {cert}, key: {key}}}{more}}}]")
        chosen = load(file)
        (door,) = _doors(chosen, _vendors(chosen)).values()
        return door.origins

    assert origins("") == ()
    assert origins(", allow: {origins: ['https://App.example']}") == ("https://app.example",)
    file = tmp_path / "plain.yaml"
    file.write_text("listeners: [{vendor: deepgram}]")
    chosen = load(file)
    (door,) = _doors(chosen, _vendors(chosen)).values()
    assert door.origins is None


def test_clients_from_elsewhere_and_a_list_that_is_read_again(loop: str) -> None:
    def chosen(url: str, *networks: str) -> Any:
        return settings(url, {"allow": Allow.model_validate({"clients": networks})})

    async def main() -> None:
        async with listening(answer) as vendor, relaying(chosen(vendor.url, "10.0.0.0/8", "::1"), vendor) as relay:
            for number in range(3):
                client = await relay.connect()
                assert await client.rest() == b""
                assert relay.app.ledger.rejections["address",] == number + 1
            assert not vendor.peers
            relay.app._reread = lambda: chosen(vendor.url, "127.0.0.1/32")
            assert await relay.app.reload() == []
            client = await relay.call()
            assert (await client.head()).startswith(b"HTTP/1.1 101 ")
            client.rst()
            await relay.report()

    run(main(), loop)


def test_networks() -> None:
    assert Allow.model_validate({"clients": ["10.0.0.0/8", "::1"]}).clients == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


ADMIN = (b"GET /sessions", b"POST /-/drain", b"POST /-/reload", b"GET /nothing")


@pytest.mark.parametrize(("fields", "served"), [
    ((b"Host: 127.0.0.1:9465",), True), ((b"Host: localhost",), True), ((b"Host: LOCALHOST:1",), True), ((b"Host: [::1]:9465",), True),
    ((b"Host: 127.9.9.9",), True),
    ((b"Host: rebound.evil.example:9465",), False), ((b"Host: 10.0.0.1",), False), ((b"Host: 127.0.0.1.evil.example",), False),
    ((b"Host: localhost.evil.example",), False), ((b"Host: ",), False), ((b"Host: [evil]:80",), False),
    ((b"Host: localhost", b"Origin: https://evil.example"), False), ((b"Host: localhost", b"Origin: null"), False),
    ((b"Host: localhost", b"Origin: http://localhost:9465"), False),  # no page of ours is there
])
def test_the_admin_pages_are_for_no_web_page(loop: str, fields: tuple[bytes, ...], served: bool) -> None:
    async def main() -> None:
        async with rig() as relay:
            for line in ADMIN[:1] if served else ADMIN:
                peer = await connect(relay.port("admin"))
                await peer.send(b"\r\n".join([line + b" HTTP/1.1", *fields, b"Content-Length: 0"]) + b"\r\n\r\n")
                assert (await peer.head()).startswith(b"HTTP/1.1 200 " if served else b"HTTP/1.1 403 "), (line, fields)
                peer.rst()
            assert relay.app.relay.ready
            assert relay.app._draining is None

    run(main(), loop)

