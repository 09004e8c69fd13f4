"""What is known of a session: what is said twice, and what is taken back."""

from __future__ import annotations

from proxy.core.audio import UNTIMED, AudioFormat
from proxy.core.inspect import Told
from proxy.core.known import Known
from proxy.core.tally import READY_SECONDS, Example, Tables
from proxy.core.tracecontext import TraceContext
from proxy.core.vendor import Request
from proxy.core.verdict import Inspection, Noticed, Side
from tests.core.playbook import V1, VENDOR


def known(path: str = V1) -> Known:
    route = VENDOR.route(path)
    endpoint = VENDOR.endpoints[route.endpoint] if route and route.endpoint else None
    return Known("s-1", "main", VENDOR, endpoint, Request.of(path, {}), Tables(), 100.0, 0.0)


def test_a_declaration_keeps_what_it_does_not_say() -> None:
    one = known()
    assert one.audio_format == AudioFormat("pcm_s16le", 16000)
    one.declared(None, "8000", None)
    assert one.audio_format == AudioFormat("pcm_s16le", 8000)
    one.declared("mulaw", None, "2")
    assert one.audio_format == AudioFormat("mulaw", 8000, 2)
    one.declared("opus", None, None)
    assert (one.audio_format, one.clock.timed) == (UNTIMED, False)


def test_a_path_without_an_endpoint_declares_nothing() -> None:
    one = known("/elsewhere")
    one.declared("linear16", "8000", "1")
    assert one.audio_format == UNTIMED


def test_an_error_taken_back_is_a_warning_and_began_nothing() -> None:
    one = known()
    one.hold_error("Error", Told("3"), 101.0)
    assert one.ending.initiated_by is Side.VENDOR
    one.went_on()
    one.went_on()
    assert (one.warnings, one.ending.initiated_by) == ({"Error": 1}, Side.UNKNOWN)
    one.conclude()
    assert not one.ending.fatal_error


def test_an_error_that_stands_is_heard_once() -> None:
    one = known()
    one.hold_error("Error", Told(None, None, "late"), 101.0)
    one.hold_error("Error", Told("3", None, "later"), 101.0)
    one.conclude()
    one.conclude()
    assert (one.claim.told, one.ending.fatal_error, one.warnings) == (Told("3", None, "late"), True, {})


def test_an_error_after_the_clients_end_message_did_not_begin_the_end() -> None:
    one = known()
    one.ending.began(Side.CLIENT)
    one.hold_error("Error", Told("3"), 101.0)
    one.went_on()
    assert one.ending.initiated_by is Side.CLIENT


def test_blindness_only_grows() -> None:
    one = known()
    one.blind(Side.CLIENT, Inspection.PARTIAL)
    one.blind(Side.VENDOR)
    one.blind(Side.CLIENT, Inspection.PARTIAL)
    assert (one.inspection, one.ending.blind) == (Inspection.LOST, True)


def test_a_stream_begins_anew() -> None:
    one = known()
    one.stopped_at, one.claim.end_sent = 101.0, True
    one.ending.began(Side.CLIENT)
    one.stream_began()
    assert (one.streams, one.claim.end_sent, one.ending.initiated_by) == (1, False, Side.UNKNOWN)
    assert one.stopped_at is None


def test_what_was_wrong_with_one_streams_audio_says_nothing_of_the_next() -> None:
    one = known()
    one.clock.odd, one.clock.last_at = True, 101.0
    one.noticed(Noticed.FORMAT_MISMATCH, 100.5)
    before = one.so_far()
    one.stream_began()
    assert (set(before.form.flaws), before.clock.odd) == ({Noticed.FORMAT_MISMATCH}, True)
    assert set(one.facts) == {Noticed.FORMAT_MISMATCH, Noticed.ODD_BYTES}
    assert (one.so_far().form.flaws, one.clock.odd) == ({}, False)
    one.noticed(Noticed.FORMAT_MISMATCH, 104.0)
    assert one.form.flaws == {Noticed.FORMAT_MISMATCH: 104.0}
    assert one.facts[Noticed.FORMAT_MISMATCH] == 100.5


def test_observations_are_marked_with_the_trace_once_it_is_known() -> None:
    one = known()
    assert (one.trace.trace_id, one.results.mark) == (None, None)
    one.traced(TraceContext("a" * 32, "b" * 16, sampled=True))
    assert one.results.mark == "a" * 32
    one.ready(102.0)
    assert one._ready_seconds.examples == {READY_SECONDS.index(2.5): Example(2.0, "a" * 32, 102.0)}
    one.traced(TraceContext("a" * 32, "b" * 16, sampled=False))
    assert one.results.mark is None
