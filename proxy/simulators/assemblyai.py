"""AssemblyAI Universal-Streaming `/v3/ws`: who may come in, the session's limits, Turns as the audio goes by, Termination.

Sources: the SDK's `streaming/v3/models.py`; the vendor's pages "Message sequence" and "Common session errors and closures"; for the
limits as they are really applied, a third party's notes of 2026-09. The vendor answers 101 to everyone and tells afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.datastructures import Headers
from websockets.http11 import Response

from proxy.core.audio import AudioFormat
from proxy.simulators.assemblyai_faults import FAULTS as KNOWN
from proxy.simulators.assemblyai_faults import fail
from proxy.simulators.assemblyai_token import PATH as TOKEN_PATH
from proxy.simulators.assemblyai_token import token
from proxy.simulators.assemblyai_turns import Turns
from proxy.simulators.base import BAD_KEY, Simulator
from proxy.simulators.faults import Fault, answer
from proxy.simulators.line import Line

EXPIRED_TOKEN: Final = "stale-key-1"
"""The one temporary token whose time is over."""

ENCODINGS: Final = {"pcm_s16le": "pcm_s16le", "pcm_mulaw": "mulaw", "opus": "opus", "ogg_opus": "ogg_opus", "aac": "aac"}
SHORTEST_MS: Final = 50.0
LONGEST_MS: Final = 1000.0
RATE: Final = 1.25
BURST_SECONDS: Final = 2.0
"""What may be ahead at first in strict mode: two chunks of the longest kind."""

LENIENT_LEAD_SECONDS: Final = 300.0
LENIENT_SHORT_CHUNKS: Final = 2
"""Short chunks in a row that are let pass in lenient mode; a third ends the session."""


class AssemblyAISimulator(Simulator):
    """One endpoint. max_session_seconds: 3 h in reality. inactivity_seconds: stands in for the client's `inactivity_timeout`.

    strict: any chunk outside 50..1000 ms (but for a short last one) and any audio more than 1.25 times real time (after 2 s) ends the
    session; else a third
    short chunk in a row, a long one, and audio 5 minutes ahead of real time.
    """

    vendor = "assemblyai"
    plain = (TOKEN_PATH,)
    FAULTS: ClassVar[Mapping[str, str]] = {code: fault.about for code, fault in KNOWN.items()}
    _faults: ClassVar[Mapping[str, Fault]] = KNOWN

    def __init__(self, *, max_session_seconds: float = 10800.0, inactivity_seconds: float | None = None, **common: Any) -> None:
        super().__init__(**common)
        if max_session_seconds <= 0 or (inactivity_seconds is not None and inactivity_seconds <= 0):
            raise ValueError("seconds of a session or of inactivity must be above 0")
        self.max_session_seconds, self.inactivity_seconds = max_session_seconds, inactivity_seconds

    def reply(self, line: Line) -> Response:
        return token(line)

    def admit(self, line: Line) -> Response | None:
        assert line.request is not None
        if urlsplit(line.request.path).path in ("/v3/ws", "/v2/realtime/ws"):
            return None
        return answer(line, 404, Headers({"content-type": "application/json"}), b'{"detail":"Not Found"}')

    async def converse(self, line: Line) -> None:
        assert line.request is not None
        url = urlsplit(line.request.path)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        form, problem = _format(query)
        if url.path == "/v2/realtime/ws":
            await fail(line, "410_deprecated")
        elif refused := _refused(line, query):
            await fail(line, refused)
        elif problem:
            await fail(line, "3006_parameter")
        else:
            await _Conversation(self, line, query, form).run()


class _Conversation:
    def __init__(self, simulator: AssemblyAISimulator, line: Line, query: Mapping[str, str], form: AudioFormat) -> None:
        self._simulator, self._line = simulator, line
        self._rate = form.bytes_per_second
        self._turns = Turns(line, form, formatted=query.get("format_turns", "").lower() == "true")
        self._inactivity = simulator.inactivity_seconds or float(query.get("inactivity_timeout", 0)) or float("inf")
        self._short = 0
        self._tail: float | None = None  # a short chunk that is no fault if it is the last before a message or the end
        self._began = line.loop.time()

    async def run(self) -> None:
        line, simulator = self._line, self._simulator
        began_at = int(time.time() + simulator.max_session_seconds)
        await line.say({"type": "Begin", "id": line.session.request_id, "expires_at": began_at})
        line.release()
        line.heard_at = line.loop.time()
        await simulator.strike(line)
        over = self._began + simulator.max_session_seconds
        while True:
            message = await line.next_message(min(self._inactivity, simulator.max_session_seconds), over)
            if message is None:
                await self._expire(over)
                return
            line.heard_at = line.loop.time()
            if isinstance(message, bytes):
                if not await self._audio(message):
                    return
            elif not await self._control(message):
                return

    async def _expire(self, over: float) -> None:
        if self._line.loop.time() >= over:
            await fail(self._line, "3008_session_expired")
        else:
            await fail(self._line, "3006_inactivity", seconds=f"{self._inactivity:g}")

    async def _audio(self, data: bytes) -> bool:
        """Take one message in; False if it broke a limit, which has then been told."""
        line = self._line
        line.session.audio += data
        line.session.chunks.append(len(data))
        if self._rate:
            if (ms := self._bad_chunk(len(data) / self._rate * 1000)) is not None:
                await fail(line, "3007_input_duration", ms=round(ms, 1))
                return False
            audio, real = len(line.session.audio) / self._rate, line.loop.time() - self._began
            allowed = RATE * real + BURST_SECONDS if self._simulator.strict else real + LENIENT_LEAD_SECONDS
            if audio > allowed:
                await fail(line, "3007_transmission_rate", audio=round(audio, 1), real=round(real, 1))
                return False
        await self._turns.hear(data)
        await self._simulator.strike(line, self._turns.seconds)
        return True

    def _bad_chunk(self, ms: float) -> float | None:
        """The duration, if it is one too many outside the limits."""
        if ms > LONGEST_MS + 1e-6:
            return ms
        if self._simulator.strict:
            before, self._tail = self._tail, ms if ms < SHORTEST_MS - 1e-6 else None
            return before
        self._short = self._short + 1 if ms < SHORTEST_MS - 1e-6 else 0
        return ms if self._short > LENIENT_SHORT_CHUNKS else None

    async def _control(self, text: str) -> bool:
        """Obey one message; False once the session has ended."""
        line = self._line
        line.session.texts.append(text)
        self._tail = None
        try:
            message = orjson.loads(text)
        except ValueError:
            await fail(line, "3006_json", value=text)
            return False
        if not isinstance(message, dict):
            await fail(line, "3006_message", value=text)
            return False
        kind = message.get("type")
        if kind == "Terminate":
            await self._terminate()
            return False
        if kind == "ForceEndpoint":
            await self._turns.end()
        elif kind not in ("KeepAlive", "UpdateConfiguration"):  # these two are not acknowledged
            await fail(line, "3006_message_type", value=kind)
            return False
        return True

    async def _terminate(self) -> None:
        line = self._line
        await self._turns.end()
        open_for = round(line.loop.time() - self._began)
        await line.say({"type": "Termination", "audio_duration_seconds": round(self._turns.seconds), "session_duration_seconds": open_for})
        await line.close(1000, "Session Ended" if line.wording == "live" else "")


def _refused(line: Line, query: Mapping[str, str]) -> str | None:
    """The fault of a key: raw in the Authorization header, no scheme word; or a temporary token in the query."""
    assert line.request is not None
    key = line.request.headers.get("Authorization") or query.get("token")
    if not key:
        return "1008_missing_authorization"
    if key == EXPIRED_TOKEN:
        return "1008_token_expired"
    return "1008_invalid_key" if key == BAD_KEY or " " in key.strip() else None


def _format(query: Mapping[str, str]) -> tuple[AudioFormat, bool]:
    """The declared audio, and whether something in the query is refused. The rate may be missing where the stream tells it."""
    name = ENCODINGS.get(query.get("encoding", "pcm_s16le"))
    rate = query.get("sample_rate", "")
    known = rate.isascii() and rate.isdigit() and int(rate) > 0
    silence = query.get("inactivity_timeout", "5")
    allowed = silence.isascii() and silence.isdigit() and 5 <= int(silence) <= 3600
    needed = name in ("pcm_s16le", "mulaw")
    return AudioFormat(name or "", int(rate) if known else None), name is None or not allowed or (needed and not known)
