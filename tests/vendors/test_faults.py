"""Each row's simulated fault, over real sockets through a sidecar, is told by a rule of that row, in both wordings of the vendor."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import aiohttp
import pytest

from proxy.app import App
from proxy.core.report import Report
from proxy.simulators import SIMULATORS
from proxy.simulators.caller import Manner, call
from proxy.simulators.dialects import AVATAR, NOVA, SCRIPTED, UNSCRIPTED, V3, VOICE, Dialect
from proxy.simulators.line import Wording
from tests.aio import run
from tests.e2e.rig import sidecar, upstream

from .coverage import ROWS, Row, rules_of

DIALECTS: Final = {"assemblyai": V3, "deepgram": NOVA, "nextevi": VOICE, "spatius": AVATAR, "elsa": UNSCRIPTED}
SPEAKS: Final = Manner(seconds=0.6, pace=4.0)
TOKENS: Final = "/v1/console/session-tokens"
HTTP: Final = {"spatius-19"}
"""Rows that are told in the answer to a plain request."""
UNANSWERED: Final = 2.0
"""Seconds to dial: for the row whose vendor never answers."""


def dialect(row: Row) -> Dialect:
    scripted = row.vendor == "elsa" and int(row.row.partition("-")[2]) > 17
    return SCRIPTED if scripted else DIALECTS[row.vendor]


async def reports(vendor: str, wording: Wording) -> dict[str, Report]:
    """The report on each row of a vendor's page, all of them shown at once: a simulator and a listener each."""
    async with AsyncExitStack() as stack:
        listeners = []
        for row in ROWS[vendor]:
            sim = await stack.enter_async_context(SIMULATORS[vendor](fault=row.fault, fault_after=0.2, wording=wording, strict=False))
            listeners.append({"name": row.row, "vendor": vendor, "upstream": upstream(sim)})
        beside = await stack.enter_async_context(sidecar(*listeners, timeouts={"dial": UNANSWERED}))
        called = [row for row in ROWS[vendor] if row.row not in HTTP]
        await asyncio.gather(*(call(beside.url(row.row), dialect(row), SPEAKS, 1.0, {}) for row in called))
        await asyncio.gather(*(ask(beside.url(row.row, "http")) for row in ROWS[vendor] if row.row in HTTP))
        found = [await beside.reports.next() for _ in called]
        check_requests(vendor, beside.app)
    return {report.listener: report for report in found}


async def ask(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(url + TOKENS, json={}, headers={"X-Api-Key": "k"}) as answer:
        await answer.read()


def check_requests(vendor: str, app: App) -> None:
    """A plain request has no report: its code is counted."""
    codes = {meaning.code for row in ROWS[vendor] if row.row in HTTP for _, meaning in rules_of(row)}
    assert {labels[1] for labels, times in app.ledger.request_errors.items() if times} == codes


@pytest.mark.parametrize("wording", ["documented", "live"])
@pytest.mark.parametrize("vendor", ROWS)
def test_a_fault_is_told_by_a_rule_of_its_row(vendor: str, wording: Wording) -> None:
    found = run(reports(vendor, wording))
    told = {row.row: found[row.row].verdict.rule for row in ROWS[vendor] if row.row not in HTTP}
    wrong = {name: rule for name, rule in told.items() if rule not in rules(vendor, name)}
    assert wrong == {}


def rules(vendor: str, name: str) -> list[str]:
    return [rule.id for row in ROWS[vendor] if row.row == name for rule, _ in rules_of(row)]
