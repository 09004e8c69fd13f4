"""What the vendor allows: as asked, as said, as published."""

from __future__ import annotations

import pytest

from proxy.core.limits import idle_window, keep_alive_window, longest_session

from .playbook import V1, V2, WALL, Play
from .test_watch import play


@pytest.mark.parametrize(("query", "expected"), [
    ("", 60), ("?idle=8", 8), ("?idle=", 60), ("?idle=x", 60), ("?idle=%C2%B2", 60), ("?idle=99999999", 60), ("?idle=-3", 60),
])
def test_the_idle_window_is_as_asked_or_as_published(query: str, expected: float) -> None:
    assert idle_window(play(query, limits={"idle_query": "idle", "idle_seconds": 60}).session) == expected


def test_no_idle_window() -> None:
    assert idle_window(play().session) is None
    assert idle_window(Play("/nowhere").session) is None


def test_the_longest_session_is_as_the_vendor_said_or_as_published() -> None:
    assert longest_session(Play(V1).session) == 3600
    assert longest_session(Play(V2).session) is None
    assert longest_session(Play("/nowhere").session) is None
    scene = play(limits={"session_seconds": 3600}).hears(type="Hello", expires=WALL + 50)
    assert longest_session(scene.session) == 50


def test_a_vendor_whose_clock_is_behind_is_not_believed() -> None:
    scene = play(limits={"session_seconds": 3600}).hears(type="Hello", expires=WALL - 50)
    assert longest_session(scene.session) == 3600


@pytest.mark.parametrize(("limits", "expected"), [
    ({"idle_seconds": 60, "keep_alive_seconds": 30}, 60), ({"keep_alive_seconds": 30}, 30), ({}, None),
])
def test_a_keep_alive_is_due_before_the_idle_time_or_as_often_as_one_is_wanted(limits: dict[str, float], expected: float | None) -> None:
    assert keep_alive_window(play(limits=limits).session) == expected


def test_no_keep_alive_window() -> None:
    assert keep_alive_window(Play("/nowhere").session) is None
