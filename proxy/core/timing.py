"""When audio and results passed: chunk, gap, rate, lead; ready, first result, result lag.

Owns the timing of one session. `now` is always given; nothing here reads a clock. Distributions go into the shared tables
of the vendor, the session itself keeps a handful of numbers.

Lead is kept by virtual scheduling (the generic cell rate algorithm): a receiver that plays audio as it comes would be busy
until `_busy_until`; whatever of that lies in the future is audio that came ahead of real time. A pause uses lead up but
never makes a debt, so that a client that was silent is not owed a burst and a hiccup is forgotten.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from math import floor, inf
from typing import Final

from proxy.core.audio import AudioFormat
from proxy.core.tally import AudioSeconds, Tables

MARKS: Final = 320
"""How many (audio position, time) pairs are kept: 25 s of a steady stream, half of that of one in bursts; 5 KiB a session."""
FORGOTTEN: Final = 64  # at a time, once there are so many
MARK_SPACING: Final = 0.1
SHORTEST_PAUSE: Final = 0.02
BEYOND: Final = 0.2
"""Seconds by which a vendor may round a position past the end of what it was sent."""
_CLOSE: Final = 1e-6
RATE_WINDOW: Final = 5.0
RESULT_SPACING: Final = 1.0
"""Seconds after a result in which interim ones are counted and not parsed: how a session is served is looked at as often. No other message
is passed over, nor the first result of a stream or after an error."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What an `AudioClock` tells of the messages so far, as it stood at one moment. Names as there."""

    timed: bool
    steady: bool
    chunks: int
    first_at: float | None
    last_at: float
    chunk_min: float
    chunk_max: float
    shortest_but_last: float | None
    lead_max: float
    bytes_max: int
    odd: bool


class AudioClock:
    """The client's audio: one `add` for each message, a few additions each. Seconds stay 0 where they cannot be told."""

    __slots__ = (
        "_block", "_bucket", "_busy_until", "_bytes_per_second", "_chunk", "_gap", "_gap_above", "_gap_bucket", "_gap_most",
        "_last_length", "_marks", "_next_mark", "_pause", "_rate", "_run_from", "_seconds", "_shortest", "_window_audio",
        "_window_start", "bytes_max", "chunk_max", "chunk_min", "chunks", "first_at", "gap_max", "last_at", "lead_max", "lengths",
        "odd", "seconds", "stream_from",
    )

    def __init__(self, audio_format: AudioFormat, seconds: AudioSeconds, tables: Tables) -> None:
        self._bytes_per_second, self._block = audio_format.bytes_per_second, audio_format.block
        self.seconds = seconds
        self._chunk, self._gap, self._rate = tables.chunk, tables.gap, tables.rate
        self._last_length = -1
        self._seconds = 0.0  # of a message of that length
        self._bucket = 0  # and its place in the histogram
        self._gap_bucket, self._gap_above, self._gap_most = 0, inf, inf  # where the last gap belonged, with all above and up to these
        self._pause = inf  # a gap longer than this is out of the stream's rhythm
        self._busy_until = 0.0
        self._next_mark = 0.0
        self._marks = Marks()
        self._window_start = 0.0
        self._window_audio = 0.0
        self.chunks = 0
        self.first_at: float | None = None
        self.last_at = 0.0
        self.chunk_min = 0.0
        self.chunk_max = 0.0
        self.gap_max = 0.0
        self.lead_max = 0.0
        self.bytes_max = 0
        self.lengths = 0  # how often the length was another one than before
        self._run_from = 0  # the first chunk of the last one's length
        self._shortest: float | None = None  # of the chunks before that
        self.odd = False  # a message did not hold whole samples
        self.stream_from = 0.0  # the audio position at which the stream began that the vendor counts from

    @property
    def timed(self) -> bool:
        return self._bytes_per_second is not None

    def add(self, length: int, now: float) -> None:
        """A message of `length` audio bytes came at `now`."""
        self.chunks += 1
        if self.first_at is None:
            self._begin(now)
        else:
            gap = now - self.last_at
            table = self._gap
            if not self._gap_above < gap <= self._gap_most:
                self._find_gap(gap)
            table.counts[self._gap_bucket] += 1
            table.total += gap
            if gap > self.gap_max:
                self.gap_max = gap
            if gap > self._pause:
                self._marks.add(self.seconds.read, self.last_at)  # what came before a pause did not come during it,
                self._next_mark = 0.0  # nor did what comes after
        self.last_at = now
        if length != self._last_length:
            self._measure(length)
        if self._bytes_per_second is None:
            return
        duration = self._seconds
        chunk = self._chunk
        chunk.counts[self._bucket] += 1
        chunk.total += duration
        busy = self._busy_until
        busy = (busy if busy > now else now) + duration
        self._busy_until = busy
        if busy - now > self.lead_max:
            self.lead_max = busy - now
        self.seconds.read += duration
        if self.seconds.read >= self._next_mark:
            self._marks.add(self.seconds.read, now)
            self._next_mark = self.seconds.read + MARK_SPACING

    def _find_gap(self, gap: float) -> None:
        """Its place in the histogram, and which gaps belong there as well."""
        bounds = self._gap.bounds
        self._gap_bucket = bucket = bisect_left(bounds, gap)
        self._gap_above = bounds[bucket - 1] if bucket else -inf
        self._gap_most = bounds[bucket] if bucket < len(bounds) else inf

    def add_all(self, length: int, times: list[float]) -> None:
        """Messages of one length, as they came one after the other."""
        add = self.add
        for now in times:
            add(length, now)

    def _begin(self, now: float) -> None:
        self.first_at = self._window_start = now
        self._marks.add(0.0, now)

    def _measure(self, length: int) -> None:
        if self.chunks > 1:
            self._shortest = self._seconds if self._shortest is None else min(self._shortest, self._seconds)
        self._last_length, self._run_from = length, self.chunks
        self.lengths += 1
        self.bytes_max = max(self.bytes_max, length)
        if self._bytes_per_second is not None:
            self._seconds = seconds = length / self._bytes_per_second
            self.odd = self.odd or length % self._block != 0
            self._bucket = bisect_left(self._chunk.bounds, round(seconds, 9))
            self.chunk_min = min(self.chunk_min or seconds, seconds)
            self.chunk_max = max(self.chunk_max, seconds)
            self._pause = max(SHORTEST_PAUSE, 2 * seconds)

    @property
    def shortest_but_last(self) -> float | None:
        """Seconds of the shortest chunk but for the last, which may be what was left; None where there is no other."""
        if self.chunks == self._run_from:
            return self._shortest
        return self._seconds if self._shortest is None else min(self._shortest, self._seconds)

    @property
    def steady(self) -> bool:
        """Whether all chunks but perhaps the last were of one length: nobody has changed what is sent."""
        return self.lengths == 1 or (self.lengths == 2 and self.chunks == self._run_from)

    def so_far(self) -> Heard:
        return Heard(self.timed, self.steady, self.chunks, self.first_at, self.last_at, self.chunk_min, self.chunk_max,
                     self.shortest_but_last, self.lead_max, self.bytes_max, self.odd)

    def reformat(self, audio_format: AudioFormat) -> None:
        """From here on the audio is this. UNTIMED: bytes tell no seconds, what is sent can no longer be measured."""
        self._bytes_per_second, self._block = audio_format.bytes_per_second, audio_format.block
        self._last_length, self._pause = -1, inf

    def lead(self, now: float) -> float:
        """Seconds of audio that are ahead of real time."""
        return max(0.0, self._busy_until - now)

    def rate(self) -> float | None:
        """Audio seconds per second from the first message to the last one; None for less than a second of either."""
        if self.first_at is None or not self.timed:
            return None
        span = self.last_at - self.first_at + self._seconds
        return self.seconds.read / span if span >= 1.0 else None

    def tick(self, now: float) -> None:
        """Once a second: closes a window of the rate."""
        if self.first_at is None or not self.timed or now - self._window_start < RATE_WINDOW:
            return
        audio = self.seconds.read - self._window_audio
        if audio:  # a window without audio is a pause, not a rate
            self._rate.observe(audio / (now - self._window_start))
        self._window_start, self._window_audio = now, self.seconds.read

    def written_at(self, position: float) -> float | None:
        """When the audio at this position of the stream (seconds) went; None where that is not known."""
        position += self.stream_from
        if self.first_at is None or not self.timed or position > self.seconds.read + BEYOND:
            return None
        return self._marks.at(min(position, self.seconds.read), self._seconds, self.seconds.read, self.last_at)


class Marks:
    """The last (audio position, time) pairs, both rising, to find the time of a position."""

    __slots__ = ("_positions", "_times")

    def __init__(self) -> None:
        self._positions = array("d")
        self._times = array("d")

    def add(self, position: float, now: float) -> None:
        self._positions.append(position)
        self._times.append(now)
        if len(self._positions) >= MARKS:
            del self._positions[:FORGOTTEN], self._times[:FORGOTTEN]

    def at(self, position: float, step: float, end: float, ended: float) -> float | None:
        """The time of a position up to `end`, where the audio stood at `ended`; None if it is older than what is kept.

        Audio went with the message that held it, and messages of `step` seconds each end at a mark: the position is moved
        to the end of its message first. What lies between marks is interpolated, to within one message.
        """
        positions, times = self._positions, self._times
        after = bisect_left(positions, position - _CLOSE)
        if after == 0:
            return times[0] if position >= positions[0] - _CLOSE else None
        upper, at = (positions[after], times[after]) if after < len(positions) else (end, ended)
        span = upper - positions[after - 1]
        back = upper - position
        if step > 0:
            back = floor((back + _CLOSE) / step) * step
        return at - (at - times[after - 1]) * max(0.0, back) / span


class ResultClock:
    """The vendor's results against the audio they speak of."""

    __slots__ = ("_audio", "_last_final", "_tables", "awaited_from", "finals", "first_at", "first_seconds", "lag_last", "lag_max",
                 "last_at", "mark", "results")

    def __init__(self, audio: AudioClock, tables: Tables, mark: str | None = None) -> None:
        self._audio = audio
        self._tables = tables
        self.mark = mark  # of what is observed
        self._last_final: object = None
        self.awaited_from = 0.0  # until then an interim result tells no more than that there was one
        self.results = 0
        self.finals = 0
        self.first_at: float | None = None
        self.first_seconds: float | None = None
        self.last_at: float | None = None
        self.lag_last: float | None = None
        self.lag_max: float | None = None

    def add(self, now: float, final: bool, utterance: object, start: float | None, end: float | None) -> None:
        """A result with text came. `start` and `end` are seconds into the audio of the speech that it holds."""
        self.awaited_from = now + RESULT_SPACING
        if final:
            if utterance is not None and utterance == self._last_final:
                return  # the same final, formatted
            self._last_final = utterance
            self.finals += 1
            self._tables.finals += 1
        else:
            self._tables.interims += 1
        self.results += 1
        self.last_at = now
        if self.first_at is None:
            self.first_at = now
            self._observe_first(now, start)
        spoken = self._audio.written_at(end) if end is not None else None
        if spoken is not None:
            self.lag_last = lag = max(0.0, now - spoken)
            self.lag_max = max(self.lag_max or 0.0, lag)
            (self._tables.final_lag if final else self._tables.interim_lag).observe(lag, self.mark, now)

    def restart(self) -> None:
        """Another stream begins on the same socket: what comes next is its first result, and counts from here."""
        self.first_at = self._last_final = None
        self.await_next()
        self._audio.stream_from = self._audio.seconds.read

    def await_next(self) -> None:
        """Whatever result comes next, it is to be looked into."""
        self.awaited_from = 0.0

    @property
    def last_in_stream(self) -> float | None:
        """When the last one came of the stream that the client is in."""
        return self.last_at if self.first_at is not None else None

    def pass_over(self, now: float) -> None:
        """An interim result that nobody looks into."""
        self._tables.interims += 1
        self.results += 1
        self.last_at = now

    def _observe_first(self, now: float, start: float | None) -> None:
        began = self._audio.written_at(start) if start is not None else None
        if began is not None:
            self.first_seconds = max(0.0, now - began)
            self._tables.first_result.observe(self.first_seconds, self.mark, now)


