"""What third parties reported, in their words: category, owner, retry, and that client and vendor are never taken for each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.core.rules import Example

from .catalogue import meaning

Row = dict[str, Any]

OBSERVED: dict[str, list[Row]] = yaml.load((Path(__file__).parent / "observed.yaml").read_text("utf-8"), Loader=yaml.CSafeLoader)
ROWS = [(None if vendor == "anybody" else vendor, row) for vendor, rows in OBSERVED.items() for row in rows]


def claim(row: Row) -> dict[str, Any]:
    return Example(**row["in"]).model_dump(exclude={"vendor", "source"})


@pytest.mark.parametrize(("vendor", "row"), ROWS)
def test_a_report_means_what_a_careful_reader_makes_of_it(vendor: str | None, row: Row) -> None:
    assert " ".join(meaning(vendor, **claim(row))) == row["is"]


@pytest.mark.parametrize(("vendor", "row"), [(vendor, row) for vendor, row in ROWS if vendor])
def test_without_the_vendors_name_nobody_else_is_blamed(vendor: str, row: Row) -> None:
    """It may then be told less exactly, but the client's is never the vendor's, nor the other way round."""
    blamed = {meaning(None, **claim(row))[1], row["is"].split()[1]}
    assert not {"client", "vendor"} <= blamed


@pytest.mark.parametrize(("vendor", "row"), [(vendor, row) for vendor, row in ROWS if "close_reason" in row["in"]])
@pytest.mark.parametrize("said", [
    str.upper, str.lower, lambda text: text.encode()[:123].decode("utf-8", "ignore"), lambda text: f"{text} (id 5)",
])
def test_case_cutting_and_what_stands_behind_it_change_nothing(
    vendor: str | None, row: Row, said: Callable[[str], str]
) -> None:
    given = claim(row)
    assert " ".join(meaning(vendor, **given | {"close_reason": said(given["close_reason"])})) == row["is"]


def test_every_report_has_a_source_and_is_there_once() -> None:
    assert [row for _, row in ROWS if not row["source"]] == []
    seen = [(vendor, sorted(claim(row).items(), key=str)) for vendor, row in ROWS]
    assert [one for one in seen if seen.count(one) > 1] == []
