"""Reports against the calls they are due for: none lost, none twice. Reads the log lines of a process that has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.simulators.scenes import Scene

HEADER: Final = "x-soak-call"


@dataclass
class Account:
    """`lost`: calls or sessions without a report; where the process was killed, those that `session_open` lines name are `cut` instead."""

    reports: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    cut: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    internal: list[str] = field(default_factory=list)

    def add(self, other: Account) -> None:
        self.reports += other.reports
        self.lost += other.lost
        self.doubled += other.doubled
        self.cut += other.cut
        self.wrong += other.wrong
        self.internal += other.internal


def settled(lines: Iterable[Mapping[str, Any]], due: Mapping[str, Scene | None], killed: bool) -> Account:
    """`due`: calls that reached the process, with the scene that its report must fit, None for one that may end anyhow."""
    account, opened = Account(), dict[str, str]()
    ends, names = Counter[str](), Counter[str]()
    for line in lines:
        name = str(line.get("correlation", {}).get(HEADER, ""))
        if line["event"] == "session_open":
            opened[line["session_id"]] = name
        elif line["event"] == "session_end":
            account.reports += 1
            ends[line["session_id"]] += 1
            names[name] += 1
            account.wrong.update(_wrong(line, due.get(name)))
        elif line["level"] in ("error", "critical"):
            account.internal.append(f"{line['event']}: {line.get('error')}")
    account.doubled = [one for counted in (ends, names) for one, times in counted.items() if one and times > 1]
    unfinished = [name for session, name in opened.items() if not ends[session]]
    if killed:
        account.cut = len(unfinished)
    else:
        account.lost = sorted({*unfinished, *(name for name in due if not names[name])})
    return account


def _wrong(line: Mapping[str, Any], scene: Scene | None) -> list[str]:
    """How a report differs from what its scene implies. Where the machine is busy, evidence may not suffice: `unknown` accuses nobody."""
    if scene is None:
        return []
    pairs = {"outcome": scene.outcome, "code": scene.code, "owner": scene.owner, "initiated_by": scene.begun_by}
    return [f"{scene.dialect.vendor}, {scene.name}: {field} is {line[field]}, should be {said}"
            for field, said in pairs.items() if line[field] != said and line[field] != "unknown"]
