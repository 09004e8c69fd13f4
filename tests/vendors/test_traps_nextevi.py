"""NextEVI's traps: names that look like close codes, one code with several meanings, ends that look like good ones, two forms of it all."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from proxy.core.audio import AudioFormat
from proxy.core.vendor import Vendor
from proxy.core.verdict import Outcome, Side, Transport
from tests.core.playbook import BINARY, Play, frame

from .catalogue import COMMON, PROFILES, meaning, vendors, verdict

KEY = "oak_" + "Ab1" * 12
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
VOICE = f"/ws/voice/voice_1795182809280_esdzj4v8z?api_key={KEY}&config_id=config-abc123&authorization=Bearer%20{JWT}"
HELLO = {"type": "connection_metadata", "connection_id": "conn-1", "status": "connected"}
TEXT = {"type": "transcription", "transcript": "hello", "is_final": False}

FORBIDDEN = "permission operator after_fix"
UNKNOWN_ID = "config_not_found operator after_fix"
TOO_MUCH = "rate_limit operator backoff"
NOT_TOLD = "unclassified operator after_fix"
EXPIRED = "session_expired client immediate"
IDLE = "idle_timeout client immediate"


def envelope(code: object, text: str = "x") -> str:
    return json.dumps({"type": "error", "timestamp": 1.5, "message_id": "e-1", "data": {"error_code": code, "error_message": text}})


def flat(code: object, text: str = "x") -> str:
    return json.dumps({"type": "error", "error_code": code, "error_message": text})


def plain(text: str) -> str:
    return json.dumps({"type": "error", "error": text})


SEEN: list[tuple[dict[str, Any], str]] = [
    # 4004: what the vendor calls it decides, wherever that stands and however it is written; without it nobody says.
    *(({"frames": (form(name),), "close_code": 4004}, expected) for form in (envelope, flat) for name, expected in [
        ("RATE_LIMITED", TOO_MUCH), ("rate_limited", TOO_MUCH), ("CONFIG_NOT_FOUND", UNKNOWN_ID), ("INVALID_PROJECT", UNKNOWN_ID),
        ("E_RATE_LIMITED", TOO_MUCH), ("config-not-found", UNKNOWN_ID), ("4004", NOT_TOLD), (4004, NOT_TOLD), ("SOMETHING", NOT_TOLD)]),
    *(({"close_code": 4004, "close_reason": reason}, expected) for reason, expected in [
        ("Rate limit exceeded", TOO_MUCH), ("Exceeded rate limits for connections", TOO_MUCH),
        ("RATE_LIMITED: 1000 messages per mi", TOO_MUCH),
        ("Too many connections", TOO_MUCH), ("Message limit reached", TOO_MUCH), ("Config not found", UNKNOWN_ID),
        ("config_id 'c-1' is not accessible", UNKNOWN_ID), ("Unknown project: p-1", UNKNOWN_ID), ("Invalid project_id", UNKNOWN_ID),
        ("Maximum concurrent sessions", "concurrency_limit operator backoff"), ("", NOT_TOLD), ("Not found", NOT_TOLD),
        ("Error", NOT_TOLD)]),
    ({"close_code": 4004, "frames": (plain("Rate limit exceeded"),)}, TOO_MUCH),
    ({"close_code": 4004, "frames": (plain("Config abc not found"),)}, UNKNOWN_ID),
    ({"http_status": 429}, TOO_MUCH),
    ({"http_status": 404}, UNKNOWN_ID),
    ({"http_status": 404, "body": '{"detail":"Not Found"}'}, UNKNOWN_ID),
    # Numbers from 5000 on: as the error's code, and as close codes that nobody may send.
    *(({place: value}, expected) for number, expected in [
        (5000, "upstream_error vendor backoff"), (5001, "audio_format client after_fix"), (5002, "audio_format client after_fix"),
        (5003, "audio_chunk client after_fix"), (5004, EXPIRED), (5005, "concurrency_limit operator backoff"),
        (5503, "unavailable vendor backoff")]
      for place, value in [("close_code", number), ("frames", (envelope(number),)), ("frames", (flat(str(number)),))]),
    # What clients see of them instead, with the error before it.
    ({"frames": (flat("SESSION_EXPIRED"),), "close_code": 1006}, EXPIRED),
    ({"frames": (flat("SESSION_EXPIRED"),), "close_code": 1002, "ended_by": Side.CLIENT}, EXPIRED),
    # One name, three causes.
    ({"close_code": 5004, "close_reason": "Inactivity timeout reached"}, IDLE),
    ({"frames": (envelope("SESSION_EXPIRED", "Server restart or maintenance"),)}, "unavailable vendor immediate"),
    # 1001 is a timeout by the page, and going away by WebSocket's rules.
    ({"close_code": 1001}, "unclassified unknown immediate"),
    ({"close_code": 1001, "close_reason": "Connection timed out"}, IDLE),
    ({"close_code": 1001, "close_reason": "Going away"}, "unavailable vendor immediate"),
    ({"close_code": 1001, "frames": (envelope("CONNECTION_TIMEOUT"),)}, IDLE),
    # The client's own close is nobody's error, nor the vendor's word.
    ({"close_code": 1001, "ended_by": Side.CLIENT}, "normal none never"),
    ({"close_code": 4004, "ended_by": Side.CLIENT}, "unclassified client after_fix"),
    ({"close_code": 1011, "close_reason": "keepalive ping timeout"}, IDLE),
    ({"close_code": 1000, "close_reason": "User initiated disconnect", "ended_by": Side.CLIENT}, "normal none never"),
    # Who may come in.
    ({"close_code": 4001}, "auth operator after_fix"),
    ({"close_code": 4001, "close_reason": "Unauthorized"}, "auth operator after_fix"),
    ({"close_code": 4003}, FORBIDDEN),
    ({"http_status": 403, "body": '{"detail":"Forbidden"}'}, FORBIDDEN),
    ({"close_code": 4003, "close_reason": "Account suspended: billing"}, "billing operator after_fix"),
    ({"http_status": 401, "body": '{"detail":{"error_code":"AUTH_FAILED","error_message":"no"}}'}, "auth operator after_fix"),
    ({"http_status": 503, "body": "Service Unavailable"}, "unavailable vendor backoff"),
    ({"http_status": 503, "body": "<html><title>503</title></html>"}, "unavailable unknown backoff"),
    # The name stands above the words around it, which speak of something else.
    ({"frames": (flat("RATE_LIMITED", "Rate limit of project p-1, config c-1"),), "close_code": 4004}, TOO_MUCH),
    ({"frames": (envelope("INTERNAL_ERROR", "Connection timed out: rate limited"),), "close_code": 1011}, "upstream_error vendor backoff"),
    ({"frames": (envelope("AUDIO_PROCESSING_FAILED", "Internal server error"),)}, "audio_format client after_fix"),
    ({"close_code": 4001, "close_reason": "JWT token missing required claims"}, "auth operator after_fix"),
    ({"close_code": 4002, "close_reason": "Invalid connection parameters"}, "invalid_request client after_fix"),
    # Texts that only stand in for a missing one.
    ({"frames": (plain("Unknown error"),), "close_code": 4004}, NOT_TOLD),
    ({"frames": (plain("Unknown error"),)}, "unclassified unknown after_fix"),
    # Errors elsewhere than where either form has them.
    ({"frames": ('{"type":"error","error":{"code":"RATE_LIMITED","message":"x"}}',)}, TOO_MUCH),
    ({"frames": ('{"error_code":"AUTH_FAILED","error_message":"x"}',)}, "auth operator after_fix"),
    # Ends that look like good ones.
    ({"frames": ('{"type":"system_message","content":"Bye","message_type":"hangup"}',), "close_code": 1000}, IDLE),
    ({"frames": ('{"type":"system_message","content":"Hi","message_type":"initial"}',), "close_code": 1000}, "normal none never"),
    ({"frames": ('{"type":"websocket.disconnect","code":1011,"reason":""}',)}, "upstream_error vendor backoff"),
    ({"frames": ('{"type":"websocket.disconnect","code":1000,"reason":""}',)}, "normal none never"),
]


@pytest.mark.parametrize(("facts", "expected"), SEEN)
def test_what_may_be_seen_is_read_right(facts: dict[str, Any], expected: str) -> None:
    assert " ".join(meaning("nextevi", **facts)) == expected


@pytest.mark.parametrize("error", [envelope("RATE_LIMITED"), flat("RATE_LIMITED"), plain("Exceeded rate limits for connections")])
def test_a_message_tells_the_vendor(error: str) -> None:
    assert vendors(frames=(error,), close_code=4004) == ["nextevi"]
    got = verdict(frames=(error,), close_code=4004)
    assert (got.vendor, got.code, got.initiated_by) == ("nextevi", "RATE_LIMITED", Side.VENDOR)


def play(path: str = VOICE, **headers: str) -> Play:
    return Play(path, headers, vendor=Vendor(PROFILES["nextevi"], COMMON)).opened()


def audio(samples: int, loud: bool = True) -> bytes:
    return frame(BINARY, (b"\0\x40" if loud else b"\0\0") * samples, masked=True)


class TestSession:
    def test_both_forms_of_audio_and_of_settings_are_timed_alike(self) -> None:
        pcm = b"\0\x40" * 2400
        held = {"timestamp": 1.5, "message_id": "a", "data": {"audio": base64.b64encode(pcm).decode(), "chunk_id": "c"}}
        documented = play().says(type="session_settings", data={"audio": {"sample_rate": 24000, "channels": 1, "encoding": "linear16"}})
        documented.says(type="audio_input", **held)
        of_the_sdks = play().says(type="session_settings", sample_rate=24000, channels=1, encoding="linear16").client(audio(2400))
        undeclared = play().says(type="audio_input", audio=base64.b64encode(pcm).decode())
        for one in (documented, of_the_sdks, undeclared):
            assert one.session.audio_format == AudioFormat("pcm_s16le", 24000)
            assert one.session.audio.read == pytest.approx(0.1)
            assert one.session.clock.chunks == 1

    def test_what_is_declared_counts(self) -> None:
        session = play().says(type="session_settings", sample_rate=48000, channels=2, encoding="pcm").client(audio(9600)).session
        assert session.audio_format == AudioFormat("pcm_s16le", 48000, 2)
        assert session.audio.read == pytest.approx(0.1)

    def test_the_id_is_the_paths_and_no_key_comes_out(self) -> None:
        report = play().hears(type="error", error=f"Invalid API key {KEY}, Bearer {JWT}").vendor_closes(4001, f"bad {KEY}").end()
        assert report.verdict.connection_id == "voice_1795182809280_esdzj4v8z"
        assert report.verdict.code == "AUTH_FAILED"
        assert KEY not in str(report)
        assert JWT not in str(report)

    def test_ready_by_its_hello_in_either_form(self) -> None:
        assert play().session.ready_at is None
        for hello in (HELLO, {"type": "connection_metadata", "data": {"connection_id": "conn-1"}}):
            assert play().wait(1).hears(**hello).session.ready_at == 101.0

    def test_an_illegal_close_is_reported_as_it_was(self) -> None:
        report = play().hears(**HELLO).vendor_closes(5004, "").end()
        assert report.vendor_close is not None
        assert (report.vendor_close.code, report.verdict.code, report.verdict.category) == (5004, "SESSION_EXPIRED", "session_expired")

    def test_the_full_length_is_a_good_end(self) -> None:
        short = play().hears(**HELLO).wait(600).hears(**json.loads(envelope("SESSION_EXPIRED"))).vendor_closes(5004).end()
        full = play().hears(**HELLO).wait(3600).hears(**json.loads(envelope("SESSION_EXPIRED"))).vendor_closes(5004).end()
        assert (short.verdict.outcome, full.verdict.outcome) == (Outcome.ERROR, Outcome.OK)

    def test_a_disconnect_in_a_message_is_the_end_without_a_close_frame(self) -> None:
        told = {"type": "websocket.disconnect", "code": 4004, "reason": "Rate limit exceeded"}
        verdict = play().hears(**HELLO).hears(**told).lost(Side.VENDOR, Transport.EOF).end().verdict
        assert (verdict.code, verdict.outcome, verdict.initiated_by) == ("RATE_LIMITED", Outcome.ERROR, Side.VENDOR)

    def test_a_hang_up_is_no_good_end(self) -> None:
        call = play().hears(**HELLO).hears(type="idle_warning", time_remaining=5)
        call.hears(type="system_message", content="Bye", message_type="hangup").hears(type="tts_chunk", content="")
        verdict = call.vendor_closes(1000).end().verdict
        assert (verdict.code, verdict.category, verdict.outcome) == ("IDLE_TIMEOUT_HANGUP", "idle_timeout", Outcome.ERROR)

    @pytest.mark.parametrize(
        "error", [envelope("AUDIO_PROCESSING_FAILED"), flat("AUDIO_PROCESSING_FAILED"), plain("Failed to process audio chunk")])
    def test_an_error_that_the_session_outlives_is_a_warning(self, error: str) -> None:
        went_on = play().hears(**HELLO).hears(**json.loads(error)).hears(**TEXT).client_closes().end()
        last = play().hears(**HELLO).hears(**json.loads(error)).hears(type="tts_chunk", content="").vendor_closes(5001).end()
        assert (went_on.verdict.outcome, went_on.verdict.code) == (Outcome.OK, "normal")
        assert (last.verdict.outcome, last.verdict.code) == (Outcome.ERROR, "AUDIO_PROCESSING_FAILED")

    def test_the_client_just_leaves(self) -> None:
        verdict = play().hears(**HELLO).client(audio(2400)).client_closes(1000).end().verdict
        assert (verdict.outcome, verdict.code, verdict.initiated_by) == (Outcome.OK, "normal", Side.CLIENT)

    def test_silent_frames_that_are_left_out_stall_nothing(self) -> None:
        call = play().hears(**HELLO)
        for _ in range(4):
            for _ in range(20):
                call.wait(0.1).client(audio(2400))
            call.hears(**TEXT).tick()
            for _ in range(6):
                call.wait(1.0).tick()
        report = call.client_closes().end()
        assert (report.facts, report.verdict.outcome) == ([], Outcome.OK)
        assert report.audio.gap_seconds_max == pytest.approx(6.1)
        assert report.audio.silent_seconds == 0.0
