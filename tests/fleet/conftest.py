"""Both event loops, and one Redis for the scripts' tests, empty before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aio import LOOPS
from tests.fleet.server import RedisServer, redis_server


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(one_server: RedisServer) -> RedisServer:
    one_server.ask("FLUSHALL")
    return one_server


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """The name of an event loop, for `aio.run`."""
    return str(request.param)
