"""How the clients of each endpoint speak: what they send first, how audio is wrapped, how they say goodbye, and what they hear.

Typed from the vendors' pages and SDKs like the simulators themselves; it knows nothing of how well a caller behaves.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from proxy.simulators import spatius_wire
from proxy.simulators.recording import RATE, WIDTH
from proxy.simulators.spatius_wire import Kind

Said = str | bytes


@dataclass(frozen=True, slots=True)
class Told:
    """What a message says: words, an error, that what was asked for is done, or may begin."""

    text: str = ""
    error: str = ""
    done: bool = False
    ready: bool = False


def _as_it_is(audio: bytes) -> Said:
    return audio


@dataclass(frozen=True, slots=True)
class Dialect:
    """One endpoint. `scheme` stands before the key in `key_header`; `end` is the end message, None where there is none.

    waits: audio is not sent before the vendor is ready for it. leaves: the client closes, once it has been told that all is done;
    else the vendor does. gives_up: an error ends its call.
    rate: samples a second. chunk: seconds of audio a message.
    """

    vendor: str
    path: str
    scheme: str
    end: Said | None
    read: Callable[[Said], Told]
    key_header: str = "Authorization"
    headers: Mapping[str, str] = field(default_factory=dict)
    opening: tuple[Said, ...] = ()
    wrap: Callable[[bytes], Said] = _as_it_is
    waits: bool = False
    leaves: bool = False
    gives_up: bool = False
    rate: int = RATE
    chunk: float = 0.1


def _typed(data: Said) -> dict[str, Any]:
    message = json.loads(data)
    return message if isinstance(message, dict) else {}


def _deepgram(data: Said) -> Told:
    message = _typed(data)
    error = str(message.get("code") or message.get("variant")) if message.get("type") == "Error" else ""
    alternatives = message.get("channel", {}).get("alternatives", ()) if message.get("type") == "Results" else (message,)
    return Told(next((found["transcript"] for found in alternatives if found.get("transcript")), ""), error)


def _assemblyai(data: Said) -> Told:
    message = _typed(data)
    return Told(message.get("transcript", ""), str(message.get("error")) if message.get("type") == "Error" else "")


def _nextevi(data: Said) -> Told:
    message = _typed(data)
    body = message["data"] if isinstance(message.get("data"), dict) else message
    error = str(body.get("error_code") or body.get("error")) if message.get("type") == "error" else ""
    return Told(body.get("transcript", ""), error, bool(body.get("is_speech_final")), message.get("type") == "connection_metadata")


def _elsa(data: Said) -> Told:
    message = _typed(data)
    error = str(message.get("message")) if message.get("type") == "ELSA:error" else str(message.get("reason") or "")
    body = message["data"] if isinstance(message.get("data"), dict) else {}
    text = next((said.get("sentence", "") for said in body.get("utterance", ())), "")
    done = body.get("stream_finished") is True or message.get("status") in ("success", "failed") or bool(error)
    return Told(text, error, done, message.get("type") == "ELSA:start_stream_result" or message.get("status") == "processing")


def _spatius(data: Said) -> Told:
    if isinstance(data, str):
        return Told()
    kind, content = spatius_wire.open_message(data)
    if kind == Kind.ERROR:
        return Told("", f"{spatius_wire.number(content, 3)} {spatius_wire.text(content, 4)}")
    done = kind == Kind.ANIMATION and bool(spatius_wire.number(content, 3))
    return Told("animation" if kind == Kind.ANIMATION else "", "", done, kind == Kind.CONFIRM)


def wav_file(audio: bytes, rate: int = RATE) -> bytes:
    """Samples as a whole WAV file with a header of 44 bytes."""
    numbers = ((16, 4), (1, 2), (1, 2), (rate, 4), (rate * WIDTH, 4), (WIDTH, 2), (8 * WIDTH, 2))
    form = b"WAVEfmt " + b"".join(number.to_bytes(size, "little") for number, size in numbers)
    return b"RIFF" + (36 + len(audio)).to_bytes(4, "little") + form + b"data" + len(audio).to_bytes(4, "little") + audio


def _enveloped(kind: str, data: Mapping[str, object]) -> str:
    return json.dumps({"type": kind, "timestamp": 1_800_000_000_000, "message_id": "m-1", "data": data})


def _base64(audio: bytes) -> str:
    return _enveloped("audio_input", {"audio": base64.b64encode(audio).decode(), "chunk_id": "c-1"})


def _request(audio: bytes, end: bool = False) -> bytes:
    """A part of the one request that a call makes of an avatar."""
    return spatius_wire.message(Kind.AUDIO, spatius_wire.encode((1, "20260901120000_abcdefghijkl"), (2, int(end)), (3, audio)))


AUDIO: Final = "encoding=linear16&sample_rate=16000"
_CLOSE_STREAM: Final = '{"type":"CloseStream"}'
NOVA: Final = Dialect("deepgram", f"/v1/listen?model=nova-3&interim_results=true&{AUDIO}", "Token ", _CLOSE_STREAM, _deepgram)
FLUX: Final = Dialect("deepgram", f"/v2/listen?model=flux-general-en&{AUDIO}", "Token ", _CLOSE_STREAM, _deepgram)
V3: Final = Dialect("assemblyai", "/v3/ws?sample_rate=16000&format_turns=true", "", '{"type":"Terminate"}', _assemblyai)

_FLAT: Final = '{"type":"session_settings","sample_rate":24000,"channels":1,"encoding":"linear16"}'
_SETTINGS: Final = _enveloped("session_settings", {"audio": {"sample_rate": 24000, "channels": 1, "encoding": "linear16"}})
_nextevi_on = partial(Dialect, "nextevi", scheme="Bearer ", end=None, read=_nextevi, rate=24000, waits=True, leaves=True)
VOICE: Final = _nextevi_on("/ws/voice/voice_1795182809280_demo?config_id=config-abc123", opening=(_FLAT,))
VOICE_BY_THE_PAGE: Final = _nextevi_on("/ws/voice/conn-page?config_id=config-abc123", opening=(_SETTINGS,))
VOICE_AS_DOCUMENTED: Final = _nextevi_on("/ws/voice/conn-demo?config_id=config-abc123", opening=(_SETTINGS,), wrap=_base64)

AVATAR: Final = Dialect(
    "spatius", "/v2/driveningress/websocket?id=avatar-1", "", _request(b"", end=True), _spatius, "X-Session-Key", {"X-App-ID": "app-1"},
    (spatius_wire.message(Kind.CONFIGURE, spatius_wire.encode((1, RATE))),), _request, waits=True, leaves=True,
)

_elsa_on = partial(Dialect, "elsa", scheme="ELSA ", end='{"type":"ELSA:end_stream"}', read=_elsa, wrap=wav_file, waits=True,
                   leaves=True, gives_up=True, chunk=0.5)
SCRIPTED: Final = _elsa_on("/api/v2/ws/score_audio", opening=(
    '{"type":"ELSA:start_stream","data":{"stream_info":{"api_plan":"premium","sentence":"the stale smell of old beer lingers"}}}',))
UNSCRIPTED: Final = _elsa_on("/api/v1/ws/score_audio_plus", opening=('{"api_plan":"premium","return_json":true}',))
