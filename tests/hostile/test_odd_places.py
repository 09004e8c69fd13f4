"""Keys where nobody would look for one: in userinfo, fragments, names, wrong headers; and a vendor that repeats them where it should not.

tests/e2e/test_secrets.py has the places where keys belong. Nothing of any comes out: not in a log line at any level, a report, a page.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

import pytest

from proxy.telemetry import log
from tests.aio import run
from tests.e2e.plants import Plants
from tests.e2e.process import page
from tests.relay.peers import KEY, SWITCHING, TARGET, Peer, Rig, request, rig

Place = Callable[[bytes], bytes]
SHAPES: Final = 5
"""Those that can be told by their looks, and a short one that cannot. Words would look like each other."""


def field(name: bytes) -> Place:
    return lambda key: request(TARGET, name + b": " + key)


def escaped(text: bytes) -> Place:
    """As a part of a target, where not everything may stand."""
    return lambda key: request(text.replace(b"KEY", quote(key, safe="").encode()))


PLACES: Final[dict[str, Place]] = {
    "userinfo": escaped(b"http://me:KEY@api.example" + TARGET), "fragment": escaped(TARGET + b"#token=KEY"),
    "no name": escaped(TARGET + b"&KEY"), "a name": escaped(TARGET + b"&KEY=1"), "any name": escaped(TARGET + b"&k=KEY"),
    "a model": escaped(TARGET + b"&model=KEY"), "an encoding": escaped(b"/v1/listen?encoding=KEY"),
    "a rate": escaped(b"/v1/listen?encoding=linear16&sample_rate=KEY"), "a path": escaped(b"/v1/listen/KEY"),
    "a path that is none": escaped(b"/KEY"), "a callback": escaped(TARGET + b"&callback=https%3A%2F%2Fh%2F%3Ft%3DKEY"),
    **{name.decode(): field(name) for name in (b"Referer: https://x.example/?token", b"User-Agent", b"Proxy-Authorization", b"X-Thing",
                                               b"traceparent", b"tracestate", b"baggage", b"X-Request-Id", b"Forwarded", b"Cookie",
                                               b"Sec-WebSocket-Extensions", b"Authorization")},
    "Digest": lambda key: request(TARGET, b'Authorization: Digest username="a", response="' + key + b'"'),
    "an origin": lambda key: request(TARGET, b"Origin: https://me:" + key + b"@x.example"),
    "the handshake's key": lambda key: request(TARGET).replace(KEY, key),
    "the version": lambda key: request(TARGET).replace(b"13", key),
    "a second Authorization": lambda key: request(TARGET, b"Authorization: Token none-at-all", b"authorization: Token " + key),
    "a second token": escaped(TARGET + b"&token=none-at-all&token=KEY"),
    "a second subprotocol": lambda key: request(TARGET, b"Sec-WebSocket-Protocol: bearer", b"Sec-WebSocket-Protocol: " + key),
}
NO: Final = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n"
ANSWERS: Final[dict[str, bytes]] = {
    "nothing": NO + b"\r\n", "reason": NO.replace(b"No", b"Bad key KEY") + b"\r\n",
    "redirect": NO.replace(b"401 No", b"302 Found") + b"Location: https://me:KEY@x.example/?token=KEY\r\n\r\n",
    **{name.decode(): NO + name + b": KEY\r\n\r\n" for name in (b"Set-Cookie: s", b"WWW-Authenticate: Bearer error", b"dg-request-id",
                                                                b"Server", b"Via: 1.1", b"dg-error", b"Content-Type", b"Retry-After")},
    "page": b"HTTP/1.1 502 No\r\nContent-Type: text/html\r\n\r\n<html><title>KEY</title><p>KEY</p></html>",
    **{f"101 {name.decode()}": SWITCHING[:-2] + name + b": KEY\r\n\r\n" for name in (b"Sec-WebSocket-Protocol", b"Set-Cookie",
                                                                                 b"Sec-WebSocket-Extensions")},
    "101 dg-request-id": SWITCHING.replace(b"11111111-2222-3333-4444-555555555555", b"KEY"),
}
KNOWN: Final = ("Authorization", "Digest", "Cookie", "a second Authorization", "a second token", "a second subprotocol")
"""Places that are known for keys; of these a vendor may repeat one anywhere."""


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(log.Lines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def turns() -> Iterator[tuple[str, str]]:
    for place in PLACES:
        for answer in ANSWERS if place in KNOWN else ("nothing", "dg-error", "101 Set-Cookie"):
            yield place, answer


def test_nothing_of_them_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, plants = Lines(), Plants()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [heard])
    monkeypatch.setattr(root, "level", logging.DEBUG)
    run(_everything(plants, heard))
    shown = "\n".join(heard.lines)
    assert '"event":"session_end"' in shown
    assert '"event":"http_failed"' in shown
    assert plants.leaks(shown) == []


async def _everything(plants: Plants, heard: Lines) -> None:
    answer = b""

    async def vendor(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)
        peer.writer.close()

    async with rig(vendor) as relay:
        for number, (place, kind) in enumerate(turns()):
            for shape in (number % SHAPES, (number + 3) % SHAPES):
                key = plants.mint(f"{place}, {kind} {shape}", shape).encode()
                answer = ANSWERS[kind].replace(b"KEY", key)
                for asked in (PLACES[place](key), PLACES[place](key).replace(b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"")):
                    client = await relay.call(asked)
                    assert (await client.head()).startswith(b"HTTP/1.1 ")
                    client.rst()
        await _told(relay, heard)


async def _told(relay: Rig, heard: Lines) -> None:
    """What there is besides the log."""
    for _ in range(2 * len(list(turns()))):
        heard.lines.append(json.dumps((await relay.report()).as_dict()))
    for name, path in (("admin", "/sessions"), ("deepgram", "/nothing"), ("metrics", "/metrics")):
        heard.lines.append((await page(f"127.0.0.1:{relay.port(name)}", path))[1])
