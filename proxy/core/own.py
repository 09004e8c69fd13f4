"""What Earwitness itself answers with, when it refuses or fails: a closed set of codes, each with its HTTP status.

Every such answer carries `x-earwitness: <code>`, so that nobody takes it for the vendor's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proxy.core.classify import Meaning
from proxy.core.verdict import DEFAULTS, Category, Outcome, Owner


@dataclass(frozen=True, slots=True)
class Own:
    status: int
    category: Category
    hint: str
    owner: Owner | None = None
    retry_after: int = 1
    """Seconds, where the status goes with them."""
    outcome: Outcome = Outcome.REFUSED_HERE
    """Of a session that ended so."""


OWN: Final = {
    "sidecar_not_found": Own(404, Category.INVALID_REQUEST, "The vendor has no such path here: check the URL that the SDK was given."),
    "sidecar_not_allowed": Own(
        403, Category.PERMISSION, "The listener's allow in the settings lets no such path through, or no such web page."),
    "sidecar_bad_request": Own(400, Category.PROTOCOL, "The request is not HTTP/1.1 as RFC 9112 has it."),
    "sidecar_upgrade_required": Own(426, Category.PROTOCOL, "This path takes WebSocket upgrades only."),
    "sidecar_request_stalled": Own(
        408, Category.PROTOCOL, "The body of the request stopped coming before it was whole: look at what the client was sending."),
    "sidecar_too_many_sessions": Own(503, Category.LOCAL_LIMIT, "limits.sessions is reached: raise it, or run more sidecars."),
    "sidecar_too_many_dials": Own(
        503, Category.LOCAL_LIMIT, "The time was over before this call's turn to dial: too many connections to the vendor were being made. "
        "Either none of them gets through (see the other errors), or too many calls came at once."),
    "sidecar_out_of_resources": Own(
        503, Category.LOCAL_LIMIT, "No file descriptor, memory or local port was left for one more call. "
        "A call needs two descriptors: raise the limit (ulimit -n), or run more sidecars."),
    "sidecar_overloaded": Own(
        503, Category.LOCAL_LIMIT, "The process has more to do than it can keep up with, and is to refuse new sessions then "
        "(limits.overload). Give it more CPU, or run more of them.", retry_after=5),
    "sidecar_draining": Own(
        503, Category.LOCAL_LIMIT, "The sidecar is shutting down: it takes no new sessions and ends the last open ones."),
    "sidecar_bad_upstream": Own(502, Category.NETWORK, "What answered speaks no HTTP/1.1, or upgraded wrongly: check the upstream."),
    "sidecar_proxy_refused": Own(502, Category.NETWORK, "The CONNECT proxy in the settings refused, or could not be reached.",
                                 owner=Owner.OPERATOR),
    "sidecar_rate_limited": Own(
        429, Category.RATE_LIMIT, "Too many new sessions with this credential in a minute: rule connection_rate of the policy. Open "
        "them more slowly, or ask the vendor for more.", retry_after=10),
    "sidecar_concurrency_limited": Own(
        429, Category.CONCURRENCY_LIMIT, "Too many sessions with this credential at once: rule concurrency of the policy. End what is "
        "not used, or ask the vendor for more.", retry_after=5),
    "sidecar_audio_format": Own(
        400, Category.AUDIO_FORMAT, "The audio is not what was declared: rule audio_format of the policy. Declare what is sent."),
    "sidecar_message_shape": Own(
        400, Category.PROTOCOL, "The vendor takes no such message: rule message_shape of the policy. Look at what the client sends."),
    "sidecar_session_limit": Own(
        503, Category.SESSION_EXPIRED, "Ended in the vendor's own way before its limit: rule session_duration of the policy. Open another.",
        owner=Owner.NONE, outcome=Outcome.OK),
    "sidecar_internal": Own(500, Category.INTERNAL, "A fault in Earwitness: please report it with the log line."),
}
"""By code. Statuses 429 and 503 go with Retry-After. The last ones before our own fault end sessions that are open."""


def own_meaning(code: str, words: str = "") -> Meaning:
    """What one of our own codes means; `words` say what it was about."""
    own = OWN[code]
    owner, retry = DEFAULTS[own.category]
    return Meaning(code, code, own.category, own.owner or owner, retry,
                   hint=f"{words}. {own.hint}" if words else own.hint)
