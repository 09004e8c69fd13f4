"""What is wrong with what an operator wrote: where, and in words that say what to write instead.

Owns the one exception of this layer and its line format; it does not know where the problems come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from proxy.core.redact import redact


@dataclass(frozen=True, slots=True)
class Problem:
    """`where` is a file, `environment` or `command line`; `path` the setting, the variable or the flag."""

    where: str
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.where}:{self.line}" if self.line is not None else self.where
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """Settings or a profile that cannot be used. `problems` are all that were found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems), key=lambda p: (p.where, p.line or 0, p.path, p.message))
        super().__init__("\n".join(map(str, self.problems)))


def instead(written: str, known: Sequence[str]) -> str:
    """The end of a sentence about a name that is not known: the nearest that is, or all of them."""
    near = get_close_matches(written[:80], known, 1, 0.7)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}" if known else "none is known here"


def shown(value: object) -> str:
    """A written value, short and without anything that may be a key."""
    text = redact(str(value))
    return repr(text if len(text) <= 60 else text[:59] + "…")
