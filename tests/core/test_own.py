"""What Earwitness answers itself."""

from __future__ import annotations

import pytest

from proxy.core.own import OWN, own_meaning
from proxy.core.verdict import DEFAULTS, Owner


@pytest.mark.parametrize("code", OWN)
def test_every_code_of_ours_has_a_meaning(code: str) -> None:
    own, meaning = OWN[code], own_meaning(code)
    assert code.startswith("sidecar_")
    assert 400 <= own.status <= 599
    assert meaning.code == meaning.rule == code
    assert (meaning.category, meaning.hint, meaning.ok) == (own.category, own.hint, False)
    owner, retry = DEFAULTS[own.category]
    assert meaning.owner == own.owner or (own.owner is None and meaning.owner == owner)
    assert meaning.retry == retry


def test_our_own_fault_is_nobody_elses() -> None:
    assert own_meaning("sidecar_internal").owner is Owner.SIDECAR
    assert own_meaning("sidecar_too_many_sessions").owner is Owner.SIDECAR


def test_a_code_that_is_not_ours_has_none() -> None:
    with pytest.raises(KeyError):
        own_meaning("NET-0001")


def test_what_it_was_about_stands_before_what_to_do() -> None:
    hint = own_meaning("sidecar_audio_format", "a WAV file where raw samples were declared").hint
    assert hint == f"a WAV file where raw samples were declared. {OWN['sidecar_audio_format'].hint}"


def test_a_session_that_reached_its_limit_is_nobodys_fault() -> None:
    meaning = own_meaning("sidecar_session_limit")
    assert (meaning.owner, OWN["sidecar_session_limit"].outcome) == (Owner.NONE, "ok")
