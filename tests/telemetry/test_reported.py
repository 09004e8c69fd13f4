"""Each field of a report is explained, and no other."""

from proxy.telemetry.events import NESTED, REPORT, meant
from proxy.telemetry.reported import MEANINGS


def test_each_field_of_a_report_is_explained_and_no_other() -> None:
    inside = {meant(name, inner) for name, inners in NESTED.items() for inner in inners}
    assert MEANINGS.keys() == {*REPORT, *inside}


def test_a_meaning_is_one_line_that_a_table_can_hold() -> None:
    assert [name for name, meaning in MEANINGS.items() if not meaning or "\n" in meaning or "|" in meaning] == []
