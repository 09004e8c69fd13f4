"""What one listener's policy enforces, made ready for a session when the vendor has said 101.

Owns the choice between a plain leg and a gated one: a session that nothing is enforced on has neither a gate nor anybody who speaks
in its client's place, and costs what it costs without a policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from proxy.core.deflate import Inflater, agreed
from proxy.core.gate import Gate, gate_for
from proxy.core.meter import Meter
from proxy.core.policy import Policy, Rule, bounds
from proxy.core.session import Session
from proxy.core.verdict import Inspection, Side
from proxy.core.wire import Feed
from proxy.relay.gated import GatedLeg, Room
from proxy.relay.splice import Leg, Splice
from proxy.relay.standin import StandIn


@dataclass(frozen=True, slots=True)
class Guard:
    """`room` is the process's, `delayed` is told the seconds that each held piece waited."""

    policy: Policy
    room: Room
    delayed: Callable[[float], None] = lambda seconds: None

    @property
    def acts(self) -> bool:
        return any(self.policy.enforces(rule) for rule in Rule)

    def over(self, session: Session, headers: Mapping[str, str]) -> StandIn | None:
        """Who looks after a session from here on; None where nothing is enforced. `headers` are those of the 101, in lower case.

        Never raises: what it cannot do is not done, and counted.
        """
        if not self.acts or session.inspection is Inspection.LOST:  # blind from its beginning: nobody would know what to do
            return None
        try:
            keeper = StandIn(session, self.policy)
            gate = self._gate(session, headers, keeper.ends_properly)
        except Exception:
            session.gate_failed = True
            return None
        if gate is not None:
            session.gated(gate)
        return keeper

    def leg(self, session: Session, keeper: StandIn | None) -> Callable[[Splice, Side, Feed], Leg]:
        """How the client's leg is made."""
        if keeper is None or session.gate is None:
            return Leg
        return partial(GatedLeg, gate=session.gate, keeper=keeper, room=self.room, is_closed=partial(_is_closed, session))

    def _gate(self, session: Session, headers: Mapping[str, str], ends_properly: bool) -> Gate | None:
        endpoint, request = session.spec, session.request
        terms = agreed(headers.get("sec-websocket-extensions", ""))
        inflater = Inflater(terms.client_takeover, terms.client_bits) if terms is not None else None
        gate = gate_for(self.policy, endpoint, request, inflater, self.delayed)
        if gate is None and ends_properly and endpoint is not None:
            # It holds nothing up, but stands between messages, where alone an end message may be put in.
            numbers = bounds(self.policy.rules, endpoint.spec.limits)
            return Gate(frozenset(), numbers, Meter(endpoint, request, inflater), self.delayed)
        return gate


def _is_closed(session: Session) -> bool:
    """By the vendor."""
    return session.ending.vendor_close is not None
