"""Every rule is won by its own examples, has a code of a known form, says what to do, and names its sources."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from proxy.core.classify import meaning_of
from proxy.core.rules import Example, Rule
from proxy.core.verdict import Category, Outcome

from .catalogue import COMMON, NOBODY, PROFILES, of_example

CODE = re.compile(r"[1-5]\d{3}_[a-z0-9_]+|410_deprecated|http_(\dxx|\d{3}|52x|\d{3}_[a-z_]+)|transport_[a-z]+|normal|unclassified")
OWN = re.compile(r"[A-Z]+(-\d{4}|(_[A-Z]+)*)|[a-z]*([A-Z]+[a-z]+)+[A-Z]*")
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
