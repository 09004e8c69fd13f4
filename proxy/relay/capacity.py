"""What this process can still carry: is it overloaded, and are there descriptors and memory for one more call?

    overloaded, a sidecar      new sessions are relayed blind: there is nobody else to take them
    overloaded, a gateway      new sessions are refused with 503 and Retry-After: another takes them
    no descriptors, no memory  refused by either

Owns the readings (once a second, by the sampler's ticks) and what follows for whoever comes. Open sessions are never its business.
Where the system does not tell of something, there is no bound to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from time import monotonic, thread_time
from typing import Final

from proxy.core.overload import Overload, is_full, is_swollen
from proxy.telemetry import log

SECOND: Final = 1.0
_GROUP: Final = Path("/sys/fs/cgroup")
_NO_LIMIT: Final = 1 << 60
"""What systems write for no limit at all is beyond this."""
TABLE: Final = 16_384
"""Descriptors for which the kernel makes room at once: those of 8,000 calls, in 128 KiB."""


def make_room() -> None:
    """Lets the process have all the descriptors that it may, and the kernel make their table now. To be called before there are threads.

    A table that is full grows to twice its size, and the kernel lets a process with threads stand still for that: with the 256th and
    the 512th descriptor and so on all open calls would wait, 10 to 25 ms each time (measured; `synchronize_rcu` in `expand_files`).
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # 1,024 is the usual soft limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    last = (TABLE if most == resource.RLIM_INFINITY else min(most, TABLE)) - 1
    with contextlib.suppress(OSError), socket.socket() as any_descriptor:
        os.close(fcntl.fcntl(any_descriptor, fcntl.F_DUPFD_CLOEXEC, last))


class Capacity:
    """Of one process; `start` and `tick` belong to the event loop's thread. `refuses`: as a gateway does.

    `memory_bytes` None: what the container may have, if that is bounded.
    """

    def __init__(self, refuses: bool = False, memory_bytes: int | None = None, clock: Callable[[], float] = monotonic) -> None:
        self.refuses = refuses
        self.memory_bytes = memory_bytes
        self._clock = clock
        self._judge = Overload()
        self._use: int | None = None  # a descriptor of the loop's schedstat,
        self._size: int | None = None  # and of the process's statm
        self._since = self._wanted = self._late = 0.0
        self._group = _group_bytes()
        self.resident = 0

    @property
    def overloaded(self) -> bool:
        return self._judge.overloaded

    @property
    def blinds(self) -> bool:
        """Whether whoever comes now is relayed blind."""
        return self.overloaded and not self.refuses

    def refusal(self, client: asyncio.BaseTransport | None) -> str | None:
        """The code of our own refusal for whoever comes now."""
        if is_full(_descriptors(client), most_descriptors()) or is_swollen(self.resident, self.memory_bytes or self._group):
            return "sidecar_out_of_resources"
        return "sidecar_overloaded" if self.overloaded and self.refuses else None

    def start(self) -> None:
        self._use, self._size = _opened("/proc/thread-self/schedstat"), _opened("/proc/self/statm")
        self._since, self._wanted, self._late = self._clock(), self._used(), 0.0

    def tick(self, lag: float) -> None:
        """The loop has turned, so many seconds late."""
        self._late += lag
        now = self._clock()
        if now - self._since < SECOND:
            return
        wanted = self._used()
        changed = self._judge.second(now - self._since, wanted - self._wanted, self._late)
        self._since, self._wanted, self._late = now, wanted, 0.0
        self.resident = _resident(self._size)
        if changed:
            log.state("overloaded" if self.overloaded else "overload_over", logging.WARNING if self.overloaded else logging.INFO)

    def stop(self) -> None:
        for descriptor in (self._use, self._size):
            if descriptor is not None:
                os.close(descriptor)
        self._use = self._size = None

    def _used(self) -> float:
        """Seconds of a core that this thread has used, and waited for while others had it."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            ran, waited, _ = os.pread(self._use, 64, 0).split()  # type: ignore[arg-type]
            return (int(ran) + int(waited)) / 1e9
        return thread_time()


def _descriptors(client: asyncio.BaseTransport | None) -> int:
    """How many are open: they are given out from below, so that the number of the latest one tells."""
    sock = client.get_extra_info("socket") if client is not None else None
    return sock.fileno() + 1 if sock is not None else 0


def _opened(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _resident(descriptor: int | None) -> int:
    with contextlib.suppress(OSError, ValueError, TypeError, IndexError):
        return int(os.pread(descriptor, 128, 0).split()[1]) * resource.getpagesize()  # type: ignore[arg-type]
    return 0


def most_descriptors() -> int | None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if most == resource.RLIM_INFINITY else most


def _group_bytes() -> int | None:
    """What the container may have: of its control group, version 2 or 1."""
    for path in (_GROUP / "memory.max", _GROUP / "memory" / "memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            most = int(path.read_text())
            return most if most < _NO_LIMIT else None
    return None
