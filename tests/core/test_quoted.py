"""What Python's websockets says of a close, read back; with the library itself as the author."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from proxy.core.quoted import Quoted, quoted
from proxy.core.verdict import Side

CODES = st.sampled_from([1000, 1001, 1002, 1005, 1008, 1011, 3005, 3008, 4001])
REASONS = st.sampled_from(["", "keepalive ping timeout", "Invalid JSON: {", "a; b", "See https://dpgr.am/net0001", "(again) and (again)"])


@given(CODES, REASONS, st.none() | st.tuples(CODES, REASONS), st.booleans(), st.sampled_from(["", "ConnectionClosed in _listening: "]))
def test_what_the_library_writes_is_read_back(
    code: int, reason: str, answer: tuple[int, str] | None, vendor_first: bool, before: str
) -> None:
    first, second = Close(code, reason), None if answer is None else Close(*answer)
    ends = (first, second, second and True) if vendor_first else (second, first, second and False)
    text = before + str(ConnectionClosedError(*ends))
    assert quoted(text) == Quoted(code, reason or None, Side.VENDOR if vendor_first else Side.CLIENT)


@pytest.mark.parametrize(("text", "expected"), [
    ("code = 1006 (connection closed abnormally [internal]), no reason", Quoted(1006, None, None)),
    ("WebSocket connection is closed: code = 1011 (unexpected error), reason = keepalive", Quoted(1011, "keepalive", None)),
    ("no close frame received or sent", None),
    ("received 20 frames", None),
    ("sent 1011 frames", None),
    ("", None),
])
def test_other_texts(text: str, expected: Quoted | None) -> None:
    assert quoted(text) == expected


@pytest.mark.parametrize("part", ["received 1000 (", "received 1000 (OK)", "; then sent ", "code = 1000 (a), reason = ", "("])
def test_no_text_makes_it_run_away(part: str) -> None:
    text = part * (5_000_000 // len(part))
    found = quoted(text)
    assert found is None or found.code == 1000
