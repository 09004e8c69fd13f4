"""Acts around what is fed, in their order."""

from __future__ import annotations

import pytest

from proxy.core.wire import Feed
from proxy.relay.feeds import NOTHING, First, Then


class Looks(Feed):
    def __init__(self, seen: list[object]) -> None:
        self._seen = seen

    def feed(self, data: bytes, now: float) -> None:
        self._seen.append((data, now))


def test_an_act_before_and_an_act_after_each_time() -> None:
    seen: list[object] = []
    whole = First(lambda: seen.append("before"), Then(Looks(seen), lambda: seen.append("after")))
    whole.feed(b"a", 1.0)
    whole.feed(b"b", 2.0)
    assert seen == ["before", (b"a", 1.0), "after", "before", (b"b", 2.0), "after"]


def test_an_act_that_raises_is_whose_leg_it_is_to_tell() -> None:
    """As does looking itself: the splice then goes blind."""
    seen: list[object] = []

    def raises() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        First(raises, Looks(seen)).feed(b"a", 1.0)
    assert not seen


def test_nothing_looks_at_nothing() -> None:
    NOTHING.feed(b"a", 1.0)
