"""How an open call is cut: resets, FINs, closes, one way or both, in the middle of a frame or between two."""

from __future__ import annotations

import struct
from typing import Final

from tests.relay.peers import frame
from tests.reliability.stage import PLAIN, TLS, End, Stage, row

AUDIO: Final = frame(2, b"\x10\x20" * 1600, mask=b"abcd")
RESULT: Final = frame(1, b'{"type":"Results","channel_index":[0,1],"duration":1.0,"start":0.0,"is_final":true}')
HALF: Final = RESULT[: len(RESULT) // 2]
END: Final = frame(1, b'{"type":"CloseStream"}', mask=b"abcd")
BYE: Final = frame(8, struct.pack(">H", 1000))
BYE_MASKED: Final = frame(8, struct.pack(">H", 1000), mask=b"abcd")
HELD: Final = {"proxy.relay.splice.HELD_FIN_SECONDS": 0.05}
UNHEARD: Final = frame(8, struct.pack(">H", 1011) + b"overloaded")


async def talk(stage: Stage) -> tuple[End, End]:
    """A call with audio one way and a result the other."""
    client, vendor = await stage.open()
    await client.says(AUDIO)
    await vendor.hears(len(AUDIO))
    await vendor.says(RESULT)
    await client.hears(len(RESULT))
    return client, vendor


@row("vendor", "resets in the middle of a frame", client="101, RST", says="error transport_reset network vendor vendor")
async def vendor_resets_mid_frame(stage: Stage) -> None:
    client, vendor = await talk(stage)
    await vendor.says(HALF)
    await client.hears(len(HALF))
    vendor.rst()


@row("vendor", "closes its connection in the middle of a frame", client="101, FIN", says="error transport_eof network vendor vendor")
async def vendor_leaves_mid_frame(stage: Stage) -> None:
    _, vendor = await talk(stage)
    await vendor.says(HALF)
    vendor.leaves()


@row("vendor", "FIN without a close frame", client="101, FIN", vendor="FIN", says="error transport_eof network vendor vendor", wires=PLAIN)
async def vendor_fin_without_close(stage: Stage) -> None:
    _, vendor = await talk(stage)
    vendor.fin()


@row("vendor", "half-closes: its FIN, then the client speaks on", client="101, FIN", vendor="FIN",
     says="error transport_eof network vendor vendor", wires=PLAIN)
async def vendor_half_closes(stage: Stage) -> None:
    client, vendor = await talk(stage)
    vendor.fin()
    await client.hears_out()
    await client.says(AUDIO * 20)
    await vendor.hears(20 * len(AUDIO))
    client.fin()


@row("vendor", "ends TLS without saying so (a FIN, no close_notify)", client="101, FIN",
     says="error transport_eof network vendor vendor", wires=TLS)
async def vendor_truncates_tls(stage: Stage) -> None:
    client, vendor = await talk(stage)
    vendor.left = True
    vendor.peer.close()
    await client.hears_out()


@row("vendor", "close frame, and no FIN after it", client="101, FIN", vendor="FIN",
     says="error unclassified unknown vendor vendor", patches=HELD)
async def vendor_close_without_fin(stage: Stage) -> None:
    """The client answers and leaves, as it should."""
    client, vendor = await talk(stage)
    await vendor.says(UNHEARD)
    await client.hears(len(UNHEARD))
    await client.says(BYE_MASKED)
    await vendor.hears(len(BYE_MASKED))
    if stage.wire == "plain":
        client.fin()
        await vendor.hears_out()
        vendor.fin()
    else:
        client.fin()


@row("client", "FIN without a close frame or an end message", client="101, FIN", vendor="FIN",
     says="abandoned transport_eof client client client", patches=HELD)
async def client_fin_without_close(stage: Stage) -> None:
    client, vendor = await talk(stage)
    client.fin()
    await vendor.hears_out()
    if stage.wire == "plain":
        vendor.fin()


@row("client", "half-closes after its end message; the vendor's last results still come", client="101, FIN",
     says="ok normal none client client")
async def client_half_closes(stage: Stage) -> None:
    client, vendor = await talk(stage)
    await client.says(END)
    client.fin()
    await vendor.hears(len(END))
    await vendor.says(RESULT * 200 + BYE)
    vendor.leaves()


@row("client", "gone in the middle of a frame, with an RST", client="101, left", vendor="RST",
     says="abandoned transport_reset client client client")
async def client_resets_mid_frame(stage: Stage) -> None:
    client, vendor = await talk(stage)
    await client.says(AUDIO[:700])
    await vendor.hears(700)
    client.rst()


@row("client", "gone in the middle of a frame, with a FIN", client="101, FIN", vendor="FIN",
     says="abandoned transport_eof client client client", patches=HELD)
async def client_leaves_mid_frame(stage: Stage) -> None:
    client, vendor = await talk(stage)
    await client.says(AUDIO[:700])
    await vendor.hears(700)
    client.fin()
    await vendor.hears_out()
    if stage.wire == "plain":
        vendor.fin()


@row("client", "close frame, and no FIN after it", client="101, FIN", says="abandoned 1000_abandoned client client client")
async def client_close_without_fin(stage: Stage) -> None:
    client, vendor = await talk(stage)
    await client.says(BYE_MASKED)
    await vendor.hears(len(BYE_MASKED))
    await vendor.says(BYE)
    vendor.leaves()
    await client.hears_out()
    client.fin()


@row("both", "both reset at once, each in the middle of a frame", client="101, left",
     says="abandoned transport_reset client client client or error transport_reset network vendor vendor")
async def both_reset(stage: Stage) -> None:
    client, vendor = await talk(stage)
    await vendor.says(HALF)
    await client.says(AUDIO[:700])
    client.rst()
    vendor.rst()


@row("both", "both close at once: two FINs that cross", client="101, FIN", vendor="FIN",
     says="abandoned transport_eof client client client or error transport_eof network vendor vendor", wires=PLAIN)
async def both_fin(stage: Stage) -> None:
    client, vendor = await talk(stage)
    client.fin()
    vendor.fin()


@row("both", "both send close frames at once", client="101, FIN", says="abandoned 1000_abandoned client client client")
async def both_close(stage: Stage) -> None:
    client, vendor = await talk(stage)
    await client.says(BYE_MASKED)
    await vendor.says(BYE)
    await client.hears(len(BYE))
    await vendor.hears(len(BYE_MASKED))
    vendor.leaves()
