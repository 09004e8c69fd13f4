"""Random sessions of several streams on one socket, in WAV files: nothing is held against another stream, and nobody is accused wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.policy import Policy
from proxy.core.report import Report
from proxy.core.verdict import Owner, Side

from .caller import Speaker, wav_header
from .gatedplay import GatedPlay
from .truth_own import ENFORCE, NO_HEADER, ONLY_16_KHZ

HEADERS: Final = {
    "plain": wav_header(16000), "none": b"", "slow": wav_header(8000), "odd": wav_header(16000, 77), "other": b"OggS" + bytes(40),
}
TEXTS: Final = {"inside": "exception in ASR: gone", "header": NO_HEADER, "format": ONLY_16_KHZ, "decode": "Failed to decode audio"}


@dataclass(frozen=True, slots=True)
class Stream:
    """`fate`: scored, or how the vendor fails it, or open until the session ends."""

    header: Literal["plain", "none", "slow", "odd", "other"]
    seconds: int
    cut: bool
    fate: Literal["scored", "inside", "header", "format", "decode", "open"]


STREAMS: Final = st.lists(st.builds(
    Stream, st.sampled_from(sorted(HEADERS)), st.integers(0, 8), st.sampled_from([False, False, True]),
    st.sampled_from(["scored", "open", *TEXTS])), min_size=1, max_size=4)
Ends = Literal["client closes", "client gone", "vendor closes", "vendor fails", "drained"]
ENDS: Final = st.sampled_from(["client closes", "client gone", "vendor closes", "vendor fails", "drained"])


def played(streams: list[Stream], ends: Ends, policy: Policy | None) -> Report:
    call = Speaker(policy=policy)
    for stream in streams:
        call.link = "up"
        call.header = HEADERS[stream.header]
        call.begins()
        call.link = "cut" if stream.cut else "up"
        arrive(call.talk(stream.seconds))
        if stream.fate == "scored":
            call.scored()
        elif stream.fate != "open":
            call.fails(TEXTS[stream.fate]).hears(type="ELSA:ready")
    return ended(call, ends)


def arrive(call: Speaker) -> None:
    """Until nothing waits in a gate: the vendor answers what it has got."""
    while isinstance(call.play, GatedPlay) and call.play.gate.wake_at is not None:
        call.play.wait(max(0.0, call.play.gate.wake_at - call.now))


def ended(call: Speaker, ends: Ends) -> Report:
    if ends == "client closes":
        return call.tick().play.client_closes(1000).tick().end()
    if ends == "client gone":
        return call.tick().lost(Side.CLIENT)
    if ends == "drained":
        call.play.session.drained()
        return call.closed(1000)
    return call.closed(1000 if ends == "vendor closes" else 1011)


def may_be_blamed(last: Stream, ends: Ends) -> set[Owner]:
    """By the last stream alone."""
    if ends == "drained":
        return {Owner.SIDECAR}
    if last.fate == "inside":
        return {Owner.VENDOR}
    if last.fate in TEXTS:
        if not last.seconds:
            return set()  # there was nothing to find fault with
        return {Owner.VENDOR} if last.header == "plain" else {Owner.CLIENT}
    if ends == "vendor fails":
        return {Owner.VENDOR}
    if ends == "vendor closes" or last.fate == "scored":
        return {Owner.NONE}
    return {Owner.CLIENT, Owner.NETWORK} if last.cut else {Owner.CLIENT}


@settings(max_examples=300, deadline=None)
@given(STREAMS, ENDS, st.sampled_from([None, ENFORCE]))
def test_nobody_is_accused_of_another_streams_fault(streams: list[Stream], ends: Ends, policy: Policy | None) -> None:
    report = played(streams, ends, policy)
    assert report.verdict.owner in {Owner.UNKNOWN, *may_be_blamed(streams[-1], ends)}, (report.verdict, report.evidence, report.facts)
