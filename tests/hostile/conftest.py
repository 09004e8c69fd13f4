"""Both event loops."""

from __future__ import annotations

import pytest

from tests.aio import LOOPS


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """The name of an event loop, for `aio.run`."""
    return str(request.param)
