"""Spatius' avatars: the console that gives session tokens, and the driven ingress, into which speech goes and out of which animation comes.

Sources: `avatar_session.py` and `session_config.py` of the SDK `spatius` 1.1.1; for the sibling, `session.py` of `spatialreal` 0.2.2.
In reality console and ingress are two hosts; here one port has the paths of both. What an animation holds is made up: a checksum of
the audio it is for, so that the same audio gives the same frames however it was cut.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.http11 import Response

from proxy.simulators import spatius_wire as wire
from proxy.simulators.base import BAD_KEY, Simulator
from proxy.simulators.faults import Fault, answer
from proxy.simulators.line import Line
from proxy.simulators.spatius_faults import FAULTS as KNOWN
from proxy.simulators.spatius_faults import fail, refuse, refuse_token, tell
from proxy.simulators.spatius_wire import Kind

TOKEN_PATHS: Final = {"/v1/console/session-tokens": "sessionToken", "/v1/auth/session-token": "session_token"}
"""Spatius', and its sibling's, which says it in another case."""
INGRESS: Final = "/v2/driveningress/websocket"

EXPIRED_TOKEN: Final = "stale-key-1"
OTHER_APP: Final = "other-app"
UNKNOWN_APP: Final = "unknown-app"
NO_AVATAR: Final = "no-avatar"
"""A session key, two app ids and an avatar id that are refused."""

SAMPLE_RATES: Final = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
OPUS: Final = 1
OPUS_BYTES_PER_SECOND: Final = 4000
FRAME_SECONDS: Final = 0.1
DAY: Final = 86400
SLACK_SECONDS: Final = 60
LIVEKIT: Final = 1
CAPABILITIES: Final = ("pause", "playback_state")


class SpatiusSimulator(Simulator):
    """Console and ingress on one port.

    idle_seconds: how long it waits for audio; what the vendor does is not published. max_session_seconds: None for no limit.
    sibling: what SpatialReal adds: capabilities, the avatar's id, pause and resume, the state of the playback.
    """

    vendor = "spatius"
    plain: ClassVar[tuple[str, ...]] = ("/v1/console", "/v1/auth")
    FAULTS: ClassVar[Mapping[str, str]] = {code: fault.about for code, fault in KNOWN.items()}
    _faults: ClassVar[Mapping[str, Fault]] = KNOWN

    def __init__(
        self, *, idle_seconds: float = 60.0, max_session_seconds: float | None = None, sibling: bool = False, **common: Any
    ) -> None:
        super().__init__(**common)
        if idle_seconds <= 0 or (max_session_seconds is not None and max_session_seconds <= 0):
            raise ValueError("seconds of a session or of silence must be above 0")
        self.idle_seconds, self.max_session_seconds, self.sibling = idle_seconds, max_session_seconds, sibling

    def reply(self, line: Line) -> Response:
        """A session token for whoever has an API key."""
        assert line.request is not None
        name = TOKEN_PATHS.get(urlsplit(line.request.path).path)
        if name is None or line.method != "POST":
            status = 404 if name is None else 405
            return answer(line, status, {"content-type": "application/json"}, b'{"message":"Not Found"}\n')
        if line.request.headers.get("X-Api-Key", BAD_KEY) == BAD_KEY:
            return refuse_token(line, "token-401")
        if not _may_expire(line.body):
            return refuse_token(line, "token-400")
        token = orjson.dumps({name: f"session-{line.session.request_id}"})
        return answer(line, 200, {"content-type": "application/json"}, token)

    def admit(self, line: Line) -> Response | None:
        assert line.request is not None
        url = urlsplit(line.request.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        app = line.request.headers.get("X-App-ID") or query.get("appId")
        key = line.request.headers.get("X-Session-Key") or query.get("sessionKey")
        refused = {
            "appIDUnrecognized-not-found": url.path != INGRESS,
            "sessionTokenInvalid-empty": not key,
            "sessionTokenInvalid": key == BAD_KEY,
            "sessionTokenExpired": key == EXPIRED_TOKEN,
            "appIDUnrecognized": app in (None, UNKNOWN_APP),
            "appIDMismatch": app == OTHER_APP,
            "avatarNotFound": query.get("id", NO_AVATAR) == NO_AVATAR,
        }
        why = next((code for code, is_so in refused.items() if is_so), None)
        return None if why is None else refuse(line, why)

    async def converse(self, line: Line) -> None:
        await _Conversation(self, line).run()


def _may_expire(body: bytes) -> bool:
    """The body of a request for a token: `{"expireAt": <Unix seconds>}`, at most a day ahead."""
    try:
        asked = orjson.loads(body)
    except ValueError:
        return False
    expires = asked.get("expireAt") if isinstance(asked, dict) else None
    return isinstance(expires, int) and time.time() - SLACK_SECONDS < expires < time.time() + DAY + SLACK_SECONDS


class _Conversation:
    def __init__(self, simulator: SpatiusSimulator, line: Line) -> None:
        self._simulator, self._line = simulator, line
        assert line.request is not None
        self._avatar = parse_qs(urlsplit(line.request.path).query)["id"][-1] if simulator.sibling else ""
        self._rate = 0
        self._egress = 0
        self._heard = 0.0
        self._rest = b""

    async def run(self) -> None:
        line, simulator = self._line, self._simulator
        if not await self._configured():
            return
        await tell(line, wire.confirm(line.session.request_id, *CAPABILITIES if simulator.sibling else ()))
        line.release()
        line.heard_at = line.loop.time()
        await simulator.strike(line)
        over = None if simulator.max_session_seconds is None else line.loop.time() + simulator.max_session_seconds
        while True:
            message = await line.next_message(simulator.idle_seconds, over)
            if message is None:
                late = over is not None and line.loop.time() >= over
                await (fail(line, "sessionDurationExceeded") if late else self._idle())
                return
            if not await self._obey(message):
                return

    async def _idle(self) -> None:
        documented = self._line.wording == "documented"
        await fail(self._line, "idleTimeout", f"no audio input for {self._simulator.idle_seconds:g}s" if documented else None)

    async def _configured(self) -> bool:
        """Read the first message; False if it was refused, which has then been told."""
        line = self._line
        first = await line.next_message(self._simulator.idle_seconds)
        if first is None:
            await self._idle()
            return False
        if isinstance(first, str):
            await fail(line, "protocolError", "unexpected message type: text")
            return False
        try:
            kind, asked = wire.open_message(first)
            egress = wire.decode(wire.raw(asked, 6))
        except ValueError as error:
            await fail(line, "protocolError", f"failed to unmarshal initial message: proto: {error}")
            return False
        rate, self._egress = wire.number(asked, 1), wire.number(asked, 5)
        if kind != Kind.CONFIGURE:
            await fail(line, "protocolError", f"expected ClientConfigureSession message, got {kind}")
        elif rate not in SAMPLE_RATES:
            await fail(line, "unsupportedSampleRate", f"unsupported sample rate: {rate}")
        elif self._egress == LIVEKIT and not (wire.raw(egress, 8) or (wire.raw(egress, 2) and wire.raw(egress, 3))):
            await fail(line, "invalidEgressConfig-0")
        elif self._egress == LIVEKIT and wire.text(egress, 8) == BAD_KEY:
            await fail(line, "invalidEgressConfig")
        else:
            self._rate = OPUS_BYTES_PER_SECOND if wire.number(asked, 3) == OPUS else 2 * rate
            return True
        return False

    async def _obey(self, message: str | bytes) -> bool:
        """Take one message; False once the session has ended."""
        line = self._line
        try:
            if isinstance(message, str):
                line.session.texts.append(message)
                raise ValueError("unexpected message type: text")
            kind, content = wire.open_message(message)
        except ValueError as error:
            await fail(line, "protocolError", str(error))
            return False
        if kind == Kind.AUDIO:
            await self._audio(content)
        elif kind == Kind.INTERRUPT:
            await self._end(wire.text(content, 1))
        elif kind in (Kind.PAUSE, Kind.RESUME) and self._simulator.sibling:
            played = round(self._heard * 1000)
            state = wire.playback_state(line.session.request_id, wire.text(content, 1), kind - 7, played, "explicit")
            await tell(line, state)
        else:
            await fail(line, "protocolError", f"unexpected message type: {kind}")
            return False
        return True

    async def _audio(self, content: dict[int, wire.Value]) -> None:
        line, audio = self._line, wire.raw(content, 3)
        line.heard_at = line.loop.time()
        line.req_id = wire.text(content, 1)
        line.session.audio += audio
        line.session.chunks.append(len(audio))
        self._heard += len(audio) / self._rate
        self._rest += audio
        frame = int(self._rate * FRAME_SECONDS)
        while len(self._rest) >= frame:
            piece, self._rest = self._rest[:frame], self._rest[frame:]
            if not self._egress:  # else they go to the room
                await self._animate(piece)
        if wire.number(content, 2):
            await self._end(line.req_id)
        await self._simulator.strike(line, self._heard)

    async def _animate(self, audio: bytes) -> None:
        line = self._line
        payload = zlib.crc32(audio).to_bytes(4, "big")
        await tell(line, wire.animation(line.session.request_id, line.req_id, payload, avatar_id=self._avatar))

    async def _end(self, req_id: str) -> None:
        self._rest = b""
        await tell(self._line, wire.animation(self._line.session.request_id, req_id, end=True, avatar_id=self._avatar))
