"""How many sessions share a credential, as far as this process sees: open ones, and new ones in the last minute.

Owns the counting, for listener and credential together. A credential is never kept: what is kept is a hash under a key that the
caller made at random for this process alone, so that it tells nothing to anybody, here or elsewhere. Other processes may use
the same credential: every figure is a lower bound. Bounded: what is idle goes first, and what finds no room is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from proxy.core.profile import Declared
from proxy.core.shape import Rate
from proxy.core.vendor import Request

MOST_GROUPS: Final = 4096
MINUTE: Final = 60.0

Group = bytes
"""A hash of listener and credential."""


@dataclass(frozen=True, slots=True)
class Company:
    """What a session found when it came, itself included."""

    group: Group
    open: int
    per_minute: int


class _Group:
    __slots__ = ("came", "last_at", "open")

    def __init__(self) -> None:
        self.open = 0
        self.came = Rate(MINUTE)
        self.last_at = 0.0


class Crowd:
    """All open sessions by listener and credential. `key` is random, and lives no longer than this."""

    __slots__ = ("_groups", "_key", "_look_again")

    def __init__(self, key: bytes) -> None:
        self._key = key[:64]
        self._groups: dict[Group, _Group] = {}
        self._look_again = 0.0

    def __len__(self) -> int:
        return len(self._groups)

    def came(self, listener: str, credential: str, now: float) -> Company | None:
        """A session begins; None where there is no room to count it. Each that is counted must be told to have `left`."""
        name = blake2b(f"{listener}\0{credential}".encode("utf-8", "surrogateescape"), key=self._key, digest_size=16).digest()
        group = self._groups.get(name)
        if group is None:
            if not self._has_room(now):
                return None
            group = self._groups[name] = _Group()
        group.open += 1
        group.last_at = now
        group.came.add(now)
        return Company(name, group.open, group.came.now)

    def sent_away(self, company: Company) -> None:
        """The one that just came never got as far as the vendor."""
        self.left(company)
        group = self._groups.get(company.group)
        if group is not None:
            group.came.take_back()

    def left(self, company: Company | None) -> None:
        group = self._groups.get(company.group) if company is not None else None
        if group is not None and group.open:
            group.open -= 1

    def _has_room(self, now: float) -> bool:
        """Where there is none, what is idle is dropped; that is looked for once a second at most."""
        if len(self._groups) >= MOST_GROUPS and now >= self._look_again:
            self._look_again = now + 1.0
            for name in [name for name, group in self._groups.items() if not group.open and now - group.last_at >= MINUTE]:
                del self._groups[name]
        return len(self._groups) < MOST_GROUPS


def credential_of(places: Iterable[Declared], request: Request) -> str:
    """All that stands where the vendor looks for a credential; nothing where there is none."""
    return "\0".join(value for place in places if (value := request.declared(place)))
