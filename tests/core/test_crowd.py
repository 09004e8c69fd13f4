"""Sessions that share a credential: counted, bounded, and told nothing of."""

from __future__ import annotations

import pytest

from proxy.core import crowd as module
from proxy.core.crowd import Crowd, credential_of
from proxy.core.profile import Declared
from proxy.core.vendor import Request

KEY = b"\1" * 32


def test_who_is_there_and_who_came() -> None:
    crowd = Crowd(KEY)
    first, second = crowd.came("a", "key", 0.0), crowd.came("a", "key", 30.0)
    assert first is not None
    assert second is not None
    assert [(one.open, one.per_minute) for one in (first, second)] == [(1, 1), (2, 2)]
    crowd.left(first)
    third = crowd.came("a", "key", 61.5)
    assert third is not None
    assert (third.open, third.per_minute) == (2, 2)
    assert (third.group == first.group, len(crowd)) == (True, 1)


def test_listeners_and_credentials_are_kept_apart() -> None:
    crowd = Crowd(KEY)
    came = [crowd.came(listener, credential, 0.0) for listener, credential in (("a", "k"), ("b", "k"), ("a", "l"), ("a", ""), ("ak", ""))]
    assert [one.open for one in came if one] == [1] * 5
    assert len(crowd) == 5


def test_no_credential_is_kept_nor_can_it_be_found_again() -> None:
    one, other = Crowd(KEY).came("a", "SECRET", 0.0), Crowd(b"\2" * 32).came("a", "SECRET", 0.0)
    assert one is not None
    assert other is not None
    assert one.group != other.group
    assert "SECRET" not in repr(one)
    assert Crowd(KEY).came("a", "\udce9 broken", 0.0)


def test_it_is_bounded_and_what_is_idle_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_GROUPS", 2)
    crowd = Crowd(KEY)
    idle, busy = crowd.came("a", "idle", 0.0), crowd.came("a", "busy", 0.0)
    crowd.left(idle)
    assert crowd.came("a", "new", 30.0) is None  # the idle one still counts
    assert crowd.came("a", "new", 30.5) is None
    new = crowd.came("a", "new", 61.0)
    assert new is not None
    assert len(crowd) == 2
    crowd.left(idle)  # gone: nothing happens
    crowd.left(None)
    crowd.left(busy)
    crowd.left(busy)
    again = crowd.came("a", "busy", 62.0)
    assert again is not None
    assert again.open == 1


def test_where_a_credential_sits() -> None:
    places = (Declared(header="Authorization"), Declared(query="token"))
    request = Request.of("/v1?token=abc", {"authorization": "def"})
    assert credential_of(places, request) == "def\0abc"
    assert credential_of(places, Request.of("/v1", {})) == ""


def test_one_that_was_sent_away_does_not_count() -> None:
    """Else a client that tries again and again would never get in."""
    crowd = Crowd(KEY)
    first = crowd.came("a", "key", 0.0)
    for second in range(50):
        sent_away = crowd.came("a", "key", float(second))
        assert sent_away is not None
        assert (sent_away.open, sent_away.per_minute) == (2, 2)
        crowd.sent_away(sent_away)
    crowd.left(first)
    last = crowd.came("a", "key", 62.0)
    assert last is not None
    assert (last.open, last.per_minute) == (1, 1)


def test_one_that_nobody_knows_any_more_is_sent_away_for_nothing() -> None:
    crowd, other = Crowd(KEY), Crowd(b"\2" * 32)
    company = other.came("a", "key", 0.0)
    assert company is not None
    crowd.sent_away(company)
    assert len(crowd) == 0
