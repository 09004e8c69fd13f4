"""ELSA's traps: texts instead of codes, with tokens and ids in them; texts that overlap; streams that end without their socket."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from proxy.core.report import Report
from proxy.core.vendor import Vendor
from proxy.core.verdict import Outcome, Side
from proxy.simulators.elsa_faults import ROWS
from tests.core.playbook import Play, frame
from tests.sdks import RATE, speech
from tests.simulators.wavs import wav, wavs

from .catalogue import COMMON, PROFILES, meaning, verdict

ELSA: Final = Vendor(PROFILES["elsa"], COMMON)
SCRIPTED: Final = "/api/v2/ws/score_audio"
UNSCRIPTED: Final = "/api/v1/ws/score_audio_plus"
TOKEN: Final = "eyJhbGciOi.tok-8f2b61c0aa54.x7Q"
SECRETS: Final = {
    "token": TOKEN, "user_id": "u-17", "user_type": "organization", "audio_format": "m4a", "error": "worker 7 of cluster blue",
}
NEVER_SHOWN: Final = (TOKEN, "tok-8f2b", "u-17", "worker 7")
PHASES: Final = ("websocket_connect", "http_request")
CLOSES: Final = ((100, Side.CLIENT), (1000, Side.CLIENT), (1000, Side.VENDOR), (1011, Side.VENDOR), (1006, None))
BINARY: Final = 2


def scripted(text: str) -> str:
    return json.dumps({"type": "ELSA:error", "message": text})


def unscripted(text: str) -> str:
    return json.dumps({"status": "failed", "reason": text})


def reworded(text: str) -> list[str]:
    return [text, text.upper(), f"Error: {text}", f"  {text.rstrip('.!')}.\n", f'ELSA error: "{text}"']


@pytest.mark.parametrize("name", ROWS)
def test_a_text_means_the_same_from_wherever_it_comes(name: str) -> None:
    text = ROWS[name].text.format_map(SECRETS)
    told: list[dict[str, Any]] = [
        {"frames": (form(words),)} for form in (scripted, unscripted) for words in [*reworded(text), f"{name}: {text}"]
    ]
    bodies = (text, json.dumps({"message": text}), json.dumps({"error": {"message": text}}), unscripted(text))
    told += [{"phase": phase, "http_status": status, "body": body} for phase in PHASES for status in (400, 401, 500) for body in bodies]
    told += [{"frames": (scripted(text),), "close_code": code, "close_by": by} for code, by in CLOSES]
    told += [{"close_code": 1011, "close_reason": text}, {"frames": (json.dumps({"type": "ELSA:error", "code": name, "message": "?"}),)}]
    for facts in told:
        got = verdict("elsa", **facts)
        assert (got.code, got.outcome is Outcome.OK) == (name, False), facts
        assert not any(secret in str(got.as_dict()).lower() for secret in NEVER_SHOWN), facts


@pytest.mark.parametrize(("text", "name"), [
    # What stands in a parameter may be another text.
    ("exception in ASR: ASR timeout", "ASRInterProcessException"),
    ("exception in ASR: ASR Connection Failed", "ASRInterProcessException"),
    ("exception in ASR: Failed to decode audio", "ASRInterProcessException"),
    ("exception in ASR: User has no remaining minutes", "ASRInterProcessException"),
    ("Invalid session token: No session token provided", "InvalidSessionToken"),
    ("Invalid session token: exception in ASR: x", "InvalidSessionToken"),
    ("Invalid session token: ", "InvalidSessionToken"),
    ("Client with ASR timeout is not active", "ClientIsNotActive"),
    ("User who has no remaining minutes does not have access for this API", "ClientDoesNotHaveAccess"),
    ("Could not find Missing audio param ID", "UserDoesNotExist"),
    # Texts with the same words in them.
    ("Failed to decode audio", "FailedToDecodeAudioFromBytes"),
    ("Failed to parse audio header", "FailedToParseAudioHeader"),
    ("The server failed to parse your audio header audio", "FailedToConvertAudio"),
    ("Failed to read audio from the URL", "FailedToReadAudioFromURL"),
    ("The server failed to parse your WAV, FLAC or OGG-Opus audio", "FailedToConvertAudio"),
    ("No session token provided", "NoTokenProvided"),
    ("A valid authorization header is required", "InvalidHeaderParameter"),
])
def test_texts_that_overlap(text: str, name: str) -> None:
    for told in (scripted(text), unscripted(text)):
        assert verdict("elsa", frames=(told,)).code == name


@pytest.mark.parametrize("text", [
    "Something quite new", "Client 17", "User u-17", "The server is fine", "audio", "ASR", "Could not find stream ID 12", "", "token",
])
def test_what_nobody_knows_is_nobodys(text: str) -> None:
    assert meaning("elsa", frames=(scripted(text),)) == ("unclassified", "unknown", "after_fix")


@pytest.mark.parametrize(("text", "expected"), [
    ("ASR timeout", "upstream_error vendor backoff"),
    ("Failed to read audio from the URL", "invalid_request client after_fix"),
    ("Only 16 kHz mono WAV, FLAC or OGG-Opus audio allowed", "audio_format client after_fix"),
    ("Audio is too big for sync mode, please change to async mode", "invalid_request client after_fix"),
    (ROWS["FailedToUseAudio"].text, "upstream_error unknown backoff"),
    ("Invalid session token: x", "auth operator after_fix"),
    ("Could not find user ID", "auth operator after_fix"),
    ("Client with x is not active", "permission operator after_fix"),
    ("User has no remaining minutes", "billing operator after_fix"),
])
def test_whose_problem_it_is(text: str, expected: str) -> None:
    assert " ".join(meaning("elsa", frames=(unscripted(text),))) == expected


def test_a_text_cut_short_hides_what_was_left_of_its_parameter() -> None:
    got = verdict("elsa", frames=(scripted(f"Client with {TOKEN}"),))
    assert TOKEN not in str(got.as_dict())


def test_the_example_clients_close_with_100_alone_says_that_there_was_an_error() -> None:
    got = verdict("elsa", close_code=100, close_reason="closing please", close_by=Side.CLIENT)
    assert (got.rule, got.code, got.owner, got.outcome) == ("closed-with-100", "unclassified", "unknown", Outcome.ERROR)
    assert verdict("elsa", close_code=100, close_by=Side.VENDOR).rule is None


# Sessions

READY: Final = {"type": "ELSA:ready"}
OPENED: Final = {"type": "ELSA:start_stream_result", "data": {"success": True}}
ACK: Final = {"type": "ELSA:audioACK"}
INACTIVE: Final = {"type": "ELSA:error", "message": "Client with u-17 is not active"}
VOICE: Final = speech(1.2)


class Call(Play):
    def __init__(self, path: str = SCRIPTED) -> None:
        super().__init__(path, {"authorization": "ELSA key"}, ELSA)
        self.opened()

    def start(self) -> Call:
        if self.session.endpoint == "unscripted":
            return self.says(api_plan="premium", return_json=True).wait(0.1).hears(status="processing", stream_id="s-1").wait(0.1)
        return self.says(type="ELSA:start_stream", data={"stream_info": {"sentence": "a"}}).wait(0.1).hears(**OPENED).wait(0.1)

    def speak(self, audio: bytes = VOICE) -> Call:
        for message in wavs(audio):
            self.client(frame(BINARY, message, masked=True)).hears(**ACK).wait(len(message) / 2 / RATE)
        return self

    def finish(self, sentence: str = "a") -> Call:
        self.says(type="ELSA:end_stream").wait(0.1)
        data = {"utterance": [{"sentence": sentence}], "stream_finished": True}
        return self.hears(type="ELSA:decoding_result", data=data).hears(**READY).wait(0.1)


def ended(call: Call, code: int = 1000) -> Report:
    return call.client_closes(code).vendor_closes(1002 if code == 100 else code).end()


def test_headers_are_no_audio_and_streams_add_up() -> None:
    report = ended(Call().hears(type="ELSA:wsConnect").hears(**READY).start().speak().finish().start().speak().finish())
    verdict_, audio = report.verdict, report.audio
    assert (verdict_.outcome, verdict_.code, verdict_.initiated_by) == (Outcome.OK, "normal", Side.CLIENT)
    assert audio.read_seconds == pytest.approx(2 * len(VOICE) / 2 / RATE)
    assert audio.chunk_seconds_max == pytest.approx(0.5)
    assert (report.latency.finals, report.facts) == (2, [])


@pytest.mark.parametrize("between", [[], [ACK], [READY], [ACK, READY]])
@pytest.mark.parametrize("code", [100, 1000])
def test_an_error_is_the_cause_of_the_clients_close_after_it(between: list[dict[str, Any]], code: int) -> None:
    call = Call().says(type="ELSA:start_stream").wait(0.1).hears(**INACTIVE)
    for message in between:
        call.hears(**message)
    report = ended(call, code)
    assert (report.verdict.code, report.verdict.owner, report.verdict.outcome) == ("ClientIsNotActive", "operator", Outcome.ERROR)
    assert (report.verdict.initiated_by, report.verdict.ended_by) == (Side.VENDOR, Side.CLIENT)
    assert report.client_close is not None
    assert report.client_close.code == code
    assert report.verdict.server_detail == "Client with {user_id} is not active"


def test_an_error_that_another_stream_follows_was_a_warning() -> None:
    call = Call().start().speak().hears(type="ELSA:error", message="ASR timeout").hears(**READY).start().speak().finish()
    assert call.session.warnings == {"ELSA:error": 1}
    assert ended(call).verdict.outcome is Outcome.OK


def test_an_unscripted_stream_without_types() -> None:
    call = Call(UNSCRIPTED).start().speak().hears(status="processing").says(type="ELSA:end_stream")
    call.hears(status="success", result_link="https://x.example/a?X-Amz-Signature=SIGNED", audio_link="https://x.example/b?sig=SIGNED")
    report = ended(call)
    assert (report.verdict.outcome, report.verdict.req_id, report.latency.finals) == (Outcome.OK, "s-1", 1)
    assert report.audio.read_seconds == pytest.approx(len(VOICE) / 2 / RATE)
    assert "SIGNED" not in str(report)


def test_an_unscripted_stream_that_failed() -> None:
    report = ended(Call(UNSCRIPTED).start().speak().hears(status="failed", reason=f"Invalid session token: {TOKEN}"))
    assert (report.verdict.code, report.verdict.outcome) == ("InvalidSessionToken", Outcome.ERROR)
    assert TOKEN not in str(report)


def test_audio_after_stopped_listening_is_noticed() -> None:
    call = Call().start().speak().hears(type="ELSA:stopped_listening").wait(0.2).speak(speech(2.0))
    assert "late_audio" in [fact.fact for fact in ended(call.finish()).facts]


def test_a_client_that_leaves_after_the_server_stopped_listening_has_not_left_too_early() -> None:
    assert ended(Call().start().speak().hears(type="ELSA:stopped_listening")).verdict.outcome is Outcome.OK
    assert ended(Call().start().speak()).verdict.outcome is Outcome.ABANDONED


def test_another_rate_in_a_chunks_header_is_noticed_and_timed_by_it() -> None:
    call = Call().start().client(frame(BINARY, wav(speech(0.5), rate=8000), masked=True))
    report = ended(call.finish())
    assert "format_mismatch" in [fact.fact for fact in report.facts]
    assert report.audio.read_seconds == pytest.approx(1.0)
