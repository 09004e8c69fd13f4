"""A request's own credentials are hidden by themselves, however they look and however they are repeated."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.private import GRAM, Private, private

KEY = "river-otter-moon"
"""Words: nothing in its looks tells."""
KEYS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+/", min_size=GRAM, max_size=80).map(lambda s: f"Zq{s}9")


@pytest.mark.parametrize(("name", "value"), [
    ("authorization", f"Token {KEY}"), ("authorization", KEY), ("x-api-key", KEY), ("x-session-key", KEY),
    ("cookie", f"theme=dark; sid={KEY}"), ("sec-websocket-protocol", f"token, {KEY}"), ("proxy-authorization", f"Basic {KEY}"),
    ("x-acme-pass", KEY),
])
def test_where_headers_hold_it(name: str, value: str) -> None:
    assert private({name: value}.items(), frozenset({"x-acme-pass"})).hide(f"no {KEY}!") == "no ***!"
    assert private({"x-request-id": KEY}.items()).hide(KEY) == KEY


@pytest.mark.parametrize(("name", "value"), [
    ("token", KEY), ("api_key", KEY), ("authorization", f"Bearer {KEY}"), ("sessionKey", KEY), ("webhook_auth_header_value", KEY),
    ("callback", f"https://me:{KEY}@hook.example/deepgram-results/x?y=z"), ("callback", f"https://hook.example/{KEY}-1"),
    ("callback", f"https://hook.example/?a=b&c={KEY}"),
])
def test_where_queries_hold_it(name: str, value: str) -> None:
    hide = private({name: value}.items()).hide
    assert KEY not in hide(f"no {KEY}!")
    assert hide("Deepgram said: results of hook.example https://") == "Deepgram said: results of hook.example https://"


@given(key=KEYS, before=st.text(max_size=20), after=st.text(max_size=20))
def test_nothing_of_it_is_left(key: str, before: str, after: str) -> None:
    shown = private({"authorization": f"Token {key}"}.items()).hide(f"{before} {key} {after}")
    assert not any(key[at : at + GRAM] in shown for at in range(len(key) - GRAM + 1))


@given(key=KEYS, cut=st.integers(4, 80))
def test_where_the_text_was_cut_the_rest_is_hidden_too(key: str, cut: int) -> None:
    assert key[: max(4, min(cut, len(key)))] not in private({"authorization": key}.items()).hide(f"wrong: {key}"[: 7 + cut])


def test_in_any_case_and_encoding() -> None:
    hide = private({"token": "Otter/Moon+River"}.items()).hide
    assert hide("is OTTER/MOON+RIVER") == "is ***"
    assert hide(f"is {quote('Otter/Moon+River', safe='')}") == "is ***"


def test_short_ones_are_whole_words() -> None:
    hide = Private(["moon", "abc"]).hide
    assert hide("moon, moons, a moon, abc, Moon") == "***, moons, a ***, abc, ***"


def test_without_credentials_nothing_changes() -> None:
    assert Private().hide("Token moon") == private({"host": "h", "model": "m"}.items()).hide("Token moon") == "Token moon"


def test_a_letter_that_is_longer_in_lower_case_moves_nothing() -> None:
    assert Private([KEY]).hide(f"\u0130\u0130 {KEY.upper()}!") == "\u0130\u0130 ***!"


@given(st.text(max_size=300), st.lists(st.text(max_size=50), max_size=5))
def test_any_text_is_taken(text: str, values: list[str]) -> None:
    Private(values).hide(text)


def test_no_request_makes_it_run_away() -> None:
    hide = Private(["ab" * 100_000, *(f"{number:08}" for number in range(10_000))]).hide
    assert "abababab" not in hide("ab" * 50_000)
