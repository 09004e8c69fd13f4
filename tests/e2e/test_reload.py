"""`earwitness run` whose settings change: a file that is replaced behind a link, as Kubernetes does it, a signal and a page."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from pathlib import Path
from typing import Any

from proxy.settings import packaged
from proxy.simulators import DeepgramSimulator
from tests.aio import run, tls_pair
from tests.e2e.process import Process, page
from tests.e2e.rig import AUDIO, upstream
from tests.mounted import ConfigMap
from tests.sdks import deepgram_v1_async


def settings(to: str, tls: dict[str, str] | None = None, **more: Any) -> dict[str, str]:
    """The one file, by its name."""
    anywhere = {"listen": "127.0.0.1:0"}
    listener = {"vendor": "deepgram", "upstream": to, "tls": tls, **anywhere}
    return {"earwitness.yaml": json.dumps({"metrics": anywhere, "admin": anywhere, "listeners": [listener], **more})}


def test_a_mounted_file_is_read_again_when_asked(tmp_path: Path) -> None:
    async def main() -> None:
        async with DeepgramSimulator(strict=False) as one, DeepgramSimulator(strict=False) as two:
            mounted = ConfigMap(tmp_path / "mounted")
            mounted.hold(settings(upstream(one)))
            process = Process(tmp_path, "run", "--config", str(mounted.path("earwitness.yaml")))
            try:
                at = await process.ready()
                mounted.hold(settings(upstream(two)))
                assert (await deepgram_v1_async(f"ws://{at['deepgram']}", AUDIO)).error is None
                assert (len(one.sessions), len(two.sessions)) == (1, 0)  # nobody has asked

                process.signal(signal.SIGHUP)
                assert [line["listeners"] for line in await process.said("reloaded")] == [{"deepgram": at["deepgram"]}]
                assert (await deepgram_v1_async(f"ws://{at['deepgram']}", AUDIO)).error is None
                assert (len(one.sessions), len(two.sessions)) == (1, 1)

                mounted.hold(settings(upstream(one), nonsense=1))
                status, said = await page(at["admin"], "/-/reload", "POST")
                assert status == 500
                assert "nonsense" in said
                [failed] = await process.said("reload_failed")
                assert failed["problems"] == said.splitlines()
                assert "\nearwitness_config_last_reload_successful 0\n" in (await page(at["metrics"], "/metrics"))[1]
                assert (await deepgram_v1_async(f"ws://{at['deepgram']}", AUDIO)).error is None
                assert (len(one.sessions), len(two.sessions)) == (1, 2)

                mounted.hold(settings(upstream(one)))
                assert await page(at["admin"], "/-/reload", "POST") == (200, "reloaded\n")
                assert "\nearwitness_config_last_reload_successful 1\n" in (await page(at["metrics"], "/metrics"))[1]
                process.signal(signal.SIGINT)
                assert await process.ended() == 0
            finally:
                process.stop()

    run(main())


def certificates(folder: Path) -> tuple[dict[str, str], str]:
    """A new pair, by the names that a Secret gives them, and the certificate."""
    folder.mkdir()
    cert, key = map(Path, tls_pair(folder))
    return {"tls.crt": cert.read_text(), "tls.key": key.read_text()}, cert.read_text()


async def shown(address: str) -> str:
    """The certificate a listener proves itself with."""
    host, _, port = address.rpartition(":")
    return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))


def test_what_is_mounted_is_watched_where_that_is_asked_for(tmp_path: Path) -> None:
    """The file of the settings, a certificate and a vendor's file: each swap is read once, a bad one and one back to the old as well."""
    watched = {"reload": {"watch_seconds": 0.1}, "profiles": [str(tmp_path / "vendors")], "drain": {"accept_seconds": 0}}
    vendor = (packaged() / "vendors" / "deepgram.yaml").read_text()
    first, cert = certificates(tmp_path / "first")
    second, renewed = certificates(tmp_path / "second")

    async def main() -> None:
        async with DeepgramSimulator(strict=False) as one, DeepgramSimulator(strict=False) as two:
            mounted, secret, vendors = (ConfigMap(tmp_path / name) for name in ("mounted", "secret", "vendors"))
            tls = {"cert": str(secret.path("tls.crt")), "key": str(secret.path("tls.key"))}
            secret.hold(first)
            vendors.hold({"deepgram.yaml": vendor})
            mounted.hold(settings(upstream(one), tls, **watched))
            process = Process(tmp_path, "run", "--config", str(mounted.path("earwitness.yaml")))
            try:
                at = await process.ready()
                assert await shown(at["deepgram"]) == cert
                mounted.hold(settings(upstream(two), tls, **watched))
                await process.said("reloaded")

                mounted.hold(settings(upstream(one), tls, **watched, nonsense=1))
                await process.said("reload_failed")
                mounted.hold(settings(upstream(two), tls, **watched))
                await process.said("reloaded", 2)
                secret.hold(second)
                await process.said("reloaded", 3)
                assert await shown(at["deepgram"]) == renewed
                vendors.hold({"deepgram.yaml": vendor + "nonsense: 1\n"})
                await process.said("reload_failed", 2)
                vendors.hold({"deepgram.yaml": vendor})
                await process.said("reloaded", 4)
                mounted.hold(settings(upstream(two), tls, drain={"accept_seconds": 0}))  # nobody watches any more
                await process.said("reloaded", 5)
                process.signal(signal.SIGTERM)
                assert await process.ended() == 0
                assert [line["event"] for line in process.lines() if line["event"].startswith("reload")] == [
                    "reloaded", "reload_failed", "reloaded", "reloaded", "reload_failed", "reloaded", "reloaded"]
            finally:
                process.stop()

    run(main())
