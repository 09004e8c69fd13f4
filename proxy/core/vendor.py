"""One vendor, ready for use: its profile with everything compiled that sessions share.

Made once when the settings are loaded. Finds the route of a request and what the request declares; holds no session's
state. Nothing but this decides where a request may go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl

from proxy.core.audio import UNTIMED, WIDTHS, AudioFormat
from proxy.core.classify import Classifier
from proxy.core.inspect import inspector
from proxy.core.paths import hides, is_under, path_of
from proxy.core.placeholders import Placeholders
from proxy.core.private import Private, private
from proxy.core.profile import Declared, Endpoint, Profile, Route
from proxy.core.redact import redact, redact_id
from proxy.core.rules import Common

QUERY_FIELDS: Final = 1000


@dataclass(slots=True)
class Request:
    """The client's upgrade request, as far as a session looks at it. Header names in lower case.

    Of a name that stands several times the first counts; the others are `repeated`, for they may be credentials as well.
    """

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    repeated: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, raw_path: str, headers: dict[str, str], repeated: Iterable[tuple[str, str]] = ()) -> Request:
        path, _, query = raw_path.partition("?")
        pairs = parse_query(query)
        first = dict(reversed(pairs))
        return cls(path, first, headers, (*repeated, *((name, value) for name, value in pairs if first[name] != value)))

    def declared(self, where: Declared) -> str | None:
        if where.query is not None and where.query in self.query:
            return self.query[where.query]
        if where.header is not None and where.header.lower() in self.headers:
            return self.headers[where.header.lower()]
        return where.default


def parse_query(query: str) -> list[tuple[str, str]]:
    """Keys and values; nothing of a query with absurdly many fields."""
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS)
    except ValueError:
        return []


class CompiledEndpoint:
    """An endpoint with its inspectors."""

    __slots__ = ("client", "has_end", "name", "server", "spec")

    def __init__(self, name: str, spec: Endpoint) -> None:
        self.name = name
        self.spec = spec
        self.client = inspector(spec.client)
        self.server = inspector(spec.server)
        self.has_end = spec.empty_binary == "end" or any(m.role == "end" for m in spec.client.all())

    def audio_format(self, request: Request) -> AudioFormat:
        """What the request declares; UNTIMED for anything that does not say enough."""
        return self.format_of(*self.declared(request))

    def declared(self, request: Request) -> tuple[str | None, str | None, str | None]:
        """Encoding, sample rate and channels as the request says, or as the vendor assumes."""
        audio = self.spec.audio
        return request.declared(audio.encoding), request.declared(audio.sample_rate), request.declared(audio.channels)

    def format_of(self, encoding: str | None, sample_rate: str | None, channels: str | None) -> AudioFormat:
        name = self.spec.audio.formats.get(encoding.lower(), "opaque") if encoding else "opaque"
        rate = _positive(sample_rate)
        return AudioFormat(name, rate, _positive(channels) or 1) if name in WIDTHS and rate else UNTIMED


class Discretion:
    """What may be shown of what a vendor said about one request, or its client."""

    __slots__ = ("_placeholders", "_private")

    def __init__(self, placeholders: Placeholders, private: Private) -> None:
        self._placeholders, self._private = placeholders, private

    def text(self, text: str | None) -> str | None:
        return (redact(self._private.hide(self._placeholders.hide(text))) or None) if text else None

    def id(self, text: str | None) -> str | None:
        """What stood where ids stand: it may look like a key, but must hold nothing of the request's own."""
        return (redact_id(text) if self._private.hide(text) == text else self.text(text)) if text else None


class Vendor:
    """A compiled profile."""

    __slots__ = ("_placeholders", "_places", "classifier", "endpoints", "name", "profile")

    def __init__(self, profile: Profile, common: Common) -> None:
        self.name = profile.vendor
        self.profile = profile
        self.classifier = Classifier(profile, common)
        self._placeholders = Placeholders(
            phrase for rule in profile.rules for when in rule.when for phrase in (*(when.text or ()), *(when.exact or ())))
        credentials = [one for spec in profile.endpoints.values() for one in spec.credentials]
        self._places = frozenset(name.lower() for one in credentials for name in (one.query, one.header) if name)
        self.endpoints = {name: CompiledEndpoint(name, spec) for name, spec in profile.endpoints.items()}

    def discretion(self, request: Request | None) -> Discretion:
        """For what is said about one request; None where it is not known."""
        if request is None:
            return Discretion(self._placeholders, Private())
        fields = (*request.headers.items(), *request.query.items(), *request.repeated)
        return Discretion(self._placeholders, private(fields, self._places))

    def route(self, raw_path: str, kind: Literal["websocket", "http"] = "websocket") -> Route | None:
        """The route of this kind with the longest prefix of whole segments; None without one, or where the path hides its way."""
        path = path_of(raw_path)
        if not path.startswith("/") or hides(path):
            return None
        fits = [r for r in self.profile.routes if r.kind == kind and is_under(path, r.path)]
        return max(fits, key=lambda r: len(r.path), default=None)


def _positive(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.isdigit() and 0 < len(value) < 8 and int(value) else None
