"""Settings that are read again, over real sockets: what new sessions get, what open ones keep, and what a bad file changes."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.app import App
from proxy.settings import Address, ConfigError, Overrides, Problem, Settings, load
from proxy.settings.model import Admin, Correlation, Drain, Limits, Log, Timeouts
from proxy.settings.tls import Tls
from tests.aio import LOOPS, run, tls_pair
from tests.relay.peers import Rig, connect, frame, listening, relaying, request, settings
from tests.relay.test_pages import ask

HELLO = frame(1, b"{}")


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root_level() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    level = root.level
    yield root
    root.setLevel(level)


def rereads(relay: Rig, *answers: Settings | Exception) -> None:
    """What reading the settings comes to, each time."""
    each = iter(answers)

    def reread() -> Settings:
        answer = next(each)
        if isinstance(answer, Exception):
            raise answer
        return answer

    relay.app._reread = reread


async def post(relay: Rig) -> tuple[int, str]:
    status, _, body = await ask(relay, "admin", b"POST /-/reload")
    return status, body.decode()


async def gauges(relay: Rig) -> tuple[float, float]:
    """Whether the last reload was good, and when the settings in force were read."""
    lines = (await ask(relay, "metrics", b"GET /metrics"))[2].decode().splitlines()
    values = dict(line.split(" ") for line in lines if line.startswith("earwitness_config_"))
    return float(values["earwitness_config_last_reload_successful"]), float(values["earwitness_config_last_reload_timestamp_seconds"])


def test_new_sessions_get_them_and_open_ones_keep_theirs(loop: str) -> None:
    async def main() -> None:
        async with listening() as one, listening() as two, relaying(settings(one.url), one) as relay:
            client, vendor = await relay.open()
            rereads(relay, settings(two.url))
            assert await post(relay) == (200, "reloaded\n")
            relay.vendor = two
            other, new = await relay.open()
            assert (len(one.peers), len(two.peers)) == (1, 1)
            for here, there in ((client, vendor), (other, new)):
                await there.send(HELLO)
                assert await here.exactly(len(HELLO)) == HELLO
                here.rst()
                await relay.report()

    run(main(), loop)


def test_bad_ones_change_nothing(loop: str) -> None:
    key = "0123456789abcdef0123456789abcdef01234567"
    bad = ConfigError([Problem("x.yaml", 3, "listeners.0.upstream", "wrong"), Problem("x.yaml", 9, "drain", f"Authorization: Token {key}")])

    async def main() -> None:
        async with listening() as vendor, relaying(settings(vendor.url), vendor) as relay:
            good, since = await gauges(relay)
            assert good == 1
            rereads(relay, bad, settings(vendor.url))
            status, said = await post(relay)
            assert status == 500
            assert "x.yaml:3: listeners.0.upstream: wrong\n" in said
            assert key not in said
            assert await gauges(relay) == (0, since)
            client, _ = await relay.open()
            client.rst()
            await relay.report()
            assert await post(relay) == (200, "reloaded\n")
            good, later = await gauges(relay)
            assert good == 1
            assert later > since

    run(main(), loop)


def test_what_needs_a_restart_is_refused_whole(loop: str) -> None:
    async def main() -> None:
        async with listening() as one, listening() as two, relaying(settings(one.url), one) as relay:
            rereads(relay, settings(two.url, admin=Admin(listen=Address("127.0.0.1", 1))))
            status, said = await post(relay)
            assert status == 500
            assert "admin.listen: cannot change from 127.0.0.1:0 to 127.0.0.1:1 while the process runs: restart it" in said
            await relay.open()
            assert not two.peers
            assert (await gauges(relay))[0] == 0

    run(main(), loop)


def test_a_fault_of_ours_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with listening() as vendor, relaying(settings(vendor.url), vendor) as relay:
            rereads(relay, ZeroDivisionError("Token abc"))
            assert await post(relay) == (500, "ZeroDivisionError\n")
            assert (await gauges(relay))[0] == 0
            await relay.open()

    with caplog.at_level(logging.INFO):
        run(main())
    [failed] = [record for record in caplog.records if record.msg == "reload_failed"]
    assert failed.exc_info is not None
    assert failed.exc_info[0] is ZeroDivisionError


def test_all_that_sessions_are_made_with(loop: str, root_level: logging.Logger) -> None:
    async def main() -> None:
        async with listening() as vendor, relaying(settings(vendor.url), vendor) as relay:
            old, _ = await relay.open(request(b"/v1/listen", b"X-Call: old"))
            rereads(relay, settings(
                vendor.url, correlation=Correlation(headers=("X-Call",)), limits=Limits(sessions=2), log=Log(level="error"),
                timeouts=Timeouts(dial=3, ready=4), drain=Drain(accept_seconds=0, grace_seconds=0)))
            assert await post(relay) == (200, "reloaded\n")
            assert (relay.app.dialer.seconds, root_level.level) == (3, logging.ERROR)
            new, _ = await relay.open(request(b"/v1/listen", b"X-Call: new"))
            waits = {call.session.request.headers["x-call"]: call.session.watch.ready_seconds for call in relay.app.relay.calls}
            assert waits == {"old": 30, "new": 4}
            refused = await relay.call()
            assert b"sidecar_too_many_sessions" in await refused.head()
            await relay.report()
            for client, found in ((old, {}), (new, {"X-Call": "new"})):
                client.rst()
                assert (await relay.report()).correlation == found
            relay.app.drain()
            await relay.app.drained.wait()

    run(main(), loop)


def test_another_vendor_at_an_address_is_counted_from_0() -> None:
    """And what was counted of the one before stays."""
    anywhere = "127.0.0.1:0"
    then = load(None, {}, Overrides("assemblyai", anywhere, None, anywhere, anywhere))

    async def main() -> None:
        async with listening() as vendor, relaying(settings(vendor.url), vendor) as relay:
            client, _ = await relay.open()
            client.rst()
            await relay.report()
            rereads(relay, then)
            assert await post(relay) == (200, "reloaded\n")
            assert [bound.name for bound in relay.app.bound] == ["assemblyai", "admin", "metrics"]
            page = (await ask(relay, "metrics", b"GET /metrics"))[2].decode()
            assert 'earwitness_sessions_started_total{listener="deepgram",vendor="deepgram",endpoint="v1"} 1\n' in page
            assert 'earwitness_sessions_started_total{listener="assemblyai",vendor="assemblyai",endpoint="v3"} 0\n' in page
            assert 'earwitness_error_info{vendor="assemblyai"' in page
            assert 'earwitness_error_info{vendor="deepgram"' not in page
            stray = await connect(relay.port("assemblyai"))
            relay.clients.append(stray)
            await stray.send(request(b"/v1/listen"))
            assert b"sidecar_not_found" in await stray.head()  # no path of the other vendor's
            assert (await relay.report()).verdict.vendor == "assemblyai"

    run(main())


def test_a_certificate_that_was_renewed(loop: str, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = tls_pair(tmp_path / "old"), tls_pair(tmp_path / "new")

    def proving(pair: tuple[str, str]) -> dict[str, Any]:
        return {"tls": Tls(cert=Path(pair[0]), key=Path(pair[1]))}

    async def main() -> None:
        async with listening() as vendor, relaying(settings(vendor.url, proving(old)), vendor) as relay:
            relay.tls = ssl.create_default_context(cafile=old[0])
            client, peer = await relay.open()
            rereads(relay, settings(vendor.url, proving(new)))
            assert await post(relay) == (200, "reloaded\n")
            with pytest.raises(ssl.SSLError):
                await relay.connect()
            relay.tls = ssl.create_default_context(cafile=new[0])
            await relay.open()
            await peer.send(HELLO)
            assert await client.exactly(len(HELLO)) == HELLO

    run(main(), loop)


def test_one_after_the_other(loop: str) -> None:
    """The last one that was asked for counts."""
    async def main() -> None:
        async with listening() as one, listening() as two, relaying(settings(one.url), one) as relay:
            rereads(relay, settings(one.url), ConfigError([]), settings(two.url))
            for _ in range(3):
                relay.app.reload_soon()
            assert len(relay.app._reloads) == 3
            await asyncio.gather(*relay.app._reloads)
            relay.vendor = two
            await relay.open()
            assert (await gauges(relay))[0] == 1

    run(main(), loop)


def test_without_a_file_they_are_the_same_again() -> None:
    async def main() -> None:
        app = App(settings("http://127.0.0.1:1"))
        await app.start()
        assert await app.reload() == []
        await app.stop()

    run(main())
