import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import tally
from proxy.core.tally import AudioSeconds, Example, Histogram, Tables, Traffic


@pytest.mark.parametrize(("value", "bucket"), [(-1.0, 0), (0.0, 0), (0.1, 0), (0.100001, 1), (1.0, 1), (1.5, 2)])
def test_a_bound_belongs_to_its_bucket(value: float, bucket: int) -> None:
    table = Histogram((0.1, 1.0))
    table.observe(value)
    assert [number for number, count in enumerate(table.counts) if count] == [bucket]
    assert table.total == value


@given(st.lists(st.integers(-5, 20)), st.lists(st.integers(-5, 20)))
def test_histograms_add_up(one: list[int], other: list[int]) -> None:
    first, second, both = Histogram((0, 5, 10)), Histogram((0, 5, 10)), Histogram((0, 5, 10))
    for table, values in ((first, one), (second, other), (both, one + other)):
        for value in values:
            table.observe(value)
    first.add(second)
    assert (first.counts, first.total) == (both.counts, both.total)
    assert sum(first.counts) == len(one) + len(other)


def test_histograms_of_other_bounds_do_not() -> None:
    with pytest.raises(ValueError, match="bounds differ"):
        Histogram((1,)).add(Histogram((2,)))


def test_the_latest_example_of_a_bucket_stays() -> None:
    one, other = Histogram((1.0,)), Histogram((1.0,))
    one.observe(0.5)
    assert one.examples == {}
    one.observe(0.5, "a", 10.0)
    one.observe(0.6, "b", 11.0)
    one.observe(3.0, "c", 12.0)
    assert one.examples == {0: Example(0.6, "b", 11.0), 1: Example(3.0, "c", 12.0)}
    other.observe(0.7, "d", 11.5)
    other.observe(2.0, "e", 11.5)
    one.add(other)
    assert one.examples == {0: Example(0.7, "d", 11.5), 1: Example(3.0, "c", 12.0)}


def test_traffic_adds_up() -> None:
    one, other = Traffic(), Traffic()
    one.frames[tally.AUDIO], other.frames[tally.AUDIO], other.frames[tally.CLOSE] = 3, 4, 1
    one.bytes[tally.AUDIO], other.bytes[tally.TEXT] = 3200, 12
    one.wire_bytes, other.wire_bytes = 10, 5
    one.add(other)
    assert (one.frames[tally.AUDIO], one.frames[tally.CLOSE], one.wire_bytes) == (7, 1, 15)
    assert (one.bytes[tally.AUDIO], one.bytes[tally.TEXT]) == (3200, 12)
    assert other.frames[tally.AUDIO] == 4


@pytest.mark.interpreted
def test_audio_adds_up() -> None:
    one, other = AudioSeconds(), AudioSeconds()
    for number, stage in enumerate(AudioSeconds.__slots__):
        setattr(one, stage, 1.0)
        setattr(other, stage, float(number))
    one.add(other)
    assert [getattr(one, stage) for stage in AudioSeconds.__slots__] == [1.0 + n for n in range(len(AudioSeconds.__slots__))]


def test_frame_types_are_numbered_as_they_are_named() -> None:
    assert [getattr(tally, name.upper()) for name in tally.FRAME_TYPES] == list(range(len(tally.FRAME_TYPES)))


def test_bounds_rise_and_hold_the_vendors_limits() -> None:
    for name in ("CHUNK_SECONDS", "GAP_SECONDS", "RATE_RATIO", "LATENCY_SECONDS", "DIAL_SECONDS", "READY_SECONDS", "SESSION_SECONDS",
                 "LAG_SECONDS"):
        bounds = getattr(tally, name)
        assert all(low < high for low, high in itertools.pairwise(bounds)), name
    assert {0.05, 1.0} <= set(tally.CHUNK_SECONDS)
    assert {3600.0, 10800.0} <= set(tally.SESSION_SECONDS)


@pytest.mark.interpreted
def test_tables_are_not_shared_by_accident() -> None:
    one, other = Tables(), Tables()
    for name in (name for name in Tables.__slots__ if isinstance(getattr(one, name), Histogram)):
        getattr(one, name).observe(1.0)
        assert sum(getattr(one, name).counts) == 1, f"{name} shares its counts with another"
        assert sum(getattr(other, name).counts) == 0
