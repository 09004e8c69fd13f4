"""RELIABILITY.md, made from the rows that the tests play: `python -m tests.reliability.page > RELIABILITY.md`; a test keeps the two equal.

What was measured stands in measured.json, which `make greedy` and `make overload` write.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.reliability import link, rows_dial, rows_ends, rows_greedy, rows_held, rows_inside, rows_process, rows_tls
from tests.reliability.process import PROCESS_ROWS
from tests.reliability.stage import ROWS, Row

HERE: Final = Path(__file__).parent
MEASURED: Final = HERE / "measured.json"
SOURCES: Final = (rows_dial, rows_ends, rows_greedy, rows_held, rows_inside, rows_process, rows_tls)
"""Imported for their rows."""

HEAD: Final = """\
# Reliability

Every fault that is tried, what the client saw of it, and what the report said. Generated from the rows of `tests/reliability` by
`python -m tests.reliability.page > RELIABILITY.md`; a test keeps the two equal, so each line here is a test that passes.

Each is played with a real client and a real vendor on sockets and the whole relay between them, on asyncio and on uvloop. After each one
it is checked that

- either end heard what the other had said, byte for byte; less only where it was cut off by an RST
- there is one report, one `session_end` line and one count of a session that began and ended
- nothing is left: no task, no socket, no descriptor, none of the objects that a call is made of

The client saw: the status of its answer (and the code in `x-earwitness` where the answer is ours), then how its connection ended; `left`
where it was the client who left. The report said: outcome, code, owner, initiated by, ended by; two where it is chance which of two things
is seen first. `transport_reset` with owner `unknown` is said where our own loop was seen to be late meanwhile: then nobody is accused.
"""
GROUPS: Final = {
    "dial": ("Before there is an answer", "The vendor"),
    "vendor": ("The vendor, in an open call", "The vendor"),
    "client": ("The client", "The client"),
    "both": ("Both at once", ""),
    "network": ("The network", ""),
    "slow": ("Slow peers", ""),
    "greedy": ("Greedy peers", ""),
    "clock": ("Clocks", ""),
    "inside": ("Faults of our own", ""),
    "process": ("What is around the process", ""),
}
"""Title of each group, and whom its faults are sentences of."""
NOTES: Final = {
    "greedy": "A direction with more than 4,096 frames in one chunk, or 20,000 in a second, is relayed blind from there (`flood` in "
              "`warnings_total`): no speech is cut so small, and looking at it would hold up everybody else. A text weighs as four "
              "frames or more, by its length, the values in it and what it inflates to. A session keeps at most "
              "256 KiB of an open text each way; its sockets' buffers hold less than 1 MiB, "
              "since a leg whose peer takes no more is not read. A leg that brings 64 KiB or more at once, two seconds of speech, is "
              "not read for the next 4 ms: it still brings up to 60 MB a second (16 over TLS), and the others are read meanwhile.",
    "inside": "Nothing of this kind closes a call. Where looking at the bytes fails, the session is blind from there (`inspection: lost`), "
              "and counted; where judging it fails, there is a poor report with `sidecar_internal`.",
    "process": "On a process of its own. Besides, it answers `/-/healthy` and passes bytes of an open call while the fault lasts, its "
               "descriptors come back, and it ends with 0 when it is asked to.",
}


def markdown() -> Iterator[str]:
    """RELIABILITY.md, line by line."""
    yield from HEAD.splitlines()
    for group, (title, who) in GROUPS.items():
        yield from ("", f"## {title}", "")
        if group in NOTES:
            yield from (NOTES[group], "")
        yield "| fault | upstream | the client saw | the vendor saw | the report said | left behind | test |"
        yield "|---|---|---|---|---|---|---|"
        for row in ROWS:
            if row.group == group:
                yield _line(row, who)
        if group == "network":
            yield f"| {link.FAULT} | plain | {link.CLIENT} | - | {_says(link.SAYS)} | nothing | `test_link.py` |"
        for one in PROCESS_ROWS:
            if one.group == group:
                yield (f"| {one.fault} | plain | {one.client} | all bytes | {_says(one.says)} | nothing "
                       f"| `test_processes.py[{one.name}]` |")
    yield from ("", *_measured())


def _line(row: Row, who: str) -> str:
    whole = not who or row.fault.startswith(("the ", "its ", "no ", "a ", "nobody "))
    fault = row.fault if whole else f"{who} {row.fault}"
    return (f"| {fault} | {', '.join(row.wires)} | {row.client} | {row.vendor or '-'} | {_says(row.says)} | nothing "
            f"| `test_faults.py[{row.name}]` |")


def _says(says: str) -> str:
    return " or ".join(f"`{one}`" for one in says.split(" or "))


def _measured() -> Iterator[str]:
    found = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    for name in ("greedy", "overload"):
        if name in found:
            yield from (f"## Measured: {found[name]['title']}", "", *found[name]["lines"], "")


if __name__ == "__main__":
    sys.stdout.write("\n".join(markdown()).rstrip() + "\n")
