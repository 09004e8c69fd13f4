"""Both event loops, certificates, and both ways to reach a vendor."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.settings.tls import UpstreamTls
from tests.aio import LOOPS, tls_pair
from tests.relay.peers import proving

Pair = tuple[str, str]


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """The name of an event loop, for `aio.run`."""
    return str(request.param)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Paths of a certificate for localhost, its own CA, and of its key."""
    return tls_pair(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["plain", "tls"])
def options(request: pytest.FixtureRequest, pair: Pair) -> dict[str, Any]:
    """Of `rig`: a vendor without and with TLS."""
    return {} if request.param == "plain" else over_tls(pair)


@pytest.fixture
def secure(pair: Pair) -> dict[str, Any]:
    """Of `rig`: a vendor with TLS."""
    return over_tls(pair)


def over_tls(pair: Pair) -> dict[str, Any]:
    return {"vendor_tls": proving(pair), "listener": {"upstream_tls": UpstreamTls(ca=pair[0])}}
