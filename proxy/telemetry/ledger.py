"""The process's own book: how many sessions there were, how they ended, and what all of them together carried.

Plain numbers and dicts keyed by label values in the catalogue's order, written to a few times a session. What open sessions
carry stays with them and is added up when somebody asks (see metrics). Used on the event loop's thread alone.

A session is counted in once and out once. A slip in that is our own bug: strict ledgers (tests) raise `MiscountError`;
else it is logged, added to `slips` and otherwise ignored, since no call may end over a number.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Protocol, TypeVar

from proxy.core.policy import Policy
from proxy.core.profile import Profile
from proxy.core.report import Report
from proxy.core.rules import Common
from proxy.core.tally import DIAL_SECONDS, HELD_SECONDS, LAG_SECONDS, SESSION_SECONDS, AudioSeconds, Example, Histogram, Tables, Traffic
from proxy.core.verdict import Inspection
from proxy.telemetry import known
from proxy.telemetry.catalogue import DIAL_STAGES, INSPECTED, REJECTED, RESULTS, STALL_OF, STALLS

_LOG = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class MiscountError(Exception):
    """A session was counted twice, or out without having been counted in."""


class Session(Protocol):
    """What the book reads of a session. `buffered` is bytes to the vendor, to the client."""

    @property
    def listener(self) -> str: ...
    @property
    def vendor(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def to_vendor(self) -> Traffic: ...
    @property
    def to_client(self) -> Traffic: ...
    @property
    def audio(self) -> AudioSeconds: ...
    @property
    def lead_seconds(self) -> float: ...
    @property
    def held_seconds(self) -> float: ...
    @property
    def undelivered_seconds(self) -> float: ...
    @property
    def buffered(self) -> tuple[int, int]: ...


Place = tuple[str, str, str]
"""Listener, vendor, endpoint."""


class Carried:
    """What the finished sessions of one listener and vendor carried."""

    __slots__ = ("audio", "to_client", "to_vendor")

    def __init__(self) -> None:
        self.to_vendor, self.to_client, self.audio = Traffic(), Traffic(), AudioSeconds()


class Ledger:
    """`listeners` maps each listener's name to its profile, `policies` to its policy; their known label sets exist at 0."""

    def __init__(self, listeners: Mapping[str, Profile], common: Common, policies: Mapping[str, Policy] | None = None, *,
                 strict: bool = False) -> None:
        self._strict = strict
        self.slips = 0
        self.open: dict[int, tuple[Session, Place]] = {}
        self.started_total: dict[Place, int] = {}
        self.active: dict[Place, int] = {}
        self.ended_total: dict[tuple[str, ...], int] = {}
        self.errors: dict[tuple[str, ...], int] = {}
        self.examples: dict[tuple[str, ...], Example] = {}  # of errors, the latest
        self.warnings: dict[tuple[str, str, str], int] = {}
        self.stalls: dict[tuple[str, str], int] = {}
        self.claims: dict[tuple[str, str, str], int] = {}
        self.requests: dict[tuple[str, str, str], int] = {}
        self.request_errors: dict[tuple[str, str, str, str], int] = {}
        self.actions: dict[tuple[str, str, str], int] = {}
        self.shadows: dict[tuple[str, str, str], int] = {}
        self.delays: dict[tuple[str], Histogram] = {}
        self.rejections = dict.fromkeys(((reason,) for reason in REJECTED), 0)
        self.dials: dict[tuple[str, str], Histogram] = {}
        self.durations: dict[tuple[str, str], Histogram] = {}
        self.tables_of: dict[Place, Tables] = {}
        self.finished: dict[tuple[str, str], Carried] = {}
        self.inspection_errors: dict[tuple[str, str], int] = {}
        self.uninspected: dict[tuple[str], int] = {}
        self.fallbacks: dict[tuple[str], int] = {}
        self.error_info: dict[tuple[str, ...], int] = {}
        self.lag = Histogram(LAG_SECONDS)
        self.overloaded = False
        self.foresee(listeners, common, policies or {})

    def foresee(self, listeners: Mapping[str, Profile], common: Common, policies: Mapping[str, Policy]) -> None:
        """These are the listeners from now on. What is new of them is there at 0; what was counted of others stays."""
        self.error_info = {}
        for listener, profile in listeners.items():
            self._foresee(listener, profile, common, policies.get(listener, known.OBSERVING))
        self.settings_read(good=True)

    def settings_read(self, good: bool) -> None:
        """The settings were read, and taken if they are good."""
        self.settings_good = good
        if good:
            self.settings_at = time.time()

    def _foresee(self, listener: str, profile: Profile, common: Common, policy: Policy) -> None:
        vendor, endpoints = profile.vendor, tuple(profile.endpoints)
        _made(self.finished, (listener, vendor), Carried)
        for endpoint in endpoints:
            self.tables(listener, vendor, endpoint)
        places = [(listener, vendor, endpoint) for endpoint in endpoints]
        _at_0(self.uninspected, [(vendor,)])
        _at_0(self.fallbacks, [(vendor,)])
        _at_0(self.started_total, places)
        _at_0(self.active, places)
        _at_0(self.ended_total, ((*place, *end) for place in places for end in known.ENDS))
        _at_0(self.errors, ((listener, vendor, *labels) for labels in known.errors(profile, common, policy)))
        _at_0(self.warnings, ((listener, vendor, code) for code in known.warnings(profile)))
        _at_0(self.stalls, ((vendor, kind) for kind in STALLS))
        _at_0(self.claims, ((vendor, check, result) for check in known.checks(profile) for result in RESULTS.values()))
        _at_0(self.requests, ((listener, vendor, status) for status in known.status_classes(profile)))
        _at_0(self.request_errors, ((vendor, *labels) for labels in known.request_errors(profile, common)))
        _at_0(self.inspection_errors, ((vendor, where) for where in INSPECTED))
        _at_0(self.actions, ((vendor, *labels) for labels in known.actions(profile, policy)))
        _at_0(self.shadows, ((vendor, *labels) for labels in known.shadows(profile, policy)))
        self.error_info.update({(vendor, *meaning): 1 for meaning in known.meanings(profile, common)})
        for stage in DIAL_STAGES:
            _made(self.dials, (vendor, stage), lambda: Histogram(DIAL_SECONDS))
        for outcome in known.TIMED_OUTCOMES:
            _made(self.durations, (vendor, outcome), lambda: Histogram(SESSION_SECONDS))

    def tables(self, listener: str, vendor: str, endpoint: str) -> Tables:
        """The numbers that all sessions of this listener and endpoint write into; always the same object."""
        return _made(self.tables_of, (listener, vendor, endpoint), Tables)

    def started(self, session: Session) -> None:
        if id(session) in self.open:
            self._slipped("a session was started twice")
            return
        place = session.listener, session.vendor, session.endpoint
        self.open[id(session)] = session, place
        _count(self.started_total, place)
        _count(self.active, place)

    def ended(self, session: Session, report: Report, mark: str | None = None, at: float = 0.0) -> None:
        """The session is over, as of `at`, and will count no more. Its place is the one it was started with.

        What it counts for is marked with the id of its trace, if somebody keeps that."""
        opened = self.open.pop(id(session), None)
        if opened is None:
            self._slipped("a session ended that was not open")
            return
        _, place = opened
        listener, vendor, _ = place
        verdict = report.verdict
        self.active[place] -= 1
        _count(self.ended_total, (*place, verdict.outcome, verdict.owner, verdict.initiated_by))
        if verdict.outcome in known.FAILED:
            labels = (*place, verdict.phase or "", verdict.code, verdict.category, verdict.owner, verdict.retry)
            _count(self.errors, labels)
            if mark is not None:
                self.examples[labels] = Example(1.0, mark, at)
        for evidence in report.evidence:
            _count(self.claims, (vendor, evidence.check, RESULTS[evidence.agrees]))
        if report.inspection is Inspection.LOST:
            _count(self.uninspected, (vendor,))
        _made(self.durations, (vendor, verdict.outcome), lambda: Histogram(SESSION_SECONDS)).observe(
            report.duration_seconds, mark, at)
        carried = _made(self.finished, (listener, vendor), Carried)
        carried.to_vendor.add(session.to_vendor)
        carried.to_client.add(session.to_client)
        carried.audio.add(session.audio)

    def rejected(self, reason: str) -> None:
        """A request was refused before there was a session. `reason` is one of `catalogue.REJECTED`."""
        _count(self.rejections, (reason,))

    def warned(self, listener: str, vendor: str, code: str, times: int = 1) -> None:
        """An error that did not end its session."""
        _count(self.warnings, (listener, vendor, code), times)

    def noticed(self, listener: str, vendor: str, fact: str) -> None:
        """A fact, when it is noticed: once a session."""
        _count(self.warnings, (listener, vendor, fact))
        if fact in STALL_OF:
            _count(self.stalls, (vendor, STALL_OF[fact]))

    def http_request(self, listener: str, vendor: str, status_class: str) -> None:
        """A request that is no upgrade is over. `status_class` is one of `catalogue.STATUS_CLASSES`: of what the client got."""
        _count(self.requests, (listener, vendor, status_class))

    def http_error(self, vendor: str, code: str, category: str, owner: str) -> None:
        """Such a request failed, or was refused."""
        _count(self.request_errors, (vendor, code, category, owner))

    def dialled(self, vendor: str, stage: str, seconds: float) -> None:
        """One stage of `catalogue.DIAL_STAGES` took this long."""
        _made(self.dials, (vendor, stage), lambda: Histogram(DIAL_SECONDS)).observe(seconds)

    def policy_action(self, vendor: str, rule: str, action: str, times: int = 1) -> None:
        """An enforced rule did something: to a message, or to a session."""
        _count(self.actions, (vendor, rule, action), times)

    def policy_delay(self, vendor: str, seconds: float) -> None:
        """A message was held for so long."""
        _made(self.delays, (vendor,), lambda: Histogram(HELD_SECONDS)).observe(seconds)

    def policy_shadow(self, vendor: str, rule: str, vendor_outcome: str) -> None:
        """A rule that is only observed would have acted, once a session. `vendor_outcome` is one of `catalogue.VENDOR_OUTCOMES`."""
        _count(self.shadows, (vendor, rule, vendor_outcome))

    def fell_back(self, vendor: str) -> None:
        """A session was let in because the fleet did not say in time whether it may."""
        _count(self.fallbacks, (vendor,))

    def inspection_error(self, vendor: str, where: str) -> None:
        """`where` is one of `catalogue.INSPECTED`."""
        _count(self.inspection_errors, (vendor, where))

    def loop_lag(self, seconds: float) -> None:
        """How late a tick came."""
        self.lag.observe(seconds)

    def _slipped(self, what: str) -> None:
        self.slips += 1
        if self._strict:
            raise MiscountError(what)
        _LOG.error("internal: %s", what)


def _count(table: dict[K, int], key: K, times: int = 1) -> None:
    table[key] = table.get(key, 0) + times


def _at_0(table: dict[K, int], keys: Iterable[K]) -> None:
    for key in keys:
        table.setdefault(key, 0)


def _made(table: dict[K, V], key: K, make: Callable[[], V]) -> V:
    value = table.get(key)
    if value is None:
        value = table[key] = make()
    return value
