"""The page says what the rows say."""

from __future__ import annotations

from pathlib import Path

from tests.reliability import page
from tests.reliability.process import PROCESS_ROWS
from tests.reliability.stage import ROWS

PAGE = Path(__file__).parents[2] / "RELIABILITY.md"


def test_the_page_is_up_to_date() -> None:
    # If this fails: python -m tests.reliability.page > RELIABILITY.md
    assert PAGE.read_text() == "\n".join(page.markdown()).rstrip() + "\n"


def test_every_row_is_on_it_once() -> None:
    text = "\n".join(page.markdown())
    names = [row.name for row in ROWS] + [row.name for row in PROCESS_ROWS]
    assert len(set(names)) == len(names)
    assert [name for name in names if text.count(f"[{name}]`") != 1] == []
