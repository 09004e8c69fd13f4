"""A small profile to hang rules on."""

from __future__ import annotations

from typing import Any

from proxy.core.profile import Profile
from proxy.core.rules import Common

ENDPOINT: dict[str, Any] = {"audio": {"encoding": {}, "sample_rate": {}, "formats": {}}, "ready": "handshake"}


def profile(**parts: Any) -> Profile:
    whole: dict[str, Any] = {
        "vendor": "some",
        "title": "Some vendor",
        "routes": [{"path": "/v1", "name": "one", "endpoint": "v1", "upstream": "https://some.example"}],
        "endpoints": {"v1": ENDPOINT, "v2": ENDPOINT},
        **parts,
    }
    return Profile.model_validate(whole)


def common(*rules: dict[str, Any]) -> Common:
    return Common.model_validate({"rules": [*rules]})


def rule(name: str, when: Any, **parts: Any) -> dict[str, Any]:
    whole = {"id": name, "when": when, "examples": [{}], **parts}
    if "one_of" not in parts:
        whole = {"code": name.upper(), "category": "protocol", "hint": "Do it.", **whole}
    return whole
