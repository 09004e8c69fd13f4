"""Each of the vendor's own faults on request, in its wordings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.simulators import DeepgramSimulator
from proxy.simulators.deepgram_faults import CLOSES, FATAL, REFUSALS
from tests.aio import run
from tests.simulators.calls import TOKEN, V1, V2, Call, bare, call, spoken


def faulty(fault: str, path: str = V1, **options: Any) -> Call:
    async def main() -> Call:
        async with DeepgramSimulator(fault=fault, strict=False, **options) as sim:
            return await call(sim, path, spoken(), TOKEN)

    return run(main())


@pytest.mark.parametrize("fault", REFUSALS)
@pytest.mark.parametrize("body", ["legacy", "modern"])
def test_refusals(fault: str, body: Any) -> None:
    async def main() -> bytes:
        async with DeepgramSimulator(fault=fault, body=body) as sim:
            return await bare(sim, V1, TOKEN)

    status, code, text = REFUSALS[fault]
    head, _, told = run(main()).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"dg-error: {text}\r\n".encode() in head
    assert json.loads(told)["err_code" if body == "legacy" else "category"] == code


@pytest.mark.parametrize("fault", CLOSES)
def test_closes_have_two_wordings_and_no_error_frame(fault: str) -> None:
    seen = faulty(fault, fault_after=2.0)
    assert (seen.code, seen.reason) == (CLOSES[fault][0], fault)
    assert {message["type"] for message in seen.messages} == {"Results"}
    live = faulty(fault, wording="live")
    assert (live.code, live.messages) == (seen.code, [])
    assert live.reason.endswith(f"See https://dpgr.am/{fault.lower().replace('-', '')}")


@pytest.mark.parametrize("fault", FATAL)
def test_fatal_errors_of_flux(fault: str) -> None:
    seen = faulty(fault, V2)
    assert [message["type"] for message in seen.messages] == ["Connected", "Error"]
    assert (seen.messages[1]["code"], seen.messages[1]["sequence_id"], seen.code) == (fault, 1, FATAL[fault][0])
    assert faulty(fault, V2, wording="live").code == 1005


def test_an_error_frame_that_is_not_fatal() -> None:
    seen = faulty("SchemaError", fault_after=1.0)
    assert len(seen.of("Error")) == 1
    assert seen.code == 1000


def test_metadata_zero() -> None:
    seen = faulty("1000_nothing_decoded")
    assert [(message["duration"], message["channels"]) for message in seen.messages] == [(0.0, 0)]
    assert (seen.code, seen.reason) == (1000, "")
