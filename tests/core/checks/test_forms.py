"""The form of messages and of audio."""

from __future__ import annotations

import pytest

from proxy.core.checks.forms import audio_decodable, message_shape
from proxy.core.verdict import Inspection, Noticed, Owner, Side
from tests.core.caller import Call, Speaker, nextevi, wav_header
from tests.core.playbook import BINARY, frame

from .cases import call, case

GOOD, UNKNOWN_TYPE, NO_JSON, LIST = b'{"type":"Finish"}', b'{"type":"Other"}', b"{type: Finish}", b"[1]"


@pytest.mark.parametrize(("text", "code", "agrees"), [
    (GOOD, "3006_json", "no"), (UNKNOWN_TYPE, "3006_json", "no"), (NO_JSON, "3006_json", "yes"), (LIST, "3006_json", "yes"),
    (UNKNOWN_TYPE, "bad_type", "yes"), (NO_JSON, "bad_type", "yes"), (LIST, "bad_type", "yes"),
    (GOOD, "BAD_MESSAGE", "cannot_tell"), (UNKNOWN_TYPE, "BAD_MESSAGE", "yes"), (NO_JSON, "BAD_MESSAGE", "yes"),
    (LIST, "BAD_MESSAGE", "yes"),
])
def test_messages(text: bytes, code: str, agrees: str) -> None:
    got = message_shape(case(call().talk(1).says_raw(text), code))
    assert (got.agrees, got.owner) == (agrees, Owner.VENDOR if agrees == "no" else None)


def test_a_type_that_is_known_here_may_be_none_to_the_vendor() -> None:
    got = message_shape(case(call().talk(1).says_raw(GOOD), "bad_type"))
    assert (got.agrees, got.owner) == ("cannot_tell", Owner.UNKNOWN)
    got = message_shape(case(call().talk(1), "bad_type"))
    assert (got.agrees, got.owner) == ("no", Owner.VENDOR)


def test_what_was_not_all_seen_contradicts_nothing() -> None:
    one = call().says_raw(GOOD)
    one.play.session.blind(Side.CLIENT, Inspection.PARTIAL)
    assert message_shape(case(one, "3006_json")).agrees == "cannot_tell"


def test_json_in_binary_may_be_what_is_meant() -> None:
    assert message_shape(case(call().talk(1).says_raw(GOOD, BINARY), "3006_json")).agrees == "cannot_tell"


def test_binary_audio_may_be_meant_where_audio_goes_in_text_as_well() -> None:
    settled = {"type": "session_settings", "timestamp": 1, "message_id": "m"}
    assert message_shape(case(nextevi().says(**settled), "INVALID_JSON")).agrees == "no"
    assert message_shape(case(nextevi().says(**settled).talk(1), "INVALID_JSON")).agrees == "cannot_tell"


def test_broken_framing_bears_out_any_complaint() -> None:
    one = call().talk(1)
    one.play.client(frame(BINARY, b"x", masked=True, rsv=0x20))
    assert message_shape(case(one, "1002_protocol")).agrees == "yes"


@pytest.mark.parametrize("fact", [Noticed.CONTAINER_IN_RAW, Noticed.FORMAT_MISMATCH, Noticed.TEXT_IN_AUDIO, Noticed.ODD_BYTES,
                                  Noticed.ALL_ZERO_AUDIO])
def test_each_flaw_is_named(fact: str) -> None:
    one = call().talk(3)
    one.play.session.noticed(fact, one.now)
    got = audio_decodable(case(one))
    assert (got.agrees, got.owner, got.evidence.measured) == ("yes", None, 1)
    assert got.hint


def test_half_samples_count_before_anybody_has_ticked() -> None:
    one = call().talk(1).says_raw(b"abc", BINARY)
    assert Noticed.ODD_BYTES not in one.play.session.facts
    assert audio_decodable(case(one)).agrees == "yes"


def test_what_was_noticed_after_the_vendors_word_is_no_flaw() -> None:
    one = call().talk(1)
    judged = case(one)
    one.play.session.noticed(Noticed.CONTAINER_IN_RAW, one.now + 1)
    assert audio_decodable(judged).agrees == "cannot_tell"


@pytest.mark.parametrize("spoil", ["never a result", "long ago", "other pieces", "not all seen"])
def test_only_a_vendor_that_understood_all_along_contradicts_itself(spoil: str) -> None:
    one = call().talk(5)
    if spoil != "never a result":
        one.hears(type="Results", text="word", start=0, duration=1)
    if spoil == "long ago":
        one.talk(10)
    elif spoil == "other pieces":
        one.talk(1, chunk=0.033)
    elif spoil == "not all seen":
        one.play.session.blind(Side.CLIENT, Inspection.PARTIAL)
    assert audio_decodable(case(one)).agrees == "cannot_tell"


def test_a_vendor_that_understood_all_along() -> None:
    one = call().talk(5).hears(type="Results", text="word", start=0, duration=1).talk(1).talk(0.03, chunk=0.03)
    got = audio_decodable(case(one))
    assert (got.agrees, got.owner) == ("no", Owner.VENDOR)


def test_plain_files_contradict_whoever_finds_no_header_in_them() -> None:
    for code, agrees, owner in (("HEADER", "no", Owner.VENDOR), ("FORMAT", "no", Owner.VENDOR), ("DECODE", "cannot_tell", Owner.UNKNOWN)):
        got = audio_decodable(case(Speaker().begins().talk(1), f"BAD_{code}"))
        assert (got.agrees, got.owner) == (agrees, owner)


@pytest.mark.parametrize("one", [call(), Speaker().begins(), Speaker().begins().talk(1).begins()])
def test_where_no_audio_came_nobody_is_blamed_for_its_form(one: Call) -> None:
    got = audio_decodable(case(one, "BAD_HEADER"))
    assert (got.agrees, got.owner) == ("cannot_tell", Owner.UNKNOWN)


@pytest.mark.parametrize("spoil", ["another size", "more behind", "not all seen"])
def test_files_that_are_not_plain_contradict_nobody(spoil: str) -> None:
    one = Speaker().begins().talk(1)
    if spoil == "another size":
        one.header = wav_header(16000, 0xFFFFFFFF - 36)  # as a stream has it, of which nobody knows the end
        one.talk(0.1)
    elif spoil == "more behind":
        one.talk(0.2, chunk=0.2)
    elif spoil == "not all seen":
        one.play.session.blind(Side.CLIENT, Inspection.PARTIAL)
    got = audio_decodable(case(one, "BAD_HEADER"))
    assert (got.agrees, got.owner) == ("cannot_tell", None)
