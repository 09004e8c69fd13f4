"""HTTP answers that Earwitness makes itself: a small JSON body that names the cause, and `x-earwitness`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web

from proxy.core.own import OWN
from proxy.core.verdict import Transport

_FAILED_DIALS: Final = {
    Transport.DNS: (502, "The vendor's name could not be resolved."),
    Transport.REFUSED: (502, "The vendor's address takes no connection."),
    Transport.TLS: (502, "TLS with the vendor failed: its certificate was not accepted, or it speaks no TLS."),
    Transport.EOF: (502, "The vendor closed the connection without an answer."),
    Transport.RESET: (502, "The connection to the vendor was reset before there was an answer."),
    Transport.TIMEOUT: (504, "The vendor did not answer in time."),
}


def _parts(code: str, status: int, message: str) -> tuple[dict[str, str], bytes]:
    headers = {"x-earwitness": code, "Content-Type": "application/json", "Server": "earwitness"}
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["Retry-After"] = str(OWN[code].retry_after)
    if status == HTTPStatus.UPGRADE_REQUIRED:
        headers["Upgrade"] = "websocket"
    return headers, orjson.dumps({"error": code, "message": message}) + b"\n"


def response(code: str) -> web.Response:
    """For a request that aiohttp still holds. `code` is one of own.OWN."""
    return _response(code, OWN[code].status, OWN[code].hint)


def no_answer(how: Transport) -> web.Response:
    """The same where the vendor gave none."""
    return _response(f"transport_{how}", *_FAILED_DIALS[how])


def _response(code: str, status: int, message: str) -> web.Response:
    headers, body = _parts(code, status, message)
    answer = web.Response(status=status, headers=headers, body=body)
    answer.force_close()
    return answer


def failed_dial(how: Transport | None, code: str | None) -> bytes:
    """For a transport that has left aiohttp: the whole answer. `code` is one of own.OWN where `how` is None."""
    if how is not None:
        status, message = _FAILED_DIALS[how]
        name = f"transport_{how}"
    else:
        name = code or "sidecar_internal"
        status, message = OWN[name].status, OWN[name].hint
    headers, body = _parts(name, status, message)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{key}: {value}" for key, value in headers.items()),
             f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


class Written(web.StreamResponse):
    """An answer that aiohttp has nothing to do with any more: it was written past it. `keeps`: the connection stays."""

    def __init__(self, keeps: bool) -> None:
        super().__init__()
        self._keep_alive = keeps

    async def prepare(self, request: web.BaseRequest) -> None:
        return

    async def write_eof(self, data: bytes = b"") -> None:
        return
