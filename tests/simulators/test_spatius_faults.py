"""Each of the vendor's own faults on request, in its wordings: refusals, errors before a close and without one, closes without an error."""

from __future__ import annotations

import pytest

from proxy.simulators.spatius_faults import CLOSES, ERRORS, REFUSALS, TOKENS
from tests.spatius_proto import TYPES

from .test_spatius import CONFIGURE, refused, session, spoken, token


@pytest.mark.parametrize("fault", REFUSALS)
def test_refusals_of_the_upgrade(fault: str) -> None:
    status, texts = REFUSALS[fault]
    for number, wording in enumerate(("documented", "live")):
        got, body = refused(fault=fault, wording=wording)
        assert got == status
        assert body == f'{{"message":"{texts[number]}"}}\n'.encode()


@pytest.mark.parametrize("fault", TOKENS)
def test_refusals_of_a_token(fault: str) -> None:
    status, entry = TOKENS[fault]
    assert token(fault=fault) == (status, {} if entry is None else {"errors": [entry]})


@pytest.mark.parametrize("fault", ERRORS)
@pytest.mark.parametrize("wording", ["documented", "live"])
def test_an_error_then_a_close(fault: str, wording: str) -> None:
    told, end, sim = session([CONFIGURE, *spoken()], fault=fault, wording=wording)
    code, texts, stage = ERRORS[fault]
    error = told[-1].error
    assert (error.code, error.message) == (code, texts[wording == "live"])
    assert error.connection_id == sim.sessions[0].request_id
    assert (told[0].type == TYPES["confirm"]) == (stage == "session")
    assert end is not None


def test_an_error_and_it_goes_on() -> None:
    told, _, _ = session([CONFIGURE, *spoken()], 6, fault="upstreamError-goes-on", fault_after=0.2)
    assert [one.type for one in told] == [TYPES[kind] for kind in ("confirm", "animation", "animation", "error", "animation", "animation")]
    assert told[3].error.req_id == "r-1"
    assert told[-1].animation.end


@pytest.mark.parametrize("code", [*CLOSES, 1011])
def test_a_close_without_an_error(code: int) -> None:
    told, end, _ = session([CONFIGURE, *spoken()], fault=f"close-{code}", fault_after=0.1)
    assert TYPES["error"] not in [one.type for one in told]
    assert end is not None
    assert end[0] == code
