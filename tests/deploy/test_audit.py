"""The audit passes on what pip-audit says and how it ends; without the internet it is one line that says so, and a failure."""

from __future__ import annotations

import sys

import pytest

from deploy import audit

TRACE = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n'
ERROR = "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='api.osv.dev', port=443): Max retries exceeded\n"


@pytest.mark.parametrize(("said", "code", "gives", "shown"), [
    ("No known vulnerabilities found\n", 0, 0, "No known vulnerabilities found\n"),
    ("Found 2 known vulnerabilities in 1 package\n", 1, 1, "Found 2 known vulnerabilities in 1 package\n"),
    (TRACE + ERROR, 1, "audit: osv.dev cannot be reached from here, so nothing was looked up", ""),
    (TRACE + ERROR + "\nDuring handling of the above:\n", 1, "audit: osv.dev cannot be reached from here, so nothing was looked up", ""),
    (TRACE + "KeyError: 1\n", 1, 1, TRACE + "KeyError: 1\n"),
])
def test_audit(said: str, code: int, gives: object, shown: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    script = f"import sys; sys.stderr.write({said!r}); sys.exit({code})"
    monkeypatch.setattr(audit, "COMMAND", (sys.executable, "-c", script))
    assert audit.audit("constraints.txt") == gives
    assert capfd.readouterr().err == shown
