"""Sessions of known truth, whose claim is another one than that nothing came: pieces, pace, form, figures, access.

Healthy ones are among them, and ends that the vendor says nothing of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from proxy.core.crowd import Crowd
from proxy.core.profile import Profile
from proxy.core.report import Report
from proxy.core.vendor import Vendor
from proxy.core.verdict import Check, Side, Transport

from .caller import Call, assemblyai, base64, deepgram, flux, nextevi, refused
from .playbook import BINARY, COMMON, PROFILE, WALL, Play
from .truth import CLIENT, NETWORK, NONE, OPERATOR, SEE, SIDECAR, UNKNOWN, VENDOR, Truth, cut, full


def claims() -> Iterator[Truth]:
    for rate, width in ((8000, 1), (8000, 2), (16000, 2)):
        yield from _pieces(f"{rate} Hz, {8 * width} bit", rate, width)
    for part in (_bursts, _decoding, _durations, _many, _messages, _forms, _access, _healthy, _left):
        yield from part()


def short_chunk(call: Call, claim: str = "Input Duration Violation: 20.0 ms. Expected between 50 and 1000 ms") -> Report:
    return call.closed(3007, SEE, type="Error", error_code=3007, error=claim)


def too_fast(call: Call) -> Report:
    return call.closed(3007, SEE, type="Error", error_code=3007, error="Audio Transmission Rate Exceeded: Received 30 sec. audio in 9 sec")


def _pieces(kind: str, rate: int, width: int) -> Iterator[Truth]:
    """Chunks and pace."""
    chunk, pace = Check.CHUNK_DURATION, Check.AUDIO_RATE

    def call() -> Call:
        return assemblyai(rate, width)

    yield Truth(f"pieces of 20 ms, {kind}", CLIENT, chunk, "yes", lambda: short_chunk(call().talk(3, chunk=0.02)))
    yield Truth(f"a piece of 1.2 s, {kind}", CLIENT, chunk, "yes", lambda: short_chunk(call().talk(2).talk(1.2, chunk=1.2)))
    yield Truth(f"pieces of 50 ms, {kind}", VENDOR, chunk, "no", lambda: short_chunk(call().talk(6, chunk=0.05)), hint="not the client")
    yield Truth(f"pieces of 1 s, {kind}", VENDOR, chunk, "no", lambda: short_chunk(call().talk(6, chunk=1.0)))
    yield Truth(f"a file at tenfold speed, {kind}", CLIENT, pace, "yes", lambda: too_fast(call().talk(60, speed=10)))
    yield Truth(f"half as fast again, {kind}", CLIENT, pace, "yes", lambda: too_fast(call().talk(60, speed=1.5)))
    yield Truth(f"real time, {kind}", VENDOR, pace, "no", lambda: too_fast(call().talk(60)), hint="not the client")


def _bursts() -> Iterator[Truth]:
    """A remainder that is allowed to be short, and even streams of which others made bursts."""
    check = Check.AUDIO_RATE
    yield Truth("half the declared rate", CLIENT, Check.CHUNK_DURATION, "yes", lambda: short_chunk(
        Call("assemblyai", "/v3/ws?sample_rate=16000", rate=8000).hears(type="Begin", id="b-1").talk(3, chunk=0.05)))
    yield Truth("a remainder after the vendor's word", VENDOR, Check.CHUNK_DURATION, "no", remainder)
    yield Truth("what is no JSON, but after the vendor's word", VENDOR, Check.MESSAGE_SHAPE, "no", afterthought)
    yield Truth("the remainder before the end", VENDOR, Check.CHUNK_DURATION, "cannot_tell", lambda: short_chunk(
        assemblyai().talk(5, chunk=0.05).talk(0.02, chunk=0.02).says(type="Terminate")), settled=False)
    yield Truth("a burst that our loop made", SIDECAR, check, "yes",
                lambda: too_fast(assemblyai().talk(5).stands_still(8).tick(lag=8.0).talk(2)), hint="Earwitness")
    yield Truth("a burst that the link made", NETWORK, check, "yes", lambda: too_fast(recovers(cut(assemblyai().talk(5)).talk(9))))
    yield Truth("a burst that the vendor's window made", VENDOR, check, "yes",
                lambda: too_fast(recovers(full(assemblyai().talk(5)).talk(9))), hint="window")
    yield Truth("audio of no known length", CLIENT, check, "cannot_tell",
                lambda: too_fast(Call("assemblyai", "/v3/ws?encoding=opus").talk(9, speed=9)))


def remainder() -> Report:
    """The vendor lies about pieces; the client sends what it has left, and goes."""
    call = assemblyai().talk(6)
    call.hears(type="Error", error_code=3007, error="Input Duration Violation: 20.0 ms. Expected between 50 and 1000 ms")
    return call.talk(0.02, chunk=0.02).closed(3007, SEE)


def afterthought() -> Report:
    call = assemblyai().talk(6)
    call.hears(type="Error", error_code=3006, error="Invalid JSON: x")
    call.play.vendor_closes(3006, SEE)
    return call.says_raw(b"{bye}").tick().play.end()


def recovers(call: Call) -> Call:
    call.link = "up"
    return call.talk(3)


def undecodable(call: Call) -> Report:
    return call.closed(1008, "DATA-0000")


def _decoding() -> Iterator[Truth]:
    check = Check.AUDIO_DECODABLE
    header = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\xbb\0\0\0w\x01\0\x02\0\x10\0data\0\0\0\0"

    def first(data: bytes) -> Call:
        return deepgram().says_raw(data + b"\1\2" * ((3200 - len(data)) // 2), BINARY).talk(3)

    yield Truth("a WAV header where raw was declared", CLIENT, check, "yes", lambda: undecodable(first(header)), hint="header")
    yield Truth("Ogg where raw was declared", CLIENT, check, "yes", lambda: undecodable(first(b"OggS\0\2")), hint="container")
    yield Truth("base64 in binary messages", CLIENT, check, "yes",
                lambda: undecodable(first(base64(bytes(range(240)) * 10))), hint="base64")
    yield Truth("half samples", CLIENT, check, "yes", lambda: undecodable(deepgram().says_raw(b"\1\2\3" * 333, BINARY).talk(3)))
    yield Truth("another codec, that nothing shows", CLIENT, check, "cannot_tell",
                lambda: undecodable(deepgram().talk(5, sample=b"\x7f\xff")))
    yield Truth("words until the very end", VENDOR, check, "no", lambda: undecodable(deepgram().talk(20, results=True)), hint="results")
    yield Truth("words until the very end, 8 kHz", VENDOR, check, "no", lambda: undecodable(deepgram(8000, 1).talk(20, results=True)))
    yield Truth("words, then other pieces", CLIENT, check, "cannot_tell",
                lambda: undecodable(deepgram().talk(20, results=True).talk(2, chunk=0.037)))
    yield Truth("nothing understood, nothing said", CLIENT, Check.REPORTED_AUDIO, "no",
                lambda: deepgram().talk(20).closed(1000, type="Metadata", duration=0.0, request_id="r-1"))


def expired(call: Call) -> Report:
    return call.closed(3008, SEE, type="Error", error_code=3008, error="Session Expired: Maximum session duration exceeded")


DATE: Final = "Fri, 15 Jan 2027 08:00:00 GMT"
"""What the clock of the play says at its start."""


def _durations() -> Iterator[Truth]:
    check = Check.SESSION_DURATION
    ahead = "Fri, 15 Jan 2027 09:00:00 GMT"  # the vendor's clock, or ours, is an hour off
    yield Truth("expired at the announced time", CLIENT, check, "yes",
                lambda: expired(assemblyai(expires=WALL + 600, date=DATE).pause(599)))
    yield Truth("expired at the published time", CLIENT, check, "yes",
                lambda: nextevi().pause(3601).closed(5004, type="error", error_code="SESSION_EXPIRED", error_message="Session expired"))
    yield Truth("expired far too early", VENDOR, check, "cannot_tell", lambda: expired(assemblyai().pause(60)), settled=False)
    yield Truth("expired before the announced time", VENDOR, check, "no", lambda: expired(assemblyai(date=DATE).pause(60)), settled=False)
    yield Truth("the clocks differ by an hour", CLIENT, check, "yes",
                lambda: expired(assemblyai(expires=WALL + 3600 + 600, date=ahead).pause(599)))


def _many() -> Iterator[Truth]:
    """Too many sessions, as far as one sidecar sees."""
    path, slow_down = "/ws/voice/conn-1?api_key=oak_1", {"error_code": "RATE_LIMITED", "error_message": "Rate limit exceeded"}
    rate = Check.CONNECTION_RATE
    yield Truth("120 in a minute", OPERATOR, rate, "yes", lambda: refused("nextevi", path, 429, {}, slow_down, before=120))
    yield Truth("few from here", OPERATOR, rate, "cannot_tell", lambda: refused("nextevi", path, 429, {}, slow_down, before=3))
    yield Truth("three at once", OPERATOR, Check.CONCURRENCY, "yes", crowded)


def crowded() -> Report:
    raw = PROFILE.model_dump()
    raw["endpoints"]["v1"]["limits"] |= {"sessions": 2}
    many = {"id": "many", "code": "MANY", "category": "concurrency_limit", "hint": "Wait.", "when": {"http_status": 429},
            "examples": [{"http_status": 429}]}
    raw["rules"] = [*raw["rules"], many]
    play, crowd = Play(vendor=Vendor(Profile.model_validate(raw), COMMON)), Crowd(b"k")
    for _ in range(3):
        play.session.company = crowd.came("main", "key", play.now)
    play.session.refused(429, {"acme-id": "a"}, b"", play.now)
    return play.end()


def limited(call: Call) -> Report:
    return call.closed(4004, type="error", error_code="RATE_LIMITED", error_message="Exceeded rate limits for messages")


def _messages() -> Iterator[Truth]:
    check = Check.MESSAGE_RATE
    yield Truth("200 pieces a second", OPERATOR, check, "yes", lambda: limited(nextevi().talk(5, chunk=0.005)))
    yield Truth("3000 messages a minute", OPERATOR, check, "yes", lambda: limited(nextevi().talk(65, chunk=0.02)))
    yield Truth("ten pieces a second", VENDOR, check, "no", lambda: limited(nextevi().talk(65)), hint="not the client")
    yield Truth("perhaps too many sessions, told late", OPERATOR, check, "no", lambda: limited(nextevi().talk(5)))
    yield Truth("audio in text messages, ten a second", VENDOR, check, "no", lambda: limited(spelled(nextevi())))
    yield Truth("messages in a heap that our loop made", SIDECAR, check, "yes",
                lambda: limited(nextevi().talk(5, chunk=0.02).stands_still(3, chunk=0.02).tick(lag=3.0)), hint="Earwitness")
    large = {"type": "error", "error_code": "AUDIO_CHUNK_TOO_LARGE", "error_message": "Audio chunk too large"}
    yield Truth("a piece of 1.2 MB", CLIENT, Check.CHUNK_BYTES, "yes", lambda: nextevi().talk(25, chunk=25).closed(5003, **large))
    yield Truth("no piece above 5 KB", VENDOR, Check.CHUNK_BYTES, "no", lambda: nextevi().talk(9).closed(5003, **large))


def spelled(call: Call) -> Call:
    """Base64 inside JSON, for longer than a minute."""
    audio = base64(b"\x00\x40" * 2400).decode()
    for number in range(650):
        call.play.wait(0.1)
        call.says(type="audio_input", timestamp=number, message_id=f"m-{number}", data={"audio": audio})
        if not number % 10:
            call.tick()
    return call


def _forms() -> Iterator[Truth]:
    check = Check.MESSAGE_SHAPE

    def refuses(call: Call, text: str) -> Report:
        return call.closed(3006, SEE, type="Error", error_code=3006, error=text)

    yield Truth("what is no JSON", CLIENT, check, "yes",
                lambda: refuses(assemblyai().talk(3).says_raw(b"{type: Terminate}"), "Invalid JSON: {type: Terminate}"))
    yield Truth("all of it JSON", VENDOR, check, "no", lambda: refuses(assemblyai().talk(3).says(type="ForceEndpoint"), "Invalid JSON: x"))
    yield Truth("a type of another version", CLIENT, check, "yes",
                lambda: refuses(assemblyai().talk(3).says(type="terminate_session"), "Invalid Message Type: terminate_session"))
    yield Truth("a type that is known here", UNKNOWN, check, "cannot_tell",
                lambda: refuses(assemblyai().talk(3).says(type="KeepAlive"), "Invalid Message Type: KeepAlive"))
    yield Truth("no text message at all", VENDOR, check, "no", lambda: refuses(assemblyai().talk(3), "Invalid Message Type: x"))
    interrupt = {"type": "interrupt", "timestamp": 1, "message_id": "m"}
    yield Truth("a message of an SDK's that the page does not know", UNKNOWN, check, "cannot_tell",
                lambda: nextevi().says(**interrupt).closed(
        4000, type="error", error_code="UNSUPPORTED_MESSAGE_TYPE", error_message="interrupt"))
    yield Truth("a list for a message", CLIENT, check, "yes", lambda: refuses(assemblyai().talk(3).says_raw(b"[]"), "Invalid Message: []"))
    yield Truth("a keep-alive where there is none", CLIENT, check, "yes", lambda: flux().talk(3).says(type="KeepAlive").closed(
        1005, type="Error", code="UNPARSABLE_CLIENT_MESSAGE", description="Text message received from client did not match any format"))
    yield Truth("a message without its fields", CLIENT, check, "yes",
                lambda: nextevi().says(type="session_settings", sample_rate=24000).closed(
        4000, type="error", error_code="INVALID_MESSAGE_FORMAT", error_message="missing message_id"))


def _access() -> Iterator[Truth]:
    check, after = Check.CREDENTIALS, Check.READY_BEFORE
    bad = {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials."}
    answer = {"dg-request-id": "a", "dg-error": "Invalid credentials."}

    def refuses(call: Call, text: str) -> Report:
        return call.closed(1008, SEE, type="Error", error_code=1008, error=f"Unauthorized Connection: {text}")

    yield Truth("no key at all", OPERATOR, check, "yes", lambda: refused("deepgram", "/v1/listen", 401, answer, bad, asked={}))
    yield Truth("a scheme without its key", OPERATOR, check, "yes",
                lambda: refused("deepgram", "/v1/listen", 401, answer, bad, asked={"authorization": "Token "}))
    yield Truth("some key", OPERATOR, check, "cannot_tell", lambda: refused("deepgram", "/v1/listen", 401, answer, bad))
    yield Truth("a key in the subprotocol", OPERATOR, check, "cannot_tell",
                lambda: refused("deepgram", "/v1/listen", 401, answer, bad, asked={"sec-websocket-protocol": "token, abc"}))
    yield Truth("no header, after the 101", OPERATOR, check, "yes",
                lambda: refuses(assemblyai(ready=False, headers={}), "Missing Authorization header"))
    yield Truth("a header after all", OPERATOR, check, "no", lambda: refuses(assemblyai(ready=False), "Missing Authorization header"))
    yield Truth("a wrong key, told after the 101", OPERATOR, after, "yes", lambda: refuses(assemblyai(ready=False), "Invalid API key"))
    yield Truth("a wrong token in the query", OPERATOR, after, "yes",
                lambda: refuses(assemblyai(ready=False, query="&token=t", headers={}), "Invalid API key"))
    yield Truth("a good key, turned away later", VENDOR, after, "no",
                lambda: refuses(assemblyai().talk(30), "Invalid API key"), settled=False)


def _healthy() -> Iterator[Truth]:
    check = Check.REPORTED_AUDIO

    def finished(call: Call, seconds: float) -> Report:
        return call.says(type="CloseStream").closed(1000, type="Metadata", duration=seconds, request_id="r-1")

    yield Truth("the vendor counts as we do", NONE, check, "yes", lambda: finished(deepgram().talk(20, results=True), 20.0))
    yield Truth("the vendor counts as we do, 8 kHz", NONE, check, "yes", lambda: finished(deepgram(8000, 1).talk(20, results=True), 20.0))
    yield Truth("the vendor counts half of it", NONE, check, "no", lambda: finished(deepgram().talk(20, results=True), 10.0))
    yield Truth("the vendor counts more", NONE, check, "no", lambda: finished(deepgram().talk(20, results=True), 31.0))
    yield Truth("a summary of the session", NONE, check, "yes", lambda: assemblyai().talk(9, results=True).says(type="Terminate").closed(
        1000, type="Termination", audio_duration_seconds=9, session_duration_seconds=9))
    yield Truth("a figure on the way", NONE, check, "yes", lambda: assemblyai().talk(9, results=True).hears(
        type="Heartbeat", total_audio_received_ms=9000).talk(3, results=True).says(type="Terminate").closed(1000))
    yield Truth("a vendor that froze, and a polite end", NONE, None, None,
                lambda: deepgram().talk(5, results=True).talk(30).says(type="CloseStream").closed(1000), hint="silent")


def _left() -> Iterator[Truth]:
    """Ends that the vendor says nothing of."""
    yield Truth("the client leaves what it could not reach", NETWORK, None, None,
                lambda: cut(deepgram().talk(5)).talk(12).lost(Side.CLIENT))
    yield Truth("the client leaves a vendor that does not read", VENDOR, None, None,
                lambda: full(deepgram().talk(5)).talk(12).lost(Side.CLIENT), hint="window")
    yield Truth("the way back is cut", NETWORK, None, None, lambda: cut(deepgram().talk(5)).talk(12).lost(Side.VENDOR, Transport.TIMEOUT))
    yield Truth("the client leaves a vendor that froze", VENDOR, None, None,
                lambda: deepgram().talk(5, results=True).talk(30).lost(Side.CLIENT), settled=False, hint="silent")
    yield Truth("the client just leaves", CLIENT, None, None, lambda: deepgram().talk(9, results=True).lost(Side.CLIENT))
