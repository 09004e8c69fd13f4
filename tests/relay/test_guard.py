"""What a policy makes of a session's client leg."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from proxy.core.policy import Policy
from proxy.relay.gated import GatedLeg, Room
from proxy.relay.guard import Guard
from proxy.relay.splice import Leg
from tests.core.caller import deepgram
from tests.relay.policies import policy


def guarded(chosen: Policy) -> tuple[bool, bool, Any]:
    """Whether there is a keeper, whether a gate, and how the leg is made."""
    guard, session = Guard(chosen, Room()), deepgram().play.session
    keeper = guard.over(session, {"sec-websocket-extensions": "permessage-deflate"})
    return keeper is not None, session.gate is not None, guard.leg(session, keeper)


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_nothing_enforced_is_nothing_done(mode: str) -> None:
    assert guarded(Policy.model_validate({"mode": mode})) == (False, False, Leg)


@pytest.mark.parametrize("rule", ["idle", "session_duration", "connection_rate", "concurrency"])
def test_some_rules_take_no_gate(rule: str) -> None:
    assert guarded(policy(**{rule: {}})) == (True, False, Leg)


@pytest.mark.parametrize("chosen", [policy("enforce"), policy(pace={}), policy(end_properly={})])
def test_others_do(chosen: Policy) -> None:
    keeper, gate, leg = guarded(chosen)
    assert keeper
    assert gate
    assert isinstance(leg, partial)
    assert leg.func is GatedLeg


def test_what_cannot_be_made_is_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("proxy.relay.guard.gate_for", broken)
    session = deepgram().play.session
    guard = Guard(policy("enforce"), Room())
    assert guard.over(session, {}) is None
    assert session.gate_failed
    assert guard.leg(session, None) is Leg


def test_a_leg_is_told_of_the_vendors_close_though_nobody_has_looked_at_it_yet() -> None:
    session = deepgram().play.session
    guard = Guard(policy("enforce"), Room())
    leg = guard.leg(session, guard.over(session, {}))
    assert isinstance(leg, partial)
    is_closed = leg.keywords["is_closed"]
    assert not is_closed()
    session.from_vendor.feed(b"\x88\x02\x03\xe8", session.started_at + 1)
    assert is_closed()
