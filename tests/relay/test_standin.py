"""Who speaks in the client's place, over real sockets: the vendor's own end, keep-alives, refusals, and whom nobody blames for them."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any

import pytest

from proxy.core import gate as core
from proxy.core.policy import Action, Rule
from proxy.core.verdict import Owner, Side
from proxy.relay import sampler, standin
from proxy.settings.tls import Tls
from tests.aio import run
from tests.relay.conftest import Pair
from tests.relay.peers import Peer, Rig, frame, request, until
from tests.relay.policies import END, GOODBYE, KEEP_ALIVE, MASK, audio, close, gated, part, policy, read_frame, the_call

TERMINATE = policy(end_properly={"wait_seconds": 5.0})
SOON = policy(end_properly={"wait_seconds": 0.1})
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data" + bytes(64)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call is looked at ten times a second; patience is short."""
    monkeypatch.setattr(sampler, "TICK_SECONDS", 0.005)
    monkeypatch.setattr(standin, "LINGER_SECONDS", 0.1)
    monkeypatch.setattr("proxy.relay.splice.HELD_FIN_SECONDS", 0.1)


async def talking(relay: Rig) -> tuple[Peer, Peer]:
    """An open session in which a message of audio has crossed."""
    client, vendor = await relay.open()
    await client.send(audio(0.1))
    assert await vendor.exactly(len(audio(0.1))) == audio(0.1)
    return client, vendor


async def ends(vendor: Peer) -> None:
    """The vendor's end message comes, masked, as one frame."""
    assert await read_frame(vendor) == (0x81, END, True)


# A client that vanishes


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("answers", [True, False])
def test_a_client_that_vanished_is_ended_for(loop: str, options: dict[str, Any], how: str, answers: bool) -> None:
    async def main() -> None:
        async with gated(options, TERMINATE if answers else SOON) as relay:
            client, vendor = await talking(relay)
            getattr(client, how)()
            await ends(vendor)
            if answers:
                await vendor.send(GOODBYE)
            assert await read_frame(vendor) == (0x88, b"\x03\xe8", True)
            vendor.writer.close()
            report = await relay.report()
            verdict = report.verdict
            assert (verdict.outcome, verdict.initiated_by, verdict.ended_by) == ("abandoned", Side.CLIENT, Side.CLIENT)
            assert verdict.hint is not None
            assert "sent it in its place" in verdict.hint
            assert report.actions == {"end_properly.terminated": 1}
            assert relay.app.ledger.actions["deepgram", "end_properly", "terminated"] == 1
            assert report.traffic["to_vendor"]["frames"] == {"audio": 1}  # what we said is not the client's

    run(main(), loop)


def test_one_that_may_still_read_hears_the_last_results(loop: str) -> None:
    result = frame(1, b'{"type":"Results","is_final":true}')

    async def main() -> None:
        async with gated({}, TERMINATE) as relay:
            client, vendor = await talking(relay)
            client.fin()
            await ends(vendor)
            await vendor.send(result + GOODBYE + close(1000))
            assert await read_frame(vendor) == (0x88, b"\x03\xe8", True)
            assert await vendor.rest() == b""
            vendor.writer.close()
            assert await client.rest() == result + GOODBYE + close(1000)
            assert (await relay.report()).verdict.outcome == "abandoned"

    run(main(), loop)


@pytest.mark.parametrize("answers", [True, False])
def test_a_close_waits_for_the_end_message(loop: str, options: dict[str, Any], answers: bool) -> None:
    leave = close(1001, b"tab closed", mask=MASK)

    async def main() -> None:
        async with gated(options, TERMINATE if answers else SOON) as relay:
            client, vendor = await talking(relay)
            await client.send(audio(0.1) + leave + b"and what nobody reads")
            assert await vendor.exactly(len(audio(0.1))) == audio(0.1)
            await ends(vendor)
            if answers:
                await vendor.send(GOODBYE)
            assert await vendor.exactly(len(leave)) == leave  # the client's own
            await vendor.send(close(1001))
            if answers:
                assert await client.exactly(len(GOODBYE)) == GOODBYE
            assert await client.exactly(4) == close(1001)
            await part(client, vendor)
            report = await relay.report()
            assert (report.verdict.outcome, report.verdict.code) == ("abandoned", "1001_abandoned")
            assert report.actions == {"end_properly.terminated": 1}
            assert report.traffic["to_vendor"]["frames"] == {"audio": 2, "close": 1}

    run(main(), loop)


def test_a_client_that_closes_and_is_gone(loop: str, options: dict[str, Any]) -> None:
    leave = close(1000, mask=MASK)

    async def main() -> None:
        async with gated(options, SOON) as relay:
            client, vendor = await talking(relay)
            await client.send(leave)
            client.fin()
            await ends(vendor)
            assert await vendor.exactly(len(leave)) == leave
            assert await vendor.rest() == b""
            vendor.writer.close()
            assert (await relay.report()).verdict.code == "1000_abandoned"

    run(main(), loop)


@pytest.mark.parametrize("last", [frame(1, END, mask=MASK), frame(2, b"", mask=MASK)])
def test_one_that_ended_itself_is_not_ended_again(loop: str, last: bytes) -> None:
    async def main() -> None:
        async with gated({}, TERMINATE) as relay:
            client, vendor = await talking(relay)
            await client.send(last)
            client.fin()
            assert await vendor.rest() == last
            await vendor.send(GOODBYE)
            vendor.fin()
            await client.rest()
            report = await relay.report()
            assert (report.verdict.outcome, report.actions) == ("ok", {})

    run(main(), loop)


def test_never_after_a_cut_frame(loop: str, options: dict[str, Any]) -> None:
    """What there is of it stays here."""
    async def main() -> None:
        async with gated(options, SOON) as relay:
            client, vendor = await talking(relay)
            await client.send(audio(0.1)[:1000])
            client.fin()
            await ends(vendor)
            vendor.writer.close()
            await relay.report()

    run(main(), loop)


def test_never_where_framing_is_lost(loop: str) -> None:
    async def main() -> None:
        async with gated({}, SOON) as relay:
            client, vendor = await talking(relay)
            await client.send(b"\xff\x00no frames any more")
            client.fin()
            assert await vendor.rest() == b"\xff\x00no frames any more"
            vendor.fin()
            report = await relay.report()
            assert report.actions == {}
            assert relay.app.ledger.inspection_errors["deepgram", "gate"] == 1

    run(main(), loop)


def test_never_after_the_vendors_close(loop: str) -> None:
    async def main() -> None:
        async with gated({}, SOON) as relay:
            client, vendor = await talking(relay)
            await vendor.send(close(1011, b"NET-0001"))
            await client.exactly(12)
            client.fin()
            assert await vendor.rest() == b""
            vendor.fin()
            report = await relay.report()
            assert (report.actions, report.verdict.initiated_by) == ({}, Side.VENDOR)

    run(main(), loop)


def test_what_the_vendor_says_to_that_is_nobodys_error(loop: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with gated(options, TERMINATE) as relay:
            client, vendor = await talking(relay)
            client.rst()
            await ends(vendor)
            await vendor.send(frame(1, b'{"type":"Error","description":"x","variant":"y"}') + close(1011, b"NET-0000"))
            vendor.writer.close()
            report = await relay.report()
            assert (report.verdict.outcome, report.verdict.owner, report.verdict.initiated_by) == ("abandoned", Owner.CLIENT, Side.CLIENT)
            assert relay.errors == 0

    run(main(), loop)


def test_what_is_held_goes_before_the_end_message(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "CLOSE_SECONDS", 0.15)

    async def main() -> None:
        async with gated({}, policy(end_properly={"wait_seconds": 0.05}, pace={"rate": 1.0, "lead_seconds": 0.2})) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.1) * 20)
            client.fin()
            frames: list[tuple[int, bytes, bool]] = []
            while not frames or frames[-1][0] != 0x88:
                frames.append(await read_frame(vendor))
            assert [first for first, *_ in frames[:2]] == [0x82, 0x82]
            assert frames[-2] == (0x81, END, True)
            vendor.writer.close()
            report = await relay.report()
            assert report.audio.read_seconds == 2.0
            assert report.audio.cut_seconds == pytest.approx(2.0 - 0.1 * (len(frames) - 2))

    run(main(), loop)


# A session that is too old


@pytest.mark.parametrize("alone", [True, False])
def test_a_session_is_ended_before_its_limit(loop: str, options: dict[str, Any], alone: bool) -> None:
    """With a gate and without one."""
    chosen = policy("observe" if alone else "enforce", session_duration={"seconds": 0.3})
    result = frame(1, b'{"type":"Results","is_final":true}')

    async def main() -> None:
        async with gated(options, chosen) as relay:
            client, vendor = await talking(relay)
            await ends(vendor)
            await client.send(audio(0.1))  # goes nowhere any more
            await vendor.send(result + GOODBYE)
            assert await client.exactly(len(result + GOODBYE)) == result + GOODBYE
            assert await read_frame(vendor) == (0x88, b"\x03\xe8", True)
            assert await read_frame(client) == (0x88, b"\x03\xe8session ended after 0.3 s", False)
            client.writer.close()
            vendor.writer.close()
            report = await relay.report()
            verdict = report.verdict
            assert (verdict.outcome, verdict.code, verdict.owner) == ("ok", "sidecar_session_limit", Owner.NONE)
            assert verdict.category == "session_expired"
            assert verdict.initiated_by is verdict.ended_by is Side.SIDECAR
            assert report.actions == {"session_duration.terminated": 1}
            assert relay.errors == 0

    run(main(), loop)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_client_that_leaves_while_we_end_its_session(loop: str, options: dict[str, Any], alone: bool, how: str) -> None:
    """Its leaving is not passed on before our close. With a gate the vendor has its time to answer, though nobody hears it."""
    chosen = policy("observe" if alone else "enforce", session_duration={"seconds": 0.3})

    async def main() -> None:
        async with gated(options, chosen) as relay:
            client, vendor = await talking(relay)
            splice = the_call(relay)._splice
            assert splice is not None
            await ends(vendor)
            getattr(client, how)()
            await until(lambda: splice.client.eof or splice.client.ended)
            await asyncio.sleep(0.01)
            if not alone:
                await vendor.send(GOODBYE)
            assert await read_frame(vendor) == (0x88, b"\x03\xe8", True)
            assert await vendor.rest() == b""
            vendor.writer.close()
            verdict = (await relay.report()).verdict
            assert (verdict.outcome, verdict.code) == ("ok", "sidecar_session_limit")
            assert verdict.initiated_by is verdict.ended_by is Side.SIDECAR

    run(main(), loop)


def test_a_vendor_that_does_not_end_is_left(loop: str, options: dict[str, Any]) -> None:
    chosen = policy(session_duration={"seconds": 0.1}, end_properly={"mode": "off", "wait_seconds": 0.1})

    async def main() -> None:
        async with gated(options, chosen) as relay:
            client, vendor = await talking(relay)
            await ends(vendor)
            assert (await read_frame(vendor))[0] == 0x88
            assert (await read_frame(client))[0] == 0x88
            await client.rest()
            client.writer.close()
            vendor.writer.close()
            assert (await relay.report()).verdict.code == "sidecar_session_limit"

    run(main(), loop)


def test_the_vendors_own_close_is_the_clients_close(loop: str, options: dict[str, Any]) -> None:
    async def main() -> None:
        async with gated(options, policy(session_duration={"seconds": 0.1})) as relay:
            client, vendor = await talking(relay)
            await ends(vendor)
            await vendor.send(GOODBYE + close(1000, b"over"))
            assert (await read_frame(vendor))[0] == 0x88
            vendor.writer.close()
            assert await client.rest() == GOODBYE + close(1000, b"over")
            client.writer.close()
            await relay.report()

    run(main(), loop)


def test_an_end_waits_for_a_clients_message_to_end(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin, "BOUNDARY_SECONDS", 0.5)

    async def main() -> None:
        async with gated({}, policy(session_duration={"seconds": 0.1})) as relay:
            client, vendor = await relay.open()
            whole = audio(0.1)
            await client.send(whole[:500])
            await vendor.exactly(500)
            session = the_call(relay).session
            await until(lambda: session.watch._last - session.started_at > 0.2)
            await client.send(whole[500:])
            assert await vendor.exactly(len(whole) - 500) == whole[500:]
            await ends(vendor)
            client.rst()
            vendor.close()
            await relay.report()

    run(main(), loop)


def test_a_message_that_never_ends_is_not_waited_for(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standin, "BOUNDARY_SECONDS", 0.1)

    async def main() -> None:
        async with gated({}, policy(session_duration={"seconds": 0.1})) as relay:
            client, vendor = await relay.open()
            await client.send(audio(0.1)[:500])
            await vendor.exactly(500)
            assert (await read_frame(client))[0] == 0x88
            await client.rest()
            client.writer.close()
            vendor.writer.close()
            assert (await relay.report()).verdict.code == "sidecar_session_limit"

    run(main(), loop)


# Refusals


@pytest.mark.parametrize(("rule", "sent", "reason", "code", "category"), [
    ("audio_format", frame(2, WAV, mask=MASK), b"a WAV file of ", "sidecar_audio_format", "audio_format"),
    ("message_shape", frame(1, b"hello", mask=MASK), b"not JSON", "sidecar_message_shape", "protocol"),
])
def test_a_refusal_says_why(loop: str, options: dict[str, Any], rule: str, sent: bytes, reason: bytes, code: str, category: str) -> None:
    async def main() -> None:
        async with gated(options, policy(**{rule: {}})) as relay:
            client, vendor = await relay.open()
            await client.send(sent * 3)
            first, said, masked = await read_frame(client)
            assert (first, said[:2], masked) == (0x88, b"\x03\xf0", False)
            assert reason in said
            await ends(vendor)
            await vendor.send(GOODBYE)  # which the client does not get: nothing comes after a close
            assert await read_frame(vendor) == (0x88, b"\x03\xe8", True)
            vendor.writer.close()
            assert await client.rest() == b""
            client.writer.close()
            report = await relay.report()
            verdict = report.verdict
            assert (verdict.outcome, verdict.code, verdict.category, verdict.owner) == ("refused_here", code, category, Owner.CLIENT)
            assert verdict.initiated_by is Side.SIDECAR
            assert verdict.hint is not None
            assert reason.decode() in verdict.hint
            assert report.actions == {f"{rule}.refused": 1}
            assert report.traffic["to_vendor"]["frames"] == {}

    run(main(), loop)


def test_a_refusal_waits_for_the_vendors_message_to_end(loop: str) -> None:
    half = frame(1, b'{"type":"Results","is_final":true}')

    async def main() -> None:
        async with gated({}, policy(audio_format={})) as relay:
            client, vendor = await relay.open()
            await vendor.send(half[:10])
            await client.exactly(10)
            await client.send(frame(2, WAV, mask=MASK))
            await ends(vendor)
            await vendor.send(half[10:])
            assert await client.exactly(len(half) - 10) == half[10:]
            assert (await read_frame(client))[1][:2] == b"\x03\xf0"
            vendor.close()
            client.rst()
            await relay.report()

    run(main(), loop)


def test_a_refused_client_with_tls_gets_our_words(loop: str, pair: Pair, options: dict[str, Any]) -> None:
    async def main() -> None:
        listener = {**options.pop("listener", {}), "tls": Tls(cert=pair[0], key=pair[1])}
        async with gated({**options, "listener": listener}, policy(audio_format={}, end_properly={"wait_seconds": 0.1})) as relay:
            relay.tls = ssl.create_default_context(cafile=pair[0])
            client, vendor = await relay.open()
            await client.send(frame(2, WAV, mask=MASK) * 50)
            assert (await read_frame(client))[1][:2] == b"\x03\xf0"
            await ends(vendor)
            assert (await read_frame(vendor))[0] == 0x88
            assert await client.rest() == b""
            client.writer.close()
            vendor.writer.close()
            await relay.report()

    run(main(), loop)


# Keep-alives


def test_a_session_is_kept_open_for_a_while(loop: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.core.standin.keep_alive_window", lambda known: 0.3)

    async def main() -> None:
        async with gated(options, policy(idle={"max_seconds": 0.5})) as relay:
            client, vendor = await talking(relay)
            assert await read_frame(vendor) == (0x81, KEEP_ALIVE, True)
            assert await read_frame(vendor) == (0x81, KEEP_ALIVE, True)
            session = the_call(relay).session
            await until(lambda: session.watch._last - session.started_at > 0.9)
            assert session.kept_alive_at is None  # it was not the client
            assert session.done.actions[Rule.IDLE, Action.INJECTED] in (2, 3)
            client.fin()
            vendor.writer.close()
            report = await relay.report()
            assert report.verdict.initiated_by in (Side.CLIENT, Side.VENDOR)
            assert report.traffic["to_vendor"]["frames"] == {"audio": 1}

    run(main(), loop)


def test_a_fault_of_ours_costs_nobody_the_call(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with gated({}, policy("enforce", idle={})) as relay:
            client, vendor = await talking(relay)
            monkeypatch.setattr("proxy.core.standin.KeepAlives.due", broken)
            await until(lambda: the_call(relay).session.gate_failed)
            await client.send(audio(0.1))
            assert await vendor.exactly(len(audio(0.1))) == audio(0.1)
            client.rst()
            vendor.close()
            await relay.report()
            assert relay.app.ledger.inspection_errors["deepgram", "gate"] == 1

    run(main(), loop)


def test_what_is_refused_after_the_end_message_is_told_too(loop: str) -> None:
    """It goes nowhere, nor does anything after it: a client that is told nothing of that would speak into the void."""
    async def main() -> None:
        async with gated({}, policy(message_shape={})) as relay:
            client, vendor = await talking(relay)
            end = frame(1, END, mask=MASK)
            await client.send(end)
            assert await vendor.exactly(len(end)) == end
            await client.send(frame(1, b"not json", mask=MASK))
            first, payload, _ = await read_frame(client)
            assert (first, payload[:2]) == (0x88, b"\x03\xf0")
            assert await read_frame(vendor) == (0x88, b"\x03\xe8", True)
            await part(client, vendor)
            verdict = (await relay.report()).verdict
            assert (verdict.outcome, verdict.code) == ("refused_here", "sidecar_message_shape")

    run(main(), loop)


def test_what_is_refused_after_a_fault_of_ours_ends_the_call(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there to tell the client: but nor does it go on as if nothing were."""
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with gated({}, policy(message_shape={})) as relay:
            client, vendor = await talking(relay)
            monkeypatch.setattr(standin.StandIn, "_look", broken)
            await until(lambda: the_call(relay).session.gate_failed)
            await client.send(frame(1, b"not json", mask=MASK))
            await relay.report()
            client.close()
            vendor.close()

    run(main(), loop)


# Too many of them


@pytest.mark.parametrize(("rules", "code", "action"), [
    ({"concurrency": {"sessions": 2}}, "sidecar_concurrency_limited", "concurrency.refused"),
    ({"connection_rate": {"per_minute": 2}}, "sidecar_rate_limited", "connection_rate.refused"),
])
def test_too_many_sessions_of_one_credential(loop: str, rules: dict[str, Any], code: str, action: str) -> None:
    mine, other = (request(b"/v1/listen", b"Authorization: Token " + key) for key in (b"a" * 20, b"b" * 20))

    async def main() -> None:
        async with gated({}, policy(**rules)) as relay:
            for _ in range(2):
                await relay.open(mine)
            for _ in range(2):
                refused = await relay.call(mine)
                head, body = await refused.message()
                assert head.startswith(b"HTTP/1.1 429 ")
                assert b"\r\nRetry-After: " in head
                assert json.loads(body)["error"] == code
                report = await relay.report()
                assert (report.verdict.outcome, report.verdict.code, report.verdict.initiated_by) == ("refused_here", code, Side.SIDECAR)
                assert report.actions == {action: 1}
            await relay.open(other)  # somebody else's
            assert relay.vendor is not None
            assert len(relay.vendor.peers) == 3
            assert relay.app.ledger.actions["deepgram", action.partition(".")[0], "refused"] == 2

    run(main(), loop)


def test_one_that_left_makes_room(loop: str) -> None:
    async def main() -> None:
        async with gated({}, policy(concurrency={"sessions": 1})) as relay:
            client, vendor = await relay.open()
            client.rst()
            await vendor.reset()
            await relay.report()
            await relay.open()

    run(main(), loop)
