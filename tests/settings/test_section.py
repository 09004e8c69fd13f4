"""What every part of the settings has in common."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.settings.section import Section


class Some(Section):
    number: int = 5


def test_null_is_the_default_and_what_is_not_known_an_error() -> None:
    assert Some.model_validate({"number": None}).number == 5
    for wrong in ({"numbers": 5}, {"numbers": None}):
        with pytest.raises(ValidationError, match="numbers"):
            Some.model_validate(wrong)


def test_it_stays_as_it_was_checked() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Some().number = 6  # type: ignore[misc]
