"""Every rule is won by its own examples, and no row of a vendor's error page is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.core.classify import meaning_of
from proxy.core.rules import Example, Rule
from proxy.core.verdict import Category, Outcome

from .catalogue import COMMON, NOBODY, PROFILES, of_example

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"
CODE = re.compile(r"[1-5]\d{3}_[a-z0-9_]+|410_deprecated|http_(\dxx|\d{3}|52x|400_audio)|transport_[a-z]+|normal|unclassified")
OWN = re.compile(r"[A-Z]+(-\d{4}|(_[A-Z]+)*)|SchemaError")
"""The vendor's own names."""


def rules() -> Iterator[tuple[str, Rule]]:
    yield from ((vendor, rule) for vendor, profile in PROFILES.items() for rule in profile.rules)
    yield from (("common", rule) for rule in COMMON.rules)


def examples() -> Iterator[tuple[str, Rule, Example]]:
    for vendor, rule in rules():
        for example in rule.examples:
            yield (example.vendor or NOBODY.vendor) if vendor == "common" else vendor, rule, example


@pytest.mark.parametrize(("vendor", "rule", "example"), [*examples()])
def test_an_example_is_won_by_its_rule(vendor: str, rule: Rule, example: Example) -> None:
    got = of_example(vendor, example)
    if rule.one_of:
        assert got.rule == rule.id
        return
    meant = meaning_of(rule, vendors_own=True)
    # With no words at all a rule is won as the only candidate, which is the same.
    assert (got.rule, got.code, got.category, got.owner, got.retry) == (rule.id, meant.code, meant.category, meant.owner, meant.retry)
    assert (got.outcome is Outcome.OK) == (rule.outcome == "ok") == (rule.category is Category.NORMAL)


@pytest.mark.parametrize(("vendor", "rule"), [*rules()])
def test_a_rule_has_a_code_of_the_known_forms_and_tells_what_to_do(vendor: str, rule: Rule) -> None:
    assert rule.code is None or CODE.fullmatch(rule.code) or OWN.fullmatch(rule.code)
    assert rule.hint is not None
    assert rule.hint.endswith(".")
    assert len(rule.hint) < 300


@pytest.mark.parametrize("vendor", PROFILES)
def test_every_rule_of_a_vendor_names_its_sources(vendor: str) -> None:
    assert [rule.id for rule in PROFILES[vendor].rules if not rule.sources] == []


@pytest.mark.parametrize(("vendor", "count"), [("deepgram", 3), ("assemblyai", 13)])
def test_every_row_of_the_error_page_has_a_rule(vendor: str, count: int) -> None:
    rows = {row for rule in PROFILES[vendor].rules for row in rule.rows}
    assert rows == {f"{vendor}-{number}" for number in range(1, count + 1)}


def by_row(vendor: str, number: int) -> list[Rule]:
    return [rule for rule in PROFILES[vendor].rules if f"{vendor}-{number}" in rule.rows]


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the vendors' pages are not beside this checkout")
def test_deepgrams_page_holds_the_rows_that_the_rules_name() -> None:
    page = (SEEDS / "deepgram-live-streaming-errors.txt").read_text()
    found = re.findall(r"^(\d{4})([A-Z]+-\d{4})", page, re.MULTILINE)
    assert len(found) == 3
    for number, (code, payload) in enumerate(found, 1):
        (rule,) = by_row("deepgram", number)
        assert rule.code == payload
        assert any(e.close_code == int(code) and e.close_reason == payload for e in rule.examples)


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the vendors' pages are not beside this checkout")
def test_assemblyais_page_holds_the_rows_that_the_rules_name() -> None:
    page = (SEEDS / "assemblyai-session-errors.txt").read_text()
    found = re.findall(r"^\| `(\d+)` +\| ([^|]+?) +\|", page, re.MULTILINE)
    assert len(found) == 13
    for number, (code, text) in enumerate(found, 1):
        pattern = re.compile(".+".join(re.escape(part) for part in re.split(r"`[^`]*`", text)))
        told = [e for rule in by_row("assemblyai", number) for e in rule.examples if e.close_code == int(code)]
        assert any(pattern.search(words) for e in told for words in (e.close_reason or "", *e.frames)), text
