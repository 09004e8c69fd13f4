"""Latency figures against the truth, through the whole sidecar: vendors that answer after a known delay, and a client that notes
when each piece of audio went and when each result came."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from time import monotonic
from typing import Any, Final

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from proxy.core.report import Report
from proxy.core.tally import Tables
from proxy.simulators import AssemblyAISimulator, DeepgramSimulator
from proxy.simulators.line import Line
from tests.aio import run
from tests.e2e.rig import sidecar, upstream
from tests.sdks import chunks, speech
from tests.simulators.calls import CLOSE_STREAM, KEY, TERMINATE, TOKEN, V3

pytestmark = pytest.mark.alone

OFF: Final = 0.02
"""What a figure may be off by, in seconds."""
DELAY: Final = 0.2
APART: Final = 0.6
"""Seconds of audio between interim results."""
SPACING: Final = 0.55
"""Interim results closer to each other than this are not looked at. All that happens in a call is a multiple of a tenth of a second
apart, so that which ones these are hangs on nobody's being some milliseconds late."""
SEVERAL: Final = speech(0, 0.6, 0.9, 0.8, 0.7, 0.8, 0.5, 0.6)
"""Silence first, then three utterances."""


def _late(line: Line) -> None:
    """Results come after a while; all that follows waits for them, as in a queue."""
    say = line.say

    async def later(message: dict[str, Any]) -> None:
        if message["type"] in ("Results", "Turn"):
            await asyncio.sleep(DELAY)
        await say(message)

    line.say = later  # type: ignore[method-assign]


class LateDeepgram(DeepgramSimulator):
    async def converse(self, line: Line) -> None:
        _late(line)
        await super().converse(line)


class LateAssemblyAI(AssemblyAISimulator):
    async def converse(self, line: Line) -> None:
        _late(line)
        await super().converse(line)


@dataclass(frozen=True)
class Result:
    """What the client got: where the speech in it begins and ends in the audio, in seconds, and when it came."""

    start: float
    end: float
    final: bool
    came: float


def deepgram(message: Mapping[str, Any], now: float) -> Result | None:
    if message["type"] != "Results" or not (words := message["channel"]["alternatives"][0]["words"]):
        return None
    return Result(words[0]["start"], words[-1]["end"], message["is_final"], now)


def assemblyai(message: Mapping[str, Any], now: float) -> Result | None:
    if message["type"] != "Turn":
        return None
    return Result(message["words"][0]["start"] / 1000, message["words"][-1]["end"] / 1000, message["end_of_turn"], now)


@dataclass
class Heard:
    """One call: `ends` is how much audio had gone with each message, `times` when."""

    ends: list[float]
    times: list[float] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)

    def lag(self, result: Result, position: float) -> float:
        return result.came - self.times[min(bisect_left(self.ends, position - 1e-6), len(self.times) - 1)]

    def lags(self, final: bool) -> list[float]:
        """Of those that are looked at: all finals, and interim results that do not come too soon after another result."""
        found, looked_at = [], 0.0
        for result in self.results:
            if result.final or result.came >= looked_at + SPACING:
                looked_at = result.came
                found += [self.lag(result, result.end)] if result.final is final else []
        return found


async def heard(url: str, headers: Mapping[str, str], end: str, chunk: float, burst: int,
                read: Callable[[Mapping[str, Any], float], Result | None]) -> Heard:
    """Sends in real time, `burst` messages at once."""
    pieces = list(chunks(SEVERAL, chunk))
    known = Heard(list(accumulate(len(piece) / 32000 for piece in pieces)))
    async with connect(url, additional_headers=headers, compression=None, proxy=None) as line:

        async def speak() -> None:
            start = monotonic()
            for number, piece in enumerate(pieces):
                if number % burst == 0:
                    await asyncio.sleep(max(0.0, start + min(number + burst, len(pieces)) * chunk - monotonic()))
                known.times.append(monotonic())
                await line.send(piece)
            await line.send(end)

        speaking = asyncio.create_task(speak())
        with suppress(ConnectionClosed):
            while True:
                text = await line.recv()
                if (result := read(json.loads(text), monotonic())) is not None:
                    known.results.append(result)
        await speaking
    return known


def check(known: Heard, report: Report, tables: Tables) -> None:
    first, last = known.results[0], known.results[-1]
    lags = [known.lag(result, result.end) for result in known.results]
    latency = report.latency
    assert min(lags) >= DELAY
    assert latency.first_result_seconds == pytest.approx(known.lag(first, first.start), abs=OFF)
    assert latency.result_lag_seconds_last == pytest.approx(known.lag(last, last.end), abs=OFF)
    assert latency.result_lag_seconds_max == pytest.approx(max(known.lags(True) + known.lags(False)), abs=OFF)
    assert latency.finals == len(known.lags(True))
    for table, found in ((tables.final_lag, known.lags(True)), (tables.interim_lag, known.lags(False))):
        assert sum(table.counts) == len(found)
        assert table.total == pytest.approx(sum(found), abs=OFF * len(found))


QUERY: Final = "/v1/listen?encoding=linear16&sample_rate=16000&interim_results="


@pytest.mark.parametrize(("chunk", "burst"), [(0.1, 1), (0.1, 8)], ids=["steady", "bursts"])
def test_figures_are_the_truth(chunk: float, burst: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.core.timing.RESULT_SPACING", SPACING)
    monkeypatch.setattr("proxy.simulators.deepgram_nova.INTERIM_SECONDS", APART)
    monkeypatch.setattr("proxy.simulators.assemblyai_turns.PARTIAL_SECONDS", APART)
    async def main() -> None:
        places = [("finals", LateDeepgram, QUERY + "false", TOKEN, CLOSE_STREAM, deepgram),
                  ("interims", LateDeepgram, QUERY + "true", TOKEN, CLOSE_STREAM, deepgram),
                  ("turns", LateAssemblyAI, V3, KEY, TERMINATE, assemblyai)]
        async with asyncio.TaskGroup() as all_at_once:
            for place in places:
                all_at_once.create_task(one(*place))

    async def one(name: str, simulator: Any, path: str, headers: Mapping[str, str], end: str, read: Any) -> None:
        async with simulator(strict=False) as vendor, \
                sidecar({"name": name, "vendor": vendor.vendor, "upstream": upstream(vendor)}) as beside:
            known = await heard(beside.url(name) + path, headers, end, chunk, burst, read)
            report = await beside.reports.next()
            tables = beside.app.ledger.tables(name, report.verdict.vendor or "", report.verdict.endpoint or "")
            check(known, report, tables)

    run(main())
