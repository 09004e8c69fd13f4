"""The gate: nothing lost, nothing reordered, nothing too early; and what it does to which traffic."""

from __future__ import annotations

import zlib
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.deflate import Inflater
from proxy.core.gate import CLOSE_SECONDS, HELD_BYTES, HELD_SECONDS, Gate, gate_for
from proxy.core.meter import Meter
from proxy.core.policy import Action, Policy, Rule, Rules, bounds
from proxy.core.profile import Limits
from proxy.core.vendor import Request
from tests.core.gating import (
    BARE,
    FILES,
    PROTOBUF,
    Message,
    Reader,
    Run,
    gate,
    joined,
    masked_frame,
    policy,
    samples,
    speech,
    vendor,
    wav,
)
from tests.core.playbook import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

PACE: Final = policy("pace")
DURATION: Final = policy("chunk_duration")
USUAL: Final = Policy.model_validate({"mode": "enforce"})
ALL: Final = policy("pace", "chunk_duration", "chunk_bytes", "message_rate", "audio_chunk_rate", "audio_format", "message_shape")
END: Final = masked_frame(TEXT, b'{"type":"end"}')
LEAVE: Final = masked_frame(CLOSE, b"\x03\xe8")
BYTES: Final = 32000
"""Of a second, where nothing else is asked for."""


def says(**message: Any) -> bytes:
    return masked_frame(TEXT, orjson.dumps(message))


# Any client at all


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client sends in one go, after a pause; `tells` is what the vendor must make of it."""

    pause: float
    raw: bytes
    opcode: int
    payload: bytes
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Audio:
    query: str
    rate: int
    block: int


FORMATS: Final = (
    Audio("rate=8000", 8000, 2), Audio("", 16000, 2), Audio("rate=24000", 24000, 2), Audio("encoding=mulaw&rate=8000", 8000, 1),
    Audio("channels=2", 16000, 4), Audio("channels=3", 16000, 6), Audio("encoding=linear32&channels=3&rate=8000", 8000, 12),
)
PAUSES: Final = st.one_of(st.just(0.0), st.floats(0.0, 0.2), st.floats(0.0, 12.0))
MASKS: Final = st.one_of(st.binary(min_size=4, max_size=4), st.just(b""), st.just(b"\0\0\0\0"))


@st.composite
def clients(draw: st.DrawFn, audio: Audio) -> list[Sent]:
    """Audio of any length, texts, empty binary messages, pings, fragments with pings between them; masks of all kinds."""
    sent, position = [], 0
    for _ in range(draw(st.integers(1, 14))):
        pause, mask, kind = draw(PAUSES), draw(MASKS), draw(st.sampled_from("aaaaaaesptof"))
        if kind in "aof":
            seconds = draw(st.one_of(st.floats(0.0, 0.06), st.sampled_from([0.005, 0.02, 0.05, 0.1, 1.0, 1.02]), st.floats(0.0, 4.0)))
            length = max(1, round(seconds * audio.rate) * audio.block + (draw(st.integers(1, 5)) if kind == "o" else 0))
            payload = samples(length, position)
            position += length
            if kind == "f":
                cut = draw(st.integers(0, length))
                ping = masked_frame(PING, b"between", mask)
                first = masked_frame(BINARY, payload[:cut], mask, fin=False)
                sent += [Sent(pause, first, BINARY, payload, False), Sent(0.0, ping, PING, b"between"),
                         Sent(draw(PAUSES), masked_frame(CONTINUATION, payload[cut:], mask), CONTINUATION, b"")]
            else:
                width = draw(st.sampled_from([None, 8]))
                sent.append(Sent(pause, masked_frame(BINARY, payload, mask, width=width), BINARY, payload))
        else:
            opcode, payload = {"e": (BINARY, b""), "s": (TEXT, b'{"type":"alive"}'), "p": (PING, b"p"), "t": (PONG, b"t")}[kind]
            sent.append(Sent(pause, masked_frame(opcode, payload, mask), opcode, payload))
    return sent


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any rules that hold, cut or join, with numbers that go together."""
    rules = draw(st.sets(st.sampled_from(["pace", "chunk_duration", "chunk_bytes", "message_rate", "audio_chunk_rate"]), min_size=1))
    shortest = draw(st.sampled_from([0.05, 0.1, 0.2]))
    numbers: dict[str, dict[str, Any]] = {
        "pace": {"rate": draw(st.sampled_from([0.5, 1.0, 1.25])), "lead_seconds": draw(st.sampled_from([4.0, 5.0, 8.0])),
                 "credit_seconds": draw(st.sampled_from([0.0, 3.0, 30.0]))},
        "chunk_duration": {"min_seconds": shortest, "max_seconds": shortest * draw(st.sampled_from([2.0, 3.1, 10.0])),
                           "wait_seconds": draw(st.sampled_from([0.3, 1.0]))},
        "chunk_bytes": {"max_bytes": draw(st.sampled_from([40000, 96000]))},
        "message_rate": {"per_minute": draw(st.sampled_from([20, 1000]))},
        "audio_chunk_rate": {"per_second": draw(st.sampled_from([2, 100]))},
    }
    return policy(**{name: numbers[name] for name in rules})


def tokens(messages: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Messages with audio that is next to audio as one; pings are no part of it."""
    found: list[tuple[int, bytes]] = []
    for opcode, payload in messages:
        if opcode in (PING, PONG):
            continue
        if opcode == BINARY and payload and found and found[-1][0] == BINARY and found[-1][1]:
            found[-1] = (BINARY, found[-1][1] + payload)
        else:
            found.append((opcode, payload))
    return found


def controls(messages: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [one for one in messages if one[0] in (PING, PONG)]


def play(run: Run, sent: list[Sent], cuts: list[int]) -> None:
    """The client's bytes, cut anywhere: what is cut off comes with the next."""
    rest, at = b"", run.now
    for turn, one in enumerate(sent):
        at += one.pause
        data = rest + one.raw
        keep = min(cuts[turn % len(cuts)], len(data)) if cuts else 0
        rest = data[len(data) - keep :]
        middle = (len(data) - keep) // 2 if turn % 3 == 0 else 0
        run.feed(data[:middle], data[middle : len(data) - keep], at=at)
        assert run.reader.rest == b"", "what leaves are whole frames"
        assert run.reader.open is None, "and whole messages"
    run.feed(rest)


@pytest.mark.parametrize("audio", FORMATS, ids=lambda audio: audio.query or "16000")
@given(data=st.data())
def test_all_audio_goes_out_in_its_order_with_everything_else_in_its_place(audio: Audio, data: st.DataObject) -> None:
    sent = data.draw(clients(audio))
    asked = data.draw(policies())
    began = data.draw(st.sampled_from([0.0, 12345.678, 7e7]))
    run = Run(gate(asked, audio.query), began)
    play(run, sent, data.draw(st.lists(st.integers(0, 3000), max_size=5)))
    if data.draw(st.booleans()):
        run.feed(LEAVE)
        sent = [*sent, Sent(0.0, LEAVE, CLOSE, b"\x03\xe8")]
        bound = run.now + CLOSE_SECONDS
        run.drain()
        assert run.messages[-1].opcode == CLOSE
        assert run.messages[-1].at <= bound + 1e-5
    else:
        run.drain()
    came = [(one.opcode, one.payload) for one in sent if one.opcode != CONTINUATION]
    went = [(one.opcode, one.payload) for one in run.messages]
    assert controls(went) == controls(came)
    lost = len(joined(run.audio)) - sum(len(payload) for opcode, payload in came if opcode == BINARY)
    assert -lost / (audio.rate * audio.block) == pytest.approx(run.gate.done.cut_seconds, abs=1e-6)
    if not lost:
        assert tokens(went) == tokens(came)
    assert [one for one in went if one[0] == TEXT] == [one for one in came if one[0] == TEXT]
    assert went.count((BINARY, b"")) == came.count((BINARY, b""))
    assert run.gate.empty
    assert not run.gate.held_bytes
    assert not run.gate.held_seconds
    check(run, asked, audio, sent, began)


def check(run: Run, asked: Policy, audio: Audio, sent: list[Sent], started: float) -> None:
    """The limits, by their definition."""
    seconds = [len(message.payload) / (audio.rate * audio.block) for message in run.audio]
    if asked.enforces(Rule.PACE):
        pace = asked.rules.pace
        total, began = 0.0, run.audio[0].at if run.audio else 0.0
        for message, one in zip(run.audio, seconds, strict=True):
            total += one
            assert total <= pace.rate * (message.at - began) + (pace.lead_seconds or 0.0) + 1e-5
    if asked.enforces(Rule.CHUNK_BYTES):
        assert all(len(message.payload) <= (asked.rules.chunk_bytes.max_bytes or 0) for message in run.audio if message.frames == 1)
    if asked.enforces(Rule.CHUNK_DURATION):
        check_chunks(run, asked, audio, arrived(sent, started))
    if asked.enforces(Rule.MESSAGE_RATE):
        check_window([m.at for m in run.messages if m.opcode in (TEXT, BINARY)], asked.rules.message_rate.per_minute or 0, 60.0)
    if asked.enforces(Rule.AUDIO_CHUNK_RATE):
        check_window([message.at for message in run.audio], asked.rules.audio_chunk_rate.per_second or 0, 1.0)


def check_window(times: list[float], most: float, seconds: float) -> None:
    for first, last in zip(times, times[int(most) :], strict=False):
        assert last - first >= seconds - 1e-5


def check_chunks(run: Run, asked: Policy, audio: Audio, arrivals: list[tuple[int, float]]) -> None:
    chunk = asked.rules.chunk_duration
    order = [message for message in run.messages if message.opcode not in (PING, PONG)]
    position = 0
    for message, after in zip(order, [*order[1:], None], strict=False):
        if message.opcode != BINARY or not message.payload:
            continue
        seconds = len(message.payload) / (audio.rate * audio.block)
        came = next(at for end, at in arrivals if end > position)
        position += len(message.payload)
        if message.frames > 1:
            continue
        assert seconds <= (chunk.max_seconds or 0) + 1e-6
        ends = after is None or after.opcode != BINARY or not after.payload or after.frames > 1
        waited = message.at - came >= chunk.wait_seconds - 1e-5
        assert seconds >= (chunk.min_seconds or 0) - 1e-6 or ends or waited or run.gate.done.cut_seconds


def arrived(sent: list[Sent], at: float) -> list[tuple[int, float]]:
    """Where each audio message of the client's ends, and when it was sent."""
    found, end = [], 0
    for one in sent:
        at += one.pause
        if one.opcode == BINARY and one.payload:
            end += len(one.payload)
            found.append((end, at))
    return found


# Pace


def test_a_file_at_full_speed_goes_at_the_allowed_rate_and_never_ahead_of_the_lead() -> None:
    waits: list[float] = []
    run = Run(gate(PACE, waits=waits))
    run.feed(*[speech(0.1) for _ in range(600)])
    assert sum(len(message.payload) for message in run.audio) / BYTES == pytest.approx(5.0)
    assert run.gate.held_seconds == pytest.approx(55.0)
    run.drain()
    total = 0.0
    for message in run.audio:
        total += len(message.payload) / BYTES
        assert total <= 5.0 + message.at + 1e-5
        assert message.at == 0.0 or total >= (5.0 + message.at) * 0.99 - 0.1
    assert run.now == pytest.approx(55.0)
    assert run.gate.done.actions == {(Rule.PACE, Action.DELAYED): 550}
    assert len(waits) == 550
    assert max(waits) == run.gate.done.delay_max == pytest.approx(55.0)


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.25])
def test_the_rate_is_kept_for_an_hour_without_drift_though_timers_are_late(rate: float) -> None:
    run = Run(gate(policy(pace={"rate": rate, "lead_seconds": 2.0})))
    total, late, chunk = 0, 0, speech(0.5)
    while run.now < 3600:
        while run.gate.held_seconds < 10.0:
            total += len(run.gate.feed(chunk, run.now)) // len(chunk)
        late = (late + 7) % 13
        run.now = max(run.now, run.gate.wake_at or 0.0) + late / 1000
        total += len(run.gate.release(run.now)) // len(chunk)
        assert total * 0.5 <= 2.0 + rate * run.now + 1e-5
    assert total * 0.5 == pytest.approx(2.0 + rate * 3600, abs=0.6)


def test_audio_at_real_time_is_never_delayed_whatever_the_hour_and_the_jitter() -> None:
    run = Run(gate(USUAL))
    frame = speech(0.1)
    for number in range(36000):
        jitter = (number * 7919 % 101) / 1000
        assert run.gate.feed(frame, number * 0.1 + jitter) == frame
    assert not run.gate.done.actions


def test_silence_is_credit_and_a_backlog_goes_at_once() -> None:
    run = Run(gate(PACE))
    for number in range(100):
        run.feed(speech(0.1), at=number * 0.1)
    run.feed(*[speech(0.1)] * 80, at=18.0)
    for number in range(100):
        run.feed(speech(0.1), at=18.1 + number * 0.1)
    assert run.gate.empty
    assert not run.gate.done.actions


def test_credit_is_bounded() -> None:
    run = Run(gate(policy(pace={"credit_seconds": 3.0, "lead_seconds": 2.0})))
    run.feed(speech(0.5)).feed(*[speech(0.5)] * 40, at=100.0)
    assert sum(len(message.payload) for message in run.audio) / BYTES == pytest.approx(0.5 + 5.0)


def test_one_message_longer_than_the_lead_is_cut_for_the_pace_where_it_may_be() -> None:
    run = Run(gate(PACE)).feed(speech(60.0)).drain()
    assert run.now == pytest.approx(55.0)
    assert {len(message.payload) for message in run.audio} == {BYTES}
    assert joined(run.audio) == samples(60 * BYTES)
    assert run.gate.done.actions[Rule.PACE, Action.SPLIT] == 1


def test_one_that_may_not_be_cut_goes_when_nothing_is_ahead() -> None:
    run = Run(gate(PACE, of=FILES))
    run.feed(*[masked_frame(BINARY, wav(samples(7 * BYTES)))] * 3).drain()
    assert [message.at for message in run.messages] == pytest.approx([0.0, 7.0, 14.0])


# Pieces


def durations(run: Run) -> list[float]:
    return [round(len(message.payload) / BYTES, 4) for message in run.audio]


@pytest.mark.parametrize(("seconds", "pieces"), [(1.0, 1), (1.01, 2), (1.5, 2), (2.0, 2), (2.02, 3), (7.3, 8)])
def test_long_audio_is_cut_into_nearly_equal_pieces(seconds: float, pieces: int) -> None:
    run = Run(gate(DURATION)).feed(speech(seconds, mask=b"\x01\x02\x03\x04"))
    assert len(run.audio) == pieces
    assert max(durations(run)) <= 1.0
    assert max(durations(run)) - min(durations(run)) < 0.001
    assert {message.mask for message in run.messages} == {b"\x01\x02\x03\x04"}
    assert joined(run.audio) == samples(round(seconds * 16000) * 2)
    assert run.gate.done.actions == ({} if pieces == 1 else {(Rule.CHUNK_DURATION, Action.SPLIT): 1})


def test_bytes_bound_pieces_too() -> None:
    run = Run(gate(policy("chunk_bytes"))).feed(speech(1.6))
    assert [len(message.payload) for message in run.audio] == [17068, 17068, 17064]
    assert run.gate.done.actions == {(Rule.CHUNK_BYTES, Action.SPLIT): 1}


def test_the_narrower_bound_decides() -> None:
    run = Run(gate(policy("chunk_bytes", "chunk_duration"))).feed(speech(1.5))
    assert len(run.audio) == 2
    assert run.gate.done.actions == {(Rule.CHUNK_BYTES, Action.SPLIT): 1}


@pytest.mark.parametrize(("chunk", "together"), [(0.005, 0.05), (0.01, 0.05), (0.02, 0.06), (0.025, 0.05), (0.03, 0.06), (0.049, 0.098)])
def test_short_audio_is_joined_up_to_the_least(chunk: float, together: float) -> None:
    waits: list[float] = []
    run = Run(gate(DURATION, waits=waits))
    position = 0
    for number in range(600):
        run.feed(speech(chunk, start=position, mask=bytes([number % 256, 1, 2, 3])), at=number * chunk)
        position += round(chunk * 16000) * 2
    whole = durations(run)
    assert set(whole) == {together}
    run.finish()
    assert joined(run.audio) == samples(position)
    missing = 0.05 - chunk
    assert max(waits[: len(whole)]) == pytest.approx(together - chunk)
    assert max(waits[: len(whole)]) <= max(2 * missing, chunk) + 1e-6
    assert {rule for rule, _ in run.gate.done.actions} == {Rule.CHUNK_DURATION}


def test_what_waits_for_more_never_makes_a_short_piece_of_what_comes() -> None:
    run = Run(gate(DURATION)).feed(speech(0.03)).feed(speech(0.99, start=960))
    assert durations(run) == [0.51, 0.51]
    assert joined(run.audio) == samples(32640)


def test_only_the_last_before_anything_else_may_be_short() -> None:
    run = Run(gate(DURATION)).feed(speech(0.02), END).feed(speech(0.02), masked_frame(BINARY, b"")).feed(speech(0.02), LEAVE)
    assert [len(message.payload) for message in run.messages] == [640, 14, 640, 0, 640, 2]
    assert not run.gate.done.actions


def test_a_short_piece_waits_no_longer_than_it_may() -> None:
    run = Run(gate(DURATION)).feed(speech(0.02))
    assert run.gate.wake_at == pytest.approx(1.0)
    run.until(0.99)
    assert not run.messages
    run.until(1.0).feed(speech(0.02), at=5.0).drain()
    assert [message.at for message in run.messages] == pytest.approx([1.0, 6.0])
    assert run.gate.done.actions == {(Rule.CHUNK_DURATION, Action.DELAYED): 2}


def test_what_had_to_wait_for_its_pace_is_not_put_down_to_its_length_and_the_other_way_round() -> None:
    run = Run(gate(policy(pace={"lead_seconds": 1.0}, chunk_duration={}))).feed(*[speech(0.5)] * 3).drain()
    assert set(run.gate.done.actions) == {(Rule.PACE, Action.DELAYED)}
    run = Run(gate(USUAL))
    for number in range(60):
        run.feed(speech(0.02), at=number * 0.02)
    assert set(run.gate.done.actions) == {(Rule.CHUNK_DURATION, Action.DELAYED), (Rule.CHUNK_DURATION, Action.COALESCED)}


def test_many_tiny_messages_are_joined_without_being_copied_each_time() -> None:
    run = Run(gate(policy(chunk_duration={"min_seconds": 1.0, "max_seconds": 4.0, "wait_seconds": 9.0})))
    run.feed(*[masked_frame(BINARY, samples(8, 8 * number), bytes([number % 251, 7, 9, number % 13])) for number in range(4000)])
    assert [len(message.payload) for message in run.audio] == [32000]
    assert joined(run.audio) == samples(32000)


# Rates


def test_200_messages_of_5_ms_a_second_keep_up() -> None:
    waits: list[float] = []
    run = Run(gate(policy("message_rate", "audio_chunk_rate"), waits=waits))
    frame = speech(0.005)
    for number in range(200 * 180):
        run.feed(frame, at=number * 0.005)
        assert run.gate.held_seconds < 0.25
    run.drain()
    check_window([message.at for message in run.messages], 1000, 60.0)
    check_window([message.at for message in run.messages], 100, 1.0)
    assert len(joined(run.audio)) == 180 * BYTES
    assert max(waits) < 0.25
    assert all(len(message.payload) <= 24000 for message in run.audio), "no larger than the vendor takes, though that rule is not enforced"
    assert {action for _, action in run.gate.done.actions} == {Action.COALESCED, Action.DELAYED}


def test_messages_at_the_published_rate_less_its_margin_are_not_held() -> None:
    run = Run(gate(policy("message_rate", "audio_chunk_rate")))
    frame = speech(0.0632)
    for number in range(3000):
        run.feed(frame, at=number * 0.0632)
    assert not run.gate.done.actions


def test_texts_are_held_to_the_rate_of_messages_but_never_joined() -> None:
    run = Run(gate(policy(message_rate={"per_minute": 20})))
    run.feed(*[says(type="set", id=number) for number in range(40)]).drain()
    assert [orjson.loads(message.payload)["id"] for message in run.messages] == list(range(40))
    check_window([message.at for message in run.messages], 20, 60.0)
    assert run.now < 140.0
    assert set(run.gate.done.actions) == {(Rule.MESSAGE_RATE, Action.DELAYED)}


def test_texts_are_no_chunks() -> None:
    run = Run(gate(policy(audio_chunk_rate={"per_second": 2})))
    run.feed(*[says(type="set", id=number) for number in range(40)])
    assert len(run.messages) == 40


def test_what_is_joined_for_a_rate_keeps_to_the_pace() -> None:
    run = Run(gate(policy(audio_chunk_rate={"per_second": 4}, pace={"lead_seconds": 1.0})))
    run.feed(*[speech(0.02)] * 500).drain()
    total = 0.0
    for message in run.audio:
        total += len(message.payload) / BYTES
        assert total <= 1.0 + message.at + 1e-5
    assert total == pytest.approx(10.0)
    assert run.now < 10.5


# What is wrapped


def json_audio(seconds: float) -> bytes:
    return says(type="audio", data=b64encode(samples(round(seconds * 16000) * 2)).decode())


def varint(number: int) -> bytes:
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def protobuf_audio(seconds: float) -> bytes:
    data = samples(round(seconds * 16000) * 2)
    return masked_frame(BINARY, b"\x08\x02\x1a" + varint(len(data)) + data)


WRAPPED: Final = [
    pytest.param(BARE, json_audio(1.5), id="json"), pytest.param(PROTOBUF, protobuf_audio(1.5), id="protobuf"),
    pytest.param(FILES, masked_frame(BINARY, wav(samples(48000))), id="wav"),
]


@pytest.mark.parametrize(("of", "message"), WRAPPED)
def test_audio_in_something_is_held_but_not_changed(of: Any, message: bytes) -> None:
    run = Run(gate(ALL, of=of)).feed(*[message] * 40).drain()
    assert run.out == message * 40
    assert run.now == pytest.approx(40 * 1.5 - 5.0, abs=0.01)
    assert {action for _, action in run.gate.done.actions} == {Action.DELAYED}


@pytest.mark.parametrize(("of", "message"), [
    pytest.param(BARE, json_audio(0.02), id="json"), pytest.param(PROTOBUF, protobuf_audio(0.02), id="protobuf"),
    pytest.param(FILES, masked_frame(BINARY, wav(samples(640))), id="wav"),
])
def test_audio_in_something_is_not_joined(of: Any, message: bytes) -> None:
    run = Run(gate(USUAL, of=of)).feed(*[message] * 10)
    assert run.out == message * 10


def test_audio_that_cannot_be_timed_passes_at_any_speed() -> None:
    run = Run(gate(USUAL, "encoding=opus"))
    frames = [masked_frame(BINARY, samples(100 + number % 3)) for number in range(1000)]
    run.feed(*frames)
    assert run.out == b"".join(frames)


def test_audio_that_cannot_be_timed_counts_among_the_chunks() -> None:
    run = Run(gate(policy("audio_chunk_rate"), "encoding=opus")).feed(*[masked_frame(BINARY, samples(100))] * 150).drain()
    check_window([message.at for message in run.audio], 100, 1.0)
    assert len(run.messages) == 150


def test_a_message_may_say_what_the_audio_is() -> None:
    run = Run(gate(DURATION)).feed(speech(0.1), says(type="set", id=1, rate=8000), speech(0.6))
    run.feed(says(type="set", id=1, encoding="opus"), speech(9.0))
    assert [len(message.payload) for message in run.audio] == [3200, 9600, 9600, 288000]


def test_a_keep_alive_in_a_binary_message_is_joined_to_nothing() -> None:
    alive = masked_frame(BINARY, b'{"type":"alive"}')
    run = Run(gate(DURATION)).feed(speech(0.02), alive, speech(0.02, start=640)).finish()
    assert [message.payload for message in run.messages] == [samples(640), b'{"type":"alive"}', samples(640, 640)]


# Compression


class Deflater:
    """What a client with permessage-deflate sends."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(wbits=-15)

    def frame(self, opcode: int, payload: bytes) -> bytes:
        data = self._deflate.compress(payload) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return masked_frame(opcode, data[:-4], rsv=0x40)


def test_compressed_audio_is_held_whole() -> None:
    deflater = Deflater()
    frames = [deflater.frame(BINARY, samples(2 * BYTES)) for _ in range(10)]
    run = Run(gate(USUAL, inflater=Inflater(True, 15))).feed(*frames).drain()
    assert run.out == b"".join(frames)
    assert run.now == pytest.approx(15.0)


@pytest.mark.parametrize("inflater", [None, Inflater(True, 15)], ids=["not agreed on", "broken"])
def test_what_cannot_be_inflated_lets_everything_go(inflater: Inflater | None) -> None:
    run = Run(gate(PACE, inflater=inflater)).feed(*[speech(1.0)] * 9)
    broken = masked_frame(BINARY, b"\xff\xff\xff", rsv=0x40)
    run.feed(broken, speech(9.0))
    assert run.out == speech(1.0) * 9 + broken + speech(9.0)
    assert run.gate.off
    assert run.gate.why_off == "deflate"
    assert run.gate.wake_at is None


# What cannot be followed


BROKEN: Final = {
    "continuation of nothing": (masked_frame(CONTINUATION, b"x"), "order"),
    "a message inside another": (masked_frame(TEXT, b"x", fin=False) + masked_frame(TEXT, b"y"), "order"),
    "reserved opcode": (masked_frame(3, b"x"), "reserved"),
    "reserved control opcode": (masked_frame(0xB, b"x"), "reserved"),
    "reserved bits": (masked_frame(BINARY, b"x", rsv=0x20), "reserved"),
    "compressed continuation": (masked_frame(BINARY, b"x", fin=False) + masked_frame(CONTINUATION, b"y", rsv=0x40), "reserved"),
    "compressed ping": (masked_frame(PING, b"x", rsv=0x40), "reserved"),
    "fragmented ping": (masked_frame(PING, b"x", fin=False), "control"),
    "large ping": (masked_frame(PING, b"x" * 126), "control"),
    "large frame": (b"\x82\xff" + (HELD_BYTES + 1).to_bytes(8, "big") + b"mask", "large"),
    "absurd frame": (b"\x82\xff" + b"\xff" * 8 + b"mask", "large"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("bytewise", [False, True])
def test_broken_framing_lets_everything_go_and_stays_off(name: str, bytewise: bool) -> None:
    data, why = BROKEN[name]
    held = [speech(1.0)] * 9 + [masked_frame(TEXT, b"held", fin=False), masked_frame(CONTINUATION, b"too")]
    run = Run(gate(policy("pace", "chunk_duration"))).feed(*held)
    assert run.gate.held_seconds == pytest.approx(4.0)
    whole = data + b"what follows"
    run.feed(*([bytes([byte]) for byte in whole] if bytewise else [whole]))
    run.feed(b"anything", speech(9.0)).feed(b"at all", at=99.0)
    assert run.out == b"".join(held) + whole + b"anything" + speech(9.0) + b"at all"
    assert (run.gate.off, run.gate.why_off, run.gate.wake_at) == (True, why, None)
    assert not run.gate.held_bytes


def test_a_fault_of_ours_costs_nothing() -> None:
    def broken(seconds: float) -> None:
        raise ZeroDivisionError

    of = gate_for(PACE, BARE.endpoints["v1"], Request.of("/v1", {}), None, broken)
    assert of is not None
    run = Run(of).feed(*[speech(1.0)] * 7)
    run.until(1.0)
    assert run.gate.why_off == "inspection"
    assert run.out == speech(1.0) * 7


def test_a_fault_in_reading_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    of = gate(PACE)
    run = Run(of).feed(*[speech(1.0)] * 7)
    monkeypatch.setattr("proxy.core.meter.Meter.measure", lambda self, frames: 1 // 0)
    ping = masked_frame(PING, b"p")
    run.feed(ping + END + speech(2.0) + b"\x82")
    assert run.out == speech(1.0) * 5 + ping + speech(1.0) * 2 + END + speech(2.0) + b"\x82"


def test_whoever_lets_go_gets_everything_from_the_beginning_of_a_frame() -> None:
    run = Run(gate(PACE)).feed(*[speech(1.0)] * 6, END[:5])
    assert run.out == speech(1.0) * 5
    assert run.gate.let_go() == speech(1.0) + END[:5]
    assert run.gate.let_go() == b""
    assert run.gate.feed(END[5:], 0.0) == END[5:]


def test_a_message_in_endless_fragments_is_let_go() -> None:
    of = gate(PACE)
    out = of.feed(masked_frame(BINARY, b"", fin=False), 0.0)
    tiny = masked_frame(CONTINUATION, b"", fin=False) * 4096
    fed = len(masked_frame(BINARY, b"", fin=False))
    while not of.off:
        out += of.feed(tiny, 0.0)
        fed += len(tiny)
        assert fed < HELD_BYTES, "what a frame costs besides its bytes counts as well"
    assert of.why_off == "large"
    assert len(out) == fed


# Bounds


def test_held_audio_is_bounded_in_seconds() -> None:
    run = Run(gate(PACE))
    fed = 0
    while not run.gate.is_full:
        run.feed(speech(1.0))
        fed += 1
    assert fed - 5 == HELD_SECONDS
    assert run.feed(speech(1.0)).gate.held_seconds == HELD_SECONDS, "what comes all the same waits as it came"
    run.until(1.5)
    assert run.gate.held_seconds == HELD_SECONDS
    run.until(2.5)
    assert not run.gate.is_full


def test_a_large_frame_in_many_chunks_neither_fills_the_gate_nor_gets_stuck() -> None:
    of = gate(policy("chunk_bytes"))
    frame = masked_frame(BINARY, samples(HELD_BYTES - 14), b"mask")
    out = b""
    for at in range(0, len(frame), 1 << 16):
        assert not of.is_full
        out += of.feed(frame[at : at + (1 << 16)], 0.0)
    reader = Reader()
    reader.add(out[: 1 << 20], 0.0)
    assert all(23900 < len(message.payload) <= 24000 and len(message.payload) % 4 == 0 for message in reader.messages)
    assert of.empty
    assert not of.off


# Endings


def test_pings_overtake_what_is_held_between_messages() -> None:
    run = Run(gate(PACE)).feed(*[speech(1.0)] * 8)
    run.feed(masked_frame(TEXT, b"fragm", fin=False), masked_frame(PING, b"1"), masked_frame(CONTINUATION, b"ent"))
    run.feed(masked_frame(PONG, b"2"))
    assert [message.opcode for message in run.messages] == [BINARY] * 5 + [PING, PONG]
    run.drain()
    assert [message.opcode for message in run.messages[7:]] == [BINARY] * 3 + [TEXT]


def test_pings_overtake_nothing_that_may_go() -> None:
    ping = masked_frame(PING, b"")
    chunk = speech(0.1) + ping + END + ping + speech(0.1) + ping
    assert Run(gate(USUAL)).feed(chunk).out == chunk


def test_texts_keep_their_place() -> None:
    run = Run(gate(PACE)).feed(*[speech(1.0)] * 6, END, speech(1.0)).drain()
    assert [(message.opcode, message.at) for message in run.messages[5:]] == [(BINARY, 1.0), (TEXT, 1.0), (BINARY, 2.0)]


def test_a_close_goes_after_what_is_held_as_soon_as_that_has_gone() -> None:
    run = Run(gate(PACE)).feed(*[speech(1.0)] * 7, LEAVE).drain()
    assert [(message.opcode, message.at) for message in run.messages[5:]] == [(BINARY, 1.0), (BINARY, 2.0), (CLOSE, 2.0)]
    assert not run.gate.done.cut_seconds


def test_what_the_bound_of_a_close_cuts_off_is_counted_and_texts_go_all_the_same() -> None:
    run = Run(gate(PACE)).feed(*[speech(0.4)] * 100, END).feed(LEAVE + b"and more").feed(b"still", at=1.0).drain()
    assert [message.opcode for message in run.messages[-2:]] == [TEXT, CLOSE]
    assert run.now == CLOSE_SECONDS
    assert run.out.endswith(LEAVE + b"and morestill")
    gone = sum(durations(run))
    assert gone == pytest.approx(10.0)
    assert run.gate.done.cut_seconds == pytest.approx(40.0 - gone)


def test_a_close_waits_for_no_audio_where_nobody_listens_any_more() -> None:
    run = Run(gate(policy(pace={"lead_seconds": 1.0})))
    run.feed(speech(1.0), speech(1.0), masked_frame(TEXT, b"x"))
    closing = [run.gate.is_closing]
    run.feed(LEAVE, at=0.5)
    closing.append(run.gate.is_closing)
    assert [message.opcode for message in run.messages] == [BINARY]
    run._left(run.gate.hurry(run.now))
    assert [(message.opcode, message.at) for message in run.messages] == [(BINARY, 0.0), (TEXT, 0.5), (CLOSE, 0.5)]
    assert [*closing, run.gate.is_closing] == [False, True, False]
    assert (run.gate.done.cut_seconds, run.gate.wake_at) == (1.0, None)


def test_a_client_that_has_gone_leaves_its_audio_and_what_there_is_of_a_message_unless_more_is_to_be_said() -> None:
    for whole in (True, False):
        run = Run(gate(PACE)).feed(*[speech(1.0)] * 7, END[:4]).finish(whole)
        assert run.out == speech(1.0) * 7 + (b"" if whole else END[:4])
        assert run.now == pytest.approx(2.0)
    run = Run(gate(PACE)).feed(*[speech(1.0)] * 70).finish()
    assert run.gate.done.cut_seconds == pytest.approx(60.0)
    assert run.now == CLOSE_SECONDS


def test_short_audio_does_not_wait_once_nothing_more_will_come() -> None:
    run = Run(gate(DURATION)).feed(speech(0.02)).finish()
    assert run.now == 0.0
    assert run.out == speech(0.02)


# Refusals


@pytest.mark.parametrize(("of", "query", "data", "says_what"), [
    (BARE, "", wav(samples(800)), "a WAV file of pcm_s16le at 16000 Hz where raw pcm_s16le at 16000 Hz was declared"),
    (BARE, "rate=8000", wav(samples(800)), "a WAV file of pcm_s16le at 16000 Hz where raw pcm_s16le at 8000 Hz was declared"),
    (BARE, "", b"OggS" + samples(200), "a container (ogg) where raw pcm_s16le at 16000 Hz was declared"),
    (BARE, "", b64encode(samples(200)), "text (JSON or base64) where raw pcm_s16le at 16000 Hz was declared"),
    (FILES, "", wav(samples(800), rate=8000, channels=2),
     "WAV of pcm_s16le at 8000 Hz, 2 channels where pcm_s16le at 16000 Hz is expected"),
    (FILES, "", b64encode(samples(200)), "text where a WAV file is expected"),
])
def test_audio_of_another_format_is_refused_at_its_first_bytes(of: Any, query: str, data: bytes, says_what: str) -> None:
    run = Run(gate(policy("audio_format"), query, of)).feed(END).feed(masked_frame(BINARY, data)).feed(speech(0.1), LEAVE)
    assert run.gate.refusal == (Rule.AUDIO_FORMAT, says_what)
    assert run.out == END
    assert run.gate.done.actions == {(Rule.AUDIO_FORMAT, Action.REFUSED): 1}
    run.feed(speech(0.1)).finish(whole=False)
    assert run.out == END


def test_only_the_first_bytes_are_looked_at_and_other_rules_do_not_refuse() -> None:
    later = speech(0.1) + masked_frame(BINARY, wav(samples(800)))
    assert Run(gate(policy("audio_format"))).feed(later).out == later
    assert Run(gate(policy("message_shape"))).feed(masked_frame(BINARY, wav(samples(800)))).gate.refusal is None


def test_audio_in_json_is_looked_at_too() -> None:
    run = Run(gate(policy("audio_format"))).feed(says(type="audio", data=b64encode(wav(samples(800), rate=24000)).decode()))
    assert run.gate.refusal is not None
    assert "24000" in run.gate.refusal[1]


@pytest.mark.parametrize(("text", "says_what"), [
    (b"{", "a text message that is not JSON"), (b"[]", "a text message that is no JSON object"),
    (b'{"type":"unheard"}', "a message of a type that the vendor does not know"),
    (b'{"type":"set"}', "a message of type 'set' lacks a field that the vendor requires"),
])
def test_texts_of_no_known_shape_are_refused(text: bytes, says_what: str) -> None:
    run = Run(gate(policy("message_shape", "pace"))).feed(*[speech(1.0)] * 8).feed(END + masked_frame(TEXT, text) + END)
    assert run.gate.refusal == (Rule.MESSAGE_SHAPE, says_what)
    assert run.drain().out == speech(1.0) * 5
    assert run.gate.done.cut_seconds == pytest.approx(3.0)
    assert run.gate.empty
    assert Run(gate(PACE)).feed(masked_frame(TEXT, text)).out == masked_frame(TEXT, text)


def test_what_may_go_before_a_refusal_goes() -> None:
    run = Run(gate(policy("message_shape"))).feed(speech(0.1) + masked_frame(TEXT, b"{"))
    assert run.out == speech(0.1)


def test_texts_too_large_to_read_are_not_judged() -> None:
    huge = masked_frame(TEXT, b"{" * 300_000)
    assert Run(gate(ALL)).feed(huge).out == huge


# Which sessions have a gate


def test_a_gate_is_made_only_where_a_rule_needs_one() -> None:
    endpoint, request = BARE.endpoints["v1"], Request.of("/v1", {})

    def made(asked: Policy, of: Any = endpoint) -> Gate | None:
        return gate_for(asked, of, request, None)

    assert made(Policy()) is None
    assert made(policy("idle", "end_properly", "session_duration", "concurrency", "connection_rate")) is None
    assert made(USUAL) is not None
    assert made(USUAL, None) is None
    without = vendor(limits={}).endpoints["v1"]
    assert made(policy("chunk_duration", "chunk_bytes", "message_rate", "audio_chunk_rate"), without) is None
    assert made(policy(chunk_bytes={"max_bytes": 1000}), without) is not None


def test_a_gate_without_rules_stands_between_messages_and_looks_at_none() -> None:
    empty = Gate(frozenset(), bounds(Rules(), Limits()), Meter(BARE.endpoints["v1"], Request.of("/v1", {}), None))
    frames = [speech(60.0), masked_frame(TEXT, b"{", rsv=0x40), speech(0.01), speech(0.01), END]
    run = Run(empty).feed(*frames, END[:3])
    assert run.out == b"".join(frames)
    assert run.finish().out == b"".join(frames)
    assert not empty.off


# The short way


def test_frames_like_the_last_go_as_they_are_whatever_their_mask_until_anything_is_different() -> None:
    run = Run(gate(ALL))
    for number in range(50):
        run.feed(speech(0.1, mask=bytes([number, 0, 1, 2])), at=number * 0.1)
    run.feed(END, speech(0.1), speech(0.02), speech(0.1, mask=b""), masked_frame(PING, b"x"))
    assert [len(message.payload) for message in run.messages[50:]] == [14, 3200, 3840, 1]
    run.feed(LEAVE)
    assert run.feed(b"\x82").out.endswith(LEAVE + b"\x82")


def test_what_looks_like_the_last_frame_inside_another_is_no_frame() -> None:
    frame = speech(0.1, mask=b"")
    large = masked_frame(BINARY, b"12" + frame * 3, mask=b"")
    run = Run(gate(USUAL)).feed(frame).feed(frame + large[:6])
    for at in range(6, len(large), len(frame)):
        run.feed(large[at : at + len(frame)])
    assert [message.payload for message in run.messages] == [frame[4:], frame[4:], large[4:]]


def test_a_run_does_not_outlive_the_format() -> None:
    run = Run(gate(PACE)).feed(speech(1.0)).feed(speech(1.0) + says(type="set", id=1, rate=8000))
    run.feed(speech(1.0), speech(1.0))
    assert len(run.audio) == 3
    assert run.gate.held_seconds == pytest.approx(2.0)


def test_a_short_way_taken_is_paid_for() -> None:
    run = Run(gate(policy(audio_chunk_rate={"per_second": 100}, pace={"lead_seconds": 30.0}))).feed(*[speech(0.1)] * 300)
    assert len(run.messages) <= 100
    assert isinstance(run.messages[0], Message)


def test_when_the_last_audio_came_that_waits() -> None:
    run = Run(gate(PACE)).feed(speech(6.0), at=1.0).feed(speech(2.0), at=2.0).feed(masked_frame(TEXT, b"{}"), at=3.0)
    assert [run.gate.held_at, run.drain().gate.held_at] == [2.0, None]
