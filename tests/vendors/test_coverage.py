"""No row of a vendor's error page is left out: each has its rule, its example and its simulated fault, and the page has no more."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.core.rules import Rule
from proxy.simulators import FAULTS

from .catalogue import PROFILES
from .coverage import README, ROWS, Row, rules_of, written

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"
COUNTS = {"assemblyai": 13, "deepgram": 3, "nextevi": 17, "spatius": 19, "elsa": 26}
VENDORS = list(ROWS)
EACH = [row for vendor in VENDORS for row in ROWS[vendor]]


def test_the_rows_are_as_many_as_were_counted() -> None:
    assert {vendor: len(rows) for vendor, rows in ROWS.items()} == COUNTS
    assert COUNTS.keys() == PROFILES.keys()
    assert len({row.name for row in ROWS["elsa"]}) == 18
    for vendor, rows in ROWS.items():
        assert [row.row for row in rows] == [f"{vendor}-{number}" for number in range(1, len(rows) + 1)]


def found(row: str, name: str) -> list[tuple[str, ...]]:
    return re.findall(row, (SEEDS / name).read_text(), re.MULTILINE)


def assemblyai() -> list[str]:
    return [" ".join(row) for row in found(r"^\| `(\d+)` +\| ([^|]+?) +\|", "assemblyai-session-errors.txt")]


def deepgram() -> list[str]:
    return [" ".join(row) for row in found(r"^(\d{4})([A-Z]+-\d{4})", "deepgram-live-streaming-errors.txt")]


def nextevi() -> list[str]:
    return ["".join(row) for row in found(r"^([A-Z_]+ \(\d{4}\))()$", "nextevi-error-reference.txt")]


def spatius() -> list[str]:
    """On the page name and meaning stand without anything between them, so that the names must be known."""
    table = (SEEDS / "spatius-server-errors.txt").read_text().partition("Error codeMeaning\n")[2].partition("\n\n")[0]
    names = [row.name for row in ROWS["spatius"]]
    return [f"{name}: {line.removeprefix(name)}" for name, line in zip(names, table.splitlines(), strict=True)]


def elsa() -> list[str]:
    row = r"^([A-Z]\w+)\n\n([^\n]+)\n\n(?:None|\w+ \([a-z]+\): [^\n]*)\n\nRaised "
    return [": ".join(cells) for cells in found(row, "elsa-api-errors.txt")]


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the vendors' pages are not beside this checkout")
@pytest.mark.parametrize(("vendor", "extract"), [
    ("assemblyai", assemblyai), ("deepgram", deepgram), ("nextevi", nextevi), ("spatius", spatius), ("elsa", elsa),
])
def test_the_rows_are_those_of_the_page(vendor: str, extract: Callable[[], list[str]]) -> None:
    assert [row.page for row in ROWS[vendor]] == extract()


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_row_has_its_rule_and_no_rule_has_a_row_that_is_not_there(vendor: str) -> None:
    named = {row for rule in PROFILES[vendor].rules for row in rule.rows}
    assert named == {row.row for row in ROWS[vendor]}


@pytest.mark.parametrize("row", EACH, ids=[row.row for row in EACH])
def test_every_row_has_its_simulated_fault(row: Row) -> None:
    assert row.fault in FAULTS[row.vendor]


def test_the_table_of_the_readme_is_todays() -> None:
    # If this fails: python -m tests.vendors.coverage
    assert README.read_text() == written(README.read_text())


# What the page says is found in an example of the row's rules, or is their code


def shown(rules: list[Rule], code: int | None, text: str) -> bool:
    """Whether a claim with this close code has this text, in which `...` or {name} stands for anything."""
    pattern = re.compile(".+".join(re.escape(part) for part in re.split(r"`[^`]*`|\{\w+\}", text)), re.IGNORECASE)
    examples = [example for rule in rules for example in rule.examples if code is None or example.close_code == code]
    return any(pattern.search(words) for e in examples for words in (e.close_reason or "", e.body or "", *e.frames))


@pytest.mark.parametrize("row", EACH, ids=[row.row for row in EACH])
def test_the_rules_of_a_row_say_what_the_page_does(row: Row) -> None:
    rules, codes = [rule for rule, _ in rules_of(row)], [meaning.code for _, meaning in rules_of(row)]
    number, _, text = row.page.partition(" ")
    if number.isdigit():
        assert shown(rules, int(number), text)
    elif row.vendor == "elsa":
        assert codes == [row.name]
        assert shown(rules, None, row.page.partition(": ")[2])
    elif row.name in codes:
        assert all(rule.examples for rule in rules)
    else:  # reported under another name, as the design has it
        assert [rule.aliases for rule in rules if row.name in rule.aliases]
