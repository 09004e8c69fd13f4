"""Delivery: what the kernel's counts prove, and never more."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.evidence import Delivery, Latest, TcpSample
from proxy.core.tally import AudioSeconds

TCP = TcpSample(acked=0, queued=0, unacked=0, unsent=0, window=65535, rtt_seconds=0.02, peer_closed=False)
MESSAGE = 3208  # 0.1 s of 16 kHz audio and its frame's head


class Link:
    """A vendor socket by hand: audio goes in, bytes are queued and acknowledged."""

    def __init__(self, overhead: int = 0) -> None:
        self.audio = AudioSeconds()
        self.delivery = Delivery(self.audio)
        self.overhead = overhead
        self.queued = self.acked = 500  # the request went first
        self.now = 0.0
        self.latest: Latest | None = None

    def say(self, seconds: float) -> None:
        self.audio.read += seconds
        self.queued += round(seconds * 10) * (MESSAGE + self.overhead)

    def sample(self, acked: int | None = None, buffered: int = 0, **more: Any) -> None:
        self.now += 1.0
        self.acked = self.queued if acked is None else acked
        self.delivery.sample(TCP._replace(acked=self.acked, queued=self.queued, **more), buffered, self.now, self.latest)

    @property
    def stages(self) -> tuple[float, float, float]:
        return self.audio.read, self.audio.written, self.audio.delivered


@pytest.mark.parametrize("overhead", [0, 22])
def test_everything_acknowledged_is_everything_delivered(overhead: int) -> None:
    link = Link(overhead)
    for _ in range(5):
        link.say(1.0)
        link.sample()
        assert link.stages == (link.now, link.now, link.now)
        assert link.delivery.delivered_at == link.now
    assert link.delivery.undelivered_seconds == 0.0


@pytest.mark.parametrize("overhead", [0, 22])
def test_acknowledgements_that_lag_prove_what_was_queued_before(overhead: int) -> None:
    link = Link(overhead)
    link.say(1.0)
    first = link.queued
    link.sample(acked=first - 1)
    assert link.stages == (1.0, 1.0, 0.0)
    link.say(1.0)
    link.sample(acked=first)  # a byte later the first second is there
    assert link.stages == (2.0, 2.0, 1.0)
    assert link.delivery.delivered_at == 2.0
    assert link.delivery.undelivered_seconds == 1.0
    link.sample()
    assert link.stages == (2.0, 2.0, 2.0)


def test_a_dropped_link_delivers_no_more_however_much_is_written() -> None:
    link = Link()
    link.say(3.0)
    link.sample()
    at = link.acked
    for _ in range(10):
        link.say(1.0)
        link.sample(acked=at, unacked=20, unsent=1000)
    assert link.stages == (13.0, 13.0, 3.0)
    assert link.delivery.delivered_at == 1.0
    assert link.delivery.undelivered_seconds == 10.0


def test_a_vendor_that_does_not_read() -> None:
    link = Link()
    link.say(1.0)
    link.sample()
    at = link.acked
    link.say(2.0)
    link.sample(acked=at, window=0, unsent=2 * 10 * MESSAGE)
    assert link.audio.delivered == 1.0
    assert link.delivery.last is not None
    assert link.delivery.last.window == 0


def test_a_transport_that_never_empties_proves_nothing_of_what_came_after() -> None:
    link = Link()
    link.say(1.0)
    link.sample()
    for _ in range(5):
        link.say(1.0)
        link.sample(buffered=1)
    assert link.stages == (6.0, 1.0, 1.0)
    link.sample(buffered=0)
    assert link.stages == (6.0, 6.0, 6.0)


def test_without_tcp_info_nothing_is_known() -> None:
    link = Link()
    link.say(1.0)
    link.delivery.sample(None, 10, 1.0)
    assert link.stages == (1.0, 0.0, 0.0)
    link.delivery.sample(None, 0, 2.0)
    assert link.stages == (1.0, 1.0, 0.0)
    assert not link.delivery.known
    assert link.delivery.last is None
    assert link.delivery.delivered_at is None
    assert link.delivery.undelivered_seconds == 0.0


def test_a_reading_that_fails_later_leaves_what_was_known() -> None:
    link = Link()
    link.say(1.0)
    link.sample()
    link.say(1.0)
    link.delivery.sample(None, 0, 2.0)
    assert link.delivery.known
    assert link.stages == (2.0, 2.0, 1.0)


def test_delivery_without_audio_is_not_dated() -> None:
    link = Link()
    link.sample()
    assert link.audio.delivered == 0.0
    assert link.delivery.delivered_at is None


class Truth:
    """A model that knows the whole way: transport buffer, kernel, link, and where each message ends in the stream."""

    def __init__(self, overhead: int) -> None:
        self.audio = AudioSeconds()
        self.delivery = Delivery(self.audio)
        self.overhead = overhead
        self.messages: list[tuple[int, float]] = []  # last byte, seconds
        self.handed = self.queued = self.acked = 0

    def act(self, what: str, amount: int) -> None:
        if what == "say":
            self.handed += amount + self.overhead
            self.messages.append((self.handed, amount / 100))
            self.audio.read += amount / 100
        elif what == "flush":
            self.queued = min(self.handed, self.queued + amount)
        elif what == "flush all":
            self.queued = self.handed
        elif what == "ack":
            self.acked = min(self.queued, self.acked + amount)
        elif what == "ack all":
            self.acked = self.queued
        else:
            self.delivery.sample(TCP._replace(acked=self.acked, queued=self.queued), self.handed - self.queued, 1.0)

    def arrived(self, upto: int) -> float:
        return sum(seconds for end, seconds in self.messages if end <= upto)


def test_what_waits_is_dated_from_the_last_reading_before_and_moves_when_anything_is_acknowledged() -> None:
    link = Link()
    link.latest = Latest()
    link.say(1.0)
    link.sample()  # 1.0: all is there
    link.say(1.0)
    link.sample(acked=link.acked)  # 2.0: it may wait since just after the reading before
    assert (link.delivery.waits_since, link.delivery.moved_at) == (1.0, 1.0)
    link.sample(acked=link.acked + 1)
    assert (link.delivery.waits_since, link.delivery.moved_at) == (1.0, 3.0)
    link.sample(acked=link.queued, buffered=1)  # what waits in the transport waits as well
    assert link.delivery.waits_since == 1.0
    link.sample()
    assert link.delivery.waits_since is None


def test_stuck_is_told_of_the_present_alone_and_by_both_clocks() -> None:
    link = Link()
    link.latest = Latest()
    assert not link.delivery.stuck(9.0, 1.0)
    link.say(1.0)
    link.sample(acked=500)  # 1.0: nothing before it, so it waits since now
    link.sample(acked=500)
    assert (link.delivery.waits_since, link.delivery.moved_at) == (1.0, 1.0)
    assert [link.delivery.stuck(4.0, seconds) for seconds in (3.0, 3.1)] == [True, False]
    assert [link.delivery.stuck(at, 1.0) for at in (5.0, 5.1)] == [True, False]  # the last reading is of 2.0
    link.sample(acked=501)
    assert not link.delivery.stuck(4.0, 2.0)


def test_what_is_acknowledged_after_the_vendor_judged_proves_nothing_of_what_it_had() -> None:
    audio = AudioSeconds()
    delivery = Delivery(audio)
    audio.read = 1.0
    delivery.sample(TCP._replace(acked=500, queued=3700), 0, 1.0, Latest(0.9, 0.9, None))
    delivery.sample(TCP._replace(acked=3700, queued=3700), 0, 2.0, None)
    assert (audio.delivered, delivery.proven) == (1.0, Latest())


acts = st.lists(st.tuples(st.sampled_from(["say", "say", "flush", "flush all", "ack", "ack all", "sample", "sample"]), st.integers(1, 400)),
                max_size=60)


@given(acts, st.sampled_from([0, 22]))
def test_figures_are_lower_bounds_of_the_truth(acts: list[tuple[str, int]], overhead: int) -> None:
    truth = Truth(overhead)
    seen = []
    for what, amount in acts:
        truth.act(what, amount)
        audio = truth.audio
        assert audio.delivered <= truth.arrived(truth.acked) + 1e-9
        assert audio.written <= truth.arrived(truth.queued) + 1e-9
        assert audio.delivered <= audio.written <= audio.read
        seen.append(audio.delivered)
    assert seen == list(accumulate(seen, max))
    truth.act("flush all", 0)
    truth.act("ack all", 0)
    truth.act("sample", 0)
    assert truth.audio.delivered == truth.audio.written == truth.audio.read
