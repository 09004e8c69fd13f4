"""What was measured of the way to the vendor: the three stages of audio.

*read* from the client, *written* to the vendor's socket, *delivered*: acknowledged by the vendor's TCP. "We wrote it" proves
nothing: megabytes can lie in the kernel while the peer reads nothing. The kernel counts acknowledged bytes; this module
joins that count with how much audio had been handed over when the stream stood at that byte. It works under TLS as well,
since only positions of one and the same byte stream are compared.

Nothing here opens a socket: the relay reads TCP_INFO and hands in samples.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from proxy.core.tally import AudioSeconds


class TcpSample(NamedTuple):
    """One reading of the vendor socket's TCP_INFO (tcp(7), linux/tcp.h). Byte counts are since the connection began."""

    acked: int
    """Bytes that the peer has acknowledged (tcpi_bytes_acked)."""
    queued: int
    """Bytes handed to the kernel: sent once, plus not yet sent."""
    unacked: int
    """Segments in flight."""
    unsent: int
    """Bytes that wait in the kernel."""
    window: int | None
    """The peer's receive window in bytes; 0 is a vendor that does not read."""
    rtt_seconds: float
    peer_closed: bool
    """The peer has sent FIN or RST, whether or not anybody has read up to it."""

LATEST_READING: Final = 3.0
"""Seconds after which a reading says nothing of the present."""


class Latest(NamedTuple):
    """When the client's last audio, message of any kind, and keep-alive came; None for none."""

    audio_at: float | None = None
    message_at: float | None = None
    kept_alive_at: float | None = None


class Delivery:
    """Follows one session's audio to the vendor's acknowledgement. Figures are lower bounds, never guesses."""

    __slots__ = (
        "_audio", "_mark_audio", "_mark_end", "_mark_latest", "behind_full", "behind_max", "delivered_at", "is_full", "known", "last",
        "moved_at", "proven", "proven_at", "rtt_seconds", "sampled_at", "waits_since",
    )

    def __init__(self, audio: AudioSeconds) -> None:
        self._audio = audio
        self._mark_end: int | None = None  # the byte that proves, once acknowledged,
        self._mark_audio = 0.0  # that so much audio was delivered,
        self._mark_latest: Latest | None = None  # and everything up to here
        self.delivered_at: float | None = None
        self.behind_max = 0.0  # the most audio that was seen waiting for its acknowledgement
        self.behind_full = False  # and whether the peer's window was full then
        self.proven = Latest()  # the last that is proven to have been delivered,
        self.proven_at = Latest()  # and when each was first seen to have been
        self.sampled_at: float | None = None
        self.waits_since: float | None = None  # something has waited to be acknowledged, None while nothing does
        self.moved_at: float | None = None  # when the peer was last seen to have acknowledged anything new
        self.last: TcpSample | None = None
        self.known = False
        self.is_full = False  # the peer takes no more: it has stopped reading
        self.rtt_seconds = 0.0

    def sample(self, tcp: TcpSample | None, transport_buffered: int, now: float, latest: Latest | None = None) -> None:
        """Once a second and at the end. `transport_buffered` is what has not even reached the kernel, in bytes.

        `latest` is what the client has sent so far, None once the vendor has ended the session: what arrives after that counts
        as delivered, but proves nothing of what the vendor had when it judged.
        """
        if not transport_buffered:
            self._audio.written = self._audio.read
        if tcp is None:
            return
        if latest is not None:
            self._follow(tcp, transport_buffered, now)
        self.known, self.last = True, tcp
        self._prove(tcp, now, latest is not None)
        if self._mark_end is None and not transport_buffered:
            self._mark_end, self._mark_audio, self._mark_latest = tcp.queued, self._audio.read, latest
            self._prove(tcp, now, latest is not None)
        if latest is not None and self.undelivered_seconds > self.behind_max:
            self.behind_max, self.behind_full = self.undelivered_seconds, tcp.window == 0

    def _follow(self, tcp: TcpSample, transport_buffered: int, now: float) -> None:
        """Since when has something waited, and has anything at all been acknowledged meanwhile?"""
        if self.last is None or tcp.acked != self.last.acked:
            self.moved_at = now
        if tcp.acked >= tcp.queued and not transport_buffered:
            self.waits_since = None
        elif self.waits_since is None:
            self.waits_since = self.sampled_at if self.sampled_at is not None else now
        self.sampled_at, self.is_full, self.rtt_seconds = now, tcp.window == 0, tcp.rtt_seconds

    def _prove(self, tcp: TcpSample, now: float, in_time: bool) -> None:
        if self._mark_end is None or tcp.acked < self._mark_end:
            return
        if self._mark_audio > self._audio.delivered:
            self._audio.delivered, self.delivered_at = self._mark_audio, now
        if in_time and self._mark_latest is not None and self._mark_latest != self.proven:
            old, new, seen = self.proven, self._mark_latest, self.proven_at
            self.proven = new
            self.proven_at = Latest(now if new.audio_at != old.audio_at else seen.audio_at,
                                    now if new.message_at != old.message_at else seen.message_at,
                                    now if new.kept_alive_at != old.kept_alive_at else seen.kept_alive_at)
        self._mark_end = None

    def stuck(self, at: float, seconds: float) -> bool:
        """Whether it was seen that something waited for so many seconds before `at`, and nothing was acknowledged."""
        recent = self.sampled_at is not None and at - self.sampled_at <= LATEST_READING
        return recent and all(since is not None and at - since >= seconds for since in (self.moved_at, self.waits_since))

    @property
    def undelivered_seconds(self) -> float:
        """Audio read but not known to be delivered; 0 where the kernel does not tell."""
        return self._audio.read - self._audio.delivered if self.known else 0.0
