"""Faults of our own book-keeping end nothing."""

from __future__ import annotations

import pytest

from proxy.relay.harmless import harmless
from proxy.telemetry import log


def test_what_it_gives() -> None:
    assert harmless(max, 1, 2) == 2


def test_a_fault_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[BaseException | None] = []
    monkeypatch.setattr(log, "state", lambda event, level, error: told.append(error))
    assert harmless(int, "no number") is None
    assert [type(error) for error in told] == [ValueError]


def test_even_where_nobody_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "state", lambda *_, **__: 1 / 0)
    assert harmless(int, "no number") is None


def test_an_end_of_the_task_is_no_fault() -> None:
    def ends() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harmless(ends)
