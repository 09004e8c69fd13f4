"""`earwitness run` whose settings change: a file that is replaced behind a link, as Kubernetes does it, a signal and a page."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from proxy.simulators import DeepgramSimulator
from tests.aio import run
from tests.e2e.process import Process, page
from tests.e2e.rig import AUDIO, upstream
from tests.sdks import deepgram_v1_async


class ConfigMap:
    """A folder as the kubelet mounts it: files are links into `..data`, which is a link that is replaced in one go."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._versions = folder, 0
        folder.mkdir()
        self.file = folder / "earwitness.yaml"
        self.file.symlink_to("..data/earwitness.yaml")

    def hold(self, text: str) -> None:
        self._versions += 1
        version = self._folder / f"..version_{self._versions}"
        version.mkdir()
        (version / "earwitness.yaml").write_text(text)
        fresh = self._folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.replace(self._folder / "..data")


def settings(to: str, **more: Any) -> str:
    anywhere = {"listen": "127.0.0.1:0"}
    listener = {"vendor": "deepgram", "upstream": to, **anywhere}
    return json.dumps({"metrics": anywhere, "admin": anywhere, "listeners": [listener], **more})


def test_a_mounted_file_is_read_again_when_asked(tmp_path: Path) -> None:
    async def main() -> None:
        async with DeepgramSimulator(strict=False) as one, DeepgramSimulator(strict=False) as two:
            mounted = ConfigMap(tmp_path / "mounted")
            mounted.hold(settings(upstream(one)))
            process = Process(tmp_path, "run", "--config", str(mounted.file))
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
