"""A link that goes down, in namespaces of the test's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.reliability import link


def test_fault() -> None:
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-m", "tests.reliability.link"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    for found in json.loads(done.stdout).values():
        assert found == {"client": link.CLIENT, "says": link.SAYS}
