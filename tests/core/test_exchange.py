"""What one plain HTTP exchange comes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.exchange import Exchange
from proxy.core.own import OWN
from proxy.core.profile import Profile
from proxy.core.vendor import Vendor
from proxy.core.verdict import Category, Outcome, Owner, Phase, Retry, Side, Transport, Verdict

from .playbook import COMMON, PROFILE

ROUTES = [
    {"path": "/v1", "name": "rest", "kind": "http", "upstream": "https://acme.test"},
    {"path": "/tokens", "name": "tokens", "kind": "http", "phase": "session_token", "failed": {"path": "errors", "exists": True},
     "upstream": "https://acme.test"},
    {"path": "/listen", "name": "listen", "endpoint": "v1", "upstream": "https://acme.test"},
]
RULES = [
    {"id": "wrong-id", "code": "WRONG_ID", "category": "config_not_found", "hint": "Look it up.", "when": {"server_code": "WRONG_ID"},
     "examples": [{"http_status": 404}]},
    {"id": "fine", "code": "normal", "category": "normal", "outcome": "ok", "hint": "Well.", "when": {"server_code": "FINE"},
     "examples": [{"http_status": 404}]},
]


def vendor() -> Vendor:
    profile = PROFILE.model_dump(exclude_unset=True) | {
        "routes": ROUTES, "rules": RULES, "own_headers": (), "body": {
            "role": "error", "server_code": ["code", "errors.0.code"], "server_detail": ["message", "errors.0.message"],
            "ids": {"req_id": "id"}}}
    return Vendor(Profile.model_validate(profile), COMMON)


def exchange(path: str = "/v1") -> Exchange:
    one = vendor()
    return Exchange(one, one.route(path, "http"))


def verdict_of(status: int, body: bytes = b"", path: str = "/v1", headers: dict[str, str] | None = None) -> Verdict | None:
    one = exchange(path)
    one.answered(status, headers or {}, body)
    return one.verdict()


@pytest.mark.parametrize("status", [200, 204, 302, 304, 399])
def test_what_is_no_failure_has_no_verdict(status: int) -> None:
    assert verdict_of(status, b'{"errors":[{"code":"WRONG_ID"}]}') is None


def test_a_refusal_is_the_vendors_word() -> None:
    verdict = verdict_of(404, b'{"code":"WRONG_ID","message":"no token=abcdefgh12 here","id":"r-1"}')
    assert verdict is not None
    assert (verdict.outcome, verdict.phase, verdict.code, verdict.rule, verdict.category, verdict.owner, verdict.retry) == (
        Outcome.REFUSED_BY_VENDOR, Phase.HTTP_REQUEST, "WRONG_ID", "wrong-id", Category.CONFIG_NOT_FOUND, Owner.OPERATOR, Retry.AFTER_FIX)
    assert (verdict.http_status, verdict.server_code, verdict.req_id, verdict.ended_by) == (404, "WRONG_ID", "r-1", Side.VENDOR)
    assert verdict.server_detail == "no token=*** here"


def test_ids_in_headers_and_retry_after() -> None:
    [header, *_] = {name for endpoint in vendor().profile.endpoints.values() for name in endpoint.response_ids.values()}
    verdict = verdict_of(429, headers={header.lower(): "r-9", "retry-after": "7"})
    assert verdict is not None
    assert (verdict.req_id, verdict.retry_after_seconds) == ("r-9", 7.0)


@pytest.mark.parametrize(("body", "code"), [
    (b'{"errors":[{"code":"WRONG_ID"}]}', "WRONG_ID"),
    (b'{"errors":[{"code":"NEW"}]}', "unclassified"),  # and not what a 200 instead of a 101 would be
    (b'{"errors":[{"code":"FINE"}]}', "unclassified"),
    (b'{"errors":[]}', "unclassified"),
    (b'{"data":1}', None),
    (b'{"errors":[', None),
    (b"[1]", None),
    (b"", None),
])
def test_a_200_may_be_a_failure_where_the_profile_says_so(body: bytes, code: str | None) -> None:
    verdict = verdict_of(200, body, "/tokens")
    assert (verdict and verdict.code) == code
    if verdict is not None:
        assert (verdict.phase, verdict.http_status) == (Phase.SESSION_TOKEN, 200)
    assert verdict_of(302, body, "/tokens") is None


def test_which_bodies_are_worth_a_look() -> None:
    assert [exchange("/v1").wants_body(status) for status in (200, 302, 400)] == [False, False, True]
    assert [exchange("/tokens").wants_body(status) for status in (200, 400)] == [True, True]


@pytest.mark.parametrize(("how", "began"), [
    (Transport.EOF, Side.VENDOR), (Transport.RESET, Side.VENDOR), (Transport.TIMEOUT, Side.NETWORK), (Transport.DNS, Side.NETWORK),
    (Transport.TLS, Side.NETWORK), (Transport.REFUSED, Side.NETWORK),
])
def test_no_answer(how: Transport, began: Side) -> None:
    one = exchange("/tokens")
    one.lost(how)
    verdict = one.verdict()
    assert verdict is not None
    assert (verdict.outcome, verdict.phase, verdict.http_status, verdict.initiated_by) == (
        Outcome.ERROR, Phase.SESSION_TOKEN, None, began)


def test_a_body_that_was_cut_is_a_failure_after_a_good_status_alone() -> None:
    for status, outcome in ((200, Outcome.ERROR), (404, Outcome.REFUSED_BY_VENDOR)):
        one = exchange()
        one.answered(status, {}, b"")
        one.lost(Transport.EOF)
        verdict = one.verdict()
        assert verdict is not None
        assert (verdict.outcome, verdict.http_status) == (outcome, status)


@pytest.mark.parametrize(("code", "outcome", "began"), [
    ("sidecar_not_found", Outcome.REFUSED_HERE, Side.SIDECAR), ("sidecar_draining", Outcome.REFUSED_HERE, Side.SIDECAR),
    ("sidecar_bad_upstream", Outcome.ERROR, Side.NETWORK), ("sidecar_proxy_refused", Outcome.ERROR, Side.NETWORK),
])
def test_our_own_answers(code: str, outcome: Outcome, began: Side) -> None:
    one = Exchange(vendor(), None)
    one.own(code)
    verdict = one.verdict()
    assert verdict is not None
    assert (verdict.outcome, verdict.code, verdict.category, verdict.initiated_by) == (outcome, code, OWN[code].category, began)


def test_a_client_that_left() -> None:
    one = exchange()
    one.client_left()
    verdict = one.verdict()
    assert verdict is not None
    assert (verdict.outcome, verdict.owner, verdict.initiated_by) == (Outcome.ABANDONED, Owner.CLIENT, Side.CLIENT)


@given(st.integers(200, 599), st.dictionaries(st.text(max_size=9), st.text(max_size=9)), st.binary(max_size=200) | st.sampled_from([
    b"[" * 200, b'{"errors":' * 20, b'{"errors":{"0":{"code":[]}}}', b'{"code":1e999}', b'{"code":{"a":1},"message":[1]}', b"\xff\xfe"]))
def test_nothing_raises_whatever_comes(status: int, headers: dict[str, str], body: bytes) -> None:
    verdict_of(status, body, "/tokens", headers)
