"""Starts and ends the processes of a measurement, and reads what they used."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SECONDS_TO_START: Final = 15.0


class DidNotStartError(Exception):
    """With the end of what the process wrote."""


def cpu_seconds(pids: Iterable[int]) -> float:
    """Time on a core that the processes have used, all threads, to the nanosecond (the ticks of `stat` are 10 ms long)."""
    threads = (thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def resident_kib(pids: Iterable[int]) -> int:
    lines = (line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def family(pid: int) -> list[int]:
    """The process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [pid, *map(int, children.read_text().split())]


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(command: list[str], log: Path, port: int, niceness: int = 0) -> Iterator[int]:
    """The process while it runs, as its id, from when it listens on the port."""
    with log.open("w") as output:
        process = subprocess.Popen(["nice", "-n", str(niceness), *command], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        give_up = time.monotonic() + SECONDS_TO_START
        while not accepts(port):
            if process.poll() is not None or time.monotonic() > give_up:
                raise DidNotStartError(f"{' '.join(command)}: {log.read_text()[-600:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
