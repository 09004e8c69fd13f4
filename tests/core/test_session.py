"""One session from bytes to facts: both sides, compressed or not, and any sequence of events at all."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.deflate import LARGEST_MESSAGE
from proxy.core.known import UNKNOWN_ENDPOINT
from proxy.core.verdict import Category, Inspection, Outcome, Owner, Phase, Retry, Side, Transport
from proxy.core.wire import LARGEST_TEXT

from .playbook import BINARY, CONTINUATION, PING, TEXT, V1, V2, Play, close, frame, tcp

# Ready, ids


def test_ready_with_the_handshake() -> None:
    play = Play(V1).wait(0.2).opened(acme_id="r-1")
    session = play.session
    assert (session.ready_at, session.claim.ready, session.req_id) == (100.2, True, "r-1")
    assert session.claim.phase is Phase.WEBSOCKET_RUNTIME
    assert sum(play.tables.ready.counts) == 1


def test_ready_with_the_vendors_hello() -> None:
    play = Play(V2).wait(0.2).opened().wait(0.1)
    session = play.session
    assert (session.ready_at, session.claim.ready, session.answered_at) == (None, False, 100.2)
    play.hears(type="Hello", id="c-1", expires=1_800_000_300).wait(1).hears(type="Hello", id="c-2", expires=1_800_000_600)
    session.settle()
    assert session.ready_at == pytest.approx(100.3)
    assert (session.claim.ready, session.connection_id, session.expires_at) == (True, "c-1", 1_800_000_600.0)
    assert sum(play.tables.ready.counts) == 1


def test_ids_of_a_refusal() -> None:
    play = Play(V1)
    play.session.refused(401, {"Acme-ID": "r-1"}, b'{"code": "BAD", "message": "no", "request": "r-2"}', play.now)
    assert play.session.req_id == "r-1"
    assert play.session.claim.told.req_id == "r-2"


def test_the_last_id_is_kept() -> None:
    play = Play(V1).opened(acme_id="r-1").hears(type="Summary", duration=1, request="r-9").hears(type="Summary", duration=1)
    assert play.session.req_id == "r-9"


def test_what_we_refuse_is_ours() -> None:
    play = Play("/nowhere")
    play.session.refused_here("sidecar_not_found")
    assert play.session.ending.own_code == "sidecar_not_found"
    assert play.session.ending.initiated_by is play.session.ending.ended_by is Side.SIDECAR


def test_what_the_vendor_says_is_looked_at_at_once() -> None:
    play = Play(V1).opened().hears(type="Trouble", message="x")
    assert play._session.warnings == {"Trouble": 1}
    assert play.hears(type="Error", code=7, message="No audio came")._session.ending.initiated_by is Side.VENDOR


@pytest.mark.interpreted
def test_looking_that_raises_blinds_the_session_and_nothing_else() -> None:
    play = Play(V1).opened().speaks(1.0)
    del play._session.from_client.sink
    play.tick()
    assert play._session.failed
    assert play._session.inspection is Inspection.LOST
    report = play.hears(type="Results", final=True, text="b").vendor_closes(1000).end()
    assert report.inspection is Inspection.LOST


# The client's side


def test_audio_is_timed_and_its_level_looked_at() -> None:
    play = Play(V1).opened().speaks(1.0).speaks(2.0, sample=b"\x00\x00").speaks(1.0)
    session = play.session
    assert session.clock.chunks == 40
    assert session.audio.read == pytest.approx(4.0)
    # Chunks 1, 11, 21 and 31 are looked at: between 11 and 21, which are silent both, nobody spoke.
    assert session.audio.silent == pytest.approx(1.0)
    assert session.facts == {}


def test_a_container_where_raw_audio_was_declared() -> None:
    play = Play(V1).opened().wait(0.5).client(frame(BINARY, b"RIFF" + bytes(100)), frame(BINARY, b"OggS" + bytes(100)))
    assert play.session.facts == {"container_in_raw": 100.5}
    for path in ("/v1/listen", "/v1/listen?encoding=opus&rate=48000"):
        assert Play(path).opened().client(frame(BINARY, b"OggS" + bytes(100))).session.facts == {}


def test_a_fact_is_noted_the_first_time() -> None:
    play = Play(V1)
    play.session.noticed("container_in_raw", 1.0)
    play.session.noticed("container_in_raw", 2.0)
    assert play.session.facts == {"container_in_raw": 1.0}


@pytest.mark.parametrize(("path", "ends"), [(V1, True), (V2, False), ("/v3", False)])
def test_an_empty_frame_is_an_end_only_where_the_profile_says_so(path: str, ends: bool) -> None:
    play = Play(path).opened().client(frame(BINARY, masked=True))
    assert play.session.claim.end_sent is ends
    assert play.session.clock.chunks == (0 if ends else 1)


@pytest.mark.parametrize("message", [b'{"type":"Alive"}', b'{"type":"Other"}', b"[]", b"not json", b"", b'{"type":{"Finish":1}}', b"\xff"])
def test_other_text_of_the_client_is_no_end(message: bytes) -> None:
    play = Play(V1).opened().client(frame(TEXT, message, masked=True))
    assert play.session.claim.end_sent is False
    assert play.session.ending.initiated_by is Side.UNKNOWN


def test_an_end_message_in_fragments_among_pings() -> None:
    play = Play(V1).opened().client(frame(TEXT, b'{"type":', masked=True, fin=False), frame(PING, masked=True),
                                    frame(CONTINUATION, b'"Finish"}', masked=True))
    assert play.session.claim.end_sent is True
    assert play.session.ending.initiated_by is Side.CLIENT


def test_an_end_message_after_the_vendors_close_is_none() -> None:
    assert Play(V1).opened().vendor_closes().says(type="Finish").session.claim.end_sent is False


# The vendor's side


def test_results() -> None:
    play = Play(V1).opened().speaks(2.0).wait(0.3)
    play.hears(type="Results", text="", start=0.0, duration=1.0)
    assert play.session.results.results == 0
    play.hears(type="Results", text="one", start=0.5, duration=1.0)
    play.hears(type="Results", text="one two", start=0.5, duration=1.5, final=True, turn=0)
    play.hears(type="Results", text="One, two.", start=0.5, duration=1.5, final=True, turn=0)
    results = play.session.results
    assert (results.results, results.finals) == (2, 1)
    assert results.first_seconds == pytest.approx(0.3 + 1.5, abs=0.02)
    assert results.lag_last == pytest.approx(0.3, abs=0.02)
    assert results.lag_max == pytest.approx(0.8, abs=0.02)


def test_interim_results_in_a_rush_are_counted_but_only_some_are_timed() -> None:
    play = Play(V1).opened().speaks(1.0)
    for _ in range(16):
        play.wait(0.1).hears(type="Results", final=False, text="a", start=0.5, duration=0.25)
    assert (play.session.results.results, sum(play.tables.interim_lag.counts)) == (16, 2)
    spread = b'{"type" : "Results", "final" : false, "text" : "a", "start" : 0.5, "duration" : 0.25}'
    assert sum(play.vendor(frame(TEXT, spread)).tables.interim_lag.counts) == 2  # nor may it hang on how the bytes stand
    # A final, and whatever else there is, is never passed over.
    play.hears(type="Results", final=True, text="a", start=0.5, duration=0.25).hears(type="Error", code="X", message="no")
    assert (play.session.results.finals, sum(play.tables.final_lag.counts), play.session.ending.fatal_error) == (1, 1, True)


def test_a_result_of_which_nothing_is_asked() -> None:
    assert Play(V2).opened().hears(type="Word").session.results.results == 1


def test_an_utterance_of_any_shape_is_a_name_or_nothing() -> None:
    play = Play(V1).opened().speaks(1.0)
    for _ in range(2):
        play.vendor(frame(TEXT, b'{"type":"Results","text":"x","final":true,"turn":%s}' % (b"[" * 1000 + b"]" * 1000)))
    assert play.session.results.finals == 2


def test_the_vendors_own_count_of_audio() -> None:
    play = Play(V1).opened().hears(type="Summary", duration=2.5)
    assert play.session.audio.reported == play.session.claim.reported_seconds == 2.5
    assert play.session.ending.goodbye
    play.hears(type="Summary", duration="three")
    assert play.session.audio.reported == 2.5


def test_errors_that_do_not_end_it_are_counted_by_name() -> None:
    play = Play(V1).opened().hears(type="Trouble", message="well").hears(type="Trouble").hears(type="Warning")
    assert play.session.warnings == {"Trouble": 2, "Warning": 1}
    assert not play.session.ending.fatal_error
    assert play.session.claim.said == []


def test_other_messages_of_the_vendor_say_nothing() -> None:
    play = Play(V1).opened().hears(type="Noise").hears(type="Unknown").hears(other=1)
    assert (play.session.warnings, play.session.ending.goodbye, play.session.results.results) == ({}, False, 0)


def test_a_fatal_error_is_heard() -> None:
    play = Play(V1).opened().hears(type="Error", code=7, message="No audio came")
    assert play.session.ending.fatal_error
    assert play.session.claim.told.server_code == "7"
    assert play.session.ending.initiated_by is Side.VENDOR


def test_a_vendor_that_complains_all_day_fills_no_memory() -> None:
    play = Play(V1).opened()
    for n in range(1000):
        play.hears(type="Error", code=str(n), message=f"error {n}").hears(type="Warning")
    assert len(play.session.claim.said) < 50
    assert len(play.session.warnings) == 1


def test_audio_from_the_vendor_is_only_counted() -> None:
    play = Play(V1).opened().vendor(frame(BINARY, b"abc"), frame(BINARY), frame(BINARY, b"defg"))
    assert play.session.to_client.bytes[1] == 7
    assert play.session.clock.chunks == 0


@pytest.mark.parametrize("path", ["/nowhere", "/v3"])
def test_messages_mean_nothing_without_a_profile_for_them(path: str) -> None:
    play = Play(path).opened().hears(type="Error", message="x").says(type="Finish").client(frame(BINARY, b"RIFF"), frame(BINARY))
    assert not play.session.ending.fatal_error
    assert play.session.claim.end_sent is False
    assert play.session.endpoint == ("bare" if path == "/v3" else UNKNOWN_ENDPOINT)


# Once a second


def test_a_tick_keeps_the_worst() -> None:
    play = Play(V1).opened().speaks(2.0)
    play.tick(tcp(100, 100), (10, 500), 0.01).wait(1.0).tick(None, (20, 0), 0.005)
    session = play.session
    assert (session.buffered, session.buffered_max, session.loop_lag_max) == ((20, 0), 500, 0.01)
    assert session.lead_seconds == 0.0
    assert session.undelivered_seconds == pytest.approx(2.0)


def test_what_was_acknowledged_is_delivered() -> None:
    play = Play(V1).opened().speaks(2.0).tick(tcp(100, 100))
    assert play.session.audio.delivered == pytest.approx(2.0)
    assert play.session.undelivered_seconds == 0.0


# Compressed


def squeeze(packer: Any, payload: bytes) -> bytes:
    out: bytes = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
    return out[:-4]


def packer(level: int = 6) -> Any:
    return zlib.compressobj(level, zlib.DEFLATED, -15)


def deflated(play: Play, extra: str = "") -> Play:
    return play.opened(sec_websocket_extensions=f"permessage-deflate{extra}")


def test_a_compressed_session_is_read_like_any_other() -> None:
    ours, theirs = packer(), packer()
    play = deflated(Play(V1))
    for _ in range(20):
        play.wait(0.1).client(frame(BINARY, squeeze(ours, b"\x00\x40" * 1600), masked=True, rsv=0x40))
    play.vendor(frame(TEXT, squeeze(theirs, b'{"type":"Results","text":"hi","start":0,"duration":1}'), rsv=0x40))
    play.client(frame(TEXT, squeeze(ours, b'{"type":"Finish"}'), masked=True, rsv=0x40))
    play.vendor(frame(TEXT, squeeze(theirs, b'{"type":"Summary","duration":2}'), rsv=0x40)).vendor_closes()
    report = play.end()
    assert report.audio.read_seconds == pytest.approx(2.0)
    assert report.latency.results == 1
    assert (report.verdict.outcome, report.verdict.code, report.inspection) == (Outcome.OK, "normal", Inspection.FULL)


@pytest.mark.parametrize("sender", ["client", "vendor"])
def test_a_direction_that_cannot_be_followed_is_partial(sender: str) -> None:
    play = deflated(Play(V1))
    send = play.client if sender == "client" else play.vendor
    send(frame(TEXT, b"\xff\xff\xff", rsv=0x40)).wait(1.0)
    send(frame(TEXT, squeeze(packer(), b'{"type":"Finish"}'), rsv=0x40))
    session = play.session
    assert session.inspection is Inspection.PARTIAL
    assert session.claim.end_sent is (None if sender == "client" else False)
    assert session.claim.audio_sent is (None if sender == "client" else False)
    assert play.lost(Side.CLIENT).end().verdict.outcome is (Outcome.OK if sender == "client" else Outcome.ABANDONED)


def test_without_takeover_one_bad_message_is_passed_over() -> None:
    play = deflated(Play(V1), "; client_no_context_takeover")
    play.client(frame(TEXT, squeeze(packer(), bytes(LARGEST_MESSAGE + 1)), rsv=0x40))
    play.client(frame(TEXT, squeeze(packer(), b'{"type":"Finish"}'), rsv=0x40))
    assert play.session.inspection is Inspection.PARTIAL
    assert play.session.claim.end_sent is True


def test_compressed_audio_that_cannot_be_inflated_is_not_timed() -> None:
    play = deflated(Play(V1)).speaks(1.0).client(frame(BINARY, b"\xff\xff\xff", rsv=0x40)).speaks(1.0)
    report = play.end()
    assert (report.audio.read_seconds, report.audio.rate_ratio, report.audio.chunk_seconds_max) == (None, None, None)
    assert report.inspection is Inspection.PARTIAL
    assert play.session.clock.chunks == 21
    assert play.session.claim.audio_sent is True


def test_the_end_of_the_budget_is_told_though_the_message_was_read() -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    final = packed.compress(b'{"type":"Finish"}') + packed.flush(zlib.Z_FINISH) + b"\x00"
    play = deflated(Play(V1)).client(frame(TEXT, final, rsv=0x40))
    assert play.session.claim.end_sent is True
    assert play.session.inspection is Inspection.PARTIAL


def test_text_beyond_the_bound_is_partial() -> None:
    play = Play(V1).opened().vendor(frame(TEXT, bytes(LARGEST_TEXT + 1)))
    assert play.session.inspection is Inspection.PARTIAL


# Lost


@pytest.mark.parametrize("sender", ["client", "vendor"])
def test_broken_framing_is_lost_and_stays_so(sender: str) -> None:
    play = Play(V2).opened()
    (play.client if sender == "client" else play.vendor)(b"\xf1\x00", frame(TEXT, bytes(LARGEST_TEXT + 1)))
    session = play.session
    assert session.inspection is Inspection.LOST
    assert session.warnings == {"framing_reserved_bits": 1}
    assert (session.claim.end_sent, session.claim.ready) == ((None, False) if sender == "client" else (False, None))
    (play.vendor if sender == "client" else play.client)(frame(TEXT, bytes(LARGEST_TEXT + 1)))  # not better again
    assert session.inspection is Inspection.LOST


@pytest.mark.parametrize("early", [True, False])
def test_a_session_that_is_not_inspected(early: bool) -> None:
    play = Play(V1)
    if early:
        play.session.uninspected()
    play.opened()
    if not early:
        play.session.uninspected()
    play.speaks(1.0).says(type="Finish").hears(type="Error", message="x").vendor_closes()
    report = play.end()
    assert report.inspection is Inspection.LOST
    assert play.session.to_vendor.wire_bytes > 32000
    assert play.session.claim.audio_sent is play.session.claim.end_sent is None
    assert report.verdict.initiated_by is report.verdict.ended_by is Side.UNKNOWN


# Any sequence of events

Event = Callable[[Play], object]

_SIDES = st.sampled_from([Side.CLIENT, Side.VENDOR])
_TEXTS = st.sampled_from([
    b'{"type":"Finish"}', b'{"type":"Alive"}', b'{"type":"Error","code":"E","message":"No audio came"}', b'{"type":"Error","message":[1]}',
    b'{"type":"Hello","id":"c","expires":1800000100}', b'{"type":"Hello","expires":"soon"}', b'{"type":"Summary","duration":0}',
    b'{"type":"Results","text":"a","start":0.1,"duration":0.1,"final":true,"turn":1}', b'{"type":"Results","text":"a","start":-1e300}',
    b'{"type":"Warning"}', b'{"type":"Trouble"}', b"[]", b"{", b"\xff", b'{"type":1}',
])
_FRAMES = st.one_of(
    st.binary(max_size=12),
    st.builds(frame, st.sampled_from([TEXT, CONTINUATION, PING]), _TEXTS, st.booleans(), st.booleans(), st.sampled_from([0, 0, 0x40])),
    st.builds(frame, st.just(TEXT), _TEXTS),
    st.builds(frame, st.just(BINARY), st.binary(max_size=300), st.booleans()),
    st.builds(close, st.sampled_from([None, 1000, 1001, 1011, 410, 5004, 100, 4008]), st.sampled_from(["", "No audio came", "x" * 100])),
)


def _feed(side: Side, data: bytes) -> Event:
    def feed(play: Play) -> None:
        if play.session.claim.phase is Phase.WEBSOCKET_RUNTIME:  # there are no frames before the 101
            (play.client if side is Side.CLIENT else play.vendor)(data)

    return feed


def _lost(side: Side, how: Transport) -> Event:
    return lambda play: play.lost(side, how)


def _opened(extensions: str) -> Event:
    return lambda play: play.opened(sec_websocket_extensions=extensions)


def _refused(status: int, headers: dict[str, str], body: bytes) -> Event:
    return lambda play: play.session.refused(status, headers, body, play.now)


def _tick(acked: int, buffered: int) -> Event:
    return lambda play: play.tick(tcp(acked, 1000), (buffered, 0), 0.01)


def _drain(play: Play) -> None:
    play.session.drained()


_EVENTS = st.one_of(
    st.builds(_feed, _SIDES, _FRAMES), st.builds(_feed, _SIDES, _FRAMES), st.builds(_feed, _SIDES, _FRAMES),
    st.builds(_lost, _SIDES, st.sampled_from([Transport.EOF, Transport.RESET, Transport.TIMEOUT])),
    st.builds(_opened, st.sampled_from(["", "permessage-deflate", "permessage-deflate; client_no_context_takeover"])),
    st.builds(_refused, st.sampled_from([101, 200, 401, 429, 503]), st.sampled_from([{}, {"Acme-Id": "x"}, {"Content-Encoding": "br"}]),
              st.binary(max_size=20)),
    st.builds(_tick, st.integers(0, 1000), st.integers(0, 1)),
    st.sampled_from(list(Transport)).map(lambda how: lambda play: play.session.dial_failed(how)),
    st.sampled_from([
        _drain, lambda play: play.session.client_left(), lambda play: play.session.uninspected(),
        lambda play: play.session.refused_here("sidecar_draining"), lambda play: play.session.misanswered("sidecar_internal"),
        lambda play: play.wait(1.0),
    ]),
)


@given(st.sampled_from([V1, V2, "/v3", "/nowhere"]), st.lists(_EVENTS, max_size=25), st.booleans())
def test_whatever_happens_there_is_one_report(path: str, events: list[Event], begins_open: bool) -> None:
    play = Play(path)
    if begins_open:
        play.opened()
    initiated_by, ended_by = Side.UNKNOWN, Side.UNKNOWN
    ranks = {Inspection.FULL: 0, Inspection.PARTIAL: 1, Inspection.LOST: 2}
    inspection = 0
    for event in events:
        event(play.wait(0.1))
        ending = play.session.ending
        assert initiated_by in (Side.UNKNOWN, ending.initiated_by)
        assert ended_by in (Side.UNKNOWN, ending.ended_by)
        assert inspection <= ranks[play.session.inspection]
        assert play.session.audio.delivered <= play.session.audio.written <= play.session.audio.read
        initiated_by, ended_by, inspection = ending.initiated_by, ending.ended_by, ranks[play.session.inspection]
    report = play.end()
    verdict = report.verdict
    assert (verdict.initiated_by, verdict.ended_by) == (initiated_by, ended_by)
    for value, of in ((verdict.outcome, Outcome), (verdict.category, Category), (verdict.owner, Owner), (verdict.retry, Retry),
                      (verdict.phase, Phase), (report.inspection, Inspection)):
        assert type(value) is of
    assert verdict.code
    assert not (verdict.outcome is Outcome.ERROR and verdict.category is Category.NORMAL)
    assert verdict.outcome is not Outcome.ABANDONED or verdict.ended_by is Side.CLIENT
    assert ended_by is Side.UNKNOWN or initiated_by is not Side.UNKNOWN
    assert orjson.loads(orjson.dumps(report.as_dict()))["session_id"] == "s-1"
    assert play.end() == report  # asking again changes nothing
