"""A case to hold a check against: a session, a claim's name, the moment of judgement."""

from __future__ import annotations

from typing import Any

from proxy.core.checks.finding import Case
from proxy.core.classify import Meaning
from proxy.core.profile import Profile
from proxy.core.vendor import Vendor
from proxy.core.verdict import Category, Owner, Retry
from tests.core.caller import Call
from tests.core.playbook import COMMON, PROFILE, V1


def vendor(endpoint: str = "v1", **limits: Any) -> Vendor:
    """The made-up vendor with these limits."""
    raw = PROFILE.model_dump()
    raw["endpoints"][endpoint]["limits"] |= limits
    return Vendor(Profile.model_validate(raw), COMMON)


def call(path: str = V1, **limits: Any) -> Call:
    return Call(vendor(**limits), path)


def case(of: Call, code: str = "CODE", rule: str | None = None, category: Category = Category.PROTOCOL) -> Case:
    """The vendor judges now."""
    session = of.play.session
    if session.judged_at is None:
        session.judged(of.now)
    return Case.of(session, Meaning(code, rule, category, Owner.CLIENT, Retry.AFTER_FIX), of.now)
