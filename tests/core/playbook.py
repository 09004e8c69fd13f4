"""A dialogue with one session: what each side sends and what the clock says, in order; out comes the report.

Owns a frame encoder that shares nothing with the scanner, a made-up vendor, and the clock that all of it runs on.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import cycle
from operator import xor
from typing import Any, Final, Self

import orjson

from proxy.core.evidence import TcpSample
from proxy.core.profile import Profile
from proxy.core.report import Report
from proxy.core.reporting import report_of
from proxy.core.rules import Common
from proxy.core.session import Session
from proxy.core.tally import Tables
from proxy.core.vendor import Request, Vendor
from proxy.core.verdict import Side, Transport

MASK: Final = b"\x11\x22\x33\x44"
WALL: Final = 1_800_000_000.0
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

PROFILE: Final = Profile.model_validate({
    "vendor": "acme",
    "title": "Acme Speech",
    "own_headers": ["acme-id"],
    "error_headers": ["acme-error"],
    "no_information": ["see the error message"],
    "body": {"role": "error", "server_code": "code", "server_detail": "message", "ids": {"req_id": "request"}},
    "routes": [
        {"path": "/v1/listen", "name": "one", "endpoint": "v1", "upstream": "https://acme.test"},
        {"path": "/v2/listen", "name": "two", "endpoint": "v2", "upstream": "https://acme.test"},
        {"path": "/v3", "name": "three", "endpoint": "bare", "upstream": "https://acme.test"},
    ],
    "endpoints": {
        "v1": {
            "audio": {
                "encoding": {"query": "encoding"}, "sample_rate": {"query": "rate", "header": "X-Rate"}, "channels": {"query": "channels"},
                "formats": {"linear16": "pcm_s16le", "mulaw": "mulaw", "opus": "opaque"},
            },
            "limits": {"session_seconds": 3600},
            "response_ids": {"req_id": "Acme-Id"},
            "ready": "handshake",
            "empty_binary": "end",
            "client": {"kinds": {"Finish": {"role": "end"}, "Alive": {"role": "keep_alive"}}},
            "server": {"kinds": {
                "Results": {
                    "role": "result", "text": "text", "final": {"path": "final", "equals": True}, "utterance": "turn",
                    "speech_start": {"path": "start"}, "speech_end": {"path": "start", "plus": "duration"},
                },
                "Summary": {"role": "end", "audio_seconds": {"path": "duration"}, "ids": {"req_id": "request"}},
                "Error": {"role": "error", "server_code": "code", "server_detail": "message"},
                "Trouble": {"role": "error", "fatal": False, "server_detail": "message"},
                "Warning": {"role": "warning"},
                "Noise": {"role": "info"},
            }},
        },
        "v2": {
            "audio": {"encoding": {"default": "linear16"}, "sample_rate": {"query": "rate", "default": "16000"},
                      "formats": {"linear16": "pcm_s16le"}},
            "ready": "message",
            "client": {"kinds": {"Finish": {"role": "end"}}},
            "server": {"kinds": {
                "Hello": {"role": "ready", "ids": {"connection_id": "id"}, "expires_at": "expires"},
                "Word": {"role": "result"},
                "Error": {"role": "error", "server_code": "code", "server_detail": "message"},
            }},
        },
        "bare": {"audio": {"encoding": {}, "sample_rate": {}, "formats": {}}, "ready": "handshake"},
    },
    "rules": [
        {"id": "no-speech", "code": "NO_SPEECH", "category": "idle_timeout", "hint": "Send audio.",
         "when": [{"text": "no audio came"}], "examples": [{"close_code": 1011}]},
        {"id": "bad-bytes", "code": "BAD_BYTES", "category": "audio_format", "hint": "Declare what is sent.",
         "when": {"close_code": 1000, "reported_seconds": 0, "audio_sent": True}, "examples": [{"close_code": 1000}]},
        {"id": "expired", "code": "EXPIRED", "category": "session_expired", "hint": "Begin another.",
         "when": {"close_code": 4008}, "examples": [{"close_code": 4008}]},
        {"id": "key", "code": "BAD_KEY", "category": "auth", "hint": "Check the key.",
         "when": {"http_status": 401}, "examples": [{"http_status": 401}]},
        {"id": "odd", "code": "410_odd", "category": "upstream_error", "hint": "Ask the vendor.",
         "when": {"close_code": [410, 5004, 100]}, "examples": [{"close_code": 410}]},
    ],
})


def _transport_rule(name: str) -> dict[str, Any]:
    return {"id": f"transport-{name}", "code": f"transport_{name}", "category": "network", "hint": "Look at the network.",
            "when": {"transport": name}, "examples": [{"transport": name}]}


COMMON: Final = Common.model_validate({"rules": [
    {"id": "normal", "code": "normal", "category": "normal", "outcome": "ok", "hint": "Nothing to do.",
     "when": {"close_code": [1000, 1001, 1005]}, "examples": [{"close_code": 1000}]},
    {"id": "keepalive", "code": "1011_keepalive", "category": "network", "hint": "The client's pings were not answered.",
     "when": {"close_code": 1011, "close_by": "client"}, "examples": [{"close_code": 1011}]},
    {"id": "in-between", "code": "http_in_between", "category": "network", "hint": "Something in between answered.",
     "when": {"in_between": True, "http_status": ["4xx", "5xx"]}, "examples": [{"http_status": 502}]},
    *map(_transport_rule, Transport),
]})

VENDOR: Final = Vendor(PROFILE, COMMON)
V1: Final = "/v1/listen?encoding=linear16&rate=16000"
V2: Final = "/v2/listen"


def frame(opcode: int, payload: bytes = b"", masked: bool = False, fin: bool = True, rsv: int = 0, width: int | None = None) -> bytes:
    """One frame. `width` forces 0, 2 or 8 extra bytes of length."""
    size = len(payload)
    width = width if width is not None else 0 if size < 126 else 2 if size < 65536 else 8
    flag = 0x80 if masked else 0
    first = bytes([(0x80 if fin else 0) | rsv | opcode])
    if width == 0:
        head = first + bytes([flag | size])
    elif width == 2:
        head = first + bytes([flag | 126]) + struct.pack("!H", size)
    else:
        head = first + bytes([flag | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    return head + MASK + bytes(map(xor, payload, cycle(MASK)))


def close(code: int | None = None, reason: str = "", masked: bool = False) -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode(), masked)


def tcp(acked: int, queued: int, window: int | None = 65535) -> TcpSample:
    """TCP_INFO of a link with nothing else to tell."""
    return TcpSample(acked, queued, 0, 0, window, 0.02, False)


class Play:
    """One session on a clock of its own, which starts at 100 s. Every method but `end` gives the play back."""

    def __init__(self, path: str = V1, headers: Mapping[str, str] | None = None, vendor: Vendor = VENDOR) -> None:
        self.now = 100.0
        self.tables = Tables()
        route = vendor.route(path)
        endpoint = vendor.endpoints[route.endpoint] if route and route.endpoint else None
        request = Request.of(path, dict(headers or {}))
        self._session = Session("s-1", "main", vendor, endpoint, request, self.tables, self.now, WALL)

    @property
    def session(self) -> Session:
        """The session, having looked at all that it was fed."""
        self._session.settle()
        return self._session

    def wait(self, seconds: float) -> Self:
        self.now += seconds
        return self

    def opened(self, **headers: str) -> Self:
        self._session.opened({name.replace("_", "-"): value for name, value in headers.items()}, self.now)
        return self

    def client(self, *data: bytes) -> Self:
        for chunk in data:
            self._session.from_client.feed(chunk, self.now)
        return self

    def vendor(self, *data: bytes) -> Self:
        for chunk in data:
            self._session.from_vendor.feed(chunk, self.now)
        return self

    def says(self, **message: Any) -> Self:
        """The client sends a text message."""
        return self.client(frame(TEXT, orjson.dumps(message), masked=True))

    def hears(self, **message: Any) -> Self:
        """The vendor sends one."""
        return self.vendor(frame(TEXT, orjson.dumps(message)))

    def speaks(self, seconds: float, chunk: float = 0.1, sample: bytes = b"\x00\x40") -> Self:
        """16 kHz audio in real time, in masked chunks."""
        payload = frame(BINARY, sample * round(16000 * chunk), masked=True)
        for _ in range(round(seconds / chunk)):
            self.wait(chunk).client(payload)
        return self

    def client_closes(self, code: int | None = 1000, reason: str = "") -> Self:
        return self.client(close(code, reason, masked=True))

    def vendor_closes(self, code: int | None = 1000, reason: str = "") -> Self:
        return self.vendor(close(code, reason))

    def lost(self, side: Side, how: Transport = Transport.EOF) -> Self:
        self._session.lost(side, how)
        return self

    def tick(self, sample: TcpSample | None = None, buffered: tuple[int, int] = (0, 0), lag: float = 0.0) -> Self:
        """A tick in time, however long ago the last one was: a loop that stood still is told as `lag`."""
        self._session._ticked_at = max(self._session._ticked_at, self.now - 1.0)
        self._session.tick(self.now, sample, buffered, lag)
        return self

    def end(self, correlation: Mapping[str, tuple[str, ...]] | None = None) -> Report:
        return report_of(self._session, self.now, correlation)
