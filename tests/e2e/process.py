"""`earwitness` as a process of its own: started, waited for, ended; what it said is in files."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

STARTS_SECONDS: Final = 20.0
ENDS_SECONDS: Final = 10.0


class Process:
    """One run. `settings` go to it as a file, with every address any that is free."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder, self._out, self._err = folder, folder / "out", folder / "err"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("EARWITNESS")}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen([sys.executable, "-m", "proxy.cli", *arguments], stdout=out, stderr=err, env=clean)

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """What is on standard output: every line has to be an object. The last may not be whole yet."""
        whole = self.out.rpartition("\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if event is None or line["event"] == event]

    async def said(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """Waits until so many lines of an event are there."""
        async with asyncio.timeout(STARTS_SECONDS):
            while len(found := self.lines(event)) < times:
                assert self._process.poll() is None, self.err
                await asyncio.sleep(0.01)
        return found

    async def printed(self, text: str) -> None:
        """Waits until it stands on standard output."""
        async with asyncio.timeout(STARTS_SECONDS):
            while text not in self.out:
                assert self._process.poll() is None, self.err
                await asyncio.sleep(0.01)

    async def ready(self) -> dict[str, str]:
        """Addresses by listener, `admin` and `metrics`."""
        addresses: dict[str, str] = (await self.said("ready"))[0]["listeners"]
        return addresses

    @property
    def pid(self) -> int:
        return self._process.pid

    def settings(self, **settings: Any) -> None:
        """Writes its settings file anew."""
        write_settings(self._folder, settings)

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """The exit code. Raises TimeoutExpired if it does not come."""
        return await asyncio.to_thread(self._process.wait, ENDS_SECONDS)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextmanager
def earwitness(folder: Path, *arguments: str, **settings: Any) -> Iterator[Process]:
    """`run` with these settings; other commands take no settings."""
    if settings:
        arguments = (*arguments, "--config", str(write_settings(folder, settings)))
    process = Process(folder, *arguments)
    try:
        yield process
    finally:
        process.stop()


def write_settings(folder: Path, settings: dict[str, Any]) -> Path:
    """All at once, as an editor or a deployment would: a process that reads it meanwhile gets the old file or the new one."""
    anywhere, file, fresh = {"listen": "127.0.0.1:0"}, folder / "earwitness.yaml", folder / "earwitness.yaml.new"
    fresh.write_text(json.dumps({"metrics": anywhere, "admin": anywhere, **settings}))
    return fresh.replace(file)


async def page(address: str, path: str, method: str = "GET") -> tuple[int, str]:
    return await asyncio.to_thread(_page, address, path, method)


def _page(address: str, path: str, method: str) -> tuple[int, str]:
    host, _, port = address.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
