"""What is said of what was heard, by the audio alone."""

from __future__ import annotations

import base64
from typing import Any, cast

from proxy.simulators.line import Line
from proxy.simulators.nextevi_talk import ANSWER, Talk
from tests.aio import run
from tests.simulators.test_nextevi import AUDIO, chunked


class FakeLine:
    """Keeps what was said."""

    class session:  # noqa: N801
        request_id = "conn-1"

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    async def say(self, message: dict[str, Any]) -> None:
        self.said.append(message)


def told(size: int) -> list[dict[str, Any]]:
    async def main() -> list[dict[str, Any]]:
        line = FakeLine()
        talk = Talk(cast(Line, line))
        for piece in chunked(size=size):
            await talk.hear(piece)
        assert talk.seconds == len(AUDIO) / 48000
        return line.said

    return run(main())


def test_the_same_audio_is_heard_the_same_however_it_was_cut() -> None:
    assert told(960) == told(9600) == told(len(AUDIO))


def test_places_are_in_seconds() -> None:
    final = next(message for message in told(9600) if message.get("is_final") and message["type"] == "transcription")
    assert [(word["word"], word["start"], word["end"]) for word in final["words"]][-1] == ("is", 0.9, 1.0)


def test_the_answer() -> None:
    said = told(9600)
    assert [message["content"] for message in said if message["type"] == "llm_response_chunk"] == list(ANSWER)
    speech = [message for message in said if message["type"] == "tts_chunk"]
    assert [message["is_last"] for message in speech] == [False, True]
    assert {len(base64.b64decode(message["content"])) for message in speech} == {4800}
