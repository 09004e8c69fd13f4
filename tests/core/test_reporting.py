"""The report of a whole session, and the packaged vendors' files from their bytes to the verdict."""

from __future__ import annotations

from functools import cache

import orjson
import pytest

from proxy.core.gate import Gate
from proxy.core.meter import Meter
from proxy.core.own import OWN
from proxy.core.policy import Action, Rule, Rules, bounds
from proxy.core.profile import Limits
from proxy.core.report import Report
from proxy.core.reporting import correlated
from proxy.core.tally import FRAME_TYPES
from proxy.core.vendor import Request, Vendor
from proxy.core.verdict import Category, Inspection, Outcome, Owner, Phase, Retry, Side, Transport
from proxy.settings.profiles import load_all

from .playbook import BINARY, V1, V2, VENDOR, WALL, Play, frame, tcp

TRACE = "0af7651916cd43dd8448eb211c80319c"


def whole_call() -> Play:
    play = Play(V1, {"x-call": "call-7", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}).wait(0.25).opened(acme_id="r-1").wait(0.25)
    play.speaks(4.0).tick(tcp(10, 10), (0, 90), 0.0123456).wait(0.2)
    play.hears(type="Results", text="one", start=1.0, duration=3.0, final=True)
    play.says(type="Finish").wait(0.1).hears(type="Summary", duration=4.0).vendor_closes(1000, "bye").wait(0.1).client_closes()
    return play


def test_a_whole_call() -> None:
    report = whole_call().end({"headers": ("X-Call", "X-None"), "query": ("rate",)})
    verdict = report.verdict
    assert (verdict.outcome, verdict.code, verdict.initiated_by, verdict.ended_by) == (Outcome.OK, "normal", Side.CLIENT, Side.VENDOR)
    assert (verdict.vendor, verdict.endpoint, verdict.phase, verdict.req_id) == ("acme", "v1", Phase.WEBSOCKET_RUNTIME, "r-1")
    assert (verdict.close_code, verdict.close_reason, verdict.owner, verdict.retry) == (1000, "bye", Owner.NONE, Retry.NEVER)
    assert (report.session_id, report.listener, report.trace_id) == ("s-1", "main", TRACE)
    assert report.started_at == "2027-01-15T08:00:00.000Z"
    assert report.ready_at == "2027-01-15T08:00:00.250Z"
    assert report.ended_at == "2027-01-15T08:00:04.900Z"
    assert report.duration_seconds == 4.9
    assert report.vendor_close is not None
    assert (report.vendor_close.code, report.vendor_close.reason, report.vendor_close.at) == (1000, "bye", "2027-01-15T08:00:04.800Z")
    assert report.client_close is not None
    assert (report.client_close.code, report.client_close.reason, report.client_close.at) == (1000, None, report.ended_at)
    assert report.correlation == {"X-Call": "call-7", "rate": "16000"}
    assert report.inspection is Inspection.FULL


def test_what_was_measured() -> None:
    report = whole_call().end()
    audio, latency = report.audio, report.latency
    assert (audio.format, audio.sample_rate, audio.channels) == ("pcm_s16le", 16000, 1)
    assert (audio.read_seconds, audio.written_seconds, audio.delivered_seconds, audio.reported_seconds) == (4.0, 4.0, 4.0, 4.0)
    assert (audio.silent_seconds, audio.chunk_seconds_min, audio.chunk_seconds_max, audio.gap_seconds_max) == (0.0, 0.1, 0.1, 0.1)
    assert (audio.rate_ratio, audio.lead_seconds_max) == (1.0, 0.1)
    assert (latency.ready_seconds, latency.results, latency.finals) == (0.25, 1, 1)
    assert latency.first_result_seconds == pytest.approx(3.2, abs=0.02)
    assert latency.result_lag_seconds_last == latency.result_lag_seconds_max == pytest.approx(0.2, abs=0.02)
    assert (report.self_.loop_lag_seconds_max, report.self_.buffered_bytes_max) == (0.0123, 90)
    to_vendor, to_client = report.traffic["to_vendor"], report.traffic["to_client"]
    assert to_vendor["frames"] == {"audio": 40, "text": 1, "close": 1}
    assert to_vendor["bytes"]["audio"] == 128000
    assert to_vendor["wire_bytes"] > 128000
    assert to_client["frames"] == {"text": 2, "close": 1}
    assert set(to_client["bytes"]) <= set(FRAME_TYPES)


def test_the_log_line_is_plain_json() -> None:
    line = orjson.loads(orjson.dumps(whole_call().end().as_dict()))
    assert (line["schema"], line["outcome"], line["code"], line["self"]["buffered_bytes_max"]) == (1, "ok", "normal", 90)
    assert "verdict" not in line


def test_what_cannot_be_told_is_null() -> None:
    report = Play("/v1/listen").opened().client(frame(BINARY, bytes(100))).end()
    audio, latency = report.audio, report.latency
    assert audio.format == "opaque"
    assert (audio.sample_rate, audio.channels, audio.read_seconds, audio.written_seconds, audio.delivered_seconds, audio.silent_seconds,
            audio.chunk_seconds_max, audio.gap_seconds_max, audio.rate_ratio, audio.lead_seconds_max) == (None,) * 10
    assert (latency.first_result_seconds, latency.result_lag_seconds_last) == (None, None)
    assert (report.trace_id, report.client_close, report.vendor_close) == (None, None, None)


def test_delivery_is_null_where_the_kernel_does_not_tell() -> None:
    audio = Play(V1).opened().speaks(1.0).tick(None).end().audio
    assert (audio.written_seconds, audio.delivered_seconds) == (1.0, None)


def test_without_audio_there_are_no_chunks() -> None:
    audio = Play(V1).opened().end().audio
    assert (audio.read_seconds, audio.chunk_seconds_max, audio.gap_seconds_max, audio.rate_ratio) == (0.0, None, None, None)


def test_a_session_that_was_never_ready() -> None:
    report = Play(V2).opened().wait(5.0).client_closes().end()
    assert report.ready_at is None
    assert report.latency.ready_seconds is None


def test_facts_have_their_time() -> None:
    report = Play(V1).opened().wait(1.5).client(frame(BINARY, b"OggS" + bytes(60))).end()
    assert [(fact.fact, fact.at) for fact in report.facts] == [("container_in_raw", "2027-01-15T08:00:01.500Z")]


def test_no_secret_comes_out() -> None:
    play = Play(V1, {"x-call": "token=S3CR3T"}).opened(acme_id="api_key=S3CR3T").hears(
        type="Error", code="token=S3CR3T", message="Invalid session token: S3CR3T")
    report = play.vendor_closes(4001, "api_key=S3CR3T").client_closes(1000, "token=S3CR3T").end({"headers": ("X-Call",)})
    line = orjson.dumps(report.as_dict())
    assert b"S3CR3T" not in line
    assert b"***" in line


@pytest.mark.parametrize(("header", "trace"), [
    (f"00-{TRACE}-b7ad6b7169203331-01", TRACE), (f"00-{TRACE}-b7ad6b7169203331-01-more", TRACE),
    (f"00-{'0' * 32}-b7ad6b7169203331-01", None), (f"00-{TRACE.upper()}-b7ad6b7169203331-01", None), (TRACE, None), ("", None),
    (f"00-{TRACE}-b7ad6b7169203331-01x", None),
])
def test_the_trace_of_the_caller(header: str, trace: str | None) -> None:
    assert Play(V1, {"traceparent": header}).end().trace_id == trace


def test_correlation_takes_what_is_there_and_asked_for() -> None:
    request = Request.of("/v1/listen?a=1&b=", {"x-call": "7"})
    assert correlated(VENDOR, request, {"query": ("a", "b", "c"), "headers": ("X-Call",)}) == {"a": "1", "X-Call": "7"}
    assert correlated(VENDOR, request, {}) == {}


def test_an_id_may_look_like_a_key_but_not_be_the_callers() -> None:
    key, call = "5f0e8c1d2b7a4936", "9b2d7c61e0f84a35b1c6d2e7f0a94b83"
    request = Request.of(f"/v1/listen?call={call}", {"authorization": f"Token {key}", "x-call": f"of-{key}"})
    assert correlated(VENDOR, request, {"query": ("call",), "headers": ("x-call",)}) == {"call": call, "x-call": "of-***"}


def test_what_the_caller_keeps_private_is_not_repeated() -> None:
    key = "river-otter-moon"  # words: nothing in its looks tells
    play = Play(V1, {"authorization": f"Token {key}"}).wait(0.3)
    play.session.refused(401, {"Acme-Id": key}, b'{"code":"river-otter-moon","message":"No such thing: RIVER-OTTER-MO"}', play.now)
    verdict = play.end().verdict
    assert (verdict.server_code, verdict.server_detail, verdict.req_id) == ("***", "No such thing: ***", "***")


# Refused


def test_a_refusal_with_words() -> None:
    play = Play(V1).wait(0.3)
    play.session.refused(401, {"Acme-Id": "r-2", "Retry-After": "7"}, b'{"code":"BAD","message":"Who are you?","request":"r-3"}', play.now)
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.code, verdict.category) == (Outcome.REFUSED_BY_VENDOR, "BAD_KEY", Category.AUTH)
    assert (verdict.http_status, verdict.server_code, verdict.server_detail, verdict.req_id) == (401, "BAD", "Who are you?", "r-2")
    assert (verdict.retry_after_seconds, verdict.close_code) == (7.0, None)
    assert verdict.initiated_by is verdict.ended_by is Side.VENDOR


def test_a_refusal_from_in_between() -> None:
    play = Play(V1)
    play.session.refused(502, {"server": "nginx"}, b"<html>Bad Gateway</html>", play.now)
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Outcome.REFUSED_BY_VENDOR, "http_in_between", Owner.NETWORK)
    assert verdict.initiated_by is verdict.ended_by is Side.NETWORK


def test_a_body_that_was_decompressed_is_read() -> None:
    play = Play(V1)
    play.session.refused(418, {"Content-Encoding": "gzip", "acme-id": "x"}, b'{"code":"TEA","message":"No audio came"}', play.now)
    assert play.end().verdict.code == "NO_SPEECH"


@pytest.mark.parametrize("code", OWN)
def test_refused_here(code: str) -> None:
    play = Play("/nowhere")
    play.session.refused_here(code)
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.code, verdict.endpoint) == (OWN[code].outcome, code, "unknown")
    assert verdict.initiated_by is verdict.ended_by is Side.SIDECAR


# The packaged vendors


@cache
def packaged(name: str) -> Vendor:
    catalogue = load_all()
    return Vendor(catalogue.profiles[name], catalogue.common)


NOVA = "/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
FLUX = "/v2/listen?model=flux-general-en&encoding=linear16&sample_rate=16000"
V3 = "/v3/ws?sample_rate=16000"
FIXED = "See Error message for details"


def deepgram(path: str = NOVA) -> Play:
    play = Play(path, vendor=packaged("deepgram")).wait(0.1).opened(dg_request_id="d-1")
    return play.hears(type="Connected", request_id="d-1", sequence_id=0) if path == FLUX else play


def assemblyai(seconds: float = 10800.0) -> Play:
    play = Play(V3, vendor=packaged("assemblyai")).wait(0.1).opened()
    return play.hears(type="Begin", id="a-1", expires_at=int(WALL + seconds))


def said(report: Report) -> tuple[object, ...]:
    verdict = report.verdict
    return verdict.outcome, verdict.code, verdict.initiated_by, verdict.ended_by


def metadata(play: Play, duration: float) -> Play:
    return play.hears(type="Metadata", transaction_key="deprecated", request_id="d-1", duration=duration, channels=1)


def test_nova_healthy() -> None:
    play = deepgram().speaks(3.0).wait(0.3)
    words = [{"word": "hello", "start": 0.5, "end": 0.9}, {"word": "world", "start": 1.0, "end": 2.8}]
    play.hears(type="Results", is_final=True, start=0.0, duration=3.0, metadata={"request_id": "d-1"},
               channel={"alternatives": [{"transcript": "hello world", "words": words}]})
    report = metadata(play.says(type="CloseStream"), 3.0).vendor_closes().client_closes().end()
    assert said(report) == (Outcome.OK, "normal", Side.CLIENT, Side.VENDOR)
    assert report.verdict.req_id == "d-1"
    assert (report.audio.read_seconds, report.audio.reported_seconds) == (3.0, 3.0)
    assert report.latency.result_lag_seconds_last == pytest.approx(0.5, abs=0.02)
    assert report.latency.first_result_seconds == pytest.approx(2.8, abs=0.02)


def test_nova_heard_nothing() -> None:
    report = metadata(deepgram().speaks(3.0).says(type="CloseStream"), 0.0).vendor_closes().end()
    assert report.verdict.category is Category.AUDIO_FORMAT
    assert report.verdict.outcome is Outcome.ERROR


def test_nova_without_audio() -> None:
    reason = "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001"
    report = deepgram().wait(12.0).vendor_closes(1011, reason).client_closes(1011).end()
    assert said(report) == (Outcome.ERROR, "NET-0001", Side.VENDOR, Side.VENDOR)


def test_nova_1011_without_words_is_not_guessed() -> None:
    report = deepgram().wait(12.0).vendor_closes(1011).end()
    assert (report.verdict.code, report.verdict.category) == ("unclassified", Category.UNCLASSIFIED)


def test_the_clients_own_ping_timeout_is_not_the_vendors() -> None:
    report = deepgram().speaks(1.0).client_closes(1011, "keepalive ping timeout").end()
    assert said(report)[2:] == (Side.CLIENT, Side.CLIENT)
    assert report.verdict.owner is Owner.CLIENT
    assert report.verdict.outcome is Outcome.ERROR


def test_nova_left_without_close_stream() -> None:
    assert deepgram().speaks(1.0).client_closes().end().verdict.outcome is Outcome.ABANDONED


def test_nova_refused() -> None:
    play = Play(NOVA, vendor=packaged("deepgram"))
    play.session.refused(401, {"dg-request-id": "d-2", "dg-error": "Invalid credentials."},
                         b'{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials.","request_id":"d-2"}', play.now)
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.code, verdict.owner, verdict.req_id) == (
        Outcome.REFUSED_BY_VENDOR, "INVALID_AUTH", Owner.OPERATOR, "d-2")


def test_nova_refused_on_the_way() -> None:
    play = Play(NOVA, vendor=packaged("deepgram"))
    play.session.refused(503, {"server": "envoy"}, b"upstream connect error", play.now)
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.category, verdict.initiated_by) == (Outcome.REFUSED_BY_VENDOR, Category.NETWORK, Side.NETWORK)


def test_flux_healthy_ends_without_a_status() -> None:
    play = deepgram(FLUX).speaks(2.0).wait(0.2)
    play.hears(type="TurnInfo", request_id="d-1", event="EndOfTurn", turn_index=0, transcript="yes", audio_window_start=0.4,
               audio_window_end=2.0)
    report = play.says(type="CloseStream").vendor_closes(None).end()
    assert said(report) == (Outcome.OK, "normal", Side.CLIENT, Side.VENDOR)
    assert report.latency.result_lag_seconds_last == pytest.approx(0.2, abs=0.02)


def test_flux_cut() -> None:
    report = deepgram(FLUX).speaks(2.0).says(type="KeepAlive").vendor_closes(None).end()
    assert said(report) == (Outcome.ERROR, "1005_closed_early", Side.VENDOR, Side.VENDOR)


def test_assemblyai_healthy() -> None:
    play = assemblyai().speaks(2.0).wait(0.25)
    words = [{"text": "yes", "start": 480, "end": 1900}]
    for formatted in (False, True):
        play.hears(type="Turn", turn_order=0, turn_is_formatted=formatted, end_of_turn=True, transcript="yes", words=words)
    play.says(type="Terminate").hears(type="Termination", audio_duration_seconds=2, session_duration_seconds=3)
    report = play.vendor_closes(1000, "Session Ended").client_closes().end()
    assert said(report) == (Outcome.OK, "normal", Side.CLIENT, Side.VENDOR)
    assert (report.verdict.connection_id, report.latency.results, report.latency.finals) == ("a-1", 1, 1)
    assert report.latency.result_lag_seconds_last == pytest.approx(0.35, abs=0.02)


@pytest.mark.parametrize(("number", "text", "category"), [
    (3007, "Input Duration Error: Input Duration Violation: 20.0 ms. Expected between 50 and 1000 ms", Category.AUDIO_CHUNK),
    (3007, "Input Duration Error: Audio Transmission Rate Exceeded: Received 314.9 sec. audio in 1.3 sec", Category.AUDIO_PACING),
    (3006, "Session terminated due to inactivity: No messages received for 30 seconds", Category.IDLE_TIMEOUT),
    (1008, "Unauthorized Connection: Missing Authorization header", Category.AUTH),
    (3009, "Unauthorized Connection: Too many concurrent sessions", Category.CONCURRENCY_LIMIT),
])
@pytest.mark.parametrize("answer", ["close", "client", "drop"])
def test_assemblyai_errors_are_one_failure_however_they_end(number: int, text: str, category: Category, answer: str) -> None:
    play = assemblyai().speaks(0.5).hears(type="Error", error_code=number, error=text)
    if answer == "close":
        play.vendor_closes(number, FIXED).client_closes(number)
    elif answer == "client":
        play.client_closes().vendor_closes(number, FIXED)
    else:
        play.lost(Side.VENDOR, Transport.RESET)
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.category, verdict.initiated_by) == (Outcome.ERROR, category, Side.VENDOR)
    assert verdict.server_code == str(number)


def test_assemblyai_with_the_fixed_reason_alone_is_not_guessed() -> None:
    verdict = assemblyai().speaks(0.5).vendor_closes(3007, FIXED).end().verdict
    assert (verdict.code, verdict.category, verdict.owner) == ("unclassified", Category.UNCLASSIFIED, Owner.CLIENT)


def test_assemblyai_retired() -> None:
    verdict = Play(V3, vendor=packaged("assemblyai")).opened().vendor_closes(410, "Deprecated endpoint").end().verdict
    assert (verdict.category, verdict.close_code) == (Category.DEPRECATED, 410)


@pytest.mark.parametrize(("lasted", "outcome"), [(10800.0, Outcome.OK), (600.0, Outcome.ERROR)])
def test_assemblyai_expired(lasted: float, outcome: Outcome) -> None:
    text = "Session Expired: Maximum session duration exceeded"
    play = assemblyai().wait(lasted).hears(type="Error", error_code=3008, error=text).vendor_closes(3008, text)
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.category) == (outcome, Category.SESSION_EXPIRED)


# A gate


def test_the_report_says_what_was_done_to_the_traffic() -> None:
    play = Play(V1)
    gate = Gate(frozenset({Rule.PACE}), bounds(Rules.model_validate({"pace": {"lead_seconds": 0.5}}), Limits()),
                Meter(VENDOR.endpoints["v1"], play.session.request, None))
    play.session.gated(gate)
    play.opened()
    audio = frame(BINARY, bytes(3200), masked=True)  # a tenth of a second
    play.client(gate.feed(audio * 20, play.now))
    play.wait(0.5).client(gate.release(play.now))
    play.session.done.count(Rule.IDLE, Action.INJECTED)
    report = play.lost(Side.CLIENT).end()
    assert report.actions == {"pace.delayed": 5, "idle.injected": 1}
    assert (report.audio.read_seconds, report.audio.cut_seconds) == (2.0, 1.0)
    assert report.self_.gate_delay_seconds == 0.5
    assert report.as_dict()["actions"] == report.actions


def test_without_a_gate_nothing_was_done() -> None:
    report = Play(V1).opened().speaks(1).lost(Side.CLIENT).end()
    assert (report.actions, report.audio.cut_seconds, report.self_.gate_delay_seconds) == ({}, None, 0.0)
