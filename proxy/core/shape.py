"""What the client's messages were like: their form and their number, never what they said.

Owns two kinds of count. Form: text messages that are no JSON, of a type nobody knows, or without a field that the vendor insists
on; binary messages that are JSON after all. Number: the most messages in any minute and chunks in any second, counted only
where the profile has a limit to hold them against.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Final

import orjson

from proxy.core.profile import Limits

PARTS: Final = 60
"""Steps into which a window is cut: what it holds is known to within one of them."""
MINUTE: Final = 60.0
SECOND: Final = 1.0


@dataclass(slots=True)
class AudioForm:
    """Of one stream's audio: what was wrong with it, and when that was first seen; where each message is to be a file, how many were."""

    after: int = 0
    """Messages of audio in the streams before."""
    flaws: dict[str, float] = field(default_factory=dict)
    files: int = 0
    """Messages that were nothing but a whole file of what was declared, under the plainest of headers."""
    others: int = 0

    def so_far(self) -> AudioForm:
        """As it stands."""
        return AudioForm(self.after, dict(self.flaws), self.files, self.others)


class Rate:
    """The most of something in any `window` seconds, between two bounds: 61 small numbers, whatever comes.

    What lies in the last 60 steps, the present one included, is no longer than the window: `least` counts that. What lies in
    the last 61 is no shorter: `most` counts that. The truth is between them.
    """

    __slots__ = ("_at", "_counts", "_step", "_sum", "least", "most", "now")

    def __init__(self, window: float) -> None:
        self._step = window / PARTS
        self._counts = array("I", bytes((PARTS + 1) * array("I").itemsize))
        self._at = 0  # the step that is being counted
        self._sum = 0
        self.now = 0  # of `least`, as of the last one
        self.least = 0
        self.most = 0

    def add(self, now: float) -> None:
        at = int(now / self._step)
        if at != self._at:
            self._turn(at)
        counts = self._counts
        counts[at % (PARTS + 1)] += 1
        self._sum += 1
        self.now = self._sum - counts[(at + 1) % (PARTS + 1)]
        if self._sum > self.most:
            self.most = self._sum
        if self.now > self.least:
            self.least = self.now

    def so_far(self) -> Rate:
        """Its bounds as they stand."""
        rate = Rate(MINUTE)
        rate.now, rate.least, rate.most = self.now, self.least, self.most
        return rate

    def take_back(self) -> None:
        """The one that was just added did not count."""
        self._counts[self._at % (PARTS + 1)] -= 1
        self._sum -= 1
        self.now -= 1

    def _turn(self, at: int) -> None:
        """Empties the steps since the last one. Times never go back."""
        for step in range(max(self._at + 1, at - PARTS), at + 1):
            place = step % (PARTS + 1)
            self._sum -= self._counts[place]
            self._counts[place] = 0
        self._at = at


class Shape:
    """Of one session's client. `messages` and `chunks` are None where nothing limits them."""

    __slots__ = ("at", "chunks", "incomplete", "messages", "not_json", "not_object", "text_in_binary", "understood", "unknown")

    def __init__(self, limits: Limits | None) -> None:
        self.messages = Rate(MINUTE) if limits is not None and limits.messages_per_minute else None
        self.chunks = Rate(SECOND) if limits is not None and limits.chunks_per_second else None
        self.understood = 0
        self.not_json = 0
        self.not_object = 0
        self.unknown = 0  # kinds
        self.incomplete = 0
        self.text_in_binary = 0
        self.at: float | None = None  # when the last message came that is no audio

    @property
    def counts(self) -> bool:
        """Whether each message has to be counted."""
        return self.messages is not None or self.chunks is not None

    @property
    def malformed(self) -> int:
        return self.not_json + self.not_object + self.unknown + self.incomplete

    def so_far(self) -> Shape:
        """The counts as they stand."""
        shape = Shape(None)
        shape.messages = self.messages.so_far() if self.messages is not None else None
        shape.chunks = self.chunks.so_far() if self.chunks is not None else None
        shape.understood, shape.incomplete, shape.unknown = self.understood, self.incomplete, self.unknown
        shape.not_json, shape.not_object, shape.text_in_binary, shape.at = self.not_json, self.not_object, self.text_in_binary, self.at
        return shape

    def chunk(self, now: float) -> None:
        """A message that holds audio."""
        if self.chunks is not None:
            self.chunks.add(now)
        if self.messages is not None:
            self.messages.add(now)

    def message(self, now: float) -> None:
        """Any other message."""
        self.at = now
        if self.messages is not None:
            self.messages.add(now)

    def good(self, complete: bool) -> None:
        """A message of a kind that the profile knows, and whether all is there that the vendor insists on."""
        self.understood += 1
        self.incomplete += not complete

    def strange(self, payload: bytes) -> None:
        """A text message of no kind that the profile knows."""
        try:
            json = orjson.loads(payload)
        except ValueError:
            self.not_json += 1
            return
        if type(json) is dict:
            self.unknown += 1
        else:
            self.not_object += 1
