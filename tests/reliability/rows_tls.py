"""TLS that ends or breaks in an open call, on either leg: alerts, goodbyes, records that are none.

No library sends an alert when it is asked to, nor says goodbye and stays; so one end speaks TLS by hand here, over plain TCP.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from proxy.settings.tls import Tls
from tests.relay.peers import SWITCHING, Peer, proving, request
from tests.reliability.rows_dial import BARE, certificate, over_tls
from tests.reliability.rows_ends import AUDIO, RESULT
from tests.reliability.stage import PLAIN, TLS, End, Stage, row

T = TypeVar("T")

NO_RECORD: Final = b"\x17\x03\x03\x00\x20" + bytes(32)
"""Application data by its header, which no key has made."""


class ByHand(Peer):
    """A peer that speaks TLS itself."""

    def __init__(self, peer: Peer, context: ssl.SSLContext, *, server: bool) -> None:
        super().__init__(peer.reader, peer.writer)
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_side=server, server_hostname=None if server else "localhost")
        self._heard = b""

    async def shakes_hands(self) -> None:
        await self._until_done(self._tls.do_handshake)

    async def _until_done(self, act: Callable[[], T]) -> T:
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                pass
            finally:
                self._send()
            if data := await self.reader.read(65536):
                self._came.write(data)
            else:
                self._came.write_eof()

    def _send(self) -> None:
        if data := self._goes.read():
            self.writer.write(data)

    async def more(self) -> bytes:
        heard, self._heard = self._heard, b""
        with suppress(ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return heard or await self._until_done(lambda: self._tls.read(65536))
        return b""

    async def exactly(self, size: int) -> bytes:
        return await self._some(lambda heard: size if len(heard) >= size else None)

    async def head(self) -> bytes:
        return await self._some(lambda heard: end + 4 if (end := heard.find(b"\r\n\r\n")) >= 0 else None)

    async def _some(self, end_in: Callable[[bytes], int | None]) -> bytes:
        heard = b""
        while (end := end_in(heard)) is None:
            piece = await self.more()
            assert piece, "it ended"
            heard += piece
        self._heard = heard[end:]
        return heard[:end]

    async def send(self, data: bytes) -> None:
        self._tls.write(data)
        self._send()
        await self.writer.drain()

    def alerts(self) -> None:
        """A fatal one (bad_record_mac), as if something had changed the other's bytes on their way. Stays."""
        self._came.write(NO_RECORD)
        with suppress(ssl.SSLError):
            self._tls.read(1)
        self._send()

    def says_goodbye(self) -> None:
        """close_notify, and no FIN after it."""
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._send()

    def breaks(self) -> None:
        self.writer.write(NO_RECORD)


async def speak(stage: Stage, vendor: End) -> None:
    """The call begins, and something crosses both ways."""
    await vendor.peer.head()
    await vendor.peer.send(SWITCHING)
    stage.head = await stage.client.peer.head()
    for one, other, said in ((stage.client, vendor, AUDIO), (vendor, stage.client, RESULT)):
        await one.says(said)
        await other.hears(len(said))


async def with_vendor(stage: Stage) -> tuple[End, ByHand]:
    """A call whose vendor speaks TLS by hand."""
    over_tls(stage)
    await stage.call()
    stage.vendor = await stage.arrives()
    stage.vendor.peer = peer = ByHand(stage.vendor.peer, proving(certificate()), server=True)
    await peer.shakes_hands()
    await speak(stage, stage.vendor)
    return stage.vendor, peer


async def with_client(stage: Stage) -> tuple[End, ByHand]:
    """A call whose client does."""
    peer = ByHand(await stage.rig.connect(), ssl.create_default_context(cafile=certificate()[0]), server=False)
    stage.client = End(peer)
    await peer.shakes_hands()
    await peer.send(request())
    await speak(stage, await stage.arrives())
    return stage.client, peer


def listening_with_tls() -> dict[str, Any]:
    cert, key = certificate()
    return {"listener": {"tls": Tls(cert=Path(cert), key=Path(key))}}


# The vendor


@row("vendor", "sends a fatal TLS alert in an open call", client="101, RST", says="error transport_tls network vendor vendor", wires=TLS,
     options=BARE)
async def vendor_alerts(stage: Stage) -> None:
    vendor, peer = await with_vendor(stage)
    peer.alerts()
    vendor.left = True


@row("vendor", "sends a broken TLS record in an open call", client="101, RST", says="error transport_tls network vendor vendor",
     wires=TLS, options=BARE)
async def vendor_breaks_tls(stage: Stage) -> None:
    vendor, peer = await with_vendor(stage)
    peer.breaks()
    vendor.left = True


@row("vendor", "ends TLS (close_notify) and stays, with no FIN", client="101, FIN", vendor="FIN",
     says="error transport_eof network vendor vendor", wires=TLS, options=BARE)
async def vendor_says_goodbye_and_stays(stage: Stage) -> None:
    vendor, peer = await with_vendor(stage)
    await vendor.says(RESULT * 50)
    peer.says_goodbye()


# The client, at a listener with a certificate


@row("client", "sends a fatal TLS alert to the listener, in an open call", client="101, left", vendor="RST",
     says="abandoned transport_tls client client client", wires=PLAIN, options=listening_with_tls)
async def client_alerts(stage: Stage) -> None:
    client, peer = await with_client(stage)
    peer.alerts()
    client.left = True


@row("client", "sends a broken TLS record to the listener, in an open call", client="101, left", vendor="RST",
     says="abandoned transport_tls client client client", wires=PLAIN, options=listening_with_tls)
async def client_breaks_tls(stage: Stage) -> None:
    client, peer = await with_client(stage)
    peer.breaks()
    client.left = True


@row("client", "ends TLS with the listener (close_notify) and stays, with no FIN", client="101, FIN", vendor="FIN",
     says="abandoned transport_eof client client client", wires=PLAIN, options=listening_with_tls)
async def client_says_goodbye_and_stays(stage: Stage) -> None:
    client, peer = await with_client(stage)
    await client.says(AUDIO * 10)
    peer.says_goodbye()


@row("client", "ends TLS with the listener without saying so (a FIN, no close_notify)", client="101, left", vendor="FIN",
     says="abandoned transport_eof client client client", wires=PLAIN, options=listening_with_tls)
async def client_truncates_tls(stage: Stage) -> None:
    client, peer = await with_client(stage)
    await client.says(AUDIO)
    peer.close()
    client.left = True
