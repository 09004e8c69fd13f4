"""Each row of what breaks around a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.aio import LOOPS, run
from tests.reliability import rows_process  # noqa: F401
from tests.reliability.process import PROCESS_ROWS, ProcessRow, played


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("row", PROCESS_ROWS, ids=lambda row: row.name)
def test_fault(row: ProcessRow, loop: str, tmp_path: Path) -> None:
    run(played(row, tmp_path, loop), timeout=50)
