"""Each of the vendor's own faults on request, in its wordings; every row of the vendor's error page is there."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.simulators import AssemblyAISimulator
from proxy.simulators.assemblyai_faults import FIXED_REASON, ROWS
from tests.aio import run
from tests.simulators.calls import KEY, V3, Call, bare, call, spoken


def faulty(fault: str, **options: Any) -> Call:
    async def main() -> Call:
        async with AssemblyAISimulator(fault=fault, strict=False, **options) as sim:
            return await call(sim, V3, spoken(), KEY)

    return run(main())


@pytest.mark.parametrize("fault", [name for name, row in ROWS.items() if row[0] >= 1000])
def test_an_error_frame_and_a_close_with_the_same_code(fault: str) -> None:
    code, _, _, stage, _ = ROWS[fault]
    seen = faulty(fault)
    assert [message["type"] for message in seen.messages] == (["Begin", "Error"] if stage == "session" else ["Error"])
    told = seen.messages[-1]
    assert (told["error_code"], seen.code) == (code, code)
    assert "{" not in told["error"]
    assert seen.reason == told["error"]
    live = faulty(fault, wording="live")
    assert (live.code, live.reason) == (code, FIXED_REASON)


def test_the_illegal_code_is_on_the_wire() -> None:
    async def main() -> bytes:
        async with AssemblyAISimulator(fault="410_deprecated") as sim:
            return await bare(sim, V3, KEY, 2.0)

    assert run(main()).endswith(b"\x88\x15\x01\x9aDeprecated endpoint")


def test_after_so_much_audio() -> None:
    seen = faulty("3005_session_cancelled", fault_after=2.0)
    assert [message["type"] for message in seen.messages][-1] == "Error"
    ends = [turn["transcript"] for turn in seen.of("Turn") if turn["end_of_turn"]]
    assert ends == ["good morning this is"]


def test_the_codes_of_the_vendors_page() -> None:
    """The thirteen rows of the page, in its order."""
    page = [3008, 3007, 3006, 3006, 3006, 3006, 3007, 3005, 3009, 1008, 1008, 1011, 410]
    assert [row[0] for row in ROWS.values()][: len(page)] == page
