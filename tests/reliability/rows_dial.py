"""What can go wrong before a call is open: names, TCP, TLS, the vendor's answer, a client that does not wait for it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from proxy.relay.dialer import Upstream
from proxy.settings.model import Timeouts
from proxy.settings.tls import UpstreamTls
from tests.aio import tls_pair
from tests.relay.peers import ACCEPT, SWITCHING, Peer, answering, proving
from tests.reliability.rows_ends import AUDIO, RESULT, talk
from tests.reliability.stage import PLAIN, TLS, End, Stage, row

BAD_ACCEPT: Final = SWITCHING.replace(ACCEPT, b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
REFUSAL: Final = b"HTTP/1.1 401 Unauthorized\r\ndg-error: INVALID_AUTH\r\nTransfer-Encoding: chunked\r\n\r\n"
FORGETFUL: Final = {"proxy.relay.names.FRESH_SECONDS": 0.0, "proxy.relay.names.RETRY_SECONDS": 0.0}
SILENCE: Final = "silence"
"""In an address's place: of this name nothing is heard."""
SOON: Final = {"timeouts": Timeouts(dial=0.2)}
AT_ONCE: Final = 2.0
BARE: Final = {"vendor_tls": None}
"""The vendor of a row over TLS has none of its own."""


@cache
def certificate(name: str = "localhost", days: int = 1) -> tuple[str, str]:
    """Signed by itself, for this name; `days` below 0 have run out. Kept for the whole run."""
    folder = Path(tempfile.mkdtemp(prefix="earwitness-tls-"))
    return tls_pair(folder, name, days)


def expecting(pair: tuple[str, str]) -> dict[str, Any]:
    """A vendor with this certificate, and a sidecar that trusts it."""
    return {"vendor_tls": proving(pair), "listener": {"upstream_tls": UpstreamTls(ca=pair[0])}}


async def refused(stage: Stage) -> None:
    """The client gets one answer, whole."""
    await stage.call()
    await stage.answered()
    await stage.client.hears_out()


def leading(stage: Stage, scheme: str, host: str, tls: ssl.SSLContext | None = None) -> None:
    """The one door leads to this host from here on, at the vendor's port."""
    assert stage.rig.vendor is not None
    upstream, app = Upstream.of(f"{scheme}://{host}:{stage.rig.vendor.port}", tls, None), stage.rig.app
    app._doors = {place: replace(door, upstreams=dict.fromkeys(door.upstreams, upstream)) for place, door in app._doors.items()}


def renamed(stage: Stage, host: str) -> None:
    leading(stage, "http", host)


def over_tls(stage: Stage) -> None:
    """The door leads to https, whatever is there."""
    leading(stage, "https", "localhost", ssl.create_default_context(cafile=certificate()[0]))


def naming(stage: Stage, answers: dict[str, str]) -> None:
    """What names stand for; one that is not among them is not known, and of SILENCE nothing is heard."""
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if host.startswith("127."):
            found: list[Any] = await real(host, port, **options)
            return found
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if answers[host] == SILENCE:
            await asyncio.Event().wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers[host], port))]

    stage.patch.setattr(loop, "getaddrinfo", getaddrinfo)


# Names


@row("dial", "the vendor's name is not known", client="502 transport_dns, FIN",
     says="error transport_dns network network network", wires=PLAIN)
async def dns_fails(stage: Stage) -> None:
    naming(stage, {})
    renamed(stage, "vendor.test")
    await refused(stage)


@row("dial", "the name's server fails, and an hour ago it did not: the old address is used", client="101, FIN",
     says="error transport_eof network vendor vendor", wires=PLAIN, patches=FORGETFUL)
async def dns_fails_later(stage: Stage) -> None:
    answers = {"vendor.test": "127.0.0.1"}
    naming(stage, answers)
    renamed(stage, "vendor.test")
    await stage.rig.app.dialer._names.resolve("vendor.test", stage.rig.vendor.port if stage.rig.vendor else 0)
    answers.clear()
    _, vendor = await talk(stage)
    vendor.leaves()


@row("dial", "the name's server says nothing, and an hour ago it did: the old address is used", client="101, FIN",
     says="error transport_eof network vendor vendor", wires=PLAIN, patches={**FORGETFUL, "proxy.relay.names.PATIENCE_SECONDS": 0.1})
async def dns_is_silent(stage: Stage) -> None:
    answers = {"vendor.test": "127.0.0.1"}
    naming(stage, answers)
    renamed(stage, "vendor.test")
    await stage.rig.app.dialer._names.resolve("vendor.test", stage.rig.vendor.port if stage.rig.vendor else 0)
    answers["vendor.test"] = SILENCE
    _, vendor = await talk(stage)
    vendor.leaves()
    await stage.rig.app.dialer._names.close()  # it would ask for as long as the process lives


@row("dial", "the name's address changes: open calls stay, the next one goes to the new address", client="101, FIN", vendor="FIN",
     says="error transport_eof network vendor vendor", wires=PLAIN, patches=FORGETFUL)
async def dns_changes(stage: Stage) -> None:
    answers = {"vendor.test": "127.0.0.1"}
    naming(stage, answers)
    renamed(stage, "vendor.test")
    client, vendor = await talk(stage)
    answers["vendor.test"] = "127.0.0.9"
    other = await stage.rig.call()
    assert b"x-earwitness: transport_refused" in await other.head()  # nobody is there, and the old one is not asked
    assert (await stage.rig.report()).verdict.code == "transport_refused"
    await client.says(AUDIO)
    await vendor.hears(len(AUDIO))
    vendor.fin()


# TCP


@row("dial", "nobody listens at the vendor's address", client="502 transport_refused, FIN",
     says="error transport_refused network network network", wires=PLAIN)
async def nobody_listens(stage: Stage) -> None:
    naming(stage, {"vendor.test": "127.0.0.9"})
    renamed(stage, "vendor.test")
    await refused(stage)


@row("dial", "accepts, and never answers", client="504 transport_timeout, FIN", vendor="FIN",
     says="error transport_timeout network network network", options=SOON, wires=PLAIN)
async def never_answers(stage: Stage) -> None:
    await refused(stage)
    vendor = await stage.arrives()
    await vendor.peer.head()


@row("dial", "closes in the middle of its answer's head", client="502 transport_eof, FIN",
     says="error transport_eof network vendor vendor")
async def cut_in_the_head(stage: Stage) -> None:
    await stage.call()
    vendor = await stage.arrives()
    await vendor.peer.head()
    await vendor.peer.send(SWITCHING[:40])
    vendor.leaves()
    await stage.answered()


@row("dial", "resets in the middle of its answer's head", client="502 transport_reset, FIN",
     says="error transport_reset network vendor vendor")
async def reset_in_the_head(stage: Stage) -> None:
    await stage.call()
    vendor = await stage.arrives()
    await vendor.peer.head()
    await vendor.peer.send(SWITCHING[:40])
    vendor.rst()
    await stage.answered()


async def drip(peer: Peer) -> None:
    await peer.head()
    for byte in SWITCHING:
        if peer.transport.is_closing():
            return
        await peer.send(bytes([byte]))
        await asyncio.sleep(0.02)


@row("dial", "sends its 101 so slowly that the time for dialling is over", client="504 transport_timeout, FIN",
     says="error transport_timeout network network network", options=SOON, script=drip)
async def slow_head(stage: Stage) -> None:
    await refused(stage)


# TLS


@row("dial", "accepts TCP, and says nothing to the TLS hello", client="504 transport_timeout, FIN",
     says="error transport_timeout network network network", options=SOON | BARE, wires=TLS)
async def tls_never_answers(stage: Stage) -> None:
    over_tls(stage)
    await refused(stage)


async def hang_up(peer: Peer) -> None:
    await peer.exactly(20)
    peer.writer.close()


@row("dial", "closes in the middle of the TLS handshake", client="502 transport_reset, FIN",
     says="error transport_reset network vendor vendor", wires=TLS, options=BARE, script=hang_up)
async def tls_cut(stage: Stage) -> None:
    over_tls(stage)
    await refused(stage)


async def alert(peer: Peer) -> None:
    """TLS 1.2's record for a fatal alert (2), handshake_failure (40)."""
    await peer.exactly(20)
    await peer.send(b"\x15\x03\x03\x00\x02\x02\x28")


@row("dial", "answers the TLS hello with a fatal alert", client="502 transport_tls, FIN",
     says="error transport_tls network network network", wires=TLS, options=BARE, script=alert)
async def tls_alert(stage: Stage) -> None:
    over_tls(stage)
    await refused(stage)


@row("dial", "speaks no TLS where it should", client="502 transport_tls, FIN",
     says="error transport_tls network network network", wires=TLS, options=BARE,
     script=lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
async def no_tls(stage: Stage) -> None:
    over_tls(stage)
    await refused(stage)


@row("dial", "its certificate has run out", client="502 transport_tls, FIN", says="error transport_tls network network network", wires=TLS,
     options=lambda: expecting(certificate(days=-1)))
async def certificate_expired(stage: Stage) -> None:
    await refused(stage)


@row("dial", "its certificate is another host's", client="502 transport_tls, FIN", says="error transport_tls network network network",
     wires=TLS, options=lambda: expecting(certificate("other.test")))
async def certificate_of_another(stage: Stage) -> None:
    await refused(stage)


@row("dial", "its certificate is signed by nobody who is trusted", client="502 transport_tls, FIN",
     says="error transport_tls network network network", wires=TLS, options=lambda: {"vendor_tls": proving(certificate()), "listener": {}})
async def certificate_unknown(stage: Stage) -> None:
    await refused(stage)


# Answers


@row("dial", "101 with a wrong accept key", client="502 sidecar_bad_upstream, FIN", vendor="FIN",
     says="error sidecar_bad_upstream network network network")
async def wrong_accept(stage: Stage) -> None:
    await stage.call()
    vendor = await stage.arrives()
    await vendor.peer.head()
    await vendor.peer.send(BAD_ACCEPT)
    await stage.answered()


@row("dial", "no HTTP at all", client="502 sidecar_bad_upstream, FIN", says="error sidecar_bad_upstream network network network",
     script=answering(b"\x00\x01\x02\xff" * 100, close=False))
async def no_http(stage: Stage) -> None:
    await refused(stage)


async def endless(peer: Peer) -> None:
    await peer.head()
    await peer.send(REFUSAL)
    while True:
        await peer.send(b"10000\r\n" + bytes(65536) + b"\r\n")
        await asyncio.sleep(0)  # else asyncio's TLS never learns that nobody takes it any more


@row("dial", "refuses, with a body that never ends; the client leaves after 1 MiB", client="401, left",
     says="refused_by_vendor INVALID_AUTH operator vendor vendor", script=endless)
async def endless_refusal(stage: Stage) -> None:
    await stage.call()
    await stage.answered()
    await stage.client.peer.exactly(1 << 20)
    stage.client.rst()


@row("dial", "refuses, with a body that never ends; the client reads nothing of it", client="401, left",
     says="refused_by_vendor INVALID_AUTH operator vendor vendor", script=endless,
     patches={"proxy.relay.call.BODY_SECONDS": 0.1, "proxy.relay.call.FLUSH_SECONDS": 0.1})
async def endless_refusal_unread(stage: Stage) -> None:
    await stage.call()
    await stage.answered()
    stage.client.stops_reading()
    stage.client.left = True


@row("dial", "refuses, and its body stands still", client="401, FIN", says="refused_by_vendor INVALID_AUTH operator vendor vendor",
     script=answering(REFUSAL + b"5\r\nhello\r\n", close=False), patches={"proxy.relay.call.BODY_SECONDS": 0.1})
async def refusal_stands_still(stage: Stage) -> None:
    await refused(stage)
    assert bytes(stage.client.heard) == b"hello"


# The client


async def given_up(vendor: End) -> None:
    """At once: the dial's own deadline, which would end it as well, is later."""
    async with asyncio.timeout(AT_ONCE):
        await vendor.hears_out()


@row("client", "gone before the 101: the dial is given up, nobody is billed", client="left", vendor="FIN",
     says="abandoned transport_eof client client client")
async def client_gone_before_the_101(stage: Stage) -> None:
    client = await stage.call()
    vendor = await stage.arrives()
    await vendor.peer.head()
    client.left = True
    client.peer.close()
    await given_up(vendor)


@row("client", "reset before the 101", client="left", vendor="FIN", says="abandoned transport_reset client client client")
async def client_reset_before_the_101(stage: Stage) -> None:
    client = await stage.call()
    vendor = await stage.arrives()
    await vendor.peer.head()
    client.rst()
    await given_up(vendor)


@row("both", "the vendor's 101 and the client's reset cross", client="left", vendor="FIN or RST",
     says="abandoned transport_reset client client client")
async def client_resets_as_the_101_comes(stage: Stage) -> None:
    client = await stage.call()
    vendor = await stage.arrives()
    await vendor.peer.head()
    await vendor.peer.send(SWITCHING + RESULT)
    client.rst()
