"""One plain HTTP exchange: what was seen of it, and what that means.

Owns the facts of one request that is no upgrade and of its answer. The relay tells it what happened and asks for the verdict
at the end. It holds no body, only what the profile's paths name of the beginning of a failing one. Without time or sockets.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from proxy.core.claim import Claim
from proxy.core.classify import NOTHING, Meaning
from proxy.core.inspect import holds
from proxy.core.own import own_meaning
from proxy.core.profile import Route
from proxy.core.vendor import Request, Vendor
from proxy.core.verdict import DEFAULTS, Category, Outcome, Phase, Side, Transport, Verdict

_FAILURE = 400
"""The lowest status that tells of one (RFC 9110, 15.5)."""
LEFT_EARLY = "The client left before the answer was through: look at its own time-out."


class Exchange:
    """`route` is None where there is none; then all that is left is our own refusal."""

    __slots__ = ("_client_left", "_failed", "_fits", "_own", "_req_id", "_status", "claim", "vendor")

    def __init__(self, vendor: Vendor, route: Route | None) -> None:
        self.vendor = vendor
        self.claim = Claim(phase=Phase(route.phase) if route else Phase.HTTP_REQUEST)
        self._fits = holds(route.failed) if route else None
        self._failed = False
        self._status: int | None = None
        self._own: str | None = None
        self._client_left = False
        self._req_id: str | None = None

    # What happened

    def wants_body(self, status: int) -> bool:
        """Whether the beginning of this answer's body would tell anything."""
        return status >= _FAILURE or self._fits is not None

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """The vendor's answer. Names of headers in lower case; `body` is its beginning, decompressed, or nothing."""
        self._failed = status >= _FAILURE or (200 <= status < 300 and self._tells_of_failure(body))
        self._req_id = next((headers[name] for name in self._id_headers() if name in headers), None)
        self._status = status
        if self._failed:
            self.claim.refused(self.vendor.profile, status, headers, body)
            self.claim.ended_by = self.claim.answered_by

    def lost(self, how: Transport) -> None:
        """There was no answer, or its body was cut. A vendor that hung up was there; all else is the network's."""
        if not self._failed:
            self.claim.transport = how
            self.claim.ended_by = Side.VENDOR if how in (Transport.EOF, Transport.RESET) else Side.NETWORK

    def client_left(self) -> None:
        """Before it had the whole answer."""
        self._client_left = True

    def own(self, code: str) -> None:
        """We answered. `code` is one of own.OWN."""
        self._own = code

    # What it means

    def verdict(self, request: Request | None = None) -> Verdict | None:
        """None for an exchange without fault. Strings are redacted; of the request's own credentials nothing is left in them."""
        outcome, meaning = self._meaning()
        if outcome is Outcome.OK:
            return None
        claim, shown = self.claim, self.vendor.discretion(request)
        return Verdict(
            vendor=self.vendor.name, outcome=outcome, phase=claim.phase, code=meaning.code, rule=meaning.rule, category=meaning.category,
            owner=meaning.owner, rule_owner=meaning.owner, retry=meaning.retry, retry_after_seconds=claim.retry_after,
            initiated_by=self._began(outcome), ended_by=self._began(outcome), http_status=self._status,
            server_code=shown.text(claim.told.server_code), server_title=shown.text(claim.told.server_title),
            server_detail=shown.text(claim.told.server_detail), connection_id=shown.id(claim.told.connection_id),
            req_id=shown.id(self._req_id or claim.told.req_id), hint=meaning.hint)

    def _meaning(self) -> tuple[Outcome, Meaning]:
        if self._own is not None:
            meaning = own_meaning(self._own)
            return Outcome.ERROR if meaning.category is Category.NETWORK else Outcome.REFUSED_HERE, meaning
        if self._failed:
            meaning = self.vendor.classifier.classify(self.claim)
            return Outcome.REFUSED_BY_VENDOR, NOTHING if says_nothing_of_plain_http(self.claim, meaning) else meaning
        if self.claim.transport is not None:
            return Outcome.ERROR, self.vendor.classifier.classify(self.claim)
        return (Outcome.ABANDONED, ABANDONED) if self._client_left else (Outcome.OK, NOTHING)

    def _began(self, outcome: Outcome) -> Side:
        if outcome is Outcome.ABANDONED:
            return Side.CLIENT
        if outcome is Outcome.REFUSED_HERE:
            return Side.SIDECAR
        return Side.NETWORK if self._own is not None else self.claim.ended_by or Side.UNKNOWN

    def _id_headers(self) -> set[str]:
        return {name.lower() for endpoint in self.vendor.profile.endpoints.values() for name in endpoint.response_ids.values()}

    def _tells_of_failure(self, body: bytes) -> bool:
        if self._fits is None:
            return False
        try:
            return self._fits(orjson.loads(body))
        except orjson.JSONDecodeError:
            return False


def says_nothing_of_plain_http(claim: Claim, meaning: Meaning) -> bool:
    """Common rules about a 2xx are about handshakes, and nothing that failed is a normal end."""
    plain = claim.phase in (Phase.SESSION_TOKEN, Phase.HTTP_REQUEST) and claim.http_status is not None
    return plain and (meaning.ok or ((claim.http_status or 0) < 300 and not meaning.vendors_own))


ABANDONED = Meaning("transport_eof", "abandoned", Category.PROTOCOL, *DEFAULTS[Category.PROTOCOL], hint=LEFT_EARLY)
