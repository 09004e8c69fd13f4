"""Exemplars, as a real Prometheus stores them: from a figure that is too high to the trace of one call."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from dashboards.prometheus import scraping
from proxy.simulators import DeepgramSimulator
from proxy.simulators.base import BAD_KEY
from tests.aio import run
from tests.e2e.rig import AUDIO, Sidecar, sidecar, upstream
from tests.sdks import chunks
from tests.simulators.calls import CLOSE_STREAM, V1

GOOD: Final = "a" * 32
BAD: Final = "b" * 32
DROPPED: Final = "c" * 32
"""The client says of this one that nobody keeps it."""


def headers(trace: str, flags: str = "01", key: str = "key") -> dict[str, str]:
    return {"Authorization": f"Token {key}", "traceparent": f"00-{trace}-b7ad6b7169203331-{flags}"}


async def called(beside: Sidecar, trace: str, flags: str = "01") -> None:
    async with connect(beside.url("deepgram") + V1, additional_headers=headers(trace, flags), compression=None, proxy=None) as line:
        for message in chunks(AUDIO, 0.1):
            await line.send(message)
        await line.send(CLOSE_STREAM)
        async for _ in line:
            pass
    await beside.reports.next()


async def refused(beside: Sidecar) -> None:
    try:
        await connect(beside.url("deepgram") + V1, additional_headers=headers(BAD, key=BAD_KEY), proxy=None)
    except InvalidStatus:
        await beside.reports.next()


def asked(address: str, folder: Path, since: float) -> Any:
    """All exemplars that a Prometheus has after a scrape. Waits: for a thread of its own."""
    with scraping(address, folder) as prometheus:
        prometheus.await_scrape(time.time())
        return prometheus.ask("query_exemplars", query='{__name__=~"earwitness_.+"}', start=since, end=time.time() + 5)


def test_a_prometheus_finds_the_traces_of_what_it_counted(tmp_path: Path) -> None:
    since = time.time()

    async def main() -> Any:
        async with DeepgramSimulator(strict=False) as simulator, sidecar({"vendor": "deepgram", "upstream": upstream(simulator)}) as beside:
            await called(beside, GOOD)
            await called(beside, DROPPED, "00")
            await refused(beside)
            return await asyncio.to_thread(asked, beside.url("metrics", "http").removeprefix("http://"), tmp_path, since)

    found: dict[str, set[str]] = {}
    for series in run(main()):
        for exemplar in series["exemplars"]:
            assert exemplar["labels"].keys() == {"trace_id"}
            assert since - 1 <= exemplar["timestamp"] <= time.time() + 1
            found.setdefault(series["seriesLabels"]["__name__"], set()).add(exemplar["labels"]["trace_id"])
            if "code" in series["seriesLabels"]:
                assert series["seriesLabels"]["code"] == "INVALID_AUTH"
    assert found == {
        "earwitness_errors_total": {BAD}, "earwitness_ready_seconds_bucket": {GOOD}, "earwitness_first_result_seconds_bucket": {GOOD},
        "earwitness_result_lag_seconds_bucket": {GOOD}, "earwitness_session_seconds_bucket": {GOOD, BAD},
    }
