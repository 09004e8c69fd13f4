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
        ("transport_eof", "network", "network", "backoff"),
        ("unclassified", "unclassified", "unknown", "after_fix"),
    }


def test_warnings_are_facts_and_messages_that_warn() -> None:
    assert set(known.warnings(profile())) == {*known.FACTS, "Warning"}


def test_foreseen_ends_are_plausible() -> None:
    assert len(set(known.ENDS)) == len(known.ENDS)
    assert {outcome for outcome, _, _ in known.ENDS} == set(Outcome)
    assert all((owner is Owner.NONE) == (outcome is Outcome.OK) for outcome, owner, _ in known.ENDS)
    assert (Outcome.ERROR, DEFAULTS[Category.NETWORK][0], Side.NETWORK) in known.ENDS
