"""The last sessions that ended, for the admin page. Failures are kept longer than successes."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from proxy.core.report import Report
from proxy.core.verdict import Outcome

FAILURES: Final = 50
SUCCESSES: Final = 10


class History:
    """Two bounded rings; `reports` is the newest first."""

    def __init__(self) -> None:
        self._failures: deque[Report] = deque(maxlen=FAILURES)
        self._successes: deque[Report] = deque(maxlen=SUCCESSES)

    def add(self, report: Report) -> None:
        (self._successes if report.verdict.outcome is Outcome.OK else self._failures).append(report)

    def reports(self) -> list[dict[str, Any]]:
        """As in the log, by the time they ended."""
        return [r.as_dict() for r in sorted((*self._failures, *self._successes), key=lambda r: r.ended_at, reverse=True)]
