"""ELSA's uploads: `POST /api/v2/score_audio` (and v3) and `/api/v1/score_audio_plus`, in one request and one JSON answer.

Sources: [doc] the vendor's page `post-score-audio` and its FAQ for the fields; public clients that post JSON with `audio_data`. What an
error looks like is not known. Two guesses: a status with the text in JSON, and, in the wording `live`, unscripted errors with HTTP 200.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from websockets.http11 import Response

from proxy.simulators.elsa_audio import Stream
from proxy.simulators.elsa_faults import ROWS, Refusal, UnusableError, is_scripted, text_of
from proxy.simulators.faults import answer
from proxy.simulators.line import Line

UPLOADS: Final = ("/api/v1/score_audio_plus", "/api/v2/score_audio", "/api/v3/score_audio")
JSON: Final = {"content-type": "application/json"}


def refused(line: Line, refusal: Refusal, status: int) -> Response:
    text = text_of(refusal, line.wording)
    said = {"message": text} if is_scripted(line.session.path) else {"status": "failed", "reason": text}
    return answer(line, status, JSON, orjson.dumps(said))


def scored(line: Line, refusal: Refusal | None, limit: float) -> Response:
    """The answer to an upload. refusal: what is wrong with it before it is looked at. limit: seconds of audio."""
    scripted = is_scripted(line.session.path)
    if line.method != "POST":
        return answer(line, 405, JSON, b'{"message":"Method Not Allowed"}')
    try:
        if refusal is not None:
            raise UnusableError(refusal.name, **refusal.values)
        form = fields(" ".join(line.request.headers.get_all("Content-Type")) if line.request else "", line.body)
        stream = Stream(scripted=scripted, tick=1.0, end=1.0)
        for _ in stream.hear(_audio(form, scripted)):
            pass
        line.session.audio += stream.heard
        if stream.seconds > limit and not scripted:
            raise UnusableError("AudioTooBigForSync")
    except UnusableError as wrong:
        found = wrong.refusal
        return refused(line, found, 200 if line.wording == "live" and not scripted else ROWS[found.name].status)
    return answer(line, 200, JSON, orjson.dumps(_result(form, stream, scripted)))


def _result(form: Mapping[str, bytes], stream: Stream, scripted: bool) -> dict[str, Any]:
    text, seconds = " ".join(stream.words), round(stream.seconds, 3)
    if scripted:
        sentence = form.get("sentence", b"").decode(errors="replace")
        return {"api_version": "2", "total_time": seconds, "utterance": [{"sentence": sentence or text, "nativeness_score": 91.5}]}
    return {"api_version": "1", "total_time": seconds, "speakers": [{"utterances": [{"text": text}]}]}


def _audio(form: Mapping[str, bytes], scripted: bool) -> bytes:
    """The upload's audio. Links are never followed: no simulator leaves this machine."""
    if "audio_path" in form:
        raise UnusableError("FailedToReadAudioFromURL")
    if "audio_data" in form:
        try:
            return base64.b64decode(form["audio_data"].rpartition(b",")[2], validate=True)  # also of a data: URL
        except binascii.Error:
            if scripted:
                raise UnusableError("FailedToConvertAudio", audio_format="base64") from None
            raise UnusableError("FailedToDecodeAudioFromBytes") from None
    if not form.get("audio_file"):
        raise UnusableError("MissingAudioParam")
    return form["audio_file"]


def fields(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a form, in any of its forms, or of JSON; none for anything else."""
    if content_type.startswith("application/x-www-form-urlencoded"):
        return {name: value.encode() for name, value in parse_qsl(body.decode("latin-1"))}
    if content_type.startswith("application/json"):
        try:
            message = orjson.loads(body)
        except ValueError:
            return {}
        return {name: str(value).encode() for name, value in message.items()} if isinstance(message, dict) else {}
    if not content_type.startswith("multipart/form-data"):
        return {}
    parsed = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    found = {}
    for part in parsed.iter_parts():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found[name] = content
    return found
