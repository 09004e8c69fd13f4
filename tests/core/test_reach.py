"""Which rules can do something at which of the packaged endpoints, and what."""

from __future__ import annotations

from typing import Any, Final

import pytest

from proxy.core.policy import Action, Policy, Rule, Rules, bounds
from proxy.core.profile import Endpoint
from proxy.core.reach import acts, counts
from proxy.settings import load_all

PACKAGED: Final = {f"{vendor}/{name}": endpoint for vendor, profile in load_all().profiles.items()
                   for name, endpoint in profile.endpoints.items()}


def doing(endpoint: Endpoint, rules: Rules | None = None) -> dict[str, str]:
    """Each rule that can be enforced there, and what it does."""
    numbers = bounds(rules or Rules(), endpoint.limits)
    return {rule.value: " ".join(acts(rule, endpoint, numbers)) for rule in Rule if acts(rule, endpoint, numbers)}


ALWAYS: Final = {"pace": "delayed split", "audio_format": "refused", "message_shape": "refused"}
DOING: Final[dict[str, dict[str, str]]] = {
    "assemblyai/v3": {"chunk_duration": "split coalesced delayed", "idle": "injected", "session_duration": "terminated",
                      "end_properly": "terminated"},
    "deepgram/v1": {"idle": "injected", "end_properly": "terminated"},
    "deepgram/v2": {"end_properly": "terminated"},
    "elsa/scripted": {"pace": "delayed", "end_properly": "terminated"},
    "elsa/unscripted": {"pace": "delayed", "end_properly": "terminated"},
    "nextevi/voice": {"chunk_bytes": "split", "message_rate": "delayed coalesced", "audio_chunk_rate": "delayed coalesced",
                      "idle": "injected", "session_duration": "terminated", "connection_rate": "refused"},
    "spatius/ingress": {"pace": "delayed"},
}


def test_the_packaged_endpoints() -> None:
    assert {name: doing(endpoint) for name, endpoint in PACKAGED.items()} == {name: ALWAYS | more for name, more in DOING.items()}


def test_numbers_of_the_operators_make_more_of_it() -> None:
    rules = Policy.model_validate({"rules": {
        "chunk_duration": {"max_seconds": 0.5}, "chunk_bytes": {"max_bytes": 9000}, "message_rate": {"per_minute": 90},
        "concurrency": {"sessions": 2},
    }}).rules
    more = {"chunk_duration": "split", "chunk_bytes": "split", "message_rate": "delayed coalesced", "concurrency": "refused"}
    assert doing(PACKAGED["deepgram/v2"], rules) == ALWAYS | DOING["deepgram/v2"] | more
    # What a message of its own is around is held, never cut.
    held = {"message_rate": "delayed", "concurrency": "refused"}
    assert doing(PACKAGED["spatius/ingress"], rules) == ALWAYS | DOING["spatius/ingress"] | held
    assert doing(PACKAGED["elsa/scripted"], rules) == ALWAYS | DOING["elsa/scripted"] | held


def test_what_cannot_be_enforced_may_still_be_counted() -> None:
    rules = Rules.model_validate({"chunk_bytes": {"max_bytes": 9000}})
    endpoint = PACKAGED["spatius/ingress"]
    assert counts(Rule.CHUNK_BYTES, endpoint, bounds(rules, endpoint.limits))
    assert not counts(Rule.CHUNK_BYTES, endpoint, bounds(Rules(), endpoint.limits))


@pytest.mark.parametrize(("audio", "actions"), [({"linear16": "pcm_s16le"}, (Action.DELAYED, Action.SPLIT)), ({"opus": "opaque"}, ())])
def test_audio_that_cannot_be_timed_has_no_pace(audio: dict[str, str], actions: tuple[Any, ...]) -> None:
    endpoint = Endpoint.model_validate({"ready": "handshake", "audio": {"encoding": {}, "sample_rate": {}, "formats": audio}})
    assert acts(Rule.PACE, endpoint, bounds(Rules(), endpoint.limits)) == actions
    assert acts(Rule.MESSAGE_SHAPE, endpoint, bounds(Rules(), endpoint.limits)) == ()


def test_what_the_vendor_moves_itself_is_counted_across_a_fleet_and_does_nothing() -> None:
    endpoint = PACKAGED["assemblyai/v3"]
    for scope, actions in (("process", (Action.REFUSED,)), ("fleet", ())):
        numbers = bounds(Rules.model_validate({"connection_rate": {"scope": scope, "per_minute": 100}}), endpoint.limits)
        assert counts(Rule.CONNECTION_RATE, endpoint, numbers)
        assert acts(Rule.CONNECTION_RATE, endpoint, numbers) == actions
