"""What a policy that observes would have done: as the gate does it, and never more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.crowd import Company
from proxy.core.policy import Mode, Policy, Rule
from proxy.core.shadow import FITS, rejected, shadowed
from proxy.core.verdict import Category, Noticed, Side, Transport, Verdict
from tests.core.caller import Call, assemblyai, deepgram, nextevi
from tests.core.gating import Run, gate, policy, speech, vendor
from tests.core.playbook import Play

ALL = Policy()


def found(call: Call, asked: Policy = ALL) -> frozenset[Rule]:
    return shadowed(call.play.session, asked)


def test_a_client_that_keeps_to_everything_needs_nothing() -> None:
    call = assemblyai().talk(60).says(type="Terminate")
    assert not found(call)


@pytest.mark.parametrize(("seconds", "speed", "ahead"), [
    (60, 1.0, False), (60, 1.05, False), (60, 1.2, True), (4, 50, False), (6, 50, True),
])
def test_pace(seconds: float, speed: float, ahead: bool) -> None:
    asked = policy(pace={"mode": "observe", "lead_seconds": 5.0})
    assert (Rule.PACE in found(assemblyai().talk(seconds, speed=speed), asked)) == ahead


def test_a_backlog_after_silence_is_not_ahead_unless_it_is_more_than_credit() -> None:
    call = assemblyai().talk(10).stands_still(8.0).talk(10)
    assert not found(call)
    call = assemblyai().talk(10).pause(40)
    call.play.client(*[call.audio(0.5)] * 80)
    assert found(call) == {Rule.PACE}
    assert not found(call, policy(pace={"mode": "observe", "lead_seconds": 20.0}))


def test_a_faster_pace_may_be_allowed() -> None:
    call = assemblyai().talk(60, speed=1.2)
    assert Rule.PACE not in found(call, policy(pace={"mode": "observe", "rate": 1.25}))


@pytest.mark.parametrize(("chunks", "acts"), [
    ([0.02, 0.02], True), ([0.1, 0.02], False), ([0.02], False), ([0.1, 1.5], True), ([0.1] * 3, False),
])
def test_chunk_duration(chunks: list[float], acts: bool) -> None:
    call = assemblyai()
    for chunk in chunks:
        call.talk(chunk, chunk)
    assert (Rule.CHUNK_DURATION in found(call)) == acts


def test_chunk_bytes_and_rates() -> None:
    call = nextevi()
    call.play.client(call.audio(40.0))
    assert Rule.CHUNK_BYTES in found(call)
    call = nextevi().talk(30, 0.005)
    assert found(call) == {Rule.MESSAGE_RATE, Rule.AUDIO_CHUNK_RATE}
    assert not found(call, policy(message_rate={"mode": "observe", "per_minute": 99999}, audio_chunk_rate={"mode": "off"}))


def test_audio_format_is_what_the_first_audio_was() -> None:
    assert Rule.AUDIO_FORMAT in found(deepgram().talk(1, sample=b"RIFF"))
    assert Rule.AUDIO_FORMAT in found(deepgram().says_raw(b'{"type":"KeepAlive"}', opcode=2))
    assert Rule.AUDIO_FORMAT not in found(deepgram().talk(1).says_raw(b'{"type":"KeepAlive"}', opcode=2))


def test_message_shape() -> None:
    assert found(deepgram().says_raw(b"{")) == {Rule.MESSAGE_SHAPE}
    assert not found(deepgram().says(type="KeepAlive"))


def test_idle_only_where_there_is_a_keep_alive() -> None:
    assert found(deepgram().talk(1).pause(9)) == {Rule.IDLE}
    call = assemblyai(query="&inactivity_timeout=10").talk(1).pause(9)
    assert found(call) == {Rule.IDLE}
    play = Play("/v2/listen?rate=16000").opened()
    play.session.noticed(Noticed.IDLE_SOON, play.now)
    assert not shadowed(play.session, ALL)


def test_session_duration_warns_near_the_limit() -> None:
    call = assemblyai()
    call.play.session.noticed(Noticed.NEAR_LIMIT, call.now)
    assert found(call) == {Rule.SESSION_DURATION}


def test_company() -> None:
    call = nextevi()
    call.play.session.company = Company(b"g", 5, 101)
    assert found(call) == {Rule.CONNECTION_RATE}
    assert found(call, policy(concurrency={"mode": "observe", "sessions": 4})) == {Rule.CONNECTION_RATE, Rule.CONCURRENCY}
    assert found(call, policy(concurrency={"mode": "off", "sessions": 4}, connection_rate={"mode": "observe", "per_minute": 101})) == set()


def test_company_of_a_whole_fleet() -> None:
    """Enforced, too, where the vendor moves the limit itself: then nobody acts."""
    def asked_for(mode: str) -> Policy:
        return policy(connection_rate={"scope": "fleet", "mode": mode, "per_minute": 5},
                      concurrency={"scope": "fleet", "mode": mode, "sessions": 5})

    call, asked = assemblyai(), asked_for("observe")
    assert not found(call, asked)
    call.play.session.crowded = frozenset({Rule.CONNECTION_RATE, Rule.CONCURRENCY})
    assert found(call, asked) == {Rule.CONNECTION_RATE, Rule.CONCURRENCY}
    assert found(call, asked_for("enforce")) == {Rule.CONNECTION_RATE}


def test_end_properly_where_the_client_left_a_stream_open() -> None:
    def left(call: Call, side: Side = Side.CLIENT) -> frozenset[Rule]:
        call.play.lost(side, Transport.EOF)
        return found(call)

    assert left(assemblyai().talk(1)) == {Rule.END_PROPERLY}
    assert left(assemblyai().talk(1).says(type="Terminate")) == set()
    assert left(assemblyai().talk(1), Side.VENDOR) == set()
    call = assemblyai().talk(1)
    call.play.client_closes()
    assert found(call) == {Rule.END_PROPERLY}


def test_rules_that_are_off_or_act_have_no_shadow() -> None:
    call = assemblyai().talk(60, 1.5, speed=9)
    assert found(call) == {Rule.PACE, Rule.CHUNK_DURATION}
    assert found(call, Policy(mode=Mode.OFF)) == set()
    assert found(call, Policy(mode=Mode.ENFORCE)) == set()
    assert found(call, policy(pace={"mode": "enforce"})) == {Rule.CHUNK_DURATION}


def test_an_endpoint_nobody_knows_has_none() -> None:
    assert not shadowed(Play("/elsewhere").session, ALL)


CLIENTS = st.lists(st.tuples(st.one_of(st.just(0.0), st.floats(0, 0.3), st.floats(0, 12)), st.sampled_from([0.02, 0.1, 0.5, 1.0, 3.0])),
                   min_size=1, max_size=40)
WHERE = vendor(limits={"chunk_seconds": [0.05, 1.0]})


@given(CLIENTS, st.sampled_from([0.0, 5.0, 30.0]), st.sampled_from([0.5, 1.0, 1.25]))
def test_what_it_tells_of_the_gate_does(client: list[tuple[float, float]], credit: float, rate: float) -> None:
    numbers: dict[str, Any] = {"pace": {"credit_seconds": credit, "rate": rate}, "chunk_duration": {"wait_seconds": 60.0}}
    play = Play("/v1?rate=16000", vendor=WHERE).opened()
    runs = {name: Run(gate(policy(**{name: part}), of=WHERE)) for name, part in numbers.items()}
    for pause, seconds in client:
        chunk = speech(seconds)
        play.wait(pause).client(chunk)
        for run in runs.values():
            run.feed(chunk, at=play.now)
    would = shadowed(play.session, Policy.model_validate({"rules": numbers}))
    runs["pace"].drain()
    runs["chunk_duration"].finish()
    assert runs["pace"].gate.done.actions or Rule.PACE not in would
    assert bool(runs["chunk_duration"].gate.done.actions) == (Rule.CHUNK_DURATION in would)


# What the vendor made of it


def verdict(category: Category, by: Side = Side.VENDOR, ended_by: Side = Side.CLIENT) -> Verdict:
    return Verdict(category=category, initiated_by=by, ended_by=ended_by)


def test_a_vendor_rejects_what_its_words_are_about() -> None:
    assert rejected(Rule.PACE, verdict(Category.AUDIO_PACING))
    assert not rejected(Rule.PACE, verdict(Category.AUDIO_CHUNK))
    assert not rejected(Rule.MESSAGE_SHAPE, verdict(Category.PROTOCOL, Side.CLIENT))
    assert rejected(Rule.PACE, verdict(Category.AUDIO_PACING, Side.CLIENT, Side.VENDOR))  # a file at once, and the end message
    assert not rejected(Rule.END_PROPERLY, verdict(Category.PROTOCOL))
    assert rejected(Rule.CONCURRENCY, verdict(Category.CONCURRENCY_LIMIT))


def test_each_rule_is_thought_of() -> None:
    assert set(FITS) == set(Rule)
