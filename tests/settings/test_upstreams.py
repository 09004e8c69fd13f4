"""Variables in upstreams: filled in from the profile and the listener, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.settings import ConfigError, Settings, check, load, load_profile
from proxy.settings.upstreams import host_part, upstreams
from proxy.settings.values import origin
from tests.settings.conftest import ACME

HEAD = "profiles: [acme.yaml]\nlisteners:\n- vendor: acme\n"
REGIONAL = ACME.replace("https://api.example.com", "https://api.{region}.example.{zone}").replace(
    "title: Acme", "title: Acme\nvariables: {region: us-west, zone: com}"
).replace("endpoint: v1, upstream: \"https://next", "kind: http, phase: session_token, upstream: \"https://{region}.next")


@pytest.fixture
def regional(folder: Path) -> Path:
    (folder / "acme.yaml").write_text(REGIONAL)
    return folder


def loaded(folder: Path, text: str) -> Settings:
    (folder / "settings.yaml").write_text(HEAD + text)
    return load(folder / "settings.yaml")


@pytest.mark.parametrize(
    ("text", "live", "token"),
    [
        ("", "https://api.us-west.example.com", "https://us-west.next.example.com"),
        ("  variables: {region: eu}", "https://api.eu.example.com", "https://eu.next.example.com"),
        ("  variables: {region: eu, zone: org}", "https://api.eu.example.org", "https://eu.next.example.com"),
        ("  variables:", "https://api.us-west.example.com", "https://us-west.next.example.com"),
        ("  variables: {region: eu}\n  upstream: {next: http://127.0.0.1:1}", "https://api.eu.example.com", "http://127.0.0.1:1"),
        ("  upstream: {live: http://127.0.0.1:1}", "http://127.0.0.1:1", "https://us-west.next.example.com"),
        ("  upstream: http://127.0.0.1:1", "http://127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_both_kinds_of_route_lead_where_profile_and_listener_say(regional: Path, text: str, live: str, token: str) -> None:
    (listener,) = loaded(regional, text).listeners
    assert listener.upstream == {"live": live, "next": token}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("  variables: {regoin: eu}", "4: listeners.0.variables.regoin: no such variable; did you mean 'region'?"),
        ("  variables: {land: eu}", "4: listeners.0.variables.land: no such variable; known are region, zone"),
        ("  variables: {region: 5}", "4: listeners.0.variables.region: should be text: write it in quotes"),
        ("  variables: eu", "4: listeners.0.variables: should be a map of names to values"),
        *((f"  variables: {{region: '{value}'}}",
           f"4: listeners.0.variables.region: should be a part of a host's name, such as us-west, not {value!r}")
          for value in ("eu/", "eu.", "", "a b", "a..b", "x#y", "{region}", "eu:1", "eu?", "ä")),
        ("  upstream: 'https://{region}.example.com'",
         "4: listeners.0.upstream: should name a host and, if need be, a port from 1 to 65535"),
    ],
)
def test_mistakes_of_a_listener(regional: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(regional, text)
    told = [str(problem).removeprefix(f"{regional}/settings.yaml:") for problem in caught.value.problems]
    assert told == [problem]
    assert [str(problem).removeprefix(f"{regional}/settings.yaml:") for problem in check(regional / "settings.yaml")] == told


def test_a_profile_without_variables_has_none_to_set(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"4: listeners\.0\.variables\.region: no such variable; none is known here"):
        loaded(folder, "  variables: {region: eu}")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("region: us-west", "regoin: us-west", [
            "3: variables.regoin: stands in no upstream",
            "7: routes.0.upstream: no variable 'region'; did you mean 'regoin'?",
            "8: routes.1.upstream: no variable 'region'; did you mean 'regoin'?",
        ]),
        ("region: us-west", "region: us/west", ["3: variables.region: should be a part of a host's name, such as us-west, not 'us/west'"]),
        ("region: us-west", "region: null", ["3: variables.region: should be text"]),
        ("zone: com", "zone: com, Zone: a", ["3: variables.Zone: should match ^[a-z0-9][a-z0-9_-]*$"]),
        ("api.{region}.example", "api.{region.example",
         ["7: routes.0.upstream: should name a host and, if need be, a port from 1 to 65535"]),
        ("api.{region}.example", "api.{{region}}.example",
         ["7: routes.0.upstream: should name a host and, if need be, a port from 1 to 65535"]),
        ("api.{region}.example", "api.{}.example", ["7: routes.0.upstream: no variable ''; known are region, zone"]),
        ("https://api.{region}", "https://{region}@api", ["7: routes.0.upstream: should match ^https?://[^/?#@\\s]+$"]),
        ("name: next", "name: live", ["8: routes.1.name: a second route with the name 'live'"]),
    ],
)
def test_mistakes_of_a_profile(regional: Path, old: str, new: str, told: list[str]) -> None:
    path = regional / "acme.yaml"
    path.write_text(REGIONAL.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems] == told


def test_one_path_has_one_route_of_a_kind(folder: Path) -> None:
    path = folder / "acme.yaml"
    path.write_text(ACME.replace("path: /v2", "path: /v1"))
    assert [problem.message for problem in check(path)] == ["a second websocket route for /v1"]
    path.write_text(ACME.replace("path: /v2, name: next, endpoint: v1", "path: /v1, name: next, kind: http"))
    assert check(path) == []


@given(st.text(max_size=30))
def test_a_value_leads_to_the_same_domain_or_nowhere(value: str) -> None:
    try:
        taken = host_part(value)
    except ValueError:
        return
    assert origin(f"https://{taken}.example.com") == f"https://{value}.example.com"


def test_the_packaged_profiles_lead_somewhere() -> None:
    for profile in load().catalogue.profiles.values():
        assert upstreams(profile, {}).keys() == {route.name for route in profile.routes}
