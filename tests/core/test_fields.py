"""What the models of a profile are made of: one or a list of it, phrases with words, names and paths."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, Field, ValidationError

from proxy.core.fields import Path, Paths, Phrases, Seconds, Slug, Strict, Strings, at, lower_case
from proxy.core.profile import schema


class Some(Strict):
    strings: Strings = ()
    phrases: Phrases | None = None
    slug: Slug = "a"
    path: Path = "a"
    paths: Paths = ()
    seconds: Seconds = 0
    names: Annotated[dict[str, str], AfterValidator(lower_case)] = Field(default_factory=dict)


def refused(**parts: Any) -> str:
    with pytest.raises(ValidationError) as error:
        Some(**parts)
    return str(error.value)


def test_one_stands_for_a_list_of_one() -> None:
    made = Some.model_validate({"strings": "a b", "phrases": "net 0001", "paths": "words.-1.end"})
    assert (made.strings, made.phrases, made.paths) == (("a b",), ("net 0001",), ("words.-1.end",))
    assert Some.model_validate({"strings": ["a", "b"], "phrases": None}) == Some(strings=("a", "b"))


def test_editors_take_one_for_a_list_as_well() -> None:
    properties = schema(Some)["properties"]
    for name, one in (("strings", {"type": "string"}), ("paths", {"type": "string", "minLength": 1, "maxLength": 200})):
        assert properties[name]["anyOf"] == [one, {"items": one, "type": "array"}]


@pytest.mark.parametrize(("parts", "told"), [
    ({"colour": "red"}, "Extra inputs are not permitted"),
    ({"strings": 5}, "strings"),
    ({"phrases": ["a", "*"]}, "a phrase without a word: '*'"),
    ({"slug": "No Slug"}, "slug"),
    ({"slug": "-a"}, "slug"),
    ({"slug": "a" * 65}, "slug"),
    ({"path": ""}, "path"),
    ({"paths": ["a" * 201]}, "paths"),
    ({"seconds": -1}, "seconds"),
    ({"names": {"Linear16": "x"}}, "write 'linear16', not 'Linear16'"),
])
def test_what_is_refused(parts: dict[str, Any], told: str) -> None:
    assert told in refused(**parts)


def test_nothing_changes_once_it_is_checked() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Some().slug = "b"  # type: ignore[misc]


def test_an_error_names_its_place_for_the_loader() -> None:
    assert str(at("rules.1.id", "twice")) == "rules.1.id: twice"
