"""Rules over a claim: order, what cannot be told, and whose word a close frame is."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.claim import Claim
from proxy.core.classify import NOTHING, Classifier, Meaning, meaning_of, shared
from proxy.core.inspect import Told
from proxy.core.rules import Rule
from proxy.core.verdict import Category, Owner, Phase, Retry, Side, Transport

from .profiles import common, profile, rule


def claim(said: str | None = None, *, code: str | None = None, client_said: str | None = None, **facts: Any) -> Claim:
    made = Claim(**facts)
    if said is not None or code is not None:
        made.hear(profile(), Told(server_code=code, server_detail=said))
    if client_said is not None:
        made.closed(profile(), facts.get("close_code"), client_said, Side.CLIENT)
    return made


def decide(own: list[dict[str, Any]], shared_by_all: list[dict[str, Any]], what: Claim) -> Meaning:
    return Classifier(profile(rules=own), common(*shared_by_all)).classify(what)


def rule_for(when: Any, what: Claim) -> bool:
    return decide([rule("it", when)], [], what).rule == "it"


@pytest.mark.parametrize(("when", "what", "fits"), [
    ({"close_code": [4000, 4001]}, claim(close_code=4001), True),
    ({"close_code": 4000}, claim(close_code=4001), False),
    ({"close_code": 4000}, claim(), False),
    ({"number": 4000}, claim(close_code=4000), True),
    ({"number": 4000}, claim(code="4000"), True),
    ({"number": 4000}, claim("4000"), False),
    ({"http_status": 404}, claim(http_status=404), True),
    ({"http_status": "4xx"}, claim(http_status=404), True),
    ({"http_status": "4xx"}, claim(http_status=500), False),
    ({"http_status": "4xx"}, claim(), False),
    ({"transport": "eof"}, claim(transport=Transport.EOF), True),
    ({"transport": "eof"}, claim(transport=Transport.RESET), False),
    ({"reported_seconds": 0}, claim(reported_seconds=0.0), True),
    ({"reported_seconds": 0}, claim(), False),
    ({"told": True}, claim(code="1"), True),
    ({"told": True, "phase": "websocket_runtime"}, claim(phase=Phase.WEBSOCKET_RUNTIME), False),
    ({"told": False, "close_code": 1000}, claim(close_code=1000), True),
    ({"told": False, "close_code": 1000}, claim(code="1", close_code=1000), False),
    ({"numbered": False, "text": ["too many"]}, claim("too many calls"), True),
    ({"numbered": False, "text": ["too many"]}, claim("too many calls", close_code=4000), False),
    ({"numbered": False, "text": ["too many"]}, claim("too many calls", http_status=429), False),
    ({"numbered": True, "text": ["too many"]}, claim("too many calls"), False),
    ({"numbered": True, "text": ["too many"]}, claim("too many calls", close_code=4000), True),
    ({"numbered": True, "text": ["too many"]}, claim("too many calls", http_status=429), True),
    ({"server_code": "NO_WAY"}, claim(code="no-way"), True),
    ({"server_code": "NO_WAY"}, claim("no way"), False),
    ({"header": {"X-Error": ["no *"]}}, claim(headers={"x-error": "No such thing"}), True),
    ({"header": {"X-Error": ["no *"]}}, claim(headers={"x-other": "No such thing"}), False),
    ({"header": {"X-Error": ["no *"]}}, claim(), False),
    ({"text": ["too short", "too long"]}, claim("Chunk too long!"), True),
    ({"text": "too short"}, claim("Chunk too long!"), False),
    ({"exact": "too short"}, claim("Too short."), True),
    ({"exact": "too short"}, claim("Much too short."), False),
    ({"close_code": 1000, "endpoint": "v1"}, claim(close_code=1000, endpoint="v1"), True),
    ({"close_code": 1000, "endpoint": "v1"}, claim(close_code=1000, endpoint="v2"), False),
    ({"close_code": 1000, "phase": "websocket_runtime"}, claim(close_code=1000, phase=Phase.WEBSOCKET_CONNECT), False),
    ({"transport": "eof", "ended_by": ["vendor", "network"]}, claim(transport=Transport.EOF, ended_by=Side.NETWORK), True),
    ({"transport": "eof", "ended_by": "vendor"}, claim(transport=Transport.EOF, ended_by=Side.CLIENT), False),
    ({"close_code": 1000, "ready": True}, claim(close_code=1000, ready=False), False),
    ({"close_code": 1000, "end_sent": True}, claim(close_code=1000, end_sent=True), True),
    ({"close_code": 1000, "end_sent": True}, claim(close_code=1000, end_sent=False), False),
    ({"close_code": 1000, "audio_sent": True}, claim(close_code=1000, audio_sent=True), True),
    ({"close_code": 1000, "audio_sent": True}, claim(close_code=1000), True),
    ({"close_code": 1000, "audio_sent": True}, claim(close_code=1000, audio_sent=False), False),
    ({"http_status": 403, "in_between": True}, claim(http_status=403, in_between=True), True),
    ({"http_status": 403, "in_between": True}, claim(http_status=403), False),
    ({"http_status": 403, "in_between": False}, claim(http_status=403), True),
    ({"http_status": 403}, claim(http_status=403, in_between=True), False),
    ({"http_status": 403, "html": True}, claim(http_status=403, html=True), True),
    ({"http_status": 403, "html": True}, claim(http_status=403), False),
    ({"http_status": 403, "html": False}, claim(http_status=403), True),
    ({"http_status": 403}, claim(http_status=403, html=True), False),
    ({"phase": "websocket_runtime"}, claim(phase=Phase.WEBSOCKET_RUNTIME), True),
    ({"phase": "websocket_runtime"}, claim(), False),
])
def test_a_condition(when: dict[str, Any], what: Claim, fits: bool) -> None:
    assert rule_for(when, what) is fits


def test_any_of_several_conditions_is_enough_and_all_of_one_are_needed() -> None:
    assert rule_for([{"number": 1}, {"text": "x"}], claim("x"))
    assert not rule_for({"number": 1, "text": "x"}, claim("x"))


def test_the_first_rule_that_fits_wins_the_vendors_before_the_common() -> None:
    two = [rule("one", {"number": 1}), rule("two", {"number": 1})]
    assert decide(two, [rule("three", {"number": 1})], claim(close_code=1)).rule == "one"
    got = decide([], [rule("three", {"number": 1})], claim(close_code=1))
    assert (got.rule, got.code, got.vendors_own) == ("three", "THREE", False)


def test_words_beat_numbers() -> None:
    own, words = rule("own", {"number": 1}), rule("words", {"text": "ping timeout"})
    assert decide([own], [words], claim("ping timeout", close_code=1)).rule == "words"
    assert decide([own], [words], claim("else", close_code=1)).rule == "own"
    assert decide([rule("own", {"number": 1, "text": "ping"})], [words], claim("ping timeout", close_code=1)).rule == "own"


def test_what_no_rule_knows_is_unclassified() -> None:
    assert decide([rule("a", {"number": 1})], [], claim(close_code=2)) is NOTHING
    assert (NOTHING.category, NOTHING.owner, NOTHING.retry) == (Category.UNCLASSIFIED, Owner.UNKNOWN, Retry.AFTER_FIX)


CHUNK = rule("chunk", {"number": 7, "text": "short"}, category="audio_chunk")
PACE = rule("pace", {"number": 7, "text": "fast"}, category="audio_pacing")
IDLE = rule("idle", {"number": 7, "text": "idle"}, category="idle_timeout")
INSIDE = rule("inside", {"number": 7, "text": "inside"}, category="upstream_error")


def test_what_cannot_be_told_apart_is_what_all_share() -> None:
    got = decide([CHUNK, PACE], [], claim(close_code=7))
    assert (got.code, got.rule) == ("unclassified", None)
    assert (got.category, got.owner, got.retry) == (Category.UNCLASSIFIED, Owner.CLIENT, Retry.AFTER_FIX)
    assert got.hint == "Nothing tells these apart: CHUNK, PACE."
    assert got.vendors_own
    assert decide([CHUNK, IDLE], [], claim(close_code=7)).retry is Retry.AFTER_FIX
    assert decide([CHUNK, INSIDE], [], claim(close_code=7)).owner is Owner.UNKNOWN


def test_one_candidate_is_its_own_answer_and_words_that_are_not_its_own_none() -> None:
    assert decide([CHUNK], [], claim(close_code=7)).rule == "chunk"
    assert decide([CHUNK], [], claim("else", close_code=7)) is NOTHING


def test_a_rule_may_say_itself_that_it_cannot_tell() -> None:
    some = rule("some", {"number": 7}, one_of=["chunk", "pace"])
    got = decide([CHUNK, PACE, some], [], claim("else", close_code=7))
    assert (got.rule, got.owner, got.category) == ("some", Owner.CLIENT, Category.UNCLASSIFIED)
    assert decide([CHUNK, PACE, {**some, "hint": "Look."}], [], claim("else", close_code=7)).hint == "Look."
    # Where it cannot be told whether even that fits, it is no candidate of its own.
    unsure = rule("some", {"number": 7, "text": "x"}, one_of=["chunk", "pace"])
    assert decide([unsure, CHUNK, PACE], [], claim(close_code=7)).rule is None


def test_common_rules_are_certain_or_silent() -> None:
    assert decide([], [CHUNK], claim(close_code=7)) is NOTHING


def test_shared() -> None:
    a = meaning_of(Rule.model_validate(CHUNK), True)
    assert shared([a, a]) is a
    other = meaning_of(Rule.model_validate({**CHUNK, "id": "other", "owner": "vendor", "retry": "never"}), False)
    both = shared([a, other])
    assert (both.code, both.category, both.owner, both.retry) == ("unclassified", Category.AUDIO_CHUNK, Owner.UNKNOWN, Retry.AFTER_FIX)
    assert not both.vendors_own
    again = shared([a, meaning_of(Rule.model_validate({**CHUNK, "id": "again"}), True)])
    assert (again.code, again.category, again.hint) == ("CHUNK", Category.AUDIO_CHUNK, a.hint)
    assert (again.owner, again.retry, again.rule, again.ok) == (a.owner, a.retry, None, False)
    first, second = (replace(a, rule=name, ok=True, hint=name) for name in ("first", "second"))
    assert shared([first, second]) == replace(first, rule=None)
    assert not shared([first, a]).ok
    never = {**CHUNK, "retry": "never"}
    alike = [meaning_of(Rule.model_validate({**never, "id": owner, "owner": owner}), True) for owner in ("vendor", "client")]
    assert (shared(alike).owner, shared(alike).retry) == (Owner.UNKNOWN, Retry.NEVER)
    with pytest.raises(ValueError, match="no candidates"):
        shared([])


def test_a_vendors_rule_never_reads_the_clients_close() -> None:
    own = [rule("own", [{"close_code": 1011}, {"number": 1011}, {"text": "internal"}])]
    by_client = claim(close_code=1011, client_said="internal")
    assert decide(own, [], by_client) is NOTHING
    assert decide(own, [rule("all", {"close_code": 1011, "text": "internal"})], by_client).rule == "all"


@pytest.mark.parametrize("own", [True, False])
def test_a_rule_may_ask_for_the_clients_close(own: bool) -> None:
    asking = [rule("client", {"close_by": "client", "close_code": 1011, "text": "internal"})]
    rules = (asking, []) if own else ([], asking)
    assert decide(*rules, claim(close_code=1011, client_said="internal")).rule == "client"
    assert decide(*rules, claim("internal", close_code=1011, close_by=Side.VENDOR)) is NOTHING


def test_a_close_after_the_vendors_error_frame_is_only_its_consequence() -> None:
    client = rule("client", {"close_by": "client", "close_code": 1000})
    assert decide([], [client], claim(close_code=1000, client_said="bye")).rule == "client"
    assert decide([], [client], claim("new error", code="9", close_code=1000, client_said="bye")) is NOTHING


def test_what_is_not_known_about_a_session_does_not_decide() -> None:
    early = rule("early", {"close_code": 1, "end_sent": False}, category="network")
    late = rule("late", {"close_code": 1, "end_sent": True}, category="normal", outcome="ok")
    got = decide([early, late], [], claim(close_code=1))
    assert (got.rule, got.owner, got.ok) == (None, Owner.UNKNOWN, False)
    assert decide([early, late], [], claim(close_code=1, end_sent=True)).ok


def test_a_text_that_is_made_to_be_slow_is_not() -> None:
    """No timing: the work is bounded because only the head of a text is looked at, whatever the phrase."""
    hostile = claim("a" * 5_000_000)
    assert sum(map(len, hostile.said)) < 3000
    assert not rule_for({"text": "a*a*a*a*a*a*a*b"}, hostile)


@given(st.text(), st.text(), st.integers(), st.none() | st.integers(), st.sampled_from([None, *Side]))
def test_nothing_raises(said: str, code: str, close_code: int, status: int | None, by: Side | None) -> None:
    what = claim(said, code=code, http_status=status, headers={"x": said})
    what.closed(profile(), close_code, said, by)
    words: list[dict[str, Any]] = [{"text": "a*b"}, {"exact": "a *"}, {"server_code": "x"}, {"header": {"X": "a"}}]
    whens = [*words, {"http_status": "4xx"}, {"number": 1}]
    assert decide([rule(f"r{n}", when) for n, when in enumerate(whens)], [], what).code


def test_rules_that_are_read_anew_leave_nothing_to_the_collector() -> None:
    """A reload compiles all of them; the old ones go with the last session that has them."""
    rules = profile(rules=[
        rule("number", {"close_code": 4000}), rule("words", {"text": "no such *", "server_code": "E1"}),
        rule("reason", {"close_by": "client", "exact": "bye"}), rule("answer", {"http_status": "4xx", "header": {"x-error": "quota"}})])
    gc.disable()
    try:
        classifier = Classifier(rules, common())
        gc.collect()
        del classifier
        assert gc.collect() == 0
    finally:
        gc.enable()
