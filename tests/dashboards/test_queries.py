"""Every panel's queries, asked of a real Prometheus that scraped the demo: each gives data."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from dashboards.prometheus import Prometheus, Series, scraping
from dashboards.rehearsal import scraped
from proxy.demo import Stage, perform
from proxy.simulators.scenes import SCENES
from tests.aio import run

from .queries import Json, targets

pytestmark = pytest.mark.alone

GOOD_CALL_SECONDS: Final = 3.0
QUERIES: Final = [pytest.param(panel, target, id=f"{name}-{panel['title']}-{target['refId']}") for name, panel, target in targets()]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, float, float]]:
    """A Prometheus that holds the demo from before its first call until after its last; and when these were."""
    folder = tmp_path_factory.mktemp("prometheus")

    async def main() -> tuple[float, float]:
        async with Stage(SCENES) as stage, scraped(stage, folder) as prometheus:
            start = time.time()
            await asyncio.to_thread(_plain_http, stage.addresses["deepgram"])  # what is first of its kind is no increase
            await perform(stage, SCENES, GOOD_CALL_SECONDS)
            await asyncio.to_thread(_plain_http, stage.addresses["deepgram"])
            await asyncio.to_thread(prometheus.await_scrape, time.time())
            return start, time.time() + 1

    start, end = run(main(), "uvloop", timeout=50)
    with scraping("127.0.0.1:1", folder) as prometheus:  # a new process, with the data of the one before
        yield prometheus, start, end


def _plain_http(address: str) -> None:
    """A request that is no session, and fails."""
    with pytest.raises(HTTPError, match="401") as failed:
        urlopen(Request(f"http://{address}/v1/auth/grant", method="POST", headers={"authorization": "Token bad-key"}), timeout=5)
    failed.value.close()


def asked(demo: tuple[Prometheus, float, float], target: Json, **chosen: str) -> list[Series]:
    prometheus, start, end = demo
    return prometheus.series(target, start, end, 1, chosen)


@pytest.mark.parametrize(("panel", "target"), QUERIES)
def test_a_query_gives_data(demo: tuple[Prometheus, float, float], panel: Json, target: Json) -> None:
    found = asked(demo, target)
    assert found
    assert all(math.isfinite(value) for series in found for _, value in series.points)
    assert len({series.name for series in found}) == len(found), "a legend tells series apart"


@pytest.mark.parametrize("name", ["Sessions ended", "Stalls", "Contradicted claims"])
def test_figures_are_those_of_the_demo(demo: tuple[Prometheus, float, float], name: str) -> None:
    """To the half, since an increase is extrapolated to the edges of its range."""
    due = {"Sessions ended": len(SCENES), "Stalls": 2, "Contradicted claims": 3}[name]
    (target,) = (target for board, panel, target in targets() if (board, panel["title"]) == ("overview.json", name))
    (series,) = asked(demo, target)
    assert series.points[-1][1] == pytest.approx(due, rel=0.5)
