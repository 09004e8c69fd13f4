"""Of several rules the one counts that holds back longest."""

from __future__ import annotations

import pytest

from proxy.core.policy import Rule, Rules, bounds
from proxy.core.profile import Limits
from proxy.core.schedule import Schedule

LIMITS = Limits(messages_per_minute=40, chunks_per_second=4, lead_seconds=2)
ALL = frozenset({Rule.PACE, Rule.MESSAGE_RATE, Rule.AUDIO_CHUNK_RATE})


def schedule(*rules: Rule) -> Schedule:
    return Schedule(frozenset(rules) or ALL, bounds(Rules(), LIMITS))


def test_nothing_is_held_without_a_rule_or_without_its_number() -> None:
    assert schedule(Rule.CHUNK_BYTES).due(99.0, True, False, 5.0) == (5.0, None)
    assert not Schedule(ALL, bounds(Rules(), Limits())).windows


def test_each_holds_back_what_is_its_own() -> None:
    one = schedule()
    for _ in range(3):
        one.count(True, 0.0)
        one.spend(1.0, 0.0)
    assert one.due(1.0, True, True, 0.0) == (2.0, Rule.PACE)
    assert one.due(None, True, True, 0.0) == (1.0, Rule.AUDIO_CHUNK_RATE)
    assert one.due(None, False, True, 0.0) == (0.0, None)
    assert one.full(0.0) is Rule.AUDIO_CHUNK_RATE
    assert one.has_time_for(1.0, 2.0)
    assert not one.has_time_for(1.0, 1.9)
    for _ in range(35):
        one.count(False, 0.0)
    assert one.due(None, False, True, 0.0) == (60.0, Rule.MESSAGE_RATE)
    assert one.due(1.0, True, True, 0.0) == (60.0, Rule.MESSAGE_RATE), "the longest of all"


@pytest.mark.parametrize("rules", [(Rule.PACE,), (Rule.PACE, Rule.AUDIO_CHUNK_RATE), (Rule.AUDIO_CHUNK_RATE,)])
def test_what_goes_at_once_counts_as_gone(rules: tuple[Rule, ...]) -> None:
    one = schedule(*rules)
    gone = sum(one.at_once(0.5, 0.0) for _ in range(20))
    assert gone == (3 if Rule.AUDIO_CHUNK_RATE in rules else 4)
    assert not one.at_once(0.5, 0.0)
    assert one.at_once(0.5, 10.0)


def test_what_holds_no_audio_has_no_pace() -> None:
    one = schedule(Rule.PACE, Rule.MESSAGE_RATE)
    one.spend(None, 0.0)
    one.spend(2.0, 0.0)
    assert not one.at_once(0.5, 0.0), "though there is room in the window"
    assert schedule(Rule.MESSAGE_RATE).due(1.0, True, False, 0.0) == (0.0, None)
    assert schedule(Rule.MESSAGE_RATE).has_time_for(99.0, 0.0)


def test_texts_use_up_no_chunks() -> None:
    one = schedule(Rule.AUDIO_CHUNK_RATE)
    for _ in range(9):
        one.count(False, 0.0)
    assert one.full(0.0) is None


def test_a_full_window_lets_nothing_pass_though_there_is_time() -> None:
    one = schedule(Rule.AUDIO_CHUNK_RATE, Rule.PACE)
    for _ in range(3):
        one.count(True, 0.0)
    assert not one.at_once(0.1, 0.5)
    assert one.has_time_for(2.0, 0.5)
