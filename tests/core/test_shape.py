"""What the client's messages were like, and how many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.core.profile import Limits
from proxy.core.shape import Rate, Shape


@given(st.lists(st.floats(0, 40), max_size=200), st.sampled_from([1.0, 7.5]))
def test_the_truth_is_between_two_bounds(times: list[float], window: float) -> None:
    rate = Rate(window)
    times.sort()
    for at in times:
        rate.add(1000 + at)
    truth = max((sum(at <= other < at + window for other in times) for at in times), default=0)
    wider = max((sum(at <= other <= at + window * 61 / 60 for other in times) for at in times), default=0)
    assert rate.least <= truth
    assert rate.most >= truth or rate.least == truth
    assert rate.most <= wider


def test_a_steady_rate_is_known_to_within_a_step() -> None:
    rate = Rate(60.0)
    for number in range(1200):
        rate.add(number / 10)
    assert (rate.least, rate.most) == (600, 610)
    rate.add(1000.0)
    assert (rate.now, rate.least) == (1, 600)


def test_counts_are_made_only_where_something_limits_them() -> None:
    assert not Shape(None).counts
    assert not Shape(Limits()).counts
    both = Shape(Limits(messages_per_minute=10, chunks_per_second=5))
    assert both.counts
    assert both.messages is not None
    assert both.chunks is not None
    both.chunk(1.0)
    both.message(1.1)
    assert (both.messages.most, both.chunks.most, both.at) == (2, 1, 1.1)
    only = Shape(Limits(chunks_per_second=5))
    only.message(2.0)
    only.chunk(2.0)
    assert only.messages is None
    assert Shape(Limits(messages_per_minute=5)).chunks is None


def test_forms_are_told_apart() -> None:
    shape = Shape(None)
    for payload in (b"{}", b'{"type":"x"}', b"[]", b"null", b"1", b"{", b"\xff", b""):
        shape.strange(payload)
    shape.good(True)
    shape.good(False)
    assert (shape.unknown, shape.not_object, shape.not_json, shape.incomplete, shape.understood) == (2, 3, 3, 1, 2)
    assert shape.malformed == 9
