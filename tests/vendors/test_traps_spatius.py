"""Spatius' traps: names that are not on the wire, numbers that collide, errors that end nothing, protobuf with secrets in it.

The vendor's own classifier is the oracle of the codes; of what they mean it is not, since it is wrong in places.
"""

from __future__ import annotations

import json
from itertools import product
from typing import Any, Final

import pytest
from spatius.avatar_session import AvatarSession

from proxy.core.exchange import Exchange
from proxy.core.report import Report
from proxy.core.vendor import Vendor
from proxy.core.verdict import Outcome, Side, Transport
from tests.core.playbook import BINARY, Play, frame
from tests.sdks import speech
from tests.spatius_proto import build

from .catalogue import COMMON, PROFILES, meaning, verdict

SPATIUS: Final = Vendor(PROFILES["spatius"], COMMON)
INGRESS: Final = "/v2/driveningress/websocket?id=avatar-1"

TEXTS: Final = (
    "", "Invalid session token", "empty token", "session token expired", "token has invalid claims: token is expired", "App ID mismatch",
    "appIDUnrecognized", "app id unrecognized: app-1", "Avatar not found", "Avatar not found: avatar-1", "session denied",
    "session denied: credits exhausted", "CREDITS EXHAUSTED", "session time limit reached", "Maximum session duration exceeded",
    "unsupported sample rate: 12345", "no audio input for 60s", "LiveKit silence timeout", "invalid livekit_egress: no room",
    "agora_egress: no token", "missing livekit credentials", "provide api_token or both api_key and api_secret",
    "egress client is not configured on server", "failed to create egress connection: timeout",
    "driven server returned non-200 status code: 503", "Driven server request failed: EOF",
    "expected ClientConfigureSession message, got 3", "ClientConfigureSession message is nil", "unexpected message type: 9",
    "failed to unmarshal initial message: proto: cannot parse", "something quite new",
)


def error(code: int, text: str = "", **ids: str) -> str:
    return build("error", **{"connection_id": "c-1", "req_id": "r-1", **ids}, code=code, message=text).hex()


def sdk(phase: str, status: int | None, code: str | None, text: str | None, title: str | None = None) -> str:
    said = AvatarSession._classify_error_code(phase=phase, http_status=status, server_code=code, title=title, detail=text).value
    return "unclassified" if said == "unknown" else str(said)


@pytest.mark.parametrize("number", [0, 2, 3, 5, 7, 8, 13, 14, 16, 321, 400, 404, 500, 503, 4001, 4002])
def test_the_code_of_a_server_error_is_the_sdks(number: int) -> None:
    for text in TEXTS:
        if number or text:
            got = verdict("spatius", frames_hex=(error(number, text),))
            expected = sdk("websocket_runtime", None, str(number), text)
            if number in (3, 14, 16, 4001, 4002) and words_say_more(text):
                continue
            assert got.code == expected, (number, text)


def words_say_more(text: str) -> bool:
    """The SDK looks at these numbers alone, also where the text names something else; here the text is heard."""
    return sdk("websocket_runtime", None, "0", text) != "serverError"


@pytest.mark.parametrize("status", [400, 401, 402, 404, 405, 409, 413, 422, 500, 502, 503, 504])
def test_the_code_of_a_refused_upgrade_is_the_sdks(status: int) -> None:
    for text in TEXTS:
        body = json.dumps({"message": text}) + "\n" if text else ""
        got = verdict("spatius", phase="websocket_connect", http_status=status, body=body)
        assert got.code == sdk("websocket_connect", status, None, text), (status, text)


@pytest.mark.parametrize(("status", "number"), [
    *product([400, 401, 402, 403, 404, 409, 422, 429, 500, 503], [None]), (401, "UNAUTHENTICATED"), (400, "INVALID_ARGUMENT"),
    (503, "UNAVAILABLE"),
])
def test_the_code_of_a_refused_token_is_the_sdks(status: int, number: str | None) -> None:
    for text in ("Something", "credits exhausted", "Unauthorized", "unauthorized: no such key"):
        if (text.lower().startswith("unauthorized") and status not in (401, 403)) or (number and text.startswith("credits")):
            continue
        entry = {"id": "7f2c", "status": str(status), "code": number, "title": "Refused", "detail": text}
        expected = sdk("session_token", status, number or "7f2c", text, "Refused")
        for sent in (status, 200):
            if sent == 200 and number:
                continue  # then the status is not looked at
            got = verdict("spatius", phase="session_token", http_status=sent, body=json.dumps({"errors": [entry]}))
            assert got.code == expected, (status, sent, number, text)


def test_a_token_that_nobody_understands_has_the_sdks_name_for_that() -> None:
    body = json.dumps({"errors": [{"id": "b3f1", "title": "Something new"}]})
    assert sdk("session_token", 200, "b3f1", None, "Something new") == "unclassified"
    assert " ".join(meaning("spatius", phase="session_token", http_status=200, body=body)) == "unclassified unknown after_fix"


SEEN: Final[list[tuple[dict[str, Any], str]]] = [
    # Where the SDK's name misleads: what it is really about.
    ({"phase": "session_token", "http_status": 401, "body": '{"errors":[{"title":"Unauthorized"}]}'}, "auth operator after_fix"),
    ({"phase": "session_token", "http_status": 403, "body": '{"errors":[{"title":"unauthorized"}]}'}, "permission operator after_fix"),
    ({"phase": "session_token", "http_status": 429}, "rate_limit operator backoff"),
    ({"phase": "session_token", "http_status": 503, "body": '{"errors":[{"code":"UNAVAILABLE"}]}'}, "unavailable vendor backoff"),
    ({"http_status": 404, "body": '{"message":"Avatar not found"}'}, "config_not_found operator after_fix"),
    ({"http_status": 404, "body": '{"message":"AVATAR NOT FOUND: 1b2c"}\n'}, "config_not_found operator after_fix"),
    ({"http_status": 404}, "config_not_found operator after_fix"),
    ({"http_status": 400, "body": '{"message":"Bad Request"}\n'}, "auth operator after_fix"),
    ({"http_status": 400, "body": '{"message":"missing id"}\n'}, "invalid_request unknown after_fix"),
    ({"http_status": 401}, "auth operator after_fix"),
    ({"http_status": 402, "body": '{"message":"session denied: too many concurrent sessions"}'}, "concurrency_limit operator backoff"),
    ({"http_status": 503, "body": '{"message":"Service Unavailable"}'}, "unavailable vendor backoff"),
    ({"http_status": 500, "body": '{"message":"Internal Server Error"}'}, "upstream_error vendor backoff"),
    # Not the vendor's word at all.
    ({"http_status": 502, "body": "<html><title>502 Bad Gateway</title>"}, "unavailable unknown backoff"),
    ({"http_status": 503, "body": "no healthy upstream"}, "unavailable unknown backoff"),
    ({"http_status": 403, "body": "<html><title>Access denied</title>"}, "unclassified unknown after_fix"),
    # One number as a close code and as that of an error; and what others mean by it.
    ({"close_code": 4001}, "billing operator after_fix"),
    ({"frames_hex": (error(4001),)}, "billing operator after_fix"),
    ({"frames_hex": (error(4001, "Credits exhausted"),), "close_code": 1000}, "billing operator after_fix"),
    ({"close_code": 4002}, "session_expired client immediate"),
    ({"close_code": 4003}, "concurrency_limit operator backoff"),
    ({"close_code": 4010}, "auth operator after_fix"),
    ({"close_code": 4503}, "unavailable vendor backoff"),
    ({"close_code": 4001, "ended_by": Side.CLIENT}, "unclassified client after_fix"),
    ({"close_code": 4004}, "unclassified unknown after_fix"),
    # gRPC's numbers: the words beside them are heard where they say more than the number.
    ({"frames_hex": (error(16, "unauthorized"),)}, "auth operator after_fix"),
    ({"frames_hex": (error(16, "session token expired"),)}, "auth operator after_fix"),
    ({"frames_hex": (error(14, "credits exhausted"),)}, "billing operator after_fix"),
    ({"frames_hex": (error(3, "unsupported sample rate: 11025"),)}, "invalid_request client after_fix"),
    ({"frames_hex": (error(3, "room_name of livekit is empty"),)}, "invalid_request client after_fix"),
    ({"frames_hex": (error(13, "boom"),)}, "upstream_error vendor backoff"),
    ({"frames_hex": (error(8, "quota"),)}, "rate_limit operator backoff"),
    # Nobody is accused of what nobody knows.
    ({"frames_hex": (error(321, "server boom"),)}, "unclassified unknown after_fix"),
    ({"frames_hex": (error(0, "something quite new"),), "close_code": 1011}, "unclassified unknown after_fix"),
    ({"frames_hex": (error(-1),)}, "unclassified unknown after_fix"),
    ({"frames_hex": (error(321, "x"),), "close_code": 4001}, "billing operator after_fix"),
    # A text message during the handshake is an answer in the vendor's place.
    ({"frames": ("Failed during websocket handshake: expected binary protobuf message",)}, "protocol unknown after_fix"),
    ({"frames_hex": (error(0, "unexpected message type: text"),)}, "protocol client after_fix"),
    # What an application's log has, with the SDK's words around it.
    ({"frames": ("creditsExhausted: Avatar session error: Credits exhausted (server code 4001)",)}, "billing operator after_fix"),
    ({"frames": ("connectionClosed: WebSocket connection closed unexpectedly (code 4003: busy)",)}, "concurrency_limit operator backoff"),
    ({"frames": ("connectionClosed: WebSocket connection closed unexpectedly (code 1012)",)}, "unavailable vendor immediate"),
    ({"frames": ("invalidEgressConfig: Failed to create session token (HTTP 401): Unauthorized",)}, "auth operator after_fix"),
    ({"frames": ("invalidRequest: Failed to create session token (HTTP 429): Too Many Requests",)}, "rate_limit operator backoff"),
    # Below WebSocket.
    ({"transport": Transport.DNS}, "network network backoff"),
    ({"transport": Transport.RESET, "ended_by": Side.NETWORK}, "network network immediate"),
    ({"transport": Transport.EOF, "ended_by": Side.CLIENT}, "network client immediate"),
    ({"close_code": 1011, "close_reason": "keepalive ping timeout", "ended_by": Side.CLIENT}, "idle_timeout client immediate"),
    ({"close_code": 1001}, "unavailable vendor immediate"),
    ({"close_code": 1000}, "normal none never"),
]


@pytest.mark.parametrize(("facts", "expected"), SEEN)
def test_what_was_seen_is_read_right(facts: dict[str, Any], expected: str) -> None:
    assert " ".join(meaning("spatius", **facts)) == expected


def test_the_same_numbers_of_other_vendors() -> None:
    assert {meaning(vendor, close_code=4001)[0] for vendor in ("spatius", "nextevi", "assemblyai")} >= {"billing", "auth"}
    assert meaning(frames_hex=(error(4001),))[0] == "billing"


# Sessions

VOICE: Final = speech(0.1)


class Call(Play):
    """Spatius' side speaks protobuf."""

    def __init__(self, path: str = INGRESS) -> None:
        super().__init__(path, {"x-session-key": "key"}, SPATIUS)
        self.opened()

    def sends(self, kind: str, **fields: Any) -> Call:
        self.client(frame(BINARY, build(kind, **fields), masked=True))
        return self

    def tells(self, kind: str, **fields: Any) -> Call:
        self.vendor(frame(BINARY, build(kind, **fields)))
        return self

    def begun(self, **configure: Any) -> Call:
        return self.sends("configure", **{"sample_rate": 16000, **configure}).tells("confirm", connection_id="c-1")

    def spoken(self, chunks: int = 10, req: str = "r-1", end: bool = True) -> Call:
        for _ in range(chunks):
            self.wait(0.1)
            self.sends("audio", req_id=req, audio=VOICE).tells("animation", connection_id="c-1", req_id=req, animation=b"x")
        if end:
            self.sends("audio", req_id=req, end=True).tells("animation", connection_id="c-1", req_id=req, end=True)
        return self

    def failed(self, code: int = 0, text: str = "driven server request failed", req: str = "r-1") -> Call:
        return self.tells("error", connection_id="c-1", req_id=req, code=code, message=text)


def result(report: Report) -> tuple[Any, ...]:
    v = report.verdict
    return v.outcome, v.code, v.initiated_by, v.ended_by


def test_replies_on_one_socket_and_a_close_without_a_goodbye() -> None:
    report = Call().begun().spoken().wait(20).spoken(req="r-2").client_closes().end()
    assert result(report) == (Outcome.OK, "normal", Side.CLIENT, Side.CLIENT)
    assert (report.verdict.connection_id, report.verdict.req_id) == ("c-1", "r-2")
    assert report.audio.read_seconds == pytest.approx(2.0)
    assert (report.latency.finals, report.inspection, report.facts) == (2, "full", [])


def test_the_end_told_twice_is_one() -> None:
    call = Call().begun().spoken()
    assert call.tells("animation", connection_id="c-1", req_id="r-1", end=True).client_closes().end().latency.finals == 1


def test_what_is_no_audio_in_a_frame_does_not_count() -> None:
    """Neither the ids, nor a trace, nor fields that the profile does not know."""
    call = Call().begun()
    trace = {"traceparent": "00-" + "a" * 32, "tracestate": "b" * 400}
    for _ in range(10):
        call.wait(0.1).sends("audio", req_id="20250101120000_abcdefghijkl", audio=VOICE, trace_context=trace)
    assert call.client_closes().end().audio.read_seconds == pytest.approx(1.0)


@pytest.mark.parametrize(("configure", "seconds"), [
    ({"sample_rate": 8000}, 2.0), ({"sample_rate": 48000}, 1 / 3), ({"audio_format": 1}, None), ({"sample_rate": 0}, None),
    ({"audio_format": 7}, None),
])
def test_the_rate_and_the_format_are_in_the_first_message(configure: dict[str, int], seconds: float | None) -> None:
    read = Call().begun(**configure).spoken().client_closes().end().audio.read_seconds
    assert read == (None if seconds is None else pytest.approx(seconds, abs=1e-3))


@pytest.mark.parametrize("close", [1000, 1001, 1011, None])
def test_an_error_that_was_the_last_word(close: int | None) -> None:
    """The SDK calls a close with 1000 or 1001 a success, also after an error."""
    report = Call().begun().spoken(end=False).failed().vendor_closes(close).end()
    assert result(report) == (Outcome.ERROR, "upstreamError", Side.VENDOR, Side.VENDOR)
    assert (report.verdict.server_code, report.verdict.server_detail) == (None, "driven server request failed")


def test_an_error_that_the_client_leaves_for() -> None:
    report = Call().begun().spoken(end=False).failed().wait(0.01).client_closes().end()
    assert result(report) == (Outcome.ERROR, "upstreamError", Side.VENDOR, Side.CLIENT)


def test_an_error_of_one_reply_is_a_warning() -> None:
    """And a later close means what it means by itself."""
    call = Call().begun().spoken(end=False).failed().spoken(req="r-2")
    assert call.session.warnings == {"server-error": 1}
    assert result(call.client_closes().end()) == (Outcome.OK, "normal", Side.CLIENT, Side.CLIENT)
    cut = Call().begun().failed().spoken(req="r-2").vendor_closes(4001, "credits exhausted").end()
    assert result(cut) == (Outcome.ERROR, "creditsExhausted", Side.VENDOR, Side.VENDOR)


def test_the_failing_request_not_the_last_one() -> None:
    report = Call().begun().spoken().sends("audio", req_id="r-2", audio=VOICE).failed(req="r-1").vendor_closes(1011).end()
    assert (report.verdict.req_id, report.verdict.connection_id) == ("r-1", "c-1")


def test_refused_after_the_101() -> None:
    report = Call().sends("configure", sample_rate=16000, egress_type=1).failed(16, "unauthorized", req="").vendor_closes(1000).end()
    assert result(report) == (Outcome.ERROR, "invalidEgressConfig", Side.VENDOR, Side.VENDOR)
    assert report.ready_at is None


@pytest.mark.parametrize("data", [
    b"\x08\x04" + build("animation", req_id="r")[2:],  # type and field disagree
    b"\x08\x06\x3a\x00", b"\x08\x02", b"\x2a\x00", b"\xff\xff", b"{}", b"",
])
def test_what_is_no_message_is_left_alone(data: bytes) -> None:
    call = Call().begun()
    call.vendor(frame(BINARY, data)).client(frame(BINARY, data, masked=True))
    assert result(call.spoken().client_closes().end()) == (Outcome.OK, "normal", Side.CLIENT, Side.CLIENT)
    assert call.session.warnings == {}


def test_what_the_sibling_adds_changes_nothing() -> None:
    call = Call().sends("configure", sample_rate=16000).tells("confirm", connection_id="c-1", capability=["pause", "more"])
    call.spoken().sends("pause", req_id="r-1").tells("playback_state", connection_id="c-1", req_id="r-1", state=1, reason="explicit")
    report = call.sends("resume", req_id="r-1").client_closes().end()
    assert result(report) == (Outcome.OK, "normal", Side.CLIENT, Side.CLIENT)
    assert report.verdict.connection_id == "c-1"


def test_what_the_first_message_hides_is_nowhere() -> None:
    secrets = {"api_key": "SECRET-1", "api_secret": "SECRET-2", "api_token": "SECRET-3", "room_name": "SECRET-4"}
    call = Call(INGRESS + "&appId=app-1&sessionKey=SECRET-5").begun(egress_type=1, livekit_egress=secrets)
    report = call.failed(16, "unauthorized: token SECRET-3sEcReT99887766 of room").vendor_closes(1011).end()
    assert "SECRET" not in str(report)


@pytest.mark.parametrize(("status", "body", "code"), [
    (200, b'{"sessionToken":"t"}', None),
    (200, b'{"errors":[],"sessionToken":"t"}', None),
    (200, b'{"errors":[{"status":"401","title":"Nobody"}]}', "sessionTokenExpired"),
    (200, b'{"errors":[{"title":"Something new"}]}', "unclassified"),
    (401, b"", "sessionTokenExpired"),
    (500, b'{"errors":[{"title":"x"}]}', "serverError"),
])
@pytest.mark.parametrize("path", ["/v1/console/session-tokens", "/v1/auth/session-token"])
def test_a_token_that_comes_with_errors_has_failed(path: str, status: int, body: bytes, code: str | None) -> None:
    exchange = Exchange(SPATIUS, SPATIUS.route(path, "http"))
    exchange.answered(status, {}, body)
    told = exchange.verdict()
    assert (told.code if told is not None else None) == code
