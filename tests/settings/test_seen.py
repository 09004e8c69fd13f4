"""How files are told from those that stood there before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.settings import load, look
from tests.aio import tls_pair
from tests.mounted import ConfigMap


def rewritten(file: Path) -> None:
    file.write_text("longer than it was")


def touched(file: Path) -> None:
    os.utime(file, ns=(1, 1))


def replaced(file: Path) -> None:
    """By one of the same size and time."""
    other, before = file.with_name("other"), file.stat()
    other.write_text("text")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)


def removed(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("change", [rewritten, touched, replaced, removed])
def test_a_file_that_changed(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """In a folder too."""
    folder = tmp_path / "folder"
    folder.mkdir()
    file = folder / "file"
    file.write_text("text")
    before = look([file, folder])
    assert look([file, folder]) == before
    change(file)
    after = look([file, folder])
    assert after[file] != before[file]
    assert after[folder] != before[folder]


def test_a_file_that_comes_later(tmp_path: Path) -> None:
    file = tmp_path / "file"
    before = look([file])
    file.write_text("")
    assert look([file]) != before


def test_a_mounted_file_that_is_swapped_for_its_like(tmp_path: Path) -> None:
    mounted = ConfigMap(tmp_path / "mounted")
    mounted.hold({"earwitness.yaml": "text"})
    files = [mounted.path("earwitness.yaml"), mounted.folder]
    before = look(files)
    mounted.hold({"earwitness.yaml": "text"})
    after = look(files)
    assert all(after[file] != before[file] for file in files)


def test_settings_know_what_they_were_read_from(tmp_path: Path) -> None:
    (tmp_path / "vendors").mkdir()
    one = tmp_path / "settings.yaml"
    cert, key = tls_pair(tmp_path)
    one.write_text("profiles: [vendors]\nlisteners:\n  - vendor: deepgram\n"
                   f"    tls: {{cert: {cert}, key: {key}}}\n    upstream_tls: {{ca: {cert}}}\n")
    assert load(one).seen == look([one, tmp_path / "vendors", Path(cert), Path(key)])
