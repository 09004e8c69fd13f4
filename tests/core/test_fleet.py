"""The book of a fleet's leases, by a clock of the test's: what is asked, what an answer comes to, and that nothing is left behind."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import fleet as module
from proxy.core.ending import SeenClose
from proxy.core.fleet import Book, Command, Lease, Script, Terms, lingers, terms_of
from proxy.core.policy import Policy, Rule
from proxy.core.profile import Limits
from proxy.core.verdict import Phase, Side, Transport
from tests.core.caller import deepgram

BOTH: Final = frozenset({Rule.CONNECTION_RATE, Rule.CONCURRENCY})
TERMS: Final = Terms(100, 10, BOTH, 5.0)
WATCHED: Final = Terms(100, 10, frozenset(), 5.0)
SECRET: Final = b"shared by the whole fleet"


def book(secret: bytes = SECRET) -> Book:
    """One that has just renewed: what follows is only what the test does."""
    one = Book(secret, "earwitness", 15.0)
    assert [command.script for command in one.commands(0.0)] == [Script.GREET]
    return one


def come(one: Book, name: str = "a", terms: Terms = TERMS, now: float = 1.0) -> Lease:
    return one.come(name, "acme", "CREDENTIAL", terms, now)


def held(one: Book, name: str = "a", terms: Terms = TERMS, now: float = 1.0) -> Lease:
    lease = come(one, name, terms, now)
    [asked] = one.commands(now)
    one.answered(asked, [1, 1, 1])
    return lease


def scripts(commands: list[Command]) -> list[Script]:
    return [command.script for command in commands]


# What is asked


def asked(rules: dict[str, Any], limits: Limits | None = None, mode: str = "observe") -> Terms | None:
    return terms_of(Policy.model_validate({"mode": mode, "rules": rules}), limits or Limits())


def test_a_policy_that_does_not_ask_for_it_asks_nothing() -> None:
    assert asked({}, Limits(connections_per_minute=100, sessions=5), "enforce") is None
    assert asked({"concurrency": {"mode": "enforce", "sessions": 3}}) is None
    assert asked({"concurrency": {"scope": "fleet"}}) is None  # there is no limit
    assert asked({"concurrency": {"scope": "fleet", "sessions": 3, "mode": "off"}}) is None


def test_what_it_asks_for() -> None:
    fleet = {"scope": "fleet", "mode": "enforce"}
    assert asked({"connection_rate": fleet}, Limits(connections_per_minute=100)) == Terms(
        100, None, frozenset({Rule.CONNECTION_RATE}), 5.0)
    assert asked({"concurrency": {**fleet, "sessions": 7, "linger_seconds": 9.0, "local_share": 0.5}}) == Terms(
        None, 7, frozenset({Rule.CONCURRENCY}), 9.0, ((Rule.CONCURRENCY, 3.5),))
    assert asked({"concurrency": {"scope": "fleet", "sessions": 7}}) == Terms(None, 7, frozenset(), 5.0)
    assert asked({"concurrency": {**fleet, "sessions": 2, "local_share": 0.1}}) == Terms(
        None, 2, frozenset({Rule.CONCURRENCY}), 5.0, ((Rule.CONCURRENCY, 1.0),))  # one is always let in


def test_a_limit_that_the_vendor_moves_itself_is_only_watched() -> None:
    limits = Limits(adapts=("connections_per_minute",))
    rules = {name: {"scope": "fleet", "mode": "enforce", number: 9, "local_share": 0.5}
             for name, number in (("connection_rate", "per_minute"), ("concurrency", "sessions"))}
    assert asked(rules, limits) == Terms(9, 9, frozenset({Rule.CONCURRENCY}), 5.0, ((Rule.CONCURRENCY, 4.5),))
    assert asked(rules, Limits(adapts=("connections_per_minute", "sessions"))) == Terms(9, 9, frozenset(), 5.0)


def test_who_is_asked_about_is_known_by_a_hash_that_the_fleet_shares() -> None:
    def keys(secret: bytes, vendor: str = "acme", credential: str = "CREDENTIAL") -> tuple[str, ...]:
        one = book(secret)
        one.come("a", vendor, credential, TERMS, 1.0)
        [command] = one.commands(1.0)
        assert "CREDENTIAL" not in repr(command)
        return command.keys

    mine = keys(SECRET)
    assert keys(SECRET) == mine
    others = [keys(b"another"), keys(SECRET, "other"), keys(SECRET, credential="CREDENTIAL2"), keys(SECRET, credential="\udce9 broken")]
    assert len({mine, *others}) == 5
    came, is_open = mine
    assert came.removesuffix(":came") == is_open.removesuffix(":open")
    assert came.startswith("earwitness:{")  # so that both are at the same node of a cluster


# What an answer comes to


@pytest.mark.parametrize(("terms", "answer", "refused", "crowded"), [
    (TERMS, [1, 100, 10], None, frozenset()),
    (TERMS, [0, 101, 3], Rule.CONNECTION_RATE, frozenset({Rule.CONNECTION_RATE})),
    (TERMS, [0, 3, 11], Rule.CONCURRENCY, frozenset({Rule.CONCURRENCY})),
    (TERMS, [0, 101, 11], Rule.CONNECTION_RATE, BOTH),
    (Terms(100, 10, frozenset({Rule.CONCURRENCY}), 5.0), [0, 101, 11], Rule.CONCURRENCY, BOTH),
    (WATCHED, [1, 101, 11], None, BOTH),
    (Terms(None, 10, BOTH, 5.0), [1, 101, 3], None, frozenset()),
])
def test_an_answer(terms: Terms, answer: list[int], refused: Rule | None, crowded: frozenset[Rule]) -> None:
    one = book()
    lease = come(one, terms=terms)
    [command] = one.commands(1.0)
    assert (command.script, command.arguments[0]) == (Script.COME, "a")
    one.answered(command, answer)
    assert (lease.refused, lease.crowded, len(one)) == (refused, crowded, 0 if refused else 1)
    one.left(lease, 2.0)
    assert scripts(one.commands(2.0)) == ([] if refused else [Script.LEAVE])  # what was not taken is not given back


def test_what_holds_is_said_with_the_question() -> None:
    one = book()
    come(one, terms=Terms(100, 10, frozenset({Rule.CONCURRENCY}), 5.0), now=1.0)
    [command] = one.commands(1.25)
    assert command.arguments == ("a", 250, 15000, 100, 0, 10, 1)


def test_a_session_that_nobody_answered_for_is_counted_as_soon_as_that_can_be_done() -> None:
    one = book()
    lease = come(one)
    [first] = one.commands(1.0)
    one.waive(lease)
    one.lost([first])
    commands = one.commands(4.0)
    assert scripts(commands) == [Script.COME, Script.GREET]
    assert commands[0].arguments == ("a", 3000, 15000, 100, 0, 10, 0)  # it came 3 s ago, and is in
    one.answered(commands[0], [1, 900, 900])
    assert lease.refused is None
    assert Script.STAY in scripts(one.commands(10.0))


def test_a_no_that_comes_too_late_is_none() -> None:
    one = book()
    lease = come(one)
    [first] = one.commands(1.0)
    one.waive(lease)
    one.answered(first, [0, 101, 1])
    assert lease.refused is None
    [again] = one.commands(1.1)
    assert again.arguments[4] == again.arguments[6] == 0
    assert len(one) == 1


# Leases


def test_leases_are_renewed_three_times_in_their_time() -> None:
    one = book()
    held(one, "a"), held(one, "b")
    held(one, "c", Terms(100, None, BOTH, 5.0))  # has no slot
    one.come("d", "acme", "another", TERMS, 1.0)
    [d] = one.commands(1.0)
    one.answered(d, [1, 1, 1])
    assert one.wakes_at == 5.0
    assert one.commands(4.9) == []
    greet, *stay = one.commands(5.0)
    assert (greet.script, greet.arguments) == (Script.GREET, (one.fingerprint, 30000))
    assert sorted(sorted(map(str, command.arguments)) for command in stay) == [["15000", "a", "b"], ["15000", "d"]]
    assert one.wakes_at == 10.0


def test_many_leases_are_renewed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    one = book()
    for number in range(5):
        held(one, str(number))
    assert [len(command.arguments) for command in one.commands(5.0)] == [2, 3, 3, 2]


def test_a_slot_is_given_back_or_lingers() -> None:
    one = book()
    for name, slow, expected in (("a", False, 0), ("b", True, 5000)):
        lease = held(one, name)
        one.left(lease, 2.0, lingers=slow)
        [command] = one.commands(2.0)
        assert (command.script, command.arguments) == (Script.LEAVE, (name, expected, 0))
    assert (len(one), one.idle) == (0, True)


def test_one_that_left_before_it_was_asked_about_was_never_there() -> None:
    one = book()
    one.left(come(one), 1.0, forgotten=True)
    assert (one.commands(1.0), len(one)) == ([], 0)


def test_one_that_left_while_the_question_was_on_its_way_leaves_nothing_behind() -> None:
    one = book()
    lease = come(one)
    [asking] = one.commands(1.0)
    one.left(lease, 1.01, forgotten=True)
    one.answered(asking, [1, 1, 1])
    [leaving] = one.commands(1.02)
    assert (leaving.script, leaving.keys, leaving.arguments) == (Script.LEAVE, asking.keys, ("a", 0, 1))
    assert (len(one), scripts(one.commands(5.0))) == (0, [Script.GREET])


def test_what_was_to_be_given_back_when_the_connection_broke_is_given_back_later() -> None:
    one = book()
    first, second = held(one, "a"), held(one, "b")
    one.left(first, 2.0, lingers=True)
    sent = one.commands(2.0)
    one.lost(sent)
    one.left(second, 3.0)
    commands = one.commands(4.0)
    assert [command.arguments for command in commands[:2]] == [("a", 3000, 0), ("b", 0, 0)]
    assert scripts(commands[2:]) == [Script.GREET]


def test_what_has_run_out_by_itself_is_not_given_back() -> None:
    one = book()
    leases = [held(one, name, Terms(100, 10, BOTH, 60.0)) for name in "abc"]
    one.left(leases[0], 2.0)
    one.left(leases[1], 2.0, lingers=True)
    one.left(leases[2], 2.0, forgotten=True)
    assert [command.arguments[0] for command in one.commands(20.0) if command.script is Script.LEAVE] == ["b", "c"]


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LEAVING", 3)
    one = book()
    leases = [held(one, str(number)) for number in range(9)]
    for lease in leases:
        one.left(lease, 2.0)
    for number in range(9):
        one.left(come(one, str(number)), 2.0)
    assert len(one.commands(2.0)) == 3


def test_it_is_told_that_somebody_has_another_key() -> None:
    one = book()
    for others, told in ((1, False), (2, True), (1, False)):
        one.renew_now()
        [greet] = one.commands(1.0)
        one.answered(greet, others)
        assert one.strangers is told
    assert book(b"another").fingerprint != one.fingerprint == book().fingerprint


STEPS: Final = ("come", "leave", "waive", "send", "yes", "no", "break")


class Story:
    """A book, and a server that is a set of names. Breaks may or may not have reached it."""

    def __init__(self) -> None:
        self.book, self.there, self.server = book(), dict[str, Lease](), set[str]()
        self.sent: list[Command] = []

    def come(self, name: str) -> None:
        if name not in self.there:
            self.there[name] = come(self.book, name)

    def leave(self, name: str) -> None:
        if name in self.there:
            self.book.left(self.there.pop(name), 1.0)

    def waive(self, name: str) -> None:
        if name in self.there:
            self.book.waive(self.there[name])

    def send(self, name: str) -> None:
        self.sent = self.sent or self.book.commands(1.0)

    def answer(self, room: bool) -> None:
        for command in self.sent:
            _carried_out(self.book, self.server, command, room)
        self.sent = []

    def lose(self, reached: int) -> None:
        for command in self.sent[:reached]:
            _reached(self.server, command)
        self.book.lost(self.sent)
        self.sent = []


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(STEPS)), max_size=60))
def test_whatever_happens_who_has_left_is_not_renewed_and_who_is_there_is(steps: list[tuple[str, str]]) -> None:
    story = Story()
    for number, (name, what) in enumerate(steps):
        if what in ("yes", "no"):
            story.answer(what == "yes")
        elif what == "break":
            story.lose(number % 3)
        else:
            getattr(story, what)(name)
    for _ in range(2):
        story.answer(True)
        story.send("")
    story.answer(True)
    assert story.server == {name for name, lease in story.there.items() if lease.refused is None}


def _carried_out(one: Book, server: set[str], command: Command, room: bool) -> None:
    if command.script is Script.COME:
        holds = 1 in (command.arguments[4], command.arguments[6])
        taken = room or not holds
        if taken:
            _reached(server, command)
        one.answered(command, [int(taken), 1 if taken else 101, 1])
    else:
        _reached(server, command)
        one.answered(command, 1)


def _reached(server: set[str], command: Command) -> None:
    if command.script is Script.COME:
        server.add(str(command.arguments[0]))
    elif command.script is Script.LEAVE:
        server.discard(str(command.arguments[0]))


# How a session ended


@pytest.mark.parametrize(("phase", "ending", "status", "expected"), [
    (Phase.WEBSOCKET_CONNECT, {}, 429, False),
    (Phase.WEBSOCKET_CONNECT, {"transport": Transport.REFUSED}, None, False),
    (Phase.WEBSOCKET_CONNECT, {"transport": Transport.TIMEOUT}, None, True),
    (Phase.WEBSOCKET_CONNECT, {"ended_by": Side.CLIENT}, None, True),
    (Phase.WEBSOCKET_RUNTIME, {"vendor_close": SeenClose(1000, "", 1.0), "ended_by": Side.CLIENT}, 101, False),
    (Phase.WEBSOCKET_RUNTIME, {"ended_by": Side.VENDOR}, 101, False),
    (Phase.WEBSOCKET_RUNTIME, {"goodbye": True, "ended_by": Side.CLIENT}, 101, False),
    (Phase.WEBSOCKET_RUNTIME, {"ended_by": Side.CLIENT}, 101, True),
    (Phase.WEBSOCKET_RUNTIME, {"ended_by": Side.NETWORK}, 101, True),
    (Phase.WEBSOCKET_RUNTIME, {"ended_by": Side.SIDECAR}, 101, True),
])
def test_who_may_be_thought_to_be_there_still(phase: Phase, ending: dict[str, Any], status: int | None, expected: bool) -> None:
    session = deepgram().play.session
    session.claim.phase, session.claim.http_status = phase, status
    for name, value in ending.items():
        setattr(session.ending, name, value)
    assert lingers(session) is expected
