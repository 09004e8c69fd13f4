"""What leaves keeps its order where the gate had no room, where a close cuts a message, and what never leaves is counted."""

from __future__ import annotations

from typing import Final

import pytest

from proxy.core.gate import Gate
from tests.core.gating import Reader, gate, masked_frame, policy
from tests.core.playbook import BINARY, CLOSE, CONTINUATION, PING, TEXT

PACE: Final = policy(pace={"lead_seconds": 1.0})
BYTES: Final = 32000
"""Of a second."""


def numbered(number: int, length: int) -> bytes:
    return masked_frame(BINARY, number.to_bytes(4, "big") * (length // 4))


def numbers(data: bytes) -> list[int]:
    reader = Reader()
    reader.add(data, 0.0)
    return [int.from_bytes(message.payload[:4], "big") for message in reader.messages if message.opcode == BINARY]


def filled(length: int) -> tuple[Gate, bytes, int]:
    """A gate that wants no more, after so many messages of one length and one more that was read already, and what left."""
    full, out, number = gate(PACE), b"", 0
    while not full.is_full:
        number += 1
        out += full.feed(numbered(number, length), 0.0)
    number += 1
    return full, out + full.feed(numbered(number, 3200), 0.0), number


@pytest.mark.parametrize("length", [25_600, 3200])
@pytest.mark.parametrize("late", [0.0, 0.0005, 0.75])
def test_no_frame_overtakes_what_is_held_once_the_gate_was_full(length: int, late: float) -> None:
    held, out, number = filled(length)
    now = 0.0
    for _ in range(12):
        while held.is_full:
            assert held.wake_at is not None
            now = held.wake_at
            out += held.release(now)
        now += late
        number += 1
        out += held.feed(numbered(number, 3200), now)
    while held.wake_at is not None:
        now = max(now, held.wake_at)
        out += held.release(now)
    assert numbers(out) == list(range(1, number + 1))


@pytest.mark.parametrize("between", [b"", masked_frame(PING, b"p")])
def test_what_a_close_cuts_goes_before_it(between: bytes) -> None:
    cut = masked_frame(BINARY, b"\1\2" * 10, fin=False) + masked_frame(CONTINUATION, b"\3\4" * 10, fin=False)
    close = masked_frame(CLOSE, b"\x03\xe8")
    assert gate(PACE).feed(cut + between + close, 0.0) == between + cut + close
    assert gate(PACE).feed(cut + close + b"anything", 0.0) == cut + close + b"anything"


def test_what_is_abandoned_is_counted_with_what_there_was_no_room_for() -> None:
    held, out, number = filled(3200)
    more = b"".join(numbered(number + n, 3200) for n in range(1, 51)) + numbered(0, 3200)[:50]
    out += held.feed(masked_frame(TEXT, b"{}") + more, 0.0)
    gone = len(numbers(out))
    held.abandon()
    assert held.done.cut_seconds == pytest.approx((number + 50 - gone) * 3200 / BYTES)
    assert held.empty
    held.abandon()
    assert held.done.cut_seconds == pytest.approx((number + 50 - gone) * 3200 / BYTES)


def test_abandoning_never_raises() -> None:
    held, _, _ = filled(3200)
    held.feed(b"\xff" * 40, 0.0)
    before = held.held_seconds
    held.abandon()
    assert held.done.cut_seconds >= before
