"""Limits of a whole account, held across processes: what is asked about a session, what the answer means, and the slots that are held.

    come    one more session: does it keep within the limits? If so it is counted, in the same step
    stay    the slots of open sessions are leased again; those of a process that has died run out
    leave   a slot is given back at once, or some seconds later where the vendor is slow to notice

Owns the commands, in their order, and the book of leases; whoever has a connection sends them (proxy/fleet) and says what was answered,
or that the connection is lost. A session that nobody could answer for goes on, and its slot is written down as soon as that can be done.

A credential never leaves here: sessions of one are known by a hash of vendor and credential, under a key that all processes of a fleet
share, for under different keys they would not find each other. So the key must be a secret, the same everywhere, and stay what it is;
that it is the same is told by its fingerprint, another hash, which each process shows to the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from hashlib import blake2b
from typing import Final

from proxy.core.known import Known
from proxy.core.policy import Mode, Policy, Rule, Scope, bounds
from proxy.core.profile import Limits
from proxy.core.verdict import Phase, Side, Transport

MINUTE: Final = 60.0
RENEWALS: Final = 3
"""In the time of a lease."""
MOST_AT_ONCE: Final = 500
"""Leases renewed by one command: a script holds everybody up while it runs."""
MOST_LEAVING: Final = 10_000
"""Slots that wait to be given back while nobody takes them; what is beyond that runs out by itself."""

NEVER_ARRIVED: Final = frozenset({Transport.DNS, Transport.REFUSED, Transport.TLS})
"""Dials after which the vendor has no session."""


class Script(StrEnum):
    COME = "come"
    STAY = "stay"
    LEAVE = "leave"
    GREET = "greet"


@dataclass(frozen=True, slots=True)
class Terms:
    """What one session is held to. `refuses` are the rules that turn it away; the others only want to know."""

    per_minute: float | None
    sessions: int | None
    refuses: frozenset[Rule]
    linger_seconds: float
    local_shares: tuple[tuple[Rule, float], ...] = ()
    """How many this process lets in by itself while nobody answers."""


def terms_of(policy: Policy, limits: Limits) -> Terms | None:
    """None where the policy asks the fleet nothing: that is the usual case, and costs nothing."""
    numbers, rules = bounds(policy.rules, limits), policy.rules
    each = ((Rule.CONNECTION_RATE, rules.connection_rate, numbers.connections_per_minute),
            (Rule.CONCURRENCY, rules.concurrency, numbers.sessions))
    asked = {rule: (shared, most) for rule, shared, most in each
             if shared.scope is Scope.FLEET and most is not None and policy.mode_of(rule) is not Mode.OFF}
    if not asked:
        return None
    refuses = frozenset(rule for rule in asked if policy.enforces(rule) and rule not in numbers.watched_only)
    shares = tuple((rule, max(1.0, shared.local_share * most)) for rule, (shared, most) in asked.items()
                   if rule in refuses and shared.local_share is not None)
    return Terms(asked[Rule.CONNECTION_RATE][1] if Rule.CONNECTION_RATE in asked else None,
                 numbers.sessions if Rule.CONCURRENCY in asked else None, refuses, rules.concurrency.linger_seconds, shares)


def lingers(known: Known) -> bool:
    """Whether the vendor may not know yet that this session is over, which has ended here."""
    claim, ending = known.claim, known.ending
    if claim.phase is not Phase.WEBSOCKET_RUNTIME:
        return claim.http_status is None and ending.transport not in NEVER_ARRIVED
    return ending.vendor_close is None and not ending.goodbye and ending.ended_by is not Side.VENDOR


class _State(Enum):
    ASKING = auto()  # not sent yet
    SENT = auto()
    HELD = auto()
    OVER = auto()


class Lease:
    """One session's. `crowded` are the rules by which it was one too many, once that is known; `refused` if it may not go on."""

    __slots__ = ("came_at", "crowded", "group", "name", "refused", "state", "terms", "waived")

    def __init__(self, name: str, group: str, terms: Terms, now: float) -> None:
        self.name, self.group, self.terms, self.came_at = name, group, terms, now
        self.state = _State.ASKING
        self.waived = not terms.refuses  # it goes on whatever the answer is
        self.crowded: frozenset[Rule] | None = None
        self.refused: Rule | None = None


@dataclass(frozen=True, slots=True)
class Command:
    script: Script
    keys: tuple[str, ...]
    arguments: tuple[str | int | float, ...]
    lease: Lease | None = None
    went: _Leaving | None = None


@dataclass(frozen=True, slots=True)
class _Leaving:
    lease: Lease
    seconds: float
    """That its slot lingers,"""
    forgotten: bool
    """or it never got as far as the vendor: then it has not come, either."""
    at: float


class Book:
    """All leases of one process. `secret` is what the fleet shares, `prefix` begins every key."""

    def __init__(self, secret: bytes, prefix: str, lease_seconds: float) -> None:
        self._key = blake2b(secret, person=b"earwitness fleet").digest()
        self._prefix = prefix
        self._lease_seconds = lease_seconds
        self._asking: dict[Lease, None] = {}
        self._held: set[Lease] = set()
        self._leaving: dict[Lease, _Leaving] = {}
        self._renew_at = float("-inf")
        self.fingerprint = self._hash("")
        self.strangers = False
        """Whether there are processes whose key is another one."""

    def __len__(self) -> int:
        """Leases that are held, or asked for."""
        return len(self._held)

    @property
    def wakes_at(self) -> float:
        """When there will be something to send, if nothing happens before."""
        return self._renew_at

    @property
    def idle(self) -> bool:
        return not self._asking and not self._leaving

    def come(self, name: str, vendor: str, credential: str, terms: Terms, now: float) -> Lease:
        """A session. Each has to be told to have left, also one that was refused."""
        lease = Lease(name, self._hash(f"{vendor}\0{credential}"), terms, now)
        self._asking[lease] = None
        self._held.add(lease)
        return lease

    def waive(self, lease: Lease) -> None:
        """Nobody waits for the answer any more: the session goes on, and is to be counted whatever the limits say."""
        lease.waived = True

    def left(self, lease: Lease, now: float, lingers: bool = False, forgotten: bool = False) -> None:
        """A session is over. `forgotten`: it never got as far as the vendor."""
        sent, refused = lease.state is not _State.ASKING, lease.refused is not None
        lease.state = _State.OVER
        self._held.discard(lease)
        self._asking.pop(lease, None)
        if sent and not refused:
            self._leave(_Leaving(lease, lease.terms.linger_seconds if lingers else 0.0, forgotten, now))

    def renew_now(self) -> None:
        self._renew_at = float("-inf")

    def commands(self, now: float) -> list[Command]:
        """All that is to be sent now. What becomes of it has to be told: `answered`, or `lost`."""
        found = [self._leave_command(one, now) for one in self._leaving.values() if self._matters(one, now)]
        found += [self._come_command(lease, now) for lease in self._asking]
        self._leaving.clear()
        self._asking.clear()
        if now >= self._renew_at:
            self._renew_at = now + self._lease_seconds / RENEWALS
            found += self._renewals()
        return found

    def answered(self, command: Command, answer: Sequence[int] | int) -> None:
        if command.script is Script.GREET and isinstance(answer, int):
            self.strangers = answer > 1
        lease = command.lease
        if lease is None or isinstance(answer, int):
            return
        taken, came, is_open = answer
        terms = lease.terms
        if lease.crowded is None:
            lease.crowded = frozenset(_crowded(terms, came, is_open))
        if lease.state is not _State.SENT:
            return  # it has left meanwhile, which is the next command
        if taken:
            lease.state = _State.HELD
        elif lease.waived:
            self._ask_again(lease)
        else:
            self._held.discard(lease)
            lease.state = _State.OVER
            lease.refused = next(rule for rule in Rule if rule in lease.crowded & terms.refuses)

    def lost(self, commands: Iterable[Command]) -> None:
        """The connection, and with it what these have come to: to send them again does no harm."""
        for command in commands:
            if command.went is not None:
                self._leave(command.went)
            elif command.lease is not None and command.lease.state is _State.SENT:
                self._ask_again(command.lease)
        self.renew_now()

    def _ask_again(self, lease: Lease) -> None:
        lease.waived, lease.state = True, _State.ASKING
        self._asking[lease] = None

    def _leave(self, one: _Leaving) -> None:
        if len(self._leaving) < MOST_LEAVING:
            self._leaving[one.lease] = one

    def _matters(self, one: _Leaving, now: float) -> bool:
        """Later there is nothing left of it."""
        return now - one.at < max(self._lease_seconds, one.seconds, MINUTE if one.forgotten else 0.0)

    def _leave_command(self, one: _Leaving, now: float) -> Command:
        lingers = max(0.0, one.seconds - (now - one.at))
        return Command(Script.LEAVE, self._keys(one.lease), (one.lease.name, _ms(lingers), int(one.forgotten)), None, one)

    def _come_command(self, lease: Lease, now: float) -> Command:
        lease.state = _State.SENT
        terms = lease.terms
        holds = [int(not lease.waived and rule in terms.refuses and most is not None)
                 for rule, most in ((Rule.CONNECTION_RATE, terms.per_minute), (Rule.CONCURRENCY, terms.sessions))]
        return Command(Script.COME, self._keys(lease), (
            lease.name, _ms(now - lease.came_at), _ms(self._lease_seconds),
            terms.per_minute or 0, holds[0], terms.sessions or 0, holds[1]), lease)

    def _renewals(self) -> Iterator[Command]:
        milliseconds = _ms(self._lease_seconds)
        yield Command(Script.GREET, (f"{self._prefix}:fleet",), (self.fingerprint, 2 * milliseconds))
        groups: dict[str, list[str]] = {}
        for lease in self._held:
            if lease.state is _State.HELD and lease.terms.sessions is not None:
                groups.setdefault(lease.group, []).append(lease.name)
        for group, names in groups.items():
            for first in range(0, len(names), MOST_AT_ONCE):
                yield Command(Script.STAY, (self._open(group),), (milliseconds, *names[first : first + MOST_AT_ONCE]))

    def _keys(self, lease: Lease) -> tuple[str, str]:
        return f"{self._prefix}:{{{lease.group}}}:came", self._open(lease.group)

    def _open(self, group: str) -> str:
        return f"{self._prefix}:{{{group}}}:open"

    def _hash(self, of: str) -> str:
        return blake2b(of.encode("utf-8", "surrogateescape"), key=self._key, digest_size=16).hexdigest()


def _crowded(terms: Terms, came: int, is_open: int) -> Iterator[Rule]:
    if terms.per_minute is not None and came > terms.per_minute:
        yield Rule.CONNECTION_RATE
    if terms.sessions is not None and is_open > terms.sessions:
        yield Rule.CONCURRENCY


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
