"""`earwitness simulate`: its arguments, and running one simulator until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import get_args

from proxy.simulators import FAULTS, SIMULATORS
from proxy.simulators.line import Wording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Register the arguments of `simulate`; `options` turns what was parsed into what `serve` takes."""
    parser.add_argument("vendor", metavar="VENDOR", help=f"one of: {', '.join(SIMULATORS)}")
    parser.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:9000", help="where to listen (default: %(default)s)")
    parser.add_argument("--fault", metavar="CODE", help="what goes wrong; --list-faults tells what can")
    parser.add_argument("--fault-after", metavar="SECONDS", type=float, default=0.0, help="seconds of audio before it goes wrong")
    parser.add_argument("--list-faults", action="store_true", help="print the faults of the vendor and leave")
    parser.add_argument("--wording", choices=get_args(Wording), default="documented", help="texts of the vendor's pages, or as seen")
    limits = parser.add_mutually_exclusive_group()
    limits.add_argument("--strict", action="store_true", default=True, help="limits as the vendor's pages have them (the default)")
    limits.add_argument("--lenient", action="store_false", dest="strict", help="limits as they were seen to be applied")


def list_faults(vendor: str) -> str:
    """The faults of a vendor, one a line. Raises ValueError for a vendor that is not simulated."""
    if vendor not in FAULTS:
        raise ValueError(f"no simulator of {vendor!r}; there are: {', '.join(SIMULATORS)}")
    width = max(map(len, FAULTS[vendor]))
    return "\n".join(f"{code:<{width}}  {about}" for code, about in FAULTS[vendor].items())


def address(listen: str) -> tuple[str, int]:
    """Host and port of HOST:PORT. Raises ValueError for anything else."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"not HOST:PORT: {listen!r}")
    return host.strip("[]"), int(port)


async def serve(
    vendor: str,
    host: str,
    port: int,
    *,
    fault: str | None = None,
    fault_after: float = 0.0,
    wording: Wording = "documented",
    strict: bool = True,
    announce: Callable[[str], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Run a simulator until `stop` is set or the task is cancelled; `announce` is given its URL once it listens.

    Raises ValueError for an unknown vendor or option, before the port is bound; OSError if it cannot be bound.
    """
    if vendor not in SIMULATORS:
        raise ValueError(f"no simulator of {vendor!r}; there are: {', '.join(SIMULATORS)}")
    simulator = SIMULATORS[vendor](host=host, port=port, fault=fault, fault_after=fault_after, wording=wording, strict=strict)
    async with simulator:
        announce(simulator.url)
        await (stop or asyncio.Event()).wait()
