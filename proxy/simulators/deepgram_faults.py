"""Deepgram's own faults: HTTP refusals of the handshake, close frames, Error frames.

Sources of the wording: [seed] the vendor's page "Troubleshooting Connection Errors When Live Streaming Audio"; [errors]
developers.deepgram.com/docs/errors; [capture] a captured 401; otherwise issues of the vendor's SDKs, named beside the text.
[ours]: the code is documented and its sentence was not found, so this one is made up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import orjson
from websockets.http11 import Response

from proxy.simulators.faults import COMMON, Fault, answer
from proxy.simulators.line import Line, Session, Wording

MODEL_UUID: Final = "30089e05-99d1-4376-b32e-c263170674af"

CLOSES: Final[Mapping[str, tuple[int, Mapping[Wording, str]]]] = {
    "DATA-0000": (
        1008,
        {
            "documented": "DATA-0000",  # [seed] the payload column of the table
            "live": "Deepgram could not decode the audio data. See https://dpgr.am/data0000",  # guess, by analogy with net0001
        },
    ),
    "NET-0000": (
        1011,
        {
            "documented": "NET-0000",  # [seed]
            # deepgram-dotnet-sdk#133
            "live": "Deepgram did not provide a response message within the timeout window. See https://dpgr.am/net0000",
        },
    ),
    "NET-0001": (
        1011,
        {
            "documented": "NET-0001",  # [seed]
            # deepgram-python-sdk#319, pipecat#1113
            "live": "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001",
        },
    ),
}

REFUSALS: Final[Mapping[str, tuple[int, str, str]]] = {
    "http_400": (400, "Bad Request", "Invalid query string."),  # a REST answer seen on the wire
    # [errors]
    "http_400_audio": (400, "Bad Request", "Bad Request: failed to process audio: corrupt or unsupported data"),
    "INVALID_JSON": (400, "INVALID_JSON", "Invalid JSON submitted."),  # [errors]
    "INVALID_AUTH": (401, "INVALID_AUTH", "Invalid credentials."),  # [capture]
    "INSUFFICIENT_PERMISSIONS-401": (401, "INSUFFICIENT_PERMISSIONS", "User does not have sufficient permissions."),  # [ours]
    "ASR_PAYMENT_REQUIRED": (402, "ASR_PAYMENT_REQUIRED", "Project does not have enough credits for an ASR request."),  # [ours]
    "INSUFFICIENT_PERMISSIONS": (403, "INSUFFICIENT_PERMISSIONS", "Project does not have access to the requested model."),  # [ours]
    "PROJECT_NOT_FOUND": (404, "PROJECT_NOT_FOUND", "Project not found."),  # [ours]
    "http_405": (405, "Method Not Allowed", "Method not allowed."),  # dotnet-sdk#304 has the status; the text is [ours]
    "ASR_UNPROCESSABLE_ENTITY": (422, "ASR_UNPROCESSABLE_ENTITY", "The request could not be processed."),  # [ours]
    "TOO_MANY_REQUESTS": (429, "TOO_MANY_REQUESTS", "Too many requests. Please try again later."),  # python-sdk#726; text [ours]
    "http_500": (500, "Internal Server Error", "Internal server error."),  # [ours]
    "http_503": (503, "Service Unavailable", "Service unavailable. Please try again later."),  # [ours]
    "http_504": (504, "Gateway Timeout", "The request timed out."),  # [ours]
}
"""Fault: HTTP status, err_code, err_msg."""

FATAL: Final[Mapping[str, tuple[int, str]]] = {
    "INTERNAL_SERVER_ERROR": (1011, "An internal server error occurred."),  # code: SDK, listen_v2fatal_error; text [ours]
    "UNPARSABLE_CLIENT_MESSAGE": (1008, "Could not parse the client's message."),  # the same
}
"""v2 Error frames: code, with the close code after it (not published: a guess) and the description."""


def refuse(line: Line, code: str, message: str | None = None) -> Response:
    """A refusal of the handshake: the cause stands in `dg-error` and in the body, in one of the two shapes that are documented."""
    status, err_code, text = REFUSALS[code]
    text = message or text
    rid = line.session.request_id
    body = (
        {"category": err_code, "message": text, "details": text, "request_id": rid}
        if line.modern_body
        else {"err_code": err_code, "err_msg": text, "request_id": rid}
    )
    headers = {"content-type": "application/json", "dg-error": text, "vary": "accept-encoding", "dg-request-id": rid}
    return answer(line, status, headers, orjson.dumps(body))


async def end(line: Line, code: str) -> None:
    """Close with one of the three codes of the vendor's page. No Error frame comes before it."""
    close_code, reasons = CLOSES[code]
    await line.close(close_code, reasons[line.wording])


def metadata(session: Session, duration: float, channels: int) -> dict[str, object]:
    """The last message of a v1 session [py: listen_v1metadata]."""
    model = {"name": "general-nova-3", "version": "2025-04-17.21547", "arch": "nova-3"}
    return {
        "type": "Metadata",
        "transaction_key": "deprecated",
        "request_id": session.request_id,
        "sha256": hashlib.sha256(session.audio).hexdigest(),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "duration": round(duration, 4),
        "channels": channels,
        "models": [MODEL_UUID],
        "model_info": {MODEL_UUID: model},
    }


async def end_empty_handed(line: Line) -> None:
    """Metadata with duration 0 and channels 0, then close 1000: a failure that looks well (js-sdk#336, python-sdk#427, #454)."""
    await line.say(metadata(line.session, 0.0, 0))
    await line.close(1000)


async def undecodable(line: Line) -> None:
    """Bytes that are no audio: as the page says, or as it was seen."""
    await (end(line, "DATA-0000") if line.wording == "documented" else end_empty_handed(line))


async def fatal(line: Line, code: str) -> None:
    """A v2 Error frame, which ends the session; with the live wording the close has no code (python-sdk#649 saw 1005)."""
    close_code, description = FATAL[code]
    await line.say({"type": "Error", "sequence_id": len(line.session.sent), "code": code, "description": description})
    await (line.close(close_code) if line.wording == "documented" else line.end_raw(None))


def schema_error(message: str) -> dict[str, object]:
    """A v1 Error frame [py: listen_v1error]; it echoes the client's message. That it is not fatal is a guess."""
    return {"type": "Error", "variant": "SchemaError", "description": "Could not deserialize last text message.", "message": message}


def _refusal(code: str) -> Fault:
    async def act(line: Line) -> Response:
        return refuse(line, code)

    return Fault(f"refused with HTTP {REFUSALS[code][0]}, {REFUSALS[code][1]}", "request", act)


def _close(code: str) -> Fault:
    async def act(line: Line) -> None:
        await end(line, code)

    return Fault(f"closed with {CLOSES[code][0]}, {code}", "session", act)


def _fatal(code: str) -> Fault:
    async def act(line: Line) -> None:
        await fatal(line, code)

    return Fault(f"v2: an Error frame {code}, then closed", "session", act)


async def _schema_error(line: Line) -> None:
    await line.say(schema_error('{"type":"Bogus"}'))


FAULTS: Final[Mapping[str, Fault]] = {
    **COMMON,
    **{code: _refusal(code) for code in REFUSALS},
    **{code: _close(code) for code in CLOSES},
    **{code: _fatal(code) for code in FATAL},
    "SchemaError": Fault("v1: an Error frame SchemaError, and the session goes on", "session", _schema_error),
    "1000_nothing_decoded": Fault("v1: Metadata with duration 0, then closed with 1000", "session", end_empty_handed),
}
