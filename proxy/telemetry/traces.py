"""What the relay tells of sessions and exchanges to whoever traces them. Here nobody does.

Owns the shape of that telling. It goes without OpenTelemetry, which is not even imported unless an exporter is set: the ids
are then the client's own, as its `traceparent` has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.core.report import Report
from proxy.core.session import Session
from proxy.core.tracecontext import TraceContext, said
from proxy.core.verdict import Verdict


class Trace:
    """Of one session. Nothing here may raise, or wait."""

    __slots__ = ()

    def dialling(self, origin: str) -> None:
        """The vendor is asked. `origin` is scheme, host and port."""

    def look(self, session: Session) -> None:
        """About once a second while the session is open."""

    def over(self, session: Session, report: Report, told: int | None) -> None:
        """The session has ended. `told` is the status that the client got, if any."""


class Passage:
    """Of one plain HTTP exchange."""

    __slots__ = ("context",)

    def __init__(self, context: TraceContext) -> None:
        self.context = context

    def dialling(self, origin: str) -> None:
        """The vendor is asked."""

    def over(self, status: int | None, told: int | None, verdict: Verdict | None) -> None:
        """`status` is the vendor's, `told` the client's; a verdict is of what failed."""


_NOTHING = Trace()


class Tracing:
    """Of the whole process."""

    @property
    def dropped(self) -> int:
        """Spans that got lost on their way out."""
        return 0

    def session(self, session: Session, route: str | None) -> Trace:
        """A session begins on the route of this path. It gets its ids here."""
        return _NOTHING

    def exchange(self, method: str, listener: str, vendor: str, route: str | None, headers: Mapping[str, str]) -> Passage:
        """A request that is no upgrade. Names of headers in lower case."""
        return Passage(said(headers))

    async def close(self) -> None:
        """Sends what is waiting, for a little while."""


def ids(context: TraceContext) -> dict[str, Any]:
    """As they stand in log lines."""
    return {"trace_id": context.trace_id, "span_id": context.span_id}
