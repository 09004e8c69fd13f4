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
from math import floor, inf
from typing import Final

from proxy.core.audio import AudioFormat
from proxy.core.tally import AudioSeconds, Tables

MARKS: Final = 320
"""How many (audio position, time) pairs are kept: two minutes of a steady stream, a tenth of that of one in bursts; 5 KiB a session."""
FORGOTTEN: Final = 64  # at a time, once there are so many
MARK_SPACING: Final = 0.5
LONGEST_RUN: Final = 50
NO_GAP: Final = (inf, -inf, 0)
SHORTEST_PAUSE: Final = 0.02
BEYOND: Final = 0.2
"""Seconds by which a vendor may round a position past the end of what it was sent."""
_CLOSE: Final = 1e-6
RATE_WINDOW: Final = 5.0


class AudioClock:
    """The client's audio: one `add` for each message. Seconds stay 0 where they cannot be told.

    A run is messages of one length in one rhythm: their gaps fall into one bucket, on the same side of a pause and of a rush.
    While it lasts, a message costs two comparisons and a few numbers; what a run adds up to is settled when it breaks, after
    half a second of audio, and when somebody asks.
    """

    __slots__ = (
        "_bucket", "_busy_until", "_bytes_per_second", "_chunk", "_gap", "_gap_bucket", "_gap_over", "_gap_upto", "_length", "_marks",
        "_most", "_rate", "_run", "_run_from", "_seconds", "_settled", "_window_audio", "_window_start", "chunk_max", "chunk_min",
        "first_at", "gap_max", "last_at", "lead_max", "seconds",
    )

    def __init__(self, audio_format: AudioFormat, seconds: AudioSeconds, tables: Tables) -> None:
        self._bytes_per_second = audio_format.bytes_per_second
        self.seconds = seconds
        self._chunk, self._gap, self._rate = tables.chunk, tables.gap, tables.rate
        self._marks = Marks()
        self._run = 0  # messages that are not settled,
        self._most = LONGEST_RUN  # how many there may be,
        self._run_from = 0.0  # the time of the one before them,
        self._length = -1  # their length,
        self._seconds = 0.0  # how long each is,
        self._bucket = 0  # its place in the histogram,
        self._gap_over, self._gap_upto, self._gap_bucket = NO_GAP  # and what gaps they have
        self._settled = 0
        self._busy_until = 0.0
        self._window_start = 0.0
        self._window_audio = 0.0
        self.first_at: float | None = None
        self.last_at = -inf
        self.chunk_min = 0.0
        self.chunk_max = 0.0
        self.gap_max = 0.0
        self.lead_max = 0.0

    @property
    def timed(self) -> bool:
        return self._bytes_per_second is not None

    @property
    def chunks(self) -> int:
        return self._settled + self._run

    def add(self, length: int, now: float) -> None:
        """A message of `length` audio bytes came at `now`."""
        gap = now - self.last_at
        run = self._run
        if length != self._length or not self._gap_over < gap <= self._gap_upto or run == self._most:
            self._break(length, gap, now)
            run = 0
        self._run = run + 1
        self.last_at = now
        if gap > self.gap_max:
            self.gap_max = gap if gap < inf else 0.0
        busy = self._busy_until
        busy = (busy if busy > now else now) + self._seconds
        self._busy_until = busy
        if busy - now > self.lead_max:
            self.lead_max = busy - now

    def _break(self, length: int, gap: float, now: float) -> None:
        """Settles the run, and begins another with this message."""
        self.settle()
        if length != self._length:
            self._measure(length)
        if self.first_at is None:
            self.first_at = self._window_start = self._run_from = now
            self._marks.add(0.0, now)
        else:
            self._run_from = self.last_at
            self._rhythm(gap)

    def _rhythm(self, gap: float) -> None:
        """What gaps go on with a run that has this one."""
        bounds = self._gap.bounds
        at = bisect_left(bounds, gap)
        over, upto = bounds[at - 1] if at else -inf, bounds[at] if at < len(bounds) else inf
        pause, rush = max(SHORTEST_PAUSE, 2 * self._seconds), self._seconds / 2
        if not self.timed:
            self._gap_over, self._gap_upto = over, upto
        elif gap > pause:
            # What came before a pause did not come during it, nor did what comes after: the next message begins anew.
            self._gap_over, self._gap_upto = inf, -inf
        elif gap <= rush:
            self._gap_over, self._gap_upto = over, min(upto, rush)
        else:
            self._gap_over, self._gap_upto = max(over, rush), min(upto, pause)
        self._gap_bucket = at

    def _measure(self, length: int) -> None:
        self._length = length
        if self._bytes_per_second is not None:
            self._seconds = seconds = length / self._bytes_per_second
            self._bucket = bisect_left(self._chunk.bounds, round(seconds, 9))
            self.chunk_min = min(self.chunk_min or seconds, seconds)
            self.chunk_max = max(self.chunk_max, seconds)
            self._most = max(1, min(LONGEST_RUN, round(MARK_SPACING / seconds))) if seconds else 1

    def settle(self) -> None:
        """Adds the run that is under way to the session's figures and the vendor's tables."""
        run, self._run = self._run, 0
        if not run:
            return
        gaps = run if self._settled else run - 1
        self._settled += run
        self._gap.counts[self._gap_bucket] += gaps
        self._gap.total += self.last_at - self._run_from
        self._run_from = self.last_at
        if self.timed:
            self._chunk.counts[self._bucket] += run
            self._chunk.total += run * self._seconds
            self.seconds.read += run * self._seconds
            self._marks.add(self.seconds.read, self.last_at)

    def untimed(self) -> None:
        """From here on bytes tell no seconds: what is sent can no longer be measured."""
        self.settle()
        self._bytes_per_second = None
        self._seconds, self._length, self._most = 0.0, -1, LONGEST_RUN

    def lead(self, now: float) -> float:
        """Seconds of audio that are ahead of real time."""
        return max(0.0, self._busy_until - now)

    def rate(self) -> float | None:
        """Audio seconds per second from the first message to the last one; None for less than a second of either."""
        self.settle()
        if self.first_at is None or not self.timed:
            return None
        span = self.last_at - self.first_at + self._seconds
        return self.seconds.read / span if span >= 1.0 else None

    def tick(self, now: float) -> None:
        """Once a second: settles, and closes a window of the rate."""
        self.settle()
        if self.first_at is None or not self.timed or now - self._window_start < RATE_WINDOW:
            return
        audio = self.seconds.read - self._window_audio
        if audio:  # a window without audio is a pause, not a rate
            self._rate.observe(audio / (now - self._window_start))
        self._window_start, self._window_audio = now, self.seconds.read

    def written_at(self, position: float) -> float | None:
        """When the audio at this position (seconds) went; None where that is not known."""
        self.settle()
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

    __slots__ = ("_audio", "_last_final", "_tables", "finals", "first_at", "first_seconds", "lag_last",
                 "lag_max", "last_at", "results")

    def __init__(self, audio: AudioClock, tables: Tables) -> None:
        self._audio = audio
        self._tables = tables
        self._last_final: object = None
        self.results = 0
        self.finals = 0
        self.first_at: float | None = None
        self.first_seconds: float | None = None
        self.last_at: float | None = None
        self.lag_last: float | None = None
        self.lag_max: float | None = None

    def add(self, now: float, final: bool, utterance: object, start: float | None, end: float | None) -> None:
        """A result with text came. `start` and `end` are seconds into the audio of the speech that it holds."""
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
            (self._tables.final_lag if final else self._tables.interim_lag).observe(lag)

    def pass_over(self, now: float) -> None:
        """An interim result that nobody looks into."""
        self._tables.interims += 1
        self.results += 1
        self.last_at = now

    def _observe_first(self, now: float, start: float | None) -> None:
        began = self._audio.written_at(start) if start is not None else None
        if began is not None:
            self.first_seconds = max(0.0, now - began)
            self._tables.first_result.observe(self.first_seconds)


