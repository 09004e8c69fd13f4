"""The composition root: what is bound, what is let go, how calls reach the vendor over TLS, and how it drains."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.app import App, _doors, _vendors, build, listener_tls, running, serve, upstream_tls
from proxy.relay.loops import FEW_LOOKS, MORE_LOOKS
from proxy.relay.server import BindError
from proxy.settings import Overrides, Settings, load
from tests.aio import LOOPS, run, tls_pair

ANYWHERE = "127.0.0.1:0"


def settings(listen: str = ANYWHERE, upstream: str = "http://127.0.0.1:1") -> Settings:
    return load(None, {}, Overrides("deepgram", listen, upstream, ANYWHERE, ANYWHERE))


def test_everything_is_bound_and_the_probe_last() -> None:
    async def main() -> list[str]:
        async with running(settings()) as app:
            assert all(bound.port for bound in app.bound)
            return [bound.name for bound in app.bound]

    assert run(main()) == ["deepgram", "admin", "metrics"]


def test_after_the_end_every_address_is_free_again() -> None:
    async def main() -> None:
        async with running(settings()) as app:
            taken = app.bound[0].port
            with pytest.raises(BindError, match=f"deepgram: cannot listen on 127.0.0.1:{taken}"):
                async with running(settings(f"127.0.0.1:{taken}")):
                    pass
        async with running(settings(f"127.0.0.1:{taken}")) as app:
            assert app.bound[0].port == taken

    run(main())


@pytest.mark.parametrize("at_once", [False, True])
def test_a_drain_ends(at_once: bool) -> None:
    async def main() -> App:
        async with running(settings()) as app:
            app.drain(at_once=at_once)
            if not at_once:
                await asyncio.sleep(0)
                assert not app.drained.is_set()
                app.drain()  # a second time: without waiting for anybody
            await app.drained.wait()
            return app

    assert run(main()).relay.ready is False


def listener(folder: Path, upstream: str = "https://vendor.example", **more: str) -> Settings:
    tls = "".join(f"    {key}: {value}\n" for key, value in more.items())
    file = folder / "settings.yaml"
    file.write_text(f"listeners:\n  - vendor: deepgram\n    upstream: {upstream}\n{tls}")
    return load(file)


def test_plain_listeners_and_upstreams_have_no_tls(tmp_path: Path) -> None:
    settings = listener(tmp_path, "http://127.0.0.1:9000")
    (plain,) = settings.listeners
    (door,) = _doors(settings, _vendors(settings)).values()
    assert {upstream.tls for upstream in door.upstreams.values()} == {None}
    assert listener_tls(plain) is None


def test_listeners_share_how_vendors_are_checked(tmp_path: Path) -> None:
    """But where one of them trusts others."""
    cert, _ = tls_pair(tmp_path)
    file = tmp_path / "settings.yaml"
    file.write_text("listeners:\n  - vendor: deepgram\n  - vendor: assemblyai\n  - vendor: elsa\n"
                    f"    upstream_tls: {{ca: {cert}}}\n")
    settings = load(file)
    one, other, own = ({id(upstream.tls) for upstream in door.upstreams.values()} for door in _doors(settings, _vendors(settings)).values())
    assert one == other != own
    assert len(one) == len(own) == 1


def test_an_https_upstream_is_checked(tmp_path: Path) -> None:
    (secure,) = listener(tmp_path).listeners
    context = upstream_tls(secure.upstream_tls)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_own_certificates(tmp_path: Path) -> None:
    cert, key = tls_pair(tmp_path)
    (one,) = listener(tmp_path, tls=f"{{cert: {cert}, key: {key}}}", upstream_tls=f"{{ca: {cert}, cert: {cert}, key: {key}}}").listeners
    context = upstream_tls(one.upstream_tls)
    assert len(context.get_ca_certs()) == 1, "the operator's bundle stands instead of the system's"
    assert listener_tls(one) is not None


@pytest.mark.parametrize("loop", LOOPS)
def test_a_listener_takes_no_tls_of_yesterday(tmp_path: Path, loop: str) -> None:
    cert, key = tls_pair(tmp_path)
    (one,) = listener(tmp_path, tls=f"{{cert: {cert}, key: {key}}}").listeners
    ours = listener_tls(one)
    assert ours is not None
    assert ours.options & ssl.OP_NO_RENEGOTIATION
    assert ours.options & ssl.OP_NO_COMPRESSION

    def theirs(version: ssl.TLSVersion, ciphers: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=cert)
        context.minimum_version = context.maximum_version = version
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        return context

    async def main() -> None:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=ours)
        port = server.sockets[0].getsockname()[1]
        new = [(ssl.TLSVersion.TLSv1_3, "ALL"), (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM"), (ssl.TLSVersion.TLSv1_2, "ALL")]
        for version, ciphers in new:
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=theirs(version, ciphers), server_hostname="localhost")
            assert "-CBC" not in writer.get_extra_info("cipher")[0]
            writer.close()
        old = [(ssl.TLSVersion.TLSv1_2, ciphers) for ciphers in ("ECDHE+AES:!AESGCM", "DHE", "RSA+AESGCM")]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of asking for what is old
            old += [(ssl.TLSVersion.TLSv1_1, "ALL"), (ssl.TLSVersion.TLSv1, "ALL")]
            for version, ciphers in old:
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    await asyncio.open_connection("127.0.0.1", port, ssl=theirs(version, ciphers), server_hostname="localhost")
        server.close()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_once_it_serves_the_collector_comes_as_the_loop_needs_it(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []

    @asynccontextmanager
    async def nothing(*_: object) -> AsyncIterator[SimpleNamespace]:
        over = asyncio.Event()
        over.set()
        yield SimpleNamespace(bound=[], drained=over, drain=over.set, reload_soon=over.set)

    collector = SimpleNamespace(freeze=partial(done.append, "frozen"), enable=partial(done.append, "on"),
                                set_threshold=lambda *numbers: done.append(numbers))
    monkeypatch.setattr("proxy.app.gc", collector)
    monkeypatch.setattr("proxy.app.running", nothing)
    run(serve(Settings(), Settings), loop)
    assert done == ["frozen", FEW_LOOKS if loop == "uvloop" else MORE_LOOKS, "on"]


def test_the_version_is_the_distribution_s(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build().count(".") == 2

    def none(name: str) -> str:
        from importlib.metadata import PackageNotFoundError

        raise PackageNotFoundError(name)

    monkeypatch.setattr("proxy.app.version", none)
    assert build() == "unknown"
