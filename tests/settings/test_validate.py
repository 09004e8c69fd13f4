"""What pydantic refuses, in words and with the line of what was written."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from proxy.settings.document import parse
from proxy.settings.validate import MOST, along, validated


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = 0
    union: Annotated[int | bool, Field(union_mode="left_to_right")] = 0
    truth: bool = False


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = ""
    share: float = Field(default=0, allow_inf_nan=False)
    inner: Inner | None = None
    listed: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}
    two: Annotated[tuple[Inner, ...], Field(min_length=2)] = (Inner(), Inner())

    @model_validator(mode="after")
    def _no_nine(self) -> Outer:
        for number, inner in enumerate(self.listed):
            if inner.number == 9:
                raise ValueError(f"listed.{number}.number: nine is not wanted")
            if inner.number == 8:
                raise ValueError("elsewhere.entirely: eight is not wanted")
        return self


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("name: 5", ["f:1: name: should be text: write it in quotes"]),
        ("name: [a]", ["f:1: name: should be text"]),
        ("share: lots", ["f:1: share: should be a number"]),
        ("share: .nan", ["f:1: share: should be a finite number"]),
        ("inner: 5", ["f:1: inner: should be a map of names to values"]),
        ("inner:\n  number: x\n  truth: 7", ["f:2: inner.number: should be a whole number", "f:3: inner.truth: should be true or false"]),
        ("inner: {union: x}", ["f:1: inner.union: should be a whole number, or should be true or false"]),
        ("listed: {}", ["f:1: listed: should be a list"]),
        ("listed:\n- number: 1\n- nubmer: 1", ["f:3: listed.1.nubmer: unknown key; did you mean 'number'?"]),
        ("named:\n  a: {number: 1.5}\n  b: {zzz: 1}", [
            "f:2: named.a.number: should be a whole number",
            "f:3: named.b.zzz: unknown key; known are number, truth, union",
        ]),
        ("two: [{}]", ["f:1: two: should have at least 2 items after validation, not 1"]),
        ("two: [{}, {number: x}]", ["f:1: two.1.number: should be a whole number"]),
        ("listed:\n- {}\n- number: 9", ["f:3: listed.1.number: nine is not wanted"]),
        ("listed:\n- number: 8", ["f:1: elsewhere.entirely: eight is not wanted"]),
        ("[]", ["f:1: should be a map of names to values"]),
        ("text", ["f:1: should be a map of names to values"]),
    ],
)
def test_words(text: str, problems: list[str]) -> None:
    model, found = validated(Outer, parse(text, "f"))
    assert model is None
    assert [str(problem) for problem in found] == problems


def test_nothing_is_all_defaults() -> None:
    assert validated(Outer, parse("", "f")) == (Outer(), [])


def test_problems_of_reading_are_told_beside_a_whole_model() -> None:
    model, found = validated(Outer, parse("name: a\nname: b", "f"))
    assert model == Outer(name="b")
    assert [str(problem) for problem in found] == ["f:2: name: stands twice, first in line 1"]


def test_so_many_are_told_and_no_more() -> None:
    _, found = validated(Outer, parse("".join(f"x{n}: 1\n" for n in range(MOST * 2)), "f"))
    assert len(found) == MOST


@given(st.lists(st.sampled_from(["a", "b", 0, 1, "int", -1]), max_size=5))
def test_the_way_to_a_value_stays_inside_the_data(location: list[str | int]) -> None:
    data = {"a": [{"b": 1}, {"a": 2}], "b": {"b": {"a": []}}}
    at: object = data
    for key in along(data, tuple(location)):
        assert isinstance(at, dict | list)
        at = at[key]  # type: ignore[index]
