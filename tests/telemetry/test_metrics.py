import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from proxy.core.policy import Policy, Rule
from proxy.core.profile import Profile
from proxy.core.rules import Common
from proxy.core.tally import FRAME_TYPES, GOOD, STALLED, Histogram
from proxy.core.verdict import Outcome
from proxy.telemetry.catalogue import METRICS
from proxy.telemetry.ledger import Ledger
from proxy.telemetry.metrics import Metrics

from .fakes import COMMON, FakeSession, profile, report, rule

CONFIG = Path(__file__).parents[2] / "config"
PROFILES = sorted((CONFIG / "vendors").glob("*.yaml"))
PROCESS_WIDE = ("earwitness_requests_rejected_", "earwitness_event_loop_lag_", "earwitness_overloaded", "earwitness_buffered_",
                "earwitness_build_", "earwitness_config_", "earwitness_telemetry_")


def read(metrics: Metrics) -> dict[str, float]:
    """All series of ours by `name{label=value,...}`, labels sorted."""
    families: Iterable = text_string_to_metric_families(metrics.render("")[0].decode())  # type: ignore[type-arg]
    return {
        f"{s.name}{{{','.join(f'{k}={v}' for k, v in sorted(s.labels.items()))}}}": s.value
        for family in families for s in family.samples if s.name.startswith("earwitness_")
    }


ENFORCING: dict[str, Any] = {"mode": "enforce", "rules": {"audio_chunk_rate": {"mode": "enforce", "per_second": 50}}}


def small() -> tuple[Ledger, Metrics]:
    book = Ledger({"main": profile()}, COMMON, strict=True)
    return book, Metrics(book, "1.2.3")


def test_every_metric_of_the_catalogue_has_rows_and_no_other() -> None:
    book = Ledger({"main": profile(plain=True)}, COMMON, {"main": Policy.model_validate(ENFORCING)}, strict=True)
    metrics = Metrics(book, "1.2.3")
    book.started(FakeSession())
    book.policy_delay("acme", 0.5)
    rows = metrics.rows()
    assert set(rows) == {metric.name for metric in METRICS}
    for metric in METRICS:
        some = list(rows[metric.name])
        assert some, f"{metric.name} has no series at rest"
        for labels, value in some:
            assert len(labels) == len(metric.labels)
            assert isinstance(value, Histogram) == (metric.kind == "histogram")
            if isinstance(value, Histogram):
                assert value.bounds == metric.buckets


def test_open_and_finished_sessions_add_up() -> None:
    book, metrics = small()
    for number, endpoint in enumerate(("v1", "v2", "v1")):
        session = FakeSession(endpoint=endpoint)
        session.to_vendor.frames[0], session.to_vendor.bytes[0], session.to_client.frames[2] = 10, 3200, 1
        session.audio.read, session.audio.delivered, session.audio.silent = 1.5, 1.0, 0.25
        session.lead_seconds, session.undelivered_seconds, session.buffered = float(number), 0.5, (100, 10)
        session.held_seconds = 3.0 - number
        book.started(session)
        if number == 0:
            book.ended(session, report())
    series = read(metrics)
    assert series["earwitness_frames_total{direction=to_vendor,type=audio,vendor=acme}"] == 30
    assert series["earwitness_frame_bytes_total{direction=to_vendor,type=audio,vendor=acme}"] == 9600
    assert series["earwitness_frames_total{direction=to_client,type=text,vendor=acme}"] == 3
    assert series["earwitness_audio_seconds_total{listener=main,stage=read,vendor=acme}"] == 4.5
    assert series["earwitness_audio_seconds_total{listener=main,stage=delivered,vendor=acme}"] == 3
    assert series["earwitness_audio_silent_seconds_total{vendor=acme}"] == 0.75
    assert series["earwitness_audio_lead_seconds{vendor=acme}"] == 2
    assert series["earwitness_policy_debt_seconds{vendor=acme}"] == 2
    assert series["earwitness_undelivered_seconds{vendor=acme}"] == 1
    assert series["earwitness_buffered_bytes{direction=to_vendor}"] == 200
    assert series["earwitness_buffered_bytes{direction=to_client}"] == 20
    assert series["earwitness_sessions_active{endpoint=v1,listener=main,vendor=acme}"] == 1
    assert series["earwitness_build_info{version=1.2.3}"] == 1


def test_a_scrape_changes_nothing() -> None:
    book, metrics = small()
    session = FakeSession()
    session.to_vendor.frames[0] = 1
    book.started(session)
    assert read(metrics) == read(metrics)
    book.ended(session, report())
    assert read(metrics)["earwitness_frames_total{direction=to_vendor,type=audio,vendor=acme}"] == 1


def test_counters_never_go_back() -> None:
    book, metrics = small()
    chance = random.Random(1)
    opened: list[FakeSession] = []
    before = read(metrics)
    for _ in range(60):
        if opened and chance.random() < 0.4:
            book.ended(opened.pop(chance.randrange(len(opened))), report(chance.choice(list(Outcome))))
        else:
            opened.append(FakeSession(endpoint=chance.choice(("v1", "v2", "unknown"))))
            book.started(opened[-1])
        for session in opened:
            session.to_vendor.frames[chance.randrange(len(FRAME_TYPES))] += 1
            session.audio.written += 0.1
        after = read(metrics)
        for name, value in before.items():
            if "_total{" in name or "_count{" in name or "_bucket{" in name:
                assert after[name] >= value - 1e-9, name
        before = after


def test_audio_tables_are_summed_over_endpoints_and_results_are_not() -> None:
    book, metrics = small()
    for endpoint, seconds in (("v1", 0.02), ("v2", 0.1)):
        tables = book.tables("main", "acme", endpoint)
        tables.chunk.observe(seconds)
        tables.ready.observe(0.3)
        tables.interim_lag.observe(0.4)
    series = read(metrics)
    assert series["earwitness_audio_chunk_seconds_count{vendor=acme}"] == 2
    assert series["earwitness_audio_chunk_seconds_bucket{le=0.05,vendor=acme}"] == 1
    assert series["earwitness_ready_seconds_count{endpoint=v2,vendor=acme}"] == 1
    assert series["earwitness_result_lag_seconds_count{endpoint=v1,kind=interim,vendor=acme}"] == 1
    assert series["earwitness_result_lag_seconds_count{endpoint=v1,kind=final,vendor=acme}"] == 0


def test_two_listeners_of_one_vendor() -> None:
    book = Ledger({"one": profile(), "two": profile()}, COMMON, strict=True)
    for listener in ("one", "two", "two"):
        session = FakeSession(listener)
        session.to_vendor.frames[0], session.audio.read, session.undelivered_seconds, session.lead_seconds = 1, 1.0, 0.5, 0.1
        book.started(session)
    series = read(Metrics(book, "1"))
    assert series["earwitness_frames_total{direction=to_vendor,type=audio,vendor=acme}"] == 3
    assert series["earwitness_audio_seconds_total{listener=two,stage=read,vendor=acme}"] == 2
    assert series["earwitness_undelivered_seconds{vendor=acme}"] == 1.5
    assert series["earwitness_audio_lead_seconds{vendor=acme}"] == 0.1


def test_service_is_told_by_listener_and_what_is_the_vendors_is_summed() -> None:
    book = Ledger({"one": profile(), "two": profile()}, COMMON, strict=True)
    for listener, seconds in (("one", 3.0), ("two", 5.0)):
        tables = book.tables(listener, "acme", "v1")
        tables.served[GOOD], tables.served[STALLED] = seconds, 1.0
        tables.finals += 1
        tables.ready.observe(0.3)
        tables.gap.observe(0.1)
    series = read(Metrics(book, "1"))
    assert series["earwitness_service_seconds_total{endpoint=v1,listener=one,state=good,vendor=acme}"] == 3
    assert series["earwitness_service_seconds_total{endpoint=v1,listener=two,state=good,vendor=acme}"] == 5
    assert series["earwitness_service_seconds_total{endpoint=v1,listener=two,state=stalled,vendor=acme}"] == 1
    assert series["earwitness_service_seconds_total{endpoint=v2,listener=two,state=not_ready,vendor=acme}"] == 0
    assert series["earwitness_results_total{endpoint=v1,kind=final,vendor=acme}"] == 2
    assert series["earwitness_ready_seconds_count{endpoint=v1,vendor=acme}"] == 2
    assert series["earwitness_audio_gap_seconds_count{vendor=acme}"] == 2


def test_an_error_becomes_one_series_that_was_there_before() -> None:
    book, metrics = small()
    at_rest = read(metrics)
    session = FakeSession()
    book.started(session)
    book.ended(session, report(Outcome.ERROR))
    after = read(metrics)
    assert set(after) == set(at_rest)
    assert [name for name in after if name.startswith("earwitness_errors_total") and after[name] != at_rest[name]] == [
        "earwitness_errors_total{category=auth,code=INVALID_AUTH,endpoint=v1,listener=main,owner=operator,"
        "phase=websocket_connect,retry=after_fix,vendor=acme}"
    ]


@pytest.mark.parametrize("endpoints", [("v1",), ("v1", "v2")])
def test_the_room_at_rest_is_used_and_kept_to(endpoints: tuple[str, ...]) -> None:
    rules = tuple(rule(f"r{number}", f"code{number}") for number in range(120))
    series = at_rest(profile(endpoints=endpoints, rules=rules), COMMON)
    assert len(series) == 400


def at_rest(profile: Profile, common: Common, policy: Policy | None = None) -> list[str]:
    policies = {profile.vendor: policy} if policy is not None else None
    metrics = Metrics(Ledger({profile.vendor: profile}, common, policies, strict=True), "1")
    return [name for name in read(metrics) if not name.startswith(PROCESS_WIDE)]


def test_the_profiles_are_found() -> None:
    assert PROFILES
    assert (CONFIG / "common.yaml").exists()


NUMBERED = {"chunk_duration": {"min_seconds": 0.05, "max_seconds": 1.0}, "chunk_bytes": {"max_bytes": 9000},
            "message_rate": {"per_minute": 600}, "audio_chunk_rate": {"per_second": 60}, "session_duration": {"seconds": 600},
            "connection_rate": {"per_minute": 60}, "concurrency": {"sessions": 5}}
POLICIES = {
    "off": {"mode": "off"},
    "observe": {},
    "enforce": {"mode": "enforce"},
    "every rule by name": {"rules": {rule.value: {"mode": "enforce"} for rule in Rule}},
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_at_rest_a_listener_has_at_most_400_series(path: Path, policy: dict[str, Any]) -> None:
    profile = Profile.model_validate(yaml.safe_load(path.read_text()))
    common = Common.model_validate(yaml.safe_load((CONFIG / "common.yaml").read_text()))
    assert len(at_rest(profile, common, Policy.model_validate(policy))) <= 400
    assert len(at_rest(profile, common, Policy.model_validate({**policy, "rules": NUMBERED}))) <= 400


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_plain_rule_of_a_profile_has_its_series(path: Path, policy: dict[str, Any]) -> None:
    profile = Profile.model_validate(yaml.safe_load(path.read_text()))
    common = Common.model_validate(yaml.safe_load((CONFIG / "common.yaml").read_text()))
    series = at_rest(profile, common, Policy.model_validate(policy))
    for code in {one.code for one in profile.rules if not one.one_of and one.outcome == "error"}:
        counters = ("earwitness_errors_total{", "earwitness_http_errors_total{")
        assert any(name.startswith(counters) and f"code={code}," in name for name in series)
        assert any(name.startswith("earwitness_error_info{") and f",code={code}," in name for name in series)
