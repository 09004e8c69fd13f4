"""Whatever bytes both sides send, looking at them never fails, and there is one report with a verdict of the closed sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.conversation import converse
from tests.fuzz.target import VENDORS, beginnings, look


@pytest.mark.parametrize("vendor", VENDORS)
@given(data=st.binary(max_size=400))
def test_no_bytes_make_looking_fail(vendor: str, data: bytes) -> None:
    look(vendor, data)


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_bytes_reach_what_lies_behind_the_first_check(vendor: str) -> None:
    """Else nothing of the above would be worth anything."""
    ready = results = told = 0
    for data in beginnings():
        session, report = converse(VENDORS[vendor], data)
        ready += session.ready_at is not None
        results += session.results.results > 0
        told += report.verdict.server_code is not None or report.verdict.server_detail is not None
    assert ready
    assert told
    assert results or vendor in WITHOUT_WORDS


WITHOUT_WORDS = {"spatius"}
"""Vendors whose results say no words."""
