"""What nobody closes for: noticed while a session is open, and told at once.

Owns the judgement, once a second, of how a session is doing. It notes facts, each once a session, and sorts the seconds of
open sessions into served well, late, not at all, and not ready yet. It changes nothing else, and ends nothing.

A fact says what was seen, not whose fault it is. Still, to call a vendor silent whose caller only listens would send people
the wrong way. So silence is measured in audio that the vendor has got and in which somebody speaks, not in seconds; a muted
microphone makes none of it. How much of it is too much the session itself shows: a vendor that answers once in a long while gets longer.
"""

from __future__ import annotations

from typing import ClassVar, Final

from proxy.core.audio import SILENCE_LEVEL
from proxy.core.known import Known
from proxy.core.limits import idle_window, longest_session
from proxy.core.tally import AUDIO, BINARY, CONTINUATION, GOOD, LAGGING, NOT_READY, SERVICE_STATES, STALLED, TEXT, Tables, Traffic
from proxy.core.verdict import Inspection, Noticed, Phase, Side

READY_SECONDS: Final = 30.0
"""From the 101 to the vendor's hello, where the profile does not say."""
UNANSWERED_SECONDS: Final = 10.0
"""Of speech, to which the vendor says nothing: at least so much makes it silent."""
CLIENT_SECONDS: Final = 10.0
"""Without a word of a client that had begun: half the vendor's idle time, but no more than this."""
ZERO_SECONDS: Final = 10.0
"""Of audio, all of it silent."""
NEAR: Final = 0.9
"""The share of its longest time after which a session is near its end."""
IDLE_SHARE: Final = 0.25
LEAST_IDLE: Final = 2.0
"""What is left of an idle window, as a share and in seconds, when it is told of."""
IN_FLIGHT: Final = 1.0
"""Seconds that audio may take to stop after the vendor has said that it listens no longer."""
LATE_SECONDS: Final = 3.0
"""A result that far behind its audio, or audio that has waited so long to be acknowledged, is late service."""
STUCK_SECONDS: Final = 5.0
"""Audio that has waited so long to be acknowledged goes nowhere."""


class Watch:
    """Looks at one session, about once a second. `ready_seconds` is for profiles that do not say; `news` gives facts not yet told of."""

    __slots__ = ("_answers", "_begun_at", "_framed_at", "_frames", "_heard", "_known", "_last", "_moved", "_moved_at", "_patience", "_said",
                 "_said_at", "_sent", "_sent_at", "_served", "_talks", "_told", "ready_seconds", "state")
    __deletable__: ClassVar = ("_known",)  # asked for by the compiler

    def __init__(self, known: Known, tables: Tables) -> None:
        spec = known.spec.spec if known.spec else None
        self._known, self._served = known, tables.served
        self._talks = spec is not None and spec.talks_in_silence
        self._answers = spec is not None and not spec.answers_at_end and any(message.role == "result" for message in spec.server.all())
        self._last = self._said_at = self._moved_at = known.started_at
        self._said = self._sent = 0  # messages of the vendor's, of the client's
        self._begun_at: float | None = None  # when the client was first seen to have said something,
        self._sent_at: float | None = None  # and last
        self._frames = 0  # of the client's, pings too
        self._framed_at: float | None = None
        self._heard = 0.0  # how much the vendor had heard when it last said something
        self._moved = 0.0  # how much audio was delivered when that last grew
        self._patience = UNANSWERED_SECONDS
        self._told = 0
        self.ready_seconds = READY_SECONDS
        self.state: str | None = SERVICE_STATES[NOT_READY]
        """How the session was served when it was last looked at, of SERVICE_STATES; None where that cannot be seen."""

    def let_go(self) -> None:
        """Of the session, which has it."""
        del self._known

    def news(self) -> list[tuple[str, float]]:
        """The facts noticed since this was last asked, with their times."""
        if len(self._known.facts) == self._told:
            return []
        new = list(self._known.facts.items())[self._told:]
        self._told += len(new)
        return new

    @property
    def framed_at(self) -> float | None:
        """When the client was last seen to have sent a frame of any kind."""
        return self._framed_at

    def tick(self, now: float) -> None:
        """About once a second while the session is open, and once more at its end. Times never go back."""
        known = self._known
        since, self._last = self._last, now
        if known.inspection is Inspection.LOST:
            self.state = None
            return  # what was not seen may have been there
        self._follow(now)
        self._serve(since, now)
        if known.claim.phase is Phase.WEBSOCKET_RUNTIME:
            self._look_at_audio(now)
            if known.ending.ended_by is Side.UNKNOWN:
                self._look_at_time(now)

    def _follow(self, now: float) -> None:
        """Who has said something since the last look; and does audio still arrive?"""
        known = self._known
        said, sent = _messages(known.to_client), _messages(known.to_vendor)
        if said != self._said:
            unanswered = self._listened - self._heard
            if unanswered < self._patience:  # a stall is no rhythm
                self._patience = max(self._patience, 2 * unanswered)
            self._said, self._said_at, self._heard = said, now, self._listened
        if sent != self._sent:
            self._sent, self._sent_at = sent, now
            self._begun_at = self._begun_at or now
        frames = sum(known.to_vendor.frames)
        if frames != self._frames:
            self._frames, self._framed_at = frames, now
        if known.audio.delivered != self._moved or not known.undelivered_seconds:
            self._moved, self._moved_at = known.audio.delivered, now

    # How it is served

    def _serve(self, since: float, now: float) -> None:
        known, served = self._known, self._served
        if known.claim.ready is False:
            state = NOT_READY if known.answered_at is None or self._hello_awaited_from is not None else GOOD
            served[state] += now - since
            self.state = SERVICE_STATES[state]
            return
        if known.ready_at is not None and known.ready_at > since:
            served[NOT_READY] += known.ready_at - since
            since = known.ready_at
        state = self._state(now)
        served[state] += now - since
        self.state = SERVICE_STATES[state]

    def _state(self, now: float) -> int:
        # Audio that comes faster than it plays is undelivered in heaps, but not for long.
        waits = min(self._known.undelivered_seconds, now - self._moved_at)
        if waits > STUCK_SECONDS or self._vendor_is_silent(now):
            return STALLED
        return LAGGING if waits > LATE_SECONDS or self._results_are_late(now) else GOOD

    def _results_are_late(self, now: float) -> bool:
        """As of the last result, while that is news. A client that is far ahead of real time waits for itself."""
        results = self._known.results
        recent = results.last_at is not None and now - results.last_at <= STUCK_SECONDS
        return recent and (results.lag_last or 0.0) > LATE_SECONDS >= self._known.lead_seconds

    @property
    def _listened(self) -> float:
        """Seconds of audio so far to which the vendor should say something."""
        audio = self._known.audio
        return audio.read if self._talks else audio.voiced

    def _vendor_is_silent(self, now: float) -> bool:
        known = self._known
        if not self._answers or known.answers_elsewhere or known.claim.ready is False or known.stopped_at is not None:
            return False
        audio = known.audio
        on_its_way = audio.read - (audio.delivered if known.delivery.known else audio.written)
        unanswered = self._listened - self._heard - on_its_way
        return min(unanswered, now - self._said_at) >= self._patience

    # What is noticed

    def _look_at_audio(self, now: float) -> None:
        known = self._known
        clock, begun = known.clock, known.clock.first_at
        if begun is None:
            return
        too_early = known.claim.ready is False or (known.ready_at is not None and begun < known.ready_at)
        if too_early and known.spec is not None and known.spec.spec.ready == "message":
            known.noticed(Noticed.EARLY_AUDIO, begun)
        if known.stopped_at is not None and clock.last_at > known.stopped_at + (0.0 if known.claim.end_sent else IN_FLIGHT):
            known.noticed(Noticed.LATE_AUDIO, clock.last_at)
        if known.audio.silent >= ZERO_SECONDS and known.loudest < SILENCE_LEVEL:
            known.noticed(Noticed.ALL_ZERO_AUDIO, now)

    def _look_at_time(self, now: float) -> None:
        known = self._known
        if self._hello_is_overdue(now):
            known.noticed(Noticed.NEVER_READY, now)
        if self._vendor_is_silent(now):
            known.noticed(Noticed.VENDOR_SILENT, now)
        longest = longest_session(known)
        if longest is not None and now - known.started_at >= NEAR * longest:
            known.noticed(Noticed.NEAR_LIMIT, now)
        if known.stopped_at is None:
            self._look_at_client(now)

    @property
    def _hello_awaited_from(self) -> float | None:
        """Where the client has to speak first, the vendor's hello is not awaited before that."""
        known = self._known
        return self._begun_at if known.spec is not None and known.spec.client.has_start else known.answered_at

    def _hello_is_overdue(self, now: float) -> bool:
        known, since = self._known, self._hello_awaited_from
        if known.claim.ready is not False or since is None or known.spec is None:
            return False
        limit = known.spec.spec.limits.ready_seconds
        return now - since >= (self.ready_seconds if limit is None else limit)

    def _look_at_client(self, now: float) -> None:
        """Any message is a sign of life; with keep-alives, or after the last piece of a request, it is a pause."""
        known, window = self._known, idle_window(self._known)
        limit = min(CLIENT_SECONDS, max(LEAST_IDLE, window / 2)) if window else CLIENT_SECONDS
        held = known.gate is not None and not known.gate.empty  # it has spoken, and waits here
        pauses = held or known.rests or (known.spec is not None and known.spec.spec.client_pauses)
        if known.clock.chunks and not pauses and now - max(known.clock.last_at, self._sent_at or 0.0) >= limit:
            known.noticed(Noticed.CLIENT_SILENT, now)
        if window and self._left(window, now) <= max(LEAST_IDLE, IDLE_SHARE * window):
            known.noticed(Noticed.IDLE_SOON, now)

    def _left(self, window: float, now: float) -> float:
        """Seconds until the vendor's idle timer runs out, at least: where messages reset it, nobody says that pings do not."""
        known = self._known
        resets = [known.answered_at, known.kept_alive_at, known.injected_at, known.clock.last_at if known.clock.chunks else None]
        if known.spec is not None and known.spec.spec.idle_reset == "message":
            resets.append(self._framed_at)
        return window - (now - max(reset for reset in resets if reset is not None))


def _messages(traffic: Traffic) -> int:
    """How many there were; control frames are none."""
    frames = traffic.frames
    return frames[AUDIO] + frames[BINARY] + frames[TEXT] + frames[CONTINUATION]
