"""The shape of a vendor's file: what is refused, and that it is said where."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from proxy.core.profile import Audio, Declared, Limits, Profile, schema
from proxy.core.rules import Common

from .profiles import ENDPOINT, profile

ROUTE: dict[str, Any] = {"path": "/", "name": "a", "endpoint": "v1", "upstream": "https://a"}


def refused(**parts: Any) -> str:
    with pytest.raises(ValidationError) as error:
        profile(**parts)
    return str(error.value)


def test_a_small_profile_is_taken() -> None:
    made = profile()
    assert (made.rules, made.variables, made.routes[0].kind) == ((), {}, "websocket")
    assert made.endpoints["v1"].limits == Limits()
    assert Audio(encoding=Declared(), sample_rate=Declared(), formats={}).channels.default == "1"


def test_a_route_is_of_one_of_two_kinds() -> None:
    http = {"path": "/token", "name": "token", "kind": "http", "phase": "session_token", "upstream": "https://console.{region}.some.example",
            "failed": {"path": "errors", "exists": True}}
    made = profile(routes=[ROUTE, http], variables={"region": "eu"})
    assert [(route.kind, route.endpoint, route.phase) for route in made.routes] == [
        ("websocket", "v1", "http_request"), ("http", None, "session_token"),
    ]


@pytest.mark.parametrize(("parts", "told"), [
    ({"colour": "red"}, "colour"),
    ({"vendor": "No Slug"}, "vendor"),
    ({"port": 0}, "port"),
    ({"routes": []}, "routes"),
    ({"routes": [ROUTE | {"endpoint": "v9"}]}, "routes.0.endpoint: no endpoint 'v9'"),
    ({"routes": [ROUTE | {"upstream": "https://a/b"}]}, "upstream"),
    ({"routes": [ROUTE | {"path": "a"}]}, "path"),
    ({"routes": [ROUTE | {"endpoint": None}]}, "a websocket route needs an endpoint"),
    ({"routes": [ROUTE | {"kind": "http"}]}, "an http route has no endpoint"),
    ({"routes": [ROUTE | {"phase": "websocket_connect"}]}, "phase"),
    ({"endpoints": {}}, "endpoints"),
    ({"endpoints": {"v1": ENDPOINT | {"limits": {"sessions": 0}}}}, "sessions"),
    ({"endpoints": {"v1": ENDPOINT | {"limits": {"chunk_seconds": [1]}}}}, "chunk_seconds"),
    ({"endpoints": {"v1": ENDPOINT | {"idle_reset": "never"}}}, "idle_reset"),
    ({"endpoints": {"v1": ENDPOINT | {"response_ids": {"session": "x"}}}}, "response_ids"),
    ({"variables": {"Region": "eu"}}, "variables"),
    ({"no_information": "..."}, "a phrase without a word"),
])
def test_what_does_not_hang_together_is_refused_and_told_where(parts: dict[str, Any], told: str) -> None:
    assert told in refused(**parts)


@pytest.mark.parametrize("model", [Profile, Common])
def test_there_is_a_schema_for_editors(model: type[Profile] | type[Common]) -> None:
    made = schema(model)
    assert made["$schema"].startswith("https://json-schema.org/")
    assert made["additionalProperties"] is False
