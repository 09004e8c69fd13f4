"""ELSA's streams: scripted `/api/v2/ws/score_audio`, several of them on one socket, and unscripted `/api/v1/ws/score_audio_plus`.

Sources: [doc] the vendor's pages `websocket-scripted` and `websocket-unscripted`; [ex] its example clients; for lengths of audio, a
third party's reading of the plans. What a refused handshake looks like is not known: both forms can be had (`early`). Nor is it
known whether an error is followed by a close: the example client closes by itself (`closes`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import orjson
from websockets.http11 import Request, Response

from proxy.simulators.base import BAD_KEY, Simulator
from proxy.simulators.elsa_audio import Stream
from proxy.simulators.elsa_faults import FAULTS as KNOWN
from proxy.simulators.elsa_faults import ROWS, Refusal, UnusableError, fail, is_scripted
from proxy.simulators.elsa_http import UPLOADS, refused, scored
from proxy.simulators.faults import Fault, answer
from proxy.simulators.line import Line

SCRIPTED: Final = "/api/v2/ws/score_audio"
UNSCRIPTED: Final = "/api/v1/ws/score_audio_plus"
SCHEMES: Final = frozenset({"elsa", "bearer"})
"""[doc] spells both, in any case."""

LONGEST_SECONDS: Final = {("scripted", "standard"): 20.0, ("scripted", "premium"): 45.0,
                          ("unscripted", "standard"): 20.0, ("unscripted", "premium"): 150.0}
PARTIAL_SECONDS: Final = 0.5
PROCESSING_SECONDS: Final = 2.0
END_SILENCE_SECONDS: Final = 1.5
LINK: Final = ("https://results.example/{id}.{kind}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=EXAMPLE%2F20260901%2Fs3&X-Amz-Expires=3600"
               "&X-Amz-Signature=9f1c5a7be02d4c8896ab31fe0d77c2459f1c5a7be02d4c8896ab31fe0d77c245")


class ElsaSimulator(Simulator):
    """Both streams and the uploads. closes: code of a close after each error, None for none. early: a bad credential is refused with
    an HTTP status, else after the 101. max_audio_seconds: instead of the plan's. strict: audio of a stream is limited at all.
    """

    vendor = "elsa"
    plain = UPLOADS
    FAULTS: ClassVar[Mapping[str, str]] = {code: fault.about for code, fault in KNOWN.items()}
    _faults: ClassVar[Mapping[str, Fault]] = KNOWN

    def __init__(
        self, *, closes: int | None = None, early: bool = False, max_audio_seconds: float | None = None, fault: str | None = None,
        **common: Any,
    ) -> None:
        super().__init__(fault=fault, **common)
        if max_audio_seconds is not None and max_audio_seconds <= 0:
            raise ValueError("seconds of audio must be above 0")
        self.closes, self.early, self.max_audio_seconds = closes, early, max_audio_seconds
        self.row = ROWS.get(fault or "")
        self._named = Refusal(fault) if fault is not None and fault in ROWS else None

    def admit(self, line: Line) -> Response | None:
        assert line.request is not None
        path = line.request.path.partition("?")[0]
        if path not in (SCRIPTED, UNSCRIPTED):
            return answer(line, 404, {"content-type": "application/json"}, b'{"message":"Not Found"}')
        refusal = unauthorised(line.request) if self.early else None
        return None if refusal is None else refused(line, refusal, ROWS[refusal.name].status)

    def reply(self, line: Line) -> Response:
        assert line.request is not None
        refusal = self._named or unauthorised(line.request)
        return scored(line, refusal, self.limit(is_scripted(line.request.path), "premium"))

    async def converse(self, line: Line) -> None:
        await (Scripted if is_scripted(line.session.path) else Unscripted)(self, line).run()

    async def strike(self, line: Line, seconds: float = 0.0, *, stage: str = "session") -> bool:
        struck = await super().strike(line, seconds, stage=stage)
        if struck and self.row is not None:
            await self.after_error(line)
        return struck

    async def after_error(self, line: Line) -> None:
        if self.closes is not None:
            await line.close(self.closes)

    def limit(self, scripted: bool, plan: object) -> float:
        """Seconds of audio that a stream or an upload may hold."""
        if not self.strict:
            return float("inf")
        kind = "scripted" if scripted else "unscripted"
        return self.max_audio_seconds or LONGEST_SECONDS[kind, "premium" if plan == "premium" else "standard"]


def unauthorised(request: Request) -> Refusal | None:
    """What is wrong with the Authorization header: `ELSA TOKEN`."""
    scripted = is_scripted(request.path)
    scheme, _, token = " ".join(request.headers.get_all("Authorization")).strip().partition(" ")
    if not scheme or (token and scheme.lower() not in SCHEMES):
        return Refusal("InvalidHeaderParameter" if scripted else "NoTokenProvided")
    if not token:
        return Refusal("NoTokenProvided")
    if token != BAD_KEY:
        return None
    return Refusal("UserDoesNotExist", {"user_type": "client"}) if scripted else Refusal("InvalidSessionToken", {"token": token})


class _Conversation(ABC):
    """One socket. Messages before a stream's start and after its end are ignored."""

    scripted: ClassVar[bool]
    tick: ClassVar[float]

    def __init__(self, simulator: ElsaSimulator, line: Line) -> None:
        self._simulator, self.line = simulator, line
        self.stream: Stream | None = None
        self._before = self._limit = 0.0
        self._said = 0

    async def run(self) -> None:
        line = self.line
        await self.greet()
        line.release()
        while True:
            message = await line.recv()
            if isinstance(message, bytes):
                await self._audio(message)
            else:
                line.session.texts.append(message)
                await self._text(message)

    async def _text(self, text: str) -> None:
        try:
            message = orjson.loads(text)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        if message.get("type") == "ELSA:end_stream":
            await self._end()
        elif (info := self.starts(message)) is not None:
            await self._start(info)

    async def _start(self, info: Mapping[str, Any]) -> None:
        simulator, line = self._simulator, self.line
        assert line.request is not None
        refusal = unauthorised(line.request)
        if refusal is not None:
            await self._refuse(refusal)
            return
        if simulator.row is not None and simulator.row.when == "start" and await simulator.strike(line, float("inf")):
            return
        self.stream = Stream(scripted=self.scripted, tick=self.tick, end=END_SILENCE_SECONDS)
        self._limit, self._said = simulator.limit(self.scripted, info.get("api_plan")), 0
        await self.started(info)
        if simulator.row is None:
            await simulator.strike(line)

    async def _audio(self, message: bytes) -> None:
        line, stream = self.line, self.stream
        line.session.chunks.append(len(message))
        if stream is None:
            return
        try:
            marks = [*stream.hear(message)]
        except UnusableError as wrong:
            await self._refuse(wrong.refusal)
            return
        line.session.audio += stream.heard
        if await self._simulator.strike(line, self._before + stream.seconds):
            if self._simulator.row is not None:
                self.stream = None
            return
        await self.heard(stream, "tick" in marks, "end" in marks, stream.seconds > self._limit)

    async def _end(self) -> None:
        if self.stream is not None and not self.stream.seconds:
            await self._refuse(Refusal("MissingAudioParam"))
        elif self.stream is not None:
            await self.finish(self.stream)

    def over(self, stream: Stream) -> None:
        self._before += stream.seconds
        self.stream = None

    async def _refuse(self, refusal: Refusal) -> None:
        self.stream = None
        await fail(self.line, refusal)
        await self._simulator.after_error(self.line)

    def has_news(self, stream: Stream) -> bool:
        said, self._said = self._said, len(stream.words)
        return self._said > said

    @abstractmethod
    async def greet(self) -> None:
        """The hello of the socket, if it has one."""

    @abstractmethod
    def starts(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What is asked for, if the message starts a stream."""

    @abstractmethod
    async def started(self, info: Mapping[str, Any]) -> None: ...

    @abstractmethod
    async def heard(self, stream: Stream, tick: bool, silence: bool, too_long: bool) -> None: ...

    @abstractmethod
    async def finish(self, stream: Stream) -> None: ...


class Scripted(_Conversation):
    scripted, tick = True, PARTIAL_SECONDS
    _sentence = ""

    async def greet(self) -> None:
        await self.line.say({"type": "ELSA:wsConnect", "message": "api-ws-7"})
        await self.line.say({"type": "ELSA:ready"})

    def starts(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if message.get("type") != "ELSA:start_stream":
            return None
        data = message.get("data")
        info = data.get("stream_info") if isinstance(data, dict) else None
        return info if isinstance(info, dict) else {}

    async def started(self, info: Mapping[str, Any]) -> None:
        self._sentence = str(info.get("sentence", ""))
        await self.line.say({"type": "ELSA:start_stream_result", "data": {"success": True}})

    async def heard(self, stream: Stream, tick: bool, silence: bool, too_long: bool) -> None:
        await self.line.say({"type": "ELSA:audioACK"})
        if silence or too_long:
            await self.line.say({"type": "ELSA:stopped_listening"})
            await self.finish(stream)
        elif tick and self.has_news(stream):
            await self._result(stream, finished=False)

    async def finish(self, stream: Stream) -> None:
        await self._result(stream, finished=True)
        self.over(stream)
        await self.line.say({"type": "ELSA:ready"})

    async def _result(self, stream: Stream, *, finished: bool) -> None:
        words = stream.words
        utterance = {"sentence": self._sentence or " ".join(words), "sentence_id": 0, "total_time": round(stream.seconds, 3),
                     "has_speech": bool(words), "nativeness_score": 91.5, "words": [{"text": word} for word in words]}
        await self.line.say({"type": "ELSA:decoding_result", "data": {"utterance": [utterance], "stream_finished": finished}})


class Unscripted(_Conversation):
    scripted, tick = False, PROCESSING_SECONDS
    _json = False

    async def greet(self) -> None:
        pass

    def starts(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return message if "type" not in message and "api_plan" in message else None

    async def started(self, info: Mapping[str, Any]) -> None:
        self._json = info.get("return_json") is True
        await self.line.say({"status": "processing", "stream_id": self.line.session.request_id})

    async def heard(self, stream: Stream, tick: bool, silence: bool, too_long: bool) -> None:
        if too_long:
            await self._refuse(Refusal("AudioTooBigForSync"))
        elif tick:
            await self.line.say({"status": "processing"})

    async def finish(self, stream: Stream) -> None:
        number = self.line.session.request_id
        links = {"result_link": LINK.format(id=number, kind="json"), "audio_link": LINK.format(id=number, kind="wav")}
        found = {"speakers": [{"utterances": [{"text": " ".join(stream.words)}]}]} if self._json else {}
        await self.line.say({"status": "success", **links, **found})
        self.over(stream)
