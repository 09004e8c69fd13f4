"""Rules are tried on their own examples, and what fails is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.settings.document import read
from proxy.settings.examples import problems_of
from proxy.settings.load import check
from proxy.settings.profiles import load_all, load_common, load_profile, packaged

from .conftest import ACME


def told(folder: Path) -> list[str]:
    path = folder / "acme.yaml"
    return [f"{problem.line}: {problem.path}: {problem.message}" for problem in problems_of(read(path), load_profile(path), load_common())]


def test_an_example_that_its_rule_takes_is_no_problem(folder: Path) -> None:
    assert told(folder) == []


@pytest.mark.parametrize(("example", "problem"), [
    ("{close_code: 4000, close_reason: Too slow!}", "20: rules.0.examples.1: is taken by no rule alone, not by too-fast"),
    ("{close_code: 1012, close_reason: Too slow!}", "20: rules.0.examples.1: is taken by close-1012, not by too-fast"),
    ("{frames_hex: 0g}", "20: rules.0.examples.1.frames_hex: should be the hex of bytes"),
])
def test_one_that_it_does_not_take_is_told_with_its_line(folder: Path, example: str, problem: str) -> None:
    text = ACME.replace("close_reason: Too fast!}]", f"close_reason: Too fast!}},\n      {example}]")
    (folder / "acme.yaml").write_text(text)
    (folder / "settings.yaml").write_text("profiles: [acme.yaml]\nlisteners: [{vendor: acme}]\n")
    assert told(folder) == [problem]
    for file in ("acme.yaml", "settings.yaml"):
        assert list(map(str, check(folder / file))) == [f"{folder}/acme.yaml:{problem}"]


@pytest.mark.parametrize("vendor", load_all().profiles)
def test_the_packaged_ones_take_theirs(vendor: str) -> None:
    path = packaged() / "vendors" / f"{vendor}.yaml"
    assert check(path) == []
