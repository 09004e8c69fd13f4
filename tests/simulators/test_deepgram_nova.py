"""A v1 session: results, control messages, the idle timer, and how it ends."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import pytest

from proxy.simulators import DeepgramSimulator
from tests.aio import run
from tests.sdks import speech
from tests.simulators.calls import AUDIO, CLOSE_STREAM, TOKEN, V1, Call, call, spoken

KEEP_ALIVE = '{"type":"KeepAlive"}'


def session(send: list[str | bytes], path: str = V1, **options: Any) -> tuple[Call, DeepgramSimulator]:
    async def main() -> tuple[Call, DeepgramSimulator]:
        async with DeepgramSimulator(**{"strict": False, **options}) as sim:
            return await call(sim, path, send, TOKEN), sim

    return run(main())


def text(result: dict[str, Any]) -> str:
    transcript: str = result["channel"]["alternatives"][0]["transcript"]
    return transcript


def test_results_metadata_and_1000() -> None:
    seen, sim = session(spoken(), V1 + "&interim_results=true")
    results = seen.of("Results")
    finals = [(text(r), r["speech_final"]) for r in results if r["is_final"]]
    assert finals == [("good morning this is", True), ("the harbour office", True), ("", False)]
    assert len(results) > len(finals)
    assert {r["metadata"]["request_id"] for r in results} == {sim.sessions[0].request_id}
    assert all(r["start"] + r["duration"] <= 3.1 + 1e-6 and r["channel_index"] == [0, 1] for r in results)
    last = seen.messages[-1]
    assert (last["type"], last["duration"], last["channels"]) == ("Metadata", 3.1, 1)
    assert last["sha256"] == hashlib.sha256(AUDIO).hexdigest()
    assert (seen.code, seen.reason) == (1000, "")


@pytest.mark.parametrize("seconds", [0.02, 0.25, 5.0])
def test_the_same_audio_gives_the_same_results(seconds: float) -> None:
    seen, _ = session(spoken(seconds=seconds), V1 + "&interim_results=true")
    other, _ = session(spoken(), V1 + "&interim_results=true")
    assert [text(r) for r in seen.of("Results")] == [text(r) for r in other.of("Results")]


def test_finals_only_unless_interim_results_are_asked_for() -> None:
    seen, _ = session(spoken())
    assert all(r["is_final"] for r in seen.of("Results"))


def test_channels_events_and_the_end_of_an_utterance() -> None:
    seen, _ = session(spoken(audio=speech(1.0, 1.2)), V1 + "&channels=2&multichannel=true&vad_events=true&utterance_end_ms=1000")
    assert [r["channel_index"] for r in seen.of("Results")][:2] == [[0, 2], [1, 2]]
    assert seen.of("SpeechStarted")[0]["timestamp"] == 0.0
    assert seen.of("UtteranceEnd")[0]["last_word_end"] == 0.5
    assert seen.of("Metadata")[0]["duration"] == 1.1


def test_finalize() -> None:
    seen, _ = session([AUDIO[:32000], '{"type":"Finalize"}', CLOSE_STREAM])
    assert [(text(r), r["from_finalize"]) for r in seen.of("Results")] == [("good morning this is", True)]


def test_configure_and_a_message_that_is_none() -> None:
    seen, _ = session(['{"type":"Configure","keyterms":["pier"]}', "[]", '{"type":7}', "not json", CLOSE_STREAM])
    assert seen.of("ConfigureSuccess")[0]["keyterms"] == ["pier"]
    assert [(e["variant"], e["message"]) for e in seen.of("Error")] == [
        ("SchemaError", "[]"),
        ("SchemaError", '{"type":7}'),
        ("SchemaError", "not json"),
    ]
    assert seen.code == 1000


def test_an_empty_binary_message_ends_the_stream() -> None:
    seen, _ = session([AUDIO, b""])
    assert (seen.messages[-1]["type"], seen.messages[-1]["duration"], seen.code) == ("Metadata", 3.1, 1000)


def test_no_audio_at_all_ends_with_zero_channels() -> None:
    seen, _ = session([CLOSE_STREAM])
    assert [(m["type"], m["duration"], m["channels"]) for m in seen.messages] == [("Metadata", 0.0, 0)]


@pytest.mark.parametrize(
    ("wording", "code", "reason", "said"), [("documented", 1008, "DATA-0000", []), ("live", 1000, "", [("Metadata", 0.0)])]
)
def test_bytes_that_are_no_audio(wording: str, code: int, reason: str, said: list[tuple[str, float]]) -> None:
    seen, _ = session([b"this is no audio"], "/v1/listen", wording=wording)
    assert (seen.code, seen.reason) == (code, reason)
    assert [(m["type"], m["duration"]) for m in seen.messages] == said


def test_a_wav_header_tells_the_format() -> None:
    form = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)
    wav = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00" + form + b"data\xff\xff\xff\xff" + AUDIO
    seen, _ = session([wav, CLOSE_STREAM], "/v1/listen")
    assert seen.messages[-1]["duration"] == 3.1
    seen, _ = session([b"OggS" + bytes(3996), CLOSE_STREAM], "/v1/listen")
    assert seen.messages[-1]["duration"] == 1.0  # not decoded: 4,000 bytes a second


@pytest.mark.parametrize(
    ("send", "wording", "reason"),
    [
        ([], "documented", "NET-0001"),
        ([AUDIO], "documented", "NET-0001"),
        ([AUDIO, KEEP_ALIVE], "live", "audio data or a text message within the timeout window. See https://dpgr.am/net0001"),
    ],
)
def test_the_idle_timer(send: list[str | bytes], wording: str, reason: str) -> None:
    seen, _ = session(send, idle_seconds=0.05, wording=wording)
    assert seen.code == 1011
    assert seen.reason.endswith(reason)


def test_keep_alive_without_any_audio_is_another_cause() -> None:
    seen, _ = session([KEEP_ALIVE], idle_seconds=0.05, wording="documented")
    assert seen.reason == "NET-0000"
