"""aiohttp is imported without reading the system's CAs, and who asks for them afterwards has them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.aio import tls_pair

TOLD = """
import json, ssl, sys
before = ssl.create_default_context()
{first}
from aiohttp import connector
after = ssl.create_default_context()
print(json.dumps({{
    "before": before.cert_store_stats()["x509"], "after": after.cert_store_stats()["x509"],
    "theirs": [context.cert_store_stats()["x509"] for context in (connector._SSL_CONTEXT_VERIFIED, connector._SSL_CONTEXT_UNVERIFIED)],
    "checked": connector._SSL_CONTEXT_VERIFIED.verify_mode == ssl.CERT_REQUIRED and connector._SSL_CONTEXT_VERIFIED.check_hostname,
    "left": "set_default_verify_paths" in vars(ssl.SSLContext),
}}))
"""


def told(first: str, bundle: str) -> Any:
    """What a fresh process says of its contexts, where the system's CAs are those of a file."""
    program = TOLD.format(first=first)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"SSL_CERT_FILE": bundle})
    return json.loads(done.stdout)


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    return tls_pair(tmp_path)[0]


def test_aiohttps_own_contexts_trust_nobody_and_check_all_the_same(bundle: str) -> None:
    here = told("import proxy.relay.takeover", bundle)
    assert here["theirs"] == [0, 0]
    assert here["checked"]


def test_others_read_the_systems_cas_as_before(bundle: str) -> None:
    here = told("import proxy.relay.takeover", bundle)
    assert here["before"] == here["after"] == 1
    assert not here["left"]


def test_without_us_aiohttp_reads_them_twice(bundle: str) -> None:
    """If that changes, proxy/relay/imported.py has nothing to do any more."""
    assert told("", bundle)["theirs"] == [1, 1]


def test_every_module_that_imports_aiohttp_comes_after(bundle: str) -> None:
    assert told("import proxy.app", bundle)["theirs"] == [0, 0]
