"""The claim that nothing came: no audio, or no message at all.

Owns the most frequent and most often wrong accusation. Five things may have happened, and each is told from what was seen:

    the client stopped          nothing was read from it in the vendor's window, though we were reading
    the link                    it was read and written, and nothing was acknowledged in that window
    the vendor's own window     the same, while the vendor's TCP had said that it takes no more
    our gate                    the same as of a client that stopped, but what it sent inside that window was held here by a policy
    we                          our loop stood still as long, and what the client sent meanwhile came in a heap
    none of them                what was read inside the window was acknowledged before the vendor closed: the claim is wrong

Everything within the margin, or that our own standing still could explain, settles nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from proxy.core.checks.finding import CANNOT_TELL, LEAST_MARGIN, MARGIN_SHARE, NO, YES, Case, Finding, found
from proxy.core.limits import idle_window
from proxy.core.verdict import Check, Inspection, Owner

SAMPLED_EVERY: Final = 1.0
"""Seconds between two readings of TCP_INFO: delivery may have happened that much before it was seen."""
STILL_UNREAD: Final = 1.0
"""Seconds after our loop stood still in which what had come meanwhile may not all have been read."""
ROUNDING: Final = 1e-6
SPEECH: Final = (" silen", " spoke", " speech", " hangup", " hang up")
"""Beginnings of words of a claim that is about speech rather than audio."""
SPEAKING: Final = 3.0
"""Seconds since its last audio, up to which a client is surely not idle."""

_SECONDS: Final = re.compile(
    r"\b(?:for|in|last|limit|of|than|timeout|within)[\s:]{1,3}([0-9]{1,5}(?:\.[0-9]{1,3})?)\s?s(?:ecs?|econds?)?\b")
"""In folded text, where `12.5 s` is `12 5 s`: of such a number nothing is read, least of all its end."""

NOT_THE_CLIENT: Final = ("The vendor says that no audio came, but its own TCP has acknowledged audio inside that time: not the client. "
                         "Send the vendor's support the ids and the evidence.")
NO_SILENCE: Final = ("The vendor says that nothing came, but its own TCP has acknowledged a message inside that time: not the client. "
                     "Send the vendor's support the ids and the evidence.")
NETWORK: Final = "The client went on sending, but its audio was not acknowledged by the vendor: look at the way there."
NOT_READ: Final = "The client went on sending, but the vendor stopped reading: its receive window was zero."
WE: Final = "The client went on sending, but Earwitness stood still and did not pass it on: it needs more CPU, or fewer sessions."
HELD: Final = ("The client went on sending, but what it sent was held here by this listener's policy for longer than the vendor waits: "
              "compare the policy's numbers with the vendor's limits.")
AS_BINARY: Final = ("Keep-alives were sent as binary messages, which count for nothing: send them as text. "
                    "And go on sending audio, or say that the session is over.")
KEPT_ALIVE: Final = "Keep-alives reached the vendor inside its time, so that the session should have stayed open: not the client."
SILENT: Final = ("Audio reached the vendor inside that time, but there was nothing to hear in it: "
                 "if the vendor's timer counts speech, look at the microphone.")
UNSETTLED: Final = "The vendor says that nothing came, and what was measured does not settle whether that is so."


@dataclass(frozen=True, slots=True)
class _Timer:
    """The vendor's timer, and what was seen of it. Times are seconds before the vendor judged."""

    check: Check
    window: float
    margin: float
    sent: float  # since the client sent what resets it
    arrived: float  # since the last such thing was read that is proven to have arrived
    proven: float  # since that was seen: it arrived between the two

    @property
    def came_late(self) -> bool:
        """Whether the last that arrived may have taken so long that the vendor had something inside its window after all."""
        return self.proven < self.quiet - SAMPLED_EVERY

    @property
    def quiet(self) -> float:
        """Nothing for so long bears the claim out."""
        return self.window - self.margin

    def finding(self, agrees: str, owner: Owner | None = Owner.UNKNOWN, hint: str = UNSETTLED, stage: str = "delivered",
                measured: float | None = None) -> Finding:
        unit = "seconds_since_audio" if self.check is Check.AUDIO_RECEIVED else "seconds_since_message"
        seen = measured if measured is not None else self.sent if stage == "read" else self.arrived
        return found(self.check, agrees, unit, stage=stage, claimed=self.window, measured=seen, window=self.window, margin=self.margin,
                     owner=owner, hint=hint)


def audio_received(case: Case) -> Finding:
    """For timers that audio alone starts anew (and keep-alives)."""
    return _received(case, Check.AUDIO_RECEIVED)


def idle(case: Case) -> Finding:
    """For timers that any message starts anew."""
    return _received(case, Check.IDLE)


def _received(case: Case, check: Check) -> Finding:
    timer = _timer(case, check)
    if timer is None:
        return _without_window(case, check)
    if case.then.inspection is Inspection.LOST:
        return timer.finding(CANNOT_TELL)
    lag = case.then.lag_since(case.at - timer.window)
    if timer.arrived + SAMPLED_EVERY <= timer.quiet:
        if not (_turned(case, timer, lag, timer.proven) and case.whole):
            return timer.finding(CANNOT_TELL)
        if check is Check.AUDIO_RECEIVED and _may_mean_speech(case, timer):
            return timer.finding(CANNOT_TELL, hint=SILENT)
        return timer.finding(NO, Owner.VENDOR, NOT_THE_CLIENT if check is Check.AUDIO_RECEIVED else NO_SILENCE)
    if timer.sent >= timer.quiet and not case.known.waiting:
        return _nothing_read(case, timer, lag)
    return _not_arrived(case, timer, lag)


def _may_mean_speech(case: Case, timer: _Timer) -> bool:
    """Audio came; but was there anything to hear? Some vendors' timers run while nobody speaks."""
    heard_at = case.then.heard_at
    if case.then.clock.timed:
        nothing_heard = heard_at is None or case.at - heard_at > timer.window
        return nothing_heard and case.then.silent >= min(timer.window, case.then.read) / 2
    return any(word in text for text in (case.says, *case.known.claim.said) for word in SPEECH)


def _nothing_read(case: Case, timer: _Timer, lag: float) -> Finding:
    """The client sent nothing, as far as we read."""
    known = case.known
    kept = case.then.sent.kept_alive_at
    if kept is not None and case.at - kept < timer.quiet:  # that should have kept the session open, if it got there
        arrived = known.delivery.proven.kept_alive_at
        since = case.at - arrived if arrived is not None else timer.window
        turned = _turned(case, timer, lag, case.at - (known.delivery.proven_at.kept_alive_at or 0.0))
        if case.then.clock.chunks and since + SAMPLED_EVERY <= timer.quiet and turned and case.whole:
            return timer.finding(NO, Owner.VENDOR, KEPT_ALIVE, measured=since)
        return _not_arrived(case, timer, lag)
    if lag >= timer.margin and _just_stood(case):
        return timer.finding(CANNOT_TELL, stage="read")  # what it sent may not have been read yet
    came = known.delivery.proven_at.kept_alive_at
    if timer.came_late or (came is not None and case.at - came < timer.quiet - SAMPLED_EVERY):
        return timer.finding(CANNOT_TELL, stage="read")  # sent before, but the link may have held it up until inside the window
    if case.then.held_at is not None and case.at - case.then.held_at < timer.quiet:
        return timer.finding(YES, Owner.SIDECAR, HELD, stage="read")  # had it gone on as it came, the vendor would have had it in time
    return timer.finding(YES, None, AS_BINARY if case.then.shape.text_in_binary else "", stage="read")


def _turned(case: Case, timer: _Timer, lag: float, proven: float) -> bool:
    """Whether our own standing still takes nothing from this proof: it was too short for that, or began after the proof was had.

    What arrived before we stood still had arrived before the vendor judged, for a close of that time would have been read then.
    """
    lagged_at = case.then.lagged_at
    return lag < timer.margin or (lagged_at is not None and case.at - proven <= lagged_at - lag + ROUNDING)


def _just_stood(case: Case) -> bool:
    """Whether our loop stood still until the vendor judged, or hardly less."""
    return case.then.lagged_at is not None and case.then.lagged_at >= case.at - STILL_UNREAD


def _not_arrived(case: Case, timer: _Timer, lag: float) -> Finding:
    """The client was sending. Where did it stay?"""
    delivery = case.known.delivery
    if lag >= timer.margin:
        if case.then.lagged_for >= timer.quiet and timer.sent < timer.quiet and _just_stood(case):
            return timer.finding(YES, Owner.SIDECAR, WE)
        return timer.finding(CANNOT_TELL)
    if not delivery.stuck(case.at, timer.quiet) or timer.arrived < timer.quiet:
        return timer.finding(CANNOT_TELL)
    if delivery.is_full:
        return timer.finding(YES, Owner.VENDOR, NOT_READ)
    return timer.finding(YES, Owner.NETWORK, NETWORK)


def _timer(case: Case, check: Check) -> _Timer | None:
    known = case.known
    sent, proven = case.then.sent, known.delivery.proven
    # Where two lengths are known the shorter one: it takes more to contradict a claim of that.
    known_windows = (claimed_seconds(case), _published(case, sent.audio_at is None and check is Check.AUDIO_RECEIVED))
    window = min((one for one in known_windows if one is not None), default=None)
    if window is None:
        return None
    begun = known.answered_at if known.answered_at is not None else known.started_at
    field = "audio_at" if check is Check.AUDIO_RECEIVED else "message_at"
    times = (getattr(latest, field) for latest in (sent, proven, known.delivery.proven_at))
    margin = max(LEAST_MARGIN + known.delivery.rtt_seconds, MARGIN_SHARE * window)
    return _Timer(check, window, margin, *(case.at - (begun if at is None else at) for at in times))


def _published(case: Case, never_spoke: bool) -> float | None:
    limits = case.known.spec.spec.limits if case.known.spec is not None else None
    if never_spoke and limits is not None and limits.first_audio_seconds is not None:
        return limits.first_audio_seconds
    return idle_window(case.known)


def claimed_seconds(case: Case) -> float | None:
    """The length of the timer in the vendor's own words, where they name one."""
    claim = case.known.claim
    texts = (claim.told.server_detail, claim.told.server_title, claim.close_reason)
    named = {float(number) for text in texts if text for number in _SECONDS.findall(text.lower())} - {0.0}
    return named.pop() if len(named) == 1 else None


def _without_window(case: Case, check: Check) -> Finding:
    """Nobody says how long the timer runs. A client that is sending is not accused of being idle; more cannot be said."""
    sent = case.then.sent
    last = sent.audio_at if check is Check.AUDIO_RECEIVED else sent.message_at
    since = case.at - last if last is not None else None
    speaking = since is not None and since <= SPEAKING
    unit = "seconds_since_audio" if check is Check.AUDIO_RECEIVED else "seconds_since_message"
    return found(check, CANNOT_TELL, unit, stage="read", measured=since, owner=Owner.UNKNOWN if speaking else None,
                 hint=UNSETTLED if speaking else None)
