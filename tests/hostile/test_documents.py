"""What THREAT_MODEL.md names exists: files, and tests by name. Each threat names what stops it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
MODEL: Final = (ROOT / "THREAT_MODEL.md").read_text()
NAMED: Final = sorted(set(re.findall(r"`((?:proxy|tests|deploy|config)/[\w./-]+(?:::\w+)?)`", MODEL)))
ROWS: Final = [line for line in MODEL.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "|---"))]


@pytest.mark.parametrize("named", NAMED)
def test_what_the_threat_model_names_is_there(named: str) -> None:
    path, _, test = named.partition("::")
    text = (ROOT / path).read_text()
    assert not test or re.search(rf"^(async )?def {test}\(", text, re.MULTILINE)


def test_each_threat_says_what_stops_it() -> None:
    assert len(ROWS) > 30
    assert len(NAMED) > 60
    without = [row.split("|")[1].strip() for row in ROWS if not re.search(r"`(proxy|tests|deploy)/", row)]
    assert without == ["`x-earwitness` in an answer of the vendor's", "Whoever reaches `/metrics` reads it"], "these are said to be so"


def test_bandits_rules_are_on_for_all_that_is_shipped() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert {rule for rule in lint["ignore"] if rule.startswith("S")} == {"S101", "S105"}
    assert not any("S" in rules for where, rules in lint["per-file-ignores"].items() if where.startswith("proxy"))


def test_links_lead_somewhere() -> None:
    for name in ("SECURITY.md", "THREAT_MODEL.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text()):
            assert (ROOT / link).exists(), (name, link)
