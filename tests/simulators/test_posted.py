"""Requests with a body, taken apart as they come."""

from __future__ import annotations

import pytest

from proxy.simulators.posted import Posted, posted

HEAD = b"POST /v1/token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Api-Key: k\r\n\r\n"
CHUNKED = b"PUT /a HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n"


def test_by_length() -> None:
    got = posted(HEAD + b"abcde")
    assert got == Posted("POST", b"GET /v1/token HTTP/1.1\r\nHost: x\r\nX-Api-Key: k\r\n\r\n", b"abcde")


def test_by_chunks() -> None:
    got = posted(CHUNKED + b"3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\n\r\n")
    assert got == Posted("PUT", b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"abc0123456789")


def test_without_a_body() -> None:
    assert posted(b"DELETE /a HTTP/1.1\r\nHost: x\r\n\r\n") == Posted("DELETE", b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"")


@pytest.mark.parametrize("whole", [HEAD + b"abcde", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"])
def test_not_before_it_is_whole(whole: bytes) -> None:
    assert [posted(whole[:end]) for end in range(len(whole))] == [None] * len(whole)
    assert posted(whole) is not None
