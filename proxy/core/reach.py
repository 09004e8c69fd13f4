"""Which rules of a policy can do anything at an endpoint, and what: what the protocol allows for, and what there are numbers for.

Owns that one question, for whoever checks a policy (settings), foresees its metrics (telemetry) or explains it. Nothing here looks at
traffic.
"""

from __future__ import annotations

from typing import Final

from proxy.core.policy import Action, Bounds, Rule
from proxy.core.profile import Endpoint


def counts(rule: Rule, endpoint: Endpoint, numbers: Bounds) -> bool:
    """Whether there is anything to hold the client's traffic to, be it only to count."""
    limits = endpoint.limits
    timed = any(name != "opaque" for name in endpoint.audio.formats.values())
    given = {
        Rule.PACE: timed,
        Rule.CHUNK_DURATION: timed and (numbers.chunk_min is not None or numbers.chunk_max is not None),
        Rule.CHUNK_BYTES: numbers.chunk_bytes is not None,
        Rule.MESSAGE_RATE: numbers.messages_per_minute is not None,
        Rule.AUDIO_CHUNK_RATE: numbers.chunks_per_second is not None,
        Rule.MESSAGE_SHAPE: bool(endpoint.client.all()),
        Rule.IDLE: says(endpoint, "keep_alive") and any((limits.idle_seconds, limits.idle_query, limits.keep_alive_seconds)),
        Rule.SESSION_DURATION: numbers.session_seconds is not None,
        Rule.CONNECTION_RATE: numbers.connections_per_minute is not None,
        Rule.CONCURRENCY: numbers.sessions is not None,
        Rule.END_PROPERLY: says(endpoint, "end"),
    }
    return given.get(rule, True)


def acts(rule: Rule, endpoint: Endpoint, numbers: Bounds) -> tuple[Action, ...]:
    """What the rule may do there when it is enforced; nothing where it can at most count."""
    if not counts(rule, endpoint, numbers) or rule in numbers.watched_only:
        return ()
    if rule in _CUTS:
        return _chunks(rule, numbers) if bare(endpoint) else ()
    if rule is Rule.PACE:
        return (Action.DELAYED, Action.SPLIT) if bare(endpoint) else (Action.DELAYED,)
    if rule in _JOINS:
        return (Action.DELAYED, Action.COALESCED) if bare(endpoint) else (Action.DELAYED,)
    return (_DOES[rule],)


def bare(endpoint: Endpoint) -> bool:
    """Whether audio may come as bare samples, which can be cut and joined: no file and no message of its own around it."""
    return endpoint.audio.each_message is None and endpoint.client.encoding != "protobuf"


def _chunks(rule: Rule, numbers: Bounds) -> tuple[Action, ...]:
    if rule is Rule.CHUNK_BYTES:
        return (Action.SPLIT,)
    cut = (Action.SPLIT,) if numbers.chunk_max is not None else ()
    return (*cut, Action.COALESCED, Action.DELAYED) if numbers.chunk_min is not None else cut


def says(endpoint: Endpoint, role: str) -> bool:
    """Whether there is a message of this role that may be said in a client's place."""
    return any(message.role == role and message.send is not None for message in endpoint.client.all())


_CUTS: Final = frozenset({Rule.CHUNK_DURATION, Rule.CHUNK_BYTES})
_JOINS: Final = frozenset({Rule.MESSAGE_RATE, Rule.AUDIO_CHUNK_RATE})
_DOES: Final = {
    Rule.AUDIO_FORMAT: Action.REFUSED,
    Rule.MESSAGE_SHAPE: Action.REFUSED,
    Rule.IDLE: Action.INJECTED,
    Rule.SESSION_DURATION: Action.TERMINATED,
    Rule.CONNECTION_RATE: Action.REFUSED,
    Rule.CONCURRENCY: Action.REFUSED,
    Rule.END_PROPERLY: Action.TERMINATED,
}
