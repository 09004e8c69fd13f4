"""Vendors that are down, slow, not what they should be, or behind a proxy: a clear answer, one error, and the process goes on."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.app import App, upstream_tls
from proxy.core.verdict import Outcome, Owner
from proxy.relay.dialer import SPACING_SECONDS, Dialer, Upstream
from proxy.relay.takeover import Head
from proxy.relay.turns import Turns
from proxy.settings.model import Timeouts
from proxy.settings.tls import UpstreamTls
from tests.aio import free_port, run, tls_pair
from tests.relay.conftest import Pair
from tests.relay.peers import (
    SWITCHING,
    TARGET,
    Peer,
    Rig,
    Script,
    accept,
    accept_and_stay,
    answering,
    connect,
    listening,
    proving,
    relaying,
    request,
    rig,
    settings,
    until,
)


async def refused_with(relay: Rig, status: int, code: str, owner: Owner = Owner.NETWORK) -> None:
    """A call gets this answer, whole; the report and the metrics say the same, once."""
    before = relay.errors
    client = await relay.call(request(b"/v1/listen?token=SECRET", b"Authorization: Token SECRET"))
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    assert b"\r\nx-earwitness: " + code.encode() + b"\r\n" in head
    assert b"\r\nContent-Type: application/json\r\n" in head
    body = json.loads(await client.rest())
    assert body["error"] == code
    assert body["message"].endswith(".")
    assert "SECRET" not in str(head) + str(body)
    report = await relay.report()
    assert (report.verdict.code, report.verdict.owner, report.verdict.outcome) == (code, owner, Outcome.ERROR)
    assert report.verdict.hint
    assert "SECRET" not in str(report)
    assert relay.errors == before + 1
    assert relay.app.relay.ready


async def goes_on(relay: Rig) -> None:
    """The same relay, another call, and this time the vendor answers."""
    assert relay.vendor is not None
    relay.vendor.script = accept_and_stay
    client = await relay.call()
    assert (await client.head()).startswith(b"HTTP/1.1 101 ")
    client.rst()
    await relay.report()


async def end(peer: Peer) -> None:
    await peer.head()
    peer.writer.close()


async def end_in_the_middle(peer: Peer) -> None:
    await peer.head()
    await peer.send(b"HTTP/1.1 101 Switching Pro")
    peer.writer.close()


async def reset(peer: Peer) -> None:
    await peer.head()
    peer.rst()


@pytest.mark.parametrize(("script", "status", "code"), [
    (answering(b"220 smtp.example ESMTP\r\n", close=False), 502, "sidecar_bad_upstream"),
    (answering(b"\x00\x01\x02\xff" * 100, close=False), 502, "sidecar_bad_upstream"),
    (answering(b"HTTP/1.1 abc Nonsense\r\n\r\n", close=False), 502, "sidecar_bad_upstream"),
    (answering(SWITCHING[:-2] + b"broken header\r\n\r\n", close=False), 502, "sidecar_bad_upstream"),
    (answering(SWITCHING[:-2] + b"a: b\x00c\r\n\r\n", close=False), 502, "sidecar_bad_upstream"),
    (end, 502, "transport_eof"),
    (end_in_the_middle, 502, "transport_eof"),
    (reset, 502, "transport_reset"),
], ids=["smtp", "noise", "status", "header", "nul", "eof", "eof in the head", "rst"])
def test_no_answer_or_no_http(loop: str, script: Script, status: int, code: str) -> None:
    async def main() -> None:
        async with rig(script) as relay:
            await refused_with(relay, status, code)
            await goes_on(relay)

    run(main(), loop)


def test_a_vendor_that_is_down(loop: str) -> None:
    async def main() -> None:
        async with relaying(settings(f"http://127.0.0.1:{free_port()}")) as relay:
            await refused_with(relay, 502, "transport_refused")
            await refused_with(relay, 502, "transport_refused")

    run(main(), loop)


@pytest.mark.parametrize("tls", [False, True], ids=["answer", "hello"])
def test_a_vendor_that_is_slow(loop: str, tls: bool) -> None:
    async def main() -> None:
        async with listening() as silent:
            upstream = silent.url.replace("http:", "https:") if tls else silent.url
            async with relaying(settings(upstream, timeouts=Timeouts(dial=0.1))) as relay:
                await refused_with(relay, 504, "transport_timeout")
                await (await silent.arrived.get()).reset()  # its connection is closed, not forgotten

    run(main(), loop)


# What is missing here, not there


def test_a_vendor_that_takes_no_connection_holds_up_no_other(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And for whom the turn to dial came too late, or never, nobody at the other end is accused."""
    monkeypatch.setattr("proxy.relay.dialer.IN_PROGRESS", 1)

    async def main() -> None:
        async with listening() as silent, listening(accept_and_stay) as other:
            chosen = settings(silent.url.replace("http:", "https:"), timeouts=Timeouts(dial=0.5))
            first = chosen.listeners[0]
            second = first.model_copy(update={"name": "other", "upstream": dict.fromkeys(first.upstream, other.url)})
            async with relaying(chosen.model_copy(update={"listeners": (first, second)})) as relay:
                hanging = await relay.call()
                await silent.arrived.get()
                waiting = await relay.call()
                await until(lambda: len(relay.app.relay.calls) == 2)
                beside = await connect(relay.port("other"))
                relay.clients.append(beside)
                await beside.send(request())
                assert (await beside.head()).startswith(b"HTTP/1.1 101 ")
                assert len(relay.app.relay.calls) == 3  # the others still wait
                assert b"x-earwitness: transport_timeout\r\n" in await hanging.head()
                assert b"x-earwitness: sidecar_too_many_dials\r\n" in await waiting.head()
                verdicts = [(await relay.report()).verdict for _ in range(2)]
                assert {(verdict.code, verdict.outcome, verdict.owner) for verdict in verdicts} == {
                    ("transport_timeout", Outcome.ERROR, Owner.NETWORK), ("sidecar_too_many_dials", Outcome.REFUSED_HERE, Owner.SIDECAR),
                }

    run(main(), loop)


def test_waiting_for_an_answer_takes_no_place(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.dialer.IN_PROGRESS", 1)

    async def main() -> None:
        async with rig() as relay:
            assert relay.vendor is not None
            clients = [await relay.call() for _ in range(3)]
            vendors = [await relay.vendor.arrived.get() for _ in clients]
            for vendor in vendors:
                await accept(vendor)
            for client in clients:
                assert (await client.head()).startswith(b"HTTP/1.1 101 ")

    run(main(), loop)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EADDRNOTAVAIL])
def test_out_of_descriptors_or_ports(loop: str, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    async def main() -> None:
        async with rig(accept_and_stay) as relay:
            with monkeypatch.context() as patch:
                patch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", exhausted)
                client = await relay.call()
                head = await client.head()
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nx-earwitness: sidecar_out_of_resources\r\n" in head
            report = await relay.report()
            assert (report.verdict.outcome, report.verdict.owner) == (Outcome.REFUSED_HERE, Owner.SIDECAR)
            assert relay.errors == 0
            await goes_on(relay)

    async def exhausted(*_: Any, **__: Any) -> socket.socket:
        raise OSError(number, "no more")

    run(main(), loop)


# Names


def resolving(answer: Callable[[str, int], Awaitable[list[Any]]]) -> Callable[[App], None]:
    """Makes the running loop look names up with `answer(host, port)`."""
    def prepare(_: App) -> None:
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
            return await (real(host, port, **options) if host.startswith("127.") else answer(host, port))

        loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]

    return prepare


def test_a_name_that_is_not_known(loop: str) -> None:
    async def unknown(host: str, port: int) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def main() -> None:
        async with relaying(settings("http://vendor.invalid"), prepare=resolving(unknown)) as relay:
            await refused_with(relay, 502, "transport_dns")

    run(main(), loop)


def test_a_name_with_several_addresses(loop: str) -> None:
    """The first does not answer: Happy Eyeballs."""
    async def main() -> None:
        async with listening(accept_and_stay) as vendor:
            async def two(host: str, port: int) -> list[Any]:
                assert (host, port) == ("vendor.test", vendor.port)
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.9", "127.0.0.1")]

            upstream = f"http://vendor.test:{vendor.port}"
            async with relaying(settings(upstream), vendor, prepare=resolving(two)) as relay:
                client = await relay.call()
                assert (await client.head()).startswith(b"HTTP/1.1 101 ")

    run(main(), loop)


# TLS


def test_tls_to_a_port_without(loop: str) -> None:
    async def main() -> None:
        async with listening(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as plain:
            plain.script = lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            async with relaying(settings(plain.url.replace("http:", "https:"))) as relay:
                await refused_with(relay, 502, "transport_tls")

    run(main(), loop)


def test_plain_to_a_port_with_tls(loop: str, pair: Pair) -> None:
    async def main() -> None:
        async with listening(tls=proving(pair)) as vendor, relaying(settings(f"http://127.0.0.1:{vendor.port}")) as relay:
            client = await relay.call()
            assert (await client.head()).startswith(b"HTTP/1.1 502 ")
            await client.rest()
            report = await relay.report()
            # What a TLS server does with an HTTP request differs: an alert, which is no HTTP, or just the end.
            assert report.verdict.code in ("sidecar_bad_upstream", "transport_eof", "transport_reset")
            assert relay.errors == 1

    run(main(), loop)


def test_a_certificate_that_nobody_knows(loop: str, pair: Pair) -> None:
    async def main() -> None:
        async with rig(vendor_tls=proving(pair)) as relay:
            await refused_with(relay, 502, "transport_tls")

    run(main(), loop)


def test_a_certificate_of_another_host(loop: str, pair: Pair) -> None:
    async def main() -> None:
        async def here(host: str, port: int) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        async with listening(tls=proving(pair)) as vendor:
            chosen = settings(f"https://other.test:{vendor.port}", {"upstream_tls": UpstreamTls(ca=pair[0])})
            async with relaying(chosen, prepare=resolving(here)) as relay:
                await refused_with(relay, 502, "transport_tls")

    run(main(), loop)


def demanding(pair: Pair, mine: Pair) -> ssl.SSLContext:
    """A vendor's context that asks for a client certificate, and knows one."""
    context = proving(pair)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(mine[0])
    return context


def test_a_client_certificate(loop: str, pair: Pair, tmp_path: Path) -> None:
    mine = tls_pair(tmp_path)
    listener = {"upstream_tls": UpstreamTls(ca=pair[0], cert=mine[0], key=mine[1])}

    async def main() -> None:
        async with rig(accept_and_stay, vendor_tls=demanding(pair, mine), listener=listener) as relay:
            assert (await (await relay.call()).head()).startswith(b"HTTP/1.1 101 ")

    run(main(), loop)


def test_a_client_certificate_that_is_missing(loop: str, pair: Pair, tmp_path: Path) -> None:
    """With TLS 1.3 the handshake is over by then. The vendor stands in a thread: asyncio's would drop its alert."""
    context = demanding(pair, tls_pair(tmp_path))

    def refuse(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as vendor:
            with pytest.raises(ssl.SSLError):
                vendor.do_handshake()
            vendor.shutdown(socket.SHUT_WR)
            while socket.socket.recv(vendor, 65536):  # else an RST overtakes the alert
                pass

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            refusing = asyncio.get_running_loop().run_in_executor(None, refuse, listener)
            chosen = settings(f"https://localhost:{listener.getsockname()[1]}", {"upstream_tls": UpstreamTls(ca=pair[0])})
            async with relaying(chosen) as relay:
                await refused_with(relay, 502, "transport_tls")
            await refusing

    run(main(), loop)


# The CONNECT proxy


async def pump(source: Peer, sink: Peer) -> None:
    while data := await source.reader.read(65536):
        await sink.send(data)
    sink.writer.close()


def tunnel(heads: list[bytes]) -> Script:
    """A proxy that connects to localhost, whatever it is asked for."""
    async def script(peer: Peer) -> None:
        heads.append(await peer.head())
        host, port = heads[-1].split(b" ")[1].decode().rsplit(":", 1)
        assert host == "vendor.test"
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        vendor = Peer(reader, writer)
        await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(pump(peer, vendor), pump(vendor, peer))
        finally:
            vendor.close()

    return script


def test_through_a_proxy(loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is the proxy's to look up; nothing of the request is shown to it."""
    async def nobody(host: str, port: int) -> list[Any]:
        raise AssertionError(f"{host} was looked up")

    pair = tls_pair(tmp_path)

    async def main() -> None:
        heads: list[bytes] = []
        async with listening(accept_and_stay, proving(pair)) as vendor, listening(tunnel(heads)) as proxy:
            chosen = settings(f"https://vendor.test:{vendor.port}", {"upstream_tls": UpstreamTls(ca=pair[0])}, upstream_proxy=proxy.url)
            context = upstream_tls(chosen.listeners[0].upstream_tls)
            context.check_hostname = False  # the certificate is for localhost
            monkeypatch.setattr("proxy.app.upstream_tls", lambda _: context)
            async with relaying(chosen, vendor, prepare=resolving(nobody)) as relay:
                client = await relay.call(request(TARGET + b"&token=SECRET", b"Authorization: Token SECRET"))
                assert (await client.head()).startswith(b"HTTP/1.1 101 ")
                client.rst()
                report = await relay.report()
                assert (report.audio.written_seconds, report.audio.delivered_seconds) == (0.0, None)  # a proxy's word is not the vendor's
        assert heads[0].startswith(b"CONNECT vendor.test:")
        assert b"SECRET" not in heads[0]

    run(main(), loop)


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"",
], ids=["403", "407", "ssh", "eof"])
def test_a_proxy_that_refuses(loop: str, answer: bytes) -> None:
    async def main() -> None:
        async with listening(answering(answer)) as proxy, relaying(settings("https://vendor.test", upstream_proxy=proxy.url)) as relay:
            await refused_with(relay, 502, "sidecar_proxy_refused", Owner.OPERATOR)

    run(main(), loop)


def test_a_proxy_that_is_down(loop: str) -> None:
    async def main() -> None:
        async with relaying(settings("https://vendor.test", upstream_proxy=f"http://127.0.0.1:{free_port()}")) as relay:
            await refused_with(relay, 502, "sidecar_proxy_refused", Owner.OPERATOR)

    run(main(), loop)


@pytest.mark.parametrize(("url", "host"), [
    ("http://127.0.0.1:9000", b"127.0.0.1:9000"),
    ("https://api.vendor.test", b"api.vendor.test"),
    ("https://api.vendor.test:443", b"api.vendor.test"),
    ("http://api.vendor.test:80/", b"api.vendor.test"),
    ("http://[::1]:9000", b"[::1]:9000"),
])
def test_the_host_header(url: str, host: bytes) -> None:
    assert Upstream.of(url, None, None).host == host


def test_only_tls_goes_through_the_proxy() -> None:
    assert Upstream.of("http://vendor.test", None, "http://proxy.test:3128").proxy is None
    assert str(Upstream.of("https://vendor.test", None, "http://proxy.test:3128").proxy) == "http://proxy.test:3128"


def test_a_resolver_that_says_nothing_is_no_silence_of_the_vendors(loop: str) -> None:
    async def silent(host: str, port: int) -> list[Any]:
        await asyncio.Event().wait()
        return []

    async def main() -> None:
        async with listening() as vendor:
            chosen = settings("http://vendor.test:9", timeouts=Timeouts(dial=0.3))
            async with relaying(chosen, vendor, prepare=resolving(silent)) as relay:
                client = await relay.call(request(TARGET))
                assert (await client.head()).startswith(b"HTTP/1.1 502 ")
                client.close()
                verdict = (await relay.report()).verdict
                assert (verdict.code, verdict.owner) == ("transport_dns", Owner.NETWORK)

    run(main(), loop)


def test_who_gives_up_takes_no_time_of_the_others(loop: str) -> None:
    """A vendor that takes no connections, and a thousand callers who do not wait for it."""
    async def main() -> None:
        dialer = Dialer(lambda *_: None, Head(8190, 128), 1.0, Turns())
        now = asyncio.get_running_loop().time
        dialer._next_start = now() + 10 * SPACING_SECONDS
        many = [asyncio.create_task(dialer._turn()) for _ in range(1_000)]
        await asyncio.sleep(0)
        for one in many:
            one.cancel()
        await dialer._turn()
        assert dialer._next_start <= now() + SPACING_SECONDS
        await dialer.close()

    run(main(), loop)
