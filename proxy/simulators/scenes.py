"""The calls of the demo: how the client behaves, how the vendor does, and what a witness has to say about it.

The expectations are typed by hand from the vendors' pages. They read no profile: a rule that is wrong makes the demo fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from proxy.simulators.caller import Manner
from proxy.simulators.dialects import AVATAR, FLUX, NOVA, SCRIPTED, UNSCRIPTED, V3, VOICE, VOICE_AS_DOCUMENTED, VOICE_BY_THE_PAGE, Dialect

PLAINLY: Final = Manner()
TWO_SECONDS: Final = Manner(seconds=2.0)
KEEP_ALIVE: Final = '{"type":"KeepAlive"}'


@dataclass(frozen=True, slots=True)
class Scene:
    """One call. `vendor` are options of its simulator; `upstream` is where the sidecar is led instead of to one; `policy` is what its
    listener is asked to hold to the vendor's limits.

    code, owner, outcome and begun_by (initiated_by) are what the report must say.
    """

    name: str
    dialect: Dialect
    code: str
    owner: str
    begun_by: str = "vendor"
    outcome: str = "error"
    manner: Manner = PLAINLY
    vendor: Mapping[str, Any] = field(default_factory=dict)
    upstream: Literal["simulator", "no-such-name", "closed-port", "no-tls"] = "simulator"
    policy: Mapping[str, Any] = field(default_factory=dict)


def _good(name: str, dialect: Dialect, manner: Manner = PLAINLY, **vendor: Any) -> Scene:
    return Scene(name, dialect, "normal", "none", "client", "ok", manner, vendor)


def _refused(name: str, dialect: Dialect, code: str, owner: str, manner: Manner = PLAINLY, **vendor: Any) -> Scene:
    return Scene(name, dialect, code, owner, "vendor", "refused_by_vendor", manner, vendor)


def _fault(name: str, dialect: Dialect, code: str, owner: str, fault: str, **vendor: Any) -> Scene:
    """The vendor fails after a second of audio, or before, where it is that kind of fault."""
    return Scene(name, dialect, code, owner, manner=TWO_SECONDS, vendor={"fault": fault, "fault_after": 1.0, "wording": "live", **vendor})


SILENT: Final = Manner(seconds=0.5, then="listen")
ONE_OF_TWO: Final[Mapping[str, Any]] = {"concurrency": 1}
SHORT_IDLE: Final[Mapping[str, Any]] = {"idle_seconds": 1.5}
RAW: Final = Manner(path="/v1/listen?model=nova-3", seconds=1.0)

DEEPGRAM: Final = (
    _good("a call", NOVA),
    _good("a call, compressed", NOVA, Manner(compression=True), compression=True),
    _good("a WAV file as it is", NOVA, Manner(path="/v1/listen?model=nova-3&interim_results=true", header=True)),
    _good("a call on Flux", FLUX),
    _good("a message nobody knows", NOVA, Manner(seconds=1.0, says=('{"type":"Bogus"}',))),
    _refused("a wrong key", NOVA, "INVALID_AUTH", "operator", Manner(key="bad-key")),
    _refused("no key", FLUX, "INVALID_AUTH", "operator", Manner(key=None)),
    _refused("no credit left", NOVA, "ASR_PAYMENT_REQUIRED", "operator", fault="ASR_PAYMENT_REQUIRED"),
    _refused("no access to the model", NOVA, "INSUFFICIENT_PERMISSIONS", "operator", fault="INSUFFICIENT_PERMISSIONS", body="modern"),
    _refused("a wrong parameter", NOVA, "http_400", "client", Manner(path="/v1/listen?encoding=mp3")),
    _good("one stream allowed: the first", NOVA, TWO_SECONDS, **ONE_OF_TWO),
    _refused("one stream allowed: the second", NOVA, "TOO_MANY_REQUESTS", "operator", Manner(after=1.0), **ONE_OF_TWO),
    Scene("raw audio, undeclared", NOVA, "DATA-0000", "client", manner=RAW),
    Scene("raw audio, undeclared, as seen", NOVA, "1000_nothing_decoded", "client", manner=RAW, vendor={"wording": "live"}),
    Scene("the client falls silent", NOVA, "NET-0001", "client", manner=SILENT),
    Scene("the same, as seen", NOVA, "NET-0001", "client", manner=SILENT, vendor={"wording": "live"}),
    # Both sides say otherwise, and the vendor's own TCP has acknowledged the audio.
    _fault("told of silence in mid-speech", NOVA, "NET-0001", "vendor", "NET-0001"),
    Scene("only KeepAlive, no audio", NOVA, "NET-0000", "unknown", vendor={**SHORT_IDLE, "wording": "live"},
          manner=Manner(seconds=0, says=(KEEP_ALIVE,) * 6, then="listen")),
    Scene("KeepAlive on Flux", FLUX, "UNPARSABLE_CLIENT_MESSAGE", "client", manner=Manner(seconds=0.5, says=(KEEP_ALIVE,), then="listen")),
    _fault("a failure inside", FLUX, "INTERNAL_SERVER_ERROR", "vendor", "INTERNAL_SERVER_ERROR"),
    _refused("overloaded", NOVA, "http_503", "vendor", fault="http_503"),
    Scene("a gateway's 502 page", NOVA, "http_5xx", "network", "network", "refused_by_vendor", vendor={"fault": "http_502"}),
    _fault("going away", NOVA, "1001_going_away", "vendor", "close-1001"),
    _fault("an illegal close code", NOVA, "unclassified", "unknown", "close-5004"),
    _fault("reset in mid-call", NOVA, "transport_reset", "network", "reset"),
    _fault("end of stream in mid-call", FLUX, "transport_eof", "network", "eof"),
    Scene("an answer that is not HTTP", NOVA, "sidecar_bad_upstream", "network", "network", vendor={"fault": "garbage"}),
    Scene("a name that does not exist", NOVA, "transport_dns", "network", "network", upstream="no-such-name"),
    Scene("a closed port", NOVA, "transport_refused", "network", "network", upstream="closed-port"),
    Scene("an upstream without TLS", NOVA, "transport_tls", "network", "network", upstream="no-tls"),
    Scene("a wrong path", NOVA, "sidecar_not_found", "client", "sidecar", "refused_here", Manner(path="/v9/listen")),
    Scene("leaves without CloseStream", NOVA, "1000_abandoned", "client", "client", "abandoned", Manner(seconds=1.0, then="leave")),
    Scene("the client dies", NOVA, "transport_reset", "client", "client", "abandoned", Manner(seconds=1.0, then="die")),
    Scene("the client's pings time out", FLUX, "1011_ping_timeout", "client", "client", manner=Manner(seconds=1.0, then="give-up")),
)

LIVE: Final[Mapping[str, Any]] = {"wording": "live"}
ASSEMBLYAI: Final = (
    _good("a call", V3),
    _good("a call, as seen", V3, **LIVE),
    Scene("a wrong key", V3, "1008_invalid_key", "operator", manner=Manner(key="bad-key"), vendor=LIVE),
    Scene("no key", V3, "1008_missing_authorization", "operator", manner=Manner(key=None)),
    Scene("a token past its time", V3, "1008_token_expired", "operator", manner=Manner(key="stale-key-1"), vendor=LIVE),
    _fault("no balance left", V3, "1008_balance", "operator", "1008_balance"),
    _fault("too many new sessions", V3, "1008_concurrent_sessions", "operator", "1008_concurrent_sessions"),
    _fault("too many, by the newer page", V3, "3009_concurrent_sessions", "operator", "3009_concurrent_sessions"),
    Scene("pieces of 20 ms", V3, "3007_input_duration", "client", manner=Manner(seconds=1.0, chunk=0.02)),
    Scene("a piece of 1.2 s, as seen", V3, "3007_input_duration", "client", manner=Manner(seconds=2.4, chunk=1.2), vendor=LIVE),
    Scene("a file, as fast as it goes", V3, "3007_transmission_rate", "client", manner=Manner(seconds=5.0, pace=100.0), vendor=LIVE),
    Scene("text that is not JSON", V3, "3006_json", "client", manner=Manner(seconds=0.5, says=("hello",), then="listen"), vendor=LIVE),
    Scene("JSON that is no message", V3, "3006_message", "client", manner=Manner(seconds=0.5, says=("[]",), then="listen")),
    Scene("a message of the retired API", V3, "3006_message_type", "client", vendor=LIVE,
          manner=Manner(seconds=0.5, says=('{"type":"terminate_session"}',), then="listen")),
    Scene("no sample rate", V3, "3006_parameter", "client", manner=Manner(path="/v3/ws?encoding=pcm_s16le"), vendor=LIVE),
    Scene("the client falls silent", V3, "3006_inactivity", "client", manner=SILENT, vendor={"inactivity_seconds": 1.5, **LIVE}),
    _fault("an unknown error", V3, "3005_session_cancelled", "vendor", "3005_session_cancelled"),
    _fault("a failure inside", V3, "1011_internal_error", "vendor", "1011_internal_error"),
    Scene("its full length is over", V3, "3008_session_expired", "client", outcome="ok",
          manner=Manner(seconds=3.0), vendor={"max_session_seconds": 2.0}),
    _fault("told to be over too early", V3, "3008_session_expired", "unknown", "3008_session_expired"),
    # Its answers bear nothing of its own: a page may be from its front or from something on the way.
    Scene("a gateway's 502 page", V3, "http_5xx", "unknown", "unknown", "refused_by_vendor", vendor={"fault": "http_502"}),
    _fault("the retired API: close 410", V3, "410_deprecated", "operator", "410_deprecated"),
    _fault("restarted", V3, "1012_restart", "vendor", "close-1012"),
    _fault("reset in mid-call", V3, "transport_reset", "network", "reset"),
    Scene("a closed port", V3, "transport_refused", "network", "network", upstream="closed-port"),
    Scene("leaves without Terminate", V3, "1000_abandoned", "client", "client", "abandoned", Manner(seconds=1.0, then="leave")),
)

AS_SDKS: Final[Mapping[str, Any]] = {"strict": False}
"""As lenient as a vendor must be whose own SDKs leave out what its page asks for."""
NEXTEVI: Final = (
    _good("a call", VOICE, **AS_SDKS),
    _good("a call, audio in JSON", VOICE_AS_DOCUMENTED),
    Scene("a wrong key", VOICE, "AUTH_FAILED", "operator", manner=Manner(key="bad-key")),
    _refused("a wrong key, as seen", VOICE, "AUTH_FAILED", "operator", Manner(key="bad-key"), **LIVE),
    Scene("no such configuration", VOICE, "CONFIG_NOT_FOUND", "operator", manner=Manner(path="/ws/voice/v-1?config_id=config-missing")),
    _fault("too many messages: close 4004", VOICE, "RATE_LIMITED", "operator", "RATE_LIMITED", **AS_SDKS),
    Scene("a piece of more than 1 MB", VOICE, "AUDIO_CHUNK_TOO_LARGE", "client", vendor=AS_SDKS,
          manner=Manner(seconds=23.0, chunk=23.0, pace=100.0)),
    Scene("a message nobody knows", VOICE, "UNSUPPORTED_MESSAGE_TYPE", "client", vendor=AS_SDKS,
          manner=Manner(seconds=0.5, says=('{"type":"Bogus"}',), then="listen")),
    _fault("a failure inside", VOICE, "INTERNAL_ERROR", "vendor", "INTERNAL_ERROR", **AS_SDKS),
    _fault("the same, told in a message", VOICE, "INTERNAL_ERROR", "vendor", "INTERNAL_ERROR-disconnect", **AS_SDKS),
    _refused("overloaded", VOICE, "SERVICE_UNAVAILABLE", "vendor", fault="SERVICE_UNAVAILABLE-http"),
    _fault("reset in mid-call", VOICE, "transport_reset", "network", "reset", **AS_SDKS),
)

SPATIUS: Final = (
    _good("an answer spoken", AVATAR),
    _refused("a wrong session token", AVATAR, "sessionTokenInvalid", "operator", Manner(key="bad-key")),
    _refused("no such avatar", AVATAR, "avatarNotFound", "operator", Manner(path="/v2/driveningress/websocket?id=no-avatar")),
    _refused("no credits left", AVATAR, "creditsExhausted", "operator", fault="creditsExhausted-402"),
    _fault("credits run out in mid-call", AVATAR, "creditsExhausted", "operator", "creditsExhausted"),
    Scene("nothing is said", AVATAR, "idleTimeout", "client", manner=SILENT, vendor=SHORT_IDLE),
    Scene("its longest session", AVATAR, "sessionDurationExceeded", "client", manner=Manner(seconds=3.0),
          vendor={"max_session_seconds": 2.0}),
    _fault("a failure inside", AVATAR, "upstreamError", "vendor", "upstreamError"),
    _good("a failure that passes", AVATAR, TWO_SECONDS, fault="upstreamError-goes-on", fault_after=1.0),
    _fault("an error of ours, it says", AVATAR, "protocolError", "client", "protocolError"),
    _fault("end of stream in mid-call", AVATAR, "connectionClosed", "network", "eof"),
)

ELSA: Final = (
    _good("a sentence scored", SCRIPTED),
    _good("free speech scored", UNSCRIPTED),
    Scene("a wrong token", UNSCRIPTED, "InvalidSessionToken", "operator", manner=Manner(key="bad-key")),
    Scene("no token", SCRIPTED, "InvalidHeaderParameter", "operator", manner=Manner(key=None)),
    _fault("an account switched off", SCRIPTED, "ClientIsNotActive", "operator", "ClientIsNotActive"),
    _fault("no minutes left", UNSCRIPTED, "ClientHasNoMoreMinutes", "operator", "ClientHasNoMoreMinutes"),
    _fault("the recogniser takes too long", UNSCRIPTED, "ASRSocketTimeout", "vendor", "ASRSocketTimeout"),
    Scene("too much audio", UNSCRIPTED, "AudioTooBigForSync", "client", manner=Manner(seconds=3.0), vendor={"max_audio_seconds": 2.0}),
    Scene("leaves an open stream", SCRIPTED, "1000_abandoned", "client", "client", "abandoned", Manner(seconds=1.0, then="leave")),
)

ENFORCE: Final[Mapping[str, Any]] = {"mode": "enforce"}


def _before_and_after(name: str, dialect: Dialect, code: str, manner: Manner, policy: Mapping[str, Any] = ENFORCE,
                      owner: str = "client") -> tuple[Scene, Scene]:
    """The same call twice: as it is, and held to the vendor's limits before it leaves."""
    return (Scene(f"{name}: before", dialect, code, owner, manner=manner),
            Scene(f"{name}: after", dialect, "normal", "none", "client", "ok", manner, policy=policy))


def _named(*rules: str) -> Mapping[str, Any]:
    return {"rules": dict.fromkeys(rules, ENFORCE)}


HELD: Final = (
    *_before_and_after("20 ms pieces", V3, "3007_input_duration", Manner(seconds=2.0, chunk=0.02)),
    *_before_and_after("1.5 s pieces", V3, "3007_input_duration", Manner(seconds=3.0, chunk=1.5)),
    *_before_and_after("a file at once", V3, "3007_transmission_rate", Manner(seconds=4.0, pace=1000.0)),
    *_before_and_after("1.5 MB pieces", VOICE_BY_THE_PAGE, "AUDIO_CHUNK_TOO_LARGE", Manner(seconds=31.25, chunk=31.25, pace=1000.0),
                       _named("chunk_bytes")),
    *_before_and_after("200 pieces a second", VOICE_BY_THE_PAGE, "RATE_LIMITED", Manner(seconds=4.0, chunk=0.005),
                       _named("audio_chunk_rate", "message_rate"), "operator"),
)

SCENES: Final = DEEPGRAM + ASSEMBLYAI + NEXTEVI + SPATIUS + ELSA + HELD
