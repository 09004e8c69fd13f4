"""Ordered rules over a claim, to what it means. `unclassified` is an answer.

A rule fits, does not fit, or cannot be told, because the claim lacks what the rule asks for (a close code came, but its
text is the vendor's fixed sentence). The first rule that fits wins, the vendor's own before the common ones; only, words
beat numbers, which mean one thing here and another there: a common rule about words goes before a vendor's about a bare
number. When none of the vendor's fits, but several cannot be told apart, the verdict is what all of them share: to name
one of them would be a guess. A vendor's rules are about what the vendor said: they never read a close frame of the
client's, the answer of something in between, or a page that anybody may have sent, as the vendor's word. This module never
looks at measurements; whether a claim is true is the evidence's question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from proxy.core.claim import Claim
from proxy.core.phrases import Phrase, fold
from proxy.core.profile import Profile
from proxy.core.rules import Common, Rule, When
from proxy.core.verdict import DEFAULTS, UNCLASSIFIED, Category, Owner, Retry, Side


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
    assert rule.category is not None
    assert rule.code is not None
    owner, retry = DEFAULTS[rule.category]
    return Meaning(rule.code, rule.id, rule.category, rule.owner or owner, rule.retry or retry,
                   ok=rule.outcome == "ok", hint=rule.hint, vendors_own=vendors_own)


def meanings_of(rules: Sequence[Rule], vendors_own: bool) -> dict[str, Meaning]:
    """What each rule means, by id; one with `one_of` means what those it names share."""
    plain = {rule.id: meaning_of(rule, vendors_own) for rule in rules if not rule.one_of}
    return {rule.id: plain[rule.id] if rule.id in plain else _among(rule, plain) for rule in rules}


def _among(rule: Rule, plain: dict[str, Meaning]) -> Meaning:
    among = shared(plain[name] for name in rule.one_of)
    return replace(among, rule=rule.id, hint=rule.hint or among.hint)


def shared(meanings: Iterable[Meaning]) -> Meaning:
    """What several candidates have in common; one candidate is its own answer. Raises ValueError for none."""
    candidates = list(dict.fromkeys(meanings))
    if not candidates:
        raise ValueError("no candidates")
    if len(candidates) == 1:
        return candidates[0]
    same = len({(m.code, m.category, m.owner, m.retry) for m in candidates}) == 1
    categories = {m.category for m in candidates}
    owners = {m.owner for m in candidates}
    retries = {m.retry for m in candidates}
    return Meaning(
        code=candidates[0].code if same else UNCLASSIFIED,
        rule=None,
        category=categories.pop() if len(categories) == 1 else Category.UNCLASSIFIED,
        owner=owners.pop() if len(owners) == 1 else Owner.UNKNOWN,
        retry=retries.pop() if len(retries) == 1 else Retry.AFTER_FIX,
        ok=all(m.ok for m in candidates),
        hint=candidates[0].hint if same else "Nothing tells these apart: " + ", ".join(dict.fromkeys(m.code for m in candidates)) + ".",
        vendors_own=all(m.vendors_own for m in candidates),
    )


class Classifier:
    """The rules of one profile and the common ones, compiled once and shared by all sessions."""

    def __init__(self, profile: Profile, common: Common) -> None:
        self._own = _compiled(profile.rules, True)
        self._common = _compiled(common.rules, False)

    def classify(self, claim: Claim) -> Meaning:
        return self.decide(claim)[0]

    def decide(self, claim: Claim) -> tuple[Meaning, bool]:
        """The meaning, and whether words decided it (a text, a code of the vendor's own) rather than a bare number."""
        own = self._own_word(claim)
        if own is not None and own[1]:
            return own
        common = next(((c.meaning, words) for c in self._common for fit, words in (c.fit(claim),) if fit is Fit.YES), None)
        if common is not None and common[1]:
            return common
        return own or common or (NOTHING, False)

    def _own_word(self, claim: Claim) -> tuple[Meaning, bool] | None:
        candidates = []
        for compiled in self._own:
            fit, words = compiled.fit(claim)
            if fit is Fit.YES:
                return compiled.meaning, words
            if fit is Fit.CANNOT_TELL and not compiled.rule.one_of:
                candidates.append(compiled.meaning)
        return (shared(candidates), False) if candidates else None


def _compiled(rules: Sequence[Rule], vendors_own: bool) -> list[_Compiled]:
    meanings = meanings_of(rules, vendors_own)
    return [_Compiled(rule, meanings[rule.id], vendors_own) for rule in rules]


class _Compiled:
    __slots__ = ("_conditions", "meaning", "rule")

    def __init__(self, rule: Rule, meaning: Meaning, vendors_own: bool) -> None:
        self.rule, self.meaning = rule, meaning
        self._conditions = tuple(_Condition(when, vendors_own) for when in rule.when)

    def fit(self, claim: Claim) -> tuple[Fit, bool]:
        """The best fit of its conditions, and whether that one is about words."""
        return max((condition.fit(claim), condition.words) for condition in self._conditions)


class _Condition:
    """One `when`. Exact conditions are looked at first: they are cheap and mostly say no."""

    __slots__ = ("_codes", "_exact", "_headers", "_numbers", "_own", "_statuses", "_text", "_when", "words")

    def __init__(self, when: When, vendors_own: bool) -> None:
        self._when, self._own = when, vendors_own
        self._text = tuple(map(Phrase, when.text or ()))
        self._exact = tuple(map(Phrase, when.exact or ()))
        self._codes = {fold(code) for code in when.server_code or ()}
        self._headers = {name.lower(): tuple(map(Phrase, phrases)) for name, phrases in (when.header or {}).items()}
        self._numbers = frozenset(str(number) for number in when.number or ())
        self._statuses = frozenset(str(status) for status in when.http_status or ())
        self.words = when.numbered is None and bool(self._text or self._exact or self._codes or self._headers)

    def fit(self, claim: Claim) -> Fit:
        if self._own and (claim.in_between or claim.html) and self._when.in_between is None and self._when.html is None:
            return Fit.NO
        worst, anchored = Fit.YES, False
        for fit, anchors in self._fits(claim):
            if fit is Fit.NO:
                return Fit.NO
            worst = min(worst, fit)
            anchored = anchored or (anchors and fit is Fit.YES)
        # "Cannot tell" only counts where something speaks for the rule; else every rule would be a candidate.
        return worst if worst is Fit.YES or anchored else Fit.NO

    def _heeds_close(self, claim: Claim) -> bool:
        """Whether the close frame counts. A client that closes because of the vendor's error frame tells nothing new."""
        if claim.close_by is not Side.CLIENT:
            return True
        return not claim.told.says_something and (not self._own or self._when.close_by is Side.CLIENT)

    def _heard(self, claim: Claim) -> list[str]:
        anybody = not self._own or self._when.close_by is Side.CLIENT
        return claim.said + claim.said_by_client if anybody and self._heeds_close(claim) else claim.said

    def _fits(self, claim: Claim) -> Iterable[tuple[Fit, bool]]:
        """Each condition that is given: how it fits, and whether it speaks for the rule by itself."""
        yield from self._numbers_of(claim)
        yield from self._circumstances(claim)
        yield from self._words(claim)

    def _numbers_of(self, claim: Claim) -> Iterable[tuple[Fit, bool]]:
        w = self._when
        close_code = claim.close_code if self._heeds_close(claim) else None
        if w.close_code is not None:
            yield _yes(close_code in w.close_code), True
        if w.number is not None:
            yield _yes(close_code in w.number or claim.told.server_code in self._numbers), True
        if self._statuses:
            status = str(claim.http_status)
            # A class alone speaks for nothing: with no words every rule that wants a 4xx and words would be a candidate.
            yield _yes(not self._statuses.isdisjoint((status, f"{status[0]}xx"))), status in self._statuses
        if w.transport is not None:
            yield _yes(claim.transport in w.transport), True
        if w.reported_seconds is not None:
            yield _yes(claim.reported_seconds == w.reported_seconds), True

    def _circumstances(self, claim: Claim) -> Iterable[tuple[Fit, bool]]:
        w = self._when
        for value, wanted in ((claim.endpoint, w.endpoint), (claim.phase, w.phase), (claim.ended_by, w.ended_by)):
            if wanted is not None:
                yield _known(value, wanted), False
        close_by = claim.close_by if self._heeds_close(claim) else None
        for is_so, asked in ((close_by, w.close_by), (claim.ready, w.ready), (claim.end_sent, w.end_sent)):
            if asked is not None:
                yield _known(is_so, (asked,)), False
        if w.told is not None:
            yield _yes(claim.told.says_something == w.told), False
        if w.numbered is not None:
            yield _yes((claim.close_code is not None or claim.http_status is not None) == w.numbered), False
        if w.in_between is not None:
            yield _yes(bool(claim.in_between) == w.in_between), False
        if w.html is not None:
            yield _yes(claim.html == w.html), False
        if w.audio_sent is not None:
            yield _yes(claim.audio_sent in (None, w.audio_sent)), False

    def _words(self, claim: Claim) -> Iterable[tuple[Fit, bool]]:
        heard = self._heard(claim)
        if self._codes:
            code = claim.told.server_code
            yield _said(fold(code or "") in self._codes, bool(code or heard)), True
        for name, phrases in self._headers.items():
            value = (claim.headers or {}).get(name)
            yield _yes(value is not None and any(p.found_in(fold(value)) for p in phrases)), True
        if self._text:
            yield _said(any(p.found_in(text) for p in self._text for text in heard), bool(heard)), True
        if self._exact:
            yield _said(any(p.is_whole(text) for p in self._exact for text in heard), bool(heard)), True


def _yes(fits: bool) -> Fit:
    return Fit.YES if fits else Fit.NO


def _said(fits: bool, anything: bool) -> Fit:
    """Where nothing was said at all, the words that would decide are missing."""
    return Fit.CANNOT_TELL if not anything else _yes(fits)


def _known(value: object, wanted: tuple[object, ...]) -> Fit:
    """What is not known is no contradiction, only no proof."""
    return Fit.CANNOT_TELL if value is None else _yes(value in wanted)
