"""The traps: claims that are easily read wrong, in the wordings in which they were seen."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.verdict import Outcome, Side, Transport

from .catalogue import meaning, vendors, verdict

FIXED = "See Error message for details"
NET0001 = "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001"
NET0000 = "Deepgram did not provide a response message within the timeout window. See https://dpgr.am/net0000"
FLUX = "/v2/listen"
PING = "keepalive ping timeout"
CHUNK = "Input Duration Violation: 20.0 ms. Expected between 50 and 1000 ms"
RATE = "Audio Transmission Rate Exceeded: Received 314.9 sec. audio in 1.3 sec"
PAGE = "<html><head><title>Sorry</title></head></html>"
EMPTY = '{"type":"Metadata","duration":0,"channels":0}'
CLIENT = Side.CLIENT
EARLY = [
    ("Session Expired: Maximum session duration exceeded", "session_expired client immediate"),
    ("Input duration violation: 20 ms. Expected between 50 and 1000 ms", "audio_chunk client after_fix"),
    ("Invalid Message Type: Stop", "protocol client after_fix"),
    ("Invalid JSON: {", "protocol client after_fix"),
    ("Invalid Message: []", "protocol client after_fix"),
    ("Audio Transmission Rate Exceeded: Received 12.5 sec. audio in 3.0 sec", "audio_pacing client after_fix"),
    ("Session Cancelled: An error occurred", "upstream_error vendor backoff"),
]


def error(code: int | None, text: str) -> str:
    number = "" if code is None else f'"error_code":{code},'
    return f'{{"type":"Error",{number}"error":"{text}"}}'


SEEN: list[tuple[str, dict[str, Any], str]] = [
    # Prose on the wire instead of the documented payload, in any case, cut, or with what libraries wrap around it.
    ("deepgram", {"close_code": 1011, "close_reason": NET0001}, "idle_timeout client immediate"),
    ("deepgram", {"close_code": 1011, "close_reason": NET0001.upper()}, "idle_timeout client immediate"),
    ("deepgram", {"close_code": 1011, "close_reason": NET0001[:60]}, "idle_timeout client immediate"),
    ("deepgram", {"close_code": 1011, "close_reason": "net-0001"}, "idle_timeout client immediate"),
    ("deepgram", {"close_code": 1011, "close_reason": f"received 1011 (internal error) {NET0001}"}, "idle_timeout client immediate"),
    # Nothing transcribed may be Deepgram's fault or the audio's: nobody is accused.
    ("deepgram", {"close_code": 1011, "close_reason": NET0000}, "upstream_error unknown backoff"),
    ("deepgram", {"close_code": 1011}, "unclassified unknown after_fix"),
    ("deepgram", {"close_code": 1011, "close_reason": "An internal server error occurred."}, "upstream_error vendor backoff"),
    # A client's own close is never the vendor's word.
    ("deepgram", {"close_code": 1011, "close_reason": PING, "ended_by": CLIENT}, "idle_timeout client immediate"),
    ("deepgram", {"close_code": 1011, "close_reason": PING}, "idle_timeout client immediate"),
    ("deepgram", {"close_code": 1011, "ended_by": CLIENT}, "unclassified client after_fix"),
    ("deepgram", {"close_code": 1008, "close_reason": "DATA-0000", "ended_by": CLIENT}, "unclassified client after_fix"),
    ("assemblyai", {"close_code": 1011, "close_reason": PING, "ended_by": CLIENT}, "idle_timeout client immediate"),
    ("assemblyai", {"close_code": 1008, "ended_by": CLIENT}, "unclassified client after_fix"),
    ("assemblyai", {"close_code": 1002, "ended_by": CLIENT}, "protocol client after_fix"),
    ("assemblyai", {"close_code": 4000, "ended_by": CLIENT}, "unclassified client after_fix"),
    # ... and where the client closes because of an error frame, the frame is the cause.
    ("assemblyai", {"frames": (error(3005, "Session Cancelled: An error occurred"),), "close_code": 1000, "ended_by": CLIENT},
     "upstream_error vendor backoff"),
    ("assemblyai", {"frames": (error(3999, "Something new"),), "close_code": 1000, "ended_by": CLIENT}, "unclassified unknown after_fix"),
    # One code, several causes: the text decides, and without a text only what they share is said.
    ("assemblyai", {"frames": (error(3007, f"Input Duration Error: {CHUNK}"),),
                    "close_code": 3007, "close_reason": FIXED}, "audio_chunk client after_fix"),
    ("assemblyai", {"frames": (error(3007, f"Input Duration Error: {RATE}"),),
                    "close_code": 3007, "close_reason": FIXED}, "audio_pacing client after_fix"),
    ("assemblyai", {"close_code": 3007, "close_reason": FIXED}, "unclassified client after_fix"),
    ("assemblyai", {"close_code": 3006, "close_reason": FIXED}, "unclassified client after_fix"),
    ("assemblyai", {"frames": (error(3006, "Something quite new"),)}, "unclassified client after_fix"),
    ("assemblyai", {"frames": (error(3006, "Session terminated due to inactivity: No messages received for 5 seconds"),)},
     "idle_timeout client immediate"),
    ("assemblyai", {"frames": (error(3006, "User Input Validation Error: Invalid JSON: balance"),)}, "protocol client after_fix"),
    ("assemblyai", {"frames": (error(3006, "User Input Validation Error: Failed to decode Opus packet: [Errno 1094995529]"),)},
     "audio_format client after_fix"),
    ("assemblyai", {"frames": (error(3006, "Invalid 'keyterms_prompt': at most 100 terms"),)}, "invalid_request client after_fix"),
    ("assemblyai", {"close_code": 1008, "close_reason": FIXED}, "unclassified operator after_fix"),
    ("assemblyai", {"frames": (error(1008, "Unauthorized Connection: please contact support"),)}, "unclassified operator after_fix"),
    ("assemblyai", {"frames": (error(1008, "Insufficient account balance"),)}, "billing operator after_fix"),
    ("assemblyai", {"frames": (error(1008, "Account temporarily disabled"),)}, "permission operator after_fix"),
    ("assemblyai", {"frames": (error(1008, "Signature has expired"),)}, "auth operator after_fix"),
    ("assemblyai", {"close_code": 1008, "close_reason": "Unauthorized connection: Incorrect padding"}, "auth unknown backoff"),
    # A rate limit that calls itself concurrency, with either code, or none.
    *(("assemblyai", {"frames": (error(code, f"Unauthorized {word}: Too many concurrent sessions"),)}, "concurrency_limit operator backoff")
      for code in (1008, 3009, None) for word in ("Connection", "connection")),
    # Early v3 said 3005 for everything.
    ("assemblyai", {"frames": (error(3005, CHUNK),)}, "audio_chunk client after_fix"),
    ("assemblyai", {"close_code": 3005}, "upstream_error vendor backoff"),
    ("assemblyai", {"close_code": 410}, "deprecated operator after_fix"),
    ("deepgram", {"close_code": 410}, "unclassified unknown after_fix"),
    ("assemblyai", {"close_code": 5004}, "unclassified unknown after_fix"),
    # ... for each with the text that later had a code of its own.
    *(("assemblyai", {"close_code": 3005, "close_reason": text}, expected) for text, expected in EARLY),
    # What Python's websockets makes of a close: the code's name in brackets is nobody's word.
    *((vendor, {"close_reason": f"sent 1011 ({name} error) {PING}; no close frame received", **code}, "idle_timeout client immediate")
      for vendor in ("deepgram", "assemblyai") for name in ("internal", "unexpected") for code in ({}, {"close_code": 1011})),
    ("deepgram", {"close_reason": "received 1011 (internal error); then sent 1011 (internal error)"}, "unclassified unknown after_fix"),
    ("deepgram", {"close_reason": "received 1000 (OK); then sent 1000 (OK)"}, "normal none never"),
    ("deepgram", {"close_reason": f"received 1011 (internal error) {NET0001}; then sent 1011 (internal error) {NET0001}"},
     "idle_timeout client immediate"),
    ("assemblyai", {"close_reason": f"received 3008 (registered) {FIXED}; then sent 3008 (registered) {FIXED}"},
     "session_expired client immediate"),
    ("assemblyai", {"close_reason": "sent 1000 (OK); then received 1000 (OK)"}, "normal none never"),
    ("deepgram", {"close_reason": "no close frame received or sent"}, "network network immediate"),
    # Clean closes that are failures, and bare ones that are none.
    ("deepgram", {"frames": (EMPTY,), "close_code": 1000}, "audio_format client after_fix"),
    ("deepgram", {"frames": (EMPTY,), "close_code": 1000, "audio_sent": False}, "normal none never"),
    ("deepgram", {"frames": ('{"type":"Metadata","duration":4.2,"channels":1}',), "close_code": 1000}, "normal none never"),
    ("deepgram", {"path": FLUX, "frames": ('{"type":"CloseStream"}',), "close_code": 1005}, "normal none never"),
    ("deepgram", {"path": FLUX, "close_code": 1005}, "unclassified unknown after_fix"),
    ("assemblyai", {"close_code": 1000, "close_reason": "Session Ended"}, "normal none never"),
    # Refusals: both body shapes, only the header, only the status; and what did not come from Deepgram at all.
    ("deepgram", {"http_status": 401, "body": '{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials."}'}, "auth operator after_fix"),
    ("deepgram", {"http_status": 401, "body": '{"category":"INVALID_AUTH","message":"Invalid credentials."}'}, "auth operator after_fix"),
    ("deepgram", {"http_status": 401, "headers": {"DG-Error": "Invalid credentials."}}, "auth operator after_fix"),
    ("deepgram", {"http_status": 401}, "auth operator after_fix"),
    ("deepgram", {"http_status": 400, "body": '{"err_code":"BAD_REQUEST","err_msg":"Invalid credentials."}'}, "auth operator after_fix"),
    ("deepgram", {"http_status": 400}, "invalid_request client after_fix"),
    ("deepgram", {"http_status": 402}, "billing operator after_fix"),
    ("deepgram", {"http_status": 429}, "concurrency_limit operator backoff"),
    ("deepgram", {"http_status": 503}, "unavailable vendor backoff"),
    ("deepgram", {"http_status": 502, "headers": {"dg-request-id": "a"}}, "unavailable vendor backoff"),
    ("deepgram", {"http_status": 503, "headers": {"server": "envoy"}}, "network network backoff"),
    ("deepgram", {"http_status": 401, "headers": {"via": "1.1 squid"}, "body": "<!DOCTYPE html>"}, "network network backoff"),
    ("deepgram", {"http_status": 403, "headers": {"server": "x"}, "body": '{"message":"Forbidden"}'}, "network network backoff"),
    ("assemblyai", {"http_status": 401, "body": '{"error":"Authentication error"}'}, "auth operator after_fix"),
    # A page in front of a vendor whose own answers bear no sign: nobody is accused.
    *(("assemblyai", {"http_status": status, "body": PAGE}, "unavailable unknown backoff") for status in (502, 503, 504)),
    ("assemblyai", {"http_status": 500, "headers": {"server": "nginx"}, "body": PAGE}, "unclassified unknown backoff"),
    ("assemblyai", {"http_status": 429, "body": PAGE}, "unclassified unknown backoff"),
    *(("assemblyai", {"http_status": status, "body": PAGE}, "unclassified unknown after_fix") for status in (400, 401, 402, 403, 404)),
    ("assemblyai", {"http_status": 503, "body": "no healthy upstream"}, "unavailable unknown backoff"),
    ("assemblyai", {"http_status": 511, "body": PAGE}, "network operator after_fix"),
    ("deepgram", {"http_status": 502, "headers": {"dg-request-id": "a"}, "body": PAGE}, "unavailable vendor backoff"),
    ("deepgram", {"http_status": 502, "body": PAGE}, "network network backoff"),
    ("assemblyai", {"http_status": 422, "body": '{"detail":[{"msg":"Field required"}]}'}, "invalid_request client after_fix"),
    # Below WebSocket.
    ("deepgram", {"transport": Transport.RESET, "ended_by": Side.NETWORK}, "network network immediate"),
    ("deepgram", {"transport": Transport.EOF, "ended_by": CLIENT}, "network client immediate"),
    ("deepgram", {"transport": Transport.TIMEOUT}, "network network backoff"),
    ("deepgram", {"close_code": 1006}, "network network immediate"),
    ("deepgram", {"close_code": 1001}, "unavailable vendor immediate"),
    ("assemblyai", {"close_code": 1012}, "unavailable vendor immediate"),
    ("assemblyai", {"close_code": 1013}, "unavailable vendor backoff"),
]


@pytest.mark.parametrize(("vendor", "facts", "expected"), SEEN)
def test_what_was_seen_is_read_right(vendor: str, facts: dict[str, Any], expected: str) -> None:
    assert " ".join(meaning(vendor, **facts)) == expected


def test_the_fixed_reason_adds_nothing_to_the_frame() -> None:
    frame = error(3007, "Input Duration Error: Input Duration Violation: 20.0 ms. Expected between 50 and 1000 ms")
    with_close = verdict("assemblyai", frames=(frame,), close_code=3007, close_reason=FIXED)
    alone = verdict("assemblyai", frames=(frame,))
    assert with_close.rule == alone.rule == "chunk"
    assert with_close.close_reason == FIXED
    assert with_close.server_code == "3007"


def test_a_warning_does_not_make_a_good_end_bad() -> None:
    warning = '{"type":"Error","variant":"SchemaError","description":"unknown variant","message":"secret words of the client"}'
    ended = verdict("deepgram", path="/v1/listen", frames=(warning,), close_code=1000)
    alone = verdict("deepgram", path="/v1/listen", frames=(warning,))
    assert (ended.code, ended.outcome) == ("normal", Outcome.OK)
    assert (alone.code, alone.category) == ("SchemaError", "protocol")
    assert "secret" not in str(alone.as_dict())


@pytest.mark.parametrize("code", [1008, 1011])
def test_a_number_that_vendors_share_names_none_of_them(code: int) -> None:
    assert {"assemblyai", "deepgram"} <= set(vendors(close_code=code))
    assert meaning(close_code=code) == ("unclassified", "unknown", "after_fix")


@pytest.mark.parametrize(("facts", "vendor"), [
    ({"close_code": 1011, "close_reason": NET0001}, "deepgram"),
    ({"close_code": 1008, "close_reason": "Unauthorized Connection: Invalid API key"}, "assemblyai"),
    ({"close_code": 3007}, "assemblyai"),
    ({"http_status": 401, "headers": {"dg-request-id": "a"}}, "deepgram"),
    ({"frames": ('{"type":"Error","sequence_id":1,"code":"INTERNAL_SERVER_ERROR","description":"x"}',)}, "deepgram"),
    ({"frames": (error(None, "Unauthorized Connection: Too many concurrent sessions"),)}, "assemblyai"),
    ({"frames": (error(3008, "Session Expired: Maximum session duration exceeded"),)}, "assemblyai"),
])
def test_words_and_frames_tell_the_vendor(facts: dict[str, Any], vendor: str) -> None:
    assert vendors(**facts) == [vendor]
    assert verdict(**facts).vendor == vendor


def test_what_all_fits_share_is_said_without_a_vendor() -> None:
    got = verdict(http_status=401)
    assert (got.vendor, got.code, got.category, got.owner, got.retry) == (None, "unclassified", "auth", "operator", "after_fix")


@pytest.mark.parametrize(("status", "expected"), [(503, "unclassified unknown backoff"), (403, "unclassified unknown after_fix")])
def test_a_page_tells_no_vendor(status: int, expected: str) -> None:
    assert {"assemblyai", "deepgram"} <= set(vendors(http_status=status, body=PAGE))
    assert " ".join(meaning(http_status=status, body=PAGE)) == expected


def test_who_gave_a_page_is_not_known() -> None:
    got = verdict("assemblyai", http_status=502, body=PAGE)
    assert (got.initiated_by, got.ended_by, got.outcome) == (Side.UNKNOWN, Side.UNKNOWN, Outcome.REFUSED_BY_VENDOR)


@pytest.mark.parametrize(("facts", "expected"), [
    ({"close_code": 1011, "close_reason": "Internal error"}, "upstream_error vendor backoff"),
    ({"http_status": 429, "body": '{"message":"Too Many Requests"}'}, "unclassified operator backoff"),
    ({"http_status": 401, "body": '{"message":"Unauthorized"}'}, "auth operator after_fix"),
    ({"http_status": 402, "body": "Payment Required"}, "billing operator after_fix"),
    ({"http_status": 404, "body": '{"detail":"Not Found"}'}, "config_not_found operator after_fix"),
])
def test_words_that_anybody_uses_tell_no_vendor(facts: dict[str, Any], expected: str) -> None:
    assert {"assemblyai", "deepgram"} <= set(vendors(**facts))
    assert " ".join(meaning(**facts)) == expected


def test_an_exception_is_told_apart_into_who_and_what() -> None:
    got = verdict("deepgram", frames=(f"ConnectionClosedError: sent 1011 (internal error) {PING}; no close frame received",))
    assert (got.code, got.close_code, got.close_reason, got.initiated_by, got.ended_by) == ("1011_ping_timeout", 1011, PING, CLIENT, CLIENT)


def test_keys_in_texts_do_not_come_out() -> None:
    got = verdict("assemblyai", frames=(error(1008, "Invalid API key: token=0123456789abcdef0123456789abcdef"),), close_code=1008)
    assert got.rule == "invalid-key"
    assert "0123456789abcdef" not in str(got.as_dict())
