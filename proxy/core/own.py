"""What Earwitness itself answers with, when it refuses or fails: a closed set of codes, each with its HTTP status.

Every such answer carries `x-earwitness: <code>`, so that nobody takes it for the vendor's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proxy.core.classify import Meaning
from proxy.core.verdict import DEFAULTS, Category, Owner


@dataclass(frozen=True, slots=True)
class Own:
    status: int
    category: Category
    hint: str
    owner: Owner | None = None


OWN: Final = {
    "sidecar_not_found": Own(404, Category.INVALID_REQUEST, "The vendor has no such path here: check the URL that the SDK was given."),
    "sidecar_bad_request": Own(400, Category.PROTOCOL, "The request is not HTTP/1.1 as RFC 9112 has it."),
    "sidecar_upgrade_required": Own(426, Category.PROTOCOL, "This path takes WebSocket upgrades only."),
    "sidecar_request_stalled": Own(
        408, Category.PROTOCOL, "The body of the request stopped coming before it was whole: look at what the client was sending."),
    "sidecar_too_many_sessions": Own(503, Category.LOCAL_LIMIT, "limits.sessions is reached: raise it, or run more sidecars."),
    "sidecar_too_many_dials": Own(
        503, Category.LOCAL_LIMIT, "The time was over before this call's turn to dial: too many connections to the vendor were being made. "
        "Either none of them gets through (see the other errors), or too many calls came at once."),
    "sidecar_out_of_resources": Own(
        503, Category.LOCAL_LIMIT, "No file descriptor, memory or local port was left for the connection to the vendor. "
        "A call needs two descriptors: raise the limit (ulimit -n), or run more sidecars."),
    "sidecar_draining": Own(
        503, Category.LOCAL_LIMIT, "The sidecar is shutting down: it takes no new sessions and ends the last open ones."),
    "sidecar_bad_upstream": Own(502, Category.NETWORK, "What answered speaks no HTTP/1.1, or upgraded wrongly: check the upstream."),
    "sidecar_proxy_refused": Own(502, Category.NETWORK, "The CONNECT proxy in the settings refused, or could not be reached.",
                                 owner=Owner.OPERATOR),
    "sidecar_internal": Own(500, Category.INTERNAL, "A fault in Earwitness: please report it with the log line."),
}
"""By code. Status 503 goes with Retry-After."""


def own_meaning(code: str) -> Meaning:
    """What one of our own codes means."""
    own = OWN[code]
    owner, retry = DEFAULTS[own.category]
    return Meaning(code, code, own.category, own.owner or owner, retry, hint=own.hint)
