"""The shape of a vendor's file: what is refused, and that it is said where."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from proxy.core.profile import Audio, Declared, Profile, schema
from proxy.core.rules import Common, When

from .profiles import common, profile, rule


def refused(**parts: Any) -> str:
    with pytest.raises(ValidationError) as error:
        profile(**parts)
    return str(error.value)


def test_a_small_profile_is_taken() -> None:
    rules = [rule("a", {"close_code": 4000}), rule("b", [{"number": 1}, {"text": "x"}], sources="doc:page")]
    made = profile(rules=rules, sources={"doc": "d"})
    assert made.rules[0].when == (When(close_code=(4000,)),)
    assert made.rules[1].sources == ("doc:page",)
    assert Audio(encoding=Declared(), sample_rate=Declared(), formats={}).channels.default == "1"


def test_a_status_may_be_a_number_or_a_class() -> None:
    made = profile(rules=[rule("a", {"http_status": [404, "5xx"]})])
    assert made.rules[0].when[0].http_status == (404, "5xx")


@pytest.mark.parametrize(("parts", "told"), [
    ({"colour": "red"}, "colour"),
    ({"vendor": "No Slug"}, "vendor"),
    ({"routes": []}, "routes"),
    ({"routes": [{"path": "/", "name": "a", "endpoint": "v9", "upstream": "https://a"}]}, "routes.0.endpoint: no endpoint 'v9'"),
    ({"routes": [{"path": "/", "name": "a", "endpoint": "v1", "upstream": "https://a/b"}]}, "upstream"),
    ({"rules": [rule("a", {"endpoint": ["v1", "v9"]})]}, "rules.0.when: no endpoint ['v9']"),
    ({"rules": [rule("a", {"number": 1}), rule("a", {"number": 2})]}, "rules.1.id: a second rule"),
    ({"rules": [rule("a", {"number": 1}), rule("b", {"number": 2}, one_of=["c"])]}, "rules.1.one_of: no plain rule"),
    ({"rules": [rule("a", {"number": 1}, one_of=["a"])]}, "rules.0.one_of: no plain rule"),
    ({"rules": [rule("a", {"number": 1}, sources="page")]}, "rules.0.sources: no source 'page'"),
    ({"rules": [rule("a", {"number": 1}, examples=[{"source": "page"}])]}, "rules.0.sources: no source 'page'"),
    ({"rules": [rule("a", {"number": 1}, examples=[])]}, "examples"),
    ({"rules": [rule("a", {"number": 1}, code=None)]}, "a rule needs code, category and hint"),
    ({"rules": [rule("a", {"number": 1}, one_of=["b"], code="X")]}, "a rule with one_of takes code"),
    ({"rules": [rule("a", {})]}, "asks nothing"),
    ({"rules": [rule("a", [])]}, "when"),
    ({"rules": [rule("a", {"text": "*"})]}, "a phrase without a word"),
    ({"rules": [rule("a", {"header": {"x": ["?"]}})]}, "a phrase without a word"),
    ({"no_information": "..."}, "a phrase without a word"),
    ({"rules": [rule("a", {"number": 1}, category="weather")]}, "category"),
])
def test_what_does_not_hang_together_is_refused_and_told_where(parts: dict[str, Any], told: str) -> None:
    assert told in refused(**parts)


def test_the_common_file_is_checked_the_same_way() -> None:
    with pytest.raises(ValidationError, match=r"rules.1.id: a second rule"):
        common(rule("a", {"number": 1}), rule("a", {"number": 2}))


def test_a_rule_may_name_others_that_it_cannot_tell_apart() -> None:
    made = common(rule("a", {"number": 1}), rule("b", {"number": 1}), rule("some", {"number": 1}, one_of=["a", "b"]))
    assert made.rules[2].one_of == ("a", "b")


@pytest.mark.parametrize("model", [Profile, Common])
def test_there_is_a_schema_for_editors(model: type[Profile] | type[Common]) -> None:
    made = schema(model)
    assert made["$schema"].startswith("https://json-schema.org/")
    assert made["additionalProperties"] is False
