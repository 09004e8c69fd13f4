"""All listeners' requests: which become calls, which are passed on, which are refused, and what happens when it is over.

Owns the set of open calls and the one place where a report leaves a session: the ledger, the log and the history get it
there, once. Knows nothing of how bytes cross.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, Final

from aiohttp import web

from proxy.core.exchange import Exchange
from proxy.core.known import UNKNOWN_ENDPOINT
from proxy.core.own import own_meaning
from proxy.core.profile import Route
from proxy.core.report import Report, utc
from proxy.core.reporting import correlated, report_of
from proxy.core.session import Session
from proxy.core.shadow import rejected, shadowed
from proxy.core.vendor import Request
from proxy.core.verdict import Inspection, Outcome, Phase, Verdict
from proxy.core.watch import READY_SECONDS
from proxy.relay.admission import Admission, Fleet
from proxy.relay.answers import response
from proxy.relay.call import Call, Door
from proxy.relay.capacity import Capacity
from proxy.relay.dialer import Dialer
from proxy.relay.forward import STALL_SECONDS, Forward
from proxy.relay.gated import Room
from proxy.relay.guard import Guard
from proxy.relay.harmless import harmless
from proxy.relay.heads import BadHeadError, lower, plain_head, repeated, request_head
from proxy.relay.sampler import Sampler
from proxy.relay.takeover import is_plain, is_tunnel, is_upgrade, take_client
from proxy.relay.turns import Turns
from proxy.telemetry import log
from proxy.telemetry.history import History
from proxy.telemetry.ledger import Ledger
from proxy.telemetry.traces import Passage, Trace, Tracing, ids

Correlation = Mapping[str, Sequence[str]]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_NOBODY: Final = web.Response
"""What a handler returns once the transport has left aiohttp; it goes nowhere."""


@dataclass(slots=True)
class Relay:
    """`correlation` has the header and query names of the application's own ids; `most` bounds open sessions."""

    ledger: Ledger
    dialer: Dialer
    sampler: Sampler
    turns: Turns
    correlation: Correlation
    most: int | None = None
    ready_seconds: float = READY_SECONDS
    history: History = field(default_factory=History)
    tracing: Tracing = field(default_factory=Tracing)
    progress_seconds: float = 0.0  # between two log lines of an open session; 0 for none
    calls: set[Call] = field(default_factory=set)
    forwards: set[Forward] = field(default_factory=set)
    waiting: int = 0  # for their turn
    ready: bool = True
    draining: bool = False  # takes no new calls
    capacity: Capacity = field(default_factory=Capacity)
    room: Room = field(default_factory=Room)
    fleet: Fleet | None = None
    admission: Admission = field(init=False)
    on_idle: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.admission = Admission(self.ledger.fell_back, self.fleet)

    def handler(self, of: Callable[[], Door]) -> Handler:
        """What answers the requests of one listener. `of` gives its door as it is when a request has its turn."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if request.method == "GET" and is_upgrade(request):
                if request.can_read_body:
                    return self.reject("sidecar_bad_request")
                return self._admit(of(), request) if await self._has_turn() else self.reject("sidecar_too_many_dials")
            if is_plain(request):
                return await self._forward(of(), request)
            return self.reject("sidecar_upgrade_required" if is_tunnel(request) else "sidecar_bad_request")

        return handle

    async def _has_turn(self) -> bool:
        """Whether the turn of a call has come in time."""
        came = False
        self.waiting += 1
        try:
            async with asyncio.timeout(self.dialer.seconds / 2):
                await self.turns.mine()
            came = True
        except TimeoutError:
            pass
        finally:
            self.waiting -= 1
            if not came:
                self._perhaps_idle()
        return came

    async def _forward(self, door: Door, request: web.BaseRequest) -> web.StreamResponse:
        """A request that is no upgrade: no session, but counted, and told of where it fails."""
        route = door.vendor.route(request.raw_path, "http")
        if route is None and door.vendor.route(request.raw_path) is not None:
            return self.reject("sidecar_upgrade_required")
        patience = self.dialer.seconds if route is not None and route.phase == "session_token" else STALL_SECONDS
        forward = Forward(request, Exchange(door.vendor, route), self.dialer, patience, lambda: not self.draining)
        passage = self.tracing.exchange(request.method, door.name, door.vendor.name, route.path if route else None,
                                        lower(request.raw_headers))
        self.forwards.add(forward)
        self.sampler.add(forward)
        own = None
        try:
            answer = await self._passed(door, request, route, forward, passage)
            own = answer.status if "x-earwitness" in answer.headers else None
            return answer
        finally:
            self.sampler.remove(forward)
            self.forwards.discard(forward)
            verdict = harmless(self._judged, door, forward, request, passage)
            passage.over(forward.status, own or forward.status, verdict)
            self._perhaps_idle()

    async def _passed(self, door: Door, request: web.BaseRequest, route: Route | None, forward: Forward,
                      passage: Passage) -> web.StreamResponse:
        if route is None:
            return forward.refuse("sidecar_not_found")
        if not door.allows(request.raw_path, lower(request.raw_headers)):
            return forward.refuse("sidecar_not_allowed")
        refusal = "sidecar_draining" if self.draining else self.capacity.refusal(request.transport)
        if refusal is not None:
            return forward.refuse(refusal)
        upstream = door.upstreams[route.name]
        passage.dialling(str(upstream.origin))
        try:
            return await forward.run(upstream, plain_head(request.method, request.raw_path, request.raw_headers, upstream.host))
        except BadHeadError:
            return forward.refuse("sidecar_bad_request")
        except Exception as error:
            log.state("internal", logging.ERROR, error=error, listener=door.name, **ids(passage.context))
            return forward.refuse("sidecar_internal")

    def _judged(self, door: Door, forward: Forward, request: web.BaseRequest, passage: Passage) -> Verdict | None:
        """Counts an exchange that is over, and gives the verdict, if it failed."""
        vendor, status = door.vendor.name, forward.status
        self.ledger.http_request(door.name, vendor, "none" if status is None else f"{min(status // 100, 5)}xx")
        asked = Request.of(request.raw_path, lower(request.raw_headers), repeated(request.raw_headers))
        try:
            verdict = forward.exchange.verdict(asked)
        except Exception as error:
            log.state("report_failed", logging.ERROR, error=error, listener=door.name, **ids(passage.context))
            verdict = _poor_verdict(vendor, None, forward.exchange.claim.phase)
        if verdict is None:
            return None
        failed = verdict.outcome is not Outcome.ABANDONED
        if failed:
            self.ledger.http_error(vendor, verdict.code, verdict.category, verdict.owner)
        application = correlated(door.vendor, asked, self.correlation)
        known = {name: value for name, value in verdict.as_dict().items() if value is not None}
        level = logging.WARNING if failed else logging.INFO
        log.state("http_failed" if failed else "http_abandoned", level, listener=door.name, correlation=application,
                  **ids(passage.context), **known)
        return verdict

    def reject(self, code: str) -> web.Response:
        """Refuses what never becomes a session."""
        self.ledger.rejected(code.removeprefix("sidecar_"))
        return response(code)

    def _admit(self, door: Door, request: web.BaseRequest) -> web.StreamResponse:
        asked = Request.of(request.raw_path, lower(request.raw_headers), repeated(request.raw_headers))
        route = door.vendor.route(request.raw_path)
        endpoint = door.vendor.endpoints[route.endpoint] if route and route.endpoint else None
        tables = self.ledger.tables(door.name, door.vendor.name, endpoint.name if endpoint else UNKNOWN_ENDPOINT)
        session = Session(str(uuid.uuid4()), door.name, door.vendor, endpoint, asked, tables, monotonic(), time.time())
        trace = harmless(self.tracing.session, session, route.path if route else None) or Trace()
        harmless(self.ledger.started, session)
        session.watch.ready_seconds = self.ready_seconds
        delayed = partial(self.ledger.policy_delay, door.vendor.name)
        over = partial(self._over, correlation=self.correlation)
        call = Call(session, over, self._look, self.turns, Guard(door.policy, self.room, delayed), trace)
        self.calls.add(call)
        try:
            refusal = self._begin(door, request, call, route)
        except Exception as error:  # even then the session has its end, else a drain would wait for it forever
            log.state("internal", logging.ERROR, error=error, **_named(session))
            refusal = "sidecar_internal"
        if refusal is None:
            return _NOBODY()
        call.refuse(refusal)
        return response(refusal)

    def _begin(self, door: Door, request: web.BaseRequest, call: Call, route: Route | None) -> str | None:
        """Takes the client over and dials. Gives the code of our own refusal where it does not."""
        if route is None:
            return "sidecar_not_found"
        if not door.allows(request.raw_path, call.session.request.headers):
            return "sidecar_not_allowed"
        upstream = door.upstreams[route.name]
        try:
            head = request_head(request.raw_path, request.raw_headers, upstream.host)
        except BadHeadError:
            return "sidecar_bad_request"
        refusal = self._refusal(request.transport)
        if refusal is not None:
            return refusal
        session = call.session
        if self.capacity.blinds:
            session.unwatched()
        refusal = harmless(self.admission.refusal, session, door.name, door.policy, door.account)
        if refusal is not None:
            return refusal
        call.applicant = harmless(self.admission.applicant, session, door.policy, door.account)
        harmless(self._say_open, session)
        taken = take_client(request, call.waiting)
        if taken is None:
            call.nobody()
        else:
            self.sampler.add(call)
            harmless(call.trace.dialling, str(upstream.origin))
            call.start(taken, self.dialer, upstream, head)
        return None

    def _refusal(self, client: asyncio.BaseTransport | None) -> str | None:
        if self.draining:
            return "sidecar_draining"
        if self._is_full:
            return "sidecar_too_many_sessions"
        return self.capacity.refusal(client)

    @property
    def _is_full(self) -> bool:
        """Counts one by one only where it may be: of calls that are over the reports may still wait for their turn."""
        most, calls = self.most, self.calls
        return most is not None and len(calls) > most and sum(call.is_there for call in calls) > most

    def _say_open(self, session: Session) -> None:
        log.session_open(**_named(session), listener=session.listener, vendor=session.vendor, endpoint=session.endpoint,
                         correlation=correlated(session.vendor_profile, session.request, self.correlation))

    def _look(self, call: Call) -> None:
        """About once a second while a session is open."""
        session, now = call.session, monotonic()
        self._noticed(session)
        call.trace.look(session)
        if self.progress_seconds and now - call.told_at >= self.progress_seconds:
            call.told_at = now
            shown = session.vendor_profile.discretion(session.request)
            log.session_progress(**_named(session), **_standing(session, now), connection_id=shown.id(session.connection_id),
                                 req_id=shown.id(session.req_id))

    def _noticed(self, session: Session) -> None:
        """What was noticed of a session since last time: now, and not when it ends."""
        for fact, at in session.watch.news():
            self.ledger.noticed(session.listener, session.vendor, fact)
            shown = session.vendor_profile.discretion(session.request)
            log.noticed(fact, at - session.started_at, **_named(session), listener=session.listener, vendor=session.vendor,
                        endpoint=session.endpoint, connection_id=shown.id(session.connection_id), req_id=shown.id(session.req_id))

    def _over(self, call: Call, correlation: Correlation) -> None:
        """The one way out of every session. Its numbers stand still from here on; the report waits for its turn."""
        self.sampler.remove(call)
        harmless(self.admission.left, call.session)
        ended_at = monotonic()
        self.turns.add(lambda: self._report(call, ended_at, correlation))

    def _report(self, call: Call, ended_at: float, correlation: Correlation) -> None:
        session = call.session
        self.calls.discard(call)
        try:
            report = report_of(session, ended_at, correlation)
        except Exception as error:
            harmless(log.state, "report_failed", logging.ERROR, error=error, **_named(session))
            report = _poor_report(session)
        if call.applicant is not None:
            harmless(call.applicant.over)
        harmless(self._noticed, session)
        harmless(self._count, call, report, ended_at)
        harmless(self.history.add, report)
        harmless(call.trace.over, session, report, call.told)
        harmless(log.session_end, report)
        harmless(session.over)
        self._perhaps_idle()

    def _count(self, call: Call, report: Report, ended_at: float) -> None:
        """Of a session that is over. First that it is: whatever else fails, started less active is ended."""
        session = call.session
        self.ledger.ended(session, report, session.trace.mark, ended_at)
        if session.failed:
            self.ledger.inspection_error(session.vendor, "session")
        if session.gate_failed or (session.gate is not None and session.gate.off):
            self.ledger.inspection_error(session.vendor, "gate")
        for code, times in session.warnings.items():
            self.ledger.warned(session.listener, session.vendor, code, times)
        self._count_policy(call, report)

    def _count_policy(self, call: Call, report: Report) -> None:
        """What the policy did to a session that is over, and what it would have done."""
        session = call.session
        for (rule, action), times in session.done.actions.items():
            self.ledger.policy_action(session.vendor, rule, action, times)
        try:
            for rule in shadowed(session, call.guard.policy):
                self.ledger.policy_shadow(session.vendor, rule, "rejected" if rejected(rule, report.verdict) else "accepted")
        except Exception as error:
            log.state("internal", logging.ERROR, error=error, **_named(session))

    @property
    def busy(self) -> bool:
        """Whether anything is open."""
        return bool(self.calls or self.forwards or self.waiting)

    def _perhaps_idle(self) -> None:
        if not self.busy and self.on_idle is not None:
            self.on_idle()

    def sessions(self) -> dict[str, Any]:
        """The admin page: what is open, and what ended lately."""
        now = monotonic()
        return {"open": [_seen(call.session, now) for call in self.calls], "ended": self.history.reports()}


def _seen(session: Session, now: float) -> dict[str, Any]:
    return {"session_id": session.session_id, "started_at": utc(session.wall), **_standing(session, now)}


def _standing(session: Session, now: float) -> dict[str, Any]:
    """How an open session stands."""
    return {
        "listener": session.listener,
        "vendor": session.vendor,
        "endpoint": session.endpoint,
        "seconds": round(now - session.started_at, 3),
        "phase": session.claim.phase,
        "ready": session.ready_at is not None,
        "state": session.watch.state,
        "audio_seconds": {"read": round(session.audio.read, 3), "delivered": round(session.audio.delivered, 3)},
        "results": session.results.results,
        "inspection": session.inspection,
    }


def _named(session: Session) -> dict[str, Any]:
    return {"session_id": session.session_id, **ids(session.trace)}


def _poor_report(session: Session) -> Report:
    """When making the report failed: still a report, which says whose fault that is."""
    verdict = _poor_verdict(session.vendor, session.endpoint, session.claim.phase)
    now = time.time()
    return Report(session.session_id, session.listener, utc(session.wall), utc(now), max(0.0, round(now - session.wall, 3)), verdict,
                  trace_id=session.trace.trace_id, span_id=session.trace.span_id, inspection=Inspection.LOST)


def _poor_verdict(vendor: str, endpoint: str | None, phase: Phase | None) -> Verdict:
    meaning = own_meaning("sidecar_internal")
    return Verdict(vendor=vendor, endpoint=endpoint, outcome=Outcome.ERROR, phase=phase, code=meaning.code, rule=meaning.rule,
                   category=meaning.category, owner=meaning.owner, rule_owner=meaning.owner, retry=meaning.retry, hint=meaning.hint)
