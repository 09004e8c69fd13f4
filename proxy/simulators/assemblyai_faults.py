"""AssemblyAI's own faults: an Error frame, then a close with the same code, both after a 101.

Sources: [seed] the vendor's page "Common session errors and closures", one entry a row; [live] what a third party saw on the wire
in 2026-09: the prefixes `User Input Validation Error: ` and `Input Duration Error: `, and a close reason that is always the same
sentence; [faq] FAQ, concurrency page and API specification, which give the rate limit code 1008.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from proxy.simulators.faults import COMMON, Fault
from proxy.simulators.line import Line

FIXED_REASON: Final = "See Error message for details"
REASON_BYTES: Final = 123

Row = tuple[int, str, str, Literal["hello", "session"], str]

_VALIDATION = "User Input Validation Error: "
_ACCOUNT = "Unauthorized Connection: "
_SAMPLE_RATE = "Invalid 'sample_rate': Input should be a valid integer"

_RETIRED: Final[Mapping[str, tuple[int, str]]] = {
    "4000_sample_rate": (4000, "Sample rate must be a positive integer"),
    "4001_not_authorized": (4001, "Not Authorized"),
    "4002_insufficient_funds": (4002, "Insufficient Funds"),
    "4003_paid_only": (4003, "This feature is paid-only and requires you to add a credit card."),
    "4004_session_not_found": (4004, "Session Not Found"),
    "4008_session_expired": (4008, "Session Expired"),
    "4010_session_closed": (4010, "Session Previously Closed"),
    "4029_too_fast": (4029, "Client sent audio too fast"),
    "4030_other_socket": (4030, "Session is handled by another websocket"),
    "4031_idle": (4031, "Session idle for too long"),
    "4032_audio_too_short": (4032, "Audio duration is too short"),
    "4033_audio_too_long": (4033, "Audio duration is too long"),
    "4034_audio_too_small": (4034, "Audio too small to transcode"),
    "4100_json": (4100, "Endpoint received invalid JSON"),
    "4101_schema": (4101, "Endpoint received a message with an invalid schema"),
    "4102_too_many_streams": (4102, "This account has exceeded the number of allowed streams"),
    "4103_reconnected": (4103, "The session has been reconnected. This websocket is no longer valid."),
}
"""Codes of the retired v2 API, which the SDK still knows [py: models.RealTimeErrorCodes]; not expected in v3."""

ROWS: Final[Mapping[str, Row]] = {
    # [seed], in the page's order
    "3008_session_expired": (
        3008,
        "Session Expired: Maximum session duration exceeded",
        "Session Expired: Maximum session duration exceeded",
        "session",
        "the maximum session duration is over",
    ),
    "3007_input_duration": (
        3007,
        "Input duration violation: {ms} ms. Expected between 50 and 1000 ms",
        "Input Duration Error: Input Duration Violation: {ms} ms. Expected between 50 and 1000 ms",
        "session",
        "a chunk of audio is shorter than 50 ms or longer than 1000 ms",
    ),
    "3006_message_type": (
        3006,
        "Invalid Message Type: {value}",
        _VALIDATION + "Invalid Message Type: {value}",
        "session",
        "a message of an unknown type",
    ),
    "3006_json": (3006, "Invalid JSON: {value}", _VALIDATION + "Invalid JSON: {value}", "session", "a message that is not JSON"),
    "3006_message": (
        3006,
        "Invalid Message: {value}",
        _VALIDATION + "Invalid Message: {value}",
        "session",
        "a message that is JSON and no object",
    ),
    "3006_inactivity": (
        3006,
        "Session terminated due to inactivity: No messages received for {seconds} seconds",
        "Session terminated due to inactivity: No messages received for {seconds} seconds",
        "session",
        "nothing came for inactivity_timeout",
    ),
    "3007_transmission_rate": (
        3007,
        "Audio Transmission Rate Exceeded: Received {audio} sec. audio in {real} sec",
        "Input Duration Error: Audio Transmission Rate Exceeded: Received {audio} sec. audio in {real} sec",
        "session",
        "audio came faster than real time",
    ),
    "3005_session_cancelled": (
        3005,
        "Session Cancelled: An error occurred",
        "Session Cancelled: An error occurred",
        "session",
        "an unknown error of the server",
    ),
    "3009_concurrent_sessions": (
        3009,
        _ACCOUNT + "Too many concurrent sessions",
        "Unauthorized connection: Too many concurrent sessions",
        "hello",
        "too many sessions, by the newer page",
    ),
    "1008_missing_authorization": (
        1008,
        _ACCOUNT + "Missing Authorization header",
        _ACCOUNT + "Missing Authorization header",
        "hello",
        "no API key",
    ),
    "1008_balance": (
        1008,
        _ACCOUNT + "Insufficient account balance",
        "Insufficient account balance",
        "hello",
        "the account's balance is used up",
    ),
    "1011_internal_error": (1011, "Internal error", "Internal error", "hello", "an error of the server while the session was opened"),
    "410_deprecated": (
        410,
        "Deprecated endpoint",
        "Deprecated endpoint: use wss://streaming.assemblyai.com/v3/ws",
        "hello",
        "the retired v2 API; close code 410 is illegal",
    ),
    # other pages and the wire
    "1008_account": (1008, _ACCOUNT + "Account temporarily disabled", "Account temporarily disabled", "hello", "account disabled"),
    "1008_invalid_key": (1008, _ACCOUNT + "Invalid API key", "Invalid API key", "hello", "a wrong API key, or one with a scheme word"),
    "1008_token_expired": (1008, _ACCOUNT + "Signature has expired", "Signature has expired", "hello", "a temporary token after its time"),
    "1008_concurrent_sessions": (
        1008,
        _ACCOUNT + "Too many concurrent sessions",  # [faq]
        "Unauthorized connection: Too many concurrent sessions",
        "hello",
        "too many sessions, by the older pages",
    ),
    "3006_parameter": (3006, _SAMPLE_RATE, _VALIDATION + _SAMPLE_RATE, "hello", "a parameter of the URL is refused"),
    "1013_try_later": (
        1013,  # stands in the SDK's table only
        "Temporary server condition forced blocking client's request",
        "Temporary server condition forced blocking client's request",
        "hello",
        "the server is overloaded",
    ),
    **{name: (code, text, text, "session", f"of the retired v2: {text}") for name, (code, text) in _RETIRED.items()},
}
"""Fault: code, documented text, live text, when it comes, what it means."""

_ON_REQUEST: Final[Mapping[str, object]] = {"ms": "20.0", "value": "Bogus", "seconds": 5, "audio": "31.2", "real": "10.1"}


async def fail(line: Line, name: str, **values: object) -> None:
    """Send the Error frame and close with the same code.

    The reason is the text itself unless it is longer than 123 bytes, says the page; on the wire it is always the fixed sentence.
    """
    code, documented, live, _, _ = ROWS[name]
    text = (documented if line.wording == "documented" else live).format_map({**_ON_REQUEST, **values})
    reason = text if line.wording == "documented" and len(text.encode()) <= REASON_BYTES else FIXED_REASON
    await line.say({"type": "Error", "error_code": code, "error": text})
    line.release()
    await (line.close(code, reason) if code >= 1000 else line.end_raw(code, reason))


def _fault(name: str) -> Fault:
    async def act(line: Line) -> None:
        await fail(line, name)

    code, _, _, stage, about = ROWS[name]
    return Fault(f"Error {code}, then closed: {about}", stage, act)


FAULTS: Final[Mapping[str, Fault]] = {**COMMON, **{name: _fault(name) for name in ROWS}}
