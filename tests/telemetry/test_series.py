"""However many sessions, and whatever is said in them: series stay few, and their labels in closed sets."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from proxy.core.profile import Profile
from proxy.core.reporting import report_of
from proxy.core.rules import Common
from proxy.core.session import Session
from proxy.core.vendor import Request, Vendor
from proxy.core.verdict import Side, Transport
from proxy.telemetry.ledger import Ledger
from proxy.telemetry.metrics import Metrics
from tests.core.playbook import BINARY, CLOSE, TEXT, frame

CONFIG: Final = Path(__file__).parents[2] / "config"
VENDORS: Final = ("assemblyai", "deepgram", "elsa", "nextevi", "spatius")
SESSIONS: Final = 10_000 // len(VENDORS)
MOST: Final = 600
"""Series of one listener: 400 at rest, and the ends and errors that this many sessions, all of them odd, can come to."""
CODES: Final = (410, 5004, 1000, 1001, 1006, 1008, 1011, 1012, 1013, 3005, 3008, 4000, 4001, 4029, 4999)
WORDS: Final = ("no audio", "timeout", "unauthorized", "balance", "rate limit", "concurrent sessions", "internal", "invalid", "credits")


def read(name: str) -> Any:
    return yaml.safe_load((CONFIG / name).read_text())


class Odd:
    """Sessions of one vendor, no two alike."""

    def __init__(self, name: str) -> None:
        self.profile, common = Profile.model_validate(read(f"vendors/{name}.yaml")), Common.model_validate(read("common.yaml"))
        self.vendor, self.name = Vendor(self.profile, common), name
        self.book = Ledger({name: self.profile}, common, strict=True)
        self.metrics = Metrics(self.book, "1.0")
        self.chance = random.Random(7)

    def series(self) -> set[str]:
        lines = self.metrics.render("application/openmetrics-text")[0].decode().splitlines()
        return {line.split("} ")[0] for line in lines if line.startswith("earwitness_") and f'="{self.name}"' in line}

    def _id(self) -> str:
        return f"{self.chance.getrandbits(128):032x}"

    def session(self) -> None:
        chance, now = self.chance, 100.0
        route = chance.choice([route for route in self.profile.routes if route.kind == "websocket"])
        path = chance.choice((f"{route.path}/{self._id()}", f"{route.path}?id={self._id()}", f"/{self._id()}"))
        found = self.vendor.route(path)
        endpoint = self.vendor.endpoints[found.endpoint] if found and found.endpoint else None
        headers = {"traceparent": f"00-{self._id()}-{self._id()[:16]}-01", "user-agent": self._id()}
        tables = self.book.tables(self.name, self.name, endpoint.name if endpoint else "unknown")
        session = Session(self._id(), self.name, self.vendor, endpoint, Request.of(path, headers), tables, now, 1e9)
        self.book.started(session)
        reason = f"{chance.choice(WORDS)} {self._id()}"
        self._end(session, reason, now)
        for code, times in session.warnings.items():
            self.book.warned(self.name, self.name, code, times)
        for fact, _ in session.watch.news():
            self.book.noticed(self.name, self.name, fact)
        self.book.ended(session, report_of(session, now + chance.random() * 4000), session.trace.mark, now)

    def _end(self, session: Session, reason: str, now: float) -> None:
        chance = self.chance
        how = chance.randrange(5)
        if how == 0:
            session.refused(chance.randrange(400, 600), {"x-id": self._id()}, f'{{"error": "{reason}"}}'.encode(), now)
        elif how == 1:
            session.dial_failed(chance.choice(list(Transport)))
        else:
            session.opened({"x-id": self._id()}, now)
            session.from_client.feed(frame(BINARY, chance.randbytes(chance.choice((0, 5, 640))), masked=True), now)
            kind = chance.choice(("Error", self._id()))
            session.from_vendor.feed(frame(TEXT, f'{{"type": "{kind}", "message": "{reason}"}}'.encode()), now)
            closing = struct.pack("!H", chance.choice((*CODES, chance.randrange(1000, 5000)))) + reason.encode()
            session.from_vendor.feed(frame(CLOSE, closing), now) if how < 4 else session.lost(Side.VENDOR, chance.choice(list(Transport)))


@pytest.mark.parametrize("name", VENDORS)
def test_ten_thousand_odd_sessions_make_few_series(name: str) -> None:
    odd = Odd(name)
    at_rest = odd.series()
    for _ in range(SESSIONS):
        odd.session()
    after = odd.series()
    assert sum(odd.book.ended_total.values()) == SESSIONS
    assert at_rest <= after
    assert len(after) <= MOST
    assert {labels[4] for labels in odd.book.errors} <= {labels[1] for labels in odd.book.error_info}, "codes are a closed set"
    assert len(odd.metrics._exposition._series) <= MOST
    assert sum(map(len, (table.examples for table in odd.book.durations.values()))) <= MOST
