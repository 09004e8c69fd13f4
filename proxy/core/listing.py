"""Everything that is known to go wrong, as rows: what stands behind `earwitness catalog`.

Derived from the profiles, the common rules and the sidecar's own codes, so that nothing is typed twice. How rows are shown is
the command's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from proxy.core.classify import NOTHING, Meaning, meanings_of
from proxy.core.own import OWN, own_meaning
from proxy.core.profile import Profile
from proxy.core.rules import Common, Rule
from proxy.core.verdict import Category, Owner, Retry


@dataclass(frozen=True, slots=True)
class Entry:
    """One known error. `vendor` is null for what any vendor's session may end with, and for the sidecar's own."""

    vendor: str | None
    code: str
    category: Category
    owner: Owner
    retry: Retry
    hint: str
    rule: str | None
    """The first rule that says so."""
    rows: tuple[str, ...] = ()
    """Rows of the vendor's own error page."""
    aliases: tuple[str, ...] = ()
    """Other names that the vendor has for the same."""

    def as_dict(self) -> dict[str, Any]:
        """One flat object, every field present."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def listing(profiles: Iterable[Profile], common: Common | None) -> Iterator[Entry]:
    """The errors of these vendors in the order of their rules; with `common` also those of all, and the sidecar's own."""
    for profile in profiles:
        yield from _of_rules(profile.vendor, profile.rules)
    if common is not None:
        yield from _of_rules(None, common.rules)
        yield _entry(None, NOTHING)
        for code in OWN:
            yield _entry(None, own_meaning(code))


def _of_rules(vendor: str | None, rules: tuple[Rule, ...]) -> Iterable[Entry]:
    """What several rules say in the same words is one error, told in several ways: it stands where the first of them does."""
    meanings = meanings_of(rules, vendor is not None)
    entries: dict[Meaning, Entry] = {}
    for rule in rules:
        if rule.outcome == "error":
            entry = _entry(vendor, meanings[rule.id], rule.rows, rule.aliases)
            same = replace(meanings[rule.id], rule=None)
            first = entries.setdefault(same, entry)
            entries[same] = replace(first, rows=_both(first.rows, entry.rows), aliases=_both(first.aliases, entry.aliases))
    return entries.values()


def _both(some: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(some + more))


def _entry(vendor: str | None, meaning: Meaning, rows: tuple[str, ...] = (), aliases: tuple[str, ...] = ()) -> Entry:
    return Entry(vendor, meaning.code, meaning.category, meaning.owner, meaning.retry, meaning.hint or "", meaning.rule, rows, aliases)
