"""The last sessions that ended, for the admin page. Failures are kept longer than successes."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any, Final

from proxy.core.report import Report
from proxy.core.verdict import Outcome

FAILURES: Final = 50
SUCCESSES: Final = 10


class History:
    """Two bounded rings, so that many good calls do not push the bad ones out."""

    def __init__(self) -> None:
        self._numbers = count()
        self._failures: deque[tuple[int, Report]] = deque(maxlen=FAILURES)
        self._successes: deque[tuple[int, Report]] = deque(maxlen=SUCCESSES)

    def add(self, report: Report) -> None:
        """Sessions are added as they end: that is their order, also where clocks are set back or tell the same time."""
        ring = self._successes if report.verdict.outcome is Outcome.OK else self._failures
        ring.append((next(self._numbers), report))

    def reports(self) -> list[dict[str, Any]]:
        """As in the log, the newest first."""
        return [report.as_dict() for _, report in sorted((*self._failures, *self._successes), key=lambda one: one[0], reverse=True)]
