"""`earwitness run` as a process: it gets ready, serves, tells each session once, and ends as it is told to."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect

from proxy import cli
from proxy.simulators import AssemblyAISimulator, DeepgramSimulator
from tests.aio import run
from tests.e2e.process import earwitness, page
from tests.e2e.rig import AUDIO, upstream
from tests.sdks import assemblyai_async, deepgram_v1_async
from tests.simulators.calls import KEY, TERMINATE, V3

AT_ONCE: Final = {"accept_seconds": 0, "grace_seconds": 0}
PATIENT: Final = {"accept_seconds": 0, "grace_seconds": 60}


def listener(vendor: str, simulator: Any) -> dict[str, str]:
    return {"vendor": vendor, "listen": "127.0.0.1:0", "upstream": upstream(simulator)}


async def begun(address: str) -> ClientConnection:
    """An open session of which the vendor has said that it began."""
    line = await connect(f"ws://{address}{V3}", additional_headers=KEY, compression=None, proxy=None)
    assert json.loads(await line.recv())["type"] == "Begin"
    return line


def test_ready_serving_and_ended(tmp_path: Path) -> None:
    async def main() -> None:
        async with DeepgramSimulator(strict=False) as deepgram, AssemblyAISimulator(strict=False) as assemblyai:
            both = [listener("deepgram", deepgram), listener("assemblyai", assemblyai)]
            with earwitness(tmp_path, "run", drain=AT_ONCE, listeners=both) as process:
                at = await process.ready()
                assert (await page(at["metrics"], "/-/ready"))[0] == 200
                assert await asyncio.to_thread(cli.main, ["healthcheck", "--metrics", at["metrics"]]) == 0
                for place, name in ((deepgram_v1_async, "deepgram"), (assemblyai_async, "assemblyai")):
                    assert (await place(f"ws://{at[name]}", AUDIO)).error is None
                    assert (await place(f"ws://{at[name]}", AUDIO, key="bad-key")).error is not None
                ends = await process.said("session_end", 4)
                _, metrics = await page(at["metrics"], "/metrics")
                process.signal(signal.SIGTERM)
                assert await process.ended() == 0
        assert [(end["vendor"], end["outcome"], end["code"]) for end in ends] == [
            ("deepgram", "ok", "normal"), ("deepgram", "refused_by_vendor", "INVALID_AUTH"),
            ("assemblyai", "ok", "normal"), ("assemblyai", "error", "1008_invalid_key"),
        ]
        opened = [line["session_id"] for line in process.lines("session_open")]
        assert opened == [end["session_id"] for end in ends]
        assert [line["event"] for line in process.lines()][-2:] == ["draining", "stopped"]
        assert process.err == ""
        labels = {"listener": "deepgram", "code": "INVALID_AUTH", "category": "auth", "owner": "operator", "retry": "after_fix"}
        counted = [line for line in metrics.splitlines() if line.startswith("earwitness_errors_total{") and not line.endswith(" 0")]
        assert len(counted) == 2  # one for each call that failed
        assert any(all(f'{name}="{value}"' in line for name, value in labels.items()) for line in counted)

    run(main())


def test_sigint_does_not_wait_for_open_calls(tmp_path: Path) -> None:
    async def main() -> None:
        async with AssemblyAISimulator() as simulator:
            with earwitness(tmp_path, "run", drain=PATIENT, listeners=[listener("assemblyai", simulator)]) as process:
                line = await begun((await process.ready())["assemblyai"])
                process.signal(signal.SIGINT)
                assert await process.ended() == 0
                await line.wait_closed()
                assert [end["outcome"] for end in process.lines("session_end")] == ["drained"]

    run(main())


@pytest.mark.parametrize("by", ["signal", "page"])
def test_a_drain_waits_for_open_calls(tmp_path: Path, by: str) -> None:
    async def main() -> None:
        async with AssemblyAISimulator() as simulator:
            with earwitness(tmp_path, "run", drain=PATIENT, listeners=[listener("assemblyai", simulator)]) as process:
                at = await process.ready()
                line = await begun(at["assemblyai"])
                if by == "signal":
                    process.signal(signal.SIGTERM)
                else:
                    assert (await page(at["admin"], "/-/drain", "POST"))[0] == 202
                await process.said("draining")
                assert (await page(at["metrics"], "/-/ready"))[0] == 503
                assert (await page(at["metrics"], "/-/healthy"))[0] == 200
                await line.send(TERMINATE)
                assert json.loads(await line.recv())["type"] == "Termination"
                await line.wait_closed()
                assert await process.ended() == 0
                assert [end["outcome"] for end in process.lines("session_end")] == ["ok"]

    run(main())


def test_the_second_signal_ends_the_waiting(tmp_path: Path) -> None:
    async def main() -> None:
        async with AssemblyAISimulator() as simulator:
            with earwitness(tmp_path, "run", drain=PATIENT, listeners=[listener("assemblyai", simulator)]) as process:
                line = await begun((await process.ready())["assemblyai"])
                process.signal(signal.SIGTERM)
                await process.said("draining")
                process.signal(signal.SIGTERM)
                assert await process.ended() == 0
                await line.wait_closed()

    run(main())


def test_flags_in_place_of_a_file(tmp_path: Path) -> None:
    """As the first lines of the README have it."""

    async def main() -> None:
        async with DeepgramSimulator(strict=False) as simulator:
            flags = ("--vendor", "deepgram", "--listen", "127.0.0.1:0", "--upstream", upstream(simulator))
            with earwitness(tmp_path, "run", *flags, "--metrics", "127.0.0.1:0", "--admin", "127.0.0.1:0") as process:
                at = await process.ready()
                assert at.keys() == {"deepgram", "metrics", "admin"}
                assert (await deepgram_v1_async(f"ws://{at['deepgram']}", AUDIO)).error is None
                process.signal(signal.SIGINT)
                assert await process.ended() == 0

    run(main())


def test_an_address_in_use(tmp_path: Path) -> None:
    async def main() -> None:
        async with DeepgramSimulator() as simulator:
            taken = listener("deepgram", simulator) | {"listen": f"127.0.0.1:{simulator.port}"}
            with earwitness(tmp_path, "run", listeners=[taken]) as process:
                assert await process.ended() == 75
                assert process.err.startswith(f"earwitness: deepgram: cannot listen on 127.0.0.1:{simulator.port}: ")
                assert process.err.lower().endswith("address already in use\n")
                assert process.out == ""

    run(main())


def test_bad_settings_are_told_before_anything_is_bound(tmp_path: Path) -> None:
    """The address is taken, too: 75 would mean that it was tried."""

    async def main() -> None:
        async with DeepgramSimulator() as simulator:
            wrong = listener("nobody", simulator) | {"listen": f"127.0.0.1:{simulator.port}"}
            with earwitness(tmp_path, "run", listeners=[wrong], gate={"mode": "enforce"}) as process:
                assert await process.ended() == 64
                file = tmp_path / "earwitness.yaml"
                assert all(line.startswith(f"{file}:1: ") for line in process.err.splitlines())
                assert "listeners.0.vendor: no profile 'nobody'" in process.err
                assert " gate: " in process.err
                assert process.out == ""

    run(main())


