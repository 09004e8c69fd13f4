"""AssemblyAI's `GET /v3/token`: a temporary token, or why there is none.

Sources: the API's specification, for the `documented` wording (`{"error"}` with 400 or 401); for the `live` one a third party's notes
of 2026-09: 422 in FastAPI's form, also where the key is missing.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.http11 import Response

from proxy.simulators.base import BAD_KEY
from proxy.simulators.faults import answer
from proxy.simulators.line import Line

PATH: Final = "/v3/token"
RANGES: Final = {"expires_in_seconds": (1, 600), "max_session_duration_seconds": (60, 10800)}

_JSON: Final = {"content-type": "application/json"}


def token(line: Line) -> Response:
    """The answer to one request. The key stands in Authorization, without a scheme word."""
    assert line.request is not None
    url = urlsplit(line.request.path)
    key = line.request.headers.get("Authorization")
    if url.path != PATH or line.method != "GET":
        return _say(line, 404, {"detail": "Not Found"})
    if not key:
        return _refuse(line, 401, "Missing API key", ["header", "authorization"], "Field required")
    if key == BAD_KEY or " " in key.strip():
        return _say(line, 401, {"error": "Invalid API key"})
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    for name, (least, most) in RANGES.items():
        value = query.get(name, str(least))
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            return _refuse(line, 400, f"{name} is out of range", ["query", name], f"Input should be from {least} to {most}")
    return _say(line, 200, {"token": f"tmp-{line.session.request_id}", "expires_in_seconds": int(query.get("expires_in_seconds", "60"))})


def _refuse(line: Line, status: int, documented: str, where: list[str], live: str) -> Response:
    if line.wording == "documented":
        return _say(line, status, {"error": documented})
    return _say(line, 422, {"detail": [{"type": "value_error", "loc": where, "msg": live, "input": None}]})


def _say(line: Line, status: int, body: object) -> Response:
    return answer(line, status, _JSON, orjson.dumps(body))
