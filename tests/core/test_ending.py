"""Who ended it, who began it, and what it comes to: first causes, in the order in which they were seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.core.claim import Claim
from proxy.core.ending import ENDED_FOR_IT, LEFT_EARLY, LEFT_OPEN, Ending, SeenClose, outcome_of
from proxy.core.verdict import Category, Outcome, Owner, Phase, Side, Transport

from .playbook import PROFILE, V1, V2, VENDOR, Play, frame

Scene = Callable[[Play], Play]
EOF, RESET, TIMEOUT = Transport.EOF, Transport.RESET, Transport.TIMEOUT
CLIENT, NETWORK, SIDECAR, UNKNOWN = Side.CLIENT, Side.NETWORK, Side.SIDECAR, Side.UNKNOWN
SERVER = Side.VENDOR


def error(play: Play) -> Play:
    return play.hears(type="Error", code="E1", message="No audio came for 10 seconds.")


def strange(play: Play) -> Play:
    return play.hears(type="Error", code="E9", message="The moon is full.")


def finish(play: Play) -> Play:
    return play.says(type="Finish")


def summary(play: Play) -> Play:
    return play.hears(type="Summary", duration=2.0)


TABLE: dict[str, tuple[Scene, Outcome, str, Side, Side]] = {
    # what happens: outcome, code, initiated by, ended by
    "finish, goodbye, close 1000": (lambda p: summary(finish(p)).vendor_closes().client_closes(), Outcome.OK, "normal", CLIENT, SERVER),
    "finish, close 1000 by the client": (lambda p: finish(p).client_closes().vendor_closes(), Outcome.OK, "normal", CLIENT, CLIENT),
    "empty frame as finish": (lambda p: p.client(frame(2, masked=True)).vendor_closes(), Outcome.OK, "normal", CLIENT, SERVER),
    "finish, goodbye, FIN": (lambda p: summary(finish(p)).lost(SERVER), Outcome.OK, "normal", CLIENT, SERVER),
    "finish, goodbye, RST": (lambda p: summary(finish(p)).lost(SERVER, RESET), Outcome.ERROR, "transport_reset", CLIENT, SERVER),
    "finish, FIN": (lambda p: finish(p).lost(SERVER), Outcome.ERROR, "transport_eof", CLIENT, SERVER),
    "goodbye unasked, FIN": (lambda p: summary(p).lost(SERVER), Outcome.ERROR, "transport_eof", SERVER, SERVER),
    "finish, then the client's FIN": (lambda p: finish(p).lost(CLIENT).vendor_closes(), Outcome.OK, "normal", CLIENT, CLIENT),
    "finish, then an error": (lambda p: error(finish(p)).vendor_closes(1011), Outcome.ERROR, "NO_SPEECH", CLIENT, SERVER),
    "close 1000 by the vendor": (lambda p: p.vendor_closes().client_closes(), Outcome.OK, "normal", SERVER, SERVER),
    "empty close by the vendor": (lambda p: p.vendor_closes(None).client_closes(None), Outcome.OK, "normal", SERVER, SERVER),
    "error, close": (lambda p: error(p).vendor_closes(4001).client_closes(4001), Outcome.ERROR, "NO_SPEECH", SERVER, SERVER),
    "error, client closes": (lambda p: error(p).client_closes().vendor_closes(), Outcome.ERROR, "NO_SPEECH", SERVER, CLIENT),
    "error, client closes alone": (lambda p: error(p).client_closes(), Outcome.ERROR, "NO_SPEECH", SERVER, CLIENT),
    "error, client drops": (lambda p: error(p).lost(CLIENT, RESET), Outcome.ERROR, "NO_SPEECH", SERVER, CLIENT),
    "error, client drops, close": (lambda p: error(p).lost(CLIENT).vendor_closes(4001), Outcome.ERROR, "NO_SPEECH", SERVER, CLIENT),
    "error, FIN": (lambda p: error(p).lost(SERVER), Outcome.ERROR, "NO_SPEECH", SERVER, SERVER),
    "unknown error, close 1000": (lambda p: strange(p).vendor_closes(), Outcome.ERROR, "unclassified", SERVER, SERVER),
    "unknown error, client closes": (lambda p: strange(p).client_closes(), Outcome.ERROR, "unclassified", SERVER, CLIENT),
    "close with words": (lambda p: p.vendor_closes(1011, "No audio came"), Outcome.ERROR, "NO_SPEECH", SERVER, SERVER),
    "close without words": (lambda p: p.vendor_closes(1011), Outcome.ERROR, "unclassified", SERVER, SERVER),
    "close 410": (lambda p: p.vendor_closes(410).client_closes(1002), Outcome.ERROR, "410_odd", SERVER, SERVER),
    "close 5004": (lambda p: p.vendor_closes(5004).client_closes(1002), Outcome.ERROR, "410_odd", SERVER, SERVER),
    "close 100": (lambda p: p.vendor_closes(100).lost(CLIENT), Outcome.ERROR, "410_odd", SERVER, SERVER),
    "client closes 1000": (lambda p: p.client_closes().vendor_closes(), Outcome.ABANDONED, "1000_abandoned", CLIENT, CLIENT),
    "client closes without a code": (lambda p: p.client_closes(None).vendor_closes(), Outcome.ABANDONED, "1005_abandoned", CLIENT, CLIENT),
    "goodbye unasked, client closes": (lambda p: summary(p).client_closes(), Outcome.OK, "normal", CLIENT, CLIENT),
    "client's FIN": (lambda p: p.lost(CLIENT), Outcome.ABANDONED, "transport_eof", CLIENT, CLIENT),
    "client's FIN, vendor closes": (lambda p: p.lost(CLIENT).vendor_closes(), Outcome.ABANDONED, "transport_eof", CLIENT, CLIENT),
    "client's RST": (lambda p: p.lost(CLIENT, RESET).lost(SERVER), Outcome.ABANDONED, "transport_reset", CLIENT, CLIENT),
    "client goes silent": (lambda p: p.lost(CLIENT, TIMEOUT), Outcome.ERROR, "transport_timeout", NETWORK, NETWORK),
    "client's pings fail": (lambda p: p.client_closes(1011, "keepalive ping timeout"), Outcome.ERROR, "1011_keepalive", CLIENT, CLIENT),
    "vendor's FIN": (lambda p: p.lost(SERVER), Outcome.ERROR, "transport_eof", SERVER, SERVER),
    "vendor's FIN, client closes": (lambda p: p.lost(SERVER).client_closes(), Outcome.ERROR, "transport_eof", SERVER, SERVER),
    "vendor's RST": (lambda p: p.lost(SERVER, RESET).lost(CLIENT), Outcome.ERROR, "transport_reset", SERVER, SERVER),
    "vendor goes silent": (lambda p: p.lost(SERVER, TIMEOUT), Outcome.ERROR, "transport_timeout", NETWORK, NETWORK),
    "both close, the vendor first": (lambda p: p.vendor_closes(4008).client_closes(), Outcome.ERROR, "EXPIRED", SERVER, SERVER),
    "both close, the client first": (lambda p: p.client_closes().vendor_closes(4008), Outcome.ABANDONED, "1000_abandoned", CLIENT, CLIENT),
    "finish in answer to a close": (lambda p: finish(error(p)).vendor_closes(), Outcome.ERROR, "NO_SPEECH", SERVER, SERVER),
    "vendor closes, client finishes and goes": (
        lambda p: finish(p.vendor_closes()).client_closes().lost(CLIENT), Outcome.OK, "normal", SERVER, SERVER),
    "nothing decoded": (
        lambda p: finish(p.speaks(1.0)).hears(type="Summary", duration=0.0).vendor_closes(), Outcome.ERROR, "BAD_BYTES", CLIENT, SERVER),
    "nothing sent, nothing decoded": (
        lambda p: finish(p).hears(type="Summary", duration=0.0).vendor_closes(), Outcome.OK, "normal", CLIENT, SERVER),
    "nothing at all": (lambda p: p, Outcome.ERROR, "unclassified", UNKNOWN, UNKNOWN),
}


@pytest.mark.parametrize("name", TABLE)
def test_endings(name: str) -> None:
    scene, outcome, code, initiated_by, ended_by = TABLE[name]
    verdict = scene(Play(V1).opened().wait(1.0)).end().verdict
    assert (verdict.outcome, verdict.code) == (outcome, code)
    assert (verdict.initiated_by, verdict.ended_by) == (initiated_by, ended_by)
    assert verdict.phase is Phase.WEBSOCKET_RUNTIME


def test_the_close_that_follows_an_error_frame_is_told_with_it() -> None:
    report = error(Play(V1).opened()).client_closes(1000, "ok").wait(0.5).vendor_closes(1011, "see the error message").end()
    verdict = report.verdict
    assert (verdict.close_code, verdict.close_reason) == (1011, "see the error message")
    assert (verdict.server_code, verdict.server_detail) == ("E1", "No audio came for 10 seconds.")
    assert report.client_close is not None
    assert (report.client_close.code, report.client_close.reason) == (1000, "ok")


def test_only_the_first_close_of_a_side_counts() -> None:
    ending = Ending()
    for code in (b"\x03\xe8", b"\x03\xe9"):
        ending.closed(Side.CLIENT, code, 1.0)
        ending.closed(Side.VENDOR, code, 2.0)
    assert ending.client_close is not None
    assert ending.vendor_close is not None
    assert (ending.client_close.code, ending.vendor_close.code) == (1000, 1000)
    assert ending.ended_by is ending.initiated_by is Side.CLIENT


def test_a_close_told_in_a_message_is_the_first_one_told_and_counts_before_the_real_one() -> None:
    ending, claim = Ending(), Claim()
    ending.told(4000, "gone", 1.5)
    ending.told(4001, "later", 2.0)
    ending.closed(Side.VENDOR, b"\x03\xe8ok", 3.0)
    assert ending.told_close == SeenClose(4000, "gone", 1.5)
    ending.complete(claim, PROFILE)
    assert (claim.close_code, claim.close_reason, claim.close_by) == (4000, "gone", Side.VENDOR)


def test_the_clients_own_close_is_told_with_its_reason() -> None:
    ending, claim = Ending(), Claim()
    ending.closed(Side.CLIENT, b"\x03\xe9bye", 1.0)
    ending.complete(claim, PROFILE)
    assert (claim.close_code, claim.close_reason, claim.close_by) == (1001, "bye", Side.CLIENT)


def test_another_stream_takes_back_the_clients_end_and_no_other() -> None:
    for began, ended, left in ((Side.CLIENT, Side.UNKNOWN, Side.UNKNOWN), (Side.VENDOR, Side.UNKNOWN, Side.VENDOR),
                               (Side.CLIENT, Side.CLIENT, Side.CLIENT)):
        ending = Ending()
        ending.initiated_by, ending.ended_by, ending.goodbye = began, ended, True
        ending.reopened()
        assert (ending.initiated_by, ending.goodbye) == (left, False)


def test_a_vendor_without_an_end_message_cannot_be_abandoned() -> None:
    for play in (Play("/v3").opened().client_closes(), Play("/v3").opened().lost(Side.CLIENT)):
        assert play.end().verdict.outcome is Outcome.OK


def test_who_is_to_act_where_the_client_left() -> None:
    verdict = Play(V1).opened().lost(Side.CLIENT).end().verdict
    assert (verdict.owner, verdict.category, verdict.rule, verdict.hint) == (Owner.CLIENT, Category.PROTOCOL, "abandoned", LEFT_OPEN)


# Expiry


@pytest.mark.parametrize(("path", "expires", "after", "outcome"), [
    (V1, None, 3599.0, Outcome.OK),
    (V1, None, 3450.0, Outcome.ERROR),
    (V2, 300.0, 299.5, Outcome.OK),
    (V2, 300.0, 60.0, Outcome.ERROR),
    (V2, None, 1e6, Outcome.ERROR),  # nothing tells how long it may last
    (V2, -1000.0, 60.0, Outcome.ERROR),  # in the past: a clock is wrong, ours or theirs
])
def test_an_expiry_is_normal_at_the_full_length(path: str, expires: float | None, after: float, outcome: Outcome) -> None:
    play = Play(path).opened()
    if path == V2:
        play.hears(type="Hello", id="c-1", expires=None if expires is None else play.session.wall + expires)
    verdict = play.wait(after).vendor_closes(4008).end().verdict
    assert (verdict.outcome, verdict.code, verdict.category) == (outcome, "EXPIRED", Category.SESSION_EXPIRED)


# Before it is open


@pytest.mark.parametrize("how", Transport)
def test_a_dial_that_fails(how: Transport) -> None:
    play = Play(V1)
    play.session.dial_failed(how)
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.code, verdict.phase) == (Outcome.ERROR, f"transport_{how}", Phase.WEBSOCKET_CONNECT)
    side = Side.VENDOR if how in (EOF, RESET) else Side.NETWORK
    assert verdict.initiated_by is verdict.ended_by is side


def test_an_answer_that_cannot_be_passed_on() -> None:
    play = Play(V1)
    play.session.misanswered("sidecar_bad_upstream")
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.code, verdict.ended_by) == (Outcome.ERROR, "sidecar_bad_upstream", Side.NETWORK)


def test_a_client_that_leaves_before_the_answer() -> None:
    play = Play(V1).wait(3.0)
    play.session.client_left()
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.code, verdict.hint) == (Outcome.ABANDONED, "transport_eof", LEFT_EARLY)
    assert verdict.initiated_by is verdict.ended_by is Side.CLIENT


def test_a_client_that_leaves_in_the_middle_of_a_refusal_was_refused() -> None:
    play = Play(V1)
    play.session.client_left()
    play.session.refused(401, {"acme-id": "r-1"}, b"", play.now)
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.code) == (Outcome.REFUSED_BY_VENDOR, "BAD_KEY")


# By ourselves


def test_a_drained_session() -> None:
    play = Play(V1).opened().speaks(1.0)
    play.session.drained()
    verdict = play.lost(Side.VENDOR).end().verdict
    assert (verdict.outcome, verdict.code, verdict.owner) == (Outcome.DRAINED, "sidecar_draining", Owner.SIDECAR)
    assert verdict.initiated_by is verdict.ended_by is SIDECAR


def test_draining_does_not_hide_what_had_ended_it_before() -> None:
    play = error(Play(V1).opened()).vendor_closes(1011)
    play.session.drained()
    assert play.end().verdict.code == "NO_SPEECH"


def test_draining_does_not_take_the_end_from_a_client_that_left() -> None:
    """It did not let us speak for it: nobody may say that we did."""
    play = Play(V1).opened().speaks(1.0).client_closes(1000)
    play.session.drained()
    verdict = play.end().verdict
    assert (verdict.outcome, verdict.ended_by) == (Outcome.ABANDONED, Side.CLIENT)
    assert verdict.hint == LEFT_OPEN


def test_without_a_vendor_it_is_our_own() -> None:
    outcome, meaning = outcome_of(Ending(), Claim(), None, False, False)
    assert (outcome, meaning.code) == (Outcome.REFUSED_HERE, "sidecar_internal")
    ending = Ending()
    ending.own_code = "sidecar_not_found"
    outcome, meaning = outcome_of(ending, Claim(), VENDOR.classifier, False, False)
    assert (outcome, meaning.code) == (Outcome.REFUSED_HERE, "sidecar_not_found")


# Where not everything was seen


def test_a_blind_session_accuses_nobody_of_an_end_it_may_not_have_seen() -> None:
    for end in (Side.VENDOR, Side.CLIENT):
        play = Play(V1).opened()
        play.session.uninspected()
        verdict = play.lost(end).end().verdict
        assert verdict.outcome is Outcome.OK
        assert verdict.owner in (Owner.UNKNOWN, Owner.NONE)


def test_a_blind_session_that_was_cut_was_cut() -> None:
    play = Play(V1).opened()
    play.session.uninspected()
    assert play.lost(Side.VENDOR, RESET).end().verdict.code == "transport_reset"


def test_the_answer_to_a_close_that_was_not_seen_is_no_leaving() -> None:
    play = Play(V1).opened().vendor(b"\xf1\x00")
    assert play.client_closes().end().verdict.outcome is Outcome.OK


def test_a_finish_that_may_not_have_been_seen() -> None:
    play = Play(V1).opened().client(b"\xf1\x00")
    assert play.lost(Side.CLIENT).end().verdict.outcome is Outcome.OK


def test_a_claim_without_a_close_has_the_transport() -> None:
    ending, claim = Ending(), Claim()
    ending.lost(Side.VENDOR, EOF)
    ending.lost(Side.CLIENT, RESET)
    ending.complete(claim, PROFILE)
    assert (claim.transport, claim.ended_by, claim.close_code) == (EOF, Side.VENDOR, None)


def told(play: Play) -> Play:
    play.session.ending.told(4000, "gone", play.now)
    return play


ANSWERS: dict[str, Scene] = {
    "goodbye": summary, "error": error, "close": lambda p: p.vendor_closes(1011, "what?"), "cut": lambda p: p.lost(SERVER, RESET),
    "told": told, "nothing": lambda p: p,
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize(("leaves", "code"), [
    (lambda p: p.lost(CLIENT), "transport_eof"), (lambda p: p.lost(CLIENT, RESET), "transport_reset"),
    (lambda p: p.client_closes(1001), "1001_abandoned"),
])
def test_what_a_vendor_says_to_an_end_message_of_ours_changes_nothing(leaves: Scene, code: str, answer: Scene) -> None:
    play = leaves(Play(V1).opened().speaks(1))
    play.session.ending.stood_in = True
    verdict = answer(play.wait(0.1)).end().verdict
    assert (verdict.outcome, verdict.code, verdict.initiated_by, verdict.ended_by) == (Outcome.ABANDONED, code, CLIENT, CLIENT)
    assert (verdict.owner, verdict.hint, verdict.server_code) == (Owner.CLIENT, ENDED_FOR_IT, None)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize(("code", "outcome", "owner"), [
    ("sidecar_session_limit", Outcome.OK, Owner.NONE), ("sidecar_audio_format", Outcome.REFUSED_HERE, Owner.CLIENT),
    ("sidecar_message_shape", Outcome.REFUSED_HERE, Owner.CLIENT),
])
def test_what_we_end_is_ours(code: str, outcome: Outcome, owner: Owner, answer: Scene) -> None:
    play = Play(V1).opened().speaks(1)
    play.session.ended_here(code, "so it was")
    verdict = answer(play.wait(0.1)).client_closes().end().verdict
    assert (verdict.outcome, verdict.code, verdict.owner, verdict.rule_owner) == (outcome, code, owner, owner)
    assert verdict.initiated_by is verdict.ended_by is SIDECAR
    assert verdict.hint is not None
    assert verdict.hint.startswith("so it was. ")
    assert (verdict.server_code, verdict.close_code) == (None, None)
