from typing import Any

import pytest

from proxy.core.policy import Mode, Policy
from proxy.core.profile import Endpoint, Profile
from proxy.core.rules import Common
from proxy.core.verdict import DEFAULTS, Category, Outcome, Owner, Side
from proxy.telemetry import known

from .fakes import COMMON, profile, rule


def test_errors_of_the_rules_where_they_strike() -> None:
    auth, eof = ("INVALID_AUTH", "auth", "operator", "after_fix"), ("transport_eof", "network", "network", "backoff")
    both, unknown = ("BOTH", "auth", "operator", "after_fix"), ("unclassified", "unclassified", "unknown", "after_fix")
    assert list(known.errors(profile(), COMMON)) == [
        ("v1", "websocket_connect", *auth),
        ("v2", "websocket_runtime", "NET-0001", "idle_timeout", "operator", "immediate"),  # its rule names v2
        ("v1", "websocket_runtime", *both),
        ("v1", "websocket_connect", *both),
        ("v1", "websocket_connect", *unknown),
        ("v1", "websocket_runtime", *unknown),
        ("v1", "websocket_runtime", *eof),
        ("v2", "websocket_connect", *auth),
        ("v2", "websocket_runtime", *both),
        ("v2", "websocket_connect", *both),
        ("v2", "websocket_connect", *unknown),
        ("v2", "websocket_runtime", *unknown),
        ("v2", "websocket_runtime", *eof),
    ]


def test_where_there_is_no_room_the_likelier_come_first() -> None:
    many = tuple(rule(f"r{n}", f"code{n}") for n in range(100))
    labels = list(known.errors(profile(rules=many), COMMON))
    codes = [code for endpoint, _, code, *_ in labels if endpoint == "v1"]
    assert 10 < len(labels) < 100, "each code has a series in error_info already"
    assert codes == [f"code{n}" for n in range(len(codes))]
    assert len(list(known.errors(profile(rules=many, endpoints=("v1",)), COMMON))) > len(labels)


def test_with_no_room_at_all_nothing_is_foreseen() -> None:
    many = tuple(rule(f"r{n}", f"code{n}") for n in range(400))
    assert list(known.errors(profile(rules=many), COMMON)) == []


def test_a_rule_whose_conditions_name_the_phase() -> None:
    rules = ({"id": "a", "code": "a", "category": "auth", "hint": "h", "when": {"phase": "websocket_connect", "server_code": "x"},
              "examples": [{"frames": "{}"}]},)
    labels = known.errors(profile(rules=rules), Common(rules=()))
    assert [phase for endpoint, phase, code, *_ in labels if (endpoint, code) == ("v1", "a")] == ["websocket_connect"]


def test_meanings_of_all_errors() -> None:
    assert set(known.meanings(profile(), COMMON)) == {
        ("INVALID_AUTH", "auth", "operator", "after_fix"),
        ("NET-0001", "idle_timeout", "operator", "immediate"),
        ("BOTH", "auth", "operator", "after_fix"),
        ("TOKEN", "auth", "operator", "after_fix"),
        ("transport_eof", "network", "network", "backoff"),
        ("unclassified", "unclassified", "unknown", "after_fix"),
    }


ALWAYS = {"client_silent", "late_audio", "all_zero_audio", "container_in_raw", "text_in_audio", "odd_bytes", "format_mismatch"}


def test_warnings_are_facts_and_messages_that_warn() -> None:
    assert set(known.warnings(profile())) == {*ALWAYS, "Warning"}


@pytest.mark.parametrize(("change", "more"), [
    ({"ready": "message"}, {"never_ready", "early_audio"}),
    ({"limits": {"session_seconds": 60}}, {"near_limit"}),
    ({"limits": {"idle_seconds": 10}}, {"idle_soon"}),
    ({"limits": {"idle_query": "idle"}}, {"idle_soon"}),
    ({"server": {"kinds": {"Hello": {"role": "ready", "expires_at": "until"}}}}, {"near_limit"}),
    ({"server": {"kinds": {"Word": {"role": "result"}}}}, {"vendor_silent"}),
])
def test_facts_are_foreseen_where_the_profile_allows_for_them(change: dict[str, Any], more: set[str]) -> None:
    endpoint = {"audio": {"encoding": {}, "sample_rate": {}, "formats": {}}, "ready": "handshake"} | change
    assert set(known.facts(Endpoint.model_validate(endpoint))) == ALWAYS | more


def test_messages_that_need_not_end_a_session_warn_by_their_names() -> None:
    made = profile().model_dump()
    made["endpoints"]["v1"]["server"] = {"kinds": {
        "7": {"role": "error", "fatal": "if_last", "name": "trouble"}, "8": {"role": "error"}, "9": {"role": "error", "fatal": False},
    }, "untyped": ({"role": "warning", "name": "mumble"},)}
    assert set(known.warnings(Profile.model_validate(made))) == {*ALWAYS, "trouble", "9", "mumble", "Warning"}


def test_checks_that_the_rules_and_limits_give_reason_for() -> None:
    assert known.checks(profile()) == {"audio_received", "credentials"}
    several = tuple(rule(name, name, category=name) for name in ("audio_chunk", "rate_limit", "auth", "concurrency_limit"))
    assert known.checks(profile(rules=several)) == {"credentials", "connection_rate", "concurrency"}
    made = profile(rules=several).model_dump()
    made["endpoints"]["v1"] |= {"ready": "message", "limits": {"chunk_bytes": 9, "chunk_seconds": (0, 1), "messages_per_minute": 5},
                                "server": {"kinds": {"Done": {"role": "end", "audio_seconds": {"path": "s"}}}}}
    assert known.checks(Profile.model_validate(made)) == {
        "credentials", "connection_rate", "concurrency", "ready_before", "chunk_bytes", "chunk_duration", "message_rate", "reported_audio"}


def test_errors_of_plain_requests_are_no_sessions_errors() -> None:
    with_routes = profile(plain=True)
    assert known.request_errors(with_routes, COMMON) == [("TOKEN", "auth", "operator"), ("unclassified", "unclassified", "unknown")]
    assert known.request_errors(profile(), COMMON) == []
    assert "TOKEN" not in {code for _, _, code, *_ in known.errors(with_routes, COMMON)}
    assert "TOKEN" in {code for code, *_ in known.meanings(with_routes, COMMON)}


def limited(**limits: Any) -> Profile:
    """Its first endpoint has timed audio and these limits; the second one nothing."""
    made = profile().model_dump()
    made["endpoints"]["v1"] |= {"limits": limits}
    made["endpoints"]["v1"]["audio"]["formats"] = {"linear16": "pcm_s16le"}
    return Profile.model_validate(made)


def test_actions_of_the_rules_that_are_enforced_and_can_act() -> None:
    vendor = limited(chunk_seconds=(0.05, 1.0), messages_per_minute=100, sessions=3)
    enforcing = Policy(mode=Mode.ENFORCE)
    assert known.actions(vendor, enforcing) == [("pace", "delayed"), ("pace", "split"), ("chunk_duration", "split"),
                                                ("chunk_duration", "coalesced"), ("chunk_duration", "delayed")]
    named = Policy.model_validate({"rules": {"message_rate": {"mode": "enforce"}, "concurrency": {"mode": "enforce"}}})
    assert known.actions(vendor, named) == [("message_rate", "delayed"), ("message_rate", "coalesced"), ("concurrency", "refused")]
    assert known.actions(vendor, Policy()) == []


def test_shadows_of_the_rules_that_only_count() -> None:
    def counted(vendor: Profile, **policy: Any) -> list[str]:
        found = known.shadows(vendor, Policy.model_validate(policy))
        assert [outcome for _, outcome in found] == ["accepted", "rejected"] * (len(found) // 2)
        return [rule.value for rule, _ in found[::2]]

    vendor = limited(chunk_bytes=900, sessions=3)
    assert counted(vendor) == ["pace", "chunk_bytes", "audio_format", "concurrency"]
    assert counted(vendor, mode="enforce") == ["audio_format", "concurrency"]
    assert counted(vendor, mode="off", rules={"pace": {"mode": "observe"}}) == ["pace"]
    made = vendor.model_dump()
    made["endpoints"]["v1"]["audio"]["each_message"] = "wav"
    assert counted(Profile.model_validate(made), mode="enforce") == ["chunk_bytes", "audio_format", "concurrency"], "what cannot be cut"


def test_foreseen_ends_are_plausible() -> None:
    assert len(set(known.ENDS)) == len(known.ENDS)
    assert {outcome for outcome, _, _ in known.ENDS} == set(Outcome)
    assert all((owner is Owner.NONE) == (outcome is Outcome.OK) for outcome, owner, _ in known.ENDS)
    assert (Outcome.ERROR, DEFAULTS[Category.NETWORK][0], Side.NETWORK) in known.ENDS
