"""ELSA's example flow on its own library: what the application sees through the sidecar is what it sees without; and the report."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.verdict import Outcome as Ended
from proxy.core.verdict import Side
from tests.aio import run
from tests.e2e.rig import AUDIO, Compared, Place, compare
from tests.elsa_client import elsa_scripted, elsa_unscripted
from tests.sdks import RATE

SECONDS = len(AUDIO) / RATE / 2
TOKEN = "tok-8f2b61c0aa54"

everywhere = pytest.mark.parametrize("place", [elsa_scripted, elsa_unscripted], ids=["scripted", "unscripted"])


def compared(place: Place, key: str = "key", query: dict[str, Any] | None = None, **options: Any) -> Compared:
    seen = run(compare("elsa", place, key, query, **options), "uvloop")
    assert seen.through == seen.direct
    return seen


def test_a_scripted_stream() -> None:
    seen = compared(elsa_scripted)
    assert seen.through.transcripts == ["good morning"]
    assert bytes(seen.simulator.sessions[1].audio) == AUDIO
    report, verdict = seen.report, seen.report.verdict
    assert (verdict.endpoint, verdict.outcome, verdict.code, verdict.initiated_by) == ("scripted", Ended.OK, "normal", Side.CLIENT)
    assert report.audio.read_seconds == pytest.approx(SECONDS)
    assert report.audio.chunk_seconds_max == 0.5
    assert report.latency.finals == 1
    assert report.ready_at is not None
    assert (report.facts, report.inspection) == ([], "full")


def test_two_streams_on_one_socket() -> None:
    seen = compared(elsa_scripted, query={"sentences": ("one", "two")})
    assert seen.through.transcripts == ["one", "two"]
    assert bytes(seen.simulator.sessions[1].audio) == AUDIO * 2
    report, verdict = seen.report, seen.report.verdict
    assert (verdict.outcome, verdict.initiated_by, verdict.ended_by) == (Ended.OK, Side.CLIENT, Side.CLIENT)
    assert report.audio.read_seconds == pytest.approx(2 * SECONDS)
    assert report.latency.finals == 2
    assert report.facts == []


def test_an_unscripted_stream() -> None:
    seen = compared(elsa_unscripted)
    assert seen.through.ids == {"its own"}
    assert seen.through.transcripts[0].startswith("good morning")
    report, verdict = seen.report, seen.report.verdict
    assert (verdict.endpoint, verdict.outcome, verdict.code, verdict.initiated_by) == ("unscripted", Ended.OK, "normal", Side.CLIENT)
    assert verdict.req_id == seen.simulator.sessions[1].request_id
    assert report.audio.read_seconds == pytest.approx(SECONDS)
    assert (report.latency.finals, report.facts) == (1, [])
    assert "Amz" not in str(report)


FAULTS = [
    ("ASRSocketTimeout", "vendor", "ASR timeout"),
    ("ASRInterProcessException", "vendor", "exception in ASR {error}"),
    ("InvalidSessionToken", "operator", "Invalid session token"),
    ("ClientIsNotActive", "operator", "Client with {user_id} is not active"),
    ("ClientDoesNotHaveAccess", "operator", "User {user_id} does not have access for this API"),
    ("ClientHasNoMoreMinutes", "operator", "User has no remaining minutes"),
    ("InvalidAudioFormat", "vendor", "Only 16 kHz mono WAV, FLAC or OGG-Opus audio allowed"),  # which is what the example client sends
    ("FailedToUseAudio", "unknown", "An unexpected error occurred while processing the audio"),
]


@everywhere
@pytest.mark.parametrize("closes", [None, 1011], ids=["left-open", "closed"])
@pytest.mark.parametrize(("fault", "owner", "detail"), FAULTS)
def test_an_error(place: Place, fault: str, owner: str, detail: str, closes: int | None) -> None:
    """The example client closes with 100 when it is told of an error; where the vendor closes as well, either may be first."""
    seen = run(compare("elsa", place, fault=fault, closes=closes), "uvloop")
    assert (seen.through.error, seen.through.transcripts) == (seen.direct.error, [])
    if closes is None:
        assert seen.through == seen.direct
    report, verdict = seen.report, seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Ended.ERROR, fault, owner)
    if not seen.simulator.sessions[1].audio:  # else its end message may have been first: audio goes out as fast as it can
        assert verdict.initiated_by is Side.VENDOR
    assert (verdict.server_detail or "").startswith(detail)
    assert not any(secret in str(report) for secret in (TOKEN, "u-17", "BrokenPipe"))
    if closes is None:
        assert verdict.ended_by is Side.CLIENT
        assert report.client_close is not None
        assert report.client_close.code == (100 if place is elsa_scripted else 1000)


@everywhere
@pytest.mark.parametrize("wording", ["documented", "live"])
@pytest.mark.parametrize("early", [False, True], ids=["after-the-101", "refused"])
@pytest.mark.parametrize(("key", "scripted", "unscripted"), [
    ("bad-key", "UserDoesNotExist", "InvalidSessionToken"), ("", "InvalidHeaderParameter", "NoTokenProvided"),
])
def test_a_bad_credential(place: Place, key: str, scripted: str, unscripted: str, early: bool, wording: str) -> None:
    seen = compared(place, key, early=early, wording=wording)
    assert seen.through.error is not None
    verdict = seen.report.verdict
    assert verdict.code == (scripted if place is elsa_scripted else unscripted)
    assert (verdict.owner, verdict.outcome) == ("operator", Ended.REFUSED_BY_VENDOR if early else Ended.ERROR)
    assert "bad-key" not in str(seen.report)


@everywhere
@pytest.mark.parametrize(("fault", "code", "owner"), [
    ("eof", "transport_eof", "network"), ("close-1012", "1012_restart", "vendor"), ("http_503", "http_5xx", "unknown"),
])
def test_what_happens_to_any_vendor(place: Place, fault: str, code: str, owner: str) -> None:
    verdict = compared(place, fault=fault).report.verdict
    assert (verdict.code, verdict.owner) == (code, owner)
