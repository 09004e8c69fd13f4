"""One session: what came in, in order, and what it means.

Owns the facts of one socket between client and vendor. The relay tells it what happened (bytes of either side, the vendor's
answer, how a leg ended, a reading of TCP_INFO once a second) and asks for the report at the end, once. It never raises
at the relay for what peers send, does no I/O, and holds no audio; of text only a message that is not whole yet.

    bytes -> FrameScanner -> ClientSide, VendorSide (sides) -> what is known (known)
          -> Ending (who did what first) and Claim (what was said) -> Verdict -> Report
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from proxy.core.deflate import Inflater, agreed
from proxy.core.evidence import TcpSample
from proxy.core.gate import Gate
from proxy.core.known import Known
from proxy.core.sides import ClientSide, VendorSide
from proxy.core.tally import AUDIO, BINARY, Tables
from proxy.core.vendor import CompiledEndpoint, Request, Vendor
from proxy.core.verdict import Inspection, Noticed, Phase, Side, Transport
from proxy.core.watch import Watch
from proxy.core.wire import FrameScanner

TICKS_APART: Final = 1.0
"""Seconds between two ticks, about, while our loop turns."""
NOTABLE_LAG: Final = 0.5
"""Seconds that a tick may be late before that is taken for our loop's standing still."""
HARDLY_AUDIO: Final = 64
"""Bytes of a binary message that may well be something else: it is looked at."""


class Session(Known):
    """What the relay tells of one session, in the order in which it happens."""

    __slots__ = ("_client", "_ticked_at", "_vendor", "watch")

    def __init__(self, session_id: str, listener: str, vendor: Vendor, endpoint: CompiledEndpoint | None, request: Request,
                 tables: Tables, now: float, wall: float) -> None:
        super().__init__(session_id, listener, vendor, endpoint, request, tables, now, wall)
        self._client, self._vendor = ClientSide(self), VendorSide(self)
        self._ticked_at = now
        self.from_client = FrameScanner(self._client, self.to_vendor, BINARY if endpoint and endpoint.client.binary else AUDIO)
        self.from_client.head, self.from_client.small = self._client.head, HARDLY_AUDIO
        self.from_vendor = FrameScanner(self._vendor, self.to_client)
        self.from_vendor.head = self._vendor.head
        if self._client.looks_at_each:
            self.from_client.sampled = 1
        if self._vendor.head:
            self.from_vendor.sampled = 1
        if endpoint is not None and endpoint.spec.path_id is not None:
            setattr(self, endpoint.spec.path_id, request.path.rpartition("/")[2] or None)
        self.watch = Watch(self, tables)

    # What the vendor answered, or why there was no answer

    def opened(self, headers: Mapping[str, str], now: float) -> None:
        """The 101, with its headers in lower case."""
        self.answered_at = now
        self.claim.phase = Phase.WEBSOCKET_RUNTIME
        if self.inspection is not Inspection.LOST:
            self.claim.audio_sent = False
            # Where a client begins its streams by a message, none is open yet that it could leave open.
            self.claim.end_sent = None if self.spec is not None and self.spec.client.has_start else False
        self.ids_from(headers)
        self.date, self._ticked_at = headers.get("date"), now
        deflate = agreed(headers.get("sec-websocket-extensions", ""))
        if deflate is not None:
            self.from_client.deflate = self.from_vendor.deflate = True
            self._client.inflater = Inflater(deflate.client_takeover, deflate.client_bits)
            self._vendor.inflater = Inflater(deflate.server_takeover, deflate.server_bits)
        if self.spec is not None and self.spec.spec.ready == "handshake":
            self.ready(now)

    def refused(self, status: int, headers: Mapping[str, str], body: bytes, now: float) -> None:
        """Any other answer. `body` is its beginning, decompressed if that was possible."""
        self.answered_at = now
        known = {name.lower(): value for name, value in headers.items()}
        self.ids_from(known)
        self.claim.refused(self.vendor_profile.profile, status, known, body)
        self.ending.ended(self.claim.answered_by)

    def dial_failed(self, how: Transport) -> None:
        """There was no answer. A vendor that hung up was there; all else is the network's."""
        self.ending.lost(Side.VENDOR if how in (Transport.EOF, Transport.RESET) else Side.NETWORK, how)

    def misanswered(self, code: str) -> None:
        """Something answered that cannot be passed on. `code` is one of own.OWN."""
        self.ending.found = code
        self.ending.ended(Side.NETWORK)

    def client_left(self, how: Transport = Transport.EOF) -> None:
        """The client was gone before there was an answer."""
        self.ending.lost(Side.CLIENT, how)

    def refused_here(self, code: str) -> None:
        """`code` is one of own.OWN."""
        self.ending.own_code = code
        self.ending.ended(Side.SIDECAR)

    # While it is open

    def lost(self, side: Side, how: Transport) -> None:
        """A leg ended: FIN, RST or time-out."""
        self.settle()
        self.ending.lost(side, how)

    def ended_here(self, code: str, words: str = "") -> None:
        """We end it while it is open. `code` is one of own.OWN, `words` say what it is about."""
        self.ending.own_words = words
        self.ending.stood_in = True
        self.refused_here(code)

    def drained(self) -> None:
        """We end it because the process ends; unless somebody has ended it, what the vendor says from here on answers us."""
        self.ending.drained = True
        self.ending.stood_in |= self.ending.ended_by is Side.UNKNOWN
        self.ending.ended(Side.SIDECAR)

    def gated(self, gate: Gate) -> None:
        """What comes from the client goes through this gate; from here on `from_client` is told of what leaves it."""
        self.gate, self.done = gate, gate.done

    def uninspected(self) -> None:
        """Inspection of this session has failed: it goes on blind."""
        self.failed = True
        self.unwatched()

    def unwatched(self) -> None:
        """It goes on blind, by no fault in it: from its beginning, where the process is overloaded."""
        self.from_client.stop()
        self.from_vendor.stop()
        self.blind(Side.CLIENT)
        self.blind(Side.VENDOR)

    def tick(self, now: float, tcp: TcpSample | None, buffered: tuple[int, int], loop_lag: float) -> None:
        """Once a second, and at the end. `buffered`: bytes waiting here toward the vendor and toward the client."""
        self.buffered = buffered
        self.buffered_max = max(self.buffered_max, *buffered)
        # The tick itself may come late, and at the end it comes before anybody has told of a lag.
        late, self._ticked_at = now - self._ticked_at - TICKS_APART, now
        lag = max(loop_lag, late if late >= NOTABLE_LAG else 0.0)
        self.loop_lag_max = max(self.loop_lag_max, lag)
        if lag >= NOTABLE_LAG:
            self.lagged_at, self.lagged_for = now, lag
        if self.then is not None and self.judged_at is not None and now - max(lag, TICKS_APART) < self.judged_at:
            self.then = self.then.with_tick(self.buffered_max, lag, self.lagged_at, self.lagged_for)
        self.settle()
        self.clock.tick(now)
        self.lead_seconds = self.clock.lead(now)
        if self.clock.odd:
            self.noticed(Noticed.ODD_BYTES, now)
        if self.judged_at is None:
            self.seen, self.waiting = self.latest, buffered[0]
        self.delivery.sample(tcp, buffered[0], now, self.seen if self.judged_at is None else None)
        self.watch.tick(now)

    def over(self) -> None:
        """All is told. Its parts let go of it: in circles they would wait for the collector, whose pauses every open call hears."""
        self._client.let_go()
        self._vendor.let_go()
        self.watch.let_go()

    def settle(self) -> None:
        """Looks at what was only noted so far. Never raises: a fault in looking makes the session blind."""
        try:
            self.from_client.settle()
            self.from_vendor.settle()
        except Exception:
            self.uninspected()
