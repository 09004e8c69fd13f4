"""Whole messages out of frames; what is not taken is given back."""

from __future__ import annotations

import pytest

from proxy.core.assembly import LARGEST, OVERHEAD, Assembly
from proxy.core.frames import BrokenError
from tests.core.gating import masked_frame
from tests.core.playbook import BINARY, CONTINUATION, PING, TEXT

PART = masked_frame(TEXT, b"one", fin=False)
LAST = masked_frame(CONTINUATION, b"two")
PING_ = masked_frame(PING, b"")


def test_control_frames_come_between_the_frames_of_a_message() -> None:
    assembly = Assembly()
    assembly.add(PART + PING_ + LAST + PING_)
    kinds = []
    while (frames := assembly.next()) is not None:
        kinds.append([frame.opcode for frame in frames])
        if frames[0].opcode == TEXT:
            assembly.taken()
    assert kinds == [[PING], [TEXT, CONTINUATION], [PING]]
    assert assembly.waiting == 0


def test_what_was_not_taken_is_given_back_in_its_order() -> None:
    assembly = Assembly()
    assembly.add(PART + LAST + masked_frame(BINARY, b"x")[:3])
    assert assembly.next() is not None
    assert assembly.take() == PART + LAST + masked_frame(BINARY, b"x")[:3]
    assert assembly.take() == b""


@pytest.mark.parametrize("data", [LAST, PART + PART])
def test_frames_out_of_order_are_broken_and_still_there(data: bytes) -> None:
    assembly = Assembly()
    assembly.add(data + b"more")
    with pytest.raises(BrokenError, match="order"):
        assembly.next()
    assert assembly.take() == data + b"more"


def test_what_waits_is_bounded_with_what_it_costs() -> None:
    assembly = Assembly()
    assembly.add(PART)
    assert assembly.next() is None
    assert assembly.waiting == len(PART) + OVERHEAD
    half = masked_frame(CONTINUATION, bytes(LARGEST // 2), fin=False)
    assembly.add(half)
    assert assembly.next() is None
    assembly.add(half[: len(half) - 4])
    with pytest.raises(BrokenError, match="large"):
        assembly.next()
    assert assembly.take() == PART + half + half[: len(half) - 4]


def test_frames_are_cut_only_where_there_is_room_for_what_they_cost() -> None:
    assembly = Assembly()
    assembly.add(PART + LAST)
    assembly.add(PING_)
    assert assembly.next(OVERHEAD - 1) is None
    assert assembly.waiting == len(PART + LAST + PING_)
    assert assembly.next(OVERHEAD) is None, "the first of two"
    assert assembly.waiting == len(PART + LAST + PING_) + OVERHEAD
    assembly.add(PING_)
    frames = assembly.next(OVERHEAD)
    assert frames is not None
    assert assembly.next(0.0) is frames, "until it is taken"
    assembly.taken()
    assert [[frame.opcode for frame in assembly.next() or ()] for _ in range(3)] == [[PING], [PING], []]
    assert assembly.waiting == 0
