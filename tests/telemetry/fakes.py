"""Small profiles and sessions for the tests of telemetry."""

from __future__ import annotations

from typing import Any

from proxy.core.profile import Profile
from proxy.core.report import LatencyReport, Report
from proxy.core.rules import Common
from proxy.core.tally import AudioSeconds, Traffic
from proxy.core.verdict import Category, Inspection, Outcome, Owner, Phase, Retry, Side, Verdict


def rule(identity: str, code: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "code": code, "category": "auth", "hint": "h", "when": {"close_code": 4000}, "examples": [{"close_code": 4000}],
            **more}


RULES = (
    rule("bad-key", "INVALID_AUTH", when={"http_status": 401}, examples=[{"http_status": 401}]),
    rule("late", "NET-0001", category="idle_timeout", owner="operator", when={"close_code": 1011, "endpoint": "v2"}),
    rule("both", "BOTH", when=[{"close_code": 1}, {"http_status": 400}], examples=[{"close_code": 1}, {"http_status": 400}]),
    rule("fine", "normal", category="normal", outcome="ok"),
    rule("token", "TOKEN", when={"phase": "session_token", "http_status": 401}, examples=[{"phase": "session_token", "http_status": 401}]),
    {"id": "unclear", "one_of": ["bad-key", "late"], "when": {"close_code": 1008}, "examples": [{"close_code": 1008}]},
)


def profile(vendor: str = "acme", endpoints: tuple[str, ...] = ("v1", "v2"), rules: tuple[dict[str, Any], ...] = RULES,
            plain: bool = False) -> Profile:
    """`plain`: with a route for plain HTTP."""
    http = {"path": "/token", "name": "token", "kind": "http", "phase": "session_token", "upstream": "https://api.example"}
    endpoint = {"audio": {"encoding": {}, "sample_rate": {}, "formats": {}}, "ready": "handshake",
                "server": {"kinds": {"Warning": {"role": "warning"}, "Error": {"role": "error"}}}}
    return Profile.model_validate({
        "vendor": vendor, "title": vendor,
        "routes": [{"path": "/", "name": "all", "endpoint": endpoints[0], "upstream": "https://api.example"}, *([http] if plain else [])],
        "endpoints": dict.fromkeys(endpoints, endpoint),
        "rules": rules,
    })


COMMON = Common.model_validate({"rules": [
    rule("eof", "transport_eof", category="network", when={"transport": "eof"}, examples=[{"transport": "eof"}]),
]})


class FakeSession:
    """What a ledger reads of a session, as plain attributes."""

    def __init__(self, listener: str = "main", vendor: str = "acme", endpoint: str = "v1") -> None:
        self.listener, self.vendor, self.endpoint = listener, vendor, endpoint
        self.to_vendor, self.to_client, self.audio = Traffic(), Traffic(), AudioSeconds()
        self.lead_seconds = self.undelivered_seconds = self.held_seconds = 0.0
        self.buffered = (0, 0)


def report(outcome: Outcome = Outcome.OK, seconds: float = 12.0, inspection: Inspection = Inspection.FULL) -> Report:
    """Of a session that went well, or that failed by the rule `bad-key`."""
    verdict = Verdict(vendor="acme", endpoint="v1", outcome=outcome, code="normal", category=Category.NORMAL, owner=Owner.NONE,
                      retry=Retry.NEVER, initiated_by=Side.CLIENT, ended_by=Side.VENDOR)
    if outcome is not Outcome.OK:
        verdict.phase, verdict.code, verdict.category = Phase.WEBSOCKET_CONNECT, "INVALID_AUTH", Category.AUTH
        verdict.owner, verdict.retry, verdict.initiated_by = Owner.OPERATOR, Retry.AFTER_FIX, Side.VENDOR
    return Report(session_id="7f9c24e8-3b12-4a5d-9c11-0a8e5a0f1b22", listener="main", started_at="2026-01-01T00:00:00.000Z",
                  ended_at="2026-01-01T00:00:12.000Z", duration_seconds=seconds, verdict=verdict, inspection=inspection,
                  latency=LatencyReport(ready_seconds=0.2))
