"""A client's leg with a gate in it, over real sockets: what crosses untouched, what waits, and how it ends."""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path
from random import Random
from typing import Any

import pytest

from proxy.core import gate as core
from proxy.core.gate import Gate
from proxy.core.policy import Policy
from proxy.core.verdict import Inspection, Noticed, Side, Transport
from proxy.relay import gated as module
from proxy.relay import sampler
from proxy.relay.gated import GatedLeg
from proxy.relay.standin import StandIn
from tests.aio import run
from tests.relay.peers import SWITCHING, TARGET, Peer, Rig, frame, request, until
from tests.relay.policies import MASK, audio, close, gated, part, policy, read_frame, samples, the_call, the_gate

SLOW: dict[str, Any] = {"pace": {"rate": 1.0, "lead_seconds": 0.2}}
FAST: dict[str, Any] = {"pace": {"rate": 20.0, "lead_seconds": 0.1}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call is looked at ten times a second."""
    monkeypatch.setattr(sampler, "TICK_SECONDS", 0.005)


def legal(random: Random) -> bytes:
    """A stream of legal frames that no rule of a plain `enforce` has anything against."""
    out = []
    for _ in range(random.randrange(20, 60)):
        mask = random.randbytes(4)
        match random.randrange(6):
            case 0:
                out.append(frame(1, b'{"type":"KeepAlive"}', mask=mask))
            case 1:
                out.append(frame(9 + random.randrange(2), random.randbytes(random.randrange(126)), mask=mask))
            case 2:
                cuts = [random.randbytes(2 * random.randrange(100)) for _ in range(random.randrange(2, 5))]
                out.append(b"".join(frame(0 if at else 2, cut, fin=at == len(cuts) - 1, mask=mask) for at, cut in enumerate(cuts)))
            case 3:
                out.append(frame(1, '{"type":"Configure","ä":1}'.encode(), mask=mask))
            case _:
                out.append(frame(2, random.randbytes(2 * random.randrange(1, 1500)), mask=mask))
    return b"".join(out)


@pytest.mark.parametrize("seed", range(8))
def test_with_nothing_to_correct_no_byte_changes(loop: str, options: dict[str, Any], seed: int) -> None:
    random = Random(seed)
    up, down = legal(random), b"".join(frame(1, random.randbytes(random.randrange(3000))) for _ in range(100))
    up += frame(1, b'{"type":"CloseStream"}', mask=MASK) + close(1000, b"done", mask=MASK)

    async def main() -> None:
        async with gated(options, Policy.model_validate({"mode": "enforce"})) as relay:
            client, vendor = await relay.open()
            assert isinstance(the_gate(relay), GatedLeg)
            vendor.writer.write(down)
            rest = up
            while rest:
                size = random.choice((1, 7, 300, 5000))
                await client.send(rest[:size])
                rest = rest[size:]
                await asyncio.sleep(0)
            assert await vendor.exactly(len(up)) == up
            assert await client.exactly(len(down)) == down
            await vendor.send(close(1000))
            assert await client.exactly(4) == close(1000)
            await part(client, vendor)
            report = await relay.report()
            assert (report.verdict.outcome, report.actions, report.audio.cut_seconds) == ("ok", {}, None)
            assert report.self_.gate_delay_seconds == 0.0

    run(main(), loop)


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_what_is_not_enforced_has_no_gate(loop: str, mode: str) -> None:
    async def main() -> None:
        async with gated({}, Policy.model_validate({"mode": mode})) as relay:
            await relay.open()
            call = the_call(relay)
            assert call._splice is not None
            assert type(call._splice.client).__name__ == "Leg"
            assert call._keeper is None

    run(main(), loop)


def test_audio_that_comes_too_fast_waits(loop: str, options: dict[str, Any]) -> None:
    sent = b"".join(audio(0.1, at) for at in range(20))

    async def main() -> None:
        async with gated(options, policy(**FAST)) as relay:
            client, vendor = await relay.open()
            clock = asyncio.get_running_loop().time
            await client.send(sent[:1])
            began = clock()
            await client.send(sent[1:])
            assert await vendor.exactly(len(sent)) == sent
            assert clock() - began >= (2.0 - 0.1) / 20 - 0.01  # never ahead of what is allowed
            await part(client, vendor)
            report = await relay.report()
            assert report.actions["pace.delayed"] >= 15
            assert report.self_.gate_delay_seconds > 0.05
            assert (report.audio.read_seconds, report.audio.cut_seconds) == (2.0, None)
            assert sum(relay.app.ledger.delays["deepgram",].counts) == report.actions["pace.delayed"]
            assert relay.app.ledger.actions["deepgram", "pace", "delayed"] == report.actions["pace.delayed"]

    run(main(), loop)


def test_what_waits_is_told_once_a_second(loop: str) -> None:
    async def main() -> None:
        async with gated({}, policy(**SLOW)) as relay:
            client, _ = await relay.open()
            await client.send(audio(1.0) + audio(1.0))
            await until(lambda: the_call(relay).session.held_seconds > 0.5)

    run(main(), loop)


def test_pings_overtake_audio_and_text_does_not(loop: str, options: dict[str, Any]) -> None:
    ping, text = frame(9, b"p", mask=MASK), frame(1, b'{"type":"Finalize"}', mask=MASK)

    async def main() -> None:
        async with gated(options, policy(**FAST)) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.1) + audio(1.0, 1) + text + ping)
            assert await vendor.exactly(len(audio(0.1)) + len(ping)) == audio(0.1) + ping
            heard = b""
            first, payload, _ = await read_frame(vendor)
            while first == 0x82:
                heard += payload
                first, payload, _ = await read_frame(vendor)
            assert heard == samples(1.0, 1)
            assert payload == b'{"type":"Finalize"}'

    run(main(), loop)


# The end


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held goes within a tenth of a second."""
    monkeypatch.setattr(core, "CLOSE_SECONDS", 0.1)


@pytest.mark.usefixtures("short")
def test_a_fin_goes_after_what_is_held_within_a_bound(loop: str) -> None:
    async def main() -> None:
        async with gated({}, policy(**SLOW)) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.2) * 10 + audio(0.2)[:100])
            client.fin()
            assert await vendor.rest() == audio(0.2) + audio(0.2)[:100]  # what cannot be read is passed on as it is
            vendor.fin()
            assert await client.rest() == b""
            report = await relay.report()
            assert (report.audio.read_seconds, report.audio.cut_seconds) == (2.0, 1.8)
            assert report.verdict.ended_by is Side.CLIENT

    run(main(), loop)


def test_after_an_rst_what_is_held_goes_nowhere(loop: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with gated(options, policy(**SLOW)) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.2) * 10)
            await vendor.exactly(len(audio(0.2)))
            client.rst()
            await vendor.reset()
            report = await relay.report()
            assert report.audio.read_seconds == 2.0
            assert report.audio.cut_seconds == pytest.approx(1.8, abs=0.21)
            assert relay.app.relay.room.held == 0

    run(main(), loop)


@pytest.mark.usefixtures("short")
def test_a_close_goes_after_what_is_held(loop: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with gated(options, policy(**SLOW)) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.2) * 10 + close(1000, b"bye", mask=MASK))
            whole = audio(0.2) + close(1000, b"bye", mask=MASK)
            assert (await vendor.exactly(len(whole)))[-len(close(1000, b"bye", mask=MASK)):] == whole[len(audio(0.2)):]
            await part(client, vendor)
            report = await relay.report()
            assert report.client_close is not None
            assert (report.client_close.code, report.audio.read_seconds) == (1000, 2.0)

    run(main(), loop)


def test_the_answer_to_a_close_of_the_vendors_waits_for_no_audio(loop: str, options: dict[str, Any]) -> None:
    """Else the client would wait for the end of its connection, for as long as a close may wait for audio."""
    async def main() -> None:
        async with gated(options, policy("enforce", **SLOW)) as relay:
            client, vendor = await relay.open()
            clock = asyncio.get_running_loop().time
            await client.send(audio(0.2) * 10)
            assert await vendor.exactly(len(audio(0.2))) == audio(0.2)
            began = clock()
            await vendor.send(close(1011, b"failed"))
            assert await client.exactly(10) == close(1011, b"failed")
            await client.send(close(1011, mask=MASK))
            received = b""
            while not received.endswith(close(1011, mask=MASK)):
                received += await vendor.exactly(1)
            assert clock() - began < core.CLOSE_SECONDS / 2
            await part(client, vendor)
            report = await relay.report()
            assert (report.verdict.initiated_by, report.verdict.ended_by) == (Side.VENDOR, Side.VENDOR)
            assert report.audio.read_seconds == 2.0
            assert report.audio.cut_seconds is not None
            assert report.audio.cut_seconds > 1.0
            assert "end_properly.terminated" not in report.actions

    run(main(), loop)


def test_a_close_that_waits_goes_once_the_vendor_has_closed(loop: str, options: dict[str, Any]) -> None:
    """Its client says nothing more, so that only the vendor's close can send it on its way."""
    async def main() -> None:
        async with gated(options, policy("enforce", **SLOW)) as relay:
            client, vendor = await relay.open()
            clock = asyncio.get_running_loop().time
            await client.send(audio(0.2) * 20 + close(1000, mask=MASK))
            assert await vendor.exactly(len(audio(0.2))) == audio(0.2)
            began = clock()
            await vendor.send(close(1011, b"failed"))
            received = b""
            while not received.endswith(close(1000, mask=MASK)):
                received += await vendor.exactly(1)
            assert clock() - began < 2.0  # of the 3.8 that the audio would take
            assert await client.exactly(10) == close(1011, b"failed")
            await part(client, vendor)
            report = await relay.report()
            assert report.audio.read_seconds == pytest.approx(4.0)
            assert report.audio.cut_seconds is not None
            assert report.audio.cut_seconds > 2.0

    run(main(), loop)


def test_a_vendor_that_leaves_ends_what_waits(loop: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with gated(options, policy(**SLOW)) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.2) * 10)
            await vendor.exactly(len(audio(0.2)))
            vendor.rst()
            assert await client.reset()
            report = await relay.report()
            assert report.verdict.ended_by is Side.VENDOR
            assert report.audio.cut_seconds is not None
            assert report.audio.cut_seconds > 1.0

    run(main(), loop)


def test_a_drain_ends_what_waits(loop: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with gated(options, policy("enforce", **SLOW)) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.2) * 10)
            await vendor.exactly(len(audio(0.2)))
            await relay.app.servers.stop()
            report = await relay.report()
            assert (report.verdict.outcome, report.audio.read_seconds) == ("drained", 2.0)

    run(main(), loop)


# Bounds


def test_the_bounds_are_those_that_are_documented() -> None:
    told = " ".join((Path(__file__).parents[2] / "config" / "README.md").read_text().split())
    session = f"{core.HELD_SECONDS:.0f} s of audio and {core.HELD_BYTES >> 20} MiB a session"
    assert f"Up to {session}, {module.HELD_BYTES >> 20} MiB a process" in told
    assert f"a close, or a hang-up, {core.CLOSE_SECONDS:.0f} s after it came at the latest" in told


def test_a_full_gate_stops_reading_and_loses_nothing(loop: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "HELD_SECONDS", 0.5)
    sent = b"".join(audio(0.2, at) for at in range(100))

    async def main() -> None:
        async with gated(options, policy(pace={"rate": 100.0, "lead_seconds": 0.2})) as relay:
            client, vendor = await relay.open()
            client.writer.write(sent)
            await until(lambda: the_gate(relay).reading_held)
            assert await vendor.exactly(len(sent)) == sent
            await until(lambda: not the_gate(relay).reading_held)
            await part(client, vendor)
            report = await relay.report()
            assert Noticed.READING_STOPPED in [fact.fact for fact in report.facts]
            assert report.audio.read_seconds == 20.0

    run(main(), loop)


@pytest.mark.parametrize("how", [Transport.EOF, Transport.RESET])
def test_a_client_that_is_not_read_may_leave(loop: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, how: Transport) -> None:
    monkeypatch.setattr(core, "HELD_SECONDS", 0.5)
    monkeypatch.setattr(core, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr("proxy.relay.splice.HELD_FIN_SECONDS", 0.05)

    async def main() -> None:
        async with gated(options, policy(**SLOW)) as relay:
            client, vendor = await relay.open()
            client.writer.write(audio(0.2) * 20)
            await until(lambda: the_gate(relay).reading_held)
            await client.writer.drain()
            if how is Transport.EOF:
                client.fin()
                await vendor.rest()
                vendor.writer.close()
            else:
                client.rst()
                await vendor.reset()
            report = await relay.report()
            assert report.verdict.ended_by is Side.CLIENT
            if how is Transport.EOF:
                assert report.audio.read_seconds == pytest.approx(4.0)

    run(main(), loop)


@pytest.mark.interpreted
def test_the_process_holds_no_more_than_it_may(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One client fills the room, and is not read; another, of whom nothing is held, is."""
    monkeypatch.setattr(module, "HELD_BYTES", 50_000)

    async def main() -> None:
        async with gated({}, policy(**SLOW)) as relay:
            first, _ = await relay.open()
            greedy = the_gate(relay)
            await first.send(audio(0.2) * 15)
            await until(lambda: greedy.reading_held)
            assert relay.app.relay.room.is_full
            second, vendor = await relay.open()
            for _ in range(3):
                await second.send(frame(1, b'{"type":"KeepAlive"}', mask=MASK))
                await read_frame(vendor)
            first.rst()
            await relay.report()
            assert relay.app.relay.room.held < 50_000

    run(main(), loop)


@pytest.mark.interpreted
def test_a_message_that_is_not_whole_can_be_finished_though_there_is_no_room(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the rest of it, or letting go, could ever get it out of the gate."""
    monkeypatch.setattr(module, "HELD_BYTES", 50_000)

    async def main() -> None:
        async with gated({}, policy(**SLOW)) as relay:
            first, _ = await relay.open()
            greedy = the_gate(relay)
            await first.send(audio(0.2) * 15)
            await until(lambda: greedy.reading_held)
            second, vendor = await relay.open()
            message = audio(0.1)
            for cut in (1, 100, 3000):
                await second.send(message[:cut])
                await until(lambda: relay.app.relay.room.held > greedy._held)
                await second.send(message[cut:])
                assert await vendor.exactly(len(message)) == message
            monkeypatch.setattr(module, "PART_BYTES", 100)
            await second.send(message[:1000])
            assert await vendor.exactly(1000) == message[:1000]
            await until(lambda: relay.app.relay.room.held == greedy._held)
            second.rst()
            await relay.report()
            assert relay.app.ledger.inspection_errors["deepgram", "gate"] == 1

    run(main(), loop)


def test_a_vendor_that_reads_nothing_stops_reading_too(loop: str, options: dict[str, Any]) -> None:
    """Both reasons to stop may hold at once."""
    async def main() -> None:
        async with gated(options, policy(pace={"rate": 1000.0, "lead_seconds": 1000.0})) as relay:
            client, vendor = await relay.open()
            vendor.transport.pause_reading()
            sent = audio(0.9)
            sending = asyncio.get_running_loop().create_task(client.send(sent * 900))
            await until(lambda: the_gate(relay).reading_held)
            assert the_call(relay)._splice is not None
            assert the_gate(relay)._blocked
            vendor.transport.resume_reading()
            for _ in range(900):
                assert await vendor.exactly(len(sent)) == sent
            await sending
            await until(lambda: not the_gate(relay).reading_held)

    run(main(), loop)


def test_what_a_vendor_does_not_take_stays_in_the_gate_and_counts(loop: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with gated(options, policy(pace={"rate": 500.0, "lead_seconds": 1.0})) as relay:
            client, vendor = await relay.open()
            vendor.transport.pause_reading()
            leg, room, sent = the_gate(relay), relay.app.relay.room, audio(0.9)
            sending = asyncio.get_running_loop().create_task(client.send(sent * 900))
            await until(lambda: leg._blocked and not leg._gate.empty)
            held = leg._gate.held_bytes
            assert leg._timer is None
            leg._woken()  # as one that was on its way when the vendor stopped
            assert leg._gate.held_bytes == held
            assert room.held >= held + leg.other.transport.get_write_buffer_size()
            vendor.transport.resume_reading()
            for _ in range(900):
                assert await vendor.exactly(len(sent)) == sent
            await sending
            await until(lambda: room.held == 0)
            client.rst()
            await relay.report()
            assert (room.held, room.gates) == (0, 0)

    run(main(), loop)


@pytest.mark.parametrize("takes_again", [False, True])
def test_a_close_waits_for_a_vendor_that_takes_nothing_no_longer_than_for_audio(
        loop: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, takes_again: bool) -> None:
    """Its transport says that it is full; what is written to it all the same arrives, which shows what was written."""
    monkeypatch.setattr(core, "CLOSE_SECONDS", 0.1)

    async def main() -> None:
        async with gated(options, policy(**SLOW)) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.2) * 3 + close(1000, mask=MASK))
            await until(lambda: the_gate(relay)._gate.is_closing)
            the_gate(relay).other.pause_writing()
            if takes_again:
                the_gate(relay).other.resume_writing()
            assert await vendor.exactly(len(audio(0.2))) == audio(0.2)
            assert await vendor.exactly(len(close(1000, mask=MASK))) == close(1000, mask=MASK)
            the_gate(relay).other.resume_writing()
            await vendor.send(close(1000))
            await client.exactly(4)
            await part(client, vendor)
            assert (await relay.report()).audio.cut_seconds == pytest.approx(0.4)

    run(main(), loop)


@pytest.mark.parametrize(
    ("gates", "held", "full"),
    [
        (0, 0, False),
        (100, module.HELD_BYTES - 100 * core.READ_BYTES, False),
        (100, module.HELD_BYTES - 100 * core.READ_BYTES + 1, True),
        pytest.param(100_000, module.HELD_BYTES // 2, False, id="not so many get a whole read at once"),
    ],
)
def test_the_room_is_full_while_there_is_still_some_for_a_read_of_each(gates: int, held: int, full: bool) -> None:
    room = module.Room()
    room.gates, room.held = gates, held
    assert room.is_full is full


# Compression

DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"


async def deflating(relay: Rig) -> tuple[Peer, Peer]:
    """An open session in which both sides agreed to compress."""
    client = await relay.call(request(TARGET, DEFLATE))
    assert relay.vendor is not None
    vendor = await relay.vendor.arrived.get()
    assert DEFLATE in await vendor.head()
    await vendor.send(SWITCHING[:-2] + DEFLATE + b"\r\n\r\n")
    assert DEFLATE in await client.head()
    return client, vendor


def compressed(*payloads: bytes) -> list[bytes]:
    """Audio messages of one client that keeps its window: each can be read only after those before it."""
    deflate = zlib.compressobj(wbits=-15)
    return [frame(0x42, (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4], mask=MASK) for payload in payloads]


def test_what_is_compressed_is_held_as_it_is(loop: str, options: dict[str, Any]) -> None:
    """Its length tells nothing of its audio: it is paced by what is in it, and neither cut nor joined."""
    sent = compressed(*(samples(0.3, at) for at in range(8)))
    text, ping = frame(1, b'{"type":"Finalize"}', mask=MASK), frame(9, b"p", mask=MASK)

    async def main() -> None:
        async with gated(options, policy(pace={"rate": 20.0, "lead_seconds": 0.3}, chunk_duration={"max_seconds": 0.1})) as relay:
            client, vendor = await deflating(relay)
            clock = asyncio.get_running_loop().time
            began = clock()
            await client.send(b"".join(sent[:4]) + text + b"".join(sent[4:]) + ping)
            first = sent[0] + ping
            assert await vendor.exactly(len(first)) == first
            rest = b"".join(sent[1:4]) + text + b"".join(sent[4:])
            assert await vendor.exactly(len(rest)) == rest
            assert clock() - began >= (2.4 - 0.3) / 20 - 0.01
            await part(client, vendor)
            report = await relay.report()
            assert report.actions == {"pace.delayed": 8}  # seven, and the text behind them
            assert (report.audio.read_seconds, report.audio.cut_seconds, report.inspection) == (2.4, None, Inspection.FULL)

    run(main(), loop)


def test_what_cannot_be_inflated_lets_all_go(loop: str, options: dict[str, Any]) -> None:
    sent = b"".join(compressed(*(samples(0.3, at) for at in range(4))))
    broken = frame(0x42, b"\xff\xff\xff\xff", mask=MASK)

    async def main() -> None:
        async with gated(options, policy(**SLOW)) as relay:
            client, vendor = await deflating(relay)
            await client.send(sent + broken + audio(0.1) * 20)
            everything = sent + broken + audio(0.1) * 20
            assert await vendor.exactly(len(everything)) == everything
            await part(client, vendor)
            report = await relay.report()
            assert report.verdict.category != "sidecar"
            assert relay.app.ledger.inspection_errors["deepgram", "gate"] == 1

    run(main(), loop)


# Faults of ours


@pytest.mark.parametrize("method", ["_release", "_take_in"])
def test_a_fault_in_the_gate_costs_nobody_the_call(loop: str, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    async def main() -> None:
        async with gated({}, policy(**FAST)) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.1) * 11)
            await vendor.exactly(len(audio(0.1)))
            monkeypatch.setattr(Gate, method, broken)
            await client.send(audio(0.1, 1))
            assert (await vendor.exactly(11 * len(audio(0.1)))).endswith(audio(0.1, 1))
            await client.send(b"anything")
            assert await vendor.exactly(8) == b"anything"
            client.rst()
            await relay.report()
            assert relay.app.ledger.inspection_errors["deepgram", "gate"] == 1

    run(main(), loop)


@pytest.mark.parametrize("method", ["leaving", "parted"])
def test_a_fault_in_who_decides_costs_nobody_the_call(loop: str, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    async def main() -> None:
        async with gated({}, policy(**FAST)) as relay:
            monkeypatch.setattr(StandIn, method, broken)
            client, vendor = await relay.open()
            await client.send(audio(0.1) * 11)
            client.fin()
            assert await vendor.rest() == audio(0.1) * 11
            vendor.fin()
            await client.rest()
            assert (await relay.report()).verdict.ended_by is Side.CLIENT

    run(main(), loop)


def test_what_was_refused_does_not_go_on_whatever_happens(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with gated({}, policy(message_shape={})) as relay:
            monkeypatch.setattr(StandIn, "refused", broken)
            client, vendor = await relay.open()
            await client.send(frame(1, b"hello", mask=MASK))
            assert await vendor.rest() == b""
            await client.rest()
            await relay.report()

    run(main(), loop)
