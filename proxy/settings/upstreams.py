"""Where a profile's routes lead, with its variables filled in.

Owns the braces in upstreams: `https://api.{region}.example.com` with `region` from the profile's defaults or from a listener.
A value is a part of a host's name and nothing more, so that no setting can lead a call elsewhere by the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from proxy.core.profile import Profile
from proxy.settings.document import Keys
from proxy.settings.problems import instead, shown
from proxy.settings.values import origin

_BRACED: Final = re.compile(r"\{([^{}]*)\}")
_VALUE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,100}[A-Za-z0-9])?")


def host_part(value: str) -> str:
    """A value for a variable. Raises ValueError for what is no part of a host's name."""
    if not _VALUE.fullmatch(value) or ".." in value:
        raise ValueError(f"should be a part of a host's name, such as us-west, not {shown(value)}")
    return value


def upstreams(profile: Profile, variables: Mapping[str, str]) -> dict[str, str]:
    """Route name to origin, for a profile without problems. `variables` are the listener's; the profile has the defaults."""
    values = {**profile.variables, **variables}
    return {route.name: origin(_BRACED.sub(lambda braced: values[braced[1]], route.upstream)) for route in profile.routes}


def problems_of(profile: Profile) -> Iterator[tuple[Keys, str]]:
    """What is wrong with a profile's routes and variables: where, and in words."""
    used: set[str] = set()
    for name, value in profile.variables.items():
        try:
            host_part(value)
        except ValueError as error:
            yield ("variables", name), str(error)
    for number, route in enumerate(profile.routes):
        names = _BRACED.findall(route.upstream)
        used.update(names)
        unknown = [name for name in names if name not in profile.variables]
        for name in unknown:
            yield ("routes", number, "upstream"), f"no variable {shown(name)}; {instead(name, list(profile.variables))}"
        if not unknown:
            try:
                origin(_BRACED.sub("x", route.upstream))
            except ValueError as error:
                yield ("routes", number, "upstream"), str(error)
    for name in profile.variables.keys() - used:
        yield ("variables", name), "stands in no upstream"
    yield from _twice(profile)


def _twice(profile: Profile) -> Iterator[tuple[Keys, str]]:
    """Settings name a route by its name, requests find it by kind and path: each must be one."""
    names: set[str] = set()
    paths: set[tuple[str, str]] = set()
    for number, route in enumerate(profile.routes):
        if route.name in names:
            yield ("routes", number, "name"), f"a second route with the name {route.name!r}"
        if (route.kind, route.path) in paths:
            yield ("routes", number, "path"), f"a second {route.kind} route for {route.path}"
        names.add(route.name)
        paths.add((route.kind, route.path))
