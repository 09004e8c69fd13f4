"""Deepgram: the handshake of `/v1/listen` (Nova) and `/v2/listen` (Flux), and `/v1/auth/grant`.

What is said afterwards is in the modules beside this one.

Sources: the SDK's `environment.py` and `listen/*/client.py`; the vendor's pages on authentication and on the
Sec-WebSocket-Protocol header; a captured 101 (deepgram-js-sdk#301).
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.http11 import Response

from proxy.core.audio import AudioFormat
from proxy.simulators.base import BAD_KEY, Simulator
from proxy.simulators.deepgram_faults import FAULTS as KNOWN
from proxy.simulators.deepgram_faults import refuse
from proxy.simulators.deepgram_flux import FluxSession
from proxy.simulators.deepgram_nova import NovaSession
from proxy.simulators.faults import Fault, answer
from proxy.simulators.line import Line

TIMED: Final = {"linear16": "pcm_s16le", "linear32": "pcm_s32le", "mulaw": "mulaw", "alaw": "alaw"}
GRANT: Final = "/v1/auth/grant"
COMPRESSED: Final = ("flac", "amr-nb", "amr-wb", "opus", "ogg-opus", "speex", "g729")


class DeepgramSimulator(Simulator):
    """Both listening endpoints.

    idle_seconds: how long v1 waits for audio or a KeepAlive, 10 s in reality. flux_idle_seconds: v2, for audio or a ping, 60 s.
    concurrency: open sessions beyond which the handshake is refused with 429. body: the shape of a refusal's body.
    strict: audio is read at no more than 1.25 times real time, as documented ("throttled, not closed"); else as it comes.
    """

    vendor = "deepgram"
    plain = (GRANT,)
    FAULTS: ClassVar[Mapping[str, str]] = {code: fault.about for code, fault in KNOWN.items()}
    _faults: ClassVar[Mapping[str, Fault]] = KNOWN

    def __init__(
        self,
        *,
        idle_seconds: float = 10.0,
        flux_idle_seconds: float = 60.0,
        concurrency: int | None = None,
        body: Literal["legacy", "modern"] = "legacy",
        **common: Any,
    ) -> None:
        super().__init__(**common)
        if body not in ("legacy", "modern"):
            raise ValueError(f"no body {body!r}; there are: legacy, modern")
        if idle_seconds <= 0 or flux_idle_seconds <= 0:
            raise ValueError("idle seconds must be above 0")
        self.idle_seconds, self.flux_idle_seconds, self.concurrency = idle_seconds, flux_idle_seconds, concurrency
        self.modern_body = body == "modern"

    def reply(self, line: Line) -> Response:
        """A temporary token [SDK: auth/v1/tokens], or a refusal in the form of the handshake's."""
        assert line.request is not None
        if urlsplit(line.request.path).path != GRANT or line.method != "POST":
            return refuse(line, "http_405")
        if (key := _credential(line)) is None or key == BAD_KEY:
            return refuse(line, "INVALID_AUTH")
        try:
            asked = orjson.loads(line.body or b"{}")
        except ValueError:
            return refuse(line, "INVALID_JSON")
        seconds = asked.get("ttl_seconds", 30) if isinstance(asked, dict) else None
        if type(seconds) is not int or not 1 <= seconds <= 3600:
            return refuse(line, "http_400", "Invalid ttl_seconds: it must be from 1 to 3600.")
        headers = {"content-type": "application/json", "dg-request-id": line.session.request_id}
        return answer(line, 200, headers, orjson.dumps({"access_token": f"jwt-{line.session.request_id}", "expires_in": seconds}))

    def admit(self, line: Line) -> Response | None:
        assert line.request is not None
        url = urlsplit(line.request.path)
        query = parse_qs(url.query)
        if url.path not in ("/v1/listen", "/v2/listen"):
            return refuse(line, "http_405")
        if (key := _credential(line)) is None or key == BAD_KEY:
            return refuse(line, "INVALID_AUTH")
        if self.concurrency is not None and sum(not session.ended.is_set() for session in self.sessions) > self.concurrency:
            return refuse(line, "TOO_MANY_REQUESTS")
        encoding = query.get("encoding", [None])[0]
        if encoding is not None and encoding not in TIMED and encoding not in COMPRESSED:
            return refuse(line, "http_400", f"Invalid query string. Unknown encoding {encoding!r}.")
        if encoding in TIMED and not _positive(query, "sample_rate"):
            return refuse(line, "http_400", "Invalid query string. sample_rate is needed with this encoding.")
        if url.path == "/v2/listen" and "model" not in query:
            return refuse(line, "http_400", "Invalid query string. model is needed.")
        return None

    def greet(self, line: Line) -> Mapping[str, str]:
        return {
            "dg-request-id": line.session.request_id,
            "access-control-expose-headers": "dg-model-name,dg-model-uuid,dg-char-count,dg-request-id,dg-error",
            "vary": "origin, access-control-request-method, access-control-request-headers",
            "date": email.utils.formatdate(usegmt=True),
        }

    def choose(self, offered: Sequence[str]) -> str | None:
        """`token, KEY` is answered with `token`: never with the key."""
        return offered[0] if offered and offered[0] in ("token", "bearer") else None

    async def converse(self, line: Line) -> None:
        assert line.request is not None
        url = urlsplit(line.request.path)
        query = parse_qs(url.query)
        encoding = query.get("encoding", [None])[0]
        form = None
        if encoding is not None:
            form = AudioFormat(TIMED.get(encoding, encoding), _positive(query, "sample_rate"), _positive(query, "channels") or 1)
        if url.path == "/v1/listen":
            await NovaSession(self, line, query, form, self.idle_seconds).run()
        else:
            await FluxSession(self, line, query, form, self.flux_idle_seconds).run()


def _credential(line: Line) -> str | None:
    """The key or JWT of `Authorization: Token|Bearer ...` (in any case) or of the offered subprotocols; None if there is none."""
    assert line.request is not None
    scheme, _, key = line.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in ("token", "bearer") and key.strip():
        return key.strip()
    offered = [part.strip() for value in line.request.headers.get_all("Sec-WebSocket-Protocol") for part in value.split(",")]
    return offered[1] if len(offered) > 1 and offered[0] in ("token", "bearer") and offered[1] else None


def _positive(query: Mapping[str, list[str]], key: str) -> int | None:
    value = query.get(key, [""])[0]
    return int(value) if value.isascii() and value.isdigit() and int(value) > 0 else None
