from collections import Counter

from proxy.core.profile import Common
from proxy.core.verdict import DEFAULTS, Category, Outcome, Owner, Side
from proxy.telemetry import known

from .fakes import COMMON, profile


def test_errors_of_the_rules_where_they_strike() -> None:
    labels = set(known.errors(profile(), COMMON))
    assert ("v1", "websocket_connect", "INVALID_AUTH", "auth", "operator", "after_fix") in labels
    assert ("v2", "websocket_runtime", "NET-0001", "idle_timeout", "operator", "immediate") in labels
    assert ("v1", "websocket_runtime", "transport_eof", "network", "network", "backoff") in labels
    assert ("v1", "websocket_runtime", "unclassified", "unclassified", "unknown", "after_fix") in labels
    assert ("v1", "websocket_connect", "unclassified", "unclassified", "unknown", "after_fix") in labels
    assert {phase for _, phase, code, *_ in labels if code == "BOTH"} == {"websocket_connect", "websocket_runtime"}


def test_no_errors_that_cannot_be_foreseen() -> None:
    labels = set(known.errors(profile(), COMMON))
    assert not [row for row in labels if row[2] == "normal"], "an end that is fine is no error"
    assert ("v1", "websocket_runtime", "NET-0001", "idle_timeout", "operator", "immediate") not in labels, "the rule names v2"
    assert len(labels) == 7


def test_a_rule_whose_conditions_name_the_phase() -> None:
    rules = ({"id": "a", "code": "a", "category": "auth", "hint": "h", "when": {"phase": "websocket_connect", "server_code": "x"},
              "examples": [{"frames": "{}"}]},)
    phases = Counter(phase for _, phase, code, *_ in known.errors(profile(rules=rules), Common(rules=())) if code == "a")
    assert phases == {"websocket_connect": 1}


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
