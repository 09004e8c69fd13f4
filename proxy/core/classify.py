"""Ordered rules over a claim, to what it means. `unclassified` is an answer.

A rule fits, does not fit, or cannot be told, because the claim lacks what the rule asks for (a close code came, but its
text is the vendor's fixed sentence). The first rule that fits wins, the vendor's own before the common ones. When none of
the vendor's fits, but several cannot be told apart, the verdict is what all of them share: to name one of them would be
a guess. This module never looks at measurements; whether a claim is true is the evidence's question.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from proxy.core.claim import Claim
from proxy.core.phrases import Phrase, fold
from proxy.core.profile import Common, Profile, Rule, When
from proxy.core.verdict import DEFAULTS, UNCLASSIFIED, Category, Owner, Retry


class Fit(IntEnum):
    NO = 0
    CANNOT_TELL = 1
    YES = 2


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a claim means, by rule alone."""

    code: str
    rule: str | None
    category: Category
    owner: Owner
    retry: Retry
    ok: bool = False
    hint: str | None = None
    vendors_own: bool = False
    """Whether a rule of the vendor's own file said it, rather than one that all vendors share."""


NOTHING: Final = Meaning(UNCLASSIFIED, None, Category.UNCLASSIFIED, *DEFAULTS[Category.UNCLASSIFIED], hint=(
    "No rule knows this. Look at the raw fields of the report, and add a rule to the vendor's profile."))


def meaning_of(rule: Rule, vendors_own: bool) -> Meaning:
    """The meaning that a plain rule (one without `one_of`) gives."""
    assert rule.category is not None and rule.code is not None
    owner, retry = DEFAULTS[rule.category]
    return Meaning(rule.code, rule.id, rule.category, rule.owner or owner, rule.retry or retry,
                   ok=rule.outcome == "ok", hint=rule.hint, vendors_own=vendors_own)


def shared(meanings: Iterable[Meaning]) -> Meaning:
    """What several candidates have in common; one candidate is its own answer. Raises ValueError for none."""
    candidates = list(dict.fromkeys(meanings))
    if not candidates:
        raise ValueError("no candidates")
    if len(candidates) == 1:
        return candidates[0]
    categories = {m.category for m in candidates}
    owners = {m.owner for m in candidates}
    retries = {m.retry for m in candidates}
    return Meaning(
        code=UNCLASSIFIED,
        rule=None,
        category=categories.pop() if len(categories) == 1 else Category.UNCLASSIFIED,
        owner=owners.pop() if len(owners) == 1 else Owner.UNKNOWN,
        retry=retries.pop() if len(retries) == 1 else Retry.AFTER_FIX,
        hint="Nothing tells these apart: " + ", ".join(dict.fromkeys(m.code for m in candidates)) + ".",
        vendors_own=all(m.vendors_own for m in candidates),
    )


class Classifier:
    """The rules of one profile and the common ones, compiled once and shared by all sessions."""

    def __init__(self, profile: Profile, common: Common) -> None:
        self._own = [_Compiled(rule, True) for rule in profile.rules]
        self._common = [_Compiled(rule, False) for rule in common.rules]
        plain = {c.rule.id: c for c in self._own if not c.rule.one_of} | {c.rule.id: c for c in self._common if not c.rule.one_of}
        for compiled in (*self._own, *self._common):
            compiled.answer(plain)

    def classify(self, claim: Claim) -> Meaning:
        candidates = []
        for compiled in self._own:
            fit = compiled.fit(claim)
            if fit is Fit.YES:
                return compiled.meaning
            if fit is Fit.CANNOT_TELL and not compiled.rule.one_of:
                candidates.append(compiled.meaning)
        if candidates:
            return shared(candidates)
        return next((c.meaning for c in self._common if c.fit(claim) is Fit.YES), NOTHING)


class _Compiled:
    __slots__ = ("_conditions", "_own", "meaning", "rule")

    def __init__(self, rule: Rule, vendors_own: bool) -> None:
        self.rule = rule
        self._own = vendors_own
        self._conditions = tuple(_Condition(when) for when in rule.when)
        self.meaning = NOTHING

    def answer(self, plain: dict[str, _Compiled]) -> None:
        if self.rule.one_of:
            self.meaning = shared(meaning_of(plain[name].rule, self._own) for name in self.rule.one_of)
        else:
            self.meaning = meaning_of(self.rule, self._own)

    def fit(self, claim: Claim) -> Fit:
        return max(condition.fit(claim) for condition in self._conditions)


class _Condition:
    """One `when`. Exact conditions are looked at first: they are cheap and mostly say no."""

    __slots__ = ("_codes", "_exact", "_headers", "_numbers", "_statuses", "_text", "_when")

    def __init__(self, when: When) -> None:
        self._when = when
        self._text = tuple(map(Phrase, when.text or ()))
        self._exact = tuple(map(Phrase, when.exact or ()))
        self._codes = {fold(code) for code in when.server_code or ()}
        self._headers = {name.lower(): tuple(map(Phrase, phrases)) for name, phrases in (when.header or {}).items()}
        self._numbers = frozenset(str(number) for number in when.number or ())
        self._statuses = frozenset(str(status) for status in when.http_status or ())

    def fit(self, claim: Claim) -> Fit:
        worst, anchored = Fit.YES, False
        for fit, anchors in self._fits(claim):
            if fit is Fit.NO:
                return Fit.NO
            worst = min(worst, fit)
            anchored = anchored or (anchors and fit is Fit.YES)
        # "Cannot tell" only counts where something speaks for the rule; else every rule would be a candidate.
        return worst if worst is Fit.YES or anchored else Fit.NO

    def _fits(self, claim: Claim) -> Iterable[tuple[Fit, bool]]:
        """Each condition that is given: how it fits, and whether it speaks for the rule by itself."""
        w = self._when
        if w.close_code is not None:
            yield _among(claim.close_code, w.close_code), True
        if w.number is not None:
            yield Fit(2 * (claim.close_code in w.number or claim.told.server_code in self._numbers)), True
        if self._statuses:
            status = str(claim.http_status) if claim.http_status is not None else ""
            yield Fit(2 * (status in self._statuses or (bool(status) and status[0] + "xx" in self._statuses))), True
        if w.transport is not None:
            yield _among(claim.transport, w.transport), True
        if w.endpoint is not None:
            yield _known(claim.endpoint, w.endpoint), False
        if w.phase is not None:
            yield _known(claim.phase, w.phase), False
        if w.close_by is not None:
            yield _known(claim.close_by, (w.close_by,)), False
        if w.ended_by is not None:
            yield _known(claim.ended_by, w.ended_by), False
        if w.ready is not None:
            yield _known(claim.ready, (w.ready,)), False
        if w.in_between is not None:
            yield Fit(2 * (bool(claim.in_between) == w.in_between)), False
        if w.audio_sent is not None:
            yield Fit(2 * (claim.audio_sent is None or claim.audio_sent == w.audio_sent)), False
        if w.end_sent is not None:
            yield Fit(2 * (claim.end_sent is None or claim.end_sent == w.end_sent)), False
        if w.reported_seconds is not None:
            yield Fit(2 * (claim.reported_seconds == w.reported_seconds)), True
        yield from self._words(claim)

    def _words(self, claim: Claim) -> Iterable[tuple[Fit, bool]]:
        if self._codes:
            code = claim.told.server_code
            yield (Fit.CANNOT_TELL if not code and not claim.said else Fit(2 * (bool(code) and fold(code or "") in self._codes))), True
        for name, phrases in self._headers.items():
            value = (claim.headers or {}).get(name)
            yield Fit(2 * (value is not None and any(p.found_in(fold(value)) for p in phrases))), True
        if self._text:
            found = any(p.found_in(text) for p in self._text for text in claim.said)
            yield (Fit.YES if found else Fit.NO if claim.said else Fit.CANNOT_TELL), True
        if self._exact:
            found = any(p.is_whole(text) for p in self._exact for text in claim.said)
            yield (Fit.YES if found else Fit.NO if claim.said else Fit.CANNOT_TELL), True


def _among(value: object, wanted: tuple[object, ...]) -> Fit:
    return Fit(2 * (value is not None and value in wanted))


def _known(value: object, wanted: tuple[object, ...]) -> Fit:
    """Like `_among`, but what is not known is no contradiction, only no proof."""
    return Fit.CANNOT_TELL if value is None else Fit(2 * (value in wanted))
