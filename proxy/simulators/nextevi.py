"""NextEVI's voice socket `/ws/voice/{id}`: who may come in, the session's limits, and how it ends.

The id is the client's own and is the session's. Sources: [seed] the vendor's page "Error Reference"; [docs] docs.nextevi.com, for
the documented envelope; [react] its React SDK 1.1.6 and [lk] livekit-plugins-nextevi 0.1.0, for the flat form and binary audio.
Both forms are taken. Whether a bad key is refused with HTTP or after a 101 is not established: it is the latter in the documented
wording, the former in the live one. The client says no goodbye; it closes.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.datastructures import Headers
from websockets.http11 import Response

from proxy.core.audio import container
from proxy.simulators.base import BAD_KEY, Simulator
from proxy.simulators.faults import Fault, answer
from proxy.simulators.line import Line
from proxy.simulators.nextevi_faults import FAULTS as KNOWN
from proxy.simulators.nextevi_faults import ROWS, envelope, fail, hang_up, refuse, warn
from proxy.simulators.nextevi_talk import RATE, Talk

KEY_START: Final = "oak_"
DENIED_KEY: Final = "oak_denied"
"""The one key that is known and may do nothing."""
MISSING_CONFIG: Final = "config-missing"
MISSING_PROJECT: Final = "project-missing"

SOCKET: Final = "/ws/voice/"
RESOLVE: Final = "/api/v1/projects/resolve"

MINUTE: Final = 60.0
STRICT_CHUNK_BYTES: Final = 1_000_000
LENIENT_CHUNK_BYTES: Final = 1 << 20
"""The page's "1 MB", in its two readings."""

DOCUMENTED_TYPES: Final = ("session_settings", "audio_input", "keep_alive")
SDK_TYPES: Final = ("text_input", "interrupt", "test_connection")


class NextEVISimulator(Simulator):
    """Limits as the page has them: seconds of a session, sessions at once (None: any number), connections and messages a minute,
    audio messages a second. idle_seconds is not published; a client that sends `idle_timeout` sets its own, with a warning and a hang-up.

    strict: the page's word for all of it, `timestamp` and `message_id` in every text included, which its own SDKs leave out; else
    what the SDKs send is taken, no rate is counted, and a WebSocket ping keeps the session open, as the SDKs trust it to.
    """

    vendor = "nextevi"
    plain = ("/api/",)
    FAULTS: ClassVar[Mapping[str, str]] = {code: fault.about for code, fault in KNOWN.items()}
    _faults: ClassVar[Mapping[str, Fault]] = KNOWN

    def __init__(
        self,
        *,
        max_session_seconds: float = 3600.0,
        idle_seconds: float = 60.0,
        concurrency: int | None = None,
        connections_per_minute: int = 100,
        messages_per_minute: int = 1000,
        chunks_per_second: int = 100,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        if max_session_seconds <= 0 or idle_seconds <= 0:
            raise ValueError("seconds of a session or of idleness must be above 0")
        self.max_session_seconds, self.idle_seconds, self.concurrency = max_session_seconds, idle_seconds, concurrency
        self.connections_per_minute = connections_per_minute
        self.messages_per_minute, self.chunks_per_second = messages_per_minute, chunks_per_second

    def admit(self, line: Line) -> Response | None:
        assert line.request is not None
        path = urlsplit(line.request.path).path
        name = path.removeprefix(SOCKET)
        if not path.startswith(SOCKET) or not name or "/" in name:
            return _not_found(line)
        line.session.request_id = name
        refused = self.refused(line) if self.wording == "live" else None
        return None if refused is None or ROWS[refused].status is None else refuse(line, refused)

    def reply(self, line: Line) -> Response:
        """`GET /api/v1/projects/resolve` with the key as a Bearer token [lk auth.py]."""
        assert line.request is not None
        if urlsplit(line.request.path).path != RESOLVE:
            return _not_found(line)
        if refused := _credential(line):
            return refuse(line, refused)
        body = {"project_id": "project-1", "organization_id": "org-1"}
        return answer(line, 200, {"content-type": "application/json"}, orjson.dumps(body))

    async def converse(self, line: Line) -> None:
        if refused := self.refused(line):
            await fail(line, refused, ends=True)
        else:
            line.pings_count = not self.strict
            await _Conversation(self, line).run()

    def refused(self, line: Line) -> str | None:
        """The fault of the key, of what the query names, or of too many sessions."""
        query = _query(line)
        if wrong := _credential(line):
            return wrong
        if query.get("config_id", MISSING_CONFIG) == MISSING_CONFIG:
            return "CONFIG_NOT_FOUND"
        if query.get("project_id") == MISSING_PROJECT:
            return "INVALID_PROJECT"
        others = [session for session in self.sessions if session is not line.session]
        if self.concurrency is not None and sum(not session.ended.is_set() for session in others) >= self.concurrency:
            return "SESSION_LIMIT_EXCEEDED"
        recent = sum(session.opened_at > line.session.opened_at - MINUTE for session in others)
        return "RATE_LIMITED" if self.strict and recent >= self.connections_per_minute else None


class _Conversation:
    def __init__(self, simulator: NextEVISimulator, line: Line) -> None:
        self._simulator, self._line = simulator, line
        self._talk = Talk(line)
        self._over = line.loop.time() + simulator.max_session_seconds
        self._idle = simulator.idle_seconds
        self._warn: float | None = None
        self._messages = Window(simulator.messages_per_minute, MINUTE)
        self._chunks = Window(simulator.chunks_per_second, 1.0)
        self._largest = STRICT_CHUNK_BYTES if simulator.strict else LENIENT_CHUNK_BYTES

    async def run(self) -> None:
        line = self._line
        await line.say(self._metadata())
        line.release()
        line.heard_at = line.loop.time()
        await self._simulator.strike(line)
        while (message := await self._next()) is not None:
            line.heard_at = line.loop.time()
            if await (self._audio(message) if isinstance(message, bytes) else self._text(message)):
                return

    def _metadata(self) -> dict[str, object]:
        query = _query(self._line)
        config = {"audio_format": "pcm", "encoding": "linear16", "sample_rate": RATE, "channels": 1}
        data = {
            "connection_id": self._line.session.request_id,
            "status": "connected",
            "config": config,
            "project_id": query.get("project_id", "project-1"),
            "config_id": query["config_id"],
        }
        return envelope("connection_metadata", data) if self._line.wording == "documented" else {"type": "connection_metadata", **data}

    async def _next(self) -> str | bytes | None:
        """The next message; None once the session ended for want of one, or at its full length."""
        line, warn_after = self._line, self._warn
        message = await line.next_message(self._idle if warn_after is None else warn_after, self._over)
        if message is None and warn_after is not None and line.loop.time() < self._over:
            await warn(line, self._idle - warn_after)
            message = await line.next_message(self._idle, self._over)
        if message is not None:
            return message
        if line.loop.time() >= self._over:
            await fail(line, "SESSION_EXPIRED", ends=True)
        elif warn_after is None:
            await fail(line, "CONNECTION_TIMEOUT")
        else:
            await hang_up(line)
        return None

    async def _audio(self, data: bytes, held: bool = False) -> bool:
        """Take audio in; whether the session ended by it."""
        line, strict = self._line, self._simulator.strict
        now = line.loop.time()
        if len(data) > self._largest:
            return await fail(line, "AUDIO_CHUNK_TOO_LARGE")
        if strict and ((not held and self._messages.over(now)) or self._chunks.over(now)):
            return await fail(line, "RATE_LIMITED")
        if len(data) % 2 or (not line.session.audio and container(data)):
            return await fail(line, "AUDIO_PROCESSING_FAILED")
        line.session.audio += data
        line.session.chunks.append(len(data))
        await self._talk.hear(data)
        await self._simulator.strike(line, self._talk.seconds)
        return False

    async def _text(self, text: str) -> bool:
        """Obey a message, in either form; whether the session ended by it."""
        line, strict = self._line, self._simulator.strict
        line.session.texts.append(text)
        if strict and self._messages.over(line.loop.time()):
            return await fail(line, "RATE_LIMITED")
        try:
            message = orjson.loads(text)
        except ValueError:
            return await fail(line, "INVALID_MESSAGE_FORMAT", "type")
        if missing := _missing(message, strict):
            return await fail(line, "INVALID_MESSAGE_FORMAT", missing)
        kind = message["type"]
        if kind not in (DOCUMENTED_TYPES if strict else DOCUMENTED_TYPES + SDK_TYPES):
            return await fail(line, "UNSUPPORTED_MESSAGE_TYPE", kind)
        body = message["data"] if isinstance(message.get("data"), dict) else message
        if kind == "audio_input":
            return await self._audio_input(body)
        if kind == "session_settings":
            return await self._settings(body)
        if kind == "text_input":
            await self._talk.answer()
        elif kind == "interrupt":
            await self._talk.interrupt()
        return False

    async def _audio_input(self, body: Mapping[str, Any]) -> bool:
        try:
            data = base64.b64decode(body["audio"], validate=True)
        except (KeyError, TypeError, ValueError):
            return await fail(self._line, "AUDIO_PROCESSING_FAILED")
        return await self._audio(data, held=True)

    async def _settings(self, body: Mapping[str, Any]) -> bool:
        audio = body["audio"] if isinstance(body.get("audio"), dict) else body
        said = (audio.get("sample_rate", RATE), audio.get("channels", 1), audio.get("encoding", "pcm"))
        if said not in ((RATE, 1, "linear16"), (RATE, 1, "pcm")):
            return await fail(self._line, "AUDIO_FORMAT_UNSUPPORTED")
        idle = body.get("idle_timeout")
        if isinstance(idle, dict) and idle.get("enabled"):
            self._idle = float(idle.get("hangup_timeout") or self._idle)
            self._warn = min(float(idle.get("warning_timeout") or self._idle), self._idle)
        return False


class Window:
    """So many in any so many seconds."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._times: deque[float] = deque()

    def over(self, now: float) -> bool:
        """Count one; whether it is one too many."""
        self._times.append(now)
        while self._times[0] <= now - self._seconds:
            self._times.popleft()
        return len(self._times) > self._most


def _query(line: Line) -> dict[str, str]:
    assert line.request is not None
    return {key: values[-1] for key, values in parse_qs(urlsplit(line.request.path).query).items()}


def _credential(line: Line) -> str | None:
    """The fault of an API key in the query, or of a JWT or key as a Bearer token in the query or the header [docs]."""
    assert line.request is not None
    query = _query(line)
    scheme, _, token = (query.get("authorization") or line.request.headers.get("Authorization") or "").partition(" ")
    key = query.get("api_key") or token
    if not key:
        return "AUTH_REQUIRED" if not scheme else "AUTH_FAILED"
    if key == DENIED_KEY:
        return "ACCESS_DENIED"
    good = key.startswith(KEY_START) if "api_key" in query else scheme.lower() == "bearer" and key != BAD_KEY
    return None if good else "AUTH_FAILED"


def _missing(message: object, strict: bool) -> str | None:
    """What a message lacks of what the page's `validateMessage` asks for; without strict of its type alone."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "type"
    if not strict:
        return None
    timestamp = message.get("timestamp")
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float):
        return "timestamp"
    return None if "message_id" in message else "message_id"


def _not_found(line: Line) -> Response:
    return answer(line, 404, Headers({"content-type": "application/json"}), b'{"detail":"Not Found"}')
