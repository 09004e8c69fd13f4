"""Every way in which each check can come out, as a whole: what is claimed, what was measured, over which window, and what is said of it.

The other tests here tell what each depends on; this one that nothing of a finding is lost or put in another's place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from proxy.core.checks import access, chunks, figures, finding, forms, rates, received
from proxy.core.checks.access import concurrency, connection_rate, credentials, ready_before
from proxy.core.checks.chunks import chunk_bytes, chunk_duration
from proxy.core.checks.figures import reported_audio, session_duration
from proxy.core.checks.finding import Case, Finding
from proxy.core.checks.forms import audio_decodable, message_shape
from proxy.core.checks.rates import audio_rate, message_rate
from proxy.core.checks.received import audio_received, idle
from proxy.core.crowd import Company
from proxy.core.report import Evidence
from proxy.core.verdict import Check, Inspection, Noticed, Owner, Side
from tests.core.caller import Call, Speaker, assemblyai, deepgram, nextevi
from tests.core.playbook import BINARY, V1

from .cases import call, case, vendor

OPUS: Final = "/v1/listen?encoding=opus"
BOUNDS: Final = (0.05, 1.0)
GOOD, OTHER, NO_JSON, LIST = b'{"type":"Finish"}', b'{"type":"Other"}', b"{type: Finish}", b"[1]"


def blind(of: Call, side: Side = Side.CLIENT, how: Inspection = Inspection.PARTIAL) -> Call:
    of.play.session.blind(side, how)
    return of


def cut(of: Call, link: str, seconds: float = 8.0) -> Call:
    """The client goes on; what it says stays on the way, or in front of the vendor."""
    of.link = link
    of.talk(seconds)
    return of


def held_up(of: Call, link: str) -> Call:
    """The same for a while; then it all arrives at once."""
    cut(of, link).link = "up"
    return of.tick().talk(2)


def typing(of: Call, messages: int) -> Call:
    for _ in range(messages):
        of.says(type="Alive").pause(0.25)
    return of


def noticed(of: Call, *facts: Noticed) -> Call:
    for fact in facts:
        of.play.session.noticed(fact, of.now)
    return of


def among(of: Call, sessions: int) -> Call:
    of.play.session.company = Company(b"", sessions, sessions)
    return of


def announced(of: Call, seconds: float) -> Call:
    of.play.session.date, of.play.session.expires_at = "Thu, 01 Jan 1970 00:10:00 GMT", 600.0 + seconds
    return of


def dialled(of: Call, seconds: float) -> Call:
    """The vendor took so long to answer."""
    of.play.session.started_at -= seconds
    return of


def saying(of: Call, words: str) -> Call:
    of.play.session.claim.said.append(words)
    return of


def told(of: Call, seconds: float) -> Call:
    session = of.play.session
    session.claim.reported_seconds, session.reported_of = seconds, (session.audio.delivered, session.audio.read)
    return of


FINDINGS: Final = [
    (audio_rate, lambda: call(rate_ratio=1.25).talk(30), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "delivered", 1.25, 1.0, "ratio", 29.9, 0.0, "no"), Owner.VENDOR, rates.REAL_TIME)),
    (audio_rate, lambda: call(rate_ratio=1.25).talk(30, speed=1.3), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "read", 1.25, 1.304, "ratio", 23.0, 0.0, "yes"), None, None)),
    (audio_rate, lambda: call(rate_ratio=1.25).talk(60, speed=10), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "read", 1.25, 10.017, "ratio", 5.99, 0.0, "yes"), None, None)),
    (audio_rate, lambda: call(rate_ratio=1.25).talk(30, chunk=1.0), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "delivered", 1.25, 1.0, "ratio", 29.0, 0.0, "no"), Owner.VENDOR, rates.REAL_TIME)),
    (audio_rate, lambda: call(rate_ratio=1.25).talk(20, speed=1.15), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "read", 1.25, 1.149, "ratio", 17.304, 0.0, "cannot_tell"), Owner.UNKNOWN, rates.UNCLEAR)),
    (audio_rate, lambda: call().talk(10, speed=1.25), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "read", None, 1.263, "ratio", 7.92, 0.0, "yes"), None, None)),
    (audio_rate, lambda: call().talk(10, speed=1.15), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "read", None, 1.148, "ratio", 8.609, 0.0, "cannot_tell"), Owner.UNKNOWN, rates.UNCLEAR)),
    (audio_rate, lambda: call(rate_ratio=1.25), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "read", 1.25, 0.0, "ratio", None, None, "cannot_tell"), Owner.UNKNOWN, finding.NO_AUDIO)),
    (audio_rate, lambda: call(OPUS, rate_ratio=1.25).talk(20), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "read", 1.25, None, "ratio", None, None, "cannot_tell"), None, None)),
    (audio_rate, lambda: call(rate_ratio=1.25).talk(20).stands_still(5).tick(lag=5.0), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "read", 1.25, 0.833, "ratio", 24.9, 5.0, "yes"), Owner.SIDECAR, rates.WE)),
    (audio_rate, lambda: held_up(call(rate_ratio=1.25).talk(20), "cut"), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "delivered", 1.25, 1.0, "ratio", 29.9, 0.0, "yes"), Owner.NETWORK, rates.LINK)),
    (audio_rate, lambda: held_up(call(rate_ratio=1.25).talk(20), "full"), "CODE",
     Finding(Evidence(Check.AUDIO_RATE, "delivered", 1.25, 1.0, "ratio", 29.9, 0.0, "yes"), Owner.VENDOR, rates.WINDOW)),
    (message_rate, lambda: call(chunks_per_second=50).talk(5), "CODE",
     Finding(Evidence(Check.MESSAGE_RATE, "read", 50.0, 11, "messages", 1.0, None, "no"), Owner.UNKNOWN, rates.OTHERWISE)),
    (message_rate, lambda: call(chunks_per_second=50).talk(5, chunk=0.01), "CODE",
     Finding(Evidence(Check.MESSAGE_RATE, "read", 50.0, 100, "messages", 1.0, None, "yes"), None, None)),
    (message_rate, lambda: call(chunks_per_second=20).talk(3).stands_still(5).tick(lag=5.0), "CODE",
     Finding(Evidence(Check.MESSAGE_RATE, "read", 20.0, 50, "messages", 1.0, None, "yes"), Owner.SIDECAR, rates.WE)),
    (message_rate, lambda: call(chunks_per_second=50).talk(5, chunk=0.03).tick(lag=0.8), "CODE",
     Finding(Evidence(Check.MESSAGE_RATE, "read", 50.0, 34, "messages", 1.0, None, "cannot_tell"), Owner.UNKNOWN, rates.UNCLEAR)),
    (message_rate, lambda: typing(call(messages_per_minute=100), 180), "CODE",
     Finding(Evidence(Check.MESSAGE_RATE, "read", 100.0, 180, "messages", 60.0, None, "yes"), None, None)),
    (message_rate, lambda: typing(call(messages_per_minute=100), 20), "CODE",
     Finding(Evidence(Check.MESSAGE_RATE, "read", 100.0, 20, "messages", 60.0, None, "no"), Owner.UNKNOWN, rates.OTHERWISE)),
    (message_rate, lambda: typing(call(messages_per_minute=100, sessions=5), 20), "CODE",
     Finding(Evidence(Check.MESSAGE_RATE, "read", 100.0, 20, "messages", 60.0, None, "no"), Owner.UNKNOWN, rates.OTHERWISE)),
    (chunk_duration, lambda: call(chunk_seconds=BOUNDS).talk(1), "CODE",
     Finding(Evidence(Check.CHUNK_DURATION, "read", 0.05, 0.1, "seconds", None, None, "no"), Owner.VENDOR, chunks.ALL_WITHIN)),
    (chunk_duration, lambda: call(chunk_seconds=BOUNDS).talk(0.9, chunk=0.9), "CODE",
     Finding(Evidence(Check.CHUNK_DURATION, "read", 1.0, 0.9, "seconds", None, None, "no"), Owner.VENDOR, chunks.ALL_WITHIN)),
    (chunk_duration, lambda: call(chunk_seconds=BOUNDS).talk(0.1).talk(0.02, chunk=0.02).talk(0.1), "CODE",
     Finding(Evidence(Check.CHUNK_DURATION, "read", 0.05, 0.02, "seconds", None, None, "yes"), None, None)),
    (chunk_duration, lambda: call(chunk_seconds=BOUNDS).talk(0.1).talk(1.2, chunk=1.2), "CODE",
     Finding(Evidence(Check.CHUNK_DURATION, "read", 1.0, 1.2, "seconds", None, None, "yes"), None, None)),
    (chunk_duration, lambda: call(chunk_seconds=BOUNDS).talk(0.2).talk(0.02, chunk=0.02), "CODE",
     Finding(Evidence(Check.CHUNK_DURATION, "read", 0.05, 0.02, "seconds", None, None, "yes"), None, None)),
    (chunk_duration, lambda: call(chunk_seconds=BOUNDS).talk(0.2).talk(0.02, chunk=0.02).says(type="Finish"), "CODE",
     Finding(Evidence(Check.CHUNK_DURATION, "read", 0.05, 0.02, "seconds", None, None, "cannot_tell"),
             Owner.UNKNOWN, chunks.ONLY_THE_LAST)),
    (chunk_duration, lambda: call(chunk_seconds=BOUNDS), "CODE",
     Finding(Evidence(Check.CHUNK_DURATION, "read", 0.05, None, "seconds", None, None, "cannot_tell"), Owner.UNKNOWN, finding.NO_AUDIO)),
    (chunk_duration, lambda: call(OPUS, chunk_seconds=BOUNDS).talk(1), "CODE",
     Finding(Evidence(Check.CHUNK_DURATION, "read", 0.05, None, "seconds", None, None, "cannot_tell"), None, None)),
    (chunk_duration, lambda: blind(call(chunk_seconds=BOUNDS).talk(1)), "CODE",
     Finding(Evidence(Check.CHUNK_DURATION, "read", 0.05, 0.1, "seconds", None, None, "cannot_tell"), Owner.UNKNOWN, chunks.NEAR)),
    (chunk_bytes, lambda: call(chunk_bytes=10000).talk(1), "CODE",
     Finding(Evidence(Check.CHUNK_BYTES, "read", 10000, 3200, "bytes", None, None, "no"), Owner.VENDOR, chunks.ALL_WITHIN)),
    (chunk_bytes, lambda: call(chunk_bytes=10000).talk(0.25, chunk=0.25), "CODE",
     Finding(Evidence(Check.CHUNK_BYTES, "read", 10000, 8000, "bytes", None, None, "cannot_tell"), Owner.UNKNOWN, chunks.NEAR)),
    (chunk_bytes, lambda: call(chunk_bytes=10000).talk(0.4, chunk=0.4), "CODE",
     Finding(Evidence(Check.CHUNK_BYTES, "read", 10000, 12800, "bytes", None, None, "yes"), None, None)),
    (chunk_bytes, lambda: call(chunk_bytes=10000), "CODE",
     Finding(Evidence(Check.CHUNK_BYTES, "read", 10000, 0, "bytes", None, None, "cannot_tell"), Owner.UNKNOWN, chunks.NEAR)),
    (chunk_bytes, lambda: blind(call(chunk_bytes=10000).talk(1)), "CODE",
     Finding(Evidence(Check.CHUNK_BYTES, "read", 10000, 3200, "bytes", None, None, "cannot_tell"), Owner.UNKNOWN, chunks.NEAR)),
    (message_shape, lambda: call().talk(1).says_raw(NO_JSON), "3006_json",
     Finding(Evidence(Check.MESSAGE_SHAPE, "read", 1, 1, "messages", None, None, "yes"), None, None)),
    (message_shape, lambda: call().talk(1).says_raw(GOOD), "3006_json",
     Finding(Evidence(Check.MESSAGE_SHAPE, "read", 1, 0, "messages", None, None, "no"), Owner.VENDOR, forms.WELL_FORMED)),
    (message_shape, lambda: call().talk(1).says_raw(GOOD), "bad_type",
     Finding(Evidence(Check.MESSAGE_SHAPE, "read", 1, 0, "messages", None, None, "cannot_tell"), Owner.UNKNOWN, forms.KNOWN_TYPES)),
    (message_shape, lambda: call().talk(1), "bad_type",
     Finding(Evidence(Check.MESSAGE_SHAPE, "read", 1, 0, "messages", None, None, "no"), Owner.VENDOR, forms.NO_TEXT)),
    (message_shape, lambda: call().talk(1).says_raw(GOOD), "BAD_MESSAGE",
     Finding(Evidence(Check.MESSAGE_SHAPE, "read", 1, 0, "messages", None, None, "cannot_tell"), None, None)),
    (message_shape, lambda: call().talk(1).says_raw(OTHER).says_raw(NO_JSON).says_raw(LIST), "BAD_MESSAGE",
     Finding(Evidence(Check.MESSAGE_SHAPE, "read", 1, 3, "messages", None, None, "yes"), None, None)),
    (message_shape, lambda: call().talk(1).says_raw(OTHER).says_raw(NO_JSON).says_raw(LIST), "3006_json",
     Finding(Evidence(Check.MESSAGE_SHAPE, "read", 1, 2, "messages", None, None, "yes"), None, None)),
    (message_shape, lambda: call().talk(1).says_raw(GOOD, BINARY), "3006_json",
     Finding(Evidence(Check.MESSAGE_SHAPE, "read", 1, 0, "messages", None, None, "cannot_tell"), None, None)),
    (message_shape, lambda: blind(call().talk(1).says_raw(GOOD)), "3006_json",
     Finding(Evidence(Check.MESSAGE_SHAPE, "read", 1, 0, "messages", None, None, "cannot_tell"), None, None)),
    (message_shape, lambda: nextevi().says(type="session_settings", timestamp=1, message_id="m").talk(1), "INVALID_JSON",
     Finding(Evidence(Check.MESSAGE_SHAPE, "read", 1, 0, "messages", None, None, "cannot_tell"), None, None)),
    (audio_decodable, lambda: call().talk(3), "CODE",
     Finding(Evidence(Check.AUDIO_DECODABLE, "read", None, 0, "flaws", None, None, "cannot_tell"), None, None)),
    (audio_decodable, lambda: noticed(call().talk(3), Noticed.CONTAINER_IN_RAW), "CODE",
     Finding(Evidence(Check.AUDIO_DECODABLE, 'read', None, 1, 'flaws', None, None, 'yes'),
             None, "What was sent shows it: the audio began with a container's header where raw samples were declared.")),
    (audio_decodable, lambda: noticed(call().talk(3), Noticed.ODD_BYTES, Noticed.ALL_ZERO_AUDIO), "CODE",
     Finding(Evidence(Check.AUDIO_DECODABLE, "read", None, 2, "flaws", None, None, "yes"),
             None, "What was sent shows it: messages did not hold whole samples; the audio was silent all along.")),
    (audio_decodable, lambda: deepgram().talk(5, results=True), "CODE",
     Finding(Evidence(Check.AUDIO_DECODABLE, "read", None, 0, "flaws", None, None, "no"), Owner.VENDOR, forms.UNDERSTOOD)),
    (audio_decodable, lambda: blind(deepgram().talk(5, results=True)), "CODE",
     Finding(Evidence(Check.AUDIO_DECODABLE, "read", None, 0, "flaws", None, None, "cannot_tell"), None, None)),
    (audio_decodable, lambda: deepgram().talk(5, results=True).pause(3), "CODE",
     Finding(Evidence(Check.AUDIO_DECODABLE, "read", None, 0, "flaws", None, None, "cannot_tell"), None, None)),
    (audio_decodable, call, "BAD_HEADER",
     Finding(Evidence(Check.AUDIO_DECODABLE, "read", None, 0, "flaws", None, None, "cannot_tell"), Owner.UNKNOWN, finding.NO_AUDIO)),
    (audio_decodable, lambda: Speaker().begins().talk(1), "BAD_HEADER",
     Finding(Evidence(Check.AUDIO_DECODABLE, "read", None, 0, "flaws", None, None, "no"), Owner.VENDOR, forms.HEADED)),
    (audio_decodable, lambda: Speaker().begins().talk(1), "BAD_DECODE",
     Finding(Evidence(Check.AUDIO_DECODABLE, "read", None, 0, "flaws", None, None, "cannot_tell"), Owner.UNKNOWN, forms.WHOLE_FILES)),
    (credentials, lambda: assemblyai(headers={}, ready=False), "BAD_KEY",
     Finding(Evidence(Check.CREDENTIALS, None, 0, 0, "credentials", None, None, "yes"), None, access.NONE_CAME)),
    (credentials, lambda: assemblyai(headers={"authorization": "abc"}, ready=False), "BAD_KEY",
     Finding(Evidence(Check.CREDENTIALS, None, None, 1, "credentials", None, None, "cannot_tell"), None, None)),
    (credentials, lambda: assemblyai(headers={"authorization": "abc"}, ready=False), "AUTH_REQUIRED",
     Finding(Evidence(Check.CREDENTIALS, None, 0, 1, "credentials", None, None, "no"), None, access.ONE_CAME)),
    (credentials, lambda: assemblyai(query="&token=abc", headers={}, ready=False), "1008_missing_authorization",
     Finding(Evidence(Check.CREDENTIALS, None, 0, 1, "credentials", None, None, "no"), None, access.ONE_CAME)),
    (credentials, call, "CODE",
     Finding(Evidence(Check.CREDENTIALS, None, None, None, "credentials", None, None, "cannot_tell"), None, None)),
    (ready_before, lambda: assemblyai(ready=False), "CODE",
     Finding(Evidence(Check.READY_BEFORE, None, None, None, "seconds_since_ready", None, None, "yes"), None, None)),
    (ready_before, lambda: assemblyai().pause(5), "CODE",
     Finding(Evidence(Check.READY_BEFORE, None, None, 5.0, "seconds_since_ready", None, None, "no"), Owner.UNKNOWN, access.WAS_READY)),
    (ready_before, lambda: blind(assemblyai(ready=False), Side.VENDOR), "CODE",
     Finding(Evidence(Check.READY_BEFORE, None, None, None, "seconds_since_ready", None, None, "cannot_tell"), None, None)),
    (concurrency, lambda: among(call(sessions=10), 11), "CODE",
     Finding(Evidence(Check.CONCURRENCY, "read", 10, 11, "sessions", None, None, "yes"), None, None)),
    (concurrency, lambda: among(call(sessions=10), 10), "CODE",
     Finding(Evidence(Check.CONCURRENCY, "read", 10, 10, "sessions", None, None, "cannot_tell"), None, None)),
    (concurrency, call, "CODE",
     Finding(Evidence(Check.CONCURRENCY, "read", None, None, "sessions", None, None, "cannot_tell"), None, None)),
    (connection_rate, lambda: among(call(connections_per_minute=10), 11), "CODE",
     Finding(Evidence(Check.CONNECTION_RATE, "read", 10.0, 11, "sessions", 60.0, None, "yes"), None, None)),
    (connection_rate, lambda: among(call(connections_per_minute=10), 10), "CODE",
     Finding(Evidence(Check.CONNECTION_RATE, "read", 10.0, 10, "sessions", 60.0, None, "cannot_tell"), None, None)),
    (connection_rate, call, "CODE",
     Finding(Evidence(Check.CONNECTION_RATE, "read", None, None, "sessions", 60.0, None, "cannot_tell"), None, None)),
    (audio_received, lambda: call(idle_seconds=10).talk(20), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "delivered", 10.0, 0.0, "seconds_since_audio", 10.0, 2.0, "no"),
             Owner.VENDOR, received.NOT_THE_CLIENT)),
    (audio_received, lambda: call(idle_seconds=10).talk(20).pause(7.5), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "delivered", 10.0, 7.5, "seconds_since_audio", 10.0, 2.0, "cannot_tell"),
             Owner.UNKNOWN, received.UNSETTLED)),
    (audio_received, lambda: call(idle_seconds=10).talk(20).pause(12), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "read", 10.0, 12.0, "seconds_since_audio", 10.0, 2.0, "yes"), None, "")),
    (audio_received, lambda: cut(call(idle_seconds=10).talk(3), "cut", 12), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "delivered", 10.0, 12.0, "seconds_since_audio", 10.0, 2.0, "yes"),
             Owner.NETWORK, received.NETWORK)),
    (audio_received, lambda: cut(call(idle_seconds=10).talk(3), "full", 12), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "delivered", 10.0, 12.0, "seconds_since_audio", 10.0, 2.0, "yes"),
             Owner.VENDOR, received.NOT_READ)),
    (audio_received, lambda: call(idle_seconds=10).talk(5).keep_alive(12), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "read", 10.0, 12.0, "seconds_since_audio", 10.0, 2.0, "yes"), None, "")),
    (audio_received, lambda: call(idle_seconds=10).talk(5).keep_alive(12, opcode=BINARY), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "read", 10.0, 12.0, "seconds_since_audio", 10.0, 2.0, "yes"), None, received.AS_BINARY)),
    (audio_received, lambda: call(idle_seconds=10).talk(5).talk(15, sample=bytes(2)), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "delivered", 10.0, 0.0, "seconds_since_audio", 10.0, 2.0, "cannot_tell"),
             Owner.UNKNOWN, received.SILENT)),
    (audio_received, lambda: call(idle_seconds=10).talk(3).stands_still(12).tick(lag=12.0), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "delivered", 10.0, 0.0, "seconds_since_audio", 10.0, 2.0, "cannot_tell"),
             Owner.UNKNOWN, received.UNSETTLED)),
    (audio_received, lambda: call(idle_seconds=10).talk(3).stands_still(12, client_talks=False).tick(lag=12.0), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "read", 10.0, 12.0, "seconds_since_audio", 10.0, 2.0, "cannot_tell"),
             Owner.UNKNOWN, received.UNSETTLED)),
    (audio_received, lambda: blind(call(idle_seconds=10).talk(20)), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "delivered", 10.0, 0.0, "seconds_since_audio", 10.0, 2.0, "cannot_tell"),
             Owner.UNKNOWN, received.UNSETTLED)),
    (audio_received, lambda: blind(call(idle_seconds=10).talk(20), how=Inspection.LOST), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "delivered", 10.0, 0.0, "seconds_since_audio", 10.0, 2.0, "cannot_tell"),
             Owner.UNKNOWN, received.UNSETTLED)),
    (audio_received, lambda: call().talk(20), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "read", None, 0.0, "seconds_since_audio", None, None, "cannot_tell"),
             Owner.UNKNOWN, received.UNSETTLED)),
    (audio_received, lambda: call().talk(2).pause(20), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "read", None, 20.0, "seconds_since_audio", None, None, "cannot_tell"), None, None)),
    (idle, lambda: call(idle_seconds=10).talk(20), "CODE",
     Finding(Evidence(Check.IDLE, "delivered", 10.0, 0.0, "seconds_since_message", 10.0, 2.0, "no"), Owner.VENDOR, received.NO_SILENCE)),
    (idle, lambda: call(idle_seconds=10).talk(2).pause(12), "CODE",
     Finding(Evidence(Check.IDLE, "read", 10.0, 12.0, "seconds_since_message", 10.0, 2.0, "yes"), None, "")),
    (idle, call, "CODE",
     Finding(Evidence(Check.IDLE, "read", None, None, "seconds_since_message", None, None, "cannot_tell"), None, None)),
    (session_duration, lambda: call().pause(5), "CODE",
     Finding(Evidence(Check.SESSION_DURATION, None, 3600.0, 5.0, "seconds", None, 720.0, "cannot_tell"),
             Owner.UNKNOWN, figures.FAR_FROM_IT)),
    (session_duration, lambda: call(session_seconds=None).pause(5), "CODE",
     Finding(Evidence(Check.SESSION_DURATION, None, None, 5.0, "seconds", None, None, "cannot_tell"), None, None)),
    (session_duration, lambda: dialled(call(session_seconds=100).pause(30), 70), "CODE",
     Finding(Evidence(Check.SESSION_DURATION, None, 100.0, 30.0, "seconds", None, 60.0, "cannot_tell"),
             Owner.UNKNOWN, figures.FAR_FROM_IT)),
    (session_duration, lambda: call(session_seconds=600).pause(300), "CODE",
     Finding(Evidence(Check.SESSION_DURATION, None, 600.0, 300.0, "seconds", None, 120.0, "cannot_tell"),
             Owner.UNKNOWN, figures.FAR_FROM_IT)),
    (session_duration, lambda: call(session_seconds=100).pause(99), "CODE",
     Finding(Evidence(Check.SESSION_DURATION, None, 100.0, 99.0, "seconds", None, 60.0, "yes"), None, None)),
    (session_duration, lambda: call(session_seconds=100).pause(90), "CODE",
     Finding(Evidence(Check.SESSION_DURATION, None, 100.0, 90.0, "seconds", None, 60.0, "cannot_tell"), None, None)),
    (session_duration, lambda: announced(call(session_seconds=600).pause(100), 3600), "CODE",
     Finding(Evidence(Check.SESSION_DURATION, None, 3600.0, 100.0, "seconds", None, 720.0, "no"), Owner.UNKNOWN, figures.EARLIER)),
    (session_duration, lambda: announced(call(session_seconds=600).pause(100), 101), "CODE",
     Finding(Evidence(Check.SESSION_DURATION, None, 101.0, 100.0, "seconds", None, 60.0, "yes"), None, None)),
    (reported_audio, lambda: call().talk(5), "CODE", None),
    (reported_audio, lambda: told(call().talk(5).pause(1), 5.0), "CODE",
     Finding(Evidence(Check.REPORTED_AUDIO, "delivered", 5.0, 5.0, "seconds", None, 1.02, "yes"), None, None)),
    (reported_audio, lambda: told(call().talk(30).pause(1), 40.0), "CODE",
     Finding(Evidence(Check.REPORTED_AUDIO, "delivered", 40.0, 30.0, "seconds", None, 1.5, "no"), None, None)),
    (reported_audio, lambda: told(call().talk(30).pause(1), 20.0), "CODE",
     Finding(Evidence(Check.REPORTED_AUDIO, "delivered", 20.0, 30.0, "seconds", None, 1.5, "no"), None, None)),
    (reported_audio, lambda: blind(told(call().talk(30).pause(1), 20.0)), "CODE",
     Finding(Evidence(Check.REPORTED_AUDIO, "delivered", 20.0, 30.0, "seconds", None, 1.5, "cannot_tell"), None, None)),
    (reported_audio, lambda: told(Call(vendor(), V1, kernel=False).talk(5), 5.0), "CODE",
     Finding(Evidence(Check.REPORTED_AUDIO, "read", 5.0, 5.0, "seconds", None, 1.0, "cannot_tell"), None, None)),
    (message_rate, lambda: saying(typing(call(messages_per_minute=100), 20), " too many messages "), "CODE",
     Finding(Evidence(Check.MESSAGE_RATE, "read", 100.0, 20, "messages", 60.0, None, "no"), Owner.VENDOR, rates.FEW)),
    (message_rate, lambda: saying(typing(call(messages_per_minute=100), 20), " too many sessions "), "CODE",
     Finding(Evidence(Check.MESSAGE_RATE, "read", 100.0, 20, "messages", 60.0, None, "no"), Owner.UNKNOWN, rates.OTHERWISE)),
    (audio_received, lambda: deepgram().talk(5).keep_alive(12), "CODE",
     Finding(Evidence(Check.AUDIO_RECEIVED, "delivered", 10.0, 0.0, "seconds_since_audio", 10.0, 2.0, "no"), Owner.VENDOR,
             received.KEPT_ALIVE)),
    (idle, lambda: call().talk(2).pause(20).says(type="Other").pause(1), "CODE",
     Finding(Evidence(Check.IDLE, "read", None, 1.0, "seconds_since_message", None, None, "cannot_tell"), Owner.UNKNOWN,
             received.UNSETTLED)),
]


@pytest.mark.parametrize(("check", "make", "code", "expected"), FINDINGS)
def test_every_part_of_a_finding(check: Callable[[Case], Finding | None], make: Callable[[], Call], code: str,
                                 expected: Finding | None) -> None:
    assert check(case(make(), code)) == expected
