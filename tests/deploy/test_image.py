"""What can be said of the image without building it: its Dockerfile, and what goes into the build. `make image` builds and runs it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from .promtool import ROOT

DOCKERFILE: Final = ROOT / "Dockerfile"
TEXT: Final = DOCKERFILE.read_text()
ABOUT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([Path(sys.executable).with_name("hadolint"), DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_release_can_choose_its_base() -> None:
    assert "ARG BASE=python:3.11-slim-bookworm\n" in TEXT
    assert re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE) == ["${BUILDER}", "${BASE}"]


def test_no_index_stands_in_it() -> None:
    assert not re.search(r"index|find-links|https?:", TEXT.replace("An index of one's own", ""))


def test_it_is_the_version_of_the_package() -> None:
    assert f"ARG VERSION={ABOUT['project']['version']}\n" in TEXT


def test_what_the_package_is_made_of_goes_into_the_build() -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    sources = [*(ABOUT["tool"]["setuptools"]["package-dir"].values()), "pyproject.toml", "setup.py", "constraints.txt",
               ABOUT["project"]["readme"], *ABOUT["project"]["license-files"]]
    assert [source for source in sources if not any(Path(source).is_relative_to(one) for one in let_in)] == []
