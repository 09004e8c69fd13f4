import json
from dataclasses import fields

import orjson
import pytest

from proxy.core.report import SCHEMA, Close, Evidence, Fact, Report, utc
from proxy.core.verdict import Category, Outcome, Verdict

NAMED = {
    "schema", "session_id", "trace_id", "span_id",
    "listener", "vendor", "endpoint", "started_at", "ready_at", "ended_at", "duration_seconds",
    "outcome", "phase", "code", "rule", "category", "owner", "rule_owner", "retry", "retry_after_seconds", "initiated_by", "ended_by",
    "client_close", "vendor_close", "http_status", "server_code", "server_title", "server_detail", "connection_id", "req_id", "close_code",
    "close_reason", "evidence", "self", "audio", "latency", "traffic", "actions", "facts", "inspection", "correlation", "hint",
}
"""The fields that other people's tools hold on to."""


def report(verdict: Verdict | None = None) -> Report:
    return Report(session_id="s", listener="main", started_at=utc(0), ended_at=utc(1.5), duration_seconds=1.5, verdict=verdict or Verdict())


def test_all_fields_of_the_contract_are_there_whatever_is_known() -> None:
    assert set(report().as_dict()) == NAMED
    assert report().as_dict()["schema"] == SCHEMA


def test_the_verdict_stands_at_the_top() -> None:
    told = report(Verdict(code="NET-0001", outcome=Outcome.ERROR, category=Category.IDLE_TIMEOUT)).as_dict()
    assert (told["code"], told["outcome"], told["category"]) == ("NET-0001", "error", "idle_timeout")
    assert "verdict" not in told


def test_no_name_of_the_verdict_hides_one_of_the_report() -> None:
    assert not {field.name for field in fields(Report)} & {field.name for field in fields(Verdict)}


def test_it_is_json_all_the_way() -> None:
    whole = report()
    whole.vendor_close = Close(5004, None, utc(1))
    whole.evidence.append(Evidence("idle", "delivered", 10.0, 0.0, "s", 10.0, 2.0, "yes"))
    whole.facts.append(Fact("vendor_silent", utc(1), 3.0))
    read = json.loads(orjson.dumps(whole.as_dict()))
    assert read["vendor_close"] == {"code": 5004, "reason": None, "at": utc(1)}
    assert read["evidence"][0]["agrees"] == "yes"
    assert read["facts"] == [{"fact": "vendor_silent", "at": utc(1), "seconds": 3.0}]
    assert read["self"]["buffered_bytes_max"] == 0
    assert read["inspection"] == "full"


def test_two_reports_share_nothing() -> None:
    one, other = report(), report()
    one.evidence.append(Evidence("idle", None, None, None, "s", None, None, "cannot_tell"))
    one.actions["delayed"] = 1
    assert not other.evidence
    assert not other.actions


@pytest.mark.parametrize(("wall", "text"), [(0, "1970-01-01T00:00:00.000Z"), (1700000000.1239, "2023-11-14T22:13:20.123Z")])
def test_times_are_utc_with_milliseconds(wall: float, text: str) -> None:
    assert utc(wall) == text
