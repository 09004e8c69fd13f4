"""Routes, and what a request declares."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.audio import UNTIMED, AudioFormat
from proxy.core.profile import Declared, Profile
from proxy.core.vendor import QUERY_FIELDS, Request, Vendor, parse_query

from .playbook import COMMON, PROFILE, VENDOR


@pytest.mark.parametrize(("path", "name"), [
    ("/v1/listen", "one"), ("/v1/listen?model=nova", "one"), ("/v1/listen/", "one"), ("/v1/listen/x", "one"), ("/v1/listen/x/../?q", None),
    ("/v1/listener", None), ("/v1/liste", None), ("/v1", None), ("/", None), ("", None), ("v1/listen", None), ("/V1/listen", None),
    ("http://acme.test/v1/listen", None), ("*", None), ("//v1/listen", None), ("/v2/listen?x=/v1/listen", "two"), ("/v3", "three"),
    ("/v1/listen?back=../..", "one"), ("/v1/listen/a..b", "one"), ("/v1/listen/...", "one"), ("/v1/listen%20x", None),
])
def test_a_route_is_a_prefix_of_whole_segments(path: str, name: str | None) -> None:
    route = VENDOR.route(path)
    assert (route.name if route else None) == name


@pytest.mark.parametrize("path", [
    "/v1/listen/..", "/v1/listen/../../admin", "/v1/./listen", "/v3/%2e%2e/v1", "/v3/%2E%2e%2Fadmin", "/v3/.%2e/x", "/v3/%2e",
    "/v3/a%5c..%5cb", "/v3/a\\b", "/v3/%5C", "/v3/..%2fadmin", "/v3/x/%2e%2e",
])
def test_a_path_that_hides_its_way_has_no_route(path: str) -> None:
    assert VENDOR.route(path) is None


def test_the_longest_prefix_wins_and_the_root_takes_what_is_left() -> None:
    routes = [{"path": path, "name": name, "endpoint": "bare", "upstream": "https://acme.test"}
              for path, name in (("/", "rest"), ("/v1", "short"), ("/v1/listen/", "long"))]
    vendor = Vendor(Profile.model_validate(PROFILE.model_dump(exclude_unset=True) | {"routes": routes}), COMMON)

    def name(path: str) -> str | None:
        route = vendor.route(path)
        return route.name if route else None

    assert [name(p) for p in ("/v1/listen/x", "/v1/listen/", "/v1/listener", "/v1", "/v2", "/")] == [
        "long", "long", "short", "short", "rest", "rest"]
    assert vendor.name == "acme"
    assert set(vendor.endpoints) == {"v1", "v2", "bare"}


def test_upgrades_and_other_requests_have_routes_of_their_own() -> None:
    routes = [{"path": "/v1/listen", "name": "socket", "endpoint": "bare", "upstream": "https://acme.test"},
              {"path": "/v1", "name": "rest", "kind": "http", "upstream": "https://acme.test"},
              {"path": "/v1/auth/grant", "name": "grant", "kind": "http", "phase": "session_token", "upstream": "https://acme.test"}]
    vendor = Vendor(Profile.model_validate(PROFILE.model_dump(exclude_unset=True) | {"routes": routes}), COMMON)

    def names(path: str) -> tuple[str | None, str | None]:
        upgrade, plain = vendor.route(path), vendor.route(path, "http")
        return upgrade.name if upgrade else None, plain.name if plain else None

    assert [names(path) for path in ("/v1/listen", "/v1/auth/grant/x", "/v1/x", "/v2")] == [
        ("socket", "rest"), (None, "grant"), (None, "rest"), (None, None)]
    assert vendor.route("/v1/../x", "http") is None


pieces = st.lists(st.sampled_from(["/", ".", "..", "%2e", "%2E", "%2f", "%5C", "\\", "v1", "a", "?", "%252e"]), max_size=10)


@given(pieces)
def test_a_route_never_leads_out_of_its_prefix(pieces: list[str]) -> None:
    path = "/v3/" + "".join(pieces)
    route = VENDOR.route(path)
    if route is not None:
        asked = unquote(path.partition("?")[0]).replace("\\", "/")
        assert posixpath.normpath(asked).startswith(route.path)


def test_a_query_is_its_pairs() -> None:
    assert parse_query("a=1&b=&a=2&c=x%20y+z&d") == [("a", "1"), ("b", ""), ("a", "2"), ("c", "x y z"), ("d", "")]
    assert parse_query("") == []
    assert parse_query("&".join(["a=1"] * (QUERY_FIELDS + 1))) == []
    assert parse_query("x=%ff") == [("x", "\ufffd")]


def test_a_request_is_its_path_query_and_headers() -> None:
    request = Request.of("/v1/listen?a=1?b", {"x": "y"})
    assert (request.path, request.query, request.headers) == ("/v1/listen", {"a": "1?b"}, {"x": "y"})
    assert request.repeated == ()


def test_of_several_values_the_first_counts_and_all_are_known() -> None:
    request = Request.of("/v1/listen?a=1&b=2&a=1&a=3", {"x": "y"}, [("x", "z")])
    assert (request.query, request.headers) == ({"a": "1", "b": "2"}, {"x": "y"})
    assert request.repeated == (("x", "z"), ("a", "3"))


@pytest.mark.parametrize(("where", "value"), [
    (Declared(query="a", header="X-A", default="c"), "1"),
    (Declared(query="z", header="X-A", default="c"), "2"),
    (Declared(query="z", header="X-Z", default="c"), "c"),
    (Declared(header="x-a"), "2"),
    (Declared(query="e", default="c"), ""),
    (Declared(), None),
])
def test_query_beats_header_beats_default(where: Declared, value: str | None) -> None:
    assert Request.of("/?a=1&e=", {"x-a": "2"}).declared(where) == value


@pytest.mark.parametrize(("endpoint", "path", "headers", "declared"), [
    ("v1", "/?encoding=linear16&rate=8000", {}, AudioFormat("pcm_s16le", 8000)),
    ("v1", "/?encoding=LINEAR16&rate=8000&channels=2", {}, AudioFormat("pcm_s16le", 8000, 2)),
    ("v1", "/?encoding=mulaw", {"x-rate": "8000"}, AudioFormat("mulaw", 8000)),
    ("v1", "/?encoding=linear16&rate=8000&channels=0", {}, AudioFormat("pcm_s16le", 8000, 1)),
    ("v1", "/?encoding=linear16&rate=8000&channels=many", {}, AudioFormat("pcm_s16le", 8000, 1)),
    ("v1", "/?rate=8000", {}, UNTIMED),  # no encoding: the vendor looks for a container
    ("v1", "/?encoding=&rate=8000", {}, UNTIMED),
    ("v1", "/?encoding=linear16", {}, UNTIMED),
    ("v1", "/?encoding=linear16&rate=0", {}, UNTIMED),
    ("v1", "/?encoding=linear16&rate=-1", {}, UNTIMED),
    ("v1", "/?encoding=linear16&rate=16e3", {}, UNTIMED),
    ("v1", "/?encoding=linear16&rate=99999999", {}, UNTIMED),
    ("v1", "/?encoding=linear16&rate=%D9%A1%D9%A6", {}, UNTIMED),
    ("v1", "/?encoding=opus&rate=48000", {}, UNTIMED),
    ("v1", "/?encoding=speex&rate=16000", {}, UNTIMED),
    ("v2", "/", {}, AudioFormat("pcm_s16le", 16000)),
    ("v2", "/?rate=8000", {}, AudioFormat("pcm_s16le", 8000)),
    ("bare", "/", {}, UNTIMED),
])
def test_declared_audio(endpoint: str, path: str, headers: dict[str, str], declared: AudioFormat) -> None:
    assert VENDOR.endpoints[endpoint].audio_format(Request.of(path, headers)) == declared


def test_an_endpoint_knows_whether_a_client_can_say_that_it_is_done() -> None:
    assert {name: endpoint.has_end for name, endpoint in VENDOR.endpoints.items()} == {"v1": True, "v2": True, "bare": False}
