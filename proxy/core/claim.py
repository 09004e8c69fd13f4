"""The claim: everything that was said about why a session ended, before anybody judges it.

Filled by a live session and by `earwitness explain` alike. It holds what was said and who said it; what it means is
the classifier's business, whether it is true the evidence's. `None` means "not known", never "no".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson

from proxy.core.inspect import Told, told_by
from proxy.core.phrases import Phrase, fold
from proxy.core.profile import Profile
from proxy.core.verdict import Phase, Side, Transport

BODY_LIMIT: Final = 16 * 1024
"""Bytes of a refusal's body that are looked at."""
MOST_SAID: Final = 16
"""Texts that are kept; a vendor that complains all day must not fill the memory."""
OF_PROXIES: Final = (407, 511)
"""Statuses that only what is in between gives: a proxy or a network wants a login."""
NO_STATUS: Final = 1005
"""What a close frame without a code counts as (RFC 6455, 7.1.5)."""


@dataclass(slots=True)
class Claim:
    endpoint: str | None = None
    phase: Phase | None = None
    http_status: int | None = None
    headers: dict[str, str] | None = None
    """Response headers by lower-case name; the last of several wins."""
    told: Told = field(default_factory=Told)
    """The error frames, or the refusal's body, read by the profile's paths."""
    said: list[str] = field(default_factory=list)
    """What the vendor said: folded texts, best first. Texts that carry no information are left out."""
    said_by_client: list[str] = field(default_factory=list)
    """The reason of a close frame that the client sent, or may have sent."""
    html: bool = False
    """The answer is a web page, and nothing in it is known to be the vendor's own."""
    close_code: int | None = None
    close_reason: str | None = None
    close_by: Side | None = None
    transport: Transport | None = None
    ended_by: Side | None = None
    reported_seconds: float | None = None
    in_between: bool | None = None
    ready: bool | None = None
    audio_sent: bool | None = None
    end_sent: bool | None = None

    def refused(self, profile: Profile, status: int | None, headers: Mapping[str, str] | None, body: bytes | None) -> None:
        """The vendor's answer was no 101. Headers by any case; `None` where they are not known. The body is unpacked already."""
        self.http_status = status
        self.headers = None if headers is None else {name.lower(): value for name, value in headers.items()}
        known = self.headers or {}
        plain = (body or b"")[:BODY_LIMIT]
        text = plain.decode("utf-8", "replace")
        self.html = text.lstrip()[:15].lower().startswith(("<!doctype", "<html", "<head"))
        for name in profile.error_headers:
            self.say(profile, known.get(name.lower()))
        told = told_in(profile, plain)
        if told is None:
            self.say(profile, text)
        else:
            self.hear(profile, told)
        if profile.own_headers:
            # A code of the vendor's own in the body is as good as a header; a bare "message" any gateway can say.
            coded = told is not None and told.server_code is not None
            own = coded or any(name.lower() in known for name in profile.own_headers)
            self.in_between = False if own else True if self.html or known else None
            self.html = self.html and not own
        if status in OF_PROXIES:
            self.in_between = True

    @property
    def answered_by(self) -> Side:
        """Who gave the answer that was no 101. A page without a sign of the vendor's may be from anybody."""
        if self.in_between:
            return Side.NETWORK
        return Side.UNKNOWN if self.html else Side.VENDOR

    def hear(self, profile: Profile, told: Told) -> None:
        """An error frame. The first word on each thing stands; later frames add to what was said."""
        self.told.merge(told)
        for text in (told.server_detail, told.server_title, told.server_code):
            self.say(profile, text)

    def closed(self, profile: Profile, code: int | None, reason: str | None, by: Side | None) -> None:
        """The close frame that came first; `None` for by where it is not known who sent it."""
        self.close_code, self.close_reason, self.close_by = NO_STATUS if code is None else code, reason, by
        if by is not Side.CLIENT:
            self.say(profile, reason)
        if by is not Side.VENDOR and reason:
            self.said_by_client.append(fold(reason))

    def say(self, profile: Profile, text: str | None) -> None:
        if not text or len(self.said) >= MOST_SAID:
            return
        folded = fold(text)
        if folded.strip() and not any(phrase.is_whole(folded) for phrase in _compiled(profile.no_information)):
            self.said.append(folded)

    @property
    def retry_after(self) -> float | None:
        """`Retry-After` in seconds; the form with a date is left alone, since it needs a wall clock."""
        value = (self.headers or {}).get("retry-after", "")
        return float(value) if value.isascii() and value.isdigit() and len(value) < 8 else None


def told_in(profile: Profile, body: bytes) -> Told | None:
    """What a JSON body says by the profile's paths; None for any other body, or where it says nothing."""
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if profile.body is None or not isinstance(message, dict):
        return None
    told = told_by(profile.body, message)
    return told if told.says_something else None


@lru_cache(maxsize=64)
def _compiled(phrases: tuple[str, ...]) -> tuple[Phrase, ...]:
    return tuple(map(Phrase, phrases))


def as_number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_close_code(value: Any) -> int | None:
    """A close code told in a message, legal or not; nothing that two bytes do not hold."""
    number = as_number(value)
    return int(number) if number is not None and 0 <= number < 65536 else None
