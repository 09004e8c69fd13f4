"""A Prometheus to look at: from PATH, on any free port of loopback, with the rules that come with the package.

Owns a server's process from its start to its end, and the settings that it is given. It knows nothing of the demo.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

PROGRAM: Final = "prometheus"
STARTS_SECONDS: Final = 20.0
ENDS_SECONDS: Final = 10.0
INTERVAL: Final = "2s"
"""Between scrapes, and between evaluations: of one process, to be looked at at once."""

_PACKAGE: Final = Path(__file__).parent


def rules() -> Path:
    """The alert rules that come with the package."""
    installed = _PACKAGE / "_rules"
    return (installed if installed.is_dir() else _PACKAGE.parent / "deploy" / "prometheus" / "rules") / "earwitness.yaml"


def is_there() -> bool:
    return shutil.which(PROGRAM) is not None


@asynccontextmanager
async def judging(scraped: str) -> AsyncIterator[str]:
    """Prometheus, which applies the rules to host:port and has scraped it once: what happens from now on is an increase.

    Gives its own host:port. Raises RuntimeError where it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="earwitness-prometheus-") as name:
        folder = Path(name)
        arguments = (f"--config.file={_settings(folder, scraped)}", f"--storage.tsdb.path={folder / 'data'}")
        async with serving(PROGRAM, *arguments, "--enable-feature=exemplar-storage", folder=folder) as address:
            await first_scrape(address)
            yield address


def _settings(folder: Path, scraped: str) -> Path:
    file = folder / "prometheus.yml"
    file.write_text(json.dumps({  # JSON is YAML
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(rules())],
        "scrape_configs": [{"job_name": "earwitness", "static_configs": [{"targets": [scraped]}]}],
    }))
    return file


async def first_scrape(address: str) -> None:
    """Returns once the Prometheus there has scraped a target. Raises TimeoutError."""
    async with asyncio.timeout(STARTS_SECONDS):
        while True:
            if '"result":[{' in await _page(address, "/api/v1/query?query=up%3E0"):
                return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def serving(program: str, *arguments: str, folder: Path) -> AsyncIterator[str]:
    """A server of the Prometheus family, as long as the context lasts; its log is a file in `folder`.

    Gives host:port. Raises RuntimeError where it does not start.
    """
    log = folder / f"{program}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program, *arguments, "--web.listen-address=127.0.0.1:0", stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,  # a Ctrl-C is the demo's, which ends it in its turn
        )
    try:
        yield await _address(process, log)
    finally:
        await _end(process)


async def _address(process: asyncio.subprocess.Process, log: Path) -> str:
    """Where it listens, which its log says."""
    async with asyncio.timeout(STARTS_SECONDS):
        while (address := _listening(log)) is None:
            if process.returncode is not None:
                raise RuntimeError(_told(log))
            await asyncio.sleep(0.05)
    return address


def _listening(log: Path) -> str | None:
    found = re.search(r'msg="?Listening on"? .*?address=(\S+)', _told(log))
    return found and found[1]


def _told(log: Path) -> str:
    return log.read_text()


async def _page(address: str, path: str) -> str:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        return (await reader.read()).decode()
    finally:
        writer.close()
        await writer.wait_closed()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(ENDS_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
