"""The closed sets of a verdict, and the verdict itself.

Owns the vocabulary that other people's tools hold on to: label values, log fields, span attributes. It knows nothing
of how a verdict is reached (classify) or of the session it ends (session).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final


class Outcome(StrEnum):
    OK = "ok"
    ERROR = "error"
    REFUSED_BY_VENDOR = "refused_by_vendor"
    REFUSED_HERE = "refused_here"
    ABANDONED = "abandoned"
    DRAINED = "drained"


class Phase(StrEnum):
    SESSION_TOKEN = "session_token"
    HTTP_REQUEST = "http_request"
    WEBSOCKET_CONNECT = "websocket_connect"
    WEBSOCKET_RUNTIME = "websocket_runtime"


class Side(StrEnum):
    """Who did it. `network` stands for time-outs and the unreachable, which nobody does."""

    CLIENT = "client"
    VENDOR = "vendor"
    NETWORK = "network"
    SIDECAR = "sidecar"
    UNKNOWN = "unknown"


class Owner(StrEnum):
    """Who has to act."""

    OPERATOR = "operator"
    CLIENT = "client"
    VENDOR = "vendor"
    NETWORK = "network"
    SIDECAR = "sidecar"
    NONE = "none"
    UNKNOWN = "unknown"


class Retry(StrEnum):
    """What a program should do with the same call."""

    IMMEDIATE = "immediate"
    BACKOFF = "backoff"
    AFTER_FIX = "after_fix"
    NEVER = "never"


class Transport(StrEnum):
    """How a connection failed below WebSocket."""

    EOF = "eof"
    RESET = "reset"
    TIMEOUT = "timeout"
    TLS = "tls"
    DNS = "dns"
    REFUSED = "refused"


class Noticed(StrEnum):
    """What may be noticed while a session is open: the report's `facts`."""

    NEVER_READY = "never_ready"
    VENDOR_SILENT = "vendor_silent"
    CLIENT_SILENT = "client_silent"
    NEAR_LIMIT = "near_limit"
    IDLE_SOON = "idle_soon"
    EARLY_AUDIO = "early_audio"
    LATE_AUDIO = "late_audio"
    ALL_ZERO_AUDIO = "all_zero_audio"
    CONTAINER_IN_RAW = "container_in_raw"
    TEXT_IN_AUDIO = "text_in_audio"
    """A binary message that is JSON, or base64: a keep-alive sent as binary, most often."""
    ODD_BYTES = "odd_bytes"
    """An audio message that does not hold whole samples."""
    FORMAT_MISMATCH = "format_mismatch"
    """A header inside the audio tells another rate, width or number of channels than was declared."""
    READING_STOPPED = "reading_stopped"
    """The client was not read for a while, because the gate held as much as it may."""


class Check(StrEnum):
    """What a claim is held against: the `check` of a piece of evidence."""

    AUDIO_RECEIVED = "audio_received"
    CHUNK_DURATION = "chunk_duration"
    AUDIO_RATE = "audio_rate"
    CHUNK_BYTES = "chunk_bytes"
    AUDIO_DECODABLE = "audio_decodable"
    SESSION_DURATION = "session_duration"
    CONCURRENCY = "concurrency"
    CONNECTION_RATE = "connection_rate"
    MESSAGE_RATE = "message_rate"
    MESSAGE_SHAPE = "message_shape"
    CREDENTIALS = "credentials"
    READY_BEFORE = "ready_before"
    """Refused after the 101 as unauthorised, though the session had been ready."""
    IDLE = "idle"
    REPORTED_AUDIO = "reported_audio"


class Inspection(StrEnum):
    FULL = "full"
    PARTIAL = "partial"
    LOST = "lost"


class Category(StrEnum):
    AUTH = "auth"
    PERMISSION = "permission"
    BILLING = "billing"
    CONFIG_NOT_FOUND = "config_not_found"
    RATE_LIMIT = "rate_limit"
    CONCURRENCY_LIMIT = "concurrency_limit"
    INVALID_REQUEST = "invalid_request"
    PROTOCOL = "protocol"
    AUDIO_FORMAT = "audio_format"
    AUDIO_CHUNK = "audio_chunk"
    AUDIO_PACING = "audio_pacing"
    IDLE_TIMEOUT = "idle_timeout"
    SESSION_EXPIRED = "session_expired"
    DEPRECATED = "deprecated"
    UPSTREAM_ERROR = "upstream_error"
    UNAVAILABLE = "unavailable"
    NETWORK = "network"
    LOCAL_LIMIT = "local_limit"
    INTERNAL = "internal"
    NORMAL = "normal"
    UNCLASSIFIED = "unclassified"


DEFAULTS: Final[dict[Category, tuple[Owner, Retry]]] = {
    Category.AUTH: (Owner.OPERATOR, Retry.AFTER_FIX),
    Category.PERMISSION: (Owner.OPERATOR, Retry.AFTER_FIX),
    Category.BILLING: (Owner.OPERATOR, Retry.AFTER_FIX),
    Category.CONFIG_NOT_FOUND: (Owner.OPERATOR, Retry.AFTER_FIX),
    Category.RATE_LIMIT: (Owner.OPERATOR, Retry.BACKOFF),
    Category.CONCURRENCY_LIMIT: (Owner.OPERATOR, Retry.BACKOFF),
    Category.INVALID_REQUEST: (Owner.CLIENT, Retry.AFTER_FIX),
    Category.PROTOCOL: (Owner.CLIENT, Retry.AFTER_FIX),
    Category.AUDIO_FORMAT: (Owner.CLIENT, Retry.AFTER_FIX),
    Category.AUDIO_CHUNK: (Owner.CLIENT, Retry.AFTER_FIX),
    Category.AUDIO_PACING: (Owner.CLIENT, Retry.AFTER_FIX),
    Category.IDLE_TIMEOUT: (Owner.CLIENT, Retry.IMMEDIATE),
    Category.SESSION_EXPIRED: (Owner.CLIENT, Retry.IMMEDIATE),
    Category.DEPRECATED: (Owner.OPERATOR, Retry.AFTER_FIX),
    Category.UPSTREAM_ERROR: (Owner.VENDOR, Retry.BACKOFF),
    Category.UNAVAILABLE: (Owner.VENDOR, Retry.BACKOFF),
    Category.NETWORK: (Owner.NETWORK, Retry.BACKOFF),
    Category.LOCAL_LIMIT: (Owner.SIDECAR, Retry.BACKOFF),
    Category.INTERNAL: (Owner.SIDECAR, Retry.BACKOFF),
    Category.NORMAL: (Owner.NONE, Retry.NEVER),
    Category.UNCLASSIFIED: (Owner.UNKNOWN, Retry.AFTER_FIX),
}
"""Owner and retry of each category, unless a rule knows better."""

UNCLASSIFIED: Final = "unclassified"


@dataclass(slots=True)
class Verdict:
    """What a session's end means. `None` is "not known"; strings are redacted and cut before they get here."""

    vendor: str | None = None
    endpoint: str | None = None
    outcome: Outcome = Outcome.ERROR
    phase: Phase | None = None
    code: str = UNCLASSIFIED
    rule: str | None = None
    category: Category = Category.UNCLASSIFIED
    owner: Owner = Owner.UNKNOWN
    rule_owner: Owner = Owner.UNKNOWN
    retry: Retry = Retry.AFTER_FIX
    retry_after_seconds: float | None = None
    initiated_by: Side = Side.UNKNOWN
    ended_by: Side = Side.UNKNOWN
    http_status: int | None = None
    server_code: str | None = None
    server_title: str | None = None
    server_detail: str | None = None
    connection_id: str | None = None
    req_id: str | None = None
    close_code: int | None = None
    close_reason: str | None = None
    hint: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """One flat object, every field present; enumerations as their plain strings."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
