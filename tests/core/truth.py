"""Sessions of known truth: who was to blame is decided first, then the session is played so.

Each says whose problem it truly is, what the check must make of the vendor's claim, and whether the answer may be `unknown`.
A vendor that lies, a client at fault, a link that is cut, a loop of ours that stands still: at 8 and 16 kHz, plain and TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from proxy.core.report import Report
from proxy.core.verdict import Check, Owner

from .caller import Avatar, Call, assemblyai, deepgram, flux
from .playbook import BINARY, frame

NET_0001: Final = "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001"
NO_MESSAGES: Final = "Session terminated due to inactivity: No messages received for 30 seconds"
SEE: Final = "See Error message for details"
VENDOR, CLIENT, OPERATOR, NETWORK, SIDECAR, NONE, UNKNOWN = (
    Owner.VENDOR, Owner.CLIENT, Owner.OPERATOR, Owner.NETWORK, Owner.SIDECAR, Owner.NONE, Owner.UNKNOWN)


@dataclass(frozen=True)
class Truth:
    """`owner` is whose problem it truly is. `settled` says whether what is measured suffices to tell; else the answer is unknown."""

    name: str
    owner: Owner
    check: Check | None
    agrees: str | None
    play: Callable[[], Report]
    settled: bool = True
    hint: str = ""


def timers() -> Iterator[Truth]:
    """That nothing came: the claim that accuses most often."""
    for rate, width, tls in ((8000, 1, False), (8000, 2, True), (16000, 2, False), (16000, 2, True)):
        yield from _timers(f"{rate} Hz, {8 * width} bit, {'TLS' if tls else 'plain'}", rate, width, tls)
    for part in (_odd_timers, _keep_alives, _stalls):
        yield from part()


def net_0001(call: Call) -> Report:
    return call.closed(1011, NET_0001)


def idle_3006(call: Call) -> Report:
    return call.closed(3006, SEE, type="Error", error_code=3006, error=NO_MESSAGES)


def _timers(kind: str, rate: int, width: int, tls: bool) -> Iterator[Truth]:
    """The five ways in which no audio comes, or does."""
    audio, message = Check.AUDIO_RECEIVED, Check.IDLE

    def call() -> Call:
        return deepgram(rate, width, tls=tls)

    def other() -> Call:
        return assemblyai(rate, width, "&inactivity_timeout=30", tls=tls)

    yield Truth(f"the vendor acknowledges and ignores, {kind}", VENDOR, audio, "no",
                lambda: net_0001(call().talk(25)), hint="not the client")
    yield Truth(f"the client stops, {kind}", CLIENT, audio, "yes", lambda: net_0001(call().talk(8).pause(10.4)))
    yield Truth(f"the link is cut, {kind}", NETWORK, audio, "yes", lambda: net_0001(cut(call().talk(5)).talk(12)))
    yield Truth(f"the vendor stops reading, {kind}", VENDOR, audio, "yes", lambda: net_0001(full(call().talk(5)).talk(12)), hint="window")
    yield Truth(f"our loop stands still, {kind}", SIDECAR, audio, "yes", lambda: late(call().talk(5).stands_still(11)), hint="Earwitness")
    yield Truth(f"the vendor forgets its timer, {kind}", VENDOR, message, "no", lambda: idle_3006(other().talk(40)))
    yield Truth(f"the client falls silent, {kind}", CLIENT, message, "yes", lambda: idle_3006(other().talk(5).pause(30.5)))


def cut(call: Call) -> Call:
    call.link = "cut"
    return call


def heals(call: Call) -> Call:
    call.link = "up"
    return call.tick()


def full(call: Call) -> Call:
    call.link = "full"
    return call


def late(call: Call, lag: float = 11.0) -> Report:
    """The vendor's close waited in the same heap; the tick that tells of the stall comes after."""
    call.play.vendor_closes(1011, NET_0001)
    return call.tick(lag=lag).play.end()


def _odd_timers() -> Iterator[Truth]:
    check = Check.AUDIO_RECEIVED
    yield Truth("the client never speaks", CLIENT, check, "yes", lambda: net_0001(deepgram().pause(10.5)))
    yield Truth("Ogg all along", VENDOR, check, "no", lambda: net_0001(Call("deepgram", "/v1/listen?encoding=opus").talk(20)))
    yield Truth("no TCP_INFO here, and the vendor lies", VENDOR, check, "cannot_tell", lambda: net_0001(deepgram(kernel=False).talk(20)),
                settled=False)
    yield Truth("the vendor's timer is short by a quarter", VENDOR, check, "cannot_tell", lambda: net_0001(deepgram().talk(5).pause(7.5)),
                settled=False)
    yield Truth("Flux forgets its timer", VENDOR, Check.IDLE, "no", lambda: net_0001(flux().talk(70)))
    yield Truth("two channels", VENDOR, check, "no",
                lambda: net_0001(Call("deepgram", "/v1/listen?encoding=linear16&sample_rate=8000&channels=2").talk(25)))
    yield Truth("the wall clock is set back in between", VENDOR, check, "no", lambda: net_0001(set_back(deepgram().talk(12)).talk(12)))
    yield Truth("a link so slow that all comes late", NETWORK, check, "cannot_tell", lambda: net_0001(slow(deepgram().talk(3), 9).talk(12)),
                settled=False)
    yield Truth("a client that froze, and thawed after the close", CLIENT, check, "yes", thawed)
    yield Truth("a link that delivers after the close", NETWORK, check, "yes", healed)
    yield Truth("a muted microphone", CLIENT, check, "cannot_tell", lambda: net_0001(deepgram().talk(20, sample=bytes(2))), settled=False,
                hint="microphone")
    silence = "no audio input for 15 seconds"
    yield Truth("audio inside protobuf", VENDOR, check, "no", lambda: Avatar().talk(25).fails(3, silence, 1000), hint="not the client")
    yield Truth("no more audio inside protobuf", CLIENT, check, "yes", lambda: Avatar().talk(3).pause(15.5).fails(3, silence, 1000))
    yield Truth("a session nobody could read", VENDOR, check, "cannot_tell", unread, settled=False)


def set_back(call: Call) -> Call:
    call.play.session.wall -= 86400.0
    return call


def slow(call: Call, delay: float) -> Call:
    call.delay = delay
    return call


def thawed() -> Report:
    call = deepgram().talk(6).pause(10.5)
    call.play.vendor_closes(1011, NET_0001)
    return call.talk(2).play.end()


def healed() -> Report:
    call = cut(deepgram().talk(5)).talk(12)
    call.play.vendor_closes(1011, NET_0001)
    call.link = "up"
    return call.tick().talk(2).play.end()


def unread() -> Report:
    call = deepgram().talk(5)
    call.play.client(frame(BINARY, b"x" * 9, masked=True, rsv=0x20))
    return net_0001(call.talk(20))


def _keep_alives() -> Iterator[Truth]:
    check = Check.AUDIO_RECEIVED
    yield Truth("keep-alives in time, as text", VENDOR, check, "no",
                lambda: net_0001(deepgram().talk(5).keep_alive(20)), hint="Keep-alives")
    yield Truth("keep-alives sent as binary", CLIENT, check, "yes", lambda: net_0001(deepgram().talk(5).keep_alive(12, opcode=BINARY)),
                hint="binary")
    yield Truth("keep-alives sent as binary, nothing else", CLIENT, check, "yes",
                lambda: net_0001(deepgram(8000, 1).keep_alive(12, opcode=BINARY)), hint="binary")
    yield Truth("keep-alives into a cut link", NETWORK, check, "yes", lambda: net_0001(cut(deepgram().talk(5)).keep_alive(12)))
    yield Truth("keep-alives that came too late", CLIENT, check, "yes", lambda: net_0001(deepgram().talk(5).keep_alive(4).pause(10.5)))
    yield Truth("keep-alives alone, and no audio ever", CLIENT, check, "cannot_tell", lambda: net_0001(deepgram().keep_alive(12)),
                settled=False)
    yield Truth("keep-alives that a cut link held up until just before", VENDOR, check, "cannot_tell",
                lambda: net_0001(heals(cut(deepgram().talk(3)).keep_alive(12).pause(15)).pause(2)), settled=False)
    yield Truth("keep-alives are messages", VENDOR, Check.IDLE, "no",
                lambda: idle_3006(assemblyai(query="&inactivity_timeout=30").talk(3).keep_alive(40, every=10)))


def _stalls() -> Iterator[Truth]:
    check = Check.AUDIO_RECEIVED
    yield Truth("our loop and the client stood still", CLIENT, check, "cannot_tell",
                lambda: late(deepgram().talk(5).stands_still(11, client_talks=False)), settled=False)
    yield Truth("our loop stood still for a while only", VENDOR, check, "no",
                lambda: late(deepgram().talk(9).stands_still(4), lag=4.0), hint="not the client")
    yield Truth("keep-alives, and then our loop stood still for a while", VENDOR, check, "no",
                lambda: late(deepgram().talk(5).keep_alive(12).stands_still(4, client_talks=False), lag=4.0), hint="Keep-alives")
    yield Truth("our loop stood still while the vendor closed, and the client spoke only then", CLIENT, check, "cannot_tell",
                lambda: net_0001(deepgram().talk(5).pause(8).stands_still(4).tick(lag=4.0)), settled=False)
    yield Truth("our loop stood still long ago", CLIENT, check, "yes",
                lambda: net_0001(deepgram().talk(5).stands_still(4).tick(lag=4.0).talk(20).pause(10.5)))
    yield Truth("our loop stood still long ago, and the vendor lies", VENDOR, check, "no",
                lambda: net_0001(deepgram().talk(5).stands_still(4).tick(lag=4.0).talk(20)))
    yield Truth("what waits here is not read any more", VENDOR, check, "yes", held, hint="window")


def held() -> Report:
    """The vendor reads nothing; once our buffers are full we read nothing either, and the client seems silent."""
    call = full(deepgram().talk(5)).talk(4)
    for _ in range(11):
        call.play.wait(1.0)
        call.tick(buffered=70000)
    return net_0001(call)
