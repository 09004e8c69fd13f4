"""The queue keeps its accounts, and pieces keep their samples."""

from __future__ import annotations

import pytest

from proxy.core.assembly import OVERHEAD
from proxy.core.frames import Cutter, Frame
from proxy.core.held import Done, Held, Unit, as_it_came, pieces_of
from proxy.core.policy import Action, Rule
from tests.core.gating import Reader, joined, masked_frame, samples
from tests.core.playbook import BINARY


def frame(raw: bytes) -> Frame:
    cutter = Cutter()
    cutter.add(raw)
    found = cutter.next(1 << 20)
    assert found is not None
    return found


def test_a_frame_leaves_as_it_came_until_more_is_joined_to_it() -> None:
    raw = masked_frame(BINARY, samples(640), b"abcd", width=8)
    unit = as_it_came(frame(raw), 0.02, 1.0)
    assert b"".join(unit.leave()) == raw
    unit.absorb(as_it_came(frame(masked_frame(BINARY, samples(6, 640), b"wxyz")), 0.01, 2.0))
    reader = Reader()
    reader.add(b"".join(unit.leave()), 0.0)
    assert [message.payload for message in reader.messages] == [samples(646)]
    assert reader.messages[0].mask == b"abcd"
    assert (unit.came, unit.samples) == (1.0, 646)
    assert unit.seconds == pytest.approx(0.03)


def test_pieces_hold_the_same_samples_and_only_the_first_is_as_old() -> None:
    unit = as_it_came(frame(masked_frame(BINARY, samples(640), b"abcd")), 0.02, 1.0)
    pieces = list(pieces_of(unit, [320, 316, 4], 3.0))
    reader = Reader()
    for piece in pieces:
        reader.add(b"".join(piece.leave()), 0.0)
    assert joined(reader.messages) == samples(640)
    assert [piece.came for piece in pieces] == [1.0, 3.0, 3.0]
    assert [piece.seconds for piece in pieces] == pytest.approx([0.01, 0.009875, 0.000125])


def test_the_queue_counts_what_it_holds() -> None:
    held = Held()
    for number in range(3):
        held.push(Unit([b"x" * 10], 0.0, 10, 0.1 * number or None))
    assert held.bytes == 30 + 3 * OVERHEAD
    assert held.seconds == pytest.approx(0.3)
    assert held.first().seconds is None
    assert held.last().seconds == pytest.approx(0.2)
    assert held.bytes == 10 + OVERHEAD
    assert held.seconds == pytest.approx(0.1)
    assert len(held.clear()) == 1
    assert (held.bytes, held.seconds, len(held.units)) == (0, 0.0, 0)


def test_no_dust_of_seconds_is_left_behind() -> None:
    held = Held()
    for _ in range(3):
        for _ in range(10):
            held.push(Unit([b""], 0.0, 0, 0.1))
        for _ in range(10):
            held.first()
        assert held.seconds == 0.0


def test_what_was_done_is_counted_and_delays_are_told() -> None:
    waits: list[float] = []
    done = Done(waits.append)
    done.waited(2.0, Rule.PACE)
    done.waited(1.0, Rule.PACE)
    done.count(Rule.CHUNK_BYTES, Action.SPLIT)
    assert waits == [2.0, 1.0]
    assert done.delay_max == 2.0
    assert done.actions == {(Rule.PACE, Action.DELAYED): 2, (Rule.CHUNK_BYTES, Action.SPLIT): 1}
