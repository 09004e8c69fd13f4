"""YAML to data and lines: the core schema of YAML 1.2, every bound, and no text that gets by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.settings.document import DEEPEST, LARGEST, MOST_NODES, parse, read, scalar
from proxy.settings.problems import ConfigError, Problem


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-0", 0),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        (".5e3", 500.0),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ("on", "on"),
        ("no", "no"),
        ("22:30", "22:30"),
        ("2026-01-31", "2026-01-31"),
        ("1_000", "1_000"),
        ("-", "-"),
        ("0x", "0x"),
        ("1.2.3.4:80", "1.2.3.4:80"),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    got = scalar(text)
    assert (type(got), got) == (type(value), value)


def test_data_and_lines() -> None:
    document = parse('a:\n  - 1\n  - b: "2"\n    on: !!str 3\nc: &x {d: null}\ne: *x\n404: ! 5\n', "f.yaml")
    assert document.data == {"a": [1, {"b": "2", "on": "3"}], "c": {"d": None}, "e": {"d": None}, "404": "5"}
    assert [str(document.problem(keys, "m")) for keys in [("a", 1, "on"), ("a", 1, "x"), ("e", "d"), ("z",)]] == [
        "f.yaml:4: a.1.on: m",
        "f.yaml:3: a.1.x: m",
        "f.yaml:6: e.d: m",
        "f.yaml:1: z: m",
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "--- ~\n...\n"])
def test_nothing(text: str) -> None:
    assert parse(text, "f").data is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1, 2", "f.yaml:2: did not find expected ',' or ']'"),
        ("a: b: c", "f.yaml:1: mapping values are not allowed in this context"),
        ("\ta: 1", "f.yaml:1: found character that cannot start any token"),
        ("a: 1\nb: \x01", "f.yaml:2: is not YAML: a character that is not allowed"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a second document"),
        ("? [1]\n: 2", "f.yaml:1: a key must be plain text"),
        ("a: 1\nb: !!python/name:os.system x", "f.yaml:2: b: tags are not allowed"),
        ("a:\n  b: !env {x: 1}", "f.yaml:2: a.b: tags are not allowed"),
        ("a: !!int '3'", "f.yaml:1: a: tags are not allowed"),
        ("a: 1\nb: *x", "f.yaml:2: b: no anchor 'x' before this"),
        ("a: *Zq9x7Kp2Lm4T", "f.yaml:1: a: no anchor '***' before this"),
        ("https://me:Zq9x7Kp2Lm4T@h: *x", "f.yaml:1: https://***@h: no anchor 'x' before this"),
        ("a: &x [*x]", "f.yaml:1: a.0: no anchor 'x' before this"),
        ("[" * 60, f"f.yaml:1: 0.0.0: nested deeper than {DEEPEST}"),
    ],
)
def test_what_stops_the_reading(text: str, problem: str) -> None:
    assert refused(text) == [problem]


def test_keys_that_stand_twice_are_all_told() -> None:
    document = parse("a: 1\nb: {c: 1, c: 2}\na: 2\n", "f.yaml")
    assert [str(problem) for problem in document.problems] == [
        "f.yaml:2: b.c: stands twice, first in line 2",
        "f.yaml:3: a: stands twice, first in line 1",
    ]
    assert refused("a: 1\na: 2\nb: [") == ["f.yaml:2: a: stands twice, first in line 1", "f.yaml:4: did not find expected node content"]


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
    )
    (problem,) = refused(bomb)
    assert problem.startswith("f.yaml:6: a5.")
    assert problem.endswith(f"more than {MOST_NODES} values, counting what aliases repeat")


def test_the_other_bounds(tmp_path: Path) -> None:
    assert refused("[" + "a," * MOST_NODES + "]") == [f"f.yaml:1: {MOST_NODES - 1}: more than {MOST_NODES} values"]
    assert refused("[" * 100_000)[0].endswith(f"nested deeper than {DEEPEST}")
    for content, message in [
        (b"#" * (LARGEST + 1), f": is larger than {LARGEST} bytes"),
        (b"a: 1\nb: \xff", ":2: is not UTF-8"),
    ]:
        (tmp_path / "f.yaml").write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            read(tmp_path / "f.yaml")
        assert str(caught.value) == f"{tmp_path}/f.yaml{message}"


@pytest.mark.parametrize(
    ("name", "reason"), [("none.yaml", "no such file or directory"), ("", "is a directory"), ("x" * 300, "file name too long")]
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: cannot be read: {reason}"


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read(tmp_path / "f.yaml").data == {"a": 1}


YAMLISH = st.text(st.sampled_from("a1:-,{}[]&*!|>'\"#%@?~. \n\t\u00e9\x00"), max_size=60)


@given(YAMLISH | st.text(max_size=60))
@example("? ")
@example("%YAML 1.1\n---\na: 1\n...\n")
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    problems: list[Problem] = []
    try:
        problems.append(parse(text, "f.yaml").problem(("a", 0, "b"), "m"))
    except ConfigError as error:
        problems += error.problems
    assert problems
    assert all(str(problem).startswith("f.yaml") and str(problem).isprintable() for problem in problems)
