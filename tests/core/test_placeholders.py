"""What stands in the places of a template is gone, however the text was worded or cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.placeholders import Placeholders

HIDE = Placeholders([
    "Client with {user_id} is not active", "Invalid session token: {token}", "Could not find {user_type} ID", "no place here",
    "User {user_id} does not have access for this API", "exception in ASR: {error}", "{user_id} is unknown to us",
])


@pytest.mark.parametrize(("text", "shown"), [
    ("Client with u-17 is not active", "Client with {user_id} is not active"),
    ("ELSA:error - CLIENT WITH 'u-17' IS NOT ACTIVE!", "ELSA:error - CLIENT WITH {user_id} IS NOT ACTIVE!"),
    ("Client with id u-17, of acme, is not active", "Client with {user_id} is not active"),
    ("Client with u-17 is not act", "Client with {user_id}"),
    ("Client with u-17", "Client with {user_id}"),
    ("Invalid session token: eyJ.x.y", "Invalid session token {token}"),
    ("invalid session token eyJ.x.y.", "invalid session token {token}"),
    ("Could not find student ID", "Could not find {user_type} ID"),
    ("u-17 is unknown to us", " {user_id} is unknown to us"),
    ("no place here", "no place here"),
    ("something else", "something else"),
    ("", ""),
])
def test_places_are_hidden(text: str, shown: str) -> None:
    assert HIDE.hide(text) == shown


@given(st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=4, max_size=30), st.integers(0, 60))
def test_no_secret_outlives_its_template(secret: str, cut: int) -> None:
    secret = f"zq{secret}"
    text = f"Error: Client with {secret} is not active"
    shown = HIDE.hide(text[: max(len("Error: Client with ") + len(secret), len(text) - cut)])
    assert secret not in shown


@given(st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    HIDE.hide(text)


def test_without_templates_nothing_changes() -> None:
    assert Placeholders(["plain words", "stars *"]).hide("Client with u-17 is not active") == "Client with u-17 is not active"
