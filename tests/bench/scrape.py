"""What a scrape does to open calls: many of them, scraped far too often, and what the event loop says of its own lag."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.bench import page
from tests.bench.load import Order
from tests.bench.measure import OURS, ours, rig
from tests.bench.processes import ROOT

SESSIONS: Final = 1000
GAP: Final = 1.0
"""Seconds between two frames of a session: sessions are many here, and frames few, so that what holds up the loop is the scrape."""
PAUSE: Final = 0.03
"""Seconds between two scrapes: most ticks of the loop meet one, and the process is not busy with nothing else."""
LIMIT: Final = 0.01
ACCEPT: Final = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
"""As Prometheus asks."""
SECONDS_TO_OPEN: Final = 60.0


@dataclass(frozen=True)
class Lag:
    """Of ticks of the event loop in some seconds: how many there were, how many late by more than the limit."""

    ticks: float
    late: float

    def __str__(self) -> str:
        return f"{self.late:g} of {self.ticks:g} ticks"


@dataclass(frozen=True)
class Scraped:
    """`calm` is without scrapes; `times` are seconds that each scrape took."""

    calm: Lag
    busy: Lag
    times: list[float]


def once(port: int) -> float:
    """Seconds that a scrape takes, as the one who asks sees it."""
    began = time.monotonic()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": ACCEPT})
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()
    return time.monotonic() - began


@contextmanager
def every(port: int, seconds: float) -> Iterator[None]:
    """Scrapes in a thread, as long as the context lasts."""
    stop = threading.Event()

    def scrape() -> None:
        while not stop.wait(seconds):
            once(port)

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def scraped(folder: Path, seconds: float) -> Scraped:
    """Opens the sessions, watches them for a while, and then again while they are scraped."""
    with rig(folder, False, [OURS]) as bench:
        target = ours(bench)[0]
        assert target.metrics is not None
        order = Order(target.port, SESSIONS, SECONDS_TO_OPEN + 2 * seconds, GAP)
        with subprocess.Popen([sys.executable, "-m", "tests.bench.load", json.dumps(asdict(order))], cwd=ROOT,
                              stdout=subprocess.DEVNULL) as load:
            try:
                _all_open(target.metrics)
                before = page.lag(target.metrics, LIMIT)
                time.sleep(seconds)
                between = page.lag(target.metrics, LIMIT)
                times, until = [], time.monotonic() + seconds
                while time.monotonic() < until:
                    times.append(once(target.metrics))
                    time.sleep(PAUSE)
                after = page.lag(target.metrics, LIMIT)
            finally:
                load.kill()
    return Scraped(_between(before, between), _between(between, after), sorted(times))


def _all_open(port: int) -> None:
    give_up = time.monotonic() + SECONDS_TO_OPEN
    while page.read(port).active < SESSIONS:
        if time.monotonic() > give_up:
            raise TimeoutError(f"{page.read(port).active:g} of {SESSIONS} sessions are open")
        time.sleep(0.2)
    time.sleep(1.0)  # what opening them has left behind is done


def _between(before: tuple[float, float], after: tuple[float, float]) -> Lag:
    return Lag(after[0] - before[0], after[1] - before[1])
