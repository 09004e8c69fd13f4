"""`assemblyai`, sync and async: what the application sees through the sidecar is what it sees without; and the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.core.verdict import Outcome as Ended
from proxy.core.verdict import Side
from proxy.simulators import AssemblyAISimulator
from tests import sdks
from tests.aio import run, tls_pair
from tests.e2e.rig import AUDIO, Compared, Place, compare, dial, server_tls, sidecar, upstream
from tests.sdks import RATE

SAID = ["Good morning this is.", "The harbour office."]

everywhere = pytest.mark.parametrize("place", [sdks.assemblyai_sync, sdks.assemblyai_async], ids=lambda place: place.__name__)


def same(seen: Compared, place: Place) -> bool:
    """Of the sync SDK's error the code alone: its writer thread may tell of the close before its reader has told of the frame."""
    if place is sdks.assemblyai_async:
        return seen.through == seen.direct
    through, direct = (replace(one, error=one.error and one.error.partition(":")[0]) for one in (seen.through, seen.direct))
    return through == direct


@everywhere
@pytest.mark.parametrize("wording", ["documented", "live"])
@pytest.mark.parametrize("compression", [False, True], ids=["plain", "deflate"])
def test_a_good_call(place: Place, wording: str, compression: bool) -> None:
    seen = run(compare("assemblyai", place, wording=wording, compression=compression), "uvloop")
    assert seen.through == seen.direct
    assert seen.through.transcripts == SAID
    assert seen.through.ids == {"its own"}
    assert (seen.through.error, seen.through.ended) == (None, True)
    assert bytes(seen.simulator.sessions[1].audio) == AUDIO
    report, verdict = seen.report, seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.initiated_by, verdict.ended_by) == (Ended.OK, "normal", Side.CLIENT, Side.VENDOR)
    assert verdict.connection_id == seen.simulator.sessions[1].request_id
    assert report.latency.finals == len(SAID)  # though each came twice, plain and formatted
    assert report.audio.reported_seconds == round(len(AUDIO) / RATE / 2)
    assert report.facts == []


@everywhere
@pytest.mark.parametrize(
    ("key", "options", "code", "owner"),
    [
        ("bad-key", {}, "1008_invalid_key", "operator"),
        ("stale-key-1", {}, "1008_token_expired", "operator"),
        ("key", {"fault": "1008_missing_authorization"}, "1008_missing_authorization", "operator"),
        ("key", {"fault": "1008_balance"}, "1008_balance", "operator"),
        ("key", {"fault": "1008_concurrent_sessions"}, "1008_concurrent_sessions", "operator"),
        ("key", {"fault": "3009_concurrent_sessions"}, "3009_concurrent_sessions", "operator"),
        ("key", {"fault": "3006_parameter"}, "3006_parameter", "client"),
        ("key", {"fault": "1011_internal_error"}, "1011_internal_error", "vendor"),
        ("key", {"fault": "410_deprecated"}, "410_deprecated", "operator"),
        ("key", {"fault": "3005_session_cancelled", "fault_after": 1.6}, "3005_session_cancelled", "vendor"),
        ("key", {"fault": "3008_session_expired", "fault_after": 1.6}, "3008_session_expired", "unknown"),  # far too early
        ("key", {"fault": "3006_inactivity", "fault_after": 1.6}, "3006_inactivity", "vendor"),  # it had got audio all along
        ("key", {"fault": "3007_input_duration", "fault_after": 1.6}, "3007_input_duration", "vendor"),  # no chunk was at fault
        ("key", {"fault": "close-1012", "fault_after": 1.6}, "1012_restart", "vendor"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
@pytest.mark.parametrize("wording", ["documented", "live"])
def test_a_failure_told_by_the_vendor(place: Place, key: str, options: dict[str, Any], code: str, owner: str, wording: str) -> None:
    seen = run(compare("assemblyai", place, key, wording=wording, **options), "uvloop")
    assert same(seen, place)
    assert seen.through.error is not None
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Ended.ERROR, code, owner)
    if "fault_after" in options:
        assert verdict.connection_id == seen.simulator.sessions[1].request_id


@everywhere
def test_too_fast_for_the_strict_limit(place: Place) -> None:
    """How far ahead the audio was is measured by the vendor's clock, so the numbers in its text differ."""
    seen = run(compare("assemblyai", place, strict=True), "uvloop")
    for outcome in (seen.direct, seen.through):
        assert outcome.error is not None
        assert outcome.error.startswith("3007: " if place is sdks.assemblyai_sync else "3007: Audio Transmission Rate Exceeded: Received ")
    assert (seen.report.verdict.code, seen.report.verdict.owner) == ("3007_transmission_rate", "client")


@everywhere
def test_a_gateway_s_refusal(place: Place) -> None:
    seen = run(compare("assemblyai", place, fault="http_502"), "uvloop")
    assert seen.through == seen.direct
    assert seen.through.error == "502: WebSocket handshake rejected (HTTP 502)"
    assert seen.report.verdict.outcome is Ended.REFUSED_BY_VENDOR


@everywhere
@pytest.mark.parametrize(("fault", "code"), [("eof", "transport_eof"), ("reset", "transport_reset")])
def test_a_lost_connection(place: Place, fault: str, code: str) -> None:
    """What was on the way when a reset came is lost, with or without a sidecar: only the error is the same."""
    seen = run(compare("assemblyai", place, fault=fault, fault_after=1.6), "uvloop")
    assert seen.through.error == seen.direct.error
    assert not seen.through.ended
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Ended.ERROR, code, "network")


def test_tls_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = tls_pair(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", cert)
    listener = {"vendor": "assemblyai", "upstream_tls": {"ca": cert}, "tls": {"cert": cert, "key": key}}

    async def main() -> None:
        async with (
            AssemblyAISimulator(strict=False, tls=server_tls(cert, key)) as simulator,
            sidecar(listener | {"upstream": upstream(simulator)}) as beside,
        ):
            seen = await dial(sdks.assemblyai_async, beside.url("assemblyai", "wss", "localhost"), "key")
            report = await beside.reports.next()
        assert seen.transcripts == SAID
        assert (seen.error, seen.ended) == (None, True)
        assert (report.verdict.outcome, report.verdict.initiated_by) == (Ended.OK, Side.CLIENT)

    run(main(), "uvloop")
