"""The claim: everything that was said about why a session ended, before anybody judges it.

Filled by a live session and by `earwitness explain` alike. It holds what was said and who said it; what it means is
the classifier's business, whether it is true the evidence's. `None` means "not known", never "no".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.core.inspect import Told, told_by
from proxy.core.phrases import Phrase, fold
from proxy.core.profile import Profile
from proxy.core.verdict import Phase, Side, Transport

BODY_LIMIT = 4096
"""Bytes of a refusal's body that are looked at."""


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
    """Folded texts, best first. Texts that carry no information are left out."""
    html: bool = False
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

    def refused(self, profile: Profile, status: int, headers: Mapping[str, str] | None, body: bytes | None) -> None:
        """The vendor's answer was no 101. Headers by any case; `None` where they are not known."""
        self.http_status = status
        text = (body or b"")[:BODY_LIMIT].decode("utf-8", "replace")
        self.html = text.lstrip()[:15].lower().startswith(("<!doctype", "<html", "<head"))
        if headers is not None:
            self.headers = {name.lower(): value for name, value in headers.items()}
            for name in profile.error_headers:
                self.say(profile, self.headers.get(name.lower()))
        self._read_body(profile, body, text)
        if profile.own_headers:
            known = self.headers is not None and len(self.headers) > 0
            own = known and any(name.lower() in (self.headers or {}) for name in profile.own_headers)
            self.in_between = False if own else True if self.html or known else None

    def _read_body(self, profile: Profile, body: bytes | None, text: str) -> None:
        try:
            message = orjson.loads(body or b"")
        except orjson.JSONDecodeError:
            self.say(profile, text)
            return
        if profile.body is not None and isinstance(message, dict):
            self.hear(profile, told_by(profile.body, message))
        else:
            self.say(profile, text)

    def hear(self, profile: Profile, told: Told) -> None:
        """An error frame. The first word on each thing stands; later frames add to what was said."""
        self.told.merge(told)
        for text in (told.server_detail, told.server_title, told.server_code):
            self.say(profile, text)

    def closed(self, profile: Profile, code: int | None, reason: str | None, by: Side) -> None:
        self.close_code, self.close_reason, self.close_by = code, reason, by
        self.say(profile, reason)

    def say(self, profile: Profile, text: str | None) -> None:
        if not text:
            return
        folded = fold(text)
        if folded.strip() and not any(Phrase(p).is_whole(folded) for p in profile.no_information):
            self.said.append(folded)

    @property
    def retry_after(self) -> float | None:
        """`Retry-After` in seconds; the form with a date is left alone, since it needs a wall clock."""
        value = (self.headers or {}).get("retry-after", "")
        return float(value) if value.isascii() and value.isdigit() and len(value) < 8 else None


def as_number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
