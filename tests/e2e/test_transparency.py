"""Any bytes, both ways: what one side sends is what the other gets, with inspection on, and each session has one report.

The relay runs on its own thread for the whole module; clients and vendors are blocking sockets of the test's thread.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.app import App
from proxy.core.report import Report
from proxy.telemetry.history import History
from tests.aio import LOOPS
from tests.relay.peers import SWITCHING, request
from tests.relay.peers import settings as relay_settings

LIMIT_SECONDS: Final = 20.0


class Reports(History):
    """Counts, and wakes the test's thread."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = threading.Semaphore(0)
        self.last: Report | None = None

    def add(self, report: Report) -> None:
        super().add(report)
        self.last = report
        self.seen.release()


@dataclass
class Running:
    """A relay on a thread of its own, its vendor's listening socket, and what went wrong inside."""

    loop: asyncio.AbstractEventLoop
    app: App
    vendor: socket.socket
    reports: Reports = field(default_factory=Reports)
    problems: list[str] = field(default_factory=list)
    sessions: int = 0

    @property
    def port(self) -> int:
        return self.app.bound[0].port


@pytest.fixture(scope="module", params=LOOPS)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    loop = uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as vendor:
        vendor.settimeout(LIMIT_SECONDS)

        async def start() -> Running:
            app = App(relay_settings(f"http://127.0.0.1:{vendor.getsockname()[1]}"))
            one = Running(loop, app, vendor)
            app.relay.history = one.reports
            loop.set_exception_handler(lambda _, context: one.problems.append(str(context)))
            await app.start()
            return one

        one = asyncio.run_coroutine_threadsafe(start(), loop).result(LIMIT_SECONDS)
        try:
            yield one
        finally:
            asyncio.run_coroutine_threadsafe(one.app.stop(), loop).result(LIMIT_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
    assert not one.problems, one.problems
    assert one.app.ledger.slips == 0
    assert sum(one.app.ledger.started_total.values()) == sum(one.app.ledger.ended_total.values()) == one.sessions


# What crosses


def header(first: int, length: int, mask: bytes | None, form: int) -> bytes:
    """A frame's header; `form` 1 and 2 write short lengths in the long forms, which no sender should."""
    bit = 0x80 if mask is not None else 0
    if length < 126 and form == 0:
        size = bytes([bit | length])
    elif length < 65536 and form < 2:
        size = bytes([bit | 126]) + struct.pack(">H", length)
    else:
        size = bytes([bit | 127]) + struct.pack(">Q", length)
    return bytes([first]) + size + (mask or b"")


masks = st.none() | st.binary(min_size=4, max_size=4)
texts = st.sampled_from([
    b'{"type":"Results","channel":{"alternatives":[{"transcript":"hello","words":[{"start":0.1,"end":0.4}]}]},"is_final":true,"start":0}',
    b'{"type":"Results","channel":[],"start":"x","duration":{}}', b'{"type":"Metadata","duration":1e999}', b'{"type":"CloseStream"}',
    b'{"type":"Error","code":[],"description":{"a":null}}', b'{"type":{}}', b"[" * 400, b'"\\ud800"', b"", b"{", b"\xff\xfe",
    b'{"type":"Warning"}', b'{"type":"KeepAlive"}', b"null", b"1" * 5000,
])
payloads = st.binary(max_size=200) | texts | st.integers(0, 70_000).map(bytes)


def frame(first: int, payload: bytes, mask: bytes | None, form: int) -> bytes:
    return header(first, len(payload), mask, form) + payload


usual = st.sampled_from([0x81, 0x82, 0x82, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0xC1, 0xC2])
valid = st.builds(frame, usual, payloads, masks, st.just(0))
odd = st.builds(frame, st.integers(0, 255), payloads, masks, st.integers(0, 2))
closes = st.builds(frame, st.just(0x88), st.builds(lambda code, reason: struct.pack(">H", code) + reason, st.integers(0, 65535),
                                                   st.binary(max_size=200)) | st.binary(max_size=1), masks, st.just(0))
oversize = st.builds(header, st.sampled_from([0x81, 0x82, 0x88, 0xC1]), st.integers(2**17, 2**64 - 1), masks, st.just(2))
large = st.builds(lambda first, size, mask: frame(first, bytes(size), mask, 0), st.sampled_from([0x81, 0x82, 0xC2]),
                  st.integers(2**16, 3 * 2**20), masks)
noise = st.binary(max_size=2000)
pieces = st.one_of(valid, valid, valid, valid, odd, closes, oversize, noise)
streams = st.lists(pieces, max_size=12).map(b"".join)
cuts = st.lists(st.integers(0, 2**17), max_size=8)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces, cut where the places fall in it."""
    at = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True) if b > a]


def through(relay: Running, up: list[bytes], down: list[bytes], glued_up: bytes, glued_down: bytes) -> tuple[bytes, bytes]:
    """One session. What the vendor got after the head, and what the client got after its head."""
    relay.sessions += 1
    with socket.create_connection(("127.0.0.1", relay.port), LIMIT_SECONDS) as client:
        client.sendall(request() + glued_up)
        vendor, _ = relay.vendor.accept()
        with vendor:
            vendor.settimeout(LIMIT_SECONDS)
            for sock in (client, vendor):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # so that cuts stay cuts
            at_vendor = Collected(vendor)
            at_vendor.until_head()
            vendor.sendall(SWITCHING + glued_down)
            at_client = Collected(client)
            at_client.until_head()
            readers = [threading.Thread(target=side.rest) for side in (at_vendor, at_client)]
            for reader in readers:
                reader.start()
            for number in range(max(len(up), len(down))):
                if number < len(up):
                    client.sendall(up[number])
                if number < len(down):
                    vendor.sendall(down[number])
            client.shutdown(socket.SHUT_WR)
            vendor.shutdown(socket.SHUT_WR)
            for reader in readers:
                reader.join(LIMIT_SECONDS)
            assert not at_vendor.failed + at_client.failed
    assert relay.reports.seen.acquire(timeout=LIMIT_SECONDS)
    assert at_client.head == SWITCHING
    return bytes(at_vendor.body), bytes(at_client.body)


class Collected:
    """What a socket gets: a head, then the rest."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.head, self.body = b"", bytearray()
        self.failed: list[OSError] = []

    def until_head(self) -> None:
        got = b""
        while b"\r\n\r\n" not in got:
            more = self.sock.recv(65536)
            assert more, got
            got += more
        self.head, _, rest = got.partition(b"\r\n\r\n")
        self.head += b"\r\n\r\n"
        self.body += rest

    def rest(self) -> None:
        try:
            while more := self.sock.recv(1 << 20):
                self.body += more
        except OSError as error:
            self.failed.append(error)


@settings(max_examples=settings().max_examples * 3)
@given(streams, streams, cuts, cuts, st.integers(0, 300), st.integers(0, 300))
def test_any_stream_crosses_as_it_came(running: Running, up: bytes, down: bytes, cut_up: list[int], cut_down: list[int],
                                       glued_up: int, glued_down: int) -> None:
    got_up, got_down = through(running, cut(up[glued_up:], cut_up), cut(down[glued_down:], cut_down), up[:glued_up], down[:glued_down])
    assert got_up == up
    assert got_down == down
    assert not running.problems, running.problems


@settings(max_examples=settings().max_examples // 6)
@given(st.lists(large | valid, min_size=1, max_size=3).map(b"".join), st.lists(large | valid, max_size=3).map(b"".join), cuts, cuts,
       st.sampled_from([0, 70_000, 400_000]))
def test_megabytes_cross_as_they_came(running: Running, up: bytes, down: bytes, cut_up: list[int], cut_down: list[int], glued: int) -> None:
    got_up, got_down = through(running, cut(up[glued:], cut_up), cut(down[glued:], cut_down), up[:glued], down[:glued])
    assert got_up == up
    assert got_down == down


@given(st.binary(max_size=5000), st.binary(max_size=5000), cuts)
def test_pure_noise_crosses_as_it_came(running: Running, up: bytes, down: bytes, places: list[int]) -> None:
    assert through(running, cut(up, places), cut(down, places), b"", b"") == (up, down)


def test_inspection_was_on(running: Running) -> None:
    """That all of this was really looked at: a good stream is inspected to its end, and gives the numbers it should."""
    audio = frame(0x82, bytes(3200), b"abcd", 0)
    close = frame(0x88, struct.pack(">H", 410) + b"gone", None, 0)
    assert through(running, [audio] * 5, [close], b"", b"") == (audio * 5, close)
    report = running.reports.last
    assert report is not None
    assert report.inspection == "full"
    assert report.audio.read_seconds == 0.5
    assert report.vendor_close is not None
    assert (report.vendor_close.code, report.vendor_close.reason) == (410, "gone")
