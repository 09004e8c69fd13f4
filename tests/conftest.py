"""What holds for every test: how long properties search, nothing blocks an event loop, nothing stays open."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from hypothesis import HealthCheck, settings

settings.register_profile("fast", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "600")), deadline=None,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

_OPEN_FILES: Final = Path("/proc/self/fd")
_SECONDS_TO_CLOSE: Final = 2.0
"""How long a socket may take to go after its test, where a library closes it from a thread of its own."""
_KEPT_OPEN: Final = ("socket:", "pipe:", "anon_inode:[event")
"""Kinds that leak with a connection. Ordinary files come and go with imports and with hypothesis."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background job: processes of ours would not hear it either
    signal.signal(signal.SIGINT, signal.default_int_handler)
uvloop.new_event_loop().close()  # the first of a process opens a pipe for signals that stays open


@pytest.fixture(autouse=True)
def _nothing_blocks_an_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that would hold up every session at once fail where an event loop runs in the same thread."""
    for owner, name in ((time, "sleep"), (select, "select"), (socket, "getaddrinfo"), (socket, "gethostbyname"),
                        (socket, "create_connection")):
        monkeypatch.setattr(owner, name, _outside_of_loops(getattr(owner, name)))


def _outside_of_loops(function: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if asyncio._get_running_loop() is not None:
            raise AssertionError(f"{function.__name__} blocks the event loop")
        return function(*args, **kwargs)

    return guarded


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    """Fails a test after which a socket, a pipe or an event queue is open that was not open before."""
    before = _open()
    yield
    give_up = time.monotonic() + _SECONDS_TO_CLOSE
    while left := _open() - before:
        gc.collect()
        if time.monotonic() > give_up:
            raise AssertionError(f"the test left open: {sorted(left)}")
        time.sleep(0.01)


def _open() -> set[str]:
    found = set()
    for entry in _OPEN_FILES.iterdir():
        try:
            target = str(entry.readlink())
        except OSError:  # the descriptor of this very listing
            continue
        if target.startswith(_KEPT_OPEN):
            found.add(target if target.startswith(("socket", "pipe")) else f"{target} {entry.name}")
    return found
