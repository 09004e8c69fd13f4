"""`deepgram-sdk`, v1 and v2, sync and async: what the application sees through the sidecar is what it sees without; and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from proxy.core.verdict import Outcome as Ended
from proxy.core.verdict import Side
from proxy.simulators import DeepgramSimulator
from tests import sdks
from tests.aio import run, tls_pair
from tests.e2e.rig import AUDIO, Place, compare, dial, server_tls, sidecar, upstream
from tests.sdks import RATE

V1: Final = (sdks.deepgram_v1, sdks.deepgram_v1_async)
V2: Final = (sdks.deepgram_v2, sdks.deepgram_v2_async)
SAID: Final = ["good morning this is", "the harbour office"]

everywhere = pytest.mark.parametrize("place", [*V1, *V2], ids=lambda place: place.__name__)
on_v1 = pytest.mark.parametrize("place", V1, ids=lambda place: place.__name__)
on_v2 = pytest.mark.parametrize("place", V2, ids=lambda place: place.__name__)


@everywhere
@pytest.mark.parametrize("wording", ["documented", "live"])
@pytest.mark.parametrize("compression", [False, True], ids=["plain", "deflate"])
def test_a_good_call(place: Place, wording: str, compression: bool) -> None:
    seen = run(compare("deepgram", place, wording=wording, compression=compression), "uvloop")
    assert seen.through == seen.direct
    assert seen.through.transcripts == SAID
    assert seen.through.ids == {"its own"}
    assert bytes(seen.simulator.sessions[1].audio) == AUDIO
    report, verdict = seen.report, seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.initiated_by, verdict.ended_by) == (Ended.OK, "normal", Side.CLIENT, Side.VENDOR)
    assert verdict.req_id == seen.simulator.sessions[1].request_id
    assert verdict.endpoint == ("v1" if place in V1 else "v2")
    assert report.latency.finals == len(SAID)
    assert report.facts == []
    if not compression:
        assert report.audio.read_seconds == pytest.approx(len(AUDIO) / RATE / 2)


@everywhere
@pytest.mark.parametrize(
    ("key", "fault", "code", "owner"),
    [
        ("bad-key", None, "INVALID_AUTH", "operator"),
        ("key", "ASR_PAYMENT_REQUIRED", "ASR_PAYMENT_REQUIRED", "operator"),
        ("key", "INSUFFICIENT_PERMISSIONS", "INSUFFICIENT_PERMISSIONS", "operator"),
        ("key", "TOO_MANY_REQUESTS", "TOO_MANY_REQUESTS", "operator"),
        ("key", "http_400", "http_400", "client"),
        ("key", "http_503", "http_503", "vendor"),
        ("key", "http_502", "http_5xx", "network"),
    ],
)
def test_a_refusal(place: Place, key: str, fault: str | None, code: str, owner: str) -> None:
    seen = run(compare("deepgram", place, key, fault=fault), "uvloop")
    assert seen.through == seen.direct
    assert seen.through.error is not None
    assert seen.through.error.startswith("HTTP ")
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Ended.REFUSED_BY_VENDOR, code, owner)
    assert seen.through.error == f"HTTP {verdict.http_status}"
    if fault != "http_502":  # the page of something in between has no id
        assert verdict.req_id == seen.simulator.sessions[1].request_id


@on_v1
@pytest.mark.parametrize(
    ("fault", "wording", "code", "owner"),
    [
        # Said on request, while audio is being delivered: not so.
        ("NET-0001", "documented", "NET-0001", "vendor"),
        ("NET-0001", "live", "NET-0001", "vendor"),
        ("NET-0000", "live", "NET-0000", "unknown"),
        ("DATA-0000", "documented", "DATA-0000", "vendor"),  # it had understood it all along
        ("1000_nothing_decoded", "live", "1000_nothing_decoded", "vendor"),  # the same
        ("close-1012", "live", "1012_restart", "vendor"),
        ("close-5004", "live", "unclassified", "unknown"),
    ],
)
def test_a_failure_in_mid_call(place: Place, fault: str, wording: str, code: str, owner: str) -> None:
    seen = run(compare("deepgram", place, fault=fault, fault_after=1.6, wording=wording), "uvloop")
    assert seen.through == seen.direct
    assert seen.through.transcripts == SAID[:1]
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Ended.ERROR, code, owner)
    assert verdict.req_id == seen.simulator.sessions[1].request_id


@on_v2
def test_an_error_frame_of_flux(place: Place) -> None:
    seen = run(compare("deepgram", place, fault="INTERNAL_SERVER_ERROR", fault_after=1.0), "uvloop")
    assert seen.through == seen.direct
    assert seen.through.error == "INTERNAL_SERVER_ERROR: An internal server error occurred."
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Ended.ERROR, "INTERNAL_SERVER_ERROR", "vendor")


@everywhere
@pytest.mark.parametrize(("fault", "code"), [("eof", "transport_eof"), ("reset", "transport_reset")])
def test_a_lost_connection(place: Place, fault: str, code: str) -> None:
    """What was on the way when a reset came is lost, with or without a sidecar: only the error is the same."""
    seen = run(compare("deepgram", place, fault=fault, fault_after=1.6), "uvloop")
    assert seen.through.error == seen.direct.error == "closed without a close frame"
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Ended.ERROR, code, "network")


def test_tls_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK believes a certificate of ours, the sidecar a certificate of the vendor's."""
    cert, key = tls_pair(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", cert)
    listener = {"vendor": "deepgram", "upstream_tls": {"ca": cert}, "tls": {"cert": cert, "key": key}}

    async def main() -> None:
        async with (
            DeepgramSimulator(strict=False, tls=server_tls(cert, key)) as simulator,
            sidecar(listener | {"upstream": upstream(simulator)}) as beside,
        ):
            seen = await dial(sdks.deepgram_v1, beside.url("deepgram", "wss", "localhost"), "key")
            report = await beside.reports.next()
        assert seen.transcripts == SAID
        assert (seen.error, seen.ended) == (None, True)
        assert (report.verdict.outcome, report.verdict.initiated_by) == (Ended.OK, Side.CLIENT)

    run(main(), "uvloop")
