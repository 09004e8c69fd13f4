"""The claim: what was said and by whom, kept within bounds, and nothing in it that says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.claim import BODY_LIMIT, MOST_SAID, NO_STATUS, Claim, as_close_code, as_number
from proxy.core.inspect import Told
from proxy.core.messages import Message
from proxy.core.profile import Profile
from proxy.core.verdict import Side

from .profiles import profile

VENDOR = profile(
    own_headers=["x-id", "x-error"], error_headers=["X-Error"], no_information=["see frame"],
    body=Message(role="error", server_code=("code",), server_detail=("message",), ids={"req_id": "id"}),
)
BODY = b'{"code":"NOPE","message":"Not you.","id":"r1"}'


def refused(status: int = 401, headers: dict[str, str] | None = None, body: bytes | None = None, of: Profile = VENDOR) -> Claim:
    claim = Claim()
    claim.refused(of, status, headers, body)
    return claim


def test_a_refusal_is_heard_best_first_header_then_body() -> None:
    claim = refused(headers={"X-ERROR": "Header words", "Retry-After": "7"}, body=BODY)
    assert claim.http_status == 401
    assert claim.told == Told(server_code="NOPE", server_detail="Not you.", req_id="r1")
    assert claim.said == [" header words ", " not you ", " nope "]
    assert claim.in_between is False
    assert claim.retry_after == 7


@pytest.mark.parametrize("value", ["", "x", "-1", "Wed, 21 Oct 2015 07:28:00 GMT", "999999999"])
def test_a_retry_after_that_is_no_number_of_seconds_is_left_alone(value: str) -> None:
    assert refused(headers={"retry-after": value}).retry_after is None


@pytest.mark.parametrize(("headers", "body", "in_between"), [
    (None, None, None),
    ({}, None, None),
    ({"x-id": "1"}, None, False),
    ({"server": "squid"}, None, True),
    ({"server": "squid"}, BODY, False),
    ({"server": "kong"}, b'{"message":"no Route matched"}', True),
    (None, b"<!DOCTYPE HTML><title>Blocked", True),
    (None, b"  <html>", True),
    ({"x-error": "e"}, b"<html>", False),
])
def test_in_between(headers: dict[str, str] | None, body: bytes | None, in_between: bool | None) -> None:
    assert refused(headers=headers, body=body).in_between is in_between


def test_without_own_headers_it_cannot_be_told_what_was_in_between() -> None:
    assert refused(headers={"server": "x"}, body=b"<html>", of=profile()).in_between is None


@pytest.mark.parametrize(("vendor", "headers", "body", "html", "by"), [
    (profile(), {"server": "x"}, b"<HTML>", True, Side.UNKNOWN),
    (profile(), None, b"\n<!doctype html>", True, Side.UNKNOWN),
    (profile(), {"server": "x"}, b"words", False, Side.VENDOR),
    (profile(), {}, b"", False, Side.VENDOR),
    (VENDOR, {"x-id": "1"}, b"<html>", False, Side.VENDOR),
    (VENDOR, {"server": "x"}, b"<html>", True, Side.NETWORK),
])
def test_a_page_without_a_sign_of_the_vendors_may_be_from_anybody(
    vendor: Profile, headers: dict[str, str] | None, body: bytes, html: bool, by: Side
) -> None:
    claim = refused(502, headers, body, vendor)
    assert (claim.html, claim.answered_by) == (html, by)


@pytest.mark.parametrize("body", [b"plain words", b'["plain words"]', b'{"else":"plain words"}'])
def test_a_body_of_another_shape_is_heard_as_text(body: bytes) -> None:
    claim = refused(body=body)
    assert "plain words" in claim.said[0]
    assert not claim.told.says_something


def test_a_profile_without_a_body_shape_hears_text() -> None:
    assert refused(body=b'{"message":"x"}', of=profile()).said == [" message x "]


def test_of_a_body_only_the_beginning_is_looked_at() -> None:
    assert refused(body=b'{"code":"' + b"a" * BODY_LIMIT + b'"}').told == Told()


def test_a_body_is_text_whatever_the_headers_say() -> None:
    assert refused(headers={"content-encoding": "gzip"}, body=BODY).told.server_code == "NOPE"


def test_only_so_much_is_kept() -> None:
    claim = Claim()
    for number in range(1000):
        claim.hear(VENDOR, Told(server_code=str(number), server_detail=f"words {number}"))
    assert len(claim.said) == MOST_SAID
    assert claim.told.server_code == "0"


@pytest.mark.parametrize(("by", "said", "by_client"), [
    (Side.VENDOR, [" too late "], []),
    (Side.CLIENT, [], [" too late "]),
    (None, [" too late "], [" too late "]),
])
def test_a_reason_is_its_senders(by: Side | None, said: list[str], by_client: list[str]) -> None:
    claim = Claim()
    claim.closed(VENDOR, 4000, "Too late!", by)
    assert (claim.said, claim.said_by_client, claim.close_code, claim.close_by) == (said, by_client, 4000, by)


@pytest.mark.parametrize("reason", [None, "", "?", "See frame", "see: FRAME."])
def test_what_carries_no_information_is_left_out(reason: str | None) -> None:
    claim = Claim()
    claim.closed(VENDOR, 4000, reason, Side.VENDOR)
    assert claim.said == []


def test_an_empty_close_counts_as_1005() -> None:
    claim = Claim()
    claim.closed(VENDOR, None, None, Side.CLIENT)
    assert (claim.close_code, claim.said_by_client) == (NO_STATUS, [])


@pytest.mark.parametrize(("value", "number"), [(1, 1.0), (1.5, 1.5), (True, None), ("1", None), (None, None)])
def test_as_number(value: object, number: float | None) -> None:
    assert as_number(value) == number


@pytest.mark.parametrize(("value", "code"), [
    (4001, 4001), (5004.0, 5004), (0, 0), (65535, 65535), (65536, None), (-1, None), (1e308, None), (float("nan"), None),
    ("4001", None), (None, None),
])
def test_a_close_code_has_two_bytes(value: object, code: int | None) -> None:
    assert as_close_code(value) == code


@given(st.integers(), st.none() | st.dictionaries(st.text(), st.text()), st.none() | st.binary(), st.text())
def test_nothing_raises(status: int, headers: dict[str, str] | None, body: bytes | None, reason: str) -> None:
    claim = refused(status, headers, body)
    claim.closed(VENDOR, status, reason, None)
    assert claim.retry_after is None or claim.retry_after >= 0
