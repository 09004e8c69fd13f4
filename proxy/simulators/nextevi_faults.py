"""NextEVI's own faults: an `error` message in one of three shapes, a close code, an HTTP answer, a `websocket.disconnect` text.

Sources: [seed] the vendor's page "Error Reference", one entry a row, in its order; [docs] docs.nextevi.com; [react] the vendor's React
SDK 1.1.6, `utils/websocket.ts`; [lk] livekit-plugins-nextevi 0.1.0. What the live server sends is not established: the documented
texts are the page's causes, the live ones what its samples and lists say instead. The page gives some errors no close code. Its
samples, which compare close codes with 5004 and 5000, make the number one: so do these faults, although 5xxx is illegal.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import orjson
from websockets.http11 import Response

from proxy.simulators.faults import COMMON, Act, Fault, answer
from proxy.simulators.line import Line

Shape = Literal["envelope", "flat", "text"]
"""Where an error message has its code and text: in `data` [docs], beside `type` [react], or a text alone, in `error` [lk]."""

HIGHEST_LEGAL: Final = 4999


@dataclass(frozen=True, slots=True)
class Row:
    """One error of the page: its number, HTTP status and close code (None: none stated), its texts, and when it comes."""

    number: int
    status: int | None
    close: int | None
    documented: str
    live: str
    stage: Literal["hello", "session"]

    @property
    def close_code(self) -> int:
        return self.close or self.number


ROWS: Final[Mapping[str, Row]] = {
    "AUTH_REQUIRED": Row(
        4001, 401, 4001, "No authentication credentials provided in the connection request", "Authentication required", "hello"
    ),
    "AUTH_FAILED": Row(4001, 401, 4001, "Authentication credentials are invalid, expired, or malformed", "Invalid API key", "hello"),
    "ACCESS_DENIED": Row(
        4003,
        403,
        4003,
        "Valid authentication but insufficient permissions for the requested resource",
        "API key doesn't have access to specified project",
        "hello",
    ),
    "CONFIG_NOT_FOUND": Row(
        4004, 404, 4004, "The specified config_id does not exist or is not accessible", "Invalid config_id: {value}", "hello"
    ),
    "INVALID_PROJECT": Row(
        4004, 404, 4004, "The specified project_id is invalid or not accessible", "Invalid project_id: {value}", "hello"
    ),
    "CONNECTION_FAILED": Row(
        4002, None, 4002, "Failed to establish or register the WebSocket connection", "Server overloaded or unavailable", "hello"
    ),
    "CONNECTION_TIMEOUT": Row(
        1001, None, 1001, "Connection timed out due to inactivity or network issues", "Connection timeout", "session"
    ),
    "AUDIO_PROCESSING_FAILED": Row(5001, None, None, "Failed to process audio chunk", "Failed to process audio input data", "session"),
    "AUDIO_FORMAT_UNSUPPORTED": Row(
        5002, None, None, "Audio format not supported by the processing pipeline", "Unsupported sample rate", "session"
    ),
    "AUDIO_CHUNK_TOO_LARGE": Row(5003, None, None, "Audio chunk exceeds maximum allowed size", "Audio chunk too large", "session"),
    "RATE_LIMITED": Row(
        4004, 429, 4004, "Exceeded rate limits for connections or messages", "Rate limit exceeded: {value} per minute", "session"
    ),
    "SESSION_EXPIRED": Row(5004, None, None, "Session has expired or been terminated", "Session exceeded maximum duration", "session"),
    "SESSION_LIMIT_EXCEEDED": Row(
        5005, None, None, "Maximum number of concurrent sessions exceeded", "Maximum sessions exceeded", "hello"
    ),
    "INTERNAL_ERROR": Row(5000, None, 1011, "Internal server error occurred", "Server error", "session"),
    "SERVICE_UNAVAILABLE": Row(5503, 503, None, "NextEVI service is temporarily unavailable", "Service Unavailable", "hello"),
    "INVALID_MESSAGE_FORMAT": Row(
        4000, None, None, "Message does not conform to expected JSON schema", "Missing required field: {value}", "session"
    ),
    "UNSUPPORTED_MESSAGE_TYPE": Row(
        4000, None, None, "Message type is not recognized or supported", "Unsupported message type: {value}", "session"
    ),
}
"""[seed] in the page's order."""

_ON_REQUEST: Final[Mapping[str, str]] = {
    "CONFIG_NOT_FOUND": "config-missing",
    "INVALID_PROJECT": "project-missing",
    "RATE_LIMITED": "1000 messages",
    "INVALID_MESSAGE_FORMAT": "message_id",
    "UNSUPPORTED_MESSAGE_TYPE": "Bogus",
}


def envelope(kind: str, data: object) -> dict[str, object]:
    """The documented form of every message."""
    return {"type": kind, "timestamp": time.time(), "message_id": str(uuid.uuid4()), "data": data}


def text_of(line: Line, name: str, value: object = None) -> str:
    row = ROWS[name]
    text = row.documented if line.wording == "documented" else row.live
    return text.format(value=_ON_REQUEST.get(name) if value is None else value)


def message(name: str, text: str, shape: Shape, details: Mapping[str, object] | None = None) -> dict[str, object]:
    if shape == "text":
        return {"type": "error", "error": text}
    said = {"error_code": name, "error_message": text, "details": details or {}}
    return envelope("error", said) if shape == "envelope" else {"type": "error", **said}


async def fail(line: Line, name: str, value: object = None, *, shape: Shape | None = None, ends: bool | None = None) -> bool:
    """Tell the error; whether the session ended by it. Unless said otherwise, documented errors without a close code do not end it."""
    row, documented = ROWS[name], line.wording == "documented"
    text = text_of(line, name, value)
    await line.say(message(name, text, shape or ("envelope" if documented else "flat")))
    line.release()
    ends = (row.close is not None or not documented) if ends is None else ends
    if ends:
        await close(line, row.close_code, text if documented else name)
    return ends


async def close(line: Line, code: int, reason: str) -> None:
    """A close frame with any of the page's numbers."""
    line.release()
    await (line.close(code, reason) if code <= HIGHEST_LEGAL else line.end_raw(code, reason))


def refuse(line: Line, name: str, value: object = None) -> Response:
    """The HTTP twin. That its body is the error message, or what FastAPI makes of one, is not stated anywhere."""
    row, text = ROWS[name], text_of(line, name, value)
    assert row.status is not None
    body: object = message(name, text, "envelope") if line.wording == "documented" else {"detail": text}
    return answer(line, row.status, {"content-type": "application/json"}, orjson.dumps(body))


async def hang_up(line: Line) -> None:
    """The idle call is ended: a last message, then a close that looks like any good one [react]."""
    await line.say({"type": "system_message", "content": "Ending the call, since nobody spoke.", "message_type": "hangup"})
    await line.close(1000, "")


async def _idle(line: Line) -> None:
    await warn(line, 10.0)
    await hang_up(line)


async def warn(line: Line, remaining: float) -> None:
    """[react] `IdleWarningMessage`."""
    await line.say({"type": "idle_warning", "time_remaining": round(remaining, 1), "warning_type": "final_warning"})


async def disconnect(line: Line, code: int, reason: str) -> None:
    """The end of the session as a message; no close frame comes [lk]."""
    await line.say({"type": "websocket.disconnect", "code": code, "reason": reason})
    line.release()
    await line.hang_up()


def _whole(name: str) -> Act:
    async def act(line: Line) -> None:
        await fail(line, name, ends=True)

    return act


def _text(name: str) -> Act:
    async def act(line: Line) -> None:
        await fail(line, name, shape="text", ends=True)

    return act


def _only(name: str) -> Act:
    async def act(line: Line) -> None:
        await fail(line, name, ends=False)

    return act


def _close(name: str) -> Act:
    async def act(line: Line) -> None:
        await close(line, ROWS[name].close_code, text_of(line, name) if line.wording == "documented" else "")

    return act


def _disconnect(name: str) -> Act:
    async def act(line: Line) -> None:
        await disconnect(line, ROWS[name].close_code, text_of(line, name))

    return act


def _http(name: str) -> Act:
    async def act(line: Line) -> Response:
        return refuse(line, name)

    return act


_WAYS: Final[Mapping[str, tuple[Callable[[str], Act], str]]] = {
    "": (_whole, "error {name}, then close {code}"),
    "-text": (_text, "the same with the text of {name} alone, in `error`"),
    "-close": (_close, "close {code} as for {name}, without an error message"),
    "-disconnect": (_disconnect, "a websocket.disconnect message with {code}, as for {name}, then no close frame"),
    "-only": (_only, "error {name}, and the session goes on"),
}


def _faults() -> dict[str, Fault]:
    faults = {}
    for name, row in ROWS.items():
        for suffix, (way, about) in _WAYS.items():
            # A session that is to go on has to be open first.
            stage = "session" if suffix == "-only" else row.stage
            faults[name + suffix] = Fault(about.format(name=name, code=row.close_code), stage, way(name))
        if row.status is not None:
            faults[f"{name}-http"] = Fault(f"the upgrade is refused with HTTP {row.status}, {name}", "request", _http(name))
            faults[f"{name}-api"] = Fault(f"a plain request is answered with HTTP {row.status}, {name}", "http", _http(name))
    return faults


FAULTS: Final[Mapping[str, Fault]] = {
    **COMMON,
    **_faults(),
    "hangup": Fault("an idle warning, a last message, then close 1000", "session", _idle),
}
