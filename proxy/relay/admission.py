"""Whether the sessions of a credential are too many for the vendor: in this process, and where the policy asks for it, over a whole fleet.

Owns who is counted where, what we refuse, and that every session that was counted is told to have left. To count here costs nothing; the
fleet is asked between the client's request and the dial, once a session, and only where a rule has the scope `fleet`: at all other
listeners nobody waits for anything.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final, Protocol

from proxy.core.crowd import Crowd, credential_of
from proxy.core.fleet import Lease, Terms, lingers, terms_of
from proxy.core.policy import Action, Policy, Rule, Scope, bounds
from proxy.core.session import Session
from proxy.relay.harmless import harmless

TOO_MANY: Final = {Rule.CONNECTION_RATE: "sidecar_rate_limited", Rule.CONCURRENCY: "sidecar_concurrency_limited"}


class Fleet(Protocol):
    """What is asked of the fleet. Nothing of it raises."""

    @property
    def answers(self) -> bool: ...
    def come(self, name: str, vendor: str, credential: str, terms: Terms) -> Lease: ...
    async def answered(self, lease: Lease) -> bool: ...
    def left(self, lease: Lease, lingers: bool = False, forgotten: bool = False) -> None: ...


class Admission:
    """`fell_back(vendor)` is told of each session for which the fleet had no answer in time."""

    def __init__(self, fell_back: Callable[[str], None], fleet: Fleet | None = None) -> None:
        self._crowd = Crowd(secrets.token_bytes(32))
        self._fleet = fleet
        self._fell_back = fell_back

    def refusal(self, session: Session, listener: str, policy: Policy, account: str | None) -> str | None:
        """Counts the session in. The code of our own refusal, where this process alone has too many."""
        company = session.company = self._crowd.came(listener, self._credential(session, account), session.started_at)
        if company is None or session.spec is None:
            return None
        numbers, rules = bounds(policy.rules, session.spec.spec.limits), policy.rules
        for rule, scope, found, most in (
            (Rule.CONNECTION_RATE, rules.connection_rate.scope, company.per_minute, numbers.connections_per_minute),
            (Rule.CONCURRENCY, rules.concurrency.scope, company.open, numbers.sessions),
        ):
            if most is not None and found > most and policy.enforces(rule) and scope is Scope.PROCESS:
                return self._sent_away(session, rule)
        return None

    def applicant(self, session: Session, policy: Policy, account: str | None) -> Applicant | None:
        """The session's part in the fleet; None where its policy asks for none."""
        if self._fleet is None or session.spec is None:
            return None
        terms = terms_of(policy, session.spec.spec.limits)
        if terms is None:
            return None
        return Applicant(self, self._fleet, session, terms, account or self._credential(session, account))

    def left(self, session: Session) -> None:
        self._crowd.left(session.company)

    def _credential(self, session: Session, account: str | None) -> str:
        return account or credential_of(session.spec.spec.credentials if session.spec is not None else (), session.request)

    def _fallen_back(self, session: Session, terms: Terms) -> str | None:
        """Nobody answers: the call goes on, unless the operator has set a share that each process holds to by itself."""
        self._fell_back(session.vendor)
        company = session.company
        if company is None:
            return None
        found = {Rule.CONNECTION_RATE: company.per_minute, Rule.CONCURRENCY: company.open}
        return next((self._sent_away(session, rule) for rule, most in terms.local_shares if found[rule] > most), None)

    def _sent_away(self, session: Session, rule: Rule) -> str:
        """Whoever was sent away does not count: else one that tries again and again would never get in."""
        if session.company is not None:
            self._crowd.sent_away(session.company)
            session.company = None
        session.done.count(rule, Action.REFUSED)
        return TOO_MANY[rule]


class Applicant:
    """One session before the fleet. `ask` is called once, before the dial, and `over` once, at the end."""

    __slots__ = ("_admission", "_credential", "_fleet", "_lease", "_session", "_terms", "dialled")

    def __init__(self, admission: Admission, fleet: Fleet, session: Session, terms: Terms, credential: str) -> None:
        self._admission, self._fleet, self._session, self._terms = admission, fleet, session, terms
        self._credential = credential
        self._lease: Lease | None = None
        self.dialled = False

    async def ask(self) -> str | None:
        """The code of our own refusal. Cancelled, it may be counted all the same, until it is told to be over."""
        session, terms = self._session, self._terms
        lease = self._lease = self._fleet.come(session.session_id, session.vendor, self._credential, terms)
        self._credential = ""
        if not (await self._fleet.answered(lease) if terms.refuses else self._fleet.answers):
            return harmless(self._admission._fallen_back, session, terms)
        if lease.refused is None:
            return None
        return self._admission._sent_away(session, lease.refused)

    def over(self) -> None:
        lease = self._lease
        if lease is None:
            return
        self._session.crowded = lease.crowded or frozenset()
        self._fleet.left(lease, self.dialled and lingers(self._session), not self.dialled)
