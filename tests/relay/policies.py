"""Calls with a policy, and frames of audio to put through them."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from proxy.core.policy import Policy
from proxy.relay.call import Call
from proxy.relay.gated import GatedLeg
from tests.relay.peers import Peer, Rig, frame, rig

MASK: Final = b"\x11\x22\x33\x44"
END: Final = b'{"type":"CloseStream"}'
KEEP_ALIVE: Final = b'{"type":"KeepAlive"}'
GOODBYE: Final = frame(1, b'{"type":"Metadata","request_id":"r","duration":1.0}')


def policy(mode: str = "observe", /, **rules: Any) -> Policy:
    """One with these rules enforced, but for `mode`, which is of all others."""
    enforced = {name: {"mode": "enforce", **numbers} for name, numbers in rules.items()}
    return Policy.model_validate({"mode": mode, "rules": enforced})


@asynccontextmanager
async def gated(options: dict[str, Any], policy: Policy) -> AsyncIterator[Rig]:
    """A rig whose listener has this policy. `options` are those of `rig`."""
    listener = {**options.get("listener", {}), "policy": policy}
    async with rig(**{**options, "listener": listener}) as relay:
        yield relay


def the_call(relay: Rig) -> Call:
    [call] = relay.app.relay.calls
    return call


def the_gate(relay: Rig) -> GatedLeg:
    splice = the_call(relay)._splice
    assert splice is not None
    assert isinstance(splice.client, GatedLeg)
    return splice.client


def samples(seconds: float, seed: int = 0) -> bytes:
    """16 kHz, 16 bit."""
    return b"".join(struct.pack("<h", 1000 + (seed + at) % 9000) for at in range(round(16000 * seconds)))


def audio(seconds: float, seed: int = 0) -> bytes:
    """A frame of them as a client sends it."""
    return frame(2, samples(seconds, seed), mask=MASK)


async def read_frame(peer: Peer) -> tuple[int, bytes, bool]:
    """The next frame: first byte, payload unmasked, and whether it was masked."""
    first, second = await peer.exactly(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await peer.exactly(2 if size == 126 else 8), "big")
    mask = await peer.exactly(4) if second & 0x80 else b""
    payload = await peer.exactly(size)
    return first, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload, bool(mask)


def close(code: int, reason: bytes = b"", mask: bytes = b"") -> bytes:
    return frame(8, code.to_bytes(2, "big") + reason, mask=mask)


async def part(client: Peer, vendor: Peer) -> None:
    """The vendor hangs up first: a client's FIN would wait before a vendor with TLS."""
    vendor.writer.close()
    await client.rest()
    client.writer.close()
