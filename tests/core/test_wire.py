"""The frame scanner: however the network cuts the bytes, the same is seen; whatever they are, nothing is raised."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from proxy.core import tally
from proxy.core.wire import (
    FLOOD,
    FRAMES_AT_ONCE,
    LARGEST_TEXT,
    OP_BINARY,
    OP_CLOSE,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    FrameScanner,
    close_payload,
    unmask,
)

from .playbook import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, frame

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 2 << 20)
HEAD = 16


class Seen:
    """A sink that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.took = 0

    def audio(self, length: int, times: list[float]) -> None:
        self.events += [("audio", length)] * len(times)

    def text(self, payload: bytes, now: float) -> None:
        self.message(OP_TEXT, len(payload), payload, False, now)

    def message(self, opcode: int, length: int, payload: bytes | None, compressed: bool, now: float) -> int:
        self.events.append(("message", opcode, length, payload, compressed))
        return self.took

    def control(self, opcode: int, payload: bytes, now: float) -> None:
        self.events.append(("control", opcode, payload))

    def lost(self, reason: str) -> None:
        self.events.append(("lost", reason))


def scanner(deflate: bool = False, head: int = HEAD) -> tuple[FrameScanner, Seen]:
    seen = Seen()
    made = FrameScanner(seen, tally.Traffic(), tally.AUDIO)
    made.deflate, made.head = deflate, head
    return made, seen


def scan(*chunks: bytes, deflate: bool = False) -> tuple[list[tuple[Any, ...]], tally.Traffic]:
    made, seen = scanner(deflate)
    for chunk in chunks:
        made.feed(chunk, 1.0)
    made.settle()
    return seen.events, made.traffic


def numbers(traffic: tally.Traffic) -> tuple[list[int], list[int], int]:
    return traffic.frames, traffic.bytes, traffic.wire_bytes


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_frame_of_any_length_is_one_message(opcode: int, size: int, masked: bool) -> None:
    payload = (bytes(range(256)) * (size // 256 + 1))[:size]
    data = frame(opcode, payload, masked)
    kept = payload[:HEAD] if opcode == BINARY else payload if size <= LARGEST_TEXT else None
    events, traffic = scan(data)
    assert events == [("message", opcode, size, kept, False)]
    kind = tally.TEXT if opcode == TEXT else tally.AUDIO
    assert (traffic.frames[kind], traffic.bytes[kind], traffic.wire_bytes) == (1, size, len(data))
    # Cut anywhere in the header or near the end, in the middle, and with the next frame behind it.
    follower = frame(PING, b"on", masked)
    for at in {*range(1, min(len(data), 20)), len(data) // 2, len(data) - 1}:
        again, traffic_again = scan(data[:at], data[at:])
        assert again == events
        assert numbers(traffic_again) == numbers(traffic)
        assert scan(data[:at], data[at:] + follower)[0] == [*events, ("control", OP_PING, b"on")]
    if size <= 127:
        again, traffic_again = scan(*bytewise(data))
        assert again == events
        assert numbers(traffic_again) == numbers(traffic)


def test_trailing_bytes_wait_for_the_rest() -> None:
    events, traffic = scan(frame(TEXT, b"one") + frame(TEXT, b"two")[:3])
    assert events == [("message", OP_TEXT, 3, b"one", False)]
    assert traffic.frames[tally.TEXT] == 1


def test_many_frames_in_one_chunk() -> None:
    data = b"".join(frame(BINARY, bytes([n]) * n, masked=True) for n in range(1, 24))
    events, _ = scan(data)
    # The 1st, 11th and 21st are looked into; of the others only the length is told.
    expected = [("message", BINARY, n, (bytes([n]) * n)[:HEAD], False) if n in (1, 11, 21) else ("audio", n) for n in range(1, 24)]
    assert events == expected
    assert scan(*bytewise(data))[0] == expected
    assert scan(*(frame(BINARY, bytes([n]) * n, masked=True) for n in range(1, 24)))[0] == expected


def test_no_head_is_asked_for() -> None:
    made, seen = scanner(head=0)
    data = frame(BINARY, b"xy")
    made.feed(data, 0.0)
    made.feed(data[:1], 0.0)
    made.feed(data[1:], 0.0)
    made.feed(frame(BINARY), 0.0)
    assert seen.events == [("audio", 2), ("audio", 2), ("message", OP_BINARY, 0, b"", False)]


def test_an_empty_binary_message_is_always_told() -> None:
    two = frame(BINARY, b"a") + frame(BINARY)
    for chunks in ([two], bytewise(two), [two[:3], two[3:]]):
        assert scan(*chunks)[0] == [("message", BINARY, 1, b"a", False), ("message", BINARY, 0, b"", False)]


def test_fragments_with_control_frames_in_between() -> None:
    parts = [
        frame(TEXT, b"he", masked=True, fin=False), frame(PING, b"1", masked=True), frame(CONTINUATION, b"", masked=True, fin=False),
        frame(CONTINUATION, b"ll", masked=True, fin=False), frame(PONG, b"2", masked=True), frame(CONTINUATION, b"o", masked=True),
        frame(BINARY, b"0123456789", masked=True, fin=False), frame(PING, masked=True),
        frame(CONTINUATION, b"abcdefghij", masked=True),
    ]
    expected = [
        ("control", OP_PING, b"1"), ("control", OP_PONG, b"2"), ("message", OP_TEXT, 5, b"hello", False),
        ("control", OP_PING, b""), ("message", OP_BINARY, 20, b"0123456789abcdef", False),
    ]
    whole = b"".join(parts)
    for chunks in (parts, [whole], bytewise(whole)):
        events, traffic = scan(*chunks)
        assert events == expected
        assert traffic.frames == [1, 0, 1, 2, 1, 0, 4, 0]
        assert traffic.bytes == [10, 0, 2, 1, 1, 0, 13, 0]


def test_at_boundary_is_between_messages() -> None:
    made, _ = scanner()
    assert made.at_boundary
    for chunk, after in ((frame(TEXT, b"ab", fin=False), False), (frame(PING), False), (frame(CONTINUATION), True), (b"\x81", False),
                         (b"\x02a", False), (b"b", True)):
        made.feed(chunk, 0.0)
        assert made.at_boundary is after
    made.feed(b"", 0.0)
    assert made.at_boundary


@pytest.mark.parametrize("pieces", [1, 3])
def test_text_beyond_the_bound_counts_but_is_not_kept(pieces: int) -> None:
    size = LARGEST_TEXT + 3
    cuts = [size * i // pieces for i in range(pieces + 1)]
    made, seen = scanner()
    for i, (a, b) in enumerate(pairwise(cuts)):
        made.feed(frame(CONTINUATION if i else TEXT, b"x" * (b - a), fin=b == size), 0.0)
    made.feed(frame(TEXT, b"next"), 0.0)
    assert seen.events == [("message", OP_TEXT, size, None, False), ("message", OP_TEXT, 4, b"next", False)]
    assert sum(made.traffic.bytes) == size + 4


def test_text_of_just_the_bound_is_kept() -> None:
    events, _ = scan(frame(TEXT, b"x" * LARGEST_TEXT))
    assert events == [("message", OP_TEXT, LARGEST_TEXT, b"x" * LARGEST_TEXT, False)]


@pytest.mark.parametrize("width", [2, 8])
@pytest.mark.parametrize("masked", [False, True])
def test_a_length_in_more_bytes_than_it_needs_is_read_all_the_same(width: int, masked: bool) -> None:
    data = frame(TEXT, b"hi", masked, width=width)
    for chunks in ([data], bytewise(data)):
        assert scan(*chunks)[0] == [("message", OP_TEXT, 2, b"hi", False)]


def test_a_length_of_64_bits_that_never_comes() -> None:
    made, seen = scanner()
    made.feed(b"\x82\x7f\x7f" + b"\xff" * 7, 0.0)
    for _ in range(100):
        made.feed(bytes(1000), 0.0)
    assert seen.events == []
    assert not made.at_boundary
    assert made.traffic.wire_bytes == 100_010


@pytest.mark.parametrize(("data", "reason"), [
    (b"\xc1\x00", "reserved_bits"),
    (b"\xa2\x01x", "reserved_bits"),
    (b"\x90\x00", "reserved_bits"),
    (b"\x83\x00", "reserved_opcode"),
    (b"\x8b\x00", "reserved_opcode"),
    (b"\x82\x7f\x80" + bytes(7), "length"),
    (b"\x89\x7e\x00\x7e" + bytes(126), "control_frame"),
    (b"\x09\x00", "control_frame"),
    (b"\x80\x01x", "continuation"),
    (b"\x01\x01x\x81\x01y", "continuation"),
    (b"\x02\x01x\x82\x01y", "continuation"),
])
def test_broken_framing_is_told_once_and_looked_into_no_further(data: bytes, reason: str) -> None:
    for chunks in ([data], bytewise(data)):
        made, seen = scanner()
        for chunk in (*chunks, frame(TEXT, b"more"), frame(TEXT, b"and more")):
            made.feed(chunk, 0.0)
        assert [e for e in seen.events if e[0] == "lost"] == [("lost", reason)]
        assert seen.events[-1] == ("lost", reason)
        assert made.is_lost
        assert made.traffic.wire_bytes == len(data) + len(frame(TEXT, b"more") + frame(TEXT, b"and more"))


def lost(chunks: list[tuple[bytes, float]]) -> bool:
    made, seen = scanner()
    for chunk, now in chunks:
        made.feed(chunk, now)
    assert ("lost", FLOOD) in seen.events or not made.is_lost
    return made.is_lost


@pytest.mark.parametrize("one", [frame(PING), frame(BINARY), frame(BINARY, b"x"), frame(CONTINUATION, fin=False)])
def test_a_flood_is_looked_into_no_further(one: bytes) -> None:
    """Too many frames in a chunk, which would hold up the loop, or in a second."""
    start = [(frame(BINARY, fin=False), 0.0)] if one == frame(CONTINUATION, fin=False) else []
    assert not lost([*start, (one * FRAMES_AT_ONCE, 1.0)])
    assert lost([*start, (one * (FRAMES_AT_ONCE + 1), 1.0)])
    for seconds, flood in ((0.5, True), (2.0, False)):
        chunks = [(one * 1000, 1.0 + seconds * number / 30) for number in range(30)]
        assert lost([*start, *chunks]) is flood


DENSE = b'{"type":"Results","a":[' + b"[]," * 21_000 + b"[]]}"
"""Reading it takes some milliseconds, and it deflates to a hundred bytes."""


@pytest.mark.parametrize(("text", "most"), [(b"", 1024), (b'{"type":"KeepAlive"}', 1024), (DENSE[:900], 819), (DENSE, 2)])
def test_texts_weigh_more_than_frames(text: bytes, most: int) -> None:
    """So many of them in a chunk are read, and none of what follows; and no more than five times as many in a second."""
    one = frame(TEXT, text)
    made, seen = scanner()
    made.feed(one * (most + 1) + frame(PING, b"last"), 1.0)
    assert [event[0] for event in seen.events] == ["message"] * most + ["lost"]
    made, seen = scanner()
    for _ in range(20):
        made.feed(one * (most // 2), 1.5)
    assert made.is_lost
    assert len(seen.events) <= 7 * most + 1
    made, seen = scanner()
    for second in range(12):
        made.feed(one * most, 1.0 + second)
    assert not made.is_lost


def test_a_heavy_text_weighs_no_less_alone_and_cut() -> None:
    for pieces in (1, 3):
        made, seen = scanner()
        part = len(DENSE) // pieces + 20
        for _ in range(100):
            one = frame(TEXT, DENSE)
            for at in range(0, len(one), part):
                made.feed(one[at : at + part], 1.5)
        assert made.is_lost
        assert seen.events[-1] == ("lost", FLOOD)
        assert 5 <= len(seen.events) <= 20
        assert not made.takes_a_message


def test_speech_in_json_at_eighty_times_its_time_is_read() -> None:
    one = frame(TEXT, b'{"type":"input_audio","data":"' + b"A" * 856 + b'"}')
    made, seen = scanner()
    for number in range(16):
        made.feed(one * 240, 1.0 + number / 16)
    assert len(seen.events) == 16 * 240
    assert not made.is_lost


def test_what_the_sink_had_to_do_counts() -> None:
    made, seen = scanner(deflate=True)
    seen.took = FRAMES_AT_ONCE // 2
    made.feed(frame(TEXT, b"x", rsv=0x40) * 10, 1.0)
    assert [event[0] for event in seen.events] == ["message", "message", "lost"]


@pytest.mark.parametrize(("data", "reason"), [
    (frame(PING, rsv=0x40), "control_frame"),
    (frame(TEXT, b"a", fin=False, rsv=0x40) + frame(CONTINUATION, rsv=0x40), "continuation"),
    (frame(TEXT, rsv=0x20), "reserved_bits"),
])
def test_with_permessage_deflate_only_the_first_bit_of_a_message_has_a_meaning(data: bytes, reason: str) -> None:
    assert scan(data, deflate=True)[0] == [("lost", reason)]


def test_compressed_messages_are_kept_whole() -> None:
    payload = bytes(range(200))
    data = frame(BINARY, b"x") + frame(BINARY, payload[:50], masked=True, fin=False, rsv=0x40) + frame(CONTINUATION, payload[50:])
    data += frame(TEXT, payload, rsv=0x40) + frame(BINARY, bytes(LARGEST_TEXT + 1), rsv=0x40) + frame(TEXT, b"plain")
    for chunks in ([data], [data[i : i + 7] for i in range(0, len(data), 7)]):
        assert scan(*chunks, deflate=True)[0] == [
            ("message", OP_BINARY, 1, b"x", False), ("message", OP_BINARY, 200, payload, True), ("message", OP_TEXT, 200, payload, True),
            ("message", OP_BINARY, LARGEST_TEXT + 1, None, True), ("message", OP_TEXT, 5, b"plain", False),
        ]


def test_what_follows_a_close_is_no_frame() -> None:
    data = close(1000, "bye")
    for chunks in ([data + b"\xff" * 9, frame(TEXT, b"more")], [*bytewise(data), b"\xff\xff"]):
        events, traffic = scan(*chunks)
        assert events == [("control", OP_CLOSE, b"\x03\xe8bye")]
        assert sum(traffic.frames) == 1
        assert traffic.wire_bytes == sum(map(len, chunks))


@pytest.mark.parametrize("before", [b"", frame(TEXT, b"one"), frame(TEXT, b"one")[:2], frame(TEXT, b"o", fin=False)])
def test_once_stopped_it_looks_no_further(before: bytes) -> None:
    made, seen = scanner()
    made.feed(before, 0.0)
    told = list(seen.events)
    made.stop()
    for chunk in (frame(TEXT, b"two"), b"\xff", frame(BINARY, b"three") * 2, frame(TEXT, b"four")):
        made.feed(chunk, 0.0)
    assert seen.events == told
    assert made.is_lost


@pytest.mark.parametrize(("payload", "expected"), [
    (b"", (None, None)), (b"\x03", (None, None)), (b"\x03\xe8", (1000, None)), (b"\x01\x9agone", (410, "gone")),
    (b"\x13\x8c", (5004, None)), (b"\x00\x64\xff\xfe", (100, "\ufffd\ufffd")), (b"\x03\xf3a\xc3\xa9", (1011, "a\u00e9")),
])
def test_close_payload_is_read_as_it_was_sent(payload: bytes, expected: tuple[int | None, str | None]) -> None:
    assert close_payload(payload) == expected


def test_unmask() -> None:
    assert unmask(b"", b"abcd") == b""
    assert unmask(b"as it is", b"") == b"as it is"
    assert unmask(b"\x00\x00\x00\x00\x00", b"abcd") == b"abcda"


def test_a_message_in_very_many_fragments_stays_within_the_bound() -> None:
    made, seen = scanner()
    one = frame(CONTINUATION, b"x", masked=True, fin=False)
    made.feed(frame(TEXT, b"x", masked=True, fin=False), 0.0)
    most = 0
    for second in range(300):
        made.feed(one * 1000, float(second))
        most = max(most, sys.getsizeof(made._text) + sys.getsizeof(made._captured))
    made.feed(frame(CONTINUATION, b"x", masked=True), 300.0)
    assert seen.events == [("message", OP_TEXT, 300_002, None, False)]
    assert LARGEST_TEXT <= most < 1.2 * LARGEST_TEXT  # a growing buffer has room to spare


# Properties


def _payload(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


large = st.builds(_payload, st.sampled_from([125, 126, 127, 300, 65535, 65536, 66000]), st.integers(0, 9))
payloads = st.one_of(st.binary(max_size=40), large)
messages = st.tuples(st.sampled_from([OP_TEXT, OP_BINARY]), st.lists(payloads, min_size=1, max_size=4))
controls = st.tuples(st.sampled_from([OP_PING, OP_PONG]), st.binary(max_size=125))
streams = st.lists(st.tuples(messages, st.lists(controls, max_size=2)), max_size=25)


def encoded(stream: list[Any], masked: bool) -> tuple[bytes, list[tuple[Any, ...]]]:
    """Bytes as the websockets library writes them, and what should be seen in them."""
    data, binaries = b"", 0
    expected: list[tuple[Any, ...]] = []

    def put(opcode: int, payload: bytes, fin: bool = True) -> None:
        nonlocal data
        data += Frame(Opcode(opcode), payload, fin).serialize(mask=masked)

    for (opcode, fragments), between in stream:
        for i, fragment in enumerate(fragments):
            put(CONTINUATION if i else opcode, fragment, i == len(fragments) - 1)
            if i < len(fragments) - 1:
                for control, payload in between:
                    put(control, payload)
                    expected.append(("control", control, payload))
        whole = b"".join(fragments)
        binaries += opcode == OP_BINARY
        if opcode == OP_TEXT:
            expected.append(("message", opcode, len(whole), whole if len(whole) <= LARGEST_TEXT else None, False))
        elif not whole or binaries % 10 == 1:
            expected.append(("message", opcode, len(whole), whole[:HEAD], False))
        else:
            expected.append(("audio", len(whole)))
    return data, expected


def split(data: bytes, cuts: list[float]) -> Iterator[bytes]:
    places = sorted({0, len(data), *(int(cut * len(data)) for cut in cuts)})
    for a, b in pairwise(places):
        yield data[a:b]


@given(streams, st.booleans(), st.lists(st.floats(0, 1), max_size=12), st.booleans())
def test_any_stream_cut_anywhere_gives_its_messages(stream: list[Any], masked: bool, cuts: list[float], closes: bool) -> None:
    data, expected = encoded(stream, masked)
    if closes:
        data += close(4000, "over", masked) + b"noise"
        expected.append(("control", OP_CLOSE, b"\x0f\xa0over"))
    whole, traffic = scan(data)
    assert whole == expected
    cut, cut_traffic = scan(*split(data, cuts))
    assert cut == expected
    assert numbers(cut_traffic) == numbers(traffic)


@given(st.binary(max_size=200), st.lists(st.floats(0, 1), max_size=8), st.booleans())
def test_arbitrary_bytes_never_raise(data: bytes, cuts: list[float], deflate: bool) -> None:
    made, seen = scanner(deflate)
    for chunk in split(data, cuts):
        made.feed(chunk, 0.0)
        assert len(made._text) + len(made._captured) <= len(data)
    assert sum(event[0] == "lost" for event in seen.events) == made.is_lost
    assert made.traffic.wire_bytes == len(data)
    assert seen.events == scan(data, deflate=deflate)[0]


@given(st.lists(st.tuples(st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG, 3]), st.booleans(), st.integers(0, 90_000),
                          st.booleans(), st.sampled_from([0, 0, 0, 0x40, 0x10])), max_size=12), st.integers(1, 40_000))
def test_no_more_is_kept_than_was_asked_for(frames: list[tuple[int, bool, int, bool, int]], step: int) -> None:
    data = b"".join(frame(opcode, bytes(size if opcode < CLOSE else size % 126), masked, fin, rsv)
                    for opcode, fin, size, masked, rsv in frames)
    made, _ = scanner(deflate=True)
    for at in range(0, len(data), step):
        made.feed(data[at : at + step], 0.0)
        assert len(made._text) + len(made._captured) <= LARGEST_TEXT


runs_of_frames = st.tuples(st.sampled_from([0, 1, 125, 126, 320, 70000]), st.integers(1, 25), st.sampled_from(["", "text", "cut"]))


@given(st.lists(runs_of_frames, max_size=8), st.booleans(), st.integers(0, 3))
def test_runs_of_equal_frames_add_up(runs: list[tuple[int, int, str]], masked: bool, asked: int) -> None:
    """However many equal frames follow each other, and whatever comes between: the sink and the counts see each of them."""
    seen = Seen()
    scanner = FrameScanner(seen, tally.Traffic(), tally.AUDIO)
    scanner.head = 4
    wire = 0
    for length, times, between in runs:
        for n in range(times):
            data = frame(BINARY, bytes([n]) * length, masked=masked)
            wire += len(data)
            pieces = [data[:3], data[3:]] if between == "cut" and n == times - 1 else [data]
            for piece in pieces:
                scanner.feed(piece, 0.0)
            if n % 4 == asked:
                scanner.settle()
        if between == "text":
            data = frame(TEXT, b"{}", masked=masked)
            wire += len(data)
            scanner.feed(data, 0.0)
    scanner.settle()
    lengths = [length for length, times, _ in runs for _ in range(times)]
    binary = [event for event in seen.events if event[0] == "audio" or event[1] == BINARY]
    assert [event[1] if event[0] == "audio" else event[2] for event in binary] == lengths
    assert scanner.traffic.frames[tally.AUDIO] == len(lengths)
    assert scanner.traffic.bytes[tally.AUDIO] == sum(lengths)
    assert scanner.traffic.wire_bytes == wire
    sampled = [at for at, event in enumerate(binary) if event[0] == "message" and lengths[at]]
    assert sampled == [at for at in range(0, len(lengths), 10) if lengths[at]]


def test_what_was_only_noted_is_told_before_a_text_that_came_after_it() -> None:
    seen = Seen()
    scanner = FrameScanner(seen, tally.Traffic())
    for number in range(4):
        scanner.feed(frame(BINARY, bytes(320)), float(number))
    scanner.feed(frame(TEXT, b"{}"), 4.0)
    assert [event[1] for event in seen.events] == [320] * 4 + [OP_TEXT]


def test_who_has_stopped_forgets_what_was_noted() -> None:
    seen = Seen()
    scanner = FrameScanner(seen, tally.Traffic())
    for number in range(4):
        scanner.feed(frame(BINARY, bytes(320)), float(number))
    told = len(seen.events)
    scanner.stop()
    scanner.feed(frame(TEXT, b"{}"), 4.0)
    scanner.settle()
    assert (len(seen.events), scanner.is_lost) == (told, True)


def test_a_message_may_be_put_in_between_messages_and_before_a_close() -> None:
    made, _ = scanner()
    assert made.takes_a_message
    for chunk, after in ((frame(TEXT, b"ab", fin=False), False), (frame(PING), False), (frame(CONTINUATION), True), (b"\x81", False),
                         (b"\x02ab", True), (frame(BINARY, b"x" * 100), True), (frame(BINARY, b"x" * 100), True), (frame(CLOSE), False),
                         (frame(TEXT, b"ab"), False)):
        made.feed(chunk, 0.0)
        assert made.takes_a_message is after


def test_no_message_may_be_put_in_where_framing_is_lost() -> None:
    made, _ = scanner()
    made.feed(b"\xff\x00", 0.0)
    assert not made.takes_a_message
    made, _ = scanner()
    made.stop()
    assert not made.takes_a_message
