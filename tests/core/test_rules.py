"""The shape of a rule, and what holds among rules: each mistake is refused and told where."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from proxy.core.rules import When

from .profiles import common, profile, rule


def refused(*rules: dict[str, Any], **parts: Any) -> str:
    with pytest.raises(ValidationError) as error:
        profile(rules=[*rules], **parts)
    return str(error.value)


def test_conditions_sources_and_rows_may_stand_alone_or_in_lists() -> None:
    made = profile(sources={"doc": "d"}, rules=[
        rule("a", {"close_code": 4000}, rows="some-1", aliases="first"),
        rule("b", [{"number": 1}, {"text": "x"}], sources="doc:page", rows=["some-2", "some-3"]),
    ])
    first, second = made.rules
    assert (first.when, first.rows, first.aliases) == ((When(close_code=(4000,)),), ("some-1",), ("first",))
    assert (second.when[1], second.sources, second.rows) == (When(text=("x",)), ("doc:page",), ("some-2", "some-3"))


def test_a_status_may_be_a_number_or_a_class() -> None:
    made = profile(rules=[rule("a", {"http_status": [404, "5xx"]})])
    assert made.rules[0].when[0].http_status == (404, "5xx")


@pytest.mark.parametrize(("rules", "told"), [
    ([rule("a", {"endpoint": ["v1", "v9"]})], "rules.0.when: no endpoint ['v9']"),
    ([rule("a", {"number": 1}), rule("a", {"number": 2})], "rules.1.id: a second rule"),
    ([rule("a", {"number": 1}), rule("b", {"number": 2}, one_of=["c"])], "rules.1.one_of: no plain rule"),
    ([rule("a", {"number": 1}, one_of=["a"])], "rules.0.one_of: no plain rule"),
    ([rule("a", {"number": 1}, sources="page")], "rules.0.sources: no source 'page'"),
    ([rule("a", {"number": 1}, examples=[{"source": "page"}])], "rules.0.sources: no source 'page'"),
    ([rule("a", {"number": 1}, examples=[])], "examples"),
    ([rule("a", {"number": 1}, code=None)], "a rule needs code, category and hint"),
    ([rule("a", {"number": 1}, one_of=["b"], code="X")], "a rule with one_of takes code"),
    ([rule("a", {})], "asks nothing"),
    ([rule("a", [])], "when"),
    ([rule("a", {"text": "*"})], "a phrase without a word"),
    ([rule("a", {"header": {"x": ["?"]}})], "a phrase without a word"),
    ([rule("a", {"number": 1}, category="weather")], "category"),
    ([rule("a", {"number": 1}, owner="nobody")], "owner"),
    ([rule("a", {"number": 1}, outcome="fine")], "outcome"),
])
def test_what_does_not_hang_together_is_refused_and_told_where(rules: list[dict[str, Any]], told: str) -> None:
    assert told in refused(*rules)


def test_the_common_file_is_checked_the_same_way() -> None:
    with pytest.raises(ValidationError, match=r"rules.1.id: a second rule"):
        common(rule("a", {"number": 1}), rule("a", {"number": 2}))


def test_a_rule_may_name_others_that_it_cannot_tell_apart() -> None:
    made = common(rule("a", {"number": 1}), rule("b", {"number": 1}), rule("some", {"number": 1}, one_of=["a", "b"]))
    assert made.rules[2].one_of == ("a", "b")
