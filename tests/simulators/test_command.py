"""`earwitness simulate`: its arguments, and a simulator that runs until it is stopped."""

from __future__ import annotations

import argparse
import asyncio

import pytest

from proxy.simulators import FAULTS
from proxy.simulators.command import add_arguments, address, list_faults, serve
from tests.aio import run


def test_arguments() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    plain = parser.parse_args(["deepgram"])
    assert (plain.vendor, plain.listen, plain.fault, plain.fault_after, plain.strict) == ("deepgram", "127.0.0.1:9000", None, 0.0, True)
    full = parser.parse_args(["assemblyai", "--fault", "reset", "--fault-after", "1.5", "--lenient", "--wording", "live"])
    assert (full.fault, full.fault_after, full.strict, full.wording) == ("reset", 1.5, False, "live")


def test_serves_until_stopped() -> None:
    async def main() -> list[str]:
        told: list[str] = []
        stop = asyncio.Event()

        def announce(url: str) -> None:
            told.append(url)
            stop.set()

        await serve("deepgram", "127.0.0.1", 0, fault="NET-0001", announce=announce, stop=stop)
        return told

    (url,) = run(main())
    assert url.startswith("ws://127.0.0.1:")


def test_an_unknown_vendor_is_told_what_there_is() -> None:
    with pytest.raises(ValueError, match="no simulator of 'elvish'; there are: assemblyai, deepgram"):
        run(serve("elvish", "127.0.0.1", 0, announce=print))
    with pytest.raises(ValueError, match="no simulator of 'elvish'"):
        list_faults("elvish")


def test_the_list_of_faults() -> None:
    lines = list_faults("deepgram").splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS["deepgram"])


def test_addresses() -> None:
    assert address("[::1]:80") == ("::1", 80)
    for wrong in ("9000", ":9000", "host:", "host:x", "host:70000"):
        with pytest.raises(ValueError, match="not HOST:PORT"):
            address(wrong)
