"""How a session ended: who did what first, and what that comes to.

Owns first-cause logic. A failing session ends in a cascade: an error frame, a close, the other side's close, FINs. The
first act that ends a session says who began it (`initiated_by`), the first close, FIN or RST who ended it (`ended_by`);
what follows is consequence and never overwrites them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from proxy.core.claim import Claim
from proxy.core.classify import NOTHING, Classifier, Meaning
from proxy.core.own import OWN, own_meaning
from proxy.core.profile import Profile
from proxy.core.verdict import DEFAULTS, Category, Outcome, Phase, Side, Transport
from proxy.core.wire import close_payload

FULL_LENGTH: Final = 0.98
"""The share of its maximum that a session must have reached for its expiry to be a normal end."""


@dataclass(slots=True)
class SeenClose:
    code: int | None
    reason: str | None
    at: float


class Ending:
    """Acts, in the order in which they were seen."""

    __slots__ = (
        "_else", "_perhaps", "blind", "client_close", "drained", "ended_by", "fatal_error", "found", "goodbye", "initiated_by",
        "own_code", "own_words", "stood_in", "told_close", "transport", "vendor_close",
    )

    def __init__(self) -> None:
        self.initiated_by = Side.UNKNOWN
        self.ended_by = Side.UNKNOWN
        self.client_close: SeenClose | None = None
        self.vendor_close: SeenClose | None = None
        self.transport: Transport | None = None  # of a leg that ended without a close frame
        self.fatal_error = False
        self.goodbye = False  # the vendor's own last message was seen
        self.blind = False  # a close frame of the vendor's would not be seen any more
        self.drained = False
        self.own_code: str | None = None  # of our own refusal,
        self.own_words = ""  # and what it was about
        self.stood_in = False  # we spoke the end message: what the vendor says then is an answer to us, and tells of nobody
        self.told_close: SeenClose | None = None  # in a message of the vendor's
        self._perhaps = Side.UNKNOWN
        self._else = Side.UNKNOWN  # who began it where that did not
        self.found: str | None = None  # our own name for what was wrong with the vendor's answer

    def began(self, side: Side) -> None:
        if self.initiated_by is Side.UNKNOWN:
            self.initiated_by = side
        elif self.is_open and self._else is Side.UNKNOWN:
            self._else = side

    @property
    def is_open(self) -> bool:
        """Whether it may still turn out that somebody else began the end."""
        return self._perhaps is not Side.UNKNOWN

    def perhaps_began(self, side: Side) -> None:
        """Something that only counts if nothing follows it; what ends the session later must not take its place."""
        if self.initiated_by is Side.UNKNOWN:
            self.initiated_by = self._perhaps = side

    def did_not_begin(self) -> None:
        """What perhaps began the end did not: who came next did, if anybody."""
        if self.is_open:
            self.initiated_by, self._perhaps, self._else = self._else, Side.UNKNOWN, Side.UNKNOWN

    def reopened(self) -> None:
        """The client begins another stream: its last end message was not the session's end."""
        if self.initiated_by is Side.CLIENT and self.ended_by is Side.UNKNOWN:
            self.initiated_by = Side.UNKNOWN
        self._else = Side.UNKNOWN
        self.goodbye = False

    def told(self, code: int | None, reason: str | None, now: float) -> None:
        """The vendor tells of its close in a message."""
        if self.stood_in:
            return
        if self.told_close is None:
            self.told_close = SeenClose(code, reason, now)
        self.began(Side.VENDOR)

    def ended(self, side: Side) -> None:
        self.began(side)
        if self.ended_by is Side.UNKNOWN:
            self.ended_by = side

    def closed(self, side: Side, payload: bytes, now: float) -> None:
        """A close frame from a side; only its first counts."""
        code, reason = close_payload(payload)
        close = SeenClose(code, reason, now)
        if side is Side.CLIENT and self.client_close is None:
            self.client_close = close
        elif side is Side.VENDOR and self.vendor_close is None:
            self.vendor_close = close
        self.ended(side)

    def lost(self, side: Side, transport: Transport) -> None:
        """A leg ended below WebSocket. After a close frame, or after the other leg, that is only the consequence."""
        if self.ended_by is Side.UNKNOWN:
            self.transport = transport
        self.ended(Side.NETWORK if transport is Transport.TIMEOUT else side)

    def complete(self, claim: Claim, profile: Profile) -> None:
        """Writes into the claim what ended it first. The close that belongs to the vendor's error frame counts as that."""
        if self.told_close is not None:
            claim.closed(profile, self.told_close.code, self.told_close.reason, Side.VENDOR)
        elif self.vendor_close is not None and (self.fatal_error or (self.ended_by is Side.VENDOR and self.transport is None)):
            claim.closed(profile, self.vendor_close.code, self.vendor_close.reason, Side.VENDOR)
        elif self.client_close is not None and self.ended_by is Side.CLIENT and self.transport is None:
            claim.closed(profile, self.client_close.code, self.client_close.reason, Side.CLIENT)
        else:
            claim.transport = self.transport
        claim.ended_by = self.ended_by


def outcome_of(ending: Ending, claim: Claim, classifier: Classifier | None, has_end: bool, full_length: bool) -> tuple[Outcome, Meaning]:
    """What it all comes to. `classifier` is None only where we refused before a vendor was known."""
    if ending.own_code is not None or classifier is None:
        code = ending.own_code or "sidecar_internal"
        return OWN[code].outcome, own_meaning(code, ending.own_words)
    meaning = classifier.classify(claim)
    if ending.drained and ending.ended_by is Side.SIDECAR:
        return Outcome.DRAINED, own_meaning("sidecar_draining")
    if claim.phase is Phase.WEBSOCKET_CONNECT:
        return _before_open(ending, claim, meaning)
    if meaning.category is Category.SESSION_EXPIRED and full_length:
        return Outcome.OK, meaning
    if ending.fatal_error:
        # Rules about a normal close know nothing of the error before it.
        return Outcome.ERROR, NOTHING if meaning.ok else meaning
    if ending.blind and ending.transport is Transport.EOF and ending.told_close is None:
        return Outcome.OK, NOTHING  # the close before it may just not have been seen
    if not (meaning.ok or _client_just_left(ending)):
        return (Outcome.OK, NORMAL) if _ended_well(ending, claim) else (Outcome.ERROR, meaning)
    still_open = has_end and claim.end_sent is False and not ending.goodbye and not ending.blind
    if ending.ended_by is Side.CLIENT and (still_open or ending.stood_in):
        return Outcome.ABANDONED, _abandoned(claim, ENDED_FOR_IT if ending.stood_in else LEFT_OPEN)
    return Outcome.OK, NORMAL if _client_just_left(ending) else meaning


def _before_open(ending: Ending, claim: Claim, meaning: Meaning) -> tuple[Outcome, Meaning]:
    if claim.http_status is not None:  # also where the client did not wait for the end of the answer
        return Outcome.REFUSED_BY_VENDOR, meaning
    if ending.ended_by is Side.CLIENT:
        return Outcome.ABANDONED, _abandoned(claim, LEFT_EARLY)
    return Outcome.ERROR, own_meaning(ending.found) if ending.found is not None else meaning


def _client_just_left(ending: Ending) -> bool:
    return ending.transport is not None and ending.ended_by is Side.CLIENT and ending.told_close is None


def _ended_well(ending: Ending, claim: Claim) -> bool:
    """The vendor said goodbye when asked to, and then dropped the connection without a close frame."""
    return ending.transport is Transport.EOF and ending.ended_by is Side.VENDOR and ending.goodbye and bool(claim.end_sent)


LEFT_OPEN: Final = "The client left without the vendor's end message: the vendor may go on billing until it notices."
ENDED_FOR_IT: Final = "The client left without the vendor's end message: Earwitness sent it in its place."
LEFT_EARLY: Final = "The client left before the vendor had answered: look at its own time-out for connecting."


def _abandoned(claim: Claim, hint: str) -> Meaning:
    owner, retry = DEFAULTS[Category.PROTOCOL]
    code = f"{claim.close_code}_abandoned" if claim.close_code is not None else f"transport_{claim.transport or Transport.EOF}"
    return Meaning(code, "abandoned", Category.PROTOCOL, owner, retry, hint=hint)


NORMAL: Final = Meaning("normal", "normal", Category.NORMAL, *DEFAULTS[Category.NORMAL], ok=True)
