from dataclasses import fields

from proxy.core.verdict import DEFAULTS, Category, Owner, Retry, Verdict


def test_every_category_has_its_owner_and_retry() -> None:
    assert set(DEFAULTS) == set(Category)
    assert DEFAULTS[Category.IDLE_TIMEOUT] == (Owner.CLIENT, Retry.IMMEDIATE)
    assert DEFAULTS[Category.NORMAL] == (Owner.NONE, Retry.NEVER)
    assert [category for category, (owner, _) in DEFAULTS.items() if owner is Owner.UNKNOWN] == [Category.UNCLASSIFIED]
    assert [category for category, (_, retry) in DEFAULTS.items() if retry is Retry.NEVER] == [Category.NORMAL]


def test_a_verdict_that_knows_nothing_accuses_nobody() -> None:
    verdict = Verdict()
    assert (verdict.code, verdict.category, verdict.owner, verdict.retry) == ("unclassified", "unclassified", "unknown", "after_fix")
    assert verdict.initiated_by == verdict.ended_by == "unknown"


def test_as_dict_is_flat_and_whole() -> None:
    told = Verdict(vendor="acme", close_code=5004).as_dict()
    assert list(told) == [field.name for field in fields(Verdict)]
    assert told["close_code"] == 5004
    assert told["http_status"] is None
    assert all(value is None or isinstance(value, str | int | float) for value in told.values())
