"""Addresses and origins: what is taken, and what is said of the rest. Files of certificates are tried in test_load."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from proxy.settings.values import Address, Listen, address, loopback, network, origin, prefix

FORM = "should be HOST:PORT, such as 127.0.0.1:8101 or [::1]:8101"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8101", "127.0.0.1", 8101),
        ("localhost:0", "localhost", 0),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
        ("[::1]:80", "::1", 80),
        ("a-b.example:1", "a-b.example", 1),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    parsed = address(text)
    assert (parsed.host, parsed.port, str(parsed), address(parsed)) == (host, port, text, parsed)
    assert TypeAdapter(Listen).dump_python(parsed, mode="json") == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (8101, FORM),
        (None, FORM),
        ("8101", FORM),
        ("::1:80", FORM),
        ("host:http", FORM),
        ("ho st:80", FORM),
        ("*:80", FORM),
        ("host:80/", FORM),
        (":80", "should name a host; all addresses of this machine are 0.0.0.0:80 or [::]:80"),
        ("host:65536", "should have a port from 0 to 65535"),
        ("[1.2]:80", "should have an IPv6 address in its brackets"),
    ],
)
def test_no_addresses(text: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        address(text)


def test_loopback() -> None:
    for text in ("127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"):
        assert loopback(address(text)) == text
    assert address("LOCALHOST:1").is_loopback
    for text in ("0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.com:1"):
        with pytest.raises(ValueError, match="should be a loopback address"):
            loopback(address(text))


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "localhost:80", True),
        ("127.0.0.1:80", "0.0.0.0:80", True),
        ("[::1]:80", "[::]:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("127.0.0.1:80", "127.0.0.1:81", False),
        ("0.0.0.0:80", "[::]:80", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("LocalHost:80", "127.0.0.1:80", True),
        ("[::1]:80", "[0:0:0:0:0:0:0:1]:80", True),
        ("[0::0]:80", "[::1]:80", True),
        ("A.example.com:80", "a.example.com.:80", True),
    ],
)
def test_clashes(one: str, other: str, clash: bool) -> None:
    assert address(one).clashes_with(address(other)) is address(other).clashes_with(address(one)) is clash


@pytest.mark.parametrize("host", ["a..b", ".a", "a" * 64, "a." * 127 + "a", "a-.b..", "-a"])
def test_no_hosts(host: str) -> None:
    with pytest.raises(ValueError, match="should be HOST:PORT"):
        address(f"{host}:80")
    with pytest.raises(ValueError, match="should name a host"):
        origin(f"http://{host}")


@pytest.mark.parametrize("host", ["a", "a_b.svc", "redis-0.redis", "a." * 126 + "a", "a" * 63, "api.example.com."])
def test_hosts(host: str) -> None:
    assert address(f"{host}:80").host == host
    assert origin(f"http://{host}") == f"http://{host}"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("HTTP://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("https://[::1]:9000", "https://[::1]:9000"),
    ],
)
def test_origins(text: str, url: str) -> None:
    assert origin(text) == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (5, "should be a URL, such as https://api.example.com"),
        ("ws://h", "write http:// instead of ws://"),
        ("WSS://h/v1", "write https:// instead of wss://"),
        ("api.example.com", "should be a URL that starts with http:// or https://"),
        ("ftp://h", "should be a URL that starts with http:// or https://"),
        ("https://user:hidden@h", "should have no user name or password"),
        ("https://h/v1", "should end after host and port: path and query are the client's"),
        ("https://h?a=b", "should end after host and port: path and query are the client's"),
        ("https://h#a", "should end after host and port: path and query are the client's"),
        ("https://h:99999", "should have a port from 1 to 65535 and IPv6 addresses in brackets"),
        ("https://h:x", "should have a port from 1 to 65535 and IPv6 addresses in brackets"),
        ("https://[::1", "should have a port from 1 to 65535 and IPv6 addresses in brackets"),
        ("https://h:0", "should name a host and, if need be, a port from 1 to 65535"),
        ("https://h:", "should name a host and, if need be, a port from 1 to 65535"),
        ("https://", "should name a host and, if need be, a port from 1 to 65535"),
        ("https://h h", "should name a host and, if need be, a port from 1 to 65535"),
    ],
)
def test_no_origins(text: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        origin(text)


@given(st.text() | st.text("htps:/[].0a@?#%\n ").map(lambda rest: "http://" + rest))
def test_any_text_is_an_origin_an_address_or_a_value_error(text: str) -> None:
    for parse in (origin, address):
        try:
            parsed = parse(text)
        except ValueError:
            continue
        assert parse(parsed) == parsed
        assert parsed.isascii()


def test_an_address_is_text_with_parts() -> None:
    assert Address("::1", 5) == "[::1]:5"


@pytest.mark.parametrize("text", ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8", "::1/128", "0.0.0.0/0"])
def test_networks(text: str) -> None:
    assert str(network(text)) == text
    assert str(network("192.0.2.1")) == "192.0.2.1/32"


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0", "", "10.0.0.0/8 ", 5, None, b"1234", True])
def test_no_networks(text: object) -> None:
    with pytest.raises(ValueError, match=r"^should be an address or a network without host bits, such as 10.0.0.0/8 or ::1$"):
        network(text)


def test_prefixes() -> None:
    assert [prefix(text) for text in ("/", "/v1", "/v1/listen/")] == ["/", "/v1", "/v1/listen/"]


@pytest.mark.parametrize("text", ["", "v1", "https://api.example.com/v1", "/v1/..", "/v1/%2e%2e", "/v1?a=b", "/v1/..;x", "*", 5, None])
def test_no_prefixes(text: object) -> None:
    with pytest.raises(ValueError, match=r"^should be a path that begins with a slash"):
        prefix(text)
