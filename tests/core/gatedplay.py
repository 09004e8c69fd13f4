"""A dialogue with a session whose client goes through a gate: what leaves it when is all that the session and the vendor see of it.

Owns the gate's timer on the play's clock. While our loop stands still nobody calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from proxy.core.gate import gate_for
from proxy.core.policy import Policy
from proxy.core.vendor import Vendor

from .playbook import Play


class GatedPlay(Play):
    """`left` has when audio left the gate, and how many seconds of it."""

    def __init__(self, path: str, headers: Mapping[str, str], vendor: Vendor, policy: Policy) -> None:
        super().__init__(path, headers, vendor)
        gate = gate_for(policy, self._session.spec, self._session.request, None)
        assert gate is not None
        self.gate, self.left = gate, list[tuple[float, float]]()
        self._session.gated(gate)

    def wait(self, seconds: float) -> Self:
        until = self.now + seconds
        while (wake := self.gate.wake_at) is not None and wake <= until:
            self.now = max(self.now, wake)
            self._goes(self.gate.release(self.now))
        self.now = until
        return self

    def client(self, *data: bytes) -> Self:
        for chunk in data:
            self._goes(self.gate.feed(chunk, self.now))
        return self

    def _goes(self, out: bytes) -> None:
        if out:
            before = self.session.audio.read
            super().client(out)
            if (seconds := self.session.audio.read - before) > 0:
                self.left.append((self.now, seconds))
