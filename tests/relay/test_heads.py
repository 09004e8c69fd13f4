"""Heads as bytes, without a socket. How they go through a relay is in test_call.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.relay.heads import (
    BadHeadError,
    lower,
    origin_form,
    plain_answer_head,
    plain_head,
    refusal_head,
    repeated,
    request_head,
    switching_head,
    upgrades,
)
from tests.relay.peers import ACCEPT, KEY

HOST = b"api.vendor.test"


def test_a_request() -> None:
    headers = [(b"HOST", b"relay"), (b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), (b"x-A", b"caf\xe9"), (b"X-a", b"")]
    assert request_head("/v1/listen?x=%2F", headers, HOST) == (
        b"GET /v1/listen?x=%2F HTTP/1.1\r\nHOST: api.vendor.test\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nx-A: caf\xe9\r\nX-a: \r\n\r\n")


def test_what_speaks_of_one_connection() -> None:
    headers = [(name, b"x") for name in (b"Keep-Alive", b"TE", b"Trailer", b"Transfer-Encoding", b"Expect", b"Proxy-Authorization",
                                         b"Proxy-Connection", b"Proxy-Authenticate", b"X-Mine")]
    headers += [(b"Connection", b"Upgrade, x-mine"), (b"connection", b"X-Other,,"), (b"X-Other", b"x"), (b"X-Kept", b"x")]
    assert request_head("/", headers, HOST) == (
        b"GET / HTTP/1.1\r\nConnection: Upgrade, x-mine\r\nconnection: X-Other,,\r\nX-Kept: x\r\n\r\n")


def test_nobody_can_nominate_host_or_upgrade_away() -> None:
    headers = [(b"Connection", b"Upgrade, Host, Close"), (b"Host", b"x"), (b"Upgrade", b"websocket"), (b"Close", b"1")]
    assert request_head("/", headers, HOST).count(b"\r\n") == 6


@pytest.mark.parametrize("target", ["", "v1", "http://evil.test/", "*", "@evil.test", "/a b", "/a\r\nX: y", "/a\nb", "/a\0b"])
def test_targets_that_are_no_paths(target: str) -> None:
    with pytest.raises(BadHeadError) as caught:
        request_head(target, [], HOST)
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("header", [(b"X", b"a\r\nY: b"), (b"X", b"a\nb"), (b"X\r\nY", b"a"), (b"X", b"a\0")])
def test_headers_that_would_break_the_head(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(BadHeadError):
        request_head("/", [header], HOST)


@given(st.text(), st.lists(st.tuples(st.binary(), st.binary())))
def test_a_head_is_one_head_or_none(target: str, headers: list[tuple[bytes, bytes]]) -> None:
    try:
        head = request_head(target, headers, HOST)
    except (BadHeadError, UnicodeEncodeError):
        return
    assert head.endswith(b"\r\n\r\n")
    assert head.count(b"\r\n") <= len(headers) + 2
    assert b"\n" not in head.replace(b"\r\n", b"")


def test_a_101_is_verbatim() -> None:
    assert switching_head("", [(b"uPGRADE", b"websocket"), (b"Keep-Alive", b"x")]) == (
        b"HTTP/1.1 101 \r\nuPGRADE: websocket\r\nKeep-Alive: x\r\n\r\n")


def test_a_refusal_ends_the_connection() -> None:
    headers = [(b"Connection", b"keep-alive, X-Hop"), (b"Keep-Alive", b"5"), (b"X-Hop", b"1"), (b"Transfer-Encoding", b"chunked"),
               (b"Proxy-Authenticate", b"Basic"), (b"dg-error", b"caf\xe9"), (b"Content-Encoding", b"gzip")]
    assert refusal_head(407, "Who are\udce9 you", headers) == (
        b"HTTP/1.1 407 Who are\xe9 you\r\nProxy-Authenticate: Basic\r\ndg-error: caf\xe9\r\n"
        b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n")


def test_headers_for_looking_at() -> None:
    raw = [(b"X-A", b"1"), (b"x-a", b"2"), (b"dg-error", b"caf\xe9"), (b"y", "é".encode())]
    assert lower(raw) == {"x-a": "1", "dg-error": "café", "y": "é"}
    assert repeated(raw) == [("x-a", "2")]


@pytest.mark.parametrize(("status", "changed", "key", "expected"), [
    (101, {}, KEY.decode(), True),
    (101, {}, f" {KEY.decode()} ", True),
    (101, {"upgrade": "WebSocket"}, KEY.decode(), True),
    (101, {}, None, True),  # without a key there is nothing to compare with; the vendor has accepted it
    (200, {}, KEY.decode(), False),
    (101, {"upgrade": "h2c"}, KEY.decode(), False),
    (101, {"sec-websocket-accept": "x"}, KEY.decode(), False),
    (101, {}, "other", False),
    (101, {}, "\u20ac", False),
])
def test_a_good_handshake(status: int, changed: dict[str, str], key: str | None, expected: bool) -> None:
    headers = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": ACCEPT.decode(), **changed}
    assert upgrades(status, headers, key) is expected


def test_a_request_that_is_no_upgrade() -> None:
    headers = [(b"host", b"relay"), (b"Connection", b"close, transfer-encoding, content-length, X-Mine"), (b"X-Mine", b"1"),
               (b"Upgrade", b"h2c"), (b"Expect", b"100-continue"), (b"Transfer-Encoding", b"Chunked"), (b"X-A", b"caf\xe9")]
    assert plain_head("POST", "/a?b", headers, HOST) == (
        b"POST /a?b HTTP/1.1\r\nhost: api.vendor.test\r\nTransfer-Encoding: Chunked\r\nX-A: caf\xe9\r\n\r\n")
    assert plain_head("GET", "/", [(b"X", b"1")], HOST) == b"GET / HTTP/1.1\r\nHost: api.vendor.test\r\nX: 1\r\n\r\n"


@pytest.mark.parametrize("headers", [
    [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")],
    [(b"Content-Length", b"1"), (b"content-length", b"1")],
    [(b"Transfer-Encoding", b"gzip, chunked")],
    [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
    [(b"Transfer-Encoding", b"")],
    [(b"X", b"a\r\nb")],
])
def test_what_others_may_read_differently(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(BadHeadError):
        plain_head("POST", "/", headers, HOST)


@pytest.mark.parametrize(("chunked", "closes", "kept"), [
    (True, False, b"Transfer-Encoding: chunked\r\nX: 1\r\n"),
    (False, False, b"Content-Length: 5\r\nX: 1\r\n"),
    (False, True, b"Content-Length: 5\r\nX: 1\r\nConnection: close\r\n"),
])
def test_an_answer_to_it(chunked: bool, closes: bool, kept: bytes) -> None:
    headers = [(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"5"), (b"Upgrade", b"h2"), (b"Connection", b"X-Mine, Keep-Alive"),
               (b"X-Mine", b"1"), (b"Keep-Alive", b"5"), (b"X", b"1")]
    assert plain_answer_head(200, "Fine", headers, chunked=chunked, closes=closes) == b"HTTP/1.1 200 Fine\r\n" + kept + b"\r\n"


def test_an_answer_that_must_not_have_a_length() -> None:
    headers = [(b"Content-Length", b"5"), (b"X", b"1")]
    assert plain_answer_head(204, "None", headers, chunked=False, closes=False) == b"HTTP/1.1 204 None\r\nX: 1\r\n\r\n"
    assert b"Content-Length: 5" in plain_answer_head(304, "Same", headers, chunked=False, closes=False)


@pytest.mark.parametrize(("target", "form"), [
    ("/a?b=http://x/y", "/a?b=http://x/y"),
    ("http://host.test:8080/a/b?c=%2F#d", "/a/b?c=%2F#d"),
    ("HTTPS://host.test", "/"),
    ("http://user@[::1]?a=b", "/?a=b"),
    ("http://host.test//a", "//a"),
    ("/http://host.test/a", "/http://host.test/a"),
    ("ftp://host.test/a", "ftp://host.test/a"),
    ("*", "*"),
])
def test_a_target_as_for_a_proxy(target: str, form: str) -> None:
    assert origin_form(target) == form
