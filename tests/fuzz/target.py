"""One call from any bytes, with any packaged vendor, and what must hold after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import orjson

from proxy.core.vendor import Vendor
from proxy.core.verdict import Category, Inspection, Outcome, Owner, Retry, Side
from proxy.settings import load_all
from tests.fuzz.conversation import ask, converse

_KNOWN: Final = load_all()
VENDORS: Final = {name: Vendor(profile, _KNOWN.common) for name, profile in _KNOWN.profiles.items()}


def look(vendor: str, data: bytes) -> None:
    """Raises whatever looking at the call, or at the plain request, raises, and AssertionError where its report is not one."""
    said = ask(VENDORS[vendor], data)
    assert said is None or (said.code and said.hint)
    session, report = converse(VENDORS[vendor], data)
    assert not session.failed  # what raises inside makes the session blind, so that no call ends for it
    verdict = report.verdict
    for value, of in ((verdict.outcome, Outcome), (verdict.category, Category), (verdict.owner, Owner), (verdict.retry, Retry),
                      (verdict.ended_by, Side), (verdict.initiated_by, Side), (report.inspection, Inspection)):
        assert isinstance(value, of)
    assert len(orjson.dumps(report.as_dict())) < 20_000


def look_at_any(data: bytes) -> None:
    """The first byte says which vendor it is."""
    look(list(VENDORS)[data[0] % len(VENDORS)] if data else next(iter(VENDORS)), data[1:])


def beginnings() -> Iterator[bytes]:
    """Some calls, always the same, in which much happens."""
    for number in range(600):
        yield bytes((number * 7 + at * (2 * number + 1) ** 2 + at * at // 3) % 256 for at in range(120))
