"""Frames are cut out of any bytes as they came, and masks come out right wherever samples are cut and joined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.frames import BrokenError, Cutter, head, made, masked, pieces, remasked
from proxy.core.wire import unmask
from tests.core.gating import masked_frame
from tests.core.playbook import BINARY, CLOSE, CONTINUATION, PING, TEXT

LARGEST = 1 << 24
MASKS = st.one_of(st.binary(min_size=4, max_size=4), st.just(b""))
FRAMES = st.builds(
    masked_frame, st.sampled_from([BINARY, TEXT, CONTINUATION]), st.binary(max_size=300), MASKS, st.booleans(), st.just(0),
    st.sampled_from([None, 8])) | st.builds(masked_frame, st.sampled_from([PING, CLOSE]), st.binary(max_size=125), MASKS)


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(1, 200), max_size=40), st.binary(max_size=1))
def test_whole_frames_come_out_however_they_were_cut(frames: list[bytes], cuts: list[int], rest: bytes) -> None:
    data, cutter, found = b"".join(frames) + rest, Cutter(), []
    for cut in [*cuts, len(data)]:
        chunk, data = data[:cut], data[cut:]
        cutter.add(chunk)
        while (frame := cutter.next(LARGEST)) is not None:
            found.append(frame)
        if not data:
            break
    assert [frame.head + frame.payload for frame in found] == frames
    assert [frame.size for frame in found] == [len(raw) for raw in frames]
    assert all(frame.plain() == unmask(frame.payload, frame.mask) for frame in found)
    assert cutter.waiting == len(rest)
    assert cutter.take() == rest
    assert not cutter.waiting


def test_a_frame_tells_what_stands_in_its_header() -> None:
    cutter = Cutter()
    cutter.add(masked_frame(TEXT, b"hello", b"abcd", fin=False))
    frame = cutter.next(LARGEST)
    assert frame is not None
    assert (frame.first, frame.opcode, frame.mask, frame.plain(), frame.plain(2)) == (TEXT, TEXT, b"abcd", b"hello", b"he")


def test_nothing_is_looked_at_before_it_may_be_a_frame() -> None:
    cutter, frame = Cutter(), masked_frame(BINARY, bytes(70_000))
    for at in range(0, len(frame), 7):
        assert cutter.next(LARGEST) is None
        cutter.add(frame[at : at + 7])
    found = cutter.next(LARGEST)
    assert found is not None
    assert found.head + found.payload == frame


@pytest.mark.parametrize("broken", [
    masked_frame(3, b""), masked_frame(BINARY, b"", rsv=0x10), masked_frame(PING, b"", fin=False), masked_frame(PING, b"x" * 126),
    masked_frame(CONTINUATION, b"", rsv=0x40), b"\x82\xff" + b"\x01" * 8 + b"mask",
])
def test_what_is_broken_is_told_at_the_header_and_taken_as_it_is(broken: bytes) -> None:
    cutter = Cutter()
    cutter.add(masked_frame(TEXT, b"fine") + broken + b"more")
    assert cutter.next(LARGEST) is not None
    with pytest.raises(BrokenError):
        cutter.next(LARGEST)
    assert cutter.take() == broken + b"more"


def test_the_largest_frame_is_one_of_so_many_bytes() -> None:
    for largest, fits in ((110, False), (111, True)):
        cutter = Cutter()
        cutter.add(masked_frame(BINARY, bytes(105))[:50])
        if fits:
            assert cutter.next(largest) is None
        else:
            with pytest.raises(BrokenError):
                cutter.next(largest)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
@pytest.mark.parametrize("mask", [b"", b"abcd"])
def test_frames_are_made_as_a_peer_makes_them(size: int, mask: bytes) -> None:
    frame = masked_frame(BINARY, bytes(size), mask)
    assert made(0x80 | BINARY, masked(bytes(size), mask), mask) == frame
    assert frame.startswith(head(0x80 | BINARY, size, mask))


@given(st.binary(max_size=50), MASKS, st.binary(max_size=50), MASKS)
def test_what_is_joined_is_read_as_one(first: bytes, mask: bytes, second: bytes, other: bytes) -> None:
    whole = masked(first, mask) + remasked(masked(second, other), other, mask, len(first))
    assert unmask(whole, mask) == first + second


@given(st.integers(1, 100_000), st.integers(64, 40_000), st.sampled_from([1, 2, 4, 6, 12]))
def test_pieces_are_nearly_equal_whole_samples_and_as_few_as_it_takes(length: int, most: int, block: int) -> None:
    sizes = pieces(length, most, block)
    unit = {1: 4, 2: 4, 4: 4, 6: 12, 12: 12}[block]
    assert sum(sizes) == length
    assert max(sizes) <= most
    assert all(size % unit == 0 for size in sizes[:-1])
    assert max(sizes) - min(sizes) < 2 * unit
    assert len(sizes) == -(-length // (most // unit * unit))


def test_a_sample_larger_than_the_bound_is_not_cut() -> None:
    assert pieces(400, 64, 100) == [100, 100, 100, 100]
