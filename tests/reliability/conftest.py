"""The fixtures of the relay's own tests."""

from __future__ import annotations

from tests.relay.conftest import loop, pair

__all__ = ["loop", "pair"]
