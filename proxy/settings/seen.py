"""The files that settings were read from, and how each looked just before.

Owns how a file is told from the one that stood there before, without reading it: what its name resolves to, and that file's
number, size and time. A mounted ConfigMap changes the first (its names lead through `..data`, a link that is replaced in one
go), an editor the others. When it is looked, and what follows, is the application's business. Never raises: a file that is
not there looks like nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

Seen = dict[Path, tuple[tuple[object, ...], ...]]
"""Files and folders, and how each looked: a folder with what is in it."""


@dataclass(slots=True)
class Sources:
    """Settings are the same by what they say, wherever and whenever that was written."""

    seen: Seen = field(default_factory=dict, compare=False)


def look(paths: Iterable[Path]) -> Seen:
    """How they look now."""
    return {path: tuple(map(_stamp, (path, *_inside(path)))) for path in paths}


def _inside(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def _stamp(path: Path) -> tuple[object, ...]:
    try:
        found = path.stat()
    except OSError:
        return (str(path),)
    return str(path), os.path.realpath(path), found.st_ino, found.st_size, found.st_mtime_ns
