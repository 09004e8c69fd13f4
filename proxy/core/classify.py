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

from collections.abc import Callable, Iterable, Iterator, Sequence
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
    SPEAKS = 3
    """It fits, and speaks for the rule by itself. Only then does "cannot tell" count; else every rule would be a candidate."""


NO: Final = Fit.NO
CANNOT_TELL: Final = Fit.CANNOT_TELL
YES: Final = Fit.YES
SPEAKS: Final = Fit.SPEAKS
"""By name: a report asks two hundred times, and to look a member up costs more than the question."""
CLIENT: Final = Side.CLIENT
Check = Callable[[Claim], Fit]


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
        common = next(((c.meaning, words) for c in self._common for fit, words in (c.fit(claim),) if fit is YES), None)
        if common is not None and common[1]:
            return common
        return own or common or (NOTHING, False)

    def _own_word(self, claim: Claim) -> tuple[Meaning, bool] | None:
        candidates = []
        for compiled in self._own:
            fit, words = compiled.fit(claim)
            if fit is YES:
                return compiled.meaning, words
            if fit is CANNOT_TELL and not compiled.rule.one_of:
                candidates.append(compiled.meaning)
        return (shared(candidates), False) if candidates else None


def _compiled(rules: Sequence[Rule], vendors_own: bool) -> list[_Compiled]:
    meanings = meanings_of(rules, vendors_own)
    return [_Compiled(rule, meanings[rule.id], vendors_own) for rule in rules]


class _Compiled:
    __slots__ = ("_conditions", "meaning", "rule")

    def __init__(self, rule: Rule, meaning: Meaning, vendors_own: bool) -> None:
        self.rule, self.meaning = rule, meaning
        self._conditions = [_Condition(when, vendors_own) for when in rule.when]

    def fit(self, claim: Claim) -> tuple[Fit, bool]:
        """The best fit of its conditions, and whether that one is about words."""
        best, words = NO, False
        for condition in self._conditions:
            fit = condition.fit(claim)
            if fit > best or (fit is best and condition.words and fit is not NO):
                best, words = fit, condition.words
        return best, words


class _Condition:
    """One `when`, as checks: one for each thing it asks. What is cheap and mostly says no is asked first."""

    __slots__ = ("_aloof", "_checks", "words")

    def __init__(self, when: When, vendors_own: bool) -> None:
        ear = _Ear(when, vendors_own)
        self._aloof = vendors_own and when.in_between is None and when.html is None
        self._checks: list[Check] = [*_numbers(when, ear), *_circumstances(when, ear), *_words(when, ear)]
        self.words = when.numbered is None and bool(when.text or when.exact or when.server_code or when.header)

    def fit(self, claim: Claim) -> Fit:
        """NO, CANNOT_TELL or YES."""
        if self._aloof and (claim.in_between or claim.html):
            return NO
        unsure = speaks = False
        for check in self._checks:
            fit = check(claim)
            if fit is NO:
                return NO
            if fit is SPEAKS:
                speaks = True
            elif fit is CANNOT_TELL:
                unsure = True
        return YES if not unsure else CANNOT_TELL if speaks else NO


class _Ear:
    """What of a claim one `when` may hear. Apart from its condition, so that the checks, which need it, make no circle with that."""

    __slots__ = ("_of_client", "_own")

    def __init__(self, when: When, vendors_own: bool) -> None:
        self._own, self._of_client = vendors_own, when.close_by is CLIENT

    def heeds_close(self, claim: Claim) -> bool:
        """Whether the close frame counts. A client that closes because of the vendor's error frame tells nothing new."""
        if claim.close_by is not CLIENT:
            return True
        return not claim.told.says_something and (not self._own or self._of_client)

    def close_code(self, claim: Claim) -> int | None:
        return claim.close_code if self.heeds_close(claim) else None

    def close_by(self, claim: Claim) -> Side | None:
        return claim.close_by if self.heeds_close(claim) else None

    def heard(self, claim: Claim) -> list[str]:
        anybody = not self._own or self._of_client
        return claim.said + claim.said_by_client if anybody and self.heeds_close(claim) else claim.said


def _numbers(when: When, ear: _Ear) -> Iterator[Check]:
    if when.close_code is not None:
        codes = when.close_code
        yield lambda claim: _speaks(ear.close_code(claim) in codes)
    if when.number is not None:
        numbers, written = when.number, frozenset(str(number) for number in when.number)
        yield lambda claim: _speaks(ear.close_code(claim) in numbers or claim.told.server_code in written)
    if when.http_status:
        yield _status(frozenset(str(status) for status in when.http_status))
    if when.transport is not None:
        transports = when.transport
        yield lambda claim: _speaks(claim.transport in transports)
    if when.reported_seconds is not None:
        seconds = when.reported_seconds
        yield lambda claim: _speaks(claim.reported_seconds == seconds)


def _circumstances(when: When, ear: _Ear) -> Iterator[Check]:
    if when.endpoint is not None:
        endpoints = when.endpoint
        yield lambda claim: _known(claim.endpoint, endpoints)
    if when.phase is not None:
        phases = when.phase
        yield lambda claim: _known(claim.phase, phases)
    if when.ended_by is not None:
        sides = when.ended_by
        yield lambda claim: _known(claim.ended_by, sides)
    if when.close_by is not None:
        closer = (when.close_by,)
        yield lambda claim: _known(ear.close_by(claim), closer)
    if when.ready is not None:
        ready = (when.ready,)
        yield lambda claim: _known(claim.ready, ready)
    if when.end_sent is not None:
        end_sent = (when.end_sent,)
        yield lambda claim: _known(claim.end_sent, end_sent)
    if when.told is not None:
        told = when.told
        yield lambda claim: _yes(claim.told.says_something == told)
    if when.numbered is not None:
        numbered = when.numbered
        yield lambda claim: _yes((claim.close_code is not None or claim.http_status is not None) == numbered)
    if when.in_between is not None:
        in_between = when.in_between
        yield lambda claim: _yes(bool(claim.in_between) == in_between)
    if when.html is not None:
        html = when.html
        yield lambda claim: _yes(claim.html == html)
    if when.audio_sent is not None:
        audio_sent = (None, when.audio_sent)
        yield lambda claim: _yes(claim.audio_sent in audio_sent)


def _words(when: When, ear: _Ear) -> Iterator[Check]:
    if when.server_code:
        codes = {fold(code) for code in when.server_code}
        yield lambda claim: _said(fold(claim.told.server_code or "") in codes, bool(claim.told.server_code or ear.heard(claim)))
    for name, phrases in (when.header or {}).items():
        yield _header(name.lower(), tuple(map(Phrase, phrases)))
    if when.text:
        yield _among_phrases(ear, Phrase.found_in, tuple(map(Phrase, when.text)))
    if when.exact:
        yield _among_phrases(ear, Phrase.is_whole, tuple(map(Phrase, when.exact)))


def _among_phrases(ear: _Ear, fits: Callable[[Phrase, str], bool], phrases: tuple[Phrase, ...]) -> Check:
    def check(claim: Claim) -> Fit:
        heard = ear.heard(claim)
        return _said(any(fits(phrase, text) for phrase in phrases for text in heard), bool(heard))

    return check


def _status(statuses: frozenset[str]) -> Check:
    def check(claim: Claim) -> Fit:
        status = str(claim.http_status)
        # A class alone speaks for nothing: with no words every rule that wants a 4xx and words would be a candidate.
        return SPEAKS if status in statuses else _yes(f"{status[0]}xx" in statuses)

    return check


def _header(name: str, phrases: tuple[Phrase, ...]) -> Check:
    def check(claim: Claim) -> Fit:
        value = (claim.headers or {}).get(name)
        return _speaks(value is not None and any(phrase.found_in(fold(value)) for phrase in phrases))

    return check


def _yes(fits: bool) -> Fit:
    return YES if fits else NO


def _speaks(fits: bool) -> Fit:
    return SPEAKS if fits else NO


def _said(fits: bool, anything: bool) -> Fit:
    """Where nothing was said at all, the words that would decide are missing."""
    return CANNOT_TELL if not anything else _speaks(fits)


def _known(value: object, wanted: tuple[object, ...]) -> Fit:
    """What is not known is no contradiction, only no proof."""
    return CANNOT_TELL if value is None else _yes(value in wanted)
