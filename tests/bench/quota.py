"""Little CPU: relays held to a share of a core by the kernel, as a container's limit holds them.

Both generations of control groups are known: cpu.max, and cpu.cfs_quota_us. Needs root.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PERIOD: Final = 100_000
"""Microseconds, as Kubernetes has it."""
_ROOT: Final = Path("/sys/fs/cgroup")
GROUP: Final = "earwitness-bench"


class NoGroupsError(Exception):
    """This machine lets nobody make control groups here."""


@contextmanager
def held_to(share: float, pids: Iterable[int]) -> Iterator[None]:
    """The processes may use so much of a core, together, while this lasts."""
    unified = (_ROOT / "cgroup.controllers").exists()
    group = _ROOT / GROUP if unified else _ROOT / "cpu" / GROUP
    quota = int(share * PERIOD)
    try:
        group.mkdir(exist_ok=True)
        if unified:
            (group / "cpu.max").write_text(f"{quota} {PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
    except OSError as error:
        raise NoGroupsError(os.strerror(error.errno or 0)) from None
    try:
        _put(group, pids)
        yield
    finally:
        _put(group.parent, pids)
        group.rmdir()


def _put(group: Path, pids: Iterable[int]) -> None:
    for pid in pids:
        (group / "cgroup.procs").write_text(str(pid))
