"""The packaged profiles, and a short way to ask what a claim means."""

from __future__ import annotations

from typing import Any, Final

from proxy.core.explain import Given, explain
from proxy.core.profile import Audio, Declared, Endpoint, Profile, Route
from proxy.core.rules import Example
from proxy.core.verdict import Verdict
from proxy.settings.profiles import load_all

CATALOGUE: Final = load_all()
PROFILES: Final = CATALOGUE.profiles
COMMON: Final = CATALOGUE.common

NOBODY: Final = Profile(
    vendor="nobody",
    title="A vendor without rules",
    routes=(Route(path="/", name="all", endpoint="only", upstream="https://vendor.example"),),
    endpoints={"only": Endpoint(audio=Audio(encoding=Declared(), sample_rate=Declared(), formats={}), ready="handshake")},
)


def verdict(vendor: str | None = None, **facts: Any) -> Verdict:
    return explain(Given(vendor=vendor, **facts), {**PROFILES, "nobody": NOBODY} if vendor else PROFILES, COMMON)[0]


def vendors(**facts: Any) -> list[str]:
    return explain(Given(**facts), PROFILES, COMMON)[1]


def of_example(vendor: str, example: Example) -> Verdict:
    return verdict(vendor, **example.model_dump(exclude={"vendor", "source"}))


def meaning(vendor: str | None = None, **facts: Any) -> tuple[str, str, str]:
    """Category, owner, retry: what a verdict is judged by."""
    got = verdict(vendor, **facts)
    return got.category, got.owner, got.retry
