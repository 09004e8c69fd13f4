"""The two small HTTP servers beside the calls: metrics and probes for the pod, sessions and commands for loopback.

    metrics:  GET /metrics   GET /-/healthy   GET /-/ready
    admin:    GET /sessions  POST /-/drain     POST /-/reload

Owns how many connections these may hold. `/-/ready` says whether this process takes calls. It never asks a vendor: an outage there
must not take the pod away.

The admin pages are for this machine, and not for the web pages that a browser on it shows: they could send a POST here unseen, and
by a name of theirs that leads to 127.0.0.1 even read what is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from ipaddress import ip_address
from time import monotonic
from typing import Final

import orjson
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy.relay.answers import response
from proxy.relay.relay import Handler, Relay
from proxy.relay.takeover import Head, HeadServer

Page = Callable[[web.BaseRequest], web.Response | Awaitable[web.Response]]

SLICE_SECONDS: Final = 0.001
"""After which a scrape lets calls run."""
IDLE_SECONDS: Final = 75.0
MOST_READERS: Final = 32
"""Connections to a server at once."""


class PageServer(HeadServer):
    """One connection too many ends the oldest: nobody can keep the probes out by holding some, or use up the calls' descriptors."""

    def __init__(self, handle: Handler, head: Head) -> None:
        super().__init__(handle, response, head, IDLE_SECONDS, lambda: None)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        held = [one.transport for one in self.connections if one.transport is not None and not one.transport.is_closing()]
        if len(held) > MOST_READERS:
            held[0].abort()


def handler(pages: dict[tuple[str, str], Page], refused: Callable[[web.BaseRequest], bool] = lambda request: False) -> Handler:
    """Dispatches by method and path; nothing else of the request matters, but whether it is `refused`."""
    paths = {path for _, path in pages}

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if refused(request):
            return _text(HTTPStatus.FORBIDDEN, "for this machine alone, by its own name, and for no web page")
        method = "GET" if request.method == "HEAD" else request.method
        page = pages.get((method, request.path))
        if page is not None:
            answer = page(request)
            return answer if isinstance(answer, web.Response) else await answer
        known = request.path in paths
        return _text(HTTPStatus.METHOD_NOT_ALLOWED if known else HTTPStatus.NOT_FOUND, "not allowed" if known else "no such page")

    return handle


def metrics_pages(parts: Callable[[str], tuple[Iterator[bytes], str]], relay: Relay) -> dict[tuple[str, str], Page]:
    """`parts` makes the exposition for an Accept header: the body's parts and the content type."""

    async def metrics(request: web.BaseRequest) -> web.Response:
        body, content_type = parts(request.headers.get("Accept", ""))
        return web.Response(body=await _in_slices(body), headers={"Content-Type": content_type})

    def ready(_: web.BaseRequest) -> web.Response:
        return _text(HTTPStatus.OK, "ready") if relay.ready else _text(HTTPStatus.SERVICE_UNAVAILABLE, "draining")

    return {
        ("GET", "/metrics"): metrics,
        ("GET", "/-/healthy"): lambda _: _text(HTTPStatus.OK, "healthy"),
        ("GET", "/-/ready"): ready,
    }


def admin_pages(relay: Relay, drain: Callable[[], None], reload: Callable[[], Awaitable[list[str]]]) -> dict[tuple[str, str], Page]:
    """`reload` gives what is wrong with the settings, a line each."""

    def sessions(_: web.BaseRequest) -> web.Response:
        return web.Response(body=orjson.dumps(relay.sessions()) + b"\n", content_type="application/json")

    def start_drain(_: web.BaseRequest) -> web.Response:
        drain()
        return _text(HTTPStatus.ACCEPTED, "draining")

    async def take_settings(_: web.BaseRequest) -> web.Response:
        problems = await reload()
        return _text(HTTPStatus.INTERNAL_SERVER_ERROR, "\n".join(problems)) if problems else _text(HTTPStatus.OK, "reloaded")

    return {("GET", "/sessions"): sessions, ("POST", "/-/drain"): start_drain, ("POST", "/-/reload"): take_settings}


def from_elsewhere(request: web.BaseRequest) -> bool:
    """Whether another machine asks, or a web page: its browser names the page, or the name by which it came here."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    if peer is None or not is_loopback(peer[0]):
        return True
    return "Origin" in request.headers or not is_loopback(_host(request.headers.get("Host", "localhost")))


def is_loopback(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _host(field: str) -> str:
    """Of a Host field, without its port."""
    return field[1:].partition("]")[0] if field.startswith("[") else field.partition(":")[0]


async def _in_slices(parts: Iterator[bytes]) -> bytes:
    whole, since = bytearray(), 0.0
    while True:
        if monotonic() - since > SLICE_SECONDS:
            await asyncio.sleep(0)
            since = monotonic()
        part = next(parts, None)
        if part is None:
            return bytes(whole)
        whole += part


def _text(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")
