"""Which policy holds at a listener, and what is said of one that contradicts itself, or that its vendor cannot have."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.core.policy import Mode, Policy, Rule
from proxy.settings import Overrides, check, load, packaged
from proxy.settings.policies import merged
from tests.settings.conftest import ACME
from tests.settings.test_load import HEAD, loaded, refused, told

LIMITED = ACME.replace("    ready: handshake\n", """\
    ready: handshake
    limits: {chunk_seconds: [0.05, 1], session_seconds: 600, idle_seconds: 10}
    client:
      kinds:
        Stop: {role: end, send: '{"type":"Stop"}'}
        Alive: {role: keep_alive, send: '{"type":"Alive"}'}
        Config: {role: control}
""")
"""A vendor with limits, an end message and a keep-alive."""


@pytest.fixture
def limited(folder: Path) -> Path:
    (folder / "acme.yaml").write_text(LIMITED)
    return folder


def policies(folder: Path, text: str, env: dict[str, str] | None = None, overrides: Overrides | None = None) -> list[Policy]:
    return [listener.policy for listener in loaded(folder, text, env, overrides).listeners]


def test_without_a_word_everything_is_observed(folder: Path) -> None:
    (policy,) = policies(folder, HEAD)
    assert {policy.mode_of(rule) for rule in Rule} == {Mode.OBSERVE}


def test_the_nearer_wins_key_by_key(limited: Path) -> None:
    one, two = policies(limited, """\
profiles: [acme.yaml]
policy: {mode: enforce, rules: {pace: {rate: 1.1, lead_seconds: 3}, idle: {mode: off}, chunk_bytes: {max_bytes: 32000}}}
listeners:
- {vendor: acme, policy: {rules: {pace: {lead_seconds: 2}, idle: {max_seconds: 9}}}}
- {vendor: acme, name: b, listen: 127.0.0.1:1, policy: {mode: off, rules: {chunk_bytes: {mode: enforce}}}}
""")
    assert (one.mode, one.rules.pace.rate, one.rules.pace.lead_seconds) == (Mode.ENFORCE, 1.1, 2)
    assert (one.mode_of(Rule.IDLE), one.rules.idle.max_seconds) == (Mode.OFF, 9)
    assert (two.mode, two.rules.pace.lead_seconds, two.mode_of(Rule.PACE)) == (Mode.OFF, 3, Mode.OFF)
    assert (two.mode_of(Rule.CHUNK_BYTES), two.rules.chunk_bytes.max_bytes) == (Mode.ENFORCE, 32000)


def test_what_is_written_as_its_default_is_written_all_the_same() -> None:
    everywhere = Policy.model_validate({"mode": "enforce", "rules": {"pace": {"rate": 2}}})
    own = Policy.model_validate({"mode": "observe", "rules": {"pace": {"rate": 1.0}}})
    assert (merged(everywhere, own).mode, merged(everywhere, own).rules.pace.rate) == (Mode.OBSERVE, 1.0)
    assert merged(everywhere, Policy()) == everywhere


def test_null_is_what_stands_farther_off(limited: Path) -> None:
    (policy,) = policies(limited, """\
profiles: [acme.yaml]
policy: {mode: enforce, rules: {pace: {mode: off, rate: null}}}
listeners:
- {vendor: acme, policy: {mode: null, rules: {pace: {mode: null}, chunk_bytes: null}}}
""")
    assert (policy.mode, policy.mode_of(Rule.PACE), policy.rules.pace.rate) == (Mode.ENFORCE, Mode.OFF, 1.0)


def test_the_environment_sets_scalars(limited: Path) -> None:
    env = {"EARWITNESS__POLICY__MODE": "enforce", "EARWITNESS__LISTENERS__0__POLICY__RULES__PACE__LEAD_SECONDS": "2.5"}
    (policy,) = policies(limited, HEAD, env)
    assert (policy.mode, policy.rules.pace.lead_seconds) == (Mode.ENFORCE, 2.5)
    assert refused(limited, HEAD, {"EARWITNESS__POLICY__MODE": "yes"}) == [
        "environment: EARWITNESS__POLICY__MODE: should be 'off', 'observe' or 'enforce', not 'yes'",
    ]


def test_the_flag_beats_every_mode_but_a_rules_own(limited: Path) -> None:
    text = """\
profiles: [acme.yaml]
policy: {mode: observe, rules: {pace: {mode: observe}}}
listeners:
- {vendor: acme, policy: {mode: off, rules: {chunk_duration: {mode: off}}}}
- {vendor: acme, name: b, listen: 127.0.0.1:1}
"""
    env = {"EARWITNESS__POLICY__MODE": "off"}
    one, two = policies(limited, text, env, Overrides(enforce=True))
    assert [one.mode_of(rule) for rule in (Rule.PACE, Rule.CHUNK_DURATION, Rule.END_PROPERLY)] == [Mode.OBSERVE, Mode.OFF, Mode.ENFORCE]
    assert [two.mode_of(rule) for rule in (Rule.PACE, Rule.CHUNK_DURATION, Rule.IDLE)] == [Mode.OBSERVE, Mode.ENFORCE, Mode.OBSERVE]
    (alone,) = policies(limited, text, None, Overrides(vendor="acme", enforce=True))
    assert alone.enforces(Rule.CHUNK_DURATION)


NUMBERS = [
    ("policy: 5", ["4: policy: should be a map of names to values"]),
    ("policy: {mode: on}", ["4: policy.mode: should be 'off', 'observe' or 'enforce', not 'on'"]),
    ("policy:\n  rules:\n    pase: {}", ["6: policy.rules.pase: unknown key; did you mean 'pace'?"]),
    ("policy: {rules: {idle: {pause: 5}}}", ["4: policy.rules.idle.pause: unknown key; known are max_seconds, mode"]),
    ("policy: {rules: {pace: {rate: 0, lead_seconds: '5', credit_seconds: .inf}}}", [
        "4: policy.rules.pace.credit_seconds: should be a finite number",
        "4: policy.rules.pace.lead_seconds: should be a number",
        "4: policy.rules.pace.rate: should be greater than 0",
    ]),
    ("policy: {rules: {chunk_bytes: {max_bytes: 10}}}", [
        "4: policy.rules.chunk_bytes.max_bytes: should be greater than or equal to 64",
    ]),
    ("policy: {rules: {pace: {lead_seconds: 1.0e-9}, chunk_duration: {max_seconds: 1.0e-7}}}", [
        "4: policy.rules.chunk_duration.max_seconds: should be greater than or equal to 0.01",
        "4: policy.rules.pace.lead_seconds: should be greater than or equal to 0.01",
    ]),
    ("  policy:\n    rules:\n      chunk_duration: {min_seconds: 0.6, max_seconds: 1}", [
        "6: listeners.0.policy.rules.chunk_duration: "
        "max_seconds must be at least twice min_seconds, else not every chunk can be made to fit",
    ]),
]


@pytest.mark.parametrize(("text", "problems"), NUMBERS, ids=[text.partition("\n")[0] for text, _ in NUMBERS])
def test_values_that_are_none(folder: Path, text: str, problems: list[str]) -> None:
    assert refused(folder, HEAD + text) == problems


TOO_NEAR = "the most must be at least twice the least for every chunk to fit: 0.6 s and 1 s are too near"
CONTRADICTIONS = [
    ("  policy:\n    rules:\n      chunk_duration: {min_seconds: 0.6}", [f"6: listeners.0.policy.rules.chunk_duration: {TOO_NEAR}"]),
    ("policy:\n  rules: {chunk_duration: {min_seconds: 0.6}}", [f"5: policy.rules.chunk_duration: {TOO_NEAR}"]),
    ("policy:\n  rules: {chunk_duration: {mode: off, min_seconds: 0.6}}", []),
    ("policy:\n  rules: {chunk_duration: {wait_seconds: 0.01}}", [
        "5: policy.rules.chunk_duration: a wait of 0.01 s is too short for chunks of at least 0.05 s to fill",
    ]),
    ("policy:\n  rules: {chunk_bytes: {max_bytes: 1599}}", [
        "5: policy.rules.chunk_bytes: pieces of 1599 bytes are too short for chunks of at least 0.05 s: 1600 bytes have to fit",
    ]),
    ("policy:\n  rules: {chunk_bytes: {max_bytes: 1600}}", []),
    ("  policy:\n    rules:\n      message_rate: {mode: enforce}", [
        "6: listeners.0.policy.rules.message_rate.mode: cannot be enforced at acme: it publishes no limit; set per_minute",
    ]),
    ("policy: {rules: {message_rate: {mode: enforce, per_minute: 600}}}", []),
    ("policy:\n  rules:\n    concurrency: {mode: enforce}", [
        "6: policy.rules.concurrency.mode: cannot be enforced at acme: it publishes no limit; set sessions",
    ]),
    ("policy: {rules: {session_duration: {mode: enforce}, idle: {mode: enforce}, message_shape: {mode: enforce}}}", []),
    ("policy: {mode: enforce}", []),
]


@pytest.mark.parametrize(("text", "problems"), CONTRADICTIONS, ids=[text for text, _ in CONTRADICTIONS])
def test_contradictions_with_the_vendors_limits(limited: Path, text: str, problems: list[str]) -> None:
    (limited / "settings.yaml").write_text(HEAD + text)
    assert told(limited / "settings.yaml") == problems


NEAR, LONG = "chunk_seconds: [0.02, 0.03]", "chunk_seconds: [2, 10]"


@pytest.mark.parametrize("limits", [NEAR, LONG, "chunk_seconds: [0.1, 0.1]"])
def test_limits_of_the_vendors_alone_are_no_mistake_of_whoever_only_observes(folder: Path, limits: str) -> None:
    (folder / "acme.yaml").write_text(LIMITED.replace("chunk_seconds: [0.05, 1]", limits))
    loaded(folder, HEAD)
    loaded(folder, HEAD + "policy: {rules: {pace: {mode: enforce}}}")
    [problem] = refused(folder, HEAD + "policy: {rules: {chunk_duration: {mode: enforce}}}")
    assert problem.startswith("4: policy.rules.chunk_duration: ")


def test_a_vendors_least_chunk_is_not_longer_than_its_longest(folder: Path) -> None:
    (folder / "acme.yaml").write_text(LIMITED.replace("chunk_seconds: [0.05, 1]", "chunk_seconds: [1, 0.05]"))
    assert "chunk_seconds: the least comes first" in refused(folder, HEAD)[0]


@pytest.mark.parametrize("limit", ["session_seconds: true", "chunk_bytes: true", "chunks_per_second: '0.5'"])
def test_a_vendors_limits_are_numbers(folder: Path, limit: str) -> None:
    (folder / "acme.yaml").write_text(LIMITED.replace("session_seconds: 600", limit))
    assert ": should be a" in refused(folder, HEAD)[0]


PLAIN = "cannot be enforced at acme: "
IMPOSSIBLE = [
    ("idle", ACME, "it has no keep-alive message that could be sent for a client"),
    ("idle", LIMITED.replace(", idle_seconds: 10", ""), "when it ends idle sessions is not known"),
    ("idle", LIMITED.replace("keep_alive, send: '{\"type\":\"Alive\"}'", "keep_alive"),
     "it has no keep-alive message that could be sent for a client"),
    ("end_properly", ACME, "it has no end message that could be sent for a client"),
    ("message_shape", ACME, "nothing is known of its clients' messages"),
    ("session_duration", ACME, "it publishes no limit; set seconds"),
    ("chunk_duration", ACME, "it publishes no limit; set min_seconds or max_seconds"),
    ("pace", ACME.replace("pcm_s16le", "opaque"), "its audio cannot be timed"),
    ("chunk_duration", LIMITED.replace("audio: {", "audio: {each_message: wav, "),
     "its audio comes in messages that cannot be cut or joined"),
]


@pytest.mark.parametrize(("rule", "profile", "reason"), IMPOSSIBLE)
def test_what_is_asked_for_by_name_must_be_possible(folder: Path, rule: str, profile: str, reason: str) -> None:
    (folder / "acme.yaml").write_text(profile)
    named = f"  policy: {{rules: {{{rule}: {{mode: enforce}}}}}}"
    assert refused(folder, HEAD + named) == [f"4: listeners.0.policy.rules.{rule}.mode: {PLAIN}{reason}"]
    assert refused(folder, HEAD + named.strip()) == [f"4: policy.rules.{rule}.mode: {PLAIN}{reason}"]
    loaded(folder, HEAD + "policy: {mode: enforce}")


def test_a_rule_for_all_needs_one_vendor_that_has_it(folder: Path) -> None:
    (folder / "other.yaml").write_text(LIMITED.replace("vendor: acme", "vendor: other"))
    both = "profiles: [acme.yaml, other.yaml]\npolicy: {rules: {idle: {mode: enforce}}}\nlisteners:\n- vendor: acme\n"
    (folder / "settings.yaml").write_text(both + "- {vendor: other, listen: 127.0.0.1:1}\n")
    assert check(folder / "settings.yaml") == []
    assert refused(folder, both) == [f"2: policy.rules.idle.mode: {PLAIN}it has no keep-alive message that could be sent for a client"]


def test_the_example_in_the_readme_is_good(tmp_path: Path) -> None:
    section = (packaged() / "README.md").read_text().partition("## Holding traffic to the limits")[2]
    (tmp_path / "settings.yaml").write_text(section.partition("```yaml\n")[2].partition("```")[0])
    deepgram, elsa = load(tmp_path / "settings.yaml").listeners
    assert (deepgram.policy.mode_of(Rule.PACE), elsa.policy.mode_of(Rule.PACE)) == (Mode.ENFORCE, Mode.OBSERVE)
    assert (deepgram.policy.rules.pace.lead_seconds, deepgram.policy.rules.idle.max_seconds) == (2, 30)
