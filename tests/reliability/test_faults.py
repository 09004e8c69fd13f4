"""Each row of what is tried, on both event loops, with a plain vendor and with one over TLS."""

from __future__ import annotations

import pytest

from tests.aio import run
from tests.relay.conftest import Pair, over_tls
from tests.reliability import rows_dial, rows_ends, rows_greedy, rows_held, rows_inside, rows_tls  # noqa: F401
from tests.reliability.stage import ROWS, Row, played

CASES = [pytest.param(row, wire, id=f"{row.name}-{wire}") for row in ROWS for wire in row.wires]


@pytest.mark.parametrize(("row", "wire"), CASES)
def test_fault(row: Row, wire: str, loop: str, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    run(played(row, wire, over_tls(pair) if wire == "tls" else {}, monkeypatch), loop)
