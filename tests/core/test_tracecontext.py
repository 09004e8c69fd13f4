"""The client's own words about its trace, right and wrong ones."""

from __future__ import annotations

import pytest

from proxy.core.tracecontext import TraceContext, said

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)])
def test_the_flag_says_whether_somebody_keeps_it(flags: str, sampled: bool) -> None:
    context = said({"traceparent": f"00-{TRACE}-{SPAN}-{flags}"})
    assert context == TraceContext(TRACE, None, sampled)
    assert context.mark == (TRACE if sampled else None)


@pytest.mark.parametrize("header", [
    "", TRACE, f"00-{TRACE}-{SPAN}", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01x",
])
def test_what_is_not_valid_says_nothing(header: str) -> None:
    assert said({"traceparent": header}) == said({}) == TraceContext()
