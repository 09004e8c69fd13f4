"""Which requests become calls, and what is refused before anything is dialled: safety first."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from proxy.core.verdict import Outcome, Owner
from proxy.settings.model import Correlation, Limits
from tests.aio import run
from tests.relay.peers import TARGET, Peer, Rig, accept_and_stay, frame, request, rig

LISTEN = b"/v1/listen"


async def answer(relay: Rig, head: bytes) -> tuple[int, str]:
    """Status and x-earwitness of what the relay itself answers; the body must say the same."""
    client = await relay.call(head)
    got = (await client.head()).decode("latin-1")
    fields = dict(line.split(": ", 1) for line in got.split("\r\n")[1:] if line)
    assert json.loads(await client.rest())["error"] == fields["x-earwitness"]
    assert fields["Content-Type"] == "application/json"
    return int(got.split(" ")[1]), fields["x-earwitness"]


async def never(peer: Peer) -> None:
    raise AssertionError("the vendor was dialled")


NOT_FOUND, BAD, NO_UPGRADE = (404, "sidecar_not_found"), (400, "sidecar_bad_request"), (426, "sidecar_upgrade_required")


@pytest.mark.parametrize(("head", "expected"), [
    (request(b"//evil.test/v1/listen"), NOT_FOUND),
    (request(b"/v1/listen/../../x"), NOT_FOUND),
    (request(b"/v1/listen/%2e%2E/x"), NOT_FOUND),
    (request(b"/v1/listen/..%2fx"), NOT_FOUND),
    (request(b"/v1/listen/..%5cx"), NOT_FOUND),
    (request(b"/v1/listening"), NOT_FOUND),
    (request(b"/"), NOT_FOUND),
    (request(b"http://evil.test/v1/listening"), NOT_FOUND),
    (request(b"http://evil.test"), NOT_FOUND),
    (request(b"http://evil.test//v1/listen"), NOT_FOUND),
    (request(b"ftp://evil.test/v1/listen"), NOT_FOUND),
    (request(b"@evil.test/v1/listen"), BAD),
    (request(b".evil.test/v1/listen"), BAD),
    (request(b"*"), BAD),
    (request(b"/v1/listen?q=\xc3\xa9"), BAD),
    (request(b"/v1/listen?a b"), BAD),
    (request(LISTEN, b"Host: second.test"), BAD),
    (request(LISTEN).replace(b"Host: relay.test\r\n", b""), BAD),
    (request(LISTEN, b"X-Folded: a", b" b"), BAD),
    (request(LISTEN, b"X-Spaced : a"), BAD),
    (request(LISTEN, b"X-Split: a\rX-Other: b"), BAD),
    (request(LISTEN, b"X-Null: a\0b"), BAD),
    (request(LISTEN, b"Content-Length: 4") + b"body", BAD),
    (request(LISTEN, b"Content-Length: 4", b"Content-Length: 5") + b"body", BAD),
    (request(LISTEN, b"Transfer-Encoding: chunked") + b"4\r\nbody\r\n0\r\n\r\n", NO_UPGRADE),
    (request(LISTEN).replace(b"HTTP/1.1", b"HTTP/1.0"), NO_UPGRADE),
    (request(LISTEN).replace(b"HTTP/1.1", b"HTTP/2.0"), NO_UPGRADE),
    (request(LISTEN).replace(b"GET", b"POST"), NO_UPGRADE),
    (request(b"/v2/listen").replace(b"Upgrade: websocket", b"Upgrade: h2c"), NO_UPGRADE),
    (b"GET /v2/listen HTTP/1.1\r\nHost: x\r\n\r\n", NO_UPGRADE),
    (b"CONNECT .evil.test:443 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", NO_UPGRADE),
    (b"POST /v2/listen HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", NO_UPGRADE),
    (b"\x16\x03\x01\x02\x00\x01\x00" + bytes(100), BAD),
    (b"\r\n\r\nnonsense\r\n\r\n", BAD),
])
def test_what_is_refused(loop: str, head: bytes, expected: tuple[int, str]) -> None:
    async def main() -> None:
        async with rig(never) as relay:
            assert await answer(relay, head) == expected
            ledger = relay.app.ledger
            assert relay.errors == 0
            if expected == NOT_FOUND:
                verdict = (await relay.report()).verdict
                assert (verdict.outcome, verdict.code) == (Outcome.REFUSED_HERE, "sidecar_not_found")
            else:  # never a session, but counted
                assert sum(ledger.started_total.values()) == 0
                assert ledger.rejections[(expected[1].removeprefix("sidecar_"),)] == 1

    run(main(), loop)


@pytest.mark.parametrize("head", [
    request(LISTEN, b"Authorization: Token SECRET\x00"),
    request(b"/v1/listen?token=SECRET\x7f\x00"),
    request(LISTEN, b"Authorization : Token SECRET"),
    request(b"/v2/nowhere?token=SECRET", b"Authorization: Token SECRET"),
    request(b"/v1/listen?token=SECRET", b"Authorization: Token SECRET"),
], ids=["nul", "nul in the target", "space", "not found", "down"])
def test_no_key_is_repeated_anywhere(loop: str, head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with rig() as relay:
            assert relay.vendor is not None
            client = await relay.call(head)
            if b"listen?token=SECRET H" in head:
                (await relay.vendor.arrived.get()).rst()
            assert b"SECRET" not in await client.rest()
            assert "SECRET" not in str(relay.app.relay.sessions())

    run(main(), loop)
    assert "SECRET" not in caplog.text
    assert not any("SECRET" in str(vars(record)) for record in caplog.records)


def test_a_fault_of_ours_is_an_answer_and_a_report(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("broken")

    async def main() -> None:
        async with rig(never) as relay:
            monkeypatch.setattr("proxy.relay.relay.request_head", broken)
            assert await answer(relay, request()) == (500, "sidecar_internal")
            verdict = (await relay.report()).verdict
            assert (verdict.outcome, verdict.code, verdict.owner) == (Outcome.REFUSED_HERE, "sidecar_internal", Owner.SIDECAR)
            monkeypatch.setattr("proxy.relay.relay.Session", broken)
            assert await answer(relay, request()) == (500, "sidecar_internal")
            assert relay.app.ledger.rejections["internal",] == 1

    run(main(), loop)


def test_many_sessions_are_a_setting(loop: str) -> None:
    async def main() -> None:
        async with rig(limits=Limits(sessions=1)) as relay:
            client, _ = await relay.open()
            assert await answer(relay, request()) == (503, "sidecar_too_many_sessions")
            verdict = (await relay.report()).verdict
            assert (verdict.owner, verdict.outcome) == (Owner.SIDECAR, Outcome.REFUSED_HERE)
            client.rst()
            await relay.report()
            again, _ = await relay.open()
            again.rst()
            await relay.report()

    run(main(), loop)


def test_the_applications_own_ids(loop: str) -> None:
    async def main() -> None:
        async with rig(correlation=Correlation(headers=("X-Call-Id",), query=("tag",))) as relay:
            client, _ = await relay.open(request(TARGET + b"&tag=blue", b"X-Call-Id: 42"))
            client.rst()
            assert (await relay.report()).correlation == {"X-Call-Id": "42", "tag": "blue"}

    run(main(), loop)


def test_the_list_of_sessions(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            client, vendor = await relay.open()
            await client.send(frame(2, bytes(3200), mask=b"abcd"))
            await vendor.exactly(3208)
            page = json.loads(json.dumps(relay.app.relay.sessions()))
            [one] = page["open"]
            assert (one["vendor"], one["endpoint"], one["ready"], one["inspection"]) == ("deepgram", "v1", True, "full")
            assert one["audio_seconds"]["read"] == 0.1
            client.rst()
            await relay.report()
            page: dict[str, Any] = relay.app.relay.sessions()  # type: ignore[no-redef]
            assert page["open"] == []
            assert page["ended"][0]["session_id"] == one["session_id"]

    run(main(), loop)



def test_sessions_of_one_credential_are_counted(loop: str) -> None:
    async def main() -> None:
        async with rig() as relay:
            one, other = [b"Authorization: Token KEY-ONE"], [b"Authorization: Token KEY-TWO"]
            clients = [(await relay.open(request(TARGET, *headers)))[0] for headers in (one, one, other, [])]
            sessions = {call.session.started_at: call.session for call in relay.app.relay.calls}
            companies = [sessions[at].company for at in sorted(sessions)]
            assert [company.open for company in companies if company] == [1, 2, 1, 1]
            assert "KEY" not in repr(companies)
            for client in clients:
                client.rst()
                await relay.report()
            again, _ = await relay.open(request(TARGET, *one))
            (call,) = relay.app.relay.calls
            assert call.session.company is not None
            assert (call.session.company.open, call.session.company.per_minute) == (1, 3)
            again.rst()
            await relay.report()

    run(main(), loop)


def test_who_waits_too_long_to_be_taken_up_is_told(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many come at once, and each has a turn: what could not be dialled in time is not dialled, nor a session."""
    async def no_turn() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        async with rig(never) as relay:
            monkeypatch.setattr(relay.app.relay.turns, "mine", no_turn)
            monkeypatch.setattr(relay.app.dialer, "seconds", 0.1)
            assert await answer(relay, request(LISTEN)) == (503, "sidecar_too_many_dials")
            assert relay.app.ledger.rejections["too_many_dials",] == 1
            assert not relay.app.relay.calls

    run(main(), loop)


def test_who_has_waited_meets_the_settings_of_today(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were read again since the request came, and allow less."""
    async def main() -> None:
        async with rig(never) as relay:
            app, waits, turn = relay.app, asyncio.Event(), asyncio.Event()

            async def later() -> None:
                waits.set()
                await turn.wait()

            monkeypatch.setattr(app.relay.turns, "mine", later)
            asked = asyncio.create_task(answer(relay, request(LISTEN)))
            await waits.wait()
            app._doors = {place: replace(door, paths=()) for place, door in app._doors.items()}
            turn.set()
            assert await asked == (403, "sidecar_not_allowed")

    run(main(), loop)


def test_calls_whose_clients_have_left_take_no_place(loop: str) -> None:
    """A vendor restarts and all come back at once: what is still to be told of their first calls waits for its turn."""
    many = 30

    async def main() -> None:
        async with rig(accept_and_stay, limits=Limits(sessions=many)) as relay:
            clients = [await relay.call(request(TARGET)) for _ in range(many)]
            for client in clients:
                await client.head()
            assert await answer(relay, request(LISTEN)) == (503, "sidecar_too_many_sessions")

            async def again(client: Peer) -> bytes:
                with suppress(ConnectionError):
                    await client.rest()
                client.close()
                line = await relay.call(request(TARGET))
                return (await line.head())[:12]

            assert relay.vendor is not None
            for vendor in list(relay.vendor.peers):
                vendor.rst()
            assert set(await asyncio.gather(*map(again, clients))) == {b"HTTP/1.1 101"}

    run(main(), loop)
