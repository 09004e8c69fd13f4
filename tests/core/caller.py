"""A call of known truth: a client, a link and a vendor's TCP that do as they are told, a second at a time.

Owns the model of what lies between: what is handed to the kernel, what is acknowledged, how full the vendor's window is, and
whether our own loop turns. A session sees of it what a real one sees: bytes with their times, and a reading once a second.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final, Self

import orjson

from proxy.core.crowd import Crowd
from proxy.core.evidence import TcpSample
from proxy.core.policy import Policy
from proxy.core.report import Report
from proxy.core.vendor import Vendor
from proxy.core.verdict import Side, Transport
from tests.vendors.catalogue import COMMON, PROFILES

from .gatedplay import GatedPlay
from .playbook import BINARY, TEXT, WALL, Play, frame

VENDORS: Final = {name: Vendor(profile, COMMON) for name, profile in PROFILES.items()}
KEY: Final = {"authorization": "Token 0123456789abcdef"}
TONE: Final = {1: b"\x20", 2: b"\x00\x40"}
TLS_HANDSHAKE, TLS_RECORD = 2300, 22
"""Bytes that TLS adds: once, and to each message."""


class Call:
    """One session from its 101 on. Audio has `rate` samples a second, `width` bytes each. Every method but `end` gives it back."""

    def __init__(self, vendor: Vendor | str, path: str, rate: int = 16000, width: int = 2, tls: bool = False, kernel: bool = True,
                 headers: Mapping[str, str] | None = None, date: str | None = None, policy: Policy | None = None) -> None:
        whose = path, KEY if headers is None else headers, VENDORS[vendor] if isinstance(vendor, str) else vendor
        self.play = GatedPlay(*whose, policy) if policy is not None else Play(*whose)
        self.play.opened(**({"date": date} if date else {}))
        self.rate, self.width, self.tls, self.kernel = rate, width, tls, kernel
        self.acked = 0
        self.link = "up"  # up, cut, full (the vendor's window)
        self.delay = 0.0  # seconds that an acknowledgement takes
        self.sent: list[tuple[float, int]] = []  # what stood where when
        self.tick()

    @property
    def now(self) -> float:
        return self.play.now

    def tick(self, lag: float = 0.0, buffered: int = 0) -> Self:
        """A reading, as once a second."""
        traffic = self.play.session.to_vendor
        queued = 500 + traffic.wire_bytes + ((TLS_HANDSHAKE + TLS_RECORD * sum(traffic.frames)) if self.tls else 0)
        self.sent.append((self.now, queued))
        if self.link == "up":
            self.acked = max([self.acked, *(end for at, end in self.sent if at + self.delay <= self.now)])
        unsent = queued - self.acked if self.link == "full" else 0
        sample = TcpSample(self.acked, queued, queued > self.acked, unsent, 0 if self.link == "full" else 65535, 0.02, False)
        self.play.tick(sample if self.kernel else None, (buffered, 0), lag)
        return self

    def audio(self, seconds: float, sample: bytes | None = None) -> bytes:
        """One message of so much audio."""
        return frame(BINARY, (sample or TONE[self.width]) * round(self.rate * seconds), masked=True)

    def talk(self, seconds: float, chunk: float = 0.1, sample: bytes | None = None, speed: float = 1.0, results: bool = False) -> Self:
        """Audio, `speed` times as fast as real time; with `results`, the vendor answers each second."""
        payload, sent, ticked = self.audio(chunk, sample), 0.0, self.now
        while sent < seconds - 1e-9:
            sent += chunk
            self.play.wait(chunk / speed).client(payload)
            if self.now - ticked >= 1.0 - 1e-9:
                ticked = self.now
                if results:
                    self.hears(**RESULT)
                self.tick()
        return self

    def pause(self, seconds: float) -> Self:
        """Nobody sends anything, and all is well with us."""
        for _ in range(int(seconds)):
            self.play.wait(1.0)
            self.tick()
        self.play.wait(seconds - int(seconds))
        return self

    def stands_still(self, seconds: float, chunk: float = 0.1, client_talks: bool = True) -> Self:
        """Our loop does not turn. What the client sent meanwhile comes in a heap at its end, before the tick that tells of it."""
        self.play.now += seconds
        if client_talks:
            self.play.client(*[self.audio(chunk)] * round(seconds / chunk))
        return self

    def says(self, **message: Any) -> Self:
        self.play.says(**message)
        return self

    def says_raw(self, text: bytes, opcode: int = TEXT) -> Self:
        self.play.client(frame(opcode, text, masked=True))
        return self

    def hears(self, **message: Any) -> Self:
        self.play.hears(**message)
        return self

    def keep_alive(self, seconds: float, every: float = 4.0, opcode: int = TEXT, text: bytes = b'{"type":"KeepAlive"}') -> Self:
        """Nothing but keep-alives."""
        for second in range(1, round(seconds) + 1):
            self.play.wait(1.0)
            if not second % every:
                self.says_raw(text, opcode)
            self.tick()
        return self

    def closed(self, code: int, reason: str = "", /, **error: Any) -> Report:
        """The vendor ends it, with an error frame before its close where one is given; then the last reading is taken."""
        if error:
            self.hears(**error)
        self.play.vendor_closes(code, reason)
        return self.tick().play.end()

    def lost(self, side: Side, how: Transport = Transport.RESET) -> Report:
        return self.play.lost(side, how).end()


RESULT: Final = {
    "type": "Results", "is_final": False, "channel": {"alternatives": [{"transcript": "word", "words": [{"start": 0.1, "end": 0.4}]}]},
    "turn_order": 1, "end_of_turn": False, "transcript": "word", "words": [{"text": "word", "start": 100, "end": 400}],
}
"""Words as either of two vendors sends them, by the fields that are read."""


def deepgram(rate: int = 16000, width: int = 2, **more: Any) -> Call:
    encoding = {1: "mulaw", 2: "linear16"}[width]
    return Call("deepgram", f"/v1/listen?encoding={encoding}&sample_rate={rate}", rate, width, **more)


def flux(**more: Any) -> Call:
    return Call("deepgram", "/v2/listen?encoding=linear16&sample_rate=16000", **more).hears(type="Connected", request_id="r-1")


def assemblyai(rate: int = 16000, width: int = 2, query: str = "", ready: bool = True, expires: float | None = None, **more: Any) -> Call:
    encoding = {1: "pcm_mulaw", 2: "pcm_s16le"}[width]
    call = Call("assemblyai", f"/v3/ws?encoding={encoding}&sample_rate={rate}{query}", rate, width, **more)
    return call.hears(type="Begin", id="b-1", expires_at=expires or WALL + 10800) if ready else call


def nextevi(ready: bool = True, query: str = "?api_key=oak_1&config_id=c", **more: Any) -> Call:
    call = Call("nextevi", f"/ws/voice/conn-1{query}", 24000, **{"headers": {}, **more})
    return call.hears(type="connection_metadata", connection_id="conn-1") if ready else call


def refused(vendor: str, path: str, status: int, headers: Mapping[str, str], body: dict[str, Any], asked: Mapping[str, str] | None = None,
            before: int = 0) -> Report:
    """No 101, after `before` others with the same credential in the last half minute."""
    play = Play(path, KEY if asked is None else asked, VENDORS[vendor])
    crowd = Crowd(b"k")
    for number in range(before):
        crowd.left(crowd.came("main", "key", play.now - 30 + 30 * number / before))
    play.session.company = crowd.came("main", "key", play.now)
    play.session.refused(status, headers, orjson.dumps(body), play.now)
    return play.end()


def base64(data: bytes) -> bytes:
    return b64encode(data)


def field(number: int, data: bytes | int) -> bytes:
    """One field of protobuf: bytes of any length, or a small number."""
    if isinstance(data, int):
        return bytes([number << 3]) + _varint(data)
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


class Avatar(Call):
    """A call whose messages are protobuf, audio and errors included."""

    def __init__(self, **more: Any) -> None:
        super().__init__("spatius", "/v2/driveningress/websocket?id=a", headers={"x-session-key": "k"}, **more)
        self.says_raw(field(1, 1) + field(2, field(1, 16000)), BINARY)
        self.play.vendor(frame(BINARY, field(1, 2) + field(3, field(1, b"c-1"))))

    def audio(self, seconds: float, sample: bytes | None = None) -> bytes:
        samples = (sample or TONE[2]) * round(self.rate * seconds)
        return frame(BINARY, field(1, 3) + field(4, field(1, b"r-1") + field(3, samples)), masked=True)

    def complains(self, code: int, message: str) -> Self:
        """ServerError."""
        self.play.vendor(frame(BINARY, field(1, 4) + field(5, field(3, code) + field(4, message.encode()))))
        return self

    def fails(self, code: int, message: str, close: int) -> Report:
        return self.complains(code, message).closed(close)


class Speaker(Call):
    """A call of ELSA's scripted kind: streams one after the other, each message a WAV file of its own."""

    def __init__(self, **more: Any) -> None:
        super().__init__("elsa", "/api/v2/ws/score_audio", headers={"authorization": "ELSA k"}, **more)
        self.header = wav_header(16000)
        self.hears(type="ELSA:wsConnect", message="w").hears(type="ELSA:ready")

    def begins(self) -> Self:
        return self.says(type="ELSA:start_stream").hears(type="ELSA:start_stream_result", data={"success": True, "stream_id": "s-1"})

    def audio(self, seconds: float, sample: bytes | None = None) -> bytes:
        samples = (sample or TONE[2]) * round(self.rate * seconds)
        return frame(BINARY, self.header + samples, masked=True)

    def scored(self) -> Self:
        """The stream ends as it should."""
        self.says(type="ELSA:end_stream").hears(type="ELSA:stopped_listening")
        self.hears(type="ELSA:decoding_result", data={"utterance": [{"sentence": "word"}], "stream_finished": True})
        return self.hears(type="ELSA:ready")

    def fails(self, text: str) -> Self:
        """The vendor ends the stream, and would begin another."""
        return self.hears(type="ELSA:error", message=text)


def wav_header(rate: int, size: int = 3200) -> bytes:
    """44 bytes, for one channel of 16 bits."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)
