"""Each target takes what it begins with, anything short, and what hypothesis thinks of; a target that finds nothing would find nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import wire
from proxy.core.deflate import Inflater
from proxy.core.private import Private
from tests.fuzz.targets import CORPUS, TARGETS

SEEDS = sorted(CORPUS.rglob("*.bin"))


def test_each_target_has_seeds_and_they_are_small() -> None:
    assert {seed.parent.name for seed in SEEDS} == set(TARGETS)
    assert sum(seed.stat().st_size for seed in SEEDS) < 8192


@pytest.mark.parametrize("seed", SEEDS, ids=[f"{seed.parent.name}-{seed.stem}" for seed in SEEDS])
def test_what_it_begins_with(seed: Path) -> None:
    data = seed.read_bytes()
    for size in range(0, len(data) + 1, 1 + len(data) // 40):
        TARGETS[seed.parent.name](data[:size])
    TARGETS[seed.parent.name](data)


@pytest.mark.parametrize("name", sorted(TARGETS))
@given(data=st.binary(max_size=200))
def test_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", ["scanner", "inflater", "classifier", "heads"])
def test_a_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the parts whose targets compare; the others are there to raise."""
    if name == "scanner":
        monkeypatch.setattr(wire.FrameScanner, "settle", lambda self: None)
    elif name == "inflater":
        monkeypatch.setattr(Inflater, "message", lambda self, payload: bytes(2 << 20))
    elif name == "classifier":
        monkeypatch.setattr(Private, "hide", lambda self, text: text)
    else:
        monkeypatch.setattr("proxy.relay.heads._breaks", lambda value: False)
        monkeypatch.setattr("tests.fuzz.heads.plain_head", lambda *given: b"GET / HTTP/1.1\r\nHost: a\nb\r\n\r\n")
    with pytest.raises(AssertionError):
        _all_seeds(name)


def _all_seeds(name: str) -> None:
    for seed in SEEDS:
        if seed.parent.name == name:
            TARGETS[name](seed.read_bytes())
