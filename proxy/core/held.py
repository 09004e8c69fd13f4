"""What waits in the gate: whole messages in their order, and how much there is of them.

Owns the queue and its accounts. When something may go is the gate's business; nothing here knows time or rules' numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from proxy.core.assembly import OVERHEAD
from proxy.core.frames import Frame, head, remasked
from proxy.core.policy import Action, Rule
from proxy.core.wire import WHOLE_BINARY

PART: Final = 64
"""Bytes that samples cost besides their own, where they were joined."""


@dataclass(slots=True)
class Unit:
    """What goes out in one piece. `seconds` of audio, None where it holds none or cannot be timed; `came` when the first of it came.

    The first of `parts` is the header of bare audio, empty where it is made only when the piece goes; the others are under one mask.
    """

    parts: list[bytes]
    came: float
    size: int
    """What it costs to hold it, in bytes."""
    seconds: float | None = None
    is_audio: bool = False
    samples: int = 0
    """Bytes of bare samples: the piece may be joined with others."""
    mask: bytes = b""
    is_free: bool = False
    """It waits for what is before it and for nothing else: a close, and what comes after it."""
    held_by: Rule | None = None

    def append(self, samples: bytes, mask: bytes, seconds: float) -> None:
        """More bare samples, under their own mask."""
        self.parts[0] = b""
        self.parts.append(remasked(samples, mask, self.mask, self.samples))
        self.samples += len(samples)
        self.size += len(samples) + PART
        self.seconds = (self.seconds or 0.0) + seconds

    def absorb(self, other: Unit) -> None:
        """Another piece of bare samples."""
        self.append(other.payload, other.mask, other.seconds or 0.0)

    @property
    def payload(self) -> bytes:
        """The samples, masked."""
        return b"".join(self.parts[1:])

    def leave(self) -> list[bytes]:
        """The bytes that go."""
        if self.samples and not self.parts[0]:
            self.parts[0] = head(WHOLE_BINARY, self.samples, self.mask)
        return self.parts


def as_it_came(frame: Frame, seconds: float, came: float) -> Unit:
    """A frame of bare audio, as it is until more is joined to it."""
    return Unit([frame.head, frame.payload], came, frame.size, seconds, True, len(frame.payload), frame.mask)


def pieces_of(unit: Unit, sizes: list[int], now: float) -> Iterator[Unit]:
    """Bare samples cut into pieces of so many bytes. Only the first can hold any that came before `now`."""
    payload, seconds, at, came = unit.payload, unit.seconds or 0.0, 0, unit.came
    for size in sizes:
        samples = payload[at : at + size]
        yield Unit([b"", samples], came, size, seconds * size / unit.samples, True, size, unit.mask, held_by=unit.held_by)
        at, came = at + size, now


@dataclass(slots=True)
class Done:
    """What was done to the traffic. `delayed` is told the seconds that each held piece waited."""

    delayed: Callable[[float], None]
    actions: dict[tuple[Rule, Action], int] = field(default_factory=dict)
    """Messages of the client's: cut, joined to an earlier one, or refused; pieces that had to wait."""
    delay_max: float = 0.0
    cut_seconds: float = 0.0
    """Audio that never left, because the session ended first."""

    def count(self, rule: Rule, action: Action) -> None:
        self.actions[rule, action] = self.actions.get((rule, action), 0) + 1

    def waited(self, seconds: float, rule: Rule) -> None:
        self.delayed(seconds)
        self.delay_max = max(self.delay_max, seconds)
        self.count(rule, Action.DELAYED)


class Held:
    """The queue."""

    __slots__ = ("bytes", "seconds", "units")

    def __init__(self) -> None:
        self.units: deque[Unit] = deque()
        self.bytes = 0
        self.seconds = 0.0

    def push(self, unit: Unit) -> None:
        self.units.append(unit)
        self.bytes += unit.size + OVERHEAD
        self.seconds += unit.seconds or 0.0

    def first(self) -> Unit:
        """Takes the first one."""
        return self._without(self.units.popleft())

    def last(self) -> Unit:
        """Takes the last one."""
        return self._without(self.units.pop())

    def clear(self) -> list[Unit]:
        """Takes all."""
        units = list(self.units)
        self.units.clear()
        self.bytes, self.seconds = 0, 0.0
        return units

    def _without(self, unit: Unit) -> Unit:
        self.bytes -= unit.size + OVERHEAD
        self.seconds = self.seconds - (unit.seconds or 0.0) if self.units else 0.0
        return unit
