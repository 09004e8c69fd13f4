"""In the client's place: the vendor's own words, said to the vendor where its client does not, or no longer may.

    the client vanished       end message, the vendor's end or a bound of time, close           (end_properly)
    the session is too old    the same, and a close for the client                              (session_duration)
    the gate refused          a close for the client at once; the vendor gets the same as above (audio_format, message_shape)
    the process ends          end message, the vendor's end or a bound of time, close for both  (drain)
    nothing to say            keep-alives, for a while                                          (idle)

Owns the order of these steps on the two legs. When they are due is decided in the core (standin); what is written here is never
shown to the session: whatever was said by us, nobody's verdict takes it for the client's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final

from proxy.core.inject import NORMAL, POLICY_VIOLATION, SERVICE_RESTART, UpToClose, before_close, close_frame, said, text_frame
from proxy.core.policy import Action, Policy, Rule
from proxy.core.session import Session
from proxy.core.standin import KeepAlives, is_open, is_there, lacks_end, may_speak, says_goodbye, session_limit
from proxy.core.verdict import Noticed, Transport
from proxy.relay.splice import Splice

LINGER_SECONDS: Final = 2.0
"""How long a client may take to leave after our close, before its connection is ended: to end it at once might cost it our words."""
BOUNDARY_SECONDS: Final = 2.0
"""How long an end waits for the end of a message of the client's."""
DRAIN_SECONDS: Final = 2.0
"""How long the vendor may take to end a session because the process ends."""
DRAIN_BOUNDARY_SECONDS: Final = 0.5
"""How long that waits for messages to end, on both sides; and how often it looks."""
DRAIN_LOOK_SECONDS: Final = 0.02
DRAINING: Final = "earwitness: draining"
CODES: Final = {Rule.AUDIO_FORMAT: "sidecar_audio_format", Rule.MESSAGE_SHAPE: "sidecar_message_shape"}
SESSION_LIMIT: Final = "sidecar_session_limit"


class StandIn:
    """Of one session. `join` it with its splice before anything crosses; `tick` it once a second."""

    __slots__ = ("_client_close", "_end", "_keep_alive", "_keep_alives", "_limit_rule", "_over", "_session", "_splice", "_thens",
                 "_to_client", "_wait", "ends_properly")

    def __init__(self, session: Session, policy: Policy) -> None:
        rules = policy.rules
        self._session = session
        self._splice: Splice | None = None
        self._end = said(session.spec, "end")
        self._keep_alive = said(session.spec, "keep_alive")
        self._keep_alives = KeepAlives(session, rules.idle.max_seconds) if self._keep_alive and policy.enforces(Rule.IDLE) else None
        self._limit_rule = rules.session_duration if policy.enforces(Rule.SESSION_DURATION) else None
        self._wait = rules.end_properly.wait_seconds
        self._over = False  # the end has begun
        self._thens: list[Callable[[], None]] = []  # what follows the vendor's end
        self._client_close = b""  # still to be said to the client
        self._to_client: UpToClose | None = None  # where the vendor's close is kept from the client
        self.ends_properly = self._end is not None and policy.enforces(Rule.END_PROPERLY)

    def join(self, splice: Splice) -> None:
        self._splice = splice

    # While it is open

    def tick(self, now: float) -> None:
        """Never raises."""
        session = self._session
        session.held_seconds = session.gate.held_seconds if session.gate is not None else 0.0
        if self._over:
            return
        try:
            self._look(now)
        except Exception:
            session.gate_failed = self._over = True

    def _look(self, now: float) -> None:
        if self._keep_alives is not None and self._keep_alives.due(now) and self._keep_alive and not self.splice.client.reading_held:
            self._tell_vendor(text_frame(self._keep_alive, secrets.token_bytes(4)))
            self._keep_alives.sent(now)
            self._session.done.count(Rule.IDLE, Action.INJECTED)
        if self._limit_rule is not None:
            self._look_at_time(session_limit(self._session, self._limit_rule), now)

    def _look_at_time(self, limit: float | None, now: float) -> None:
        session = self._session
        if limit is None or session.answered_at is None or not is_open(session):
            return
        if session.gate is not None and session.gate.is_closing:
            return  # its client has ended it; that waits in the gate, and not for long
        over = now - session.answered_at - limit
        if over >= 0 and (may_speak(session) or over >= BOUNDARY_SECONDS):
            session.done.count(Rule.SESSION_DURATION, Action.TERMINATED)
            words = f"session ended after {limit:g} s"
            self._end_session(SESSION_LIMIT, words, close_frame(NORMAL, words, b""))

    def reading_stopped(self) -> None:
        self._session.noticed(Noticed.READING_STOPPED, monotonic())

    # We end it

    def refused(self, rule: Rule, sentence: str) -> None:
        """Nothing of the client's goes on any more: somebody has to end it, and to tell."""
        if self._over:
            if self._session.gate_failed:
                self.splice.abort()
        elif is_there(self._session):
            self._end_session(CODES[rule], sentence, b"", close_frame(POLICY_VIOLATION, sentence, b""))

    def _end_session(self, code: str, words: str, at_last: bytes, at_once: bytes = b"") -> None:
        session, splice = self._session, self.splice
        speaks = may_speak(session) and lacks_end(session)
        session.ended_here(code, words)
        splice.client.mute()  # if it is not already
        self._client_close = at_once
        self._close_client()
        self._say_end(speaks, partial(self._close_both, at_last))

    def _close_both(self, at_last: bytes) -> None:
        splice = self.splice
        self._close_vendor()
        self._client_close = self._client_close or at_last
        self._close_client()
        splice.vendor.stop_writing()
        splice.vendor.told = True
        splice.finish(splice.vendor)
        client = splice.client
        if client.ended or client.eof:
            splice.finish(client)
            return
        client.told = True
        client.read_on()  # what is not read when it is closed would make a reset of it
        if client.transport.can_write_eof():
            client.write_fin()
        splice.later(LINGER_SECONDS, partial(splice.finish, client))

    def _close_client(self) -> None:
        """Once the vendor's bytes stand between two messages. After it nothing goes to the client any more."""
        session, splice = self._session, self.splice
        if not self._client_close or not splice.client.can_be_told:
            return
        if (self._to_client or session.from_vendor).takes_a_message:
            splice.client.transport.write(self._client_close)
            splice.client.told = True
            splice.vendor.stop_writing()
            self._client_close = b""

    # The process ends

    def drain(self) -> None:
        """Ends it the vendor's own way. Somebody who is ending it already has a little time to."""
        if not self._over:
            self._over = True
            self._drain_by(monotonic() + DRAIN_BOUNDARY_SECONDS)

    def _drain_by(self, latest: float) -> None:
        session, splice = self._session, self.splice
        if splice.client.ended and splice.vendor.ended:
            return
        vendor_pauses = session.from_vendor.takes_a_message
        if not is_open(session):
            splice.later(DRAIN_SECONDS, self._drained)
        elif session.failed or monotonic() >= latest or (may_speak(session) and vendor_pauses):
            self._drained()
        else:
            splice.later(DRAIN_LOOK_SECONDS, partial(self._drain_by, latest))

    def _drained(self) -> None:
        session, splice = self._session, self.splice
        if splice.client.ended and splice.vendor.ended:
            return
        speaks = is_open(session) and may_speak(session) and lacks_end(session)
        session.drained()
        splice.client.mute()
        words = b""
        if session.from_vendor.takes_a_message:
            words = close_frame(SERVICE_RESTART, DRAINING, b"")
            self._to_client = UpToClose(partial(says_goodbye, session))
            splice.vendor.through(self._to_client.feed)
        else:
            splice.vendor.stop_writing()  # what was cut stays cut, and nothing can be said after it
        self._wait = min(self._wait, DRAIN_SECONDS)
        self._say_end(speaks, partial(self._close_both, words))

    # The client ends it

    def leaving(self, data: bytes) -> bytes:
        session = self._session
        if self._over or not self.ends_properly or session.ending.client_close is None or not lacks_end(session):
            return data
        before, close = before_close(data)
        if not close or not session.from_client.at_boundary:  # the close cuts a message: an end message has no place in it
            return data
        self._tell_vendor(before)
        self.splice.client.stop_writing()
        self._stand_in(partial(self._tell_vendor, close))
        return b""

    def parted(self, how: Transport, then: Callable[[Transport], None]) -> None:
        if self._thens:
            self._thens.append(partial(then, Transport.EOF))
        elif self._over or not self.ends_properly or not lacks_end(self._session) or not may_speak(self._session):
            then(how)
        else:
            self._stand_in(self._close_vendor, partial(then, Transport.EOF))

    def _stand_in(self, *thens: Callable[[], None]) -> None:
        """Says the end message for a client that did not."""
        self._session.ending.stood_in = True
        self._session.done.count(Rule.END_PROPERLY, Action.TERMINATED)
        self._say_end(True, *thens)

    # The last words

    def _say_end(self, speaks: bool, *thens: Callable[[], None]) -> None:
        """The end message, if it is to be said; when the vendor has ended too, or has had its time, what follows."""
        self._over = True
        self._thens = list(thens)
        if not speaks or self._end is None or self.splice.vendor.ended:
            self._answered()
            return
        self._tell_vendor(text_frame(self._end, secrets.token_bytes(4)))
        self.splice.vendor.afterwards(self._heard)
        self.splice.later(self._wait, self._answered)

    def _heard(self) -> None:
        """The vendor has said something."""
        self._close_client()
        ending = self._session.ending
        if ending.goodbye or ending.vendor_close is not None:
            self._answered()

    def vendor_left(self) -> None:
        if self._over:
            self._answered()

    def client_left(self) -> None:
        """Nobody reads the vendor's last words. Where there is a gate, `parted` follows."""
        if self._over and self._session.gate is None:
            self._answered()

    def let_go(self) -> None:
        """The splice is over, and with it what was to follow: most of that has us, in a circle."""
        self._thens.clear()

    def _answered(self) -> None:
        thens, self._thens = self._thens, []
        for then in thens:
            then()

    # What is written

    @property
    def splice(self) -> Splice:
        assert self._splice is not None
        return self._splice

    def _close_vendor(self) -> None:
        """Never inside of a message, nor after the client's own."""
        if may_speak(self._session):
            self._tell_vendor(close_frame(NORMAL, "", secrets.token_bytes(4)))

    def _tell_vendor(self, data: bytes) -> None:
        vendor = self.splice.vendor
        if data and vendor.can_be_told:
            vendor.transport.write(data)
