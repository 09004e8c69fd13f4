"""Compiles the hot path ahead of time, where that is asked for or can be done: the same typed source, by mypyc.

A wheel is compiled if there is a C compiler with Python's headers, and mypy; else it is pure Python, which does the same and costs more.
An editable install never is: coverage, mutations and monkeypatching want the source. EARWITNESS_COMPILE=always makes it an error
where it cannot be done, EARWITNESS_COMPILE=never leaves it; `earwitness --version` says which one runs.
"""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext

HERE: Final = Path(__file__).parent
CHOICES: Final = ("auto", "always", "never")
OPTIONS: Final = ("--config-file=", "--python-version=3.11", "--explicit-package-bases", "--ignore-missing-imports")
"""For types alone: whether they hold is checked elsewhere, with all libraries there. None of them is needed to build."""


def compiled() -> list[Extension]:
    """What is to be compiled: nothing where that is not wanted, or not possible."""
    choice = os.environ.get("EARWITNESS_COMPILE") or "auto"
    if choice not in CHOICES:
        sys.exit(f"EARWITNESS_COMPILE is {choice!r}, and can be: {', '.join(CHOICES)}")
    if choice == "never" or "bdist_wheel" not in sys.argv:
        return []
    try:
        from mypyc.build import mypycify

        try_compiler()
    except Exception as error:
        if choice == "always":
            raise
        print(f"not compiled, the wheel is pure Python: {error}", file=sys.stderr)
        return []
    modules = tomllib.loads((HERE / "pyproject.toml").read_text())["tool"]["earwitness"]["compiled"]
    made: list[Extension] = mypycify([*OPTIONS, *modules], opt_level="3", debug_level="0", group_name="earwitness")
    return made


def try_compiler() -> None:
    """Raises where C that asks for Python's headers cannot be compiled and linked."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / "tried.c"
        source.write_text("#include <Python.h>\nPyMODINIT_FUNC PyInit_tried(void) { return NULL; }\n")
        command = build_ext(Distribution({"ext_modules": [Extension("tried", [str(source)])]}))
        command.build_lib = command.build_temp = folder
        command.ensure_finalized()
        command.run()


setup(ext_modules=compiled())
