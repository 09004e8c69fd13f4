"""Keys to be planted, each another one, and a vendor that repeats them in every way that a vendor may.

Each key is known by its place, so that a failing test says which one leaked. Parts of keys count: `leaks` looks for any stretch that is
too long to be there by chance.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from aiohttp import WSMsgType, web

from proxy.simulators import spatius_wire as wire
from proxy.simulators.spatius_wire import Kind

MIXED: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
WORDS: Final = ("otter", "walnut", "gravel", "lantern", "quarry", "saddle", "thimble", "velvet", "badger", "cobble", "drizzle", "fennel",
                "gherkin", "hamlet", "juniper", "kestrel", "lichen", "marmot", "nettle", "osprey", "pumice", "quince", "russet", "sorrel")
HEX_STRETCH: Final = 12
"""Of eight digits there are too few for ids not to have the same by chance."""
STRETCH: Final = 8

PRIVATE: Final = ("Authorization", "X-Api-Key", "X-Session-Key", "Cookie", "Sec-WebSocket-Protocol", "token", "api_key", "authorization",
                  "sessionKey", "webhook_auth_header_value", "callback")
"""Places in a request: five headers, six keys of its query."""


class Plants:
    """Mints keys in many shapes, and finds them."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self._random = random.Random(7)

    def mint(self, place: str, shape: int, *, looks: bool = False) -> str:
        """A new key. looks: of a shape that can be told by its looks alone."""
        shapes = (self._hex, self._base64, self._jwt, self._short, self._prefixed, self._wordy)
        key = shapes[shape % (5 if looks else 6)]()
        assert self.keys.setdefault(key, place) == place
        return key

    def _hex(self) -> str:
        return self._random.randbytes(20).hex()

    def _base64(self) -> str:
        return base64.b64encode(self._random.randbytes(32)).decode()

    def _jwt(self) -> str:
        said = (base64.urlsafe_b64encode(self._random.randbytes(30)).decode() for _ in range(2))
        return ".".join(("eyJhbGciOiJIUzI1NiJ9", *said))

    def _short(self) -> str:
        return "".join(self._random.choice(MIXED) + str(self._random.randrange(10)) for _ in range(6))

    def _prefixed(self) -> str:
        return f"oak_{self._random.choice(WORDS)}{self._random.choice(WORDS)}{self._short()}"

    def _wordy(self) -> str:
        return "-".join(self._random.choice(WORDS) for _ in range(5))

    def leaks(self, shown: str) -> list[str]:
        """Where each key that is in a text, even in part, was planted, and what stands around it."""
        texts = {size: {shown[at : at + size] for at in range(len(shown) - size + 1)} for size in (STRETCH, HEX_STRETCH)}
        found = []
        for key, place in self.keys.items():
            size = HEX_STRETCH if len(key) == 40 else STRETCH
            secret = key.removeprefix("eyJhbGciOiJIUzI1NiJ9.")
            part = next((secret[at : at + size] for at in range(len(secret) - size + 1) if secret[at : at + size] in texts[size]), None)
            if part is not None:
                at = shown.find(part)
                found.append(f"{place}: {part!r} in {shown[max(0, at - 150) : at + 60]!r}")
        return found


@dataclass
class Secrets:
    """One request's keys, by place, and the request that bears them."""

    keys: dict[str, str]

    @classmethod
    def of(cls, plants: Plants, name: str, turn: int) -> Secrets:
        return cls({place: plants.mint(f"{name} {place}", turn + number) for number, place in enumerate(PRIVATE)})

    @property
    def headers(self) -> dict[str, str]:
        keys = self.keys
        return {"Authorization": f"Token {keys['Authorization']}", "X-Api-Key": keys["X-Api-Key"], "X-Session-Key": keys["X-Session-Key"],
                "Cookie": f"theme=dark; sid={keys['Cookie']}"}

    @property
    def protocol(self) -> str:
        """Base64 is no token of HTTP; vendors' keys are."""
        return self.keys["Sec-WebSocket-Protocol"]

    @property
    def query(self) -> str:
        values = {place: self.keys[place] for place in PRIVATE[5:]}
        values["authorization"] = f"Bearer {values['authorization']}"
        values["callback"] = f"https://me:{values['callback']}@hook.example/deepgram/results?x=y"
        return "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items())

    def reached(self, heard: str) -> bool:
        """Whether all of them came through as they are."""
        return all(key in heard or quote(key, safe="") in heard for key in self.keys.values())


WORDINGS: Final[tuple[Callable[[str], str], ...]] = (
    lambda key: f"Invalid session token: {key}",
    lambda key: f"InvalidSessionToken: invalid session token {key}, try again",
    lambda key: f"Incorrect API key provided: {key}.",
    lambda key: f"Unauthorized ({key})",
    lambda key: key,
    lambda key: f"No account for '{key}' in this region",
    lambda key: f"credential {key} is not active",
    lambda key: f"Authorization: Token {key}",
    lambda key: f"bad request: GET /v1/listen?model=nova&token={quote(key)}",
    lambda key: f"unknown caller {key[:-3]}",
    lambda key: f"UNKNOWN CALLER {key.upper()}!",
    lambda key: f"Failed to read audio from the URL https://bucket.example/speech.wav?X-Amz-Credential=a&X-Amz-Signature={key}",
)


@dataclass(frozen=True)
class Scene:
    """How a call ends: refused with `status` and `body` (and `dg-error`), or with messages, then a close. `id` is the vendor's own."""

    id: str
    status: int | None = None
    body: bytes = b""
    error: str = ""
    says: tuple[str | bytes, ...] = ()
    close: tuple[int, str] = (1000, "")
    waits: bool = True


@dataclass
class Parrot:
    """A vendor that plays scenes, by the `x-scene` of a request, and keeps all that it heard of each."""

    scenes: dict[str, Scene] = field(default_factory=dict)
    heard: dict[str, str] = field(default_factory=dict)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        name = request.headers["x-scene"]
        scene = self.scenes[name]
        self._hear(name, request.raw_path, *request.headers.values())
        if scene.status is not None:
            self._hear(name, (await request.read()).decode("latin-1"))
            headers = {"dg-request-id": scene.id} | ({"dg-error": scene.error} if scene.error else {})
            return web.Response(status=scene.status, body=scene.body, headers=headers, content_type="application/json")
        line = web.WebSocketResponse(protocols=("token",), compress=False)
        line.headers["dg-request-id"] = scene.id
        await line.prepare(request)
        if scene.waits:
            message = await line.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._hear(name, message.data if isinstance(message.data, str) else message.data.decode("latin-1"))
        for said in scene.says:
            await (line.send_str(said) if isinstance(said, str) else line.send_bytes(said))
        code, reason = scene.close
        await line.close(code=code, message=reason.encode()[:123])
        return line

    def _hear(self, name: str, *said: str) -> None:
        self.heard[name] = "\n".join((self.heard.get(name, ""), *said))


def configure(*fields: tuple[int, str | bytes | int]) -> bytes:
    """The first message to an avatar, with a room's credentials in it."""
    return wire.message(Kind.CONFIGURE, wire.encode((1, 16000), (5, 1), (6, wire.encode(*fields))))


async def together(calls: Iterable[Awaitable[None]], most: int = 24) -> None:
    """So many at a time."""
    gate = asyncio.Semaphore(most)

    async def one(call: Awaitable[None]) -> None:
        async with gate:
            await call

    await asyncio.gather(*map(one, calls))
