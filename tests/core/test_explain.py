"""From what stands in a log to a verdict, with the code that live sessions use."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.explain import Given, explain
from proxy.core.profile import Profile
from proxy.core.verdict import Outcome, Phase, Side, Transport, Verdict

from .profiles import ENDPOINT, common, profile, rule

SERVER = {"kinds": {
    "Hello": {"role": "ready", "ids": {"connection_id": "id"}},
    "Error": {"role": "error", "server_code": "code", "server_detail": "text", "ids": {"req_id": "rid"}},
    "Hint": {"role": "warning", "fatal": False, "server_code": "code"},
    "Sum": {"role": "end", "audio_seconds": {"path": "seconds"}},
}}
CLIENT = {"kinds": {"Bye": {"role": "end"}, "Ping": {"role": "keep_alive"}}}
TALKING = {**ENDPOINT, "server": SERVER, "client": CLIENT, "response_ids": {"req_id": "x-id"}}
ONE = profile(
    vendor="one",
    endpoints={"v1": TALKING, "v2": {**ENDPOINT, "server": {"kinds": {"Two": {"role": "error", "server_code": "code"}}}}},
    routes=[{"path": "/v1", "name": "one", "endpoint": "v1", "upstream": "https://one.example"},
            {"path": "/v2", "name": "two", "endpoint": "v2", "upstream": "https://one.example"}],
    own_headers=["x-id"],
    rules=[
        rule("words", [{"text": "no such key"}, {"server_code": "NOKEY"}], category="auth"),
        rule("zero", {"close_code": 1000, "reported_seconds": 0}, category="audio_format"),
        rule("late", {"close_code": 4000, "ready": True, "end_sent": False}, category="idle_timeout"),
        rule("said-bye", {"close_code": 4000, "end_sent": True}, category="normal", outcome="ok"),
        rule("number", {"number": 4001}, category="billing"),
        rule("second", {"endpoint": "v2", "number": 4002}, category="billing"),
        rule("hint", {"server_code": "SOFT"}),
        rule("refused", {"http_status": 401}, category="auth"),
    ],
)
OTHER = profile(vendor="other", rules=[rule("number", {"number": 4001}, category="auth"), rule("also", {"number": 4005})])
ALL = {"one": ONE, "other": OTHER}
COMMON = common(
    rule("fine", {"close_code": 1000}, category="normal", outcome="ok", code="normal"),
    rule("cut", {"phase": "websocket_runtime", "transport": "eof"}, category="network"),
    rule("dial", {"phase": "websocket_connect", "transport": ["dns", "timeout"]}, category="network"),
    rule("between", {"in_between": True, "http_status": "4xx"}, category="network"),
    rule("unauthorised", {"http_status": 401}, category="auth"),
    rule("handshake", {"http_status": 101, "phase": "websocket_connect"}, category="network"),
    rule("client", {"close_by": "client", "close_code": 1011}, category="idle_timeout"),
)


def ask(vendor: str | None = "one", profiles: dict[str, Profile] = ALL, **facts: Any) -> Verdict:
    return explain(Given(vendor=vendor, **facts), profiles, COMMON)[0]


def fits(**facts: Any) -> list[str]:
    return explain(Given(**facts), ALL, COMMON)[1]


def test_a_fatal_frame_is_the_vendors_and_first() -> None:
    got = ask(path="/v1/x", frames=('{"type":"Error","code":"NOKEY","text":"no such key","rid":"r"}',), close_code=4999, close_reason="see")
    assert (got.vendor, got.endpoint, got.rule, got.category, got.owner) == ("one", "v1", "words", "auth", "operator")
    assert (got.server_code, got.server_detail, got.req_id, got.close_code, got.close_reason) == ("NOKEY", "no such key", "r", 4999, "see")
    assert (got.initiated_by, got.ended_by, got.phase, got.outcome) == (Side.VENDOR, Side.UNKNOWN, Phase.WEBSOCKET_RUNTIME, Outcome.ERROR)
    assert got.rule_owner == got.owner


def test_frames_may_be_given_as_hex() -> None:
    frame = b'{"type":"Error","code":"NOKEY"}'.hex()
    assert ask(frames_hex=(frame,)).rule == "words"
    with pytest.raises(ValueError, match="hexadecimal"):
        ask(frames_hex=("xyz",))


def test_bare_words_are_words_too_but_broken_json_is_not() -> None:
    assert ask(frames=("ERROR: no such key!",)).rule == "words"
    assert ask(frames=('{"unknown":"no such key"}',)).code == "unclassified"


def test_frames_of_both_sides_tell_how_far_it_came() -> None:
    hello, bye = '{"type":"Hello","id":"c1"}', '{"type":"Bye"}'
    assert ask(frames=(hello, '{"type":"Ping"}'), close_code=4000, end_sent=False).rule == "late"
    ended = ask(frames=(hello, bye), close_code=4000)
    assert (ended.rule, ended.outcome, ended.initiated_by, ended.connection_id) == ("said-bye", Outcome.OK, Side.CLIENT, "c1")
    assert ask(frames=('{"type":"Sum","seconds":0}',), close_code=1000).rule == "zero"
    assert ask(frames=('{"type":"Sum","seconds":3}',), close_code=1000).rule == "fine"


def test_a_warning_counts_only_where_nothing_else_is_given() -> None:
    soft = '{"type":"Hint","code":"SOFT"}'
    assert ask(frames=(soft,)).rule == "hint"
    assert ask(frames=(soft,), close_code=1000).rule == "fine"
    assert ask(frames=(soft,), transport=Transport.EOF).rule == "cut"
    assert ask(frames=(soft, '{"type":"Error","code":"NOKEY"}')).rule == "words"


def test_a_reason_without_a_code_is_no_empty_close() -> None:
    got = ask(close_reason="No such key")
    assert (got.rule, got.close_code) == ("words", None)


def test_the_endpoint_is_the_paths_or_the_one_that_knows_the_frames() -> None:
    assert ask(path="/v2", close_code=4002).endpoint == "v2"
    assert ask(frames=('{"type":"Two","code":"4002"}',)).endpoint == "v2"
    assert ask(frames=('{"type":"Two","code":"4002"}',)).rule == "second"
    assert ask(path="/nowhere", close_code=4001).endpoint is None
    assert ask(close_code=4001).rule == "number"


@pytest.mark.parametrize(("facts", "expected"), [
    ({"http_status": 401}, ("refused", "refused_by_vendor", "websocket_connect", "vendor")),
    ({"http_status": 401, "headers": {"X-ID": "r1"}}, ("refused", "refused_by_vendor", "websocket_connect", "vendor")),
    ({"http_status": 401, "headers": {"via": "squid"}, "body": "<html>"}, ("between", "refused_by_vendor", "websocket_connect", "network")),
    ({"body": "No such key."}, ("words", "error", "websocket_connect", "vendor")),
    ({"http_status": 401, "phase": Phase.SESSION_TOKEN}, ("refused", "refused_by_vendor", "session_token", "vendor")),
    ({"http_status": 101}, ("handshake", "refused_by_vendor", "websocket_connect", "vendor")),
    ({"http_status": 101, "close_code": 1000}, ("fine", "ok", "websocket_runtime", "unknown")),
    ({"transport": Transport.DNS}, ("dial", "error", "websocket_connect", "network")),
    ({"transport": Transport.TIMEOUT}, ("dial", "error", "websocket_connect", "network")),
    ({"transport": Transport.EOF, "ended_by": Side.VENDOR}, ("cut", "error", "websocket_runtime", "vendor")),
    ({"transport": Transport.EOF}, ("cut", "error", "websocket_runtime", "unknown")),
    ({"close_code": 1011, "ended_by": Side.CLIENT}, ("client", "error", "websocket_runtime", "client")),
    ({"close_code": 1011, "close_by": Side.CLIENT}, ("client", "error", "websocket_runtime", "client")),
    ({"close_code": 1011, "ended_by": Side.NETWORK}, (None, "error", "websocket_runtime", "network")),
    ({}, (None, "error", None, "unknown")),
])
def test_what_is_given_is_enough(facts: dict[str, Any], expected: tuple[str | None, ...]) -> None:
    got = ask(**facts)
    assert (got.rule, got.outcome, got.phase, got.ended_by) == expected
    assert got.initiated_by == got.ended_by


def test_ids_come_from_the_headers_of_an_open_session_too() -> None:
    got = ask(path="/v1", headers={"X-Id": "r9"}, close_code=4001)
    assert (got.rule, got.req_id, got.http_status) == ("number", "r9", None)


def test_retry_after_is_handed_on() -> None:
    assert ask(http_status=401, headers={"x-id": "1", "retry-after": "3"}).retry_after_seconds == 3


def test_without_a_vendor_the_best_fit_is_said() -> None:
    assert ask(None, close_reason="no such key").vendor == "one"
    assert fits(close_reason="no such key") == ["one"]
    assert fits(http_status=401, headers={"x-id": "1"}) == ["one"]
    assert fits(frames=('{"type":"Two","code":"4001"}',)) == ["one"]
    assert fits(close_code=4005) == ["other"]


def test_without_a_vendor_what_all_fits_share_is_said() -> None:
    got = ask(None, close_code=4001)
    assert (got.vendor, got.endpoint, got.code, got.category) == (None, None, "unclassified", "unclassified")
    assert (got.owner, got.retry) == ("operator", "after_fix")
    assert fits(close_code=4001) == ["one", "other"]
    assert ask(None, close_code=1000).code == "normal"


def test_without_a_vendor_and_without_a_fit_nothing_is_named() -> None:
    got = ask(None, close_code=4999)
    assert (got.vendor, got.code, got.owner) == (None, "unclassified", "unknown")
    assert fits(close_code=4999) == []


def test_an_unknown_vendor_is_told_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no vendor 'x'; there are one, other"):
        ask("x")


def test_no_key_comes_out() -> None:
    key = "0123456789abcdef0123456789abcdef"
    got = ask(frames=(f'{{"type":"Error","code":"token={key}","text":"bad token: {key}"}}',), close_reason=f"?api_key={key}")
    assert key not in str(got.as_dict())


TEXTS = st.text() | st.sampled_from(['{"type":"Error","code":1}', '{"type":"Sum","seconds":"x"}', '{"type":"Hello","id":[]}', "[", "{}"])


@given(st.sampled_from([None, "one", "other"]), st.none() | st.text(), st.none() | st.integers(), st.none() | st.text(), st.lists(TEXTS),
       st.none() | st.integers(), st.none() | st.text(), st.sampled_from([None, *Side]))
def test_nothing_raises(vendor: str | None, path: str | None, status: int | None, body: str | None, frames: list[str],
                        code: int | None, reason: str | None, side: Side | None) -> None:
    got = ask(vendor, path=path, http_status=status, body=body, frames=tuple(frames), close_code=code, close_reason=reason, ended_by=side)
    assert got.code
