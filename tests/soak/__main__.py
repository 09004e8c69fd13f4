"""make soak: chaos on both event loops, then healthy calls under the alert rules. Exits 1 if anything was not as it should be."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.aio import LOOPS, run
from tests.soak.chaos import Found, Soak
from tests.soak.healthy import OF_THE_MACHINE, soak
from tests.soak.trend import halves, trend

MOST_GROWTH: Final = 0.05
"""Of resident memory, by its slope, from the end of the warm-up to the end: as a share of it."""
MOST_FILES: Final = 5.0
"""The same of descriptors beyond those of open calls, in descriptors: calls that are dialled have one, others are being closed."""
MOST_SLOWER: Final = 1.5
SLACK_SECONDS: Final = 0.003
"""p99 of the second half may be so many times that of the first, and so much more: the machine does other things as well."""


def judged(found: Found) -> Iterator[tuple[bool, str]]:
    """Whether it is as it should be, and what was found."""
    steady, restless, heard = found.steady, found.restless, found.heard
    yield steady.reports > 0 and restless.reports > 0, (
        f"{found.calls} calls, {steady.reports + restless.reports} reports; {found.scrapes} scrapes, {found.reloads} reloads, "
        f"{found.drains} drains, {found.kills} kills (of {restless.cut} sessions cut, each named by its session_open line)")
    lost, doubled = steady.lost + restless.lost, steady.doubled + restless.doubled
    yield not lost and not doubled, f"reports lost: {len(lost)} {lost[:5]}, doubled: {len(doubled)} {doubled[:5]}"
    yield not heard.different, f"{heard.bytes} bytes came as they went; otherwise: {len(heard.different)} {heard.different[:3]}"
    yield not steady.wrong, f"verdicts that are not what the call implies: {steady.wrong.total()} {steady.wrong.most_common(5)}"
    internal = [line for line in steady.internal + restless.internal if not line.startswith("reload_failed")]
    yield not internal and not found.bad_exits, f"internal faults: {internal[:3]}, exits: {found.bad_exits[:3]}"
    memory, files = trend(found.resident), trend(found.open_files)
    yield memory.growth <= MOST_GROWTH * memory.mean, (
        f"memory {memory.mean / 1024:.1f} MiB, growth by slope {memory.growth / 1024:+.2f} MiB")
    yield files.growth <= MOST_FILES and found.files_after <= found.files_before, (
        f"descriptors beyond those of open calls {files.mean:.0f}, growth by slope {files.growth:+.1f}; {found.files_before} before, "
        f"{found.files_after} after")
    early, late = halves(heard.latencies, 0.99)
    yield late <= MOST_SLOWER * early + SLACK_SECONDS, f"p99 there and back {1e3 * early:.1f} ms, later {1e3 * late:.1f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=12.0, help="in all (12)")
    parser.add_argument("--loops", nargs="+", default=LOOPS, choices=LOOPS)
    parser.add_argument("--parts", nargs="+", default=["chaos", "healthy"], choices=["chaos", "healthy"])
    given = parser.parse_args()
    each, good = 60 * given.minutes / (len(given.loops) * ("chaos" in given.parts) + ("healthy" in given.parts)), True
    print(f"{time.strftime('%Y-%m-%d')}: {each:.0f} s each", flush=True)
    with tempfile.TemporaryDirectory(prefix="earwitness-soak-") as folder:
        for loop in given.loops if "chaos" in given.parts else ():
            place = Path(folder, loop)
            place.mkdir()
            found = run(Soak(loop, each, place).run(), "uvloop", timeout=each + 180)
            for fine, line in judged(found):
                good &= fine
                print(f"{loop:8} {'ok    ' if fine else 'NOT OK'} {line}", flush=True)
        if "healthy" in given.parts:
            place = Path(folder, "healthy")
            place.mkdir()
            made, fired = run(soak(each / 60, place), "uvloop", timeout=each + 180)
            fine = not fired - {OF_THE_MACHINE} and made > 0
            good &= fine
            print(f"healthy  {'ok    ' if fine else 'NOT OK'} {made} calls; alerts: {', '.join(sorted(fired)) or 'none'}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
