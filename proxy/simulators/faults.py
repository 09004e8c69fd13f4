"""Faults that can happen before or on any vendor's connection: an HTTP refusal from something in between, a lost transport,
an odd close code. A vendor's own faults stand in its own module, in the same form.
"""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final, Literal

import brotli
from websockets.datastructures import Headers
from websockets.http11 import Response

from proxy.simulators.line import Line

Act = Callable[[Line], Awaitable[Response | None]]

SLOW_SECONDS: Final = 3.0
"""The handshake of `slow-handshake`: beyond the 1 s that some SDKs allow, within the 10 s of the others."""


_PACK: Final[Mapping[str, Callable[[bytes], bytes]]] = {"br": brotli.compress, "gzip": partial(gzip.compress, mtime=0)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. `stage`: in place of the answer to plain HTTP or to an upgrade, of the hello, or later."""

    about: str
    stage: Literal["http", "request", "hello", "session"]
    act: Act


def answer(line: Line, status: int, headers: Mapping[str, str], body: bytes) -> Response:
    """An HTTP answer. JSON is packed where the client allows it: br first, as Deepgram was seen to send it, else gzip."""
    head = Headers({"date": email.utils.formatdate(usegmt=True), **headers})
    asked = " ".join(line.request.headers.get_all("Accept-Encoding")) if line.request else ""
    packing = next((name for name in _PACK if name in re.findall(r"[\w*-]+", asked)), None)
    if packing is not None and headers.get("content-type") == "application/json":
        body = _PACK[packing](body)
        head["content-encoding"] = packing
    head["content-length"] = str(len(body))
    head["connection"] = "close"
    return Response(status, HTTPStatus(status).phrase, head, body)


def gateway(status: int) -> Fault:
    """A refusal by a load balancer in front of the vendor: HTML, and none of the vendor's own headers."""

    async def act(line: Line) -> Response:
        title = f"{status} {HTTPStatus(status).phrase}"
        page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
        return answer(line, status, {"server": "nginx", "content-type": "text/html"}, page.encode())

    return Fault(f"refused with HTTP {status} and an HTML page by something in between", "request", act)


def closing(code: int | None, reason: str, about: str) -> Fault:
    """A close frame with any code and reason, None for an empty one."""

    async def act(line: Line) -> None:
        await line.end_raw(code, reason)

    return Fault(about, "session", act)


def _raw(data: bytes, about: str) -> Fault:
    async def act(line: Line) -> Response:
        line.cut = True
        line.transport.write(data)
        line.transport.write_eof() if line.transport.can_write_eof() else line.transport.close()
        await line.gone(1.0)
        return Response(500, "not sent", Headers())

    return Fault(about, "request", act)


async def _no_answer(line: Line) -> Response:
    await line.gone()
    return Response(500, "not sent", Headers())


async def _slow(line: Line) -> None:
    await asyncio.sleep(SLOW_SECONDS)


async def _redirect(line: Line) -> Response:
    return answer(line, 302, {"location": "https://example.invalid/moved", "content-type": "text/plain"}, b"moved\n")


async def _glue(line: Line) -> None:
    line.held = True


async def _stall(line: Line) -> None:
    line.stalled = True


async def _reset(line: Line) -> None:
    line.reset()


async def _hang_up(line: Line) -> None:
    await line.hang_up()


COMMON: Final[Mapping[str, Fault]] = {
    "no-answer": Fault("the request is never answered", "request", _no_answer),
    "slow-handshake": Fault(f"the request is answered after {SLOW_SECONDS:g} s, then all is well", "request", _slow),
    "redirect": Fault("the request is answered with HTTP 302", "request", _redirect),
    "garbage": _raw(b"\x15\x03\x01\x00\x02\x02\x46 this is not HTTP\r\n\r\n", "the request is answered with bytes that are not HTTP"),
    "no-upgrade-header": _raw(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n", "a 101 that lacks its Upgrade and Sec-WebSocket-Accept headers"
    ),
    "http_403": gateway(403),
    "http_429": gateway(429),
    "http_500": gateway(500),
    "http_502": gateway(502),
    "http_503": gateway(503),
    "http_504": gateway(504),
    "glued": Fault("the 101 and the first message come in one piece, then all is well", "request", _glue),
    "stall": Fault("nothing more is sent, and the connection stays open", "session", _stall),
    "reset": Fault("a part of a frame, then a TCP reset", "session", _reset),
    "eof": Fault("the end of the TCP stream without a close frame", "session", _hang_up),
    "close-410": closing(410, "Gone", "close code 410, which is illegal"),
    "close-5004": closing(5004, "Internal error", "close code 5004, which is illegal"),
    "close-100": closing(100, "", "close code 100, which is illegal"),
    "close-empty": closing(None, "", "a close frame without a code"),
    "close-1001": closing(1001, "", "going away, as in a deployment"),
    "close-1012": closing(1012, "Service restart", "service restart"),
    "close-1013": closing(1013, "Try again later", "try again later"),
}
