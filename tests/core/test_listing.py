"""The catalogue of known errors: every rule that is one, what all share, and the sidecar's own."""

from __future__ import annotations

from proxy.core.listing import Entry, listing
from proxy.core.own import OWN
from proxy.core.verdict import Category, Owner, Retry

from .profiles import common, profile, rule

FITTED = rule("fitted", {"close_code": 4000}, rows="some-1", aliases=["unknown", "other"])
GOOD = rule("good", {"close_code": 1000}, code="normal", category="normal", outcome="ok")
BETWEEN = rule("between", {"close_code": 4001}, category="auth", retry="backoff")
EITHER = rule("either", {"number": 1}, one_of=["fitted", "between"], hint="Either.", rows="some-2")


def test_every_rule_that_is_an_error_has_its_row_in_the_order_of_the_file() -> None:
    assert list(listing([profile(rules=[FITTED, GOOD, EITHER, BETWEEN])], None)) == [
        Entry("some", "FITTED", Category.PROTOCOL, Owner.CLIENT, Retry.AFTER_FIX, "Do it.", "fitted", ("some-1",), ("unknown", "other")),
        Entry("some", "unclassified", Category.UNCLASSIFIED, Owner.UNKNOWN, Retry.AFTER_FIX, "Either.", "either", ("some-2",)),
        Entry("some", "BETWEEN", Category.AUTH, Owner.OPERATOR, Retry.BACKOFF, "Do it.", "between"),
    ]


def test_what_is_said_in_several_ways_is_one_error() -> None:
    words = rule("words", {"text": "fit"}, code="FITTED", rows="some-3", aliases=["other", "third"])
    other = rule("not-quite", {"text": "quite"}, code="FITTED", retry="never")
    entries = list(listing([profile(rules=[FITTED, BETWEEN, words, other])], None))
    assert [(entry.rule, entry.rows, entry.aliases) for entry in entries] == [
        ("fitted", ("some-1", "some-3"), ("unknown", "other", "third")), ("between", (), ()), ("not-quite", (), ()),
    ]


def test_what_belongs_to_no_vendor_comes_last() -> None:
    found = list(listing([profile()], common(rule("shared", {"close_code": 1002}))))
    assert [(entry.vendor, entry.code, entry.rule) for entry in found] == [
        (None, "SHARED", "shared"), (None, "unclassified", None), *((None, code, code) for code in OWN),
    ]
    assert all(entry.hint.endswith(".") for entry in found)


def test_a_row_is_flat() -> None:
    (entry,) = listing([profile(rules=[FITTED])], None)
    assert entry.as_dict() == {
        "vendor": "some", "code": "FITTED", "category": "protocol", "owner": "client", "retry": "after_fix", "hint": "Do it.",
        "rule": "fitted", "rows": ("some-1",), "aliases": ("unknown", "other"),
    }
