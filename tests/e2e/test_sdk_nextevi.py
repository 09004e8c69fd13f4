"""NextEVI's client, and the documented flow: what the application sees through the sidecar is what it sees without; and the report."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from proxy.core.verdict import Outcome as Ended
from proxy.core.verdict import Side
from proxy.simulators.nextevi import MISSING_CONFIG, NextEVISimulator
from tests.aio import run
from tests.e2e.rig import AUDIO, Compared, Place, compare, sidecar, upstream
from tests.nextevi_client import VOICE_RATE, at_24k, nextevi_documented, nextevi_livekit

SAID = ["good morning this is", "the harbour office"]
KEY = "oak_0123456789"

everywhere = pytest.mark.parametrize("place", [
    pytest.param(nextevi_livekit, id="livekit"),  # installed by `make setup`; without it these fail
    pytest.param(nextevi_documented, id="documented"),
])


def compared(place: Place, key: str = KEY, query: dict[str, Any] | None = None, **options: Any) -> Compared:
    seen = run(compare("nextevi", place, key, query, **options), "uvloop")
    assert seen.through == seen.direct
    return seen


@everywhere
@pytest.mark.parametrize("wording", ["documented", "live"])
@pytest.mark.parametrize("compression", [False, True], ids=["plain", "deflate"])
def test_a_good_call(place: Place, wording: str, compression: bool) -> None:
    seen = compared(place, wording=wording, compression=compression)
    assert seen.through.transcripts == SAID
    assert seen.through.ids == {"its own"}
    assert (seen.through.error, seen.through.ended) == (None, True)
    voice = at_24k(AUDIO)
    assert bytes(seen.simulator.sessions[1].audio) == voice
    report, verdict = seen.report, seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.initiated_by, verdict.ended_by) == (Ended.OK, "normal", Side.CLIENT, Side.CLIENT)
    assert verdict.connection_id == seen.simulator.sessions[1].request_id
    assert report.audio.read_seconds == pytest.approx(len(voice) / VOICE_RATE / 2)
    assert (report.audio.format, report.audio.sample_rate) == ("pcm_s16le", VOICE_RATE)
    assert (report.latency.finals, report.facts, report.inspection) == (2, [], "full")
    assert report.ready_at is not None


@everywhere
@pytest.mark.parametrize(
    ("key", "query", "options", "code", "owner"),
    [
        ("key", {}, {}, "AUTH_FAILED", "operator"),
        ("oak_denied", {}, {}, "ACCESS_DENIED", "operator"),
        (KEY, {"config": MISSING_CONFIG}, {}, "CONFIG_NOT_FOUND", "operator"),
        (KEY, {}, {"fault": "SERVICE_UNAVAILABLE-http"}, "SERVICE_UNAVAILABLE", "vendor"),
        (KEY, {}, {"fault": "RATE_LIMITED-http"}, "RATE_LIMITED", "operator"),
    ],
    ids=["key", "denied", "config", "unavailable", "rate"],
)
@pytest.mark.parametrize("wording", ["documented", "live"])
def test_who_may_not_come_in(
    place: Place, key: str, query: dict[str, Any], options: dict[str, Any], code: str, owner: str, wording: str
) -> None:
    """After the 101 in the documented wording, before it in the live one."""
    seen = compared(place, key, query, wording=wording, **options)
    assert seen.through.error is not None
    before = wording == "live" or bool(options)
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Ended.REFUSED_BY_VENDOR if before else Ended.ERROR, code, owner)
    assert f"/ws/voice/{verdict.connection_id}?" in seen.simulator.sessions[1].path


FAULTS = [
    ("RATE_LIMITED", "operator"),
    ("SESSION_LIMIT_EXCEEDED", "operator"),
    ("CONNECTION_FAILED", "vendor"),
    ("INTERNAL_ERROR", "vendor"),
    ("AUDIO_CHUNK_TOO_LARGE-close", "client"),
    ("AUDIO_PROCESSING_FAILED", "client"),
    ("SESSION_EXPIRED", "client"),
    ("SESSION_EXPIRED-close", "client"),
    ("RATE_LIMITED-disconnect", "operator"),
    ("INVALID_MESSAGE_FORMAT-text", "client"),
]


@everywhere
@pytest.mark.parametrize(("fault", "owner"), FAULTS)
@pytest.mark.parametrize("wording", ["documented", "live"])
def test_a_failure_told_by_the_vendor(place: Place, fault: str, owner: str, wording: str) -> None:
    seen = compared(place, fault=fault, fault_after=1.0, wording=wording)
    assert seen.through.error is not None
    assert not seen.through.ended
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.rule_owner) == (Ended.ERROR, fault.partition("-")[0], owner)
    assert verdict.initiated_by is Side.VENDOR


@everywhere
def test_a_hang_up_is_no_good_end(place: Place) -> None:
    seen = compared(place, fault="hangup", fault_after=1.0)
    assert seen.through.error == "closed 1000"
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.category) == (Ended.ERROR, "IDLE_TIMEOUT_HANGUP", "idle_timeout")


@everywhere
def test_an_error_that_the_session_outlives(place: Place) -> None:
    seen = compared(place, fault="AUDIO_PROCESSING_FAILED-only", fault_after=1.0)
    assert (seen.through.transcripts, seen.through.ended) == (SAID, True)
    assert seen.through.error is not None
    assert (seen.report.verdict.outcome, seen.report.verdict.code) == (Ended.OK, "normal")


@everywhere
@pytest.mark.parametrize(("fault", "code"), [("eof", "transport_eof"), ("reset", "transport_reset")])
def test_a_lost_connection(place: Place, fault: str, code: str) -> None:
    """What was on the way when a reset came is lost, with or without a sidecar: only the error is the same."""
    seen = run(compare("nextevi", place, KEY, fault=fault, fault_after=1.0), "uvloop")
    assert seen.through.error == seen.direct.error
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Ended.ERROR, code, "network")


@pytest.mark.parametrize(
    ("headers", "status"), [({"Authorization": f"Bearer {KEY}"}, 200), ({}, 401), ({"Authorization": "Bearer bad-key"}, 401)]
)
def test_the_plain_request(headers: dict[str, str], status: int) -> None:
    async def asked(url: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as client, client.get(url + "/api/v1/projects/resolve", headers=headers) as answer:
            body = await answer.json()
            return answer.status, body.get("data", {}).get("error_code", body)

    async def main() -> None:
        async with NextEVISimulator() as simulator, sidecar({"vendor": "nextevi", "upstream": upstream(simulator)}) as beside:
            direct = await asked(upstream(simulator))
            assert await asked(beside.url("nextevi", "http")) == direct
            assert direct[0] == status

    run(main())
