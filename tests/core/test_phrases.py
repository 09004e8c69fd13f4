"""Matching by words: what differs between a vendor's page and its wire does not count, and nothing can make it run away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.phrases import LONGEST, Phrase, fold


@pytest.mark.parametrize(("text", "folded"), [
    ("Input Duration Violation: 20.0 ms.", " input duration violation 20 0 ms "),
    ("https://dpgr.am/net0001", " https dpgr am net0001 "),
    ("INVALID_AUTH", " invalid auth "),
    ("  a\n\tb  ", " a b "),
    ("Ünïcode-Wörter", " ünïcode wörter "),
    ("", " "),
    ("?!", " "),
])
def test_fold(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize(("phrase", "text", "found"), [
    ("net 0001", "NET-0001", True),
    ("net0001", "See https://dpgr.am/net0001", True),
    ("net 0001", "net0001", False),
    ("invalid json", "Error: Invalid JSON: x", True),
    ("invalid json", "invalid jsonish", False),
    ("json", "myjson", False),
    ("invalid credential*", "Invalid credentials.", True),
    ("*0001", "net0001", True),
    ("token * expired", "the token has long expired", True),
    ("token * expired", "token expired", True),
    ("token * expired", "expired token", False),
    ("expected between * and * ms", "Expected between 50 and 1000 ms", True),
    ("expected between * and * ms", "Expected between 50 ms", False),
    ("a*c", "abbbc", True),
    ("a*c", "a c", True),
    ("a * c", "abc", False),
])
def test_found_in(phrase: str, text: str, found: bool) -> None:
    assert Phrase(phrase).found_in(fold(text)) is found


@pytest.mark.parametrize(("phrase", "text", "whole"), [
    ("see error message for details", "See Error message for details", True),
    ("see error message for details", "See Error message for details.", True),
    ("see error message for details", "Please see error message for details", False),
    ("a b", "a b and a b", False),
    ("invalid *", "Invalid 'x'", True),
    ("invalid *", "an invalid x", False),
    ("* is required", "x is required", True),
    ("* is required", "x is required now", False),
    ("in*id *", "Invalid JSON", True),
])
def test_is_whole(phrase: str, text: str, whole: bool) -> None:
    assert Phrase(phrase).is_whole(fold(text)) is whole


@pytest.mark.parametrize("source", ["", " ", "*", "* *", "?!", "...*"])
def test_a_phrase_needs_a_word(source: str) -> None:
    with pytest.raises(ValueError, match="without a word"):
        Phrase(source)


@given(st.text(), st.text())
def test_any_words_are_found_in_a_text_that_holds_them(before: str, words: str) -> None:
    text = f"{before[:200]} {words[:200]} end"
    try:
        phrase = Phrase(words[:200].replace("*", " "))
    except ValueError:
        return
    assert phrase.found_in(fold(text))


@given(st.text(), st.text())
def test_nothing_raises_but_an_empty_phrase(source: str, text: str) -> None:
    try:
        phrase = Phrase(source)
    except ValueError:
        return
    assert phrase.found_in(fold(text)) or not phrase.is_whole(fold(text))


def test_only_the_head_of_a_text_is_looked_at() -> None:
    assert len(fold("ab " * 1_000_000)) <= LONGEST + 2
    assert not Phrase("end").found_in(fold("ab " * LONGEST + "end"))
