"""What was measured of the way to the vendor: the three stages of audio.

*read* from the client, *written* to the vendor's socket, *delivered*: acknowledged by the vendor's TCP. "We wrote it" proves
nothing: megabytes can lie in the kernel while the peer reads nothing. The kernel counts acknowledged bytes; this module
joins that count with how much audio had been handed over when the stream stood at that byte. It works under TLS as well,
since only positions of one and the same byte stream are compared.

Nothing here opens a socket: the relay reads TCP_INFO and hands in samples.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.core.tally import AudioSeconds


@dataclass(frozen=True, slots=True)
class TcpSample:
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


class Delivery:
    """Follows one session's audio to the vendor's acknowledgement. Figures are lower bounds, never guesses."""

    __slots__ = ("_audio", "_mark_audio", "_mark_end", "delivered_at", "known", "last")

    def __init__(self, audio: AudioSeconds) -> None:
        self._audio = audio
        self._mark_end: int | None = None  # the byte that proves, once acknowledged,
        self._mark_audio = 0.0  # that so much audio was delivered
        self.delivered_at: float | None = None
        self.last: TcpSample | None = None
        self.known = False

    def sample(self, tcp: TcpSample | None, transport_buffered: int, now: float) -> None:
        """Once a second and at the end. `transport_buffered` is what has not even reached the kernel, in bytes."""
        if not transport_buffered:
            self._audio.written = self._audio.read
        if tcp is None:
            return
        self.known, self.last = True, tcp
        self._prove(tcp, now)
        if self._mark_end is None and not transport_buffered:
            self._mark_end, self._mark_audio = tcp.queued, self._audio.read
            self._prove(tcp, now)

    def _prove(self, tcp: TcpSample, now: float) -> None:
        if self._mark_end is None or tcp.acked < self._mark_end:
            return
        if self._mark_audio > self._audio.delivered:
            self._audio.delivered, self.delivered_at = self._mark_audio, now
        self._mark_end = None

    @property
    def undelivered_seconds(self) -> float:
        """Audio read but not known to be delivered; 0 where the kernel does not tell."""
        return self._audio.read - self._audio.delivered if self.known else 0.0
