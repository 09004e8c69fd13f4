"""Settings that are read again while the process runs: what of them may differ, and what needs a restart.

Owns that difference. What is bound stays bound, and what connections were made with stays with them: a pod whose address
or bounds change is replaced. All else is for sessions that come.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.settings.fleet import Fleet
from proxy.settings.model import Listener, Settings
from proxy.settings.problems import ConfigError, Problem
from proxy.settings.values import Address

Place = tuple[Address, int]
"""Where a listener listens, and the how many-th it is there: any number may ask for a port that is free."""


def places(settings: Settings) -> dict[Place, Listener]:
    """The listeners by what does not change of them."""
    found: dict[Place, Listener] = {}
    for listener in settings.listeners:
        number = sum(address == listener.listen for address, _ in found)
        found[listener.listen, number] = listener
    return found


def compared(old: Settings, new: Settings) -> None:
    """Raises ConfigError with all that would need a restart."""
    problems = [Problem("settings", None, path, f"cannot change from {before} to {now} while the process runs: restart it")
                for path, before, now in _fixed(old, new) if before != now]
    was, is_ = places(old), places(new)
    problems += [_moved(f"nobody listens at {place[0]} yet, for {is_[place].name}") for place in is_.keys() - was.keys()]
    problems += [_moved(f"{was[place].name} listens at {place[0]} still") for place in was.keys() - is_.keys()]
    if problems:
        raise ConfigError(problems)


def _moved(what: str) -> Problem:
    return Problem("settings", None, "listeners", f"{what}: restart the process")


def _fixed(old: Settings, new: Settings) -> Iterator[tuple[str, object, object]]:
    yield "metrics.listen", old.metrics.listen, new.metrics.listen
    yield "admin.listen", old.admin.listen, new.admin.listen
    yield "timeouts.handshake", old.timeouts.handshake, new.timeouts.handshake
    yield "limits.header_bytes", old.limits.header_bytes, new.limits.header_bytes
    yield "limits.headers", old.limits.headers, new.limits.headers
    for name in Fleet.model_fields:
        yield f"fleet.{name}", getattr(old.fleet, name), getattr(new.fleet, name)
