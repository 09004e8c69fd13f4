"""Who may come in, as far as one sidecar sees."""

from __future__ import annotations

import pytest

from proxy.core.checks.access import concurrency, connection_rate, credentials, ready_before
from proxy.core.crowd import Company
from proxy.core.verdict import Owner, Side
from tests.core.caller import Call, assemblyai, deepgram

from .cases import call, case


@pytest.mark.parametrize(("headers", "query", "code", "agrees"), [
    ({}, "", "BAD_KEY", "yes"),
    ({"authorization": ""}, "", "BAD_KEY", "yes"),
    ({"authorization": "Bearer "}, "", "AUTH_REQUIRED", "yes"),
    ({"authorization": "abc"}, "", "BAD_KEY", "cannot_tell"),
    ({"authorization": "abc"}, "", "AUTH_REQUIRED", "no"),
    ({}, "&token=abc", "1008_missing_authorization", "no"),
    ({}, "&token=", "1008_missing_authorization", "yes"),
])
def test_was_there_anything(headers: dict[str, str], query: str, code: str, agrees: str) -> None:
    got = credentials(case(assemblyai(query=query, headers=headers, ready=False), code))
    assert (got.agrees, got.owner) == (agrees, None)
    assert "abc" not in str(got)


def test_where_nobody_says_where_it_sits_nothing_is_known() -> None:
    got = credentials(case(call()))
    assert (got.agrees, got.evidence.measured) == ("cannot_tell", None)


def test_ready_before() -> None:
    before, after, blind = assemblyai(ready=False), assemblyai().pause(5), assemblyai(ready=False)
    blind.play.session.blind(Side.VENDOR)
    found = [ready_before(case(one)) for one in (before, after, blind)]
    assert [(one.agrees, one.owner) for one in found if one] == [("yes", None), ("no", Owner.UNKNOWN), ("cannot_tell", None)]
    assert ready_before(case(deepgram())) is None  # its 101 says nothing of this


def with_company(of: Call, company: Company | None) -> Call:
    of.play.session.company = company
    return of


@pytest.mark.parametrize(("here", "agrees"), [(1, "cannot_tell"), (10, "cannot_tell"), (11, "yes")])
def test_too_many(here: int, agrees: str) -> None:
    limited = case(with_company(call(sessions=10, connections_per_minute=10), Company(b"", here, here)))
    for check in (concurrency, connection_rate):
        got = check(limited)
        assert (got.agrees, got.owner, got.evidence.claimed, got.evidence.measured) == (agrees, None, 10, here)


def test_too_many_of_what_nobody_limits_or_counts() -> None:
    unlimited, uncounted = case(with_company(call(), Company(b"", 99, 99))), case(call(sessions=10))
    for check in (concurrency, connection_rate):
        got = check(unlimited)
        assert (got.agrees, got.evidence.measured) == ("cannot_tell", 99)
        got = check(uncounted)
        assert (got.agrees, got.evidence.measured) == ("cannot_tell", None)
