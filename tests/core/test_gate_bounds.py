"""What the gate holds is bounded at every moment, whatever comes in whatever pieces; and what waits for room is neither lost nor moved.

The bounds are made small, so that they are met all the time; the client is read as a gated leg reads it: not while the gate is full.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core import gate as module
from proxy.core.assembly import OVERHEAD
from proxy.core.gate import CLOSE_SECONDS, HELD_BYTES, HELD_SECONDS, READ_BYTES
from proxy.core.policy import Policy
from tests.core.gating import Run, gate, joined, masked_frame, policy, samples, speech
from tests.core.playbook import BINARY, CLOSE, CONTINUATION, PING, TEXT

SECONDS, BYTES, READ, RATE = 10.0, 40_000, 4_000, 1_000
QUERY = f"encoding=mulaw&rate={RATE}"
POLICIES = st.sampled_from([
    policy(pace={"lead_seconds": 1.0}),
    policy(pace={"lead_seconds": 1.0}, chunk_duration={"min_seconds": 0.05, "max_seconds": 1.0, "wait_seconds": 0.2}),
    policy(pace={"lead_seconds": 3.0, "credit_seconds": 0.0}, chunk_bytes={"max_bytes": 200}),
    policy(message_rate={"per_minute": 60}),
    policy(audio_chunk_rate={"per_second": 2}, chunk_duration={"min_seconds": 0.3, "max_seconds": 0.6, "wait_seconds": 1.0}),
])
AUDIO = st.floats(0.001, SECONDS - 0.01).map(lambda seconds: ("audio", max(1, int(seconds * RATE))))
SHORT = st.integers(1, 60).map(lambda length: ("audio", length))
TEXTS = st.one_of(st.integers(0, 20), st.integers(0, BYTES // 2)).map(lambda length: ("text", length))
FRAGMENTS = st.integers(2, 40).map(lambda count: ("fragments", count))
MESSAGES = st.lists(st.one_of(AUDIO, SHORT, SHORT, TEXTS, FRAGMENTS, st.just(("ping", 0))), min_size=1, max_size=60)


class Client:
    """A stream of frames, and what is in it."""

    def __init__(self, messages: list[tuple[str, int]]) -> None:
        self.stream, self.audio, self.texts, self.pings, self.seconds = b"", b"", list[bytes](), 0, 0.0
        for kind, size in messages:
            getattr(self, f"_{kind}")(size)

    def _audio(self, size: int) -> None:
        data = samples(size, len(self.audio))
        self.audio += data
        self.seconds += size / RATE
        self.stream += masked_frame(BINARY, data)

    def _text(self, size: int) -> None:
        self.texts.append(b"x" * size)
        self.stream += masked_frame(TEXT, b"x" * size)

    def _fragments(self, count: int) -> None:
        self.texts.append(b"")
        between = masked_frame(CONTINUATION, b"", fin=False) * (count - 2)
        self.stream += masked_frame(TEXT, b"", fin=False) + between + masked_frame(CONTINUATION, b"")

    def _ping(self, size: int) -> None:
        self.pings += 1
        self.stream += masked_frame(PING, b"")

    def came_through(self, run: Run) -> None:
        assert [message.payload for message in run.messages if message.opcode == TEXT] == self.texts
        assert sum(message.opcode == PING for message in run.messages) == self.pings
        assert run.gate.empty
        assert run.gate.held_bytes == 0
        assert run.reader.rest == b""


class Bounded(Run):
    """Whatever is done to the gate, what it holds is within its bounds then."""

    most_bytes = BYTES

    def _left(self, data: bytes) -> None:
        super()._left(data)
        assert not self.gate.off
        assert self.gate.held_seconds <= SECONDS + 1e-9
        assert self.gate.held_bytes <= self.most_bytes

    def takes(self, stream: bytes, reads: Iterator[int]) -> None:
        """Is fed a stream in reads of such sizes, whenever it wants more."""
        while stream:
            while self.gate.is_full:
                assert self.gate.wake_at is not None, "it never has room again"
                self.until(max(self.now, self.gate.wake_at))
            size = next(reads)
            self.feed(stream[:size])
            stream = stream[size:]


def _reads(seed: int) -> Iterator[int]:
    while True:
        seed = (seed * 1103515245 + 12345) % (1 << 31)
        yield READ if seed % 3 else 1 + (seed >> 8) % READ


def _small() -> AbstractContextManager[object]:
    return patch.multiple(module, HELD_SECONDS=SECONDS, HELD_BYTES=BYTES, READ_BYTES=READ)


@given(MESSAGES, POLICIES, st.integers(0, 1 << 30), st.booleans())
@example([("text", 0)] * 600, policy(pace={"lead_seconds": 1.0}), 1, True)
@example([("audio", 9_000), *[("audio", 1)] * 600], policy(pace={"lead_seconds": 1.0}), 1, True)
@example([("audio", 9_000), ("fragments", 400), ("audio", 9_000)], policy(pace={"lead_seconds": 1.0}), 1, False)
def test_never_more_is_held_than_may_be_and_nothing_is_lost(
        messages: list[tuple[str, int]], asked: Policy, seed: int, closes: bool) -> None:
    with _small():
        client = Client(messages)
        run = Bounded(gate(asked, QUERY))
        run.takes(client.stream, _reads(seed))
        if closes:
            while not run.gate.empty:
                run.until(run.gate.wake_at or run.now)
            run.feed(masked_frame(CLOSE, b""))
        run.drain()
        client.came_through(run)
        assert joined(run.audio) == client.audio
        assert run.gate.done.cut_seconds == 0.0


@given(MESSAGES, POLICIES, st.integers(0, 1 << 30), st.booleans(), st.booleans())
def test_what_has_no_room_at_the_end_goes_or_is_told_of(
        messages: list[tuple[str, int]], asked: Policy, seed: int, closes: bool, whole: bool) -> None:
    """The client has hung up, so that all that is left of its is read at once: that costs bytes, but is not cut into audio that is held."""
    with _small():
        client, reads = Client(messages), _reads(seed)
        run = Bounded(gate(asked, QUERY))
        run.most_bytes = BYTES + len(client.stream)
        stream = client.stream + (masked_frame(CLOSE, b"") if closes else b"")
        while stream:
            size = next(reads)
            run.feed(stream[:size])
            stream = stream[size:]
        began = run.now
        run.finish(whole)
        assert run.now <= began + CLOSE_SECONDS + 1e-6
        client.came_through(run)
        assert len(joined(run.audio)) / RATE + run.gate.done.cut_seconds == pytest.approx(client.seconds)
        assert sum(message.opcode == CLOSE for message in run.messages) == closes


def test_the_bounds_as_they_are() -> None:
    """Telephone audio, read as a loop does: 32 s at a time."""
    of, held = gate(policy("pace"), "encoding=mulaw&rate=8000"), 0.0
    second = masked_frame(BINARY, samples(8_000))
    stream = second * 400
    for at in range(0, len(stream), READ_BYTES):
        if of.is_full:
            break
        of.feed(stream[at : at + READ_BYTES], 0.0)
        held = max(held, of.held_seconds)
    assert (of.is_full, held) == (True, HELD_SECONDS)
    assert of.held_bytes <= HELD_BYTES


def test_a_message_longer_than_the_bound_waits_until_it_is_alone() -> None:
    run = Run(gate(policy("pace"), "encoding=mulaw&rate=8000"))
    longer = masked_frame(BINARY, samples(int(8_000 * (HELD_SECONDS + 20))))
    run.feed(*[masked_frame(BINARY, samples(8_000))] * 8, longer)
    assert (run.gate.held_seconds, run.gate.is_full) == (3.0, True)
    run.until(2.5)
    assert (run.gate.held_seconds, run.gate.is_full) == (1.0, True)
    run.until(3.5)
    assert HELD_SECONDS < run.gate.held_seconds <= HELD_SECONDS + 20
    run.until(30.0)
    assert not run.gate.is_full
    run.drain()
    assert len(joined(run.audio)) == 8_000 * (8 + HELD_SECONDS + 20)


def test_what_waits_for_room_is_let_go_in_its_place() -> None:
    of = gate(policy("pace"))
    data = speech(1.0) * 400 + masked_frame(TEXT, b"{}") + b"\x82\xfe"
    out = b"".join(of.feed(data[at : at + READ_BYTES], 0.0) for at in range(0, len(data), READ_BYTES))
    assert of.held_seconds == HELD_SECONDS
    assert out + of.let_go() == data
    assert of.feed(b"anything", 0.0) == b"anything"


def test_many_tiny_messages_do_not_cost_more_than_the_bound() -> None:
    of = gate(policy(pace={"lead_seconds": 0.1}))
    of.feed(speech(1.0) * 2, 0.0)
    text, fed = masked_frame(TEXT, b"") * (READ_BYTES // 6), 0
    while not of.is_full:
        of.feed(text, 0.0)
        fed += 1
        assert of.held_bytes <= HELD_BYTES
    assert of.held_bytes > HELD_BYTES - READ_BYTES - OVERHEAD
    assert fed < 6
