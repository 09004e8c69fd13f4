"""What stands of the claim that no audio came: virtual sessions whose truth is known."""

from __future__ import annotations

import pytest

from proxy.core.examine import SHAPED_HERE
from proxy.core.gate import Gate
from proxy.core.meter import Meter
from proxy.core.policy import Action, Rule, Rules, bounds
from proxy.core.profile import Limits, Profile
from proxy.core.report import Report
from proxy.core.vendor import Vendor
from proxy.core.verdict import Noticed, Outcome, Owner, Side, Transport

from .playbook import BINARY, COMMON, PROFILE, V1, Play, frame, tcp

WINDOW = 10.0


def vendor() -> Vendor:
    raw = PROFILE.model_dump()
    raw["endpoints"]["v1"]["limits"] |= {"idle_seconds": WINDOW, "idle_query": "idle"}
    return Vendor(Profile.model_validate(raw), COMMON)


def call(path: str = V1) -> Play:
    return Play(path, vendor=vendor()).opened()


def speaks(play: Play, seconds: float, delivered: bool = True, window: int = 65535) -> Play:
    """Real-time speech, a reading of TCP_INFO each second; undelivered bytes pile up in the kernel."""
    for _ in range(round(seconds)):
        play.speaks(1.0)
        queued = play._session.to_vendor.wire_bytes + 32000
        last = play._session.delivery.last
        acked = queued if delivered else last.acked if last else 0
        play.tick(tcp(acked, queued, window))
    return play


def accused(play: Play) -> Report:
    return play.vendor_closes(1011, "No audio came").end()


def found(report: Report) -> tuple[str, str | None, Owner, Owner]:
    (evidence,) = report.evidence
    assert evidence.check == "audio_received"
    assert evidence.claimed == evidence.window_seconds
    return evidence.agrees, evidence.stage, report.verdict.owner, report.verdict.rule_owner


def test_delivered_all_along_contradicts_it() -> None:
    report = accused(speaks(call(), 20))
    assert found(report) == ("no", "delivered", Owner.VENDOR, Owner.CLIENT)
    assert report.verdict.hint
    assert "not the client" in report.verdict.hint


def test_a_client_that_stopped_is_rightly_accused() -> None:
    report = accused(speaks(call(), 5).wait(10.3))
    assert found(report) == ("yes", "read", Owner.CLIENT, Owner.CLIENT)
    assert report.verdict.hint == "Send audio."


def test_a_client_that_never_spoke_is_rightly_accused() -> None:
    report = accused(call().wait(10.3))
    assert found(report) == ("yes", "read", Owner.CLIENT, Owner.CLIENT)
    assert report.evidence[0].measured == 10.3


def test_written_but_not_delivered_is_the_network() -> None:
    assert found(accused(speaks(speaks(call(), 5), 12, delivered=False))) == ("yes", "delivered", Owner.NETWORK, Owner.CLIENT)


def test_a_vendor_that_does_not_read_is_the_vendor() -> None:
    assert found(accused(speaks(speaks(call(), 5), 12, delivered=False, window=0))) == ("yes", "delivered", Owner.VENDOR, Owner.CLIENT)


def test_keep_alives_that_should_have_held_it_open_settle_nothing() -> None:
    play = speaks(call(), 5)
    for _ in range(3):
        play.wait(4.0).says(type="Alive")
    assert found(accused(play)) == ("cannot_tell", "delivered", Owner.UNKNOWN, Owner.CLIENT)


def test_old_keep_alives_do_not_count() -> None:
    assert found(accused(call().says(type="Alive").wait(12.0)))[0] == "yes"


def test_without_tcp_info_nothing_is_said() -> None:
    play = call().speaks(20.0).tick(None)
    assert found(accused(play)) == ("cannot_tell", "delivered", Owner.UNKNOWN, Owner.CLIENT)


def test_our_own_loop_may_have_been_the_cause() -> None:
    play = speaks(call(), 20).tick(None, lag=4.0)
    assert found(accused(play)) == ("cannot_tell", "delivered", Owner.UNKNOWN, Owner.CLIENT)


def test_whether_there_is_speech_in_what_cannot_be_heard_here_is_not_known() -> None:
    play = speaks(call("/v1/listen?encoding=opus"), 20)
    assert found(accused(play)) == ("cannot_tell", "delivered", Owner.UNKNOWN, Owner.CLIENT)


@pytest.mark.parametrize("silent", [7.5, 8.5])
def test_near_the_edge_of_the_window(silent: float) -> None:
    """Within the margin of two seconds nobody is accused who may not be to blame, and no vendor is contradicted."""
    agrees, _, owner, _ = found(accused(speaks(call(), 5).wait(silent)))
    assert (agrees, owner) == (("cannot_tell", Owner.UNKNOWN) if silent < 8 else ("yes", Owner.CLIENT))


def test_the_window_is_what_the_client_asked_for() -> None:
    report = accused(speaks(call(V1 + "&idle=60"), 5).wait(30))
    assert found(report)[0] == "no"
    assert report.evidence[0].window_seconds == 60
    assert found(accused(speaks(call(V1 + "&idle=soon"), 5).wait(30)))[0] == "yes"


def test_a_client_that_left_a_vendor_which_took_nothing_is_not_accused() -> None:
    stuck = speaks(speaks(call(), 3), 12, delivered=False)
    untaken = speaks(speaks(call(), 3), 12, delivered=False, window=0)
    unheard = speaks(call(), 15)
    left = speaks(call(), 5)
    verdicts = [play.lost(Side.CLIENT, Transport.RESET).end().verdict for play in (stuck, untaken, unheard, left)]
    assert {(v.outcome, v.rule_owner) for v in verdicts} == {(Outcome.ABANDONED, Owner.CLIENT)}
    assert [v.owner for v in verdicts] == [Owner.NETWORK, Owner.VENDOR, Owner.UNKNOWN, Owner.CLIENT]
    assert len({v.hint for v in verdicts}) == 4


def test_other_ends_are_not_examined() -> None:
    assert speaks(call(), 3).says(type="Finish").vendor_closes(1000).end().evidence == []
    assert speaks(call(), 3).client_closes(1011, "keepalive").end().evidence == []


def test_a_timer_that_nobody_knows_settles_nothing() -> None:
    report = Play("/v3").opened().wait(20).vendor_closes(1011, "No audio came").end()
    assert found(report) == ("cannot_tell", "read", Owner.CLIENT, Owner.CLIENT)


def test_a_client_that_left_while_we_stood_still_is_not_accused() -> None:
    play = speaks(speaks(call(), 3), 12, delivered=False).tick(None, lag=3.0)
    assert play.lost(Side.CLIENT, Transport.RESET).end().verdict.owner is Owner.UNKNOWN


def test_a_client_that_did_not_wait_any_longer_for_the_hello_is_not_accused() -> None:
    waited, left = (Play("/v2/listen", vendor=vendor()).opened() for _ in range(2))
    waited.wait(31).tick()
    verdicts = [play.lost(Side.CLIENT, Transport.RESET).end().verdict for play in (waited, left)]
    assert [(v.outcome, v.owner) for v in verdicts] == [(Outcome.ABANDONED, Owner.UNKNOWN), (Outcome.ABANDONED, Owner.CLIENT)]
    assert "hello" in (verdicts[0].hint or "")


def test_a_connection_lost_while_we_stood_still_is_nobodys() -> None:
    still, turning = speaks(call(), 5).wait(4).tick(lag=4.0), speaks(call(), 5)
    verdicts = [play.lost(Side.VENDOR, Transport.RESET).end().verdict for play in (still, turning)]
    assert [(v.owner, v.rule_owner) for v in verdicts] == [(Owner.UNKNOWN, Owner.NETWORK), (Owner.NETWORK, Owner.NETWORK)]
    assert "Earwitness" in (verdicts[0].hint or "")


def test_a_stall_that_was_over_settles_nothing() -> None:
    play = speaks(call(), 5).wait(4).tick(lag=4.0)
    assert found(accused(speaks(play, 5, delivered=False))) == ("cannot_tell", "delivered", Owner.UNKNOWN, Owner.CLIENT)


# The gate


@pytest.mark.parametrize(("rule", "action", "says", "owner"), [
    (Rule.PACE, Action.DELAYED, "Audio too fast", Owner.UNKNOWN),
    (Rule.CHUNK_DURATION, Action.DELAYED, "Audio too fast", Owner.CLIENT),
    (Rule.CHUNK_BYTES, Action.SPLIT, "Chunk too long", Owner.UNKNOWN),
    (Rule.CHUNK_DURATION, Action.COALESCED, "Chunk too long", Owner.UNKNOWN),
    (Rule.PACE, Action.DELAYED, "Chunk too long", Owner.CLIENT),
    (Rule.PACE, Action.SPLIT, "Chunk too long", Owner.UNKNOWN),
    (Rule.AUDIO_CHUNK_RATE, Action.COALESCED, "Chunk too long", Owner.UNKNOWN),
    (Rule.CHUNK_BYTES, Action.SPLIT, "Too many messages", Owner.UNKNOWN),
    (Rule.CHUNK_DURATION, Action.COALESCED, "Too many messages", Owner.CLIENT),
    (Rule.MESSAGE_RATE, Action.DELAYED, "Too many messages", Owner.UNKNOWN),
])
def test_nobody_is_blamed_for_what_the_gate_did(rule: Rule, action: Action, says: str, owner: Owner) -> None:
    raw = PROFILE.model_dump()
    claims = {"audio_pacing": "audio too fast", "audio_chunk": "chunk too long", "rate_limit": "too many messages"}
    raw["rules"] = [*raw["rules"], *({
        "id": category.replace("_", "-"), "code": category, "category": category, "owner": "client", "hint": "h", "when": [{"text": text}],
        "examples": [{"close_code": 4000}]} for category, text in claims.items())]
    play = Play(V1, vendor=Vendor(Profile.model_validate(raw), COMMON)).opened()
    play.client(frame(BINARY, bytes(3200), masked=True) * 100).speaks(1)  # ten seconds at once
    play.session.done.count(rule, action)
    verdict = play.vendor_closes(4000, says).end().verdict
    assert (verdict.owner, verdict.rule_owner) == (owner, Owner.CLIENT)
    assert (verdict.hint == SHAPED_HERE) is (owner is Owner.UNKNOWN)


def test_a_client_that_waited_in_the_gate_was_not_idle() -> None:
    play = speaks(call(), 5)
    play.session.done.waited(9.0, Rule.MESSAGE_RATE)
    report = accused(play.wait(10.3))
    assert found(report) == ("yes", "read", Owner.UNKNOWN, Owner.CLIENT)
    assert report.verdict.hint == SHAPED_HERE


def test_one_whose_audio_still_waits_there_is_not_either() -> None:
    play = call()
    gate = Gate(frozenset({Rule.PACE}), bounds(Rules.model_validate({"pace": {"lead_seconds": 0.5}}), Limits()),
                Meter(vendor().endpoints["v1"], play.session.request, None))
    play.session.gated(gate)
    gate.feed(frame(BINARY, bytes(3200), masked=True) * 20, play.now)
    report = accused(speaks(play, 5).wait(10.3))
    assert (report.verdict.owner, report.verdict.hint) == (Owner.UNKNOWN, SHAPED_HERE)
    assert Noticed.CLIENT_SILENT not in [fact.fact for fact in report.facts]
