"""Claims about who may come in: no credential, not authorised, too many.

Owns what one sidecar can know of these. That a credential is there says nothing of its worth, and other processes may use
the same one: what was seen here can bear such a claim out, and hardly ever contradict it.
"""

from __future__ import annotations

from typing import Final

from proxy.core.checks.finding import CANNOT_TELL, NO, YES, Case, Finding, found
from proxy.core.verdict import Check, Owner, Phase

SCHEMES: Final = frozenset({"basic", "bearer", "token"})
"""What stands before a credential, and is none."""
MINUTE: Final = 60.0

NONE_CAME: Final = "No credential came where the vendor looks for one: neither header, nor subprotocol, nor query key."
ONE_CAME: Final = "A credential did come with the request: look at its form, its scheme word and its place."
WAS_READY: Final = ("The vendor had accepted this credential and begun the session: it was revoked or ran out meanwhile, "
                    "or the vendor is wrong.")


def credentials(case: Case) -> Finding:
    """Whether anything stood where the vendor looks for a credential."""
    known = case.known
    places = known.spec.spec.credentials if known.spec is not None else ()
    values = [value.strip() for place in places if (value := known.request.declared(place))]
    there = any(value and value.lower() not in SCHEMES for value in values)
    if places and not there:
        return found(Check.CREDENTIALS, YES, "credentials", claimed=0, measured=0, hint=NONE_CAME)
    if there and (" missing " in case.says or " required " in case.says):
        return found(Check.CREDENTIALS, NO, "credentials", claimed=0, measured=1, hint=ONE_CAME)
    return found(Check.CREDENTIALS, CANNOT_TELL, "credentials", measured=1 if there else None)


def ready_before(case: Case) -> Finding | None:
    """Not authorised after the 101: had the session been ready? None where it never came to that."""
    known = case.known
    if known.claim.phase is not Phase.WEBSOCKET_RUNTIME or known.spec is None or known.spec.spec.ready != "message":
        return None
    if known.claim.ready is None:
        return found(Check.READY_BEFORE, CANNOT_TELL, "seconds_since_ready")
    if known.ready_at is None:
        return found(Check.READY_BEFORE, YES, "seconds_since_ready")
    return found(Check.READY_BEFORE, NO, "seconds_since_ready", measured=case.at - known.ready_at, owner=Owner.UNKNOWN, hint=WAS_READY)


def concurrency(case: Case) -> Finding:
    limit = case.known.spec.spec.limits.sessions if case.known.spec is not None else None
    company = case.known.company
    return _many(Check.CONCURRENCY, limit, company.open if company is not None else None, None)


def connection_rate(case: Case) -> Finding:
    limit = case.known.spec.spec.limits.connections_per_minute if case.known.spec is not None else None
    company = case.known.company
    return _many(Check.CONNECTION_RATE, limit, company.per_minute if company is not None else None, MINUTE)


def _many(check: Check, limit: float | None, seen: int | None, window: float | None) -> Finding:
    over = limit is not None and seen is not None and seen > limit
    return found(check, YES if over else CANNOT_TELL, "sessions", stage="read", claimed=limit, measured=seen, window=window)
