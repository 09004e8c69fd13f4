import logging
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.policy import Action, Mode, Policy, Rule
from proxy.core.profile import Profile
from proxy.core.report import Evidence
from proxy.core.session import Session as CoreSession
from proxy.core.tally import Example
from proxy.core.verdict import Inspection, Outcome
from proxy.telemetry import known
from proxy.telemetry.catalogue import STATUS_CLASSES
from proxy.telemetry.ledger import Ledger, MiscountError, Session

from .fakes import COMMON, FakeSession, profile, report

PLACE = ("main", "acme", "v1")


def ledger(strict: bool = True) -> Ledger:
    return Ledger({"main": profile()}, COMMON, strict=strict)


def _typed(session: CoreSession) -> Session:
    """The type checker holds the core's session to what the ledger reads."""
    return session


def test_the_cores_session_has_what_the_ledger_reads() -> None:
    session = object.__new__(CoreSession)
    assert _typed(session) is session
    for name in ("listener", "vendor", "endpoint", "to_vendor", "to_client", "audio", "lead_seconds", "held_seconds", "undelivered_seconds",
                 "buffered"):
        assert hasattr(CoreSession, name)


def test_foreseen_sets_are_there_at_0() -> None:
    book = ledger()
    assert book.started_total == book.active == {PLACE: 0, ("main", "acme", "v2"): 0}
    assert set(book.ended_total) == {("main", "acme", v, *end) for v in ("v1", "v2") for end in known.ENDS}
    assert ("main", "acme", "v1", "websocket_connect", "INVALID_AUTH", "auth", "operator", "after_fix") in book.errors
    assert not any([*book.ended_total.values(), *book.errors.values(), *book.warnings.values(), *book.rejections.values()])
    assert set(book.error_info.values()) == {1}
    assert set(book.durations) == {("acme", "ok"), ("acme", "error")}


def test_a_session_that_goes_well() -> None:
    book, session = ledger(), FakeSession()
    book.started(session)
    assert (book.started_total[PLACE], book.active[PLACE]) == (1, 1)
    session.to_vendor.frames[0] = 5
    session.audio.read = 2.5
    book.ended(session, report(seconds=12))
    assert (book.started_total[PLACE], book.active[PLACE], book.open) == (1, 0, {})
    assert book.ended_total[(*PLACE, "ok", "none", "client")] == 1
    assert sum(book.errors.values()) == 0
    assert book.finished["main", "acme"].to_vendor.frames[0] == 5
    assert book.finished["main", "acme"].audio.read == 2.5
    assert book.durations["acme", "ok"].total == 12


def test_an_end_is_an_example_of_what_it_counts_for() -> None:
    book = ledger()
    for outcome, mark, at in ((Outcome.ERROR, "a" * 32, 10.0), (Outcome.ERROR, None, 11.0), (Outcome.OK, "b" * 32, 12.0)):
        session = FakeSession()
        book.started(session)
        book.ended(session, report(outcome, seconds=12), mark, at)
    [(labels, example)] = book.examples.items()
    assert (book.errors[labels], example) == (2, Example(1.0, "a" * 32, 10.0))
    assert list(book.durations["acme", "ok"].examples.values()) == [Example(12, "b" * 32, 12.0)]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_error_is_counted_for_what_failed_alone(outcome: Outcome) -> None:
    book, session = ledger(), FakeSession()
    book.started(session)
    book.ended(session, report(outcome))
    failed = outcome in (Outcome.ERROR, Outcome.REFUSED_BY_VENDOR)
    key = (*PLACE, "websocket_connect", "INVALID_AUTH", "auth", "operator", "after_fix")
    assert book.errors[key] == sum(book.errors.values()) == int(failed)
    assert sum(book.ended_total.values()) == 1
    assert sum(book.durations["acme", outcome].counts) == 1


def test_an_ends_place_is_where_it_started() -> None:
    book, session = ledger(), FakeSession()
    book.started(session)
    session.endpoint = "v2"
    book.ended(session, report())
    assert book.active == {PLACE: 0, ("main", "acme", "v2"): 0}


def test_what_nobody_foresaw_is_counted_all_the_same() -> None:
    book, session = ledger(), FakeSession("other", "nova", "unknown")
    book.started(session)
    unknown = report(Outcome.ERROR)
    unknown.verdict.phase = None
    book.ended(session, unknown)
    assert book.started_total["other", "nova", "unknown"] == 1
    assert book.errors["other", "nova", "unknown", "", "INVALID_AUTH", "auth", "operator", "after_fix"] == 1


def test_only_lost_inspection_is_uninspected() -> None:
    book = ledger()
    for inspection in Inspection:
        session = FakeSession()
        book.started(session)
        book.ended(session, report(inspection=inspection))
    assert book.uninspected == {("acme",): 1}


@pytest.mark.parametrize("slip", ["twice", "never", "ended twice"])
def test_a_slip_is_an_error_of_ours_and_ends_no_call(slip: str, caplog: pytest.LogCaptureFixture) -> None:
    def make(book: Ledger) -> None:
        session = FakeSession()
        if slip != "never":
            book.started(session)
        if slip == "twice":
            book.started(session)
        if slip == "ended twice":
            book.ended(session, report())
        book.ended(session, report())

    with pytest.raises(MiscountError):
        make(ledger())
    book = ledger(strict=False)
    with caplog.at_level(logging.ERROR):
        make(book)
    assert book.slips == 1
    assert len(caplog.records) == 1
    started = sum(book.started_total.values())
    assert started == sum(book.ended_total.values()) == (0 if slip == "never" else 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60))
def test_started_less_active_is_ended(steps: list[tuple[bool, int]]) -> None:
    book = ledger(strict=False)
    sessions = [FakeSession(endpoint="v1" if n % 2 else "v2") for n in range(6)]
    for begins, number in steps:
        if begins:
            book.started(sessions[number])
        else:
            book.ended(sessions[number], report())
        assert sum(book.started_total.values()) - sum(book.active.values()) == sum(book.ended_total.values())
        assert sum(book.active.values()) == len(book.open)


def test_the_rest_is_counted() -> None:
    book = ledger()
    book.rejected("bad_request")
    book.warned("main", "acme", "near_limit")
    book.inspection_error("acme", "framing")
    book.dialled("acme", "tcp", 0.03)
    book.loop_lag(0.002)
    assert book.rejections[("bad_request",)] == book.warnings["main", "acme", "near_limit"] == 1
    assert book.inspection_errors["acme", "framing"] == 1
    assert book.dials["acme", "tcp"].total == 0.03
    assert sum(book.lag.counts) == 1


def test_a_fact_is_a_warning_and_some_are_stalls() -> None:
    book = ledger()
    assert book.stalls == {("acme", kind): 0 for kind in ("vendor_silent", "client_silent", "not_ready")}
    for fact in ("near_limit", "never_ready", "vendor_silent", "vendor_silent"):
        book.noticed("main", "acme", fact)
    assert {fact: n for (*_, fact), n in book.warnings.items() if n} == {"near_limit": 1, "never_ready": 1, "vendor_silent": 2}
    assert book.stalls == {("acme", "vendor_silent"): 2, ("acme", "client_silent"): 0, ("acme", "not_ready"): 1}


@pytest.mark.parametrize(("agrees", "result"), [("yes", "agrees"), ("no", "contradicts"), ("cannot_tell", "cannot_tell")])
def test_a_claim_that_was_checked_is_counted(agrees: str, result: str) -> None:
    book, session, over = ledger(), FakeSession(), report(Outcome.ERROR)
    over.evidence = [Evidence("credentials", None, None, None, "", None, None, agrees)]
    book.started(session)
    before = set(book.claims)
    book.ended(session, over)
    assert set(book.claims) == before, "it was foreseen"
    assert {labels: n for labels, n in book.claims.items() if n} == {("acme", "credentials", result): 1}


def test_plain_requests() -> None:
    book = ledger()
    book.http_request("main", "acme", "2xx")
    book.http_request("main", "acme", "4xx")
    book.http_error("acme", "INVALID_AUTH", "auth", "operator")
    assert book.requests == {("main", "acme", "2xx"): 1, ("main", "acme", "4xx"): 1}
    assert book.request_errors == {("acme", "INVALID_AUTH", "auth", "operator"): 1}


def test_plain_requests_are_foreseen_where_there_are_routes_for_them() -> None:
    book = Ledger({"main": profile(plain=True)}, COMMON, strict=True)
    assert set(book.requests) == {("main", "acme", status) for status in STATUS_CLASSES}
    assert ("acme", "TOKEN", "auth", "operator") in book.request_errors
    assert not any([*book.requests.values(), *book.request_errors.values()])


def test_what_a_policy_did_and_would_have_done() -> None:
    book = ledger()
    book.policy_action("acme", Rule.PACE, Action.DELAYED, 3)
    book.policy_action("acme", Rule.PACE, Action.DELAYED)
    book.policy_shadow("acme", Rule.CHUNK_BYTES, "accepted")
    book.policy_delay("acme", 0.3)
    assert book.actions == {("acme", "pace", "delayed"): 4}
    assert book.shadows["acme", "chunk_bytes", "accepted"] == 1
    assert (book.delays["acme",].counts, book.delays["acme",].total) == ([0, 1, 0, 0], 0.3)


def test_each_listener_foresees_its_own_policy() -> None:
    timed = profile().model_dump()
    timed["endpoints"]["v1"]["audio"]["formats"] = {"linear16": "pcm_s16le"}
    acme, other = Profile.model_validate(timed), Profile.model_validate(timed | {"vendor": "other"})
    book = Ledger({"one": acme, "two": other}, COMMON, {"two": Policy(mode=Mode.ENFORCE)}, strict=True)
    assert book.actions == {("other", "pace", "delayed"): 0, ("other", "pace", "split"): 0}
    assert ("acme", "pace", "rejected") in book.shadows
    assert ("other", "pace", "rejected") not in book.shadows


def test_tables_are_shared_by_listener_and_endpoint() -> None:
    book = ledger()
    assert book.tables("main", "acme", "v1") is book.tables("main", "acme", "v1")
    assert book.tables("main", "acme", "v1") is not book.tables("main", "acme", "v2")


def test_listeners_of_one_vendor_share_what_is_the_vendors() -> None:
    book = Ledger({"one": profile(), "two": profile()}, COMMON, strict=True)
    tables = book.tables("two", "acme", "v1")
    session = cast(Any, FakeSession("two"))
    book.started(session)
    assert book.tables("two", "acme", "v1") is tables
    assert book.tables("one", "acme", "v1") is not tables
    assert len(book.dials) == 4
    assert set(book.finished) == {("one", "acme"), ("two", "acme")}


def test_settings_that_are_read_again_keep_what_was_counted() -> None:
    """What is new is there at 0; what is gone is no known error any more."""
    book, session = ledger(), FakeSession()
    book.started(session)
    other = profile().model_copy(update={"vendor": "other"})
    tables, read_at = book.tables("main", "acme", "v1"), book.settings_at
    book.foresee({"main": profile(), "new": other}, COMMON, {})
    assert book.started_total["main", "acme", "v1"] == book.active["main", "acme", "v1"] == 1
    assert book.started_total["new", "other", "v1"] == 0
    assert book.tables("main", "acme", "v1") is tables
    assert {vendor for vendor, *_ in book.error_info} == {"acme", "other"}
    book.foresee({"new": other}, COMMON, {})
    assert {vendor for vendor, *_ in book.error_info} == {"other"}
    book.ended(session, report())
    assert (book.active["main", "acme", "v1"], book.slips) == (0, 0)
    assert book.settings_at >= read_at


def test_whether_settings_were_good() -> None:
    book = ledger()
    since = book.settings_at
    assert (book.settings_good, since > 0) == (True, True)
    book.settings_read(good=False)
    assert (book.settings_good, book.settings_at) == (False, since)
    book.settings_read(good=True)
    assert book.settings_good
