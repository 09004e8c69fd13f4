"""ELSA's own errors: names, texts with parameters, and how they are told on either kind of stream.

Sources: [seed] the vendor's page "API Error Listing for Requests" (June 2026), whose tables `TABLES` are; [ex] the vendor's example
clients, which read `ELSA:error` with a `message` (scripted) and `status` `failed` with a `reason` (unscripted). Nobody has seen the
names on the wire: the wording `live` is a guess, the name before the text, as Python prints an exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from proxy.simulators.faults import COMMON, Fault
from proxy.simulators.line import Line, Wording

UNSCRIPTED_PATH: Final = "score_audio_plus"

TABLES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("unscripted", "ASR"): ("ASRInterProcessException", "ASRSocketTimeout", "ASRConnectionFailed"),
    ("unscripted", "audio"): (
        "FailedToReadAudioFromURL", "FailedToParseAudioHeader", "InvalidAudioFormat", "FailedToConvertAudio",
        "FailedToDecodeAudioFromBytes", "MissingAudioParam", "AudioTooBigForSync", "FailedToUseAudio",
    ),
    ("unscripted", "authentication"): (
        "NoTokenProvided", "InvalidSessionToken", "UserDoesNotExist", "ClientIsNotActive", "ClientDoesNotHaveAccess",
        "ClientHasNoMoreMinutes",
    ),
    ("scripted", "audio"): ("MissingAudioParam", "FailedToReadAudioFromURL", "FailedToConvertAudio", "FailedToUseAudio"),
    ("scripted", "authentication"): (
        "NoTokenProvided", "ClientIsNotActive", "ClientDoesNotHaveAccess", "UserDoesNotExist", "InvalidHeaderParameter",
    ),
}
"""[seed] Kind of request and table: the names, in the page's order. 26 rows with 18 names."""


@dataclass(frozen=True, slots=True)
class Row:
    """`text` as the page has it. `when`: at a stream's start, or amid its audio. `status`: of the HTTP answer, which nobody knows."""

    text: str
    when: Literal["start", "audio"]
    status: int
    about: str


ROWS: Final[Mapping[str, Row]] = {
    "ASRInterProcessException": Row("exception in ASR: {error}", "audio", 500, "the recogniser failed"),
    "ASRSocketTimeout": Row("ASR timeout", "audio", 504, "the recogniser took too long"),
    "ASRConnectionFailed": Row("ASR Connection Failed", "audio", 502, "the recogniser cannot be reached"),
    "FailedToReadAudioFromURL": Row("Failed to read audio from the URL", "start", 400, "audio_path cannot be read"),
    "FailedToParseAudioHeader": Row("Failed to parse audio header", "audio", 400, "the audio has no header that can be read"),
    "InvalidAudioFormat": Row("Only 16 kHz mono WAV, FLAC or OGG-Opus audio allowed", "audio", 400, "another rate, width or container"),
    "FailedToConvertAudio": Row("The server failed to parse your {audio_format} audio", "audio", 400, "the audio cannot be converted"),
    "FailedToDecodeAudioFromBytes": Row("Failed to decode audio", "audio", 400, "the audio is broken"),
    "MissingAudioParam": Row("Missing audio param!", "start", 400, "there is no audio at all"),
    "AudioTooBigForSync": Row("Audio is too big for sync mode, please change to async mode", "audio", 413, "the audio is too long"),
    "FailedToUseAudio": Row(
        "An unexpected error occurred while processing the audio. Please check if the audio is valid and it's not corrupted.",
        "audio", 500, "the audio could not be used, for whatever reason",
    ),
    "NoTokenProvided": Row("No session token provided", "start", 401, "there is no token"),
    "InvalidSessionToken": Row("Invalid session token: {token}", "start", 401, "the token is not valid; the text repeats it"),
    "UserDoesNotExist": Row("Could not find {user_type} ID", "start", 404, "the token's user is not known"),
    "ClientIsNotActive": Row("Client with {user_id} is not active", "start", 403, "the account is switched off"),
    "ClientDoesNotHaveAccess": Row("User {user_id} does not have access for this API", "start", 403, "the account lacks the right"),
    "ClientHasNoMoreMinutes": Row("User has no remaining minutes", "start", 402, "all minutes are used up"),
    "InvalidHeaderParameter": Row("A valid authorization header is required", "start", 401, "Authorization is missing or broken"),
}

ON_REQUEST: Final[Mapping[str, str]] = {
    "error": "BrokenPipeError(32, 'Broken pipe')", "audio_format": "wav", "token": "tok-8f2b61c0aa54", "user_type": "client",
    "user_id": "u-17",
}
"""Parameters of faults that are asked for."""


class Refusal(NamedTuple):
    """An error and its parameters."""

    name: str
    values: Mapping[str, str] = ON_REQUEST


class UnusableError(Exception):
    """Something of the client's is refused with one of the vendor's errors."""

    def __init__(self, name: str, **values: str) -> None:
        super().__init__(name)
        self.refusal = Refusal(name, values)


def is_scripted(path: str) -> bool:
    return UNSCRIPTED_PATH not in path


def text_of(refusal: Refusal, wording: Wording) -> str:
    text = ROWS[refusal.name].text.format_map(refusal.values)
    return text if wording == "documented" else f"{refusal.name}: {text}"


async def fail(line: Line, refusal: Refusal) -> None:
    """Tell the error in the form of the endpoint. The connection stays open."""
    text = text_of(refusal, line.wording)
    await line.say({"type": "ELSA:error", "message": text} if is_scripted(line.session.path) else {"status": "failed", "reason": text})
    line.release()


def _fault(name: str) -> Fault:
    async def act(line: Line) -> None:
        await fail(line, Refusal(name))

    return Fault(f"told in the stream or the HTTP answer: {ROWS[name].about}", "session", act)


FAULTS: Final[Mapping[str, Fault]] = {**COMMON, **{name: _fault(name) for name in ROWS}}
