"""`spatius`: what the application sees through the sidecar is what it sees without, token and session; and the reports."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.verdict import Outcome as Ended
from proxy.core.verdict import Side
from proxy.simulators import SpatiusSimulator
from tests.aio import run
from tests.e2e.rig import AUDIO, Compared, compare, sidecar, upstream
from tests.sdks import RATE
from tests.spatius_sdk import spatius

SECONDS = len(AUDIO) / RATE / 2
PCM_FRAMES = 31
"""Animation for 3.1 s of audio, one in 0.1 s; the last frame comes besides."""


def compared(key: str = "key", query: dict[str, Any] | None = None, **options: Any) -> Compared:
    seen = run(compare("spatius", spatius, key, query, **options), "uvloop")
    assert seen.through == seen.direct
    return seen


@pytest.mark.parametrize("query_auth", [False, True], ids=["header", "query"])
@pytest.mark.parametrize("compression", [False, True], ids=["plain", "deflate"])
def test_a_good_session(query_auth: bool, compression: bool) -> None:
    seen = compared(query={"use_query_auth": query_auth}, compression=compression)
    assert (seen.through.error, seen.through.ended, len(seen.through.texts)) == (None, True, PCM_FRAMES + 1)
    assert seen.through.ids == {"its own"}
    session = seen.simulator.sessions[1]
    assert bytes(session.audio) == AUDIO
    assert ("sessionKey" in session.path) == query_auth
    assert seen.simulator.requests[1].path == "/v1/console/session-tokens"
    report, verdict = seen.report, seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.initiated_by, verdict.ended_by) == (Ended.OK, "normal", Side.CLIENT, Side.CLIENT)
    assert (verdict.endpoint, verdict.connection_id) == ("ingress", session.request_id)
    assert verdict.req_id is not None
    assert report.ready_at is not None
    assert report.audio.read_seconds == pytest.approx(SECONDS)
    assert report.latency.finals == 1
    assert report.facts == []


def test_opus_is_not_timed() -> None:
    from spatius import AudioFormat

    seen = compared(query={"audio_format": AudioFormat.OGG_OPUS, "sample_rate": 24000})
    assert seen.through.ended
    assert (seen.report.audio.format, seen.report.audio.read_seconds) == ("opaque", None)
    assert seen.report.verdict.outcome is Ended.OK


@pytest.mark.parametrize(
    ("query", "status", "code", "category", "owner"),
    [
        ({"session_key": "bad-key"}, 400, "sessionTokenInvalid", "auth", "operator"),
        ({"session_key": "bad-key", "use_query_auth": True}, 400, "sessionTokenInvalid", "auth", "operator"),
        ({"session_key": "stale-key-1"}, 401, "sessionTokenExpired", "auth", "operator"),
        ({"app_id": "other-app"}, 400, "appIDMismatch", "auth", "operator"),
        ({"app_id": "unknown-app"}, 404, "appIDUnrecognized", "config_not_found", "operator"),
        ({"avatar_id": "no-avatar"}, 404, "avatarNotFound", "config_not_found", "operator"),
        ({"fault": "creditsExhausted-402"}, 402, "creditsExhausted", "billing", "operator"),
        ({"fault": "billingRequired"}, 402, "billingRequired", "billing", "operator"),
        ({"fault": "sessionTokenInvalid-bad-request"}, 400, "sessionTokenInvalid", "auth", "operator"),
        ({"fault": "serverError-503"}, 503, "serverError", "unavailable", "vendor"),
    ],
)
def test_a_refused_upgrade(query: dict[str, Any], status: int, code: str, category: str, owner: str) -> None:
    """The code is the SDK's own."""
    options = {name: query.pop(name) for name in ("fault",) if name in query}
    seen = compared(query=query, **options)
    assert seen.through.error is not None
    assert seen.through.error.startswith(f"{code}: websocket_connect {status} ")
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.http_status) == (Ended.REFUSED_BY_VENDOR, status)
    assert (verdict.code, verdict.category, verdict.owner) == (code, category, owner)
    assert seen.through.error == f"{code}: websocket_connect {status} {verdict.server_detail}"


@pytest.mark.parametrize(
    ("key", "fault", "code", "owner"),
    [
        ("bad-key", None, "sessionTokenExpired", "operator"),
        ("key", "token-401-unauthorized", "invalidEgressConfig", "operator"),
        ("key", "token-401-grpc", "invalidEgressConfig", "operator"),
        ("key", "token-403", "invalidEgressConfig", "operator"),
        ("key", "token-429", "invalidRequest", "operator"),
        ("key", "token-400", "invalidRequest", "client"),
        ("key", "token-500", "serverError", "vendor"),
        ("key", "token-503", "egressUnavailable", "vendor"),
        ("key", "token-402", "creditsExhausted", "operator"),
        ("key", "token-200-401", "sessionTokenExpired", "operator"),
        ("key", "token-200-unknown", "unclassified", "unknown"),
    ],
)
def test_no_session_token(key: str, fault: str | None, code: str, owner: str) -> None:
    async def main() -> None:
        async with SpatiusSimulator(fault=fault) as simulator:
            direct = await spatius(simulator.url, AUDIO, key=key)
            async with sidecar({"vendor": "spatius", "upstream": upstream(simulator)}) as beside:
                through = await spatius(beside.url("spatius"), AUDIO, key=key)
                failed = [(was, who) for (_, was, _, who), count in beside.app.ledger.request_errors.items() if count]
            assert through == direct
            assert through.error is not None
            assert through.error.startswith(f"{'unknown' if code == 'unclassified' else code}: session_token ")
            assert failed == [(code, owner)]
            assert simulator.sessions == []

    run(main(), "uvloop")


@pytest.mark.parametrize(
    ("fault", "query", "code", "owner"),
    [
        ("invalidEgressConfig", {}, "invalidEgressConfig", "operator"),
        ("egressUnavailable", {}, "egressUnavailable", "vendor"),
        ("protocolError", {}, "protocolError", "client"),
        (None, {"sample_rate": 12345}, "unsupportedSampleRate", "client"),
    ],
)
@pytest.mark.parametrize("wording", ["documented", "live"])
def test_refused_after_the_101(fault: str | None, query: dict[str, Any], code: str, owner: str, wording: str) -> None:
    seen = compared(query=query, fault=fault, wording=wording)
    assert seen.through.error is not None
    assert seen.through.error.startswith(f"{code}: websocket_handshake ")
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner, verdict.initiated_by) == (Ended.ERROR, code, owner, Side.VENDOR)
    assert seen.report.ready_at is None


@pytest.mark.parametrize(
    ("fault", "code", "owner"),
    [
        ("creditsExhausted", "creditsExhausted", "operator"),
        ("upstreamError", "upstreamError", "vendor"),
        ("serverError-400", "serverError", "client"),
        ("serverError", "serverError", "unknown"),
    ],
)
@pytest.mark.parametrize("wording", ["documented", "live"])
def test_an_error_that_ends_the_session(fault: str, code: str, owner: str, wording: str) -> None:
    """Sent with pauses, so that the SDK reads of the error before it writes into a closed socket."""
    seen = compared(query={"pace": 0.005}, fault=fault, fault_after=1.0, wording=wording)
    assert seen.through.error is not None
    assert seen.through.error.startswith(f"{code}: websocket_runtime ")
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner, verdict.initiated_by) == (Ended.ERROR, code, owner, Side.VENDOR)
    assert verdict.connection_id == seen.simulator.sessions[1].request_id
    assert verdict.req_id is not None


def test_an_error_that_ends_nothing() -> None:
    async def main() -> None:
        async with (
            SpatiusSimulator(fault="upstreamError-goes-on", fault_after=1.0) as simulator,
            sidecar({"vendor": "spatius", "upstream": upstream(simulator)}) as beside,
        ):
            direct = await spatius(simulator.url, AUDIO)
            through = await spatius(beside.url("spatius"), AUDIO)
            report = await beside.reports.next()
            warnings = {code: count for (_, _, code), count in beside.app.ledger.warnings.items() if count}
        assert (through.error, through.texts, through.ended) == (direct.error, direct.texts, True)
        assert through.error == "upstreamError: websocket_runtime 0 driven server returned non-200 status code: 503"
        assert len(through.texts) == PCM_FRAMES + 1
        assert (report.verdict.outcome, report.verdict.code, report.verdict.initiated_by) == (Ended.OK, "normal", Side.CLIENT)
        assert warnings == {"server-error": 1}

    run(main(), "uvloop")


@pytest.mark.parametrize(
    ("fault", "code", "owner"),
    [
        ("close-4001", "creditsExhausted", "operator"),
        ("close-4002", "sessionDurationExceeded", "client"),
        ("close-4003", "concurrencyLimit", "operator"),
        ("close-4010", "sessionTokenInvalid", "unknown"),  # it had let the same token in
        ("close-4503", "upstreamError", "vendor"),
        ("close-1011", "connectionClosed", "vendor"),
    ],
)
def test_a_close_without_an_error(fault: str, code: str, owner: str) -> None:
    """To the SDK every one of them is connectionClosed."""
    seen = compared(query={"pace": 0.005}, fault=fault, fault_after=1.0)
    assert seen.through.error is not None
    assert seen.through.error.startswith("connectionClosed: ")
    assert f" {fault.removeprefix('close-')} " in seen.through.error
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.owner, verdict.ended_by) == (Ended.ERROR, code, owner, Side.VENDOR)


def test_nothing_said() -> None:
    """A timer of the vendor's, that really ran out: the client agrees by having sent nothing."""
    seen = compared(query={"silent": True}, idle_seconds=0.3)
    assert seen.through.error == "idleTimeout: websocket_runtime 0 no audio input for 0.3s"
    verdict = seen.report.verdict
    assert (verdict.outcome, verdict.code, verdict.category, verdict.owner) == (Ended.ERROR, "idleTimeout", "idle_timeout", "client")
    assert seen.report.audio.read_seconds == 0
