"""A Prometheus of one's own that scrapes one address, and what the queries of a panel give there.

Owns the process, the substitution of Grafana's variables, and legends. It knows neither panels' looks nor Earwitness.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

STARTS_SECONDS: Final = 20.0
SCRAPES_SECONDS: Final = 20.0
ALL: Final = ".+"
"""What a variable stands for where nothing is chosen."""


@dataclass(frozen=True, slots=True)
class Series:
    """`points`: seconds since the epoch, and values; one alone of an instant query."""

    name: str
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """`address`: host:port of the web interface. `interval`: seconds between scrapes."""

    address: str
    interval: int

    def ask(self, path: str, **arguments: object) -> Any:
        """The data of an answer. Raises HTTPError where the query is wrong."""
        with urlopen(f"http://{self.address}/api/v1/{path}?{urlencode(arguments)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def await_scrape(self, after: float) -> None:
        """Returns once something was scraped later than that moment, in seconds since the epoch. Raises TimeoutError."""
        give_up = time.monotonic() + SCRAPES_SECONDS
        while not self.ask("query", query=f"timestamp(up) > {after} and up == 1")["result"]:
            if time.monotonic() > give_up:
                raise TimeoutError(f"prometheus scrapes nothing:\n{self.ask('targets')}")
            time.sleep(0.1)

    def series(self, target: Mapping[str, Any], start: float, end: float, step: int, chosen: Mapping[str, str]) -> list[Series]:
        """What a panel's query gives between two moments. `chosen`: values of variables, by name."""
        expr = self.filled(str(target["expr"]), round(end - start), step, chosen)
        if target["instant"]:
            found = self.ask("query", query=expr, time=end)["result"]
        else:
            found = self.ask("query_range", query=expr, start=start, end=end, step=step)["result"]
        return [Series(_legend(str(target["legendFormat"]), one["metric"]), one["metric"], _points(one)) for one in found]

    def filled(self, expr: str, seconds: int, step: int, chosen: Mapping[str, str]) -> str:
        """Grafana's variables in PromQL by what they stand for. Its rule: a rate interval is never less than four scrapes."""
        values = {"__range": f"{seconds}s", "__rate_interval": f"{max(step + self.interval, 4 * self.interval)}s", **chosen}
        return re.sub(r"\$(\w+)", lambda match: values.get(match[1], ALL), expr)


def _legend(form: str, labels: Mapping[str, str]) -> str:
    if form == "__auto":
        return " ".join(labels.values())
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), form)


def _points(found: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    return tuple((float(moment), float(value)) for moment, value in found.get("values") or [found["value"]])


@contextmanager
def scraping(address: str, folder: Path, interval: int = 1) -> Iterator[Prometheus]:
    """Prometheus on any free port of loopback, with its data in `folder`, as long as the context lasts.

    Raises FileNotFoundError where it is not installed, RuntimeError where it does not start.
    """
    program = shutil.which("prometheus")
    if program is None:
        raise FileNotFoundError("there is no prometheus; Debian's package has it")
    settings, log = folder / "prometheus.yml", folder / "prometheus.log"
    settings.write_text(json.dumps({  # JSON is YAML
        "global": {"scrape_interval": f"{interval}s", "scrape_timeout": f"{interval}s"},
        "scrape_configs": [{"job_name": "earwitness", "static_configs": [{"targets": [address]}]}]}))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, f"--config.file={settings}", f"--storage.tsdb.path={folder / 'data'}", "--web.listen-address=127.0.0.1:0",
             "--enable-feature=exemplar-storage"], stdout=output, stderr=subprocess.STDOUT)
    try:
        yield Prometheus(_listening(process, log), interval)
    finally:
        process.terminate()
        process.wait(10)


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address, once it answers there."""
    give_up = time.monotonic() + STARTS_SECONDS
    while "Server is ready" not in log.read_text() or not (found := re.search(r'msg="Listening on" address=(\S+)', log.read_text())):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"prometheus did not start:\n{log.read_text()}")
        time.sleep(0.05)
    return found[1]
