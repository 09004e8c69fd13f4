"""Who is let in, with a fleet whose answers the test gives: what the client, the vendor, the book and the fleet get of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from proxy.app import App
from proxy.core.fleet import Lease, Terms
from proxy.core.policy import Policy, Rule
from proxy.relay.admission import Admission
from tests.aio import run
from tests.relay.peers import Rig, listening, relaying, request, settings, until
from tests.relay.policies import GOODBYE, close, policy

SHARED: Final[dict[str, Any]] = {"concurrency": {"scope": "fleet", "sessions": 2}}
MINE: Final = request(b"/v1/listen", b"Authorization: Token " + b"a" * 20)


class Told:
    """A fleet. `says` None: nobody answers; `crowded`: what it says; `waits`: not before the test lets it."""

    def __init__(self) -> None:
        self.says: bool | None = True
        self.crowded = frozenset[Rule]()
        self.waits: asyncio.Event | None = None
        self.came: list[tuple[str, str, Terms]] = []
        self.gone: list[tuple[bool, bool]] = []

    @property
    def answers(self) -> bool:
        return self.says is not None

    def come(self, name: str, vendor: str, credential: str, terms: Terms) -> Lease:
        self.came.append((vendor, credential, terms))
        lease = Lease(name, "group", terms, 0.0)
        if not terms.refuses:
            lease.crowded = self.crowded
        return lease

    async def answered(self, lease: Lease) -> bool:
        if self.waits is not None:
            await self.waits.wait()
        if self.says is None:
            return False
        lease.crowded = self.crowded
        lease.refused = None if self.says else next(iter(self.crowded))
        return True

    def left(self, lease: Lease, lingers: bool = False, forgotten: bool = False) -> None:
        self.gone.append((lingers, forgotten))


@asynccontextmanager
async def admitting(fleet: Told, chosen: Policy, account: str | None = None) -> AsyncIterator[Rig]:
    def prepare(app: App) -> None:
        app.relay.admission = Admission(app.ledger.fell_back, fleet)

    async with listening() as vendor:
        own = settings(vendor.url, listener={"policy": chosen, "account": account})
        async with relaying(own, vendor, prepare=prepare) as relay:
            yield relay


@pytest.mark.parametrize("chosen", [
    policy("enforce"), policy(concurrency={"sessions": 2}), Policy.model_validate({"mode": "off", "rules": SHARED}),
])
def test_nothing_is_asked_where_the_policy_does_not_ask_for_it(chosen: Policy) -> None:
    async def main() -> None:
        fleet = Told()
        async with admitting(fleet, chosen) as relay:
            await relay.open()
            [call] = relay.app.relay.calls
            assert call.applicant is None
        assert (fleet.came, fleet.gone) == ([], [])

    run(main())


@pytest.mark.parametrize(("rule", "code"), [
    (Rule.CONCURRENCY, "sidecar_concurrency_limited"), (Rule.CONNECTION_RATE, "sidecar_rate_limited")])
def test_one_too_many_is_refused_before_anything_leaves(loop: str, rule: Rule, code: str) -> None:
    async def main() -> None:
        fleet = Told()
        fleet.says, fleet.crowded = False, frozenset({rule})
        chosen = policy(concurrency={"scope": "fleet", "sessions": 2}, connection_rate={"scope": "fleet", "per_minute": 9})
        async with admitting(fleet, chosen) as relay:
            for _ in range(2):
                client = await relay.call(MINE)
                head, _ = await client.message()
                assert head.startswith(b"HTTP/1.1 429 ")
                assert b"\r\nRetry-After: " in head
                assert b"\r\nx-earwitness: " + code.encode() in head
                report = await relay.report()
                assert (report.verdict.outcome, report.verdict.code) == ("refused_here", code)
                assert report.actions == {f"{rule}.refused": 1}
            assert relay.vendor is not None
            assert relay.vendor.peers == []
            assert not relay.app.ledger.fallbacks["deepgram",]
        [(vendor, credential, terms), _] = fleet.came
        assert (vendor, credential) == ("deepgram", "Token " + "a" * 20)
        assert (terms.per_minute, terms.sessions) == (9, 2)
        assert fleet.gone == [(False, True)] * 2

    run(main(), loop)


def test_where_nobody_answers_calls_go_on_and_are_counted(loop: str) -> None:
    async def main() -> None:
        fleet = Told()
        fleet.says = None
        async with admitting(fleet, policy(concurrency={"scope": "fleet", "sessions": 1})) as relay:
            for _ in range(3):
                await relay.open(MINE)
            assert relay.app.ledger.fallbacks["deepgram",] == 3

    run(main(), loop)


def test_a_local_share_holds_meanwhile() -> None:
    async def main() -> None:
        fleet = Told()
        fleet.says = None
        async with admitting(fleet, policy(concurrency={"scope": "fleet", "sessions": 4, "local_share": 0.5})) as relay:
            for _ in range(2):
                await relay.open(MINE)
            for _ in range(2):
                client = await relay.call(MINE)
                assert b"x-earwitness: sidecar_concurrency_limited\r\n" in await client.head()
                await relay.report()
            assert relay.app.ledger.fallbacks["deepgram",] == 4
            fleet.says = True  # the whole limit counts again
            await relay.open(MINE)

    run(main())


def test_an_account_stands_for_all_its_credentials() -> None:
    async def main() -> None:
        fleet = Told()
        async with admitting(fleet, policy(concurrency={"scope": "fleet", "sessions": 4}), account="ours") as relay:
            await relay.open(MINE)
            await relay.open(request(b"/v1/listen", b"Authorization: Token " + b"b" * 20))
            assert {call.session.company.open for call in relay.app.relay.calls if call.session.company} == {1, 2}
        assert [credential for _, credential, _ in fleet.came] == ["ours"] * 2

    run(main())


def test_a_client_that_leaves_while_the_fleet_is_asked_leaves_no_slot(loop: str) -> None:
    async def main() -> None:
        fleet = Told()
        fleet.waits = asyncio.Event()
        async with admitting(fleet, policy(concurrency={"scope": "fleet", "sessions": 1})) as relay:
            client = await relay.call(MINE)
            await until(lambda: bool(fleet.came))
            client.rst()
            report = await relay.report()
            assert report.verdict.outcome == "abandoned"
            assert fleet.gone == [(False, True)]
            assert relay.vendor is not None
            assert relay.vendor.peers == []

    run(main(), loop)


def test_a_process_that_ends_while_the_fleet_is_asked_leaves_none_either(loop: str) -> None:
    async def main() -> None:
        fleet = Told()
        fleet.waits = asyncio.Event()
        async with admitting(fleet, policy(concurrency={"scope": "fleet", "sessions": 1})) as relay:
            client = await relay.call(MINE)
            await until(lambda: bool(fleet.came))
            relay.app.drain(at_once=True)
            assert b"x-earwitness: sidecar_draining\r\n" in await client.head()
            await relay.report()
            assert fleet.gone == [(False, True)]

    run(main(), loop)


@pytest.mark.parametrize(("how", "lingers"), [("closed by the vendor", False), ("goodbye", False), ("cut by the client", True)])
def test_a_slot_lingers_after_an_end_that_the_vendor_may_not_have_noticed(loop: str, how: str, lingers: bool) -> None:
    async def main() -> None:
        fleet = Told()
        async with admitting(fleet, policy(concurrency={"scope": "fleet", "sessions": 1})) as relay:
            client, vendor = await relay.open(MINE)
            if how == "cut by the client":
                client.rst()
            else:
                await vendor.send(close(1000) if how == "closed by the vendor" else GOODBYE)
                vendor.writer.close()
                await client.rest()
                client.writer.close()
            await relay.report()
            assert fleet.gone == [(lingers, False)]

    run(main(), loop)


def test_a_rule_that_only_observes_waits_for_nothing_and_is_counted() -> None:
    async def main() -> None:
        fleet = Told()
        fleet.waits = asyncio.Event()  # would wait for ever
        fleet.crowded = frozenset({Rule.CONCURRENCY})
        async with admitting(fleet, Policy.model_validate({"rules": SHARED})) as relay:
            client, vendor = await relay.open(MINE)
            vendor.writer.close()
            await client.rest()
            client.writer.close()
            await relay.report()
            assert relay.app.ledger.shadows["deepgram", "concurrency", "accepted"] == 1
            before = relay.app.ledger.fallbacks["deepgram",]
            fleet.says = None
            await relay.open(MINE)
            assert (before, relay.app.ledger.fallbacks["deepgram",]) == (0, 1)

    run(main())
