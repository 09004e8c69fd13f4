"""Which row of a vendor's error page has become which rule, and which simulated fault shows it.

`rows.yaml` beside this file has the rows. The table in config/README.md is made of them and of the profiles:
`python -m tests.vendors.coverage` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.core.classify import Meaning, meanings_of
from proxy.core.rules import Rule
from proxy.settings.document import read

from .catalogue import PROFILES

README: Final = Path(__file__).parents[2] / "config" / "README.md"
HEAD: Final = "| row | its page says | code | category | owner | rule | simulated fault |\n|---|---|---|---|---|---|---|\n"


@dataclass(frozen=True, slots=True)
class Row:
    """`page` is what stands on the page, on one line. `fault` is the simulator's name."""

    vendor: str
    row: str
    page: str
    fault: str

    @property
    def name(self) -> str:
        """The vendor's own name of the error, where its page has names."""
        return self.page.replace(" (", ":").split(":")[0]


def _rows() -> dict[str, list[Row]]:
    data = read(Path(__file__).with_name("rows.yaml")).data
    return {vendor: [Row(vendor, **row) for row in rows] for vendor, rows in data.items()}


ROWS: Final = _rows()


def rules_of(row: Row) -> list[tuple[Rule, Meaning]]:
    rules = PROFILES[row.vendor].rules
    meanings = meanings_of(rules, vendors_own=True)
    return [(rule, meanings[rule.id]) for rule in rules if row.row in rule.rows]


def table() -> str:
    """The whole table, as it stands in the README."""
    return HEAD + "".join(_line(row) for vendor in ROWS for row in ROWS[vendor])


def _line(row: Row) -> str:
    found = rules_of(row)
    meanings = [meaning for _, meaning in found]
    cells = [
        row.row, row.page.replace("|", "\\|"), _each(m.code for m in meanings), _each(m.category for m in meanings),
        _each(m.owner for m in meanings), _each(rule.id for rule, _ in found), row.fault,
    ]
    return f"| {' | '.join(cells)} |\n"


def _each(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def written(text: str) -> str:
    """The README's text with the table of today."""
    before, _, rest = text.partition(HEAD)
    after = rest.partition("\n\n")[2]
    return f"{before}{table()}\n{after}" if after else before + table()


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
