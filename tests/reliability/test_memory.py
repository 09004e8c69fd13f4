"""No call leaves memory behind, of whatever type: neither a good one nor one that its vendor resets."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from proxy.telemetry import log
from tests.aio import LOOPS, run, tls_pair
from tests.relay.conftest import over_tls
from tests.relay.peers import Peer, Rig, rig
from tests.reliability.rows_ends import AUDIO, BYE, END, RESULT

FIRST, WINDOWS, CALLS = 60, 3, 50
"""Calls that fill what is bounded (the last reports, series, caches), and those that count: what is left behind is so in each window."""
MOST = 256
"""Bytes that a call may leave: nothing, but what is kept of each is not of one size."""


def traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def good(client: Peer, vendor: Peer) -> None:
    await client.send(AUDIO + END)
    assert await vendor.exactly(len(AUDIO + END)) == AUDIO + END
    await vendor.send(RESULT + BYE)
    assert await client.exactly(len(RESULT + BYE)) == RESULT + BYE
    vendor.writer.close()
    await client.rest()
    client.close()


async def reset(client: Peer, vendor: Peer) -> None:
    await client.send(AUDIO[:-5])
    await vendor.exactly(len(AUDIO) - 5)
    vendor.rst()
    with suppress(ConnectionResetError):
        await client.rest()
    client.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("wire", ["plain", "tls"])
@pytest.mark.parametrize("play", [good, reset])
def test_calls_leave_no_memory_behind(
        monkeypatch: pytest.MonkeyPatch, loop: str, wire: str, play: Callable[[Peer, Peer], Awaitable[None]], tmp_path: Path) -> None:
    monkeypatch.setattr(log.LOG, "handlers", [])
    monkeypatch.setattr(log.LOG, "propagate", False)  # pytest keeps all records
    options = over_tls(tls_pair(tmp_path)) if wire == "tls" else {}

    async def calls(relay: Rig, number: int) -> None:
        for _ in range(number):
            client, vendor = await relay.open()
            await play(client, vendor)
            await relay.report()
            relay.clients.clear()
            assert relay.vendor is not None
            relay.vendor.peers.clear()

    async def main() -> None:
        async with rig(**options) as relay:
            await calls(relay, FIRST)
            sizes = [traced()]
            for _ in range(WINDOWS):
                await calls(relay, CALLS)
                sizes.append(traced())
        assert min(later - earlier for earlier, later in pairwise(sizes)) / CALLS <= MOST, sizes

    tracemalloc.start()
    try:
        run(main(), loop)
    finally:
        tracemalloc.stop()
