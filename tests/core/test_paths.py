"""Which paths lie below which, and every disguise of a step up that some server sees through."""

from __future__ import annotations

import posixpath
import unicodedata
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.paths import hides, is_under, path_of


@pytest.mark.parametrize(("path", "prefix", "under"), [
    ("/v1", "/v1", True), ("/v1/", "/v1", True), ("/v1/x", "/v1", True), ("/v1/x", "/v1/", True), ("/v1x", "/v1", False),
    ("/v", "/v1", False), ("/v1;a=b/x", "/v1", False), ("/V1", "/v1", False), ("/x", "/", True), ("//v1", "/v1", False), ("", "/", False),
    ("/v1%2fx", "/v1", False),
])
def test_a_path_below_another(path: str, prefix: str, under: bool) -> None:
    assert is_under(path, prefix) is under


def test_the_path_of_a_target() -> None:
    assert [path_of(target) for target in ("/a", "/a?b?c", "/a?../b", "?")] == ["/a", "/a", "/a", ""]


UP = (
    "..", ".", "%2e%2e", ".%2E", "%2E", "..%2fx", "%2e%2e%2fx", "..\\x", "..%5cx", "a\\b", "%5C",
    "%252e%252e", "..%252fx", "%25252e.", "..%255cx", "%2525252525252e",  # escaped again and again
    "..;", "..;a=b", "%2e%2e;", "..%3b", "..%253Ba", ".;x", "..#", "..#x", "..%23", "..%3fx", "%2e%2e%3f",  # Tomcat and its kin
    "..%00", "..%00.json", "..%09", "%20..", "..%20", ".%0a.", ".%0d%0a.", "%e2%80%8b..", "..%c2%a0",  # what cannot be seen
    "%c0%ae%c0%ae", "%c0%ae", "%e0%80%ae%e0%80%ae", "%c0%af", "..%c0%afx", "%ff",  # no UTF-8
    "\uff0e\uff0e", "%ef%bc%8e%ef%bc%8e", "%e2%80%a5", "\u2025", "..%ef%bc%8fx", "..%ef%bc%bcx", "%ef%b9%92.",  # one character for another
    "%u002e%u002e", "%", "%2", "%zz", "100%",  # no escapes
)


@pytest.mark.parametrize("segment", UP)
@pytest.mark.parametrize("around", ["/v1/{}", "/v1/{}/x", "/v1/a/{}/{}/x", "/{}/v1"])
def test_a_step_up_in_disguise(segment: str, around: str) -> None:
    assert hides(around.replace("{}", segment))


@pytest.mark.parametrize("path", [
    "/", "", "*", "/v1/listen", "/v1//x", "/v1/x/", "/v1/a..b", "/v1/...", "/v1/..a", "/v1/.well-known", "/v1/%61bc", "/v1/a%20b",
    "/v1/a%2fb", "/v1/caf%c3%a9", "/v1/100%25", "/v1/a%252fb", "/v1/a;b=..", "/v1/a%3f..", "/v1/projects/7f3a-11/keys", "/v1/speak@2:go",
    "/v1/%E2%82%AC", "/v1/a,b'(c)!$&*+=~_-", "/v1/x#..",
])
def test_a_path_that_is_what_it_seems(path: str) -> None:
    assert not hides(path)


pieces = st.lists(st.sampled_from(["/", ".", "..", "a", "%2e", "%2F", "%5c", "\\", ";", "#", "%3b", "%00", "%25", "2e", "\uff0e", "%",
                                   "v1"]), max_size=10).map("".join)


def as_read(path: str, turns: int, cut: str) -> str:
    """As a server reads it that unescapes so often, takes one character for another, and ends segments at `cut`."""
    for _ in range(turns):
        path = unquote(path)
    path = unicodedata.normalize("NFKC", path).replace("\\", "/").replace("\0", "")
    return posixpath.normpath("/".join(segment.partition(cut)[0] for segment in path.split("/")))


@given(pieces, st.integers(0, 3), st.sampled_from(";#?"))
def test_what_does_not_hide_leads_nobody_out(path: str, turns: int, cut: str) -> None:
    path = f"/v1/{path}"
    if not hides(path):
        assert is_under(as_read(path, turns, cut), "/v1")


@given(st.text(max_size=60), st.integers(0, 6))
def test_any_text_is_looked_at(text: str, turns: int) -> None:
    for _ in range(turns):
        text = quote(text)
    hides(text)
    assert hides(f"/v1/{text}/../x")
