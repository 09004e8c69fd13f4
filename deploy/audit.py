"""Known vulnerabilities of every version that is pinned: `make audit`.

    python -m deploy.audit constraints.txt

Runs pip-audit, which asks osv.dev. Where that cannot be reached nothing is known, which is told in one line, and is a failure.
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

COMMAND: Final = (sys.executable, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip", "--vulnerability-service", "osv",
                  "--progress-spinner", "off", "--requirement")
_UNREACHED: Final = re.compile(r"^requests\.exceptions\.\w+: .*", re.MULTILINE)
"""The last line of the trace that pip-audit leaves behind then."""


def audit(pins: str) -> str | int:
    """What `sys.exit` is to be given: pip-audit's own code where it has an answer."""
    done = subprocess.run([*COMMAND, pins], stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own words
    if _UNREACHED.search(done.stderr):
        return "audit: osv.dev cannot be reached from here, so nothing was looked up"
    sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1]))
