"""What an operator asks for, and the numbers that come of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from proxy.core.policy import BY_DEFAULT, CREDIT_SECONDS, LEAD_SECONDS, Mode, Policy, Rule, Rules, bounds, touching
from proxy.core.profile import Limits


def policy(**parts: Any) -> Policy:
    return Policy.model_validate(parts)


def test_nothing_is_enforced_unless_asked_for() -> None:
    assert {policy().mode_of(rule) for rule in Rule} == {Mode.OBSERVE}


def test_enforce_means_the_rules_that_neither_refuse_nor_inject_nor_end_a_call() -> None:
    asked = policy(mode="enforce")
    assert {rule for rule in Rule if asked.enforces(rule)} == BY_DEFAULT
    assert {asked.mode_of(rule) for rule in Rule if rule not in BY_DEFAULT} == {Mode.OBSERVE}


def test_off_is_off_for_all() -> None:
    assert {policy(mode="off").mode_of(rule) for rule in Rule} == {Mode.OFF}


def test_a_rule_may_be_named() -> None:
    asked = policy(mode="enforce", rules={"idle": {"mode": "enforce"}, "pace": {"mode": "off"}, "chunk_bytes": {"max_bytes": 64}})
    assert asked.enforces(Rule.IDLE)
    assert asked.mode_of(Rule.PACE) is Mode.OFF
    assert asked.enforces(Rule.CHUNK_BYTES)


def test_each_rule_has_its_settings() -> None:
    assert set(Rules.model_fields) == {rule.value for rule in Rule}


@pytest.mark.parametrize("rules", [
    {"pace": {"rate": 0}}, {"pace": {"lead_seconds": -1}}, {"chunk_duration": {"min_seconds": 0.6, "max_seconds": 1.0}},
    {"chunk_bytes": {"max_bytes": 1}}, {"concurrency": {"sessions": 0}}, {"unheard": {}}, {"pace": {"mode": "maybe"}},
])
def test_what_makes_no_sense_is_not_taken(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy(rules=rules)


def test_numbers_are_the_operators_else_the_profiles_else_the_defaults() -> None:
    limits = Limits(
        chunk_seconds=(0.05, 1.0), chunk_bytes=1000, chunks_per_second=100, messages_per_minute=1000, connections_per_minute=9, sessions=3,
        lead_seconds=2, credit_seconds=0, session_seconds=1000)
    published = bounds(Rules(), limits)
    assert (published.rate, published.lead, published.credit) == (1.0, 2, 0)
    assert (published.chunk_min, published.chunk_max, published.chunk_wait, published.chunk_bytes) == (0.05, 1.0, 1.0, 1000)
    assert (published.messages_per_minute, published.chunks_per_second) == (1000, 100)
    assert (published.connections_per_minute, published.sessions, published.session_seconds) == (9, 3, 980)
    asked = policy(rules={
        "pace": {"rate": 1.25, "lead_seconds": 9, "credit_seconds": 8}, "chunk_bytes": {"max_bytes": 64},
        "chunk_duration": {"min_seconds": 0.1, "max_seconds": 0.2, "wait_seconds": 3}, "message_rate": {"per_minute": 5},
        "audio_chunk_rate": {"per_second": 6}, "session_duration": {"seconds": 7}, "connection_rate": {"per_minute": 2},
        "concurrency": {"sessions": 1},
    })
    own = bounds(asked.rules, limits)
    assert (own.rate, own.lead, own.credit, own.chunk_min, own.chunk_max, own.chunk_wait, own.chunk_bytes) == (1.25, 9, 8, 0.1, 0.2, 3, 64)
    assert (own.messages_per_minute, own.chunks_per_second, own.session_seconds) == (5, 6, 7)
    assert (own.connections_per_minute, own.sessions) == (2, 1)
    neither = bounds(Rules(), Limits())
    assert (neither.lead, neither.credit) == (LEAD_SECONDS, CREDIT_SECONDS)
    assert (neither.chunk_min, neither.chunk_max, neither.chunk_bytes, neither.messages_per_minute, neither.session_seconds) == (None,) * 5


def test_rules_without_a_number_touch_nothing() -> None:
    everything = policy(rules={rule.value: {"mode": "enforce"} for rule in Rule})
    always = {Rule.PACE, Rule.AUDIO_FORMAT, Rule.MESSAGE_SHAPE}
    assert touching(everything, bounds(everything.rules, Limits())) == always
    limits = Limits(chunk_seconds=(0.05, 1.0), chunk_bytes=1000, chunks_per_second=100, messages_per_minute=1000)
    needs = {Rule.CHUNK_DURATION, Rule.CHUNK_BYTES, Rule.MESSAGE_RATE, Rule.AUDIO_CHUNK_RATE}
    assert touching(everything, bounds(everything.rules, limits)) == always | needs
    assert touching(policy(), bounds(Rules(), limits)) == set()


def test_a_limit_that_the_vendor_moves_is_only_watched_across_a_fleet() -> None:
    moving = Limits(connections_per_minute=9, sessions=3, adapts=("connections_per_minute", "sessions"))
    of_fleet = policy(rules={"connection_rate": {"scope": "fleet"}, "concurrency": {"scope": "fleet"}}).rules
    assert bounds(of_fleet, moving).watched_only == {Rule.CONNECTION_RATE, Rule.CONCURRENCY}
    assert bounds(of_fleet, moving.model_copy(update={"adapts": ("sessions",)})).watched_only == {Rule.CONCURRENCY}
    assert bounds(of_fleet, moving.model_copy(update={"adapts": ()})).watched_only == set()
    assert bounds(Rules(), moving).watched_only == set()


@pytest.mark.parametrize("rules", [
    {"concurrency": {"scope": "world"}}, {"concurrency": {"linger_seconds": -1}}, {"connection_rate": {"linger_seconds": 1}},
    {"connection_rate": {"local_share": 0}}, {"connection_rate": {"local_share": 1.1}},
])
def test_what_makes_no_sense_of_a_fleet_is_not_taken(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy(rules=rules)
