"""Sessions of known truth in which Earwitness takes part: held to limits by a gate, or drained. And several streams on one socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from proxy.core.policy import Policy
from proxy.core.report import Report
from proxy.core.verdict import Check, Side

from .caller import Avatar, Call, Speaker, assemblyai, deepgram, wav_header
from .truth import CLIENT, NETWORK, NONE, SIDECAR, UNKNOWN, VENDOR, Truth, cut, full, net_0001
from .truth_claims import short_chunk, too_fast

ENFORCE: Final = Policy.model_validate({"mode": "enforce"})
NO_CREDIT: Final = Policy.model_validate({"mode": "enforce", "rules": {"pace": {"credit_seconds": 0.0}}})
SILENCE: Final = "no audio input for 15 seconds"
NO_HEADER: Final = "Failed to parse audio header"
ONLY_16_KHZ: Final = "Only 16 kHz mono WAV, FLAC or OGG-Opus audio allowed"


def own() -> Iterator[Truth]:
    for part in (_gated, _drained, _streams):
        yield from part()


def _gated() -> Iterator[Truth]:
    chunk, pace, audio = Check.CHUNK_DURATION, Check.AUDIO_RATE, Check.AUDIO_RECEIVED
    yield Truth("a gate with nothing to do, and a lie about pace", VENDOR, pace, "no",
                lambda: too_fast(assemblyai(policy=ENFORCE).talk(60)), hint="not the client")
    yield Truth("a gate that paces a file, and a lie about pace", VENDOR, pace, "no",
                lambda: too_fast(assemblyai(policy=ENFORCE).talk(30, speed=10).pause(40)), hint="not the client")
    yield Truth("a gate that joins 20 ms pieces, and a lie about them", VENDOR, chunk, "no",
                lambda: short_chunk(assemblyai(policy=ENFORCE).talk(6, chunk=0.02)))
    yield Truth("a gate that cuts pieces of 1.2 s, and a lie about them", VENDOR, chunk, "no",
                lambda: short_chunk(assemblyai(policy=ENFORCE).talk(12, chunk=1.2).pause(3)))
    yield Truth("a gate, and a client that stops", CLIENT, audio, "yes", lambda: net_0001(deepgram(policy=ENFORCE).talk(8).pause(10.4)))
    yield Truth("a gate, and a link that is cut", NETWORK, audio, "yes", lambda: net_0001(cut(deepgram(policy=ENFORCE).talk(5)).talk(12)))
    yield Truth("a gate, and a vendor that does not read", VENDOR, audio, "yes",
                lambda: net_0001(full(deepgram(policy=ENFORCE).talk(5)).talk(12)), hint="window")
    yield Truth("a gate that still sends what came at once, and a vendor that forgets its timer", VENDOR, audio, "no",
                lambda: net_0001(deepgram(policy=ENFORCE).talk(60, speed=10).pause(12)))
    yield Truth("a gate that cuts what would make a gap, and a vendor that forgets its timer", VENDOR, audio, "no",
                lambda: net_0001(deepgram(policy=NO_CREDIT).talk(60, chunk=30, speed=10).pause(8)))
    yield Truth("a gate that makes the gap itself", SIDECAR, audio, "yes",
                lambda: paused(0, 11.5), hint="policy")
    yield Truth("a pause that the vendor allows, and a gate that holds what came after it", SIDECAR, audio, "yes",
                lambda: paused(8, 5), hint="policy")
    yield Truth("a gate that holds what came before a pause that was too long by itself", UNKNOWN, audio, "yes",
                lambda: paused(0, 15.5), hint="policy")


def paused(before: float, after: float) -> Report:
    """Two pieces of half a minute each, which a gate that grants no credit sends half a minute apart."""
    call = Avatar(policy=NO_CREDIT).talk(30, chunk=30, speed=10).pause(before).talk(30, chunk=30, speed=10)
    return call.pause(after).fails(3, SILENCE, 1000)


def _drained() -> Iterator[Truth]:
    def drained(call: Call) -> Call:
        call.play.session.drained()
        return call

    yield Truth("drained in the midst of it", SIDECAR, None, None, lambda: drained(deepgram().talk(5)).tick().play.end())
    yield Truth("drained, and the vendor complains of it", SIDECAR, None, None, lambda: net_0001(drained(deepgram().talk(5))))
    yield Truth("drained, and the client hangs up", SIDECAR, None, None, lambda: drained(deepgram().talk(5)).lost(Side.CLIENT))
    yield Truth("drained, and the vendor hangs up", SIDECAR, None, None, lambda: drained(deepgram().talk(5)).lost(Side.VENDOR))
    yield Truth("the vendor had lied before it was drained", VENDOR, Check.AUDIO_RECEIVED, "no", lied_before)
    yield Truth("the client had left before it was drained", CLIENT, None, None, left_before)


def lied_before() -> Report:
    call = deepgram().talk(25)
    call.play.vendor_closes(1011, "Deepgram did not receive audio data or a text message within the timeout window")
    call.play.session.drained()
    return call.tick().play.end()


def left_before() -> Report:
    call = deepgram().talk(25, results=True)
    call.play.client_closes(1000).session.drained()
    return call.tick().play.end()


def _streams() -> Iterator[Truth]:
    check = Check.AUDIO_DECODABLE
    yield Truth("the second stream fails inside the vendor", VENDOR, None, None,
                lambda: good(Speaker()).begins().talk(3).fails("exception in ASR: gone").closed(1011))
    yield Truth("the first stream fails, the second does not", NONE, None, None,
                lambda: good(again(Speaker().begins().talk(3), "exception in ASR: gone")).play.client_closes().end())
    yield Truth("raw samples where files are wanted", CLIENT, check, "yes", lambda: raw(Speaker()).fails(NO_HEADER).closed(1000))
    yield Truth("files of 8 kHz where 16 are wanted", CLIENT, check, "yes", lambda: slower(Speaker()).fails(ONLY_16_KHZ).closed(1000))
    yield Truth("files with all their headers, and a vendor that finds none", VENDOR, check, "no",
                lambda: Speaker().begins().talk(5).fails(NO_HEADER).closed(1000))
    yield Truth("files of 16 kHz, and a vendor that takes them for others", VENDOR, check, "no",
                lambda: Speaker().begins().talk(5).fails(ONLY_16_KHZ).closed(1000))
    yield Truth("a good header and nothing good behind it", CLIENT, check, "cannot_tell",
                lambda: Speaker().begins().talk(5, sample=b"\x7f\xff").fails("Failed to decode audio").closed(1000), settled=False)
    yield Truth("good files, and a vendor that cannot decode them", VENDOR, check, "cannot_tell",
                lambda: Speaker().begins().talk(5).fails("Failed to decode audio").closed(1000), settled=False)
    yield Truth("raw samples in the first stream, and a lie about the second", VENDOR, check, "no",
                lambda: again(raw(Speaker())).begins().talk(5).fails(NO_HEADER).closed(1000))
    yield Truth("good files in the first stream, raw samples in the second", CLIENT, check, "yes",
                lambda: raw(good(Speaker())).fails(NO_HEADER).closed(1000))
    yield Truth("the client leaves the second stream", CLIENT, None, None, lambda: good(Speaker()).begins().talk(3).lost(Side.CLIENT))
    yield Truth("the client leaves a second stream that it could not reach", NETWORK, None, None,
                lambda: cut(good(Speaker()).begins()).talk(12).lost(Side.CLIENT))


def good(call: Speaker) -> Speaker:
    return call.begins().talk(3).scored()


def raw(call: Speaker) -> Speaker:
    header, call.header = call.header, b""
    call.begins().talk(3).header = header
    return call


def slower(call: Speaker) -> Speaker:
    call.header = wav_header(8000)
    return call.begins().talk(3)


def again(call: Speaker, text: str = NO_HEADER) -> Speaker:
    """The vendor has said what is wrong, and is ready for another stream."""
    return call.fails(text).hears(type="ELSA:ready")
