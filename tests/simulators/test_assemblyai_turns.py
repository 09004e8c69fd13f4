"""Turns: what is final when, the formatted double, and where the words lie."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.simulators import AssemblyAISimulator
from tests.aio import run
from tests.simulators.calls import AUDIO, KEY, TERMINATE, V3, call, spoken


def turns(send: list[str | bytes], query: str = "") -> list[dict[str, Any]]:
    async def main() -> list[dict[str, Any]]:
        async with AssemblyAISimulator(strict=False) as sim:
            return (await call(sim, V3 + query, send, KEY)).of("Turn")

    return run(main())


def test_partials_and_ends() -> None:
    told = turns(spoken(end=TERMINATE))
    ends = [turn for turn in told if turn["end_of_turn"]]
    assert [(turn["turn_order"], turn["transcript"]) for turn in ends] == [(0, "good morning this is"), (1, "the harbour office")]
    assert not any(turn["turn_is_formatted"] for turn in told)
    for turn in told:
        final = [word["text"] for word in turn["words"] if word["word_is_final"]]
        assert turn["transcript"] == " ".join(final)
    assert [(word["start"], word["end"]) for word in ends[1]["words"]] == [(1800, 2100), (2100, 2400), (2400, 2500)]


def test_a_word_that_was_final_stays_so() -> None:
    for order in (0, 1):
        finals = [sum(w["word_is_final"] for w in turn["words"]) for turn in turns(spoken(end=TERMINATE)) if turn["turn_order"] == order]
        assert finals == sorted(finals)


@pytest.mark.parametrize("spelling", ["true", "True"])
def test_formatted_turns_end_twice(spelling: str) -> None:
    told = [turn for turn in turns(spoken(end=TERMINATE), f"&format_turns={spelling}") if turn["end_of_turn"]]
    assert [(turn["turn_order"], turn["turn_is_formatted"], turn["transcript"]) for turn in told] == [
        (0, False, "good morning this is"),
        (0, True, "Good morning this is."),
        (1, False, "the harbour office"),
        (1, True, "The harbour office."),
    ]


def test_one_word_alone_is_formatted_too() -> None:
    assert turns([AUDIO[:9600], TERMINATE], "&format_turns=true")[-1]["transcript"] == "Good."


def test_the_first_turn_may_have_words_and_no_transcript() -> None:
    assert turns([bytes(32000), bytes(9600), AUDIO[:9600], TERMINATE])[0]["transcript"] == ""


def test_force_endpoint() -> None:
    force = '{"type":"ForceEndpoint"}'
    told = turns([AUDIO[:16000], force, force, '{"type":"UpdateConfiguration","max_turn_silence":900}', TERMINATE])
    assert [turn["transcript"] for turn in told if turn["end_of_turn"]] == ["good morning"]


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.0])
def test_the_same_audio_gives_the_same_turns(seconds: float) -> None:
    assert turns(spoken(seconds=seconds, end=TERMINATE)) == turns(spoken(end=TERMINATE))
