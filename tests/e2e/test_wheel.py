"""The wheel, installed away from the checkout: it has its profiles, its settings, its schemas and the demo's recording."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ("pyproject.toml", "README.md", "LICENSE", "proxy", "config", "deploy")
PIP: Final = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def python(*arguments: str, cwd: Path, **env: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder it is installed in; its dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        here = ROOT / name
        if here.is_dir():
            shutil.copytree(here, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(here, source)
    python("-c", "from setuptools.build_meta import build_wheel; build_wheel('..')", cwd=source)
    wheel = next(folder.glob("earwitness-*.whl"))
    python(*PIP, "install", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel), cwd=folder)
    return folder / "site"


def earwitness(installed: Path, *arguments: str) -> str:
    return python("-m", "proxy.cli", *arguments, cwd=installed.parent, PYTHONPATH=str(installed), PYTHONSAFEPATH="1")


def test_it_is_the_installed_one_that_runs(installed: Path) -> None:
    out = python("-c", "import proxy; print(proxy.__file__)", cwd=installed.parent, PYTHONPATH=str(installed), PYTHONSAFEPATH="1")
    assert Path(out.strip()).is_relative_to(installed)


def test_its_settings_are_good(installed: Path) -> None:
    assert earwitness(installed, "check-config").endswith("earwitness.yaml: good\n")


def test_its_profiles_explain(installed: Path) -> None:
    out = earwitness(installed, "explain", "--close-code", "1011", "--close-reason", "NET-0001", "--json")
    assert json.loads(out)["code"] == "NET-0001"


def test_its_recording_is_there(installed: Path) -> None:
    script = "from proxy.simulators.recording import recording; print(len(recording()))"
    assert int(python("-c", script, cwd=installed.parent, PYTHONPATH=str(installed), PYTHONSAFEPATH="1")) > 16000


def test_its_schemas_are_there(installed: Path) -> None:
    for name in ("settings.schema.json", "vendor.schema.json"):
        assert json.loads((installed / "proxy" / "_config" / name).read_text())["type"] == "object"


def test_its_alert_rules_are_there(installed: Path) -> None:
    script = "from proxy.prometheus import rules; print(rules()); assert rules().exists()"
    out = python("-c", script, cwd=installed.parent, PYTHONPATH=str(installed), PYTHONSAFEPATH="1")
    assert Path(out.strip()).is_relative_to(installed)
