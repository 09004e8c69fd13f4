"""What third parties reported, in their words: category, owner, retry, and that client and vendor are never taken for each other."""

from __future__ import annotations

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


def test_every_report_has_a_source_and_is_there_once() -> None:
    assert [row for _, row in ROWS if not row["source"]] == []
    seen = [(vendor, sorted(claim(row).items(), key=str)) for vendor, row in ROWS]
    assert [one for one in seen if seen.count(one) > 1] == []
