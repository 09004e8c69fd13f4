"""A process that ends its open sessions, over real sockets: what the vendor is told, what the client gets, and what the report says."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from proxy.core.verdict import Owner, Side
from proxy.relay import server, standin
from proxy.settings.model import Drain
from proxy.settings.tls import Tls
from tests.aio import run
from tests.relay.conftest import Pair
from tests.relay.peers import Peer, Rig, frame, request, rig
from tests.relay.policies import END, GOODBYE, MASK, audio, close, policy, read_frame, the_call

AT_ONCE: Final = Drain(accept_seconds=0, grace_seconds=0)
RESULT: Final = frame(1, b'{"type":"Results","is_final":true}')
DRAINING: Final = (0x88, b"\x03\xf4earwitness: draining", False)
BYE: Final = (0x88, b"\x03\xe8", True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience is short, but for the vendor's answer."""
    monkeypatch.setattr(standin, "LINGER_SECONDS", 0.1)
    monkeypatch.setattr(standin, "DRAIN_BOUNDARY_SECONDS", 0.1)
    monkeypatch.setattr("proxy.relay.splice.HELD_FIN_SECONDS", 0.1)


@asynccontextmanager
async def draining(options: dict[str, Any], **sections: Any) -> AsyncIterator[Rig]:
    async with rig(drain=AT_ONCE, **options, **sections) as relay:
        yield relay


async def talking(relay: Rig) -> tuple[Peer, Peer]:
    client, vendor = await relay.open()
    await client.send(audio(0.1))
    assert await vendor.exactly(len(audio(0.1))) == audio(0.1)
    return client, vendor


async def is_drained(relay: Rig, by: Side = Side.SIDECAR) -> None:
    """The one report, and then the end of the process."""
    verdict = (await relay.report()).verdict
    assert (verdict.outcome, verdict.owner, verdict.ended_by, verdict.initiated_by) == ("drained", Owner.SIDECAR, Side.SIDECAR, by)
    await relay.app.drained.wait()
    assert relay.errors == 0


@pytest.mark.parametrize("gate", [False, True])
def test_each_side_is_told_in_its_own_way(loop: str, options: dict[str, Any], gate: bool) -> None:
    """The vendor its end message, the client the last results and 1012; the vendor's own goodbye and 1000 do not reach it."""
    async def main() -> None:
        listener = {**options.get("listener", {}), "policy": policy("enforce" if gate else "observe")}
        async with draining({**options, "listener": listener}) as relay:
            client, vendor = await talking(relay)
            relay.app.drain()
            assert await read_frame(vendor) == (0x81, END, True)
            await client.send(audio(0.1) * 3)  # goes nowhere any more
            await vendor.send(RESULT + GOODBYE + close(1000))
            assert await client.exactly(len(RESULT)) == RESULT
            assert await read_frame(client) == DRAINING
            assert await read_frame(vendor) == BYE
            vendor.writer.close()
            assert await client.rest() == b""
            client.writer.close()
            await is_drained(relay)

    run(main(), loop)


def test_a_close_that_comes_in_pieces_is_kept_back_too(loop: str) -> None:
    async def main() -> None:
        async with draining({}) as relay:
            client, vendor = await talking(relay)
            relay.app.drain()
            assert await read_frame(vendor) == (0x81, END, True)
            last = RESULT + close(1000, b"well")
            for byte in last:
                await vendor.send(bytes([byte]))
            assert await client.exactly(len(RESULT)) == RESULT
            assert await read_frame(client) == DRAINING
            assert await read_frame(vendor) == BYE
            vendor.rst()  # which is nothing to the client
            assert await client.rest() == b""
            client.writer.close()
            await is_drained(relay)

    run(main(), loop)


def test_a_client_with_tls_reads_why(loop: str, secure: dict[str, Any], pair: Pair) -> None:
    """It goes on sending: to close its connection at once would cost it our words."""
    async def main() -> None:
        listener = {**secure["listener"], "tls": Tls(cert=pair[0], key=pair[1])}
        async with draining({**secure, "listener": listener}) as relay:
            relay.tls = ssl.create_default_context(cafile=pair[0])
            client, vendor = await talking(relay)
            relay.app.drain()
            assert await read_frame(vendor) == (0x81, END, True)
            await vendor.send(GOODBYE + close(1000))
            vendor.writer.close()
            await client.send(audio(1.0) * 5)
            assert await read_frame(client) == DRAINING
            client.writer.close()
            await is_drained(relay)

    run(main(), loop)


def test_a_vendor_that_does_not_answer_is_not_waited_for(loop: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin, "DRAIN_SECONDS", 0.05)

    async def main() -> None:
        async with draining(options) as relay:
            client, vendor = await talking(relay)
            relay.app.drain()
            assert await read_frame(vendor) == (0x81, END, True)
            assert await read_frame(vendor) == BYE
            assert await read_frame(client) == DRAINING
            client.writer.close()
            vendor.writer.close()
            await is_drained(relay)

    run(main(), loop)


def test_it_waits_for_messages_to_end(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On both sides."""
    monkeypatch.setattr(standin, "DRAIN_BOUNDARY_SECONDS", 30.0)

    async def main() -> None:
        async with draining({}) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.1)[:500])
            await vendor.exactly(500)
            await vendor.send(RESULT[:5])
            await client.exactly(5)
            relay.app.drain()
            await client.send(audio(0.1)[500:])
            await vendor.exactly(len(audio(0.1)) - 500)
            await vendor.send(RESULT[5:])
            assert await client.exactly(len(RESULT) - 5) == RESULT[5:]
            assert await read_frame(vendor) == (0x81, END, True)
            vendor.writer.close()
            assert await read_frame(client) == DRAINING
            client.writer.close()
            await is_drained(relay)

    run(main(), loop)


def test_nothing_is_said_after_a_cut_message(loop: str) -> None:
    """The vendor gets no end message and no close, the client no close either."""
    async def main() -> None:
        async with draining({}) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.1)[:500])
            await vendor.exactly(500)
            await vendor.send(RESULT[:5])
            await client.exactly(5)
            relay.app.drain()
            assert await vendor.rest() == b""
            assert await client.rest() == b""
            client.writer.close()
            vendor.writer.close()
            await is_drained(relay)

    run(main(), loop)


def test_where_framing_was_lost_nothing_is_said(loop: str) -> None:
    async def main() -> None:
        async with draining({}) as relay:
            client, vendor = await relay.open()
            await client.send(b"\xff\x00no frames any more")
            assert await vendor.exactly(20) == b"\xff\x00no frames any more"[:20]
            relay.app.drain()
            await vendor.rest()
            vendor.writer.close()
            assert await read_frame(client) == DRAINING  # its own side is whole
            client.writer.close()
            await is_drained(relay)

    run(main(), loop)


def test_a_client_that_has_asked_for_the_end_gets_it_from_the_vendor(loop: str) -> None:
    """The vendor's 1000 is true then, and so is the outcome."""
    async def main() -> None:
        async with draining({}) as relay:
            client, vendor = await talking(relay)
            await client.send(frame(1, END, mask=MASK))
            assert await read_frame(vendor) == (0x81, END, True)
            relay.app.drain()
            await vendor.send(RESULT + GOODBYE + close(1000))
            assert await client.exactly(len(RESULT + GOODBYE + close(1000))) == RESULT + GOODBYE + close(1000)
            vendor.writer.close()
            client.writer.close()
            assert (await relay.report()).verdict.outcome == "ok"
            await relay.app.drained.wait()

    run(main(), loop)


def test_one_that_asked_and_got_no_answer_is_drained(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked for twice."""
    monkeypatch.setattr(standin, "DRAIN_SECONDS", 0.05)

    async def main() -> None:
        async with draining({}) as relay:
            client, vendor = await talking(relay)
            await client.send(frame(1, END, mask=MASK))
            assert await read_frame(vendor) == (0x81, END, True)
            relay.app.drain()
            assert await read_frame(vendor) == BYE
            assert await read_frame(client) == DRAINING
            client.writer.close()
            vendor.writer.close()
            await is_drained(relay, Side.CLIENT)

    run(main(), loop)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_client_that_leaves_meanwhile(loop: str, options: dict[str, Any], how: str) -> None:
    async def main() -> None:
        async with draining(options) as relay:
            client, vendor = await talking(relay)
            relay.app.drain()
            assert await read_frame(vendor) == (0x81, END, True)
            getattr(client, how)()
            if how == "fin":
                assert await read_frame(vendor) == BYE
            await vendor.reset()
            vendor.writer.close()
            await is_drained(relay)

    run(main(), loop)


def test_a_vendor_without_an_end_message_gets_a_close(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin, "said", lambda endpoint, role: None)

    async def main() -> None:
        async with draining({}) as relay:
            client, vendor = await talking(relay)
            relay.app.drain()
            assert await read_frame(vendor) == BYE
            assert await read_frame(client) == DRAINING
            client.writer.close()
            vendor.writer.close()
            await is_drained(relay)

    run(main(), loop)


def test_it_is_bounded(loop: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not left by then is cut."""
    monkeypatch.setattr(server, "END_SECONDS", 0.05)

    async def main() -> None:
        async with draining(options) as relay:
            client, vendor = await talking(relay)
            relay.app.drain()
            assert await read_frame(vendor) == (0x81, END, True)
            await vendor.reset()
            await client.reset()
            await is_drained(relay)

    run(main(), loop)


def test_a_second_signal_ends_the_politeness(loop: str) -> None:
    async def main() -> None:
        async with draining({}) as relay:
            client, vendor = await talking(relay)
            relay.app.drain()
            assert await read_frame(vendor) == (0x81, END, True)
            relay.app.drain()
            await vendor.reset()
            await client.reset()
            await is_drained(relay)

    run(main(), loop)


def test_a_fault_of_ours_ends_it_at_once(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with draining({}) as relay:
            client, vendor = await talking(relay)
            monkeypatch.setattr(standin.StandIn, "drain", broken)
            relay.app.drain()
            await vendor.reset()
            await client.reset()
            await is_drained(relay)

    run(main(), loop)


def test_one_that_is_ended_by_a_rule_is_left_to_it(loop: str) -> None:
    wav = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data" + bytes(64)

    async def main() -> None:
        async with draining({"listener": {"policy": policy(audio_format={})}}) as relay:
            client, vendor = await relay.open(request())
            await client.send(frame(2, wav, mask=MASK))
            assert (await read_frame(client))[0] == 0x88
            assert await read_frame(vendor) == (0x81, END, True)
            the_call(relay).drain()
            await vendor.send(GOODBYE)
            assert await read_frame(vendor) == BYE
            vendor.writer.close()
            client.writer.close()
            assert (await relay.report()).verdict.outcome == "refused_here"

    run(main(), loop)


@pytest.mark.parametrize("who", ["client", "vendor"])
def test_a_call_that_is_half_closed_already(loop: str, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be said to whoever has our FIN; the other is told, and nobody waits for what cannot come."""
    monkeypatch.setattr(standin, "DRAIN_SECONDS", 0.1)

    async def main() -> None:
        async with draining({}) as relay:
            client, vendor = await talking(relay)
            gone, told = (client, vendor) if who == "client" else (vendor, client)
            gone.fin()
            assert await told.rest() == b""
            relay.app.drain()
            report = await relay.report()
            assert report.verdict.ended_by == who
            assert report.duration_seconds < server.END_SECONDS
            await relay.app.drained.wait()

    run(main(), loop)


def test_to_end_at_once_spares_nobody(loop: str) -> None:
    async def main() -> None:
        async with draining({}) as relay:
            await talking(relay)
            relay.app.drain(at_once=True)
            await is_drained(relay)
            assert relay.app.relay.turns.hurries

    run(main(), loop)
