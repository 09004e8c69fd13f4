"""The bytes below the messages."""

from __future__ import annotations

import pytest

from proxy.simulators.line import close_frame


@pytest.mark.parametrize(
    ("code", "reason", "frame"),
    [(None, "", b"\x88\x00"), (1000, "", b"\x88\x02\x03\xe8"), (410, "Gone", b"\x88\x06\x01\x9aGone"), (5004, "", b"\x88\x02\x13\x8c")],
)
def test_close_frames_of_any_code(code: int | None, reason: str, frame: bytes) -> None:
    assert close_frame(code, reason) == frame
