"""How problems are put into words."""

from __future__ import annotations

import pytest

from proxy.settings.problems import ConfigError, Problem, instead, shown


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Problem("f.yaml", 3, "a.b", "is missing"), "f.yaml:3: a.b: is missing"),
        (Problem("f.yaml", 3, "", "is not YAML"), "f.yaml:3: is not YAML"),
        (Problem("f.yaml", None, "", "cannot be read"), "f.yaml: cannot be read"),
        (Problem("environment", None, "EARWITNESS__A", "unknown key"), "environment: EARWITNESS__A: unknown key"),
    ],
)
def test_a_problem_is_a_line(problem: Problem, line: str) -> None:
    assert str(problem) == line


def test_problems_stand_in_the_order_of_the_file_and_once() -> None:
    late, early, other = Problem("f", 10, "a", "m"), Problem("f", 9, "z", "m"), Problem("e", 20, "a", "m")
    error = ConfigError([late, early, other, late])
    assert error.problems == [other, early, late]
    assert str(error) == "e:20: a: m\nf:9: z: m\nf:10: a: m"


def test_what_to_write_instead() -> None:
    assert instead("lsten", ["listen", "name"]) == "did you mean 'listen'?"
    assert instead("zzz", ["name", "listen"]) == "known are listen, name"
    assert instead("zzz", []) == "none is known here"


def test_a_written_value_is_shown_short_and_without_keys() -> None:
    assert shown("trace") == "'trace'"
    assert shown("sk-abcdef") == "'***'"
    assert shown("a b " * 50) == repr("a b " * 14 + "a b…")
