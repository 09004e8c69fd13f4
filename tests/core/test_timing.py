"""Timing on a made-up clock: hand-made schedules whose truth is known."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.audio import UNTIMED, AudioFormat
from proxy.core.tally import AudioSeconds, Tables
from proxy.core.timing import BEYOND, MARKS, RATE_WINDOW, AudioClock, ResultClock

RATE = 16000
START = 1000.0


class Line:
    """An audio clock, and the truth about when each second of audio went."""

    def __init__(self, declared: AudioFormat = AudioFormat("pcm_s16le", RATE)) -> None:  # noqa: B008
        self.tables = Tables()
        self.audio = AudioSeconds()
        self.clock = AudioClock(declared, self.audio, self.tables)
        self.now = START
        self.ends: list[float] = []
        self.times: list[float] = []

    def send(self, seconds: float) -> None:
        self.clock.add(round(seconds * RATE) * 2, self.now)
        self.ends.append((self.ends[-1] if self.ends else 0.0) + seconds)
        self.times.append(self.now)

    def steady(self, chunk: float, seconds: float) -> None:
        for _ in range(round(seconds / chunk)):
            self.now += chunk
            self.send(chunk)

    def truth(self, position: float) -> float:
        """When the message went that held the audio up to here."""
        return self.times[min(bisect_left(self.ends, position - 1e-6), len(self.times) - 1)]

    def worst(self, positions: Iterable[float]) -> float:
        found = [(self.clock.written_at(p), self.truth(p)) for p in positions]
        assert all(at is not None for at, _ in found)
        return max(abs((at or 0.0) - truth) for at, truth in found)


def grid(a: float, b: float, step: float = 0.007) -> list[float]:
    return [a + n * step for n in range(int((b - a) / step) + 1)]


# Chunk, gap, rate, lead


def test_a_steady_stream() -> None:
    line = Line()
    line.steady(0.1, 10.0)
    clock = line.clock
    assert clock.timed
    assert clock.chunks == 100
    assert clock.first_at == START + 0.1
    assert clock.last_at == pytest.approx(START + 10.0)
    assert clock.chunk_min == clock.chunk_max == 0.1
    assert clock.gap_max == pytest.approx(0.1)
    assert line.audio.read == pytest.approx(10.0)
    assert clock.rate() == pytest.approx(1.0)
    assert clock.lead_max == pytest.approx(0.1)
    assert clock.lead(line.now) == pytest.approx(0.1)
    assert clock.lead(line.now + 60) == 0.0
    chunk, gap = line.tables.chunk, line.tables.gap
    assert chunk.counts[chunk.bounds.index(0.1)] == sum(chunk.counts) == 100  # a bound holds what is just it
    assert chunk.total == pytest.approx(10.0)
    assert sum(gap.counts) == 99
    assert gap.total == pytest.approx(9.9)


def test_chunks_of_different_length() -> None:
    line = Line()
    for seconds in (0.05, 0.02, 1.0, 0.02):
        line.now += seconds
        line.send(seconds)
    assert (line.clock.chunk_min, line.clock.chunk_max) == (0.02, 1.0)
    chunk = line.tables.chunk
    assert [chunk.counts[chunk.bounds.index(bound)] for bound in (0.02, 0.05, 1.0)] == [2, 1, 1]


def test_lead_is_what_came_ahead_and_silence_is_no_credit() -> None:
    line = Line()
    for _ in range(30):
        line.send(0.1)  # three seconds at once
    assert line.clock.lead(line.now) == pytest.approx(3.0)
    assert line.clock.lead(line.now + 1.0) == pytest.approx(2.0)
    line.now += 60.0  # nothing for a minute: the lead is used up, and no debt is made
    line.send(0.1)
    assert line.clock.lead(line.now) == pytest.approx(0.1)
    for _ in range(4):
        line.send(0.1)
    assert line.clock.lead(line.now) == pytest.approx(0.5)
    assert line.clock.lead_max == pytest.approx(3.0)
    assert line.clock.gap_max == pytest.approx(60.0)


def test_a_hiccup_makes_no_lead() -> None:
    line = Line()
    line.steady(0.1, 2.0)
    line.now += 0.4
    for _ in range(5):
        line.send(0.1)  # what was held back comes at once
    assert line.clock.lead_max == pytest.approx(0.5)
    line.now += 0.5
    line.steady(0.1, 2.0)
    assert line.clock.lead(line.now) == pytest.approx(0.1)


@pytest.mark.parametrize(("speed", "bucket"), [(0.5, 0.5), (1.0, 1.0), (2.0, 2.0), (10.0, None)])
def test_rate_windows(speed: float, bucket: float | None) -> None:
    line = Line()
    for n in range(200):
        line.now = START + n * 0.1 / speed
        line.send(0.1)
        line.clock.tick(line.now)
    assert line.clock.rate() == pytest.approx(speed, rel=0.1)
    rate = line.tables.rate
    windows = int(line.now - START) // int(RATE_WINDOW)
    assert sum(rate.counts) == windows
    if windows:
        assert rate.total / windows == pytest.approx(speed, rel=0.05)
        assert bucket is not None


def test_a_window_without_audio_is_no_rate() -> None:
    line = Line()
    line.clock.tick(line.now + 100)  # before any audio
    line.steady(0.1, 5.5)
    line.clock.tick(line.now)
    assert sum(line.tables.rate.counts) == 1
    line.clock.tick(line.now + RATE_WINDOW)
    line.clock.tick(line.now + 2 * RATE_WINDOW)
    assert sum(line.tables.rate.counts) == 1
    line.clock.tick(line.now + 2 * RATE_WINDOW + 1)  # too early for a window
    assert sum(line.tables.rate.counts) == 1


def test_no_rate_of_less_than_a_second() -> None:
    line = Line()
    assert line.clock.rate() is None
    line.steady(0.1, 0.9)
    assert line.clock.rate() is None
    line.steady(0.1, 0.2)
    assert line.clock.rate() == pytest.approx(1.0)


def test_audio_that_cannot_be_timed_is_only_counted() -> None:
    line = Line(UNTIMED)
    line.steady(0.1, 3.0)
    clock = line.clock
    clock.tick(line.now + 10)
    assert not clock.timed
    assert (clock.chunks, clock.chunk_max, clock.lead_max, line.audio.read) == (30, 0.0, 0.0, 0.0)
    assert clock.gap_max == pytest.approx(0.1)
    assert clock.rate() is None
    assert clock.written_at(0.0) is None
    assert sum(line.tables.chunk.counts) == sum(line.tables.rate.counts) == 0


def test_audio_that_can_no_longer_be_timed() -> None:
    line = Line()
    line.steady(0.1, 2.0)
    line.clock.reformat(UNTIMED)
    line.steady(0.1, 2.0)
    assert not line.clock.timed
    assert line.clock.chunks == 40
    assert line.audio.read == pytest.approx(2.0)
    assert line.clock.rate() is None
    assert line.clock.written_at(1.0) is None


def test_many_at_once_are_as_many_one_by_one() -> None:
    one, other = Line(), Line()
    times = [START + 0.1 * n for n in range(1, 8)]
    for now in times:
        one.clock.add(3200, now)
    other.clock.add_all(3200, times)
    assert (one.clock.chunks, one.audio.read, one.clock.lead_max, one.tables.gap.counts) == (
        other.clock.chunks, other.audio.read, other.clock.lead_max, other.tables.gap.counts)


# When a position went


@pytest.mark.parametrize("chunk", [0.01, 0.02, 0.03, 0.05, 0.06, 0.1, 0.25, 1.0])
def test_positions_of_a_steady_stream(chunk: float) -> None:
    line = Line()
    line.steady(chunk, 9.0)
    assert line.worst(grid(0.001, line.ends[-1])) < 0.002


@pytest.mark.parametrize("chunk", [0.02, 0.1])
def test_positions_around_a_pause(chunk: float) -> None:
    line = Line()
    for pause in (0.3, 7.0, 0.15 + chunk):
        line.steady(chunk, 1.3)
        line.now += pause
    line.steady(chunk, 1.0)
    assert line.worst(grid(0.001, line.ends[-1])) < 0.002


@pytest.mark.parametrize(("chunk", "burst"), [(0.02, 5), (0.02, 10), (0.1, 3), (0.1, 30), (0.03, 4)])
def test_positions_in_bursts(chunk: float, burst: int) -> None:
    line = Line()
    for _ in range(8):
        line.now += chunk * burst
        for _ in range(burst):
            line.send(chunk)
    assert line.worst(grid(0.001, line.ends[-1])) < 0.002


def test_positions_with_a_jitter_are_within_a_message() -> None:
    line = Line()
    for n in range(400):
        line.now = START + n * 0.02 + (0.007 if n % 3 == 1 else 0.0)
        line.send(0.02)
    assert line.worst(grid(0.001, line.ends[-1])) <= 0.02


def test_positions_before_a_short_last_message() -> None:
    line = Line()
    line.steady(0.1, 3.0)
    line.now += 0.03
    line.send(0.03)
    assert line.worst([2.95, 3.0, 3.01, 3.03]) <= 0.03


@pytest.mark.parametrize("chunk", [0.02, 0.1])
def test_what_is_older_than_the_ring_is_not_known(chunk: float) -> None:
    line = Line()
    line.steady(chunk, 120.0)
    end = line.ends[-1]
    kept = MARKS * 0.1
    assert line.clock.written_at(end - 1.3 * kept) is None
    assert line.clock.written_at(0.0) is None
    assert line.worst(grid(end - 0.9 * kept, end)) < 0.002


def test_the_first_and_the_last_position() -> None:
    line = Line()
    assert line.clock.written_at(0.0) is None  # nothing has gone yet
    line.now += 5.0
    line.send(0.1)
    assert line.clock.written_at(0.0) == line.now
    assert line.clock.written_at(-0.1) is None
    line.steady(0.1, 1.0)
    assert line.clock.written_at(1.1 + BEYOND / 2) == line.now  # rounded up by the vendor
    assert line.clock.written_at(1.1 + 2 * BEYOND) is None
    assert line.clock.written_at(float("inf")) is None


gap_lists = st.lists(st.sampled_from([0.0, 0.005, 0.02, 0.04, 0.1, 0.21, 3.0]), min_size=1, max_size=80)


@given(st.sampled_from([0.02, 0.04, 0.1, 0.2]), gap_lists)
def test_any_schedule(chunk: float, gaps: list[float]) -> None:
    line = Line()
    for gap in gaps:
        line.now += gap
        line.send(chunk)
    positions = grid(0.001, line.ends[-1], 0.011)
    times = [line.clock.written_at(p) or 0.0 for p in positions]
    assert all(START <= t <= line.now for t in times)
    assert all(a <= b + 1e-6 for a, b in pairwise(times))
    assert line.worst(positions) <= 0.2 + 2 * chunk + 1e-6


# Results


def results(line: Line) -> ResultClock:
    return ResultClock(line.clock, line.tables)


@pytest.mark.parametrize("chunk", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("lead_in", [0.0, 1.3])
def test_lag_and_first_result_are_those_of_the_schedule(chunk: float, lead_in: float) -> None:
    """The caller is silent, then speaks; the vendor answers 0.4 s after each half second of speech has come to it."""
    line = Line()
    clock = results(line)
    answers: list[tuple[float, float, bool]] = []
    expected_first = None
    for n in range(round(8.0 / chunk)):
        line.now = START + n * chunk
        line.send(chunk)
        for at, end, final in [a for a in answers if a[0] <= line.now]:
            clock.add(at, final, None, lead_in + 0.02, end)
        answers = [a for a in answers if a[0] > line.now]
        spoken = line.ends[-1] - lead_in
        if spoken > 0 and round(line.ends[-1] / chunk) % round(0.5 / chunk) == 0:
            answers.append((line.now + 0.4, line.ends[-1], round(spoken) % 2 == 0))
            expected_first = expected_first or line.now + 0.4 - line.truth(lead_in + 0.02)
    assert clock.results > 10
    assert clock.first_seconds == pytest.approx(expected_first, abs=0.02)
    assert clock.lag_last == pytest.approx(0.4, abs=0.02)
    assert clock.lag_max == pytest.approx(0.4, abs=0.02)
    lags = line.tables.interim_lag, line.tables.final_lag
    assert sum(lags[1].counts) == clock.finals
    assert sum(lags[0].counts) == clock.results - clock.finals
    assert all(h.total == pytest.approx(0.4 * sum(h.counts), abs=0.02 * sum(h.counts)) for h in lags)
    assert sum(line.tables.first_result.counts) == 1


def test_a_final_told_twice_counts_once() -> None:
    line = Line()
    line.steady(0.1, 3.0)
    clock = results(line)
    clock.add(START + 3.2, False, "0", 0.0, 1.0)
    clock.add(START + 3.3, True, "0", 0.0, 2.0)
    clock.add(START + 3.9, True, "0", 0.0, 2.0)  # the same, formatted
    assert (clock.results, clock.finals, clock.last_at) == (2, 1, START + 3.3)
    assert clock.lag_last == pytest.approx(1.3, abs=0.02)
    clock.add(START + 4.0, True, "1", 2.0, 3.0)
    clock.add(START + 4.1, True, None, 2.0, 3.0)
    clock.add(START + 4.2, True, None, 2.0, 3.0)  # where nothing tells them apart, each counts
    assert (clock.results, clock.finals) == (5, 4)
    assert (line.tables.interims, line.tables.finals) == (1, 4)


def test_a_result_without_a_position_is_counted_and_not_measured() -> None:
    line = Line()
    line.steady(0.1, 1.0)
    clock = results(line)
    clock.add(line.now, False, None, None, None)
    clock.add(line.now, False, None, 0.0, None)
    assert clock.results == 2
    assert clock.first_at == line.now
    assert (clock.first_seconds, clock.lag_last, clock.lag_max) == (None, None, None)
    assert sum(line.tables.first_result.counts) == 0


def test_a_position_that_is_not_known_is_not_measured() -> None:
    line = Line()
    clock = results(line)
    clock.add(START, False, None, 0.0, 0.5)  # before any audio
    assert (clock.first_seconds, clock.lag_last) == (None, None)
    line.steady(0.1, 1.0)
    clock.add(line.now - 5.0, True, None, 0.0, 1.0)  # before its audio: not less than nothing
    assert clock.lag_last == clock.lag_max == 0.0
    clock.add(line.now + 2.0, True, None, 0.0, 1.0)
    clock.add(line.now + 1.0, True, None, 0.0, 1.0)
    assert clock.lag_last == pytest.approx(1.0)
    assert clock.lag_max == pytest.approx(2.0)


def test_an_empty_message_says_nothing_of_the_length_of_others() -> None:
    line = Line()
    line.steady(0.1, 2.0)
    line.send(0.0)
    assert line.worst([0.05, 1.0, 1.55]) <= 0.1


def test_a_result_that_is_passed_over_is_counted_and_not_measured() -> None:
    line = Line()
    line.steady(0.1, 2.0)
    clock = results(line)
    clock.pass_over(line.now)
    assert (clock.results, clock.finals, clock.last_at, clock.lag_last) == (1, 0, line.now, None)
    clock.pass_over(line.now)
    assert (line.tables.interims, line.tables.finals) == (2, 0)
    assert sum(line.tables.interim_lag.counts) == 0


def test_results_are_examples_of_their_trace() -> None:
    line = Line()
    line.steady(0.1, 2.0)
    results = ResultClock(line.clock, line.tables, "a" * 32)
    results.add(line.now + 0.3, final=False, utterance=1, start=0.5, end=2.0)
    first, lag = line.tables.first_result.examples, line.tables.interim_lag.examples
    assert [(example.mark, example.at) for example in (*first.values(), *lag.values())] == 2 * [("a" * 32, line.now + 0.3)]
    assert next(iter(lag.values())).value == pytest.approx(0.3)
