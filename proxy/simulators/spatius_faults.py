"""Spatius' own faults: refusals of a session token and of the upgrade, ServerErrors inside a session, close codes.

The names of the vendor's page "server error" are made up by its SDKs; on the wire there are HTTP statuses, numbers and texts.
Sources of these: [e2e] the vendor's tests against the live service, spatius-sdk-python tests/test_e2e_errors.py; [unit] its unit
tests, tests/test_avatar_session_v2.py; [sdk] the phrases that `avatar_session.py` of `spatius` 1.1.1 looks for, or the codes that
`errors.py` of `spatialreal` 0.2.2 lists; [ours]: the code is known and its sentence was not found, so this one is made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import orjson
from websockets.http11 import Response

from proxy.simulators import spatius_wire as wire
from proxy.simulators.faults import COMMON, Fault, answer, closing, gateway
from proxy.simulators.line import Line

HELLO_SECONDS: Final = 10.0
"""How long the client's first message is waited for."""

Texts = tuple[str, str]
"""As documented, and as seen or in another wording."""

REFUSALS: Final[Mapping[str, tuple[int, Texts]]] = {
    "sessionTokenInvalid": (400, ("Invalid session token", "invalid session token: token is malformed")),  # [e2e]
    "sessionTokenInvalid-empty": (400, ("empty token", "Empty token")),  # [sdk]
    "sessionTokenInvalid-bad-request": (400, ("Bad Request", "bad request")),  # [unit]
    "appIDMismatch": (400, ("App ID mismatch", "session token: app id mismatch")),  # [sdk]
    "sessionTokenExpired": (401, ("session token expired", "token has invalid claims: token is expired")),  # [sdk]
    "billingRequired": (402, ("session denied", "session denied: subscription required")),  # [sdk], [ours]
    "creditsExhausted-402": (402, ("session denied: credits exhausted", "Credits exhausted")),  # [unit]
    "avatarNotFound": (404, ("Avatar not found", "Avatar not found: avatar-1")),  # [e2e], [unit]
    "appIDUnrecognized": (404, ("app id unrecognized", "appIDUnrecognized")),  # [sdk]
    "appIDUnrecognized-not-found": (404, ("Not Found", "not found")),  # what a Go server says to a path that it does not know
    "unsupportedSampleRate-400": (400, ("unsupported sample rate", "Unsupported sample rate: 12345")),  # [sdk]
    "serverError-500": (500, ("Internal Server Error", "internal error")),  # [ours]
    "serverError-503": (503, ("Service Unavailable", "no available instance")),  # [ours]
}
"""Upgrades refused: status and `message`."""

TOKENS: Final[Mapping[str, tuple[int, dict[str, object] | None]]] = {
    "token-400": (400, {"status": "400", "code": "INVALID_ARGUMENT", "title": "Bad Request", "detail": "expireAt is out of range"}),
    "token-401": (401, {"status": "401", "title": "Authentication failed", "detail": "Invalid API key"}),
    "token-401-unauthorized": (401, {"status": "401", "title": "Unauthorized", "detail": "Unauthorized"}),
    "token-401-grpc": (401, {"status": "401", "code": "UNAUTHENTICATED", "title": "Unauthenticated", "detail": "invalid api key"}),
    "token-402": (402, {"status": "402", "title": "Payment Required", "detail": "session denied: credits exhausted"}),
    "token-403": (403, {"status": "403", "title": "Forbidden", "detail": "unauthorized: API key may not create session tokens"}),
    "token-429": (429, {"status": "429", "title": "Too Many Requests", "detail": "rate limit exceeded"}),
    "token-500": (500, {"status": "500", "title": "Internal Server Error", "detail": "something went wrong"}),
    "token-503": (503, {"status": "503", "code": "UNAVAILABLE", "title": "Service Unavailable", "detail": "try again later"}),
    "token-200-401": (200, {"status": "401", "title": "Authentication failed", "detail": "Invalid API key"}),
    "token-200-unknown": (200, {"id": "b3f1", "title": "Something new", "detail": "nobody knows this"}),
    "token-200-empty": (200, None),
}
"""Session tokens refused: HTTP status and the one entry of `errors`, whose form is the SDK's [sdk] and whose texts are [ours]."""

ERRORS: Final[Mapping[str, tuple[int, Texts, Literal["hello", "session"]]]] = {
    "unsupportedSampleRate": (0, ("unsupported sample rate: 12345", "Unsupported Sample Rate 12345"), "hello"),  # [unit]
    "invalidEgressConfig": (  # [unit] and, shorter, [e2e]
        16,
        ("failed to create connection: failed to connect to room: unauthorized: invalid token", "unauthorized"),
        "hello",
    ),
    "invalidEgressConfig-3": (3, ("invalid livekit_egress: room_name is required", "LiveKit egress: url is required"), "hello"),  # [sdk]
    "invalidEgressConfig-0": (  # [sdk]
        0,
        ("missing livekit credentials", "provide api_token or both api_key and api_secret"),
        "hello",
    ),
    "egressUnavailable": (14, ("failed to create egress connection", "connection refused"), "hello"),  # [sdk]
    "egressUnavailable-0": (0, ("egress client is not configured on server", "failed to create egress connection: timeout"), "hello"),
    "protocolError": (  # [sdk]
        0,
        ("expected ClientConfigureSession message", "failed to unmarshal initial message: proto: cannot parse"),
        "hello",
    ),
    "invalidRequest": (3, ("invalid argument: bad audio", "req_id is required"), "session"),  # [ours]
    "creditsExhausted": (4001, ("Credits exhausted", "session ended: credits exhausted"), "session"),  # [unit]
    "sessionDurationExceeded": (4002, ("session time limit reached", "Maximum session duration exceeded"), "session"),  # [sdk]
    "idleTimeout": (0, ("no audio input for 60s", "livekit silence timeout"), "session"),  # [sdk]
    "upstreamError": (0, ("driven server returned non-200 status code: 503", "driven server request failed: EOF"), "session"),  # [sdk]
    "serverError": (321, ("server boom", "Server boom!"), "session"),  # [unit]
    "serverError-400": (400, ("bad params", "Bad params"), "session"),  # [unit]
    "serverError-13": (13, ("internal", "rpc error: code = Internal"), "session"),  # gRPC's number; text [ours]
}
"""ServerErrors: number, texts, and whether instead of the hello or later."""

CLOSES: Final[Mapping[int, str]] = {
    4001: "credits exhausted",
    4002: "session timeout",
    4003: "concurrency limit",
    4010: "auth failed",
    4503: "upstream unavailable",
}
"""SpatialReal's contract of close codes ([sdk]: the names); that Spatius sends them too is a guess. Reasons: [ours]."""


def refuse(line: Line, code: str) -> Response:
    """A small JSON body and a line feed, as Go's Echo writes it."""
    status, texts = REFUSALS[code]
    return _json(line, status, {"message": texts[line.wording == "live"]})


def refuse_token(line: Line, code: str) -> Response:
    status, entry = TOKENS[code]
    return _json(line, status, {} if entry is None else {"errors": [entry]})


def _json(line: Line, status: int, body: object) -> Response:
    return answer(line, status, {"content-type": "application/json; charset=UTF-8"}, orjson.dumps(body) + b"\n")


async def tell(line: Line, data: bytes) -> None:
    """Send one message, unless this side has fallen silent. The record has it in hex."""
    if not line.stalled:
        line.session.sent.append(data.hex())
        await line.send(data)


async def report(line: Line, code: int, detail: str) -> None:
    """A ServerError, which by itself ends nothing."""
    await tell(line, wire.error(line.session.request_id, line.req_id, code, detail))


async def fail(line: Line, code: str, detail: str | None = None) -> None:
    """A ServerError, then a close. Nobody has published its code: the error's own where that can be one, else 1011, or 1000."""
    number, texts, _ = ERRORS[code]
    await report(line, number, detail or texts[line.wording == "live"])
    if number in CLOSES:
        await line.close(number, CLOSES[number])
    else:
        await line.close(1011 if line.wording == "documented" else 1000)


def _refusal(code: str) -> Fault:
    async def act(line: Line) -> Response:
        return refuse(line, code)

    return Fault(f"the upgrade is refused with HTTP {REFUSALS[code][0]}, {REFUSALS[code][1][0]!r}", "request", act)


def _token(code: str) -> Fault:
    async def act(line: Line) -> Response:
        return refuse_token(line, code)

    status, entry = TOKENS[code]
    return Fault(f"the session token is answered with HTTP {status} and {'no token' if entry is None else 'errors[]'}", "http", act)


def _fatal(code: str) -> Fault:
    number, texts, stage = ERRORS[code]

    async def act(line: Line) -> None:
        if stage == "hello":  # it is the answer to the client's first message
            await line.next_message(HELLO_SECONDS)
        await fail(line, code)

    return Fault(f"a ServerError {number}, {texts[0]!r}, then closed", stage, act)


def _warning(code: str) -> Fault:
    async def act(line: Line) -> None:
        number, texts, _ = ERRORS[code]
        await report(line, number, texts[line.wording == "live"])

    return Fault(f"a ServerError {ERRORS[code][0]}, and the session goes on", "session", act)


async def _page(line: Line) -> Response | None:
    return await gateway(502).act(line)


FAULTS: Final[Mapping[str, Fault]] = {
    **COMMON,
    **{code: _token(code) for code in TOKENS},
    "token-502": Fault("the session token is answered with HTTP 502 and an HTML page by something in between", "http", _page),
    **{code: _refusal(code) for code in REFUSALS},
    **{code: _fatal(code) for code in ERRORS},
    **{f"{code}-goes-on": _warning(code) for code, (_, _, stage) in ERRORS.items() if stage == "session"},
    **{f"close-{code}": closing(code, reason, f"closed with {code}, without a ServerError") for code, reason in CLOSES.items()},
    "close-1011": closing(1011, "server exploded", "closed with 1011, without a ServerError"),  # [unit]
}
