"""From a client's bytes to its whole messages, as the frames they came in.

Owns the order of frames (RFC 6455, 5.4) and the bound on what is not whole yet. Nothing is lost on the way: what has not been taken is
given back, in its order, from a frame's beginning.
"""

from __future__ import annotations

from math import inf
from typing import Final

from proxy.core.frames import BrokenError, Cutter, Frame
from proxy.core.wire import FIN, OP_CLOSE, OP_CONTINUATION

LARGEST: Final = 32 << 20
"""Bytes of a message, and of a frame."""
OVERHEAD: Final = 256
"""Bytes that a frame or message costs besides its own: many tiny ones must not cost more memory than the bound says."""


class Assembly:
    """Of one session."""

    __slots__ = ("_cutter", "_frames", "_size")

    def __init__(self) -> None:
        self._cutter = Cutter()
        self._frames: list[Frame] = []  # of the message that is open, or was given out and is not taken
        self._size = 0

    def add(self, data: bytes) -> None:
        """To be read by `next`."""
        self._cutter.add(data)

    @property
    def waiting(self) -> int:
        """What it costs to hold what is not whole, in bytes."""
        return self._size + self._cutter.waiting

    def next(self, room: float = inf) -> list[Frame] | None:
        """A control frame, or the frames of a whole message, given out until it is `taken`; None where there is none yet.

        room: bytes that frames may cost besides their own; None as well where there is too little of it.
        Raises BrokenError where there will be none.
        """
        if self._frames and self._frames[-1].first & FIN:
            return self._frames
        while room >= OVERHEAD and (frame := self._cutter.next(LARGEST)) is not None:
            room -= OVERHEAD
            if frame.opcode >= OP_CLOSE:
                return [frame]
            fits = (frame.opcode == OP_CONTINUATION) == bool(self._frames)
            self._frames.append(frame)
            self._size += frame.size + OVERHEAD
            if not fits:
                raise BrokenError("order")
            if frame.first & FIN:
                return self._frames
        if room >= OVERHEAD and self.waiting > LARGEST:
            raise BrokenError("large")
        return None

    def taken(self) -> None:
        """The message is no longer of any concern here."""
        self._frames, self._size = [], 0

    def opened(self) -> bytes:
        """The frames that came of a message that is open: nothing is, after it."""
        frames = self._frames
        self.taken()
        return b"".join([part for frame in frames for part in (frame.head, frame.payload)])

    def take(self) -> bytes:
        """All that has not been taken."""
        return self.opened() + self._cutter.take()
