"""No text makes the matcher run away, and none makes it raise: over every phrase of every packaged file."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.claim import MOST_SAID, Claim
from proxy.core.classify import Classifier
from proxy.core.inspect import Told
from proxy.core.phrases import LONGEST, Phrase, fold
from proxy.core.redact import LONGEST as SHOWN
from proxy.core.redact import redact
from proxy.core.rules import When
from proxy.core.vendor import Vendor
from proxy.core.verdict import Side, Transport

from .catalogue import COMMON, NOBODY, PROFILES, verdict

WHENS: Final = [when for rules in (COMMON.rules, *(p.rules for p in PROFILES.values())) for rule in rules for when in rule.when]
AT_ONCE: Final = pytest.mark.timeout(10)
"""Far more than it takes (hundredths of a second), far less than a search that tries everything again from every place."""


def phrases_of(when: When) -> list[str]:
    return [*(when.text or ()), *(when.exact or ()), *(phrase for several in (when.header or {}).values() for phrase in several)]


def phrases_in(vendor: str) -> list[str]:
    return [phrase for rule in PROFILES[vendor].rules for when in rule.when for phrase in phrases_of(when)]


PHRASES: Final = sorted({phrase for when in WHENS for phrase in phrases_of(when)})


class Counted(str):
    """A text that counts how often something is looked for in it."""

    finds = 0

    def find(self, *args: Any) -> int:
        self.finds += 1
        return super().find(*args)


def hostile(phrase: str) -> list[str]:
    """Texts in which a phrase nearly fits, over and over: all of its pieces but the last, each piece alone, and words without end."""
    pieces = [piece for piece in phrase.split("*") if piece.strip()]
    nearly = " ".join(pieces)[:-1]
    return [f"{text} " * (4 * LONGEST // len(f"{text} ")) for text in (nearly, *pieces, "a", phrase)] + ["a" * 4 * LONGEST, "*" * LONGEST]


@pytest.mark.parametrize("source", PHRASES)
def test_each_piece_of_a_phrase_is_looked_for_once(source: str) -> None:
    phrase = Phrase(source)
    for text in hostile(source):
        folded = Counted(fold(text))
        assert len(folded) <= LONGEST + 2
        phrase.found_in(folded)
        phrase.is_whole(folded)
        assert folded.finds <= 2 * len(phrase.pieces)


def test_so_many_texts_are_kept_of_a_vendor_that_complains_all_day() -> None:
    profile = next(iter(PROFILES.values()))
    claim = Claim()
    for number in range(1000):
        claim.hear(profile, Told(server_code=f"{number}", server_title="y" * 10_000, server_detail=f"{number} " * 5000))
    assert len(claim.said) == MOST_SAID
    assert sum(map(len, claim.said)) <= MOST_SAID * (LONGEST + 2)


@AT_ONCE
@pytest.mark.parametrize("vendor", PROFILES)
def test_the_worst_claim_is_classified_in_no_time(vendor: str) -> None:
    profile = PROFILES[vendor]
    classifier = Classifier(profile, COMMON)
    claim = Claim()
    for text in sorted({text for phrase in PHRASES for text in hostile(phrase)}, key=len)[-MOST_SAID:]:
        claim.say(profile, text)
    assert classifier.classify(claim).code


@AT_ONCE
@pytest.mark.parametrize("vendor", PROFILES)
def test_the_worst_text_is_freed_of_parameters_in_no_time(vendor: str) -> None:
    hide = Vendor(PROFILES[vendor], COMMON).discretion(None).text
    for text in sorted({text for phrase in phrases_in(vendor) for text in hostile(phrase)}):
        assert len(hide(text) or "") <= SHOWN


@AT_ONCE
@pytest.mark.parametrize("text", [
    "token=" * 20_000, "Bearer " * 20_000, "://" * 40_000, "?a=" * 40_000, "%3D" * 40_000, "a@" * 60_000, "aA1" * 40_000, "\\\"" * 60_000,
    "eyJ" * 40_000, "authorization: " * 8_000, "-" * 120_000, "a" * 120_000, "\u2028" * 120_000, "'=" * 60_000, "(" * 120_000,
], ids=lambda text: text[:15])
def test_no_text_takes_long_to_redact(text: str) -> None:
    assert len(redact(text)) <= SHOWN


TEXTS: Final = st.none() | st.text(max_size=300) | st.lists(st.sampled_from(PHRASES), max_size=5).map(" ".join)
NAMES: Final = st.text(max_size=20) | st.sampled_from(["retry-after", "dg-error", "server"])
HEADERS: Final = st.dictionaries(NAMES, st.text(max_size=40), max_size=3)
CODES: Final = st.none() | st.integers(-1, 70_000) | st.sampled_from([100, 410, 1000, 1005, 1006, 1008, 1011, 3006, 3007, 4001, 4004, 5004])


@pytest.mark.parametrize("vendor", [*PROFILES, NOBODY.vendor, None])
@given(
    path=st.none() | st.text(max_size=40), status=st.none() | st.integers(100, 599), headers=st.none() | HEADERS, body=TEXTS,
    frames=st.lists(TEXTS.filter(bool), max_size=3), code=CODES, reason=TEXTS, ready=st.none() | st.booleans(),
    transport=st.none() | st.sampled_from(Transport), by=st.none() | st.sampled_from(Side),
)
def test_nothing_that_can_be_said_makes_classification_fail(
    vendor: str | None, path: str | None, status: int | None, body: str | None, frames: list[str], code: int | None, reason: str | None,
    transport: Transport | None, by: Side | None, headers: dict[str, str] | None, ready: bool | None,
) -> None:
    got = verdict(vendor, path=path, http_status=status, body=body, frames=tuple(frames), close_code=code, close_reason=reason,
                  transport=transport, ended_by=by, headers=headers, ready=ready)
    assert got.code
    assert got.hint
