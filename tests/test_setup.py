"""How a wheel is built: compiled where that can be done, pure Python where it cannot, and an error where it must be and cannot.

What a compiled wheel does is held by `make compiled`, which runs the core's own tests on one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["earwitness"]["compiled"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy to build in: what is built leaves traces beside the sources."""
    copy = tmp_path / "checkout"
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in ("proxy", "config", "deploy/prometheus/rules"):
        shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def built(checkout: Path, choice: str, compiler: str = "cc") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "bdist_wheel"], cwd=checkout, capture_output=True, text=True, check=False,
        env=os.environ | {"EARWITNESS_COMPILE": choice, "CC": compiler, "PYTHONPATH": ""})


def test_what_is_compiled_is_there() -> None:
    assert [module for module in MODULES if not (ROOT / module).exists()] == []
    assert sorted(MODULES) == MODULES


@pytest.mark.parametrize(("choice", "compiler"), [("auto", "false"), ("never", "cc")])
def test_without_a_compiler_or_the_wish_the_wheel_is_pure_python(checkout: Path, choice: str, compiler: str) -> None:
    done = built(checkout, choice, compiler)
    assert done.returncode == 0, done.stderr
    assert ("not compiled, the wheel is pure Python" in done.stderr) is (choice == "auto")
    (wheel,) = (checkout / "dist").iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    names = ZipFile(wheel).namelist()
    assert "proxy/core/wire.py" in names
    assert [name for name in names if name.endswith(".so")] == []


def test_what_must_be_compiled_and_cannot_is_an_error(checkout: Path) -> None:
    done = built(checkout, "always", "false")
    assert done.returncode != 0
    assert not (checkout / "dist").exists()


def test_a_wish_that_is_none_is_told(checkout: Path) -> None:
    done = built(checkout, "perhaps")
    assert done.returncode != 0
    assert "EARWITNESS_COMPILE is 'perhaps', and can be: auto, always, never" in done.stderr
