"""The recording is speech, at any rate, and goes round as long as it is wanted."""

from __future__ import annotations

from array import array

import pytest

from proxy.simulators.recording import recording, spoken


def test_another_rate_is_the_same_speech() -> None:
    plain, fast = array("h", recording()), array("h", recording(24000))
    assert len(fast) == len(plain) * 3 // 2
    assert fast[0::3][:1000].tolist() == plain[0::2][:1000].tolist()  # every second sample stands where every third does
    assert max(fast) <= max(plain)


@pytest.mark.parametrize(("seconds", "chunk"), [(0.25, 0.1), (23.0, 23.0), (31.0, 7.5), (0.0, 0.1)])
@pytest.mark.parametrize("rate", [16000, 24000])
def test_it_goes_round(seconds: float, chunk: float, rate: int) -> None:
    said = b"".join(spoken(seconds, chunk, rate=rate))
    whole = recording(rate)
    assert len(said) == round(seconds * rate) * 2
    assert said == (whole * (1 + len(said) // len(whole)))[: len(said)]
