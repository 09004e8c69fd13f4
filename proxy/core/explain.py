"""From given facts to a verdict, without a session: what stands behind `earwitness explain`.

Owns the joining of what somebody read in a log (a close code, a reason, a refusal, error frames) into a claim, and, where
no vendor is named, the choice of the vendor that fits best. It reads and classifies with the same code as a live session,
but measures nothing: no evidence, and what the rule alone says is the owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from proxy.core.below import when_broken
from proxy.core.claim import OF_PROXIES, Claim, as_close_code, told_in
from proxy.core.classify import NOTHING, Meaning, shared
from proxy.core.exchange import says_nothing_of_plain_http
from proxy.core.inspect import Json, Kind, Told, text_of
from proxy.core.phrases import LONGEST
from proxy.core.profile import Profile, Route
from proxy.core.quoted import Quoted, bare, is_printed, quoted, reported
from proxy.core.rules import Common
from proxy.core.vendor import CompiledEndpoint, Request, Vendor
from proxy.core.verdict import Outcome, Phase, Side, Transport, Verdict

MOST_FRAMES: Final = 1000
_TELL_WHOSE: Final = frozenset({"server", "via", "location", "date"})
"""Headers of which an answer has one. Who names only others has not named all of them."""
NO_CLOSE: Final = 1006
"""What libraries report where no close frame came, and where a handshake failed."""
SWITCHING: Final = 101
_WORD: Final = re.compile(r"\w+", re.ASCII)
_WHEN_DIALLING: Final = (Transport.DNS, Transport.REFUSED, Transport.TLS, Transport.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Given:
    """What is known. `None` is "not known". Frames are text messages of either side, as text or as the hex of their bytes."""

    vendor: str | None = None
    path: str | None = None
    phase: Phase | None = None
    http_status: int | None = None
    headers: Mapping[str, str] | None = None
    body: str | None = None
    frames: tuple[str, ...] = ()
    frames_hex: tuple[str, ...] = ()
    close_code: int | None = None
    close_reason: str | None = None
    close_by: Side | None = None
    transport: Transport | None = None
    ended_by: Side | None = None
    ready: bool | None = None
    audio_sent: bool | None = None
    end_sent: bool | None = None

    def messages(self) -> list[bytes]:
        """All frames as bytes, texts first. Raises ValueError for what is no hex."""
        texts = [text.encode("utf-8", "replace") for text in self.frames]
        return [*texts, *(bytes.fromhex(text) for text in self.frames_hex)][:MOST_FRAMES]

    def unquoted(self) -> Given:
        """The same, with a close that stands in an exception's text put where it belongs."""
        for text in (self.close_reason or "", *self.frames):
            if (close := quoted(_prose(text))) is not None:
                return self._closed(close, text)
        return self

    def unreported(self) -> Given | None:
        """The same, with what a library's line tells of put where it belongs; None where there is no such line, or more is known."""
        if self.http_status is not None or self.transport is not None or self.body is not None or self.close_code not in (None, NO_CLOSE):
            return None
        for text in (self.close_reason or "", *self.frames):
            told = None if text.lstrip().startswith("{") and not is_printed(text) else reported(text)
            if isinstance(told, Quoted):
                return self._closed(told, text)
            if isinstance(told, Transport):
                return replace(self, transport=told, close_code=None, close_reason=None, frames=self._frames_but(text),
                               phase=self.phase or when_broken(text))
            if told == SWITCHING:
                return replace(self, http_status=told, phase=Phase.WEBSOCKET_CONNECT, close_code=None, close_reason=None,
                               frames=self._frames_but(text))
            if told is not None:
                return replace(self, http_status=told, close_code=None)
        return None

    def _closed(self, close: Quoted, text: str) -> Given:
        return replace(self, close_code=close.code, close_reason=close.reason, close_by=self.closer or close.by,
                       frames=self._frames_but(text))

    def _frames_but(self, text: str) -> tuple[str, ...]:
        return tuple(frame for frame in self.frames if frame != text)

    @property
    def refused(self) -> bool:
        """Whether the answer was no open WebSocket."""
        return (self.http_status is not None and not (self.http_status == 101 and self.was_open)) or self.body is not None

    @property
    def was_open(self) -> bool:
        return bool(self.frames or self.frames_hex or self.close_reason) or self.close_code is not None

    @property
    def likely_phase(self) -> Phase | None:
        """The phase, where it is not given: a name is resolved when dialling, a close frame comes when open."""
        if self.phase is not None:
            return self.phase
        if self.refused or (self.transport in _WHEN_DIALLING and not self.was_open):
            return Phase.WEBSOCKET_CONNECT
        return Phase.WEBSOCKET_RUNTIME if self.was_open or self.transport is not None else None

    @property
    def closer(self) -> Side | None:
        """Who sent the close frame: whoever is said to have ended it, if that is somebody who can send one."""
        return self.close_by or (self.ended_by if self.ended_by in (Side.CLIENT, Side.VENDOR) else None)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One vendor's and one endpoint's view of what is given."""

    vendor: Vendor
    endpoint: str
    claim: Claim
    meaning: Meaning
    known_frames: int
    fatal: bool
    words: bool
    """Whether words of the vendor's own decided it."""
    decided: bool
    """Whether words or an error frame did, and not a number or nothing."""

    routed: bool
    """Whether the path is one of the vendor's."""

    @property
    def fits(self) -> tuple[int, bool, bool]:
        """How much speaks for this vendor: frames it knows, its own headers, its own words. Numbers collide and prove nothing."""
        return self.known_frames, self.claim.in_between is False, self.words


def explain(given: Given, profiles: Mapping[str, Profile], common: Common) -> tuple[Verdict, list[str]]:
    """The verdict, and the vendors that fit it (only the named one, if one is named).

    Where several vendors or endpoints fit equally well, the verdict is what their meanings share. Raises ValueError for an
    unknown vendor and for frames that are not hex.
    """
    if given.vendor is not None and given.vendor not in profiles:
        raise ValueError(f"no vendor {given.vendor!r}; there are {', '.join(sorted(profiles))}")
    given = given.unquoted()
    wanted = [Vendor(profile, common) for profile in (profiles.values() if given.vendor is None else (profiles[given.vendor],))]
    readings = _all_readings(given, wanted)
    if not any(reading.decided for reading in readings) and (told := given.unreported()) is not None:
        given, readings = told, _all_readings(told, wanted)
    best = _best(readings) if given.vendor is None else readings
    meaning = shared(reading.meaning for reading in best) if best else NOTHING
    vendors = list(dict.fromkeys(reading.vendor.name for reading in best))
    return _verdict(given, best or readings, meaning), vendors


def _best(readings: list[_Reading]) -> list[_Reading]:
    fitting = [r for r in readings if r.meaning is not NOTHING]
    most = max((r.fits for r in fitting), default=None)
    return [r for r in fitting if r.fits == most]


def _all_readings(given: Given, vendors: list[Vendor]) -> list[_Reading]:
    """Of all these vendors; where the path is some vendors' only theirs."""
    readings = [reading for vendor in vendors for reading in _readings(given, vendor)]
    return [reading for reading in readings if reading.routed] or readings


def _readings(given: Given, vendor: Vendor) -> list[_Reading]:
    """One reading for each endpoint that it may be; with several, those that know most of the frames."""
    frames = given.messages()
    route = vendor.route(given.path) if given.path is not None else None
    plain = vendor.route(given.path, "http") if given.path is not None and route is None else None
    if plain is not None and given.phase is None:
        given = replace(given, phase=Phase(plain.phase))
    names: Iterable[str] = vendor.endpoints if route is None or route.endpoint is None else (route.endpoint,)
    readings = [_read(given, frames, vendor, vendor.endpoints[name], route or plain) for name in names]
    most = max(reading.known_frames for reading in readings)
    return [reading for reading in readings if reading.known_frames == most]


def _read(given: Given, frames: list[bytes], vendor: Vendor, endpoint: CompiledEndpoint, route: Route | None) -> _Reading:
    profile = vendor.profile
    claim = Claim(endpoint=endpoint.name, phase=given.likely_phase, transport=given.transport, ended_by=given.ended_by,
                  ready=given.ready, audio_sent=given.audio_sent, end_sent=given.end_sent)
    if given.refused:
        claim.refused(profile, given.http_status, given.headers, given.body.encode("utf-8", "replace") if given.body else None)
    headers = {name.lower(): value for name, value in (given.headers or {}).items()}
    if claim.in_between and not claim.html and given.http_status not in OF_PROXIES and _TELL_WHOSE.isdisjoint(headers):
        claim.in_between = None
    claim.told.connection_id = claim.told.connection_id or headers.get(endpoint.spec.response_ids.get("connection_id", ""))
    claim.told.req_id = claim.told.req_id or headers.get(endpoint.spec.response_ids.get("req_id", ""))
    frames_read = _Frames(endpoint, profile, claim)
    for frame in frames:
        frames_read.read(frame)
    if given.close_code is not None or given.close_reason:
        claim.closed(profile, given.close_code, given.close_reason, given.closer)
        claim.close_code = given.close_code  # one that was not told is not an empty one
    elif not (given.refused or given.transport or frames_read.fatal):
        # A warning ends nothing; it is what is asked about only where nothing else is there.
        for told in frames_read.warnings:
            claim.hear(profile, told)
    meaning, words = vendor.classifier.decide(claim)
    if says_nothing_of_plain_http(claim, meaning):
        meaning = NOTHING
    return _Reading(vendor, endpoint.name, claim, meaning, frames_read.known, frames_read.fatal,
                    words and meaning.vendors_own, words or frames_read.fatal, route is not None)


class _Frames:
    """Reads frames of either side into a claim."""

    def __init__(self, endpoint: CompiledEndpoint, profile: Profile, claim: Claim) -> None:
        self._endpoint, self._profile, self._claim = endpoint, profile, claim
        self.known = 0
        self.fatal = False
        self.warnings: list[Told] = []

    def read(self, frame: bytes) -> None:
        if (read := self._endpoint.server.read(frame)) is not None:
            self.known += 1
            self._from_vendor(*read)
        elif (read := self._endpoint.client.read(frame)) is not None:
            self.known += 1
            if read[0].role == "end":
                self._claim.end_sent = True
        elif not _is_message(frame):
            self._read_line(frame.decode("utf-8", "replace"))

    def _read_line(self, text: str) -> None:
        """No message at all, but perhaps one within an application's line, or the words or the name of one."""
        inner = _within(text)
        if inner is not None and self._endpoint.server.read(inner) is not None:
            self.read(inner)
        elif inner is not None and (told := told_in(self._profile, inner)) is not None:
            self._claim.hear(self._profile, told)
        _say(self._claim, self._profile, text)
        self._claim.told.server_code = self._claim.told.server_code or _named(self._profile, text)

    def _from_vendor(self, kind: Kind, json: Json) -> None:
        claim, told = self._claim, kind.told(json)
        if kind.role == "error" and kind.fatal:
            self.fatal = True
            claim.hear(self._profile, told)
        elif kind.role == "disconnect":
            claim.closed(self._profile, as_close_code(kind.close_code(json)), text_of(kind.close_reason(json)), Side.VENDOR)
        elif kind.role in ("error", "warning"):
            self.warnings.append(told)
        elif kind.role == "ready":
            claim.ready = True
        claim.told.connection_id = claim.told.connection_id or told.connection_id
        claim.told.req_id = claim.told.req_id or told.req_id
        if kind.audio_seconds is not None:
            claim.reported_seconds = kind.audio_seconds(json)


def _is_message(frame: bytes) -> bool:
    """JSON, or what is left of it; a log line may well begin with a name in brackets."""
    head = frame.lstrip()
    return head.startswith((b"{", b'["', b"[{", b"[[", b"[]")) and not is_printed(head[:200].decode("utf-8", "replace"))


def _within(text: str) -> bytes | None:
    """The JSON object that an application's line ends with."""
    begin, end = text.find("{"), text.rfind("}") + 1
    if not 0 < begin < end:
        return None
    part = text[begin:end].encode("utf-8", "replace")
    try:
        return part if isinstance(orjson.loads(part), dict) else None
    except orjson.JSONDecodeError:
        return None


def _named(profile: Profile, text: str) -> str | None:
    """The vendor's own name of an error among the words; a name that is a usual word as well proves nothing."""
    codes = (code for rule in profile.rules for when in rule.when for code in when.server_code or ())
    names = {code for code in codes if "_" in code or code not in (code.lower(), code.upper(), code.capitalize())}
    return next((word for word in _WORD.findall(text[:LONGEST]) if word in names), None)


def _say(claim: Claim, profile: Profile, text: str) -> None:
    claim.say(profile, text)
    if (rest := bare(text)) != text:
        claim.say(profile, rest)


def _prose(text: str) -> str:
    """A text as it is; of a JSON object, as SDKs wrap an exception in one, its message."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    value = message.get("message") or message.get("error") or message.get("reason") if isinstance(message, dict) else None
    return value if isinstance(value, str) else ""


def _verdict(given: Given, readings: list[_Reading], meaning: Meaning) -> Verdict:
    first = readings[0]
    claim = first.claim
    one_vendor = len({reading.vendor.name for reading in readings}) == 1
    one_endpoint = one_vendor and len(readings) == 1
    told = claim.told

    asked = Request.of(given.path, {}) if given.path is not None else None
    shown = [reading.vendor.discretion(asked) for reading in readings]

    def clean(text: str | None) -> str | None:
        for one in shown:
            text = one.text(text)
        return text

    return Verdict(
        vendor=first.vendor.name if one_vendor else None,
        endpoint=first.endpoint if one_endpoint else None,
        outcome=_outcome(claim, meaning),
        phase=claim.phase,
        code=meaning.code,
        rule=meaning.rule,
        category=meaning.category,
        owner=meaning.owner,
        rule_owner=meaning.owner,
        retry=meaning.retry,
        retry_after_seconds=claim.retry_after,
        initiated_by=_initiated_by(given, first),
        ended_by=_ended_by(given, claim),
        http_status=given.http_status,
        server_code=clean(told.server_code),
        server_title=clean(told.server_title),
        server_detail=clean(told.server_detail),
        connection_id=shown[0].id(told.connection_id),
        req_id=shown[0].id(told.req_id),
        close_code=given.close_code,
        close_reason=clean(given.close_reason),
        hint=meaning.hint,
    )


def _outcome(claim: Claim, meaning: Meaning) -> Outcome:
    if meaning.ok:
        return Outcome.OK
    return Outcome.REFUSED_BY_VENDOR if claim.http_status is not None else Outcome.ERROR


def _ended_by(given: Given, claim: Claim) -> Side:
    if given.ended_by is not None:
        return given.ended_by
    if given.refused:
        return claim.answered_by
    return Side.NETWORK if given.transport in _WHEN_DIALLING else given.closer or Side.UNKNOWN


def _initiated_by(given: Given, reading: _Reading) -> Side:
    if reading.fatal:
        return Side.VENDOR
    return Side.CLIENT if reading.claim.end_sent else _ended_by(given, reading.claim)
