"""`earwitness run` that ends while calls are open: what vendors, clients and the log get of it."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from proxy.simulators import SIMULATORS, AssemblyAISimulator
from tests.aio import run
from tests.e2e.process import earwitness, page
from tests.e2e.rig import AUDIO, sidecar, upstream
from tests.e2e.test_run import begun, listener
from tests.otlp import collector
from tests.relay.peers import until
from tests.sdks import assemblyai_async, deepgram_v1_async
from tests.simulators.calls import KEY, V3

CALLS: Final = 20
PACED: Final = {"rules": {"pace": {"mode": "enforce", "rate": 1.0, "lead_seconds": 0.3}}}
"""The call lasts as long as its audio, however fast the SDK is given it."""


async def closed(line: ClientConnection) -> tuple[list[dict[str, Any]], ConnectionClosedError]:
    """What still came, and how it ended."""
    heard = []
    try:
        while True:
            heard.append(json.loads(await line.recv()))
    except ConnectionClosedError as error:
        return heard, error


def test_what_outlasts_the_grace_is_ended_the_vendors_way(tmp_path: Path) -> None:
    """By the page, and then by itself: every vendor was told, every client may try again, every call has its report."""
    async def main() -> None:
        async with AssemblyAISimulator() as simulator:
            with earwitness(tmp_path, "run", drain={"accept_seconds": 0, "grace_seconds": 0.1},
                            listeners=[listener("assemblyai", simulator)]) as process:
                at = await process.ready()
                lines = [await begun(at["assemblyai"]) for _ in range(CALLS)]
                assert (await page(at["admin"], "/-/drain", "POST"))[0] == 202
                for line in lines:
                    heard, error = await closed(line)
                    assert heard == []  # no goodbye either: that would tell of a good end
                    assert error.rcvd is not None
                    assert (error.rcvd.code, error.rcvd.reason) == (1012, "earwitness: draining")
                assert await process.ended() == 0
                ends = process.lines("session_end")
                assert [(end["outcome"], end["owner"], end["initiated_by"]) for end in ends] == [("drained", "sidecar", "sidecar")] * CALLS
                assert {end["session_id"] for end in ends} == {line["session_id"] for line in process.lines("session_open")}
                assert process.lines()[-1]["event"] == "stopped"
            assert process.err == ""

    run(main())


def test_calls_are_taken_while_balancers_do_not_know_yet(tmp_path: Path) -> None:
    """Not ready, and serving. The call that came then has its time, too; with the last one gone it is over."""
    async def main() -> None:
        async with AssemblyAISimulator() as simulator:
            with earwitness(tmp_path, "run", drain={"accept_seconds": 2, "grace_seconds": 600},
                            listeners=[listener("assemblyai", simulator)]) as process:
                at = await process.ready()
                process.signal(signal.SIGTERM)
                await process.said("draining")
                assert (await page(at["metrics"], "/-/ready"))[0] == 503
                async with connect(f"ws://{at['assemblyai']}{V3}", additional_headers=KEY, compression=None, proxy=None) as line:
                    assert json.loads(await line.recv())["type"] == "Begin"
                    await line.send('{"type":"Terminate"}')
                    assert json.loads(await line.recv())["type"] == "Termination"
                assert await process.ended() == 0
                assert [end["outcome"] for end in process.lines("session_end")] == ["ok"]

    run(main())


@pytest.mark.parametrize(("vendor", "place"), [("deepgram", deepgram_v1_async), ("assemblyai", assemblyai_async)])
def test_an_sdk_can_tell_that_it_may_try_again(vendor: str, place: Any) -> None:
    """No end that went well, and the reason."""
    async def main() -> None:
        async with SIMULATORS[vendor](strict=False) as simulator:
            paced = {"vendor": vendor, "upstream": upstream(simulator), "policy": PACED}
            async with sidecar(paced, drain={"accept_seconds": 0, "grace_seconds": 0}) as beside:
                call = asyncio.create_task(place(beside.url(vendor), AUDIO))
                await until(lambda: any(one.session.audio.read > 0 for one in beside.app.relay.calls))
                beside.app.drain()
                outcome = await call
                assert outcome.error is not None
                assert "1012" in outcome.error
                assert (await beside.reports.next()).verdict.outcome == "drained"
                await beside.app.drained.wait()

    run(main())


def test_what_was_drained_is_exported_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches would go a minute later by themselves."""
    async def main() -> None:
        async with AssemblyAISimulator() as simulator:
            with earwitness(tmp_path, "run", drain={"accept_seconds": 0, "grace_seconds": 0},
                            listeners=[listener("assemblyai", simulator)]) as process:
                lines = [await begun((await process.ready())["assemblyai"]) for _ in range(3)]
                process.signal(signal.SIGTERM)
                for line in lines:
                    await closed(line)
                assert await process.ended() == 0
                ended = {end["session_id"] for end in process.lines("session_end")}
                spans = [span for span in traces.spans if span.attributes.get("earwitness.outcome") == "drained"]
                assert len(spans) == len(lines) == len(ended)
                assert {span.attributes["earwitness.session_id"] for span in spans} == ended

    with collector() as traces:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", traces.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
        run(main())
