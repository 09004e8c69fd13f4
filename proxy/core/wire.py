"""RFC 6455 frames over a byte stream: a scanner that reads headers and lets payloads go by.

Owns the framing of one direction. Bytes come in as they were cut by the network; whole messages, control frames and
counts come out. Payloads are not copied and not unmasked, except what is asked for: text messages (up to a bound),
control frames, and the first `head` bytes of one binary message in ten. It changes nothing and holds nothing back: the bytes
have already gone on when the scanner sees them.

Theory: RFC 6455 section 5.2 says what a header may look like. Practice: peers get it wrong, and then the stream cannot be
told from noise. The scanner says `lost` once, with a reason, and looks no further; the relay goes on without it.

Nearly every chunk that the network hands over is exactly one small frame, and nearly every audio frame is as long as the one
before. A process that relays wakes up with cold caches for each of them, so that what costs is how much code and how many
objects a frame touches, not how much it computes. `feed` therefore only notes the time of an equal audio frame; they are handed over
a few at a time, before anything else that comes, or when somebody asks (`settle`). Whatever else there is, is looked at at once.
"""

from __future__ import annotations

from typing import Final, Protocol

from proxy.core.tally import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Traffic

FIN: Final = 0x80
RSV1: Final = 0x40
RSV: Final = 0x70
OP_CONTINUATION, OP_TEXT, OP_BINARY, OP_CLOSE, OP_PING, OP_PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
WHOLE_TEXT: Final = FIN | OP_TEXT
WHOLE_BINARY: Final = FIN | OP_BINARY
WHOLE_CLOSE: Final = FIN | OP_CLOSE

LARGEST_TEXT: Final = 256 * 1024
LARGEST_CONTROL: Final = 125
SAMPLED: Final = 10
"""The head of one binary message in so many is asked for, where audio is all that binary messages hold."""
NO_RUN: Final = -1
FRAMES_AT_ONCE: Final = 4096
"""In one chunk, and so in one turn of the loop; with more of them the direction is looked into no further. No speech is cut so small.
Two minutes of pieces of 30 ms that waited somewhere are no more."""
FRAMES_A_SECOND: Final = 20_000
LIGHT: Final = 1024
"""Bytes of a text below which it is not looked at what is in it before it is read."""
FLOOD: Final = "flood"
"""What a scanner that has had enough says when it is lost."""
LARGER: Final = 1 << 64  # stands for a length that the short way does not read

_TYPES: Final = {OP_CONTINUATION: CONTINUATION, OP_TEXT: TEXT, OP_BINARY: BINARY, OP_CLOSE: CLOSE, OP_PING: PING, OP_PONG: PONG}


class Feed:
    """What takes in the bytes of one direction, once they have crossed. This one does nothing with them."""

    __slots__ = ()

    def feed(self, data: bytes, now: float) -> None:
        """Bytes in the order they crossed."""


class Sink(Protocol):
    """Who is told. `now` is the time of the chunk that completed the frame."""

    def audio(self, length: int, times: list[float]) -> None:
        """Whole binary messages of one length, of which no byte was asked for, with the time of each."""

    def text(self, payload: bytes, now: float) -> None:
        """A whole, uncompressed text message that came in one frame."""

    def message(self, opcode: int, length: int, payload: bytes | None, compressed: bool, now: float) -> int:
        """Any other text or binary message. `payload` is its unmasked text, or head; None where it was too large.

        Gives back what it took that could not be known before, in frames (`weight`): a compressed message says nothing of it.
        """

    def control(self, opcode: int, payload: bytes, now: float) -> None:
        """A close, ping or pong with its unmasked payload."""

    def lost(self, reason: str) -> None:
        """Framing is broken, or there is too much of it (FLOOD); nothing more will come from this direction."""


def unmask(payload: bytes, mask: bytes) -> bytes:
    """The payload XORed with its mask (RFC 6455 section 5.3); an empty mask changes nothing."""
    size = len(payload)
    if not mask or not size:
        return payload
    key = mask * (size // 4 + 1)
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key[:size], "big")).to_bytes(size, "big")


def weight(text: bytes) -> int:
    """What reading a text takes, in binary frames that are scanned: JSON costs by its length and the values in it."""
    size = len(text)
    values = text.count(b",") + text.count(b"[") + text.count(b"{") if size >= LIGHT else 0
    return 3 + (size >> 9) + (values >> 5)


class FrameScanner(Feed):
    """Scans one direction. `head` is how much of every tenth binary message is asked for, or of each where `sampled` is 1; also
    of those of up to `small` bytes, unless one is just like the one before.

    `deflate` says that both ends agreed on permessage-deflate, which gives RSV1 a meaning (RFC 7692);
    compressed messages are kept whole, up to the bound of text, since nothing can be told of them otherwise.
    """

    __slots__ = (
        "_asked", "_captured", "_compressed", "_done", "_first", "_frame_length", "_frames", "_header", "_left", "_mask", "_message_length",
        "_most", "_opcode", "_plain", "_run_left", "_run_length", "_run_second", "_run_size", "_since", "_text", "_times", "_want",
        "binary_type", "deflate", "head", "is_lost", "sampled", "sink", "small", "traffic",
    )

    def __init__(self, sink: Sink, traffic: Traffic, binary_type: int = BINARY) -> None:
        self.sink = sink
        self._times: list[float] = []  # of the run's frames that the sink has not seen
        self.traffic = traffic
        self.binary_type = binary_type
        self.head = 0
        self.sampled = SAMPLED
        self.small = 0
        self.deflate = False
        self.is_lost = False
        self._asked = False  # for the next binary message, whichever it is
        self._since, self._frames = 0.0, 0  # what this second had to be scanned, in frames, but for light ones that came alone
        self._most = 0  # that this may become
        self._plain = True  # nothing is cut or open: the next chunk may be one whole frame
        self._run_size = NO_RUN  # of the chunk that each frame of the run is
        self._run_second = 0  # byte of each of them: whether it is masked, and its length
        self._run_length = 0
        self._run_left = 0  # frames until the next sample
        self._done = False  # a close has passed: what follows is no longer frames (RFC 6455 section 1.4)
        self._header: bytes | None = b""  # the cut header so far; None while inside a payload
        self._first = 0
        self._frame_length = 0
        self._left = 0
        self._mask = b""
        self._want = 0
        self._captured = bytearray()
        self._opcode = 0  # of the message that is open, 0 when none is
        self._compressed = False
        self._message_length = 0
        self._text = bytearray()  # what is kept of the open message

    def feed(self, data: bytes, now: float) -> None:
        """Bytes in the order they crossed. Never raises by itself, whatever they are."""
        size = len(data)
        if size == self._run_size and data[0] == WHOLE_BINARY and data[1] == self._run_second and (
                data[1] & 0x7F < 126 or data[2] << 8 | data[3] == self._run_length):
            left = self._run_left - 1
            if left:
                self._run_left = left
                self._times.append(now)
                return
        self.traffic.wire_bytes += size
        if self._plain and size > 1:
            first = data[0]
            second = data[1]
            length = second & 0x7F
            start = 2
            if length > 125:
                length = data[2] << 8 | data[3] if length == 126 and size > 3 else LARGER
                start = 4
            if second & 0x80:
                start += 4
            if start + length == size:
                if first == WHOLE_BINARY:
                    self._whole_binary(data, length, start, now)
                    return
                if first == WHOLE_TEXT and length:
                    if self._times:
                        self.settle()
                    self.traffic.frames[TEXT] += 1
                    self.traffic.bytes[TEXT] += length
                    payload = data[start:]
                    if second & 0x80:
                        payload = unmask(payload, data[start - 4 : start])
                    if length < LIGHT or self._bears(payload, now):
                        self.sink.text(payload, now)
                    return
        self._scan(data, now)

    def _whole_binary(self, data: bytes, length: int, start: int, now: float) -> None:
        """A binary message in one frame, alone in its chunk. Frames like it that follow make a run, up to the next sample."""
        self.settle()
        kind, traffic = self.binary_type, self.traffic
        traffic.frames[kind] = count = traffic.frames[kind] + 1
        traffic.bytes[kind] += length
        self._run_size, self._run_length = len(data) if length else NO_RUN, length
        self._run_left = self.sampled - (count - 1) % self.sampled
        self._run_second = data[1]
        if not length or (self.head and (self._asked or count % self.sampled == 1 or self.sampled == 1 or length <= self.small)):
            self._asked = self._asked and not length
            payload = data[start : start + self.head]
            self.sink.message(OP_BINARY, length, unmask(payload, data[start - 4 : start]) if data[1] & 0x80 else payload, False, now)
        else:
            self.sink.audio(length, [now])

    def look_at_next(self) -> None:
        """The head of the next binary message is asked for."""
        self.settle()
        self._asked, self._run_size = True, NO_RUN

    def settle(self) -> None:
        """Hands over to the sink and the counts what was only noted."""
        if self._times:
            times, self._times = self._times, []
            self.traffic.frames[self.binary_type] += len(times)
            self.traffic.bytes[self.binary_type] += len(times) * self._run_length
            self.traffic.wire_bytes += len(times) * self._run_size
            self.sink.audio(self._run_length, times)

    @property
    def at_boundary(self) -> bool:
        """Whether the stream stands between two messages."""
        return self._header == b"" and not self._opcode

    @property
    def takes_a_message(self) -> bool:
        """Whether a message of somebody else's may be put in here: between two messages, and before a close."""
        return self._plain

    def _scan(self, data: bytes, now: float) -> None:
        self.settle()
        self._run_size = NO_RUN
        self._begin(now)
        at, size = 0, len(data)
        while at < size and not self.is_lost and not self._done:
            at = self._payload(data, at, now) if self._header is None else self._step(data, at, now)
            if self._frames > self._most and not self.is_lost:
                self._flooded()
        self._plain = self.at_boundary and not self.is_lost and not self._done

    def _begin(self, now: float) -> None:
        """A chunk: how much of it is scanned at most."""
        if now - self._since >= 1.0:
            self._since, self._frames = now, 0
        self._most = min(FRAMES_A_SECOND, self._frames + FRAMES_AT_ONCE)

    def _bears(self, text: bytes, now: float) -> bool:
        """Whether a heavy text that came alone is still to be read."""
        self._begin(now)
        self._frames += weight(text)
        if self._frames > self._most:
            self._flooded()
            self._plain = False
        return not self.is_lost

    def _flooded(self) -> None:
        self.is_lost = True
        self.sink.lost(FLOOD)

    def stop(self) -> None:
        """Looks no further, and forgets what was only noted."""
        self._times = []
        self.is_lost, self._plain, self._run_size = True, False, NO_RUN

    def _step(self, data: bytes, at: int, now: float) -> int:
        """Reads a header, or keeps what there is of it. Returns where to go on."""
        kept = self._header or b""
        head = kept + data[at : at + 14 - len(kept)]
        need = 2
        if len(head) >= 2:
            second = head[1] & 0x7F
            need += (0 if second < 126 else 2 if second == 126 else 8) + (4 if head[1] & 0x80 else 0)
        if len(head) < need:
            self._header = head
            return len(data)
        length = head[1] & 0x7F
        after = 2
        if length > 125:
            after = 4 if length == 126 else 10
            length = int.from_bytes(head[2:after], "big")
        self._header = None
        self._mask = head[after:need] if head[1] & 0x80 else b""
        self._open(head[0], length)
        at += need - len(kept)
        return at if self.is_lost or self._left else self._payload(data, at, now)

    def _open(self, first: int, length: int) -> None:
        """A header is complete: is it legal, and what of the payload is asked for?"""
        opcode = first & 0x0F
        reason = self._fault(first, opcode, length)
        if reason:
            self.is_lost = True
            self.sink.lost(reason)
            return
        self._first, self._frame_length, self._left = first, length, length
        if opcode >= OP_CLOSE:
            self._want = length
            return
        if opcode:
            self._opcode, self._compressed, self._message_length, self._text = opcode, bool(first & RSV1), 0, bytearray()
        whole = self._opcode == OP_TEXT or self._compressed
        count = self.traffic.frames[self.binary_type] + (1 if opcode else 0)
        sampled = self._asked or self.sampled == 1 or count % self.sampled == 1 or (length <= self.small and bool(first & FIN))
        room = (LARGEST_TEXT if whole else self.head if sampled else 0) - self._message_length
        self._want = min(length, max(room, 0))
        self._asked = self._asked and opcode != OP_BINARY

    def _fault(self, first: int, opcode: int, length: int) -> str | None:
        if first & RSV & ~(RSV1 if self.deflate else 0):
            return "reserved_bits"
        if opcode not in _TYPES:
            return "reserved_opcode"
        if length >> 63:
            return "length"
        if opcode >= OP_CLOSE:
            return "control_frame" if length > LARGEST_CONTROL or not first & FIN or first & RSV1 else None
        if (opcode == OP_CONTINUATION) != bool(self._opcode) or (opcode == OP_CONTINUATION and first & RSV1):
            return "continuation"
        return None

    def _payload(self, data: bytes, at: int, now: float) -> int:
        take = min(self._left, len(data) - at)
        missing = self._want - len(self._captured)
        if missing > 0:
            self._captured += data[at : at + min(missing, take)]
        self._left -= take
        if not self._left:
            self._header = b""
            self._complete(now)
        return at + take

    def _complete(self, now: float) -> None:
        opcode, length = self._first & 0x0F, self._frame_length
        kind = self.binary_type if opcode == OP_BINARY else _TYPES[opcode]
        self._frames += 1
        self.traffic.frames[kind] += 1
        self.traffic.bytes[kind] += length
        captured = b""
        if self._captured:
            captured, self._captured = unmask(bytes(self._captured), self._mask), bytearray()
        if opcode >= OP_CLOSE:
            self._done = opcode == OP_CLOSE
            self.sink.control(opcode, captured, now)
            return
        self._message_length += length
        if captured:
            self._text += captured
        if self._first & FIN:
            self._message(now)

    def _message(self, now: float) -> None:
        opcode, length, compressed = self._opcode, self._message_length, self._compressed
        whole = opcode == OP_TEXT or compressed
        payload = bytes(self._text) if not whole or length <= LARGEST_TEXT else None
        self._opcode, self._compressed, self._text = 0, False, bytearray()
        if opcode == OP_BINARY and length and not payload and not compressed:
            self.sink.audio(length, [now])
            return
        if opcode == OP_TEXT and payload is not None and not compressed:
            self._frames += weight(payload)
            if self._frames > self._most:
                self._flooded()
                return
        self._frames += self.sink.message(opcode, length, payload, compressed, now)


def close_payload(payload: bytes) -> tuple[int | None, str | None]:
    """Code and reason of a close frame as it was sent, illegal ones included (RFC 6455 section 5.5.1).

    An empty payload gives (None, None). A reason that is not UTF-8 keeps its readable part.
    """
    if len(payload) < 2:
        return None, None
    return int.from_bytes(payload[:2], "big"), payload[2:].decode("utf-8", "replace") or None
