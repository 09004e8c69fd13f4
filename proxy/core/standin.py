"""When somebody speaks in the client's place: keeps a session open for it, ends one before its limit, or for a client that vanished.

Owns these decisions. They are taken once a second, from what is known of the session; what is then said (inject), and by what
sockets it goes, is not known here. A session is never kept open for a client that nothing was heard from, nor without end.
"""

from __future__ import annotations

from typing import Final

from proxy.core.ending import FULL_LENGTH
from proxy.core.known import Known
from proxy.core.limits import keep_alive_window, longest_session
from proxy.core.policy import SessionDuration
from proxy.core.session import Session
from proxy.core.verdict import Side

HEARD_SECONDS: Final = 15.0
"""A client from which no frame of any kind has come for so long may be dead: nobody keeps its session open."""
SHARE: Final = 0.35
LEAST: Final = 3.0
"""What is left of the vendor's window, as a share and in seconds, when a keep-alive goes; but half of it has to be over."""


def is_there(known: Known) -> bool:
    """Whether nobody has hung up, nor said that it will: a client may have ended a stream, and begin the next."""
    ending = known.ending
    return (known.answered_at is not None and ending.ended_by is Side.UNKNOWN and ending.told_close is None
            and not ending.fatal_error)


def is_open(known: Known) -> bool:
    """Whether the session goes on: nobody has begun to end it."""
    return is_there(known) and known.claim.end_sent is not True and known.stopped_at is None


def may_speak(known: Known) -> bool:
    """Whether a message may be put in among the client's, now: not inside of one, nor where nobody knows where it would go."""
    return not known.failed and known.from_client.takes_a_message


def lacks_end(known: Known) -> bool:
    """Whether the vendor still waits for an end message, and would hear it."""
    ending = known.ending
    return (known.answered_at is not None and known.claim.end_sent is False and not ending.goodbye and not ending.fatal_error
            and ending.vendor_close is None and ending.told_close is None and ending.ended_by in (Side.UNKNOWN, Side.CLIENT))


def says_goodbye(known: Known, text: bytes) -> bool:
    """Whether the vendor tells by it that the session ended well."""
    found = known.spec.server.read(text) if known.spec is not None else None
    return found is not None and found[0].role == "end"


def session_limit(known: Known, rule: SessionDuration) -> float | None:
    """Seconds from the 101 after which the session is ended; None where nothing limits it."""
    longest = longest_session(known)
    return rule.seconds if rule.seconds is not None or longest is None else longest * FULL_LENGTH


class KeepAlives:
    """Of one session. `most`: seconds for which it is kept open by them, in all."""

    __slots__ = ("_bought", "_most", "_session")

    def __init__(self, session: Session, most: float) -> None:
        self._session, self._most = session, most
        self._bought = 0.0

    def due(self, now: float) -> bool:
        """Whether one should go now."""
        known = self._session
        window, since = keep_alive_window(known), self._reset_at()
        if window is None or since is None or not is_open(known) or not may_speak(known):
            return False
        left = window - (now - since)
        return left <= min(window / 2, max(LEAST, SHARE * window)) and self._is_heard(now) and self._bought + now - since <= self._most

    def sent(self, now: float) -> None:
        """One has gone. It has put off the end by as long as the vendor's timer had run."""
        self._bought += now - (self._reset_at() or now)
        self._session.injected_at = now

    def _is_heard(self, now: float) -> bool:
        heard_at = self._session.watch.framed_at or self._session.answered_at
        return heard_at is not None and now - heard_at <= HEARD_SECONDS

    def _reset_at(self) -> float | None:
        """When the vendor's timer last began anew, at the latest. That pings do it is nowhere promised."""
        known, latest = self._session, self._session.latest
        resets = [known.answered_at, latest.audio_at, latest.kept_alive_at, known.injected_at]
        if known.spec is not None and known.spec.spec.idle_reset == "message":
            resets.append(latest.message_at)
        return max((reset for reset in resets if reset is not None), default=None)
