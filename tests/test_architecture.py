"""The shape of the code: who imports whom, what never stands where, how long things may be. Reads sources; runs none but to import it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = ROOT / "proxy"

MAY_IMPORT: Final = {
    "core": set[str](),
    "settings": {"core"},
    "telemetry": {"core"},
    "fleet": {"core", "telemetry"},
    "relay": {"core", "settings", "telemetry"},
    "simulators": {"core.audio"},
    "app": {"core", "settings", "telemetry", "fleet", "relay", "simulators"},
    "prometheus": set[str](),
    "demo": {"core", "settings", "telemetry", "relay", "simulators", "app", "prometheus"},
    "commands": {"core", "settings", "telemetry", "relay", "simulators", "app", "demo", "prometheus"},
    "cli": {"simulators", "app", "commands"},
}
"""What each layer may import of ours, besides itself and the package's own name and version."""

BANNED_IN_CORE: Final = {
    "asyncio": "the core does no I/O: bytes and a clock reading in, facts out",
    "selectors": "the core does no I/O",
    "socket": "the core does no I/O",
    "ssl": "the core does no I/O",
    "subprocess": "the core does no I/O",
    "threading": "the core has one caller at a time and waits for nobody",
    "time": "time is an argument, so that tests need no sleep and reports can be replayed",
    "logging": "what is worth telling is a fact in the report; the shell writes it",
    "os": "the core knows no environment, files or processes",
    "pathlib": "the core reads no files: profiles come to it typed",
    "random": "the same bytes give the same verdict",
    "aiohttp": "the transport is the relay's",
    "websockets": "frames are scanned, not re-spoken",
    "uvloop": "the event loop is the shell's",
    "yaml": "settings are decoded in settings",
    "prometheus_client": "sessions keep plain numbers; telemetry reads them when it is asked",
    "opentelemetry": "a session is a report; telemetry makes a span of it",
    "redis": "what is asked of a fleet is decided here; who carries it is another's",
}
ONLY_IN: Final = {
    "aiohttp": ("relay", "its insides are known in one place, so that an upgrade is met in one place"),
    "yaml": ("settings", "one strict way to decode a file"),
    "prometheus_client": ("telemetry", "one catalogue of metrics"),
    "opentelemetry": ("telemetry", "sessions are told of to one module, which may be imported or not"),
    "redis": ("fleet", "imported only where a fleet is configured, and by one module"),
    "websockets": ("simulators", "the relay passes bytes on and speaks no WebSocket"),
}

VENDORS: Final = {"assemblyai", "deepgram", "elsa", "nextevi", "spatius"}

LONGEST_FILE: Final = 400
LONGEST_FUNCTION: Final = 60

WITHOUT_OWN_TEST: Final = set[str]()
"""Modules without a test file of their own. May only shrink."""

NOT_OURS: Final = {
    ".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".coverage", "__pycache__", "build", "dist",
}
BINARY: Final = {".wav", ".bin", ".pcm", ".pyc", ".png"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES: Final = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def imports(module: str) -> frozenset[str]:
    """Every dotted name that the module imports, wherever it does so; of ours the module, not the name inside it."""
    found = set[str]()
    for node in ast.walk(tree(MODULES[module])):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: line {node.lineno}: imports are written in full"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(name if name in MODULES else str(node.module) for name in names)
    return frozenset(found)


def ours(module: str) -> Iterator[str]:
    return (name for name in imports(module) if name.split(".")[0] == "proxy")


def texts() -> Iterator[tuple[str, str]]:
    """Every text file of the repository, by its path in it, but this one: it has to name what it forbids."""
    for path in sorted(ROOT.rglob("*")):
        inside = path.relative_to(ROOT)
        unwanted = NOT_OURS.intersection(inside.parts) or any(part.endswith(".egg-info") for part in inside.parts)
        if path.is_file() and not unwanted and path.suffix not in BINARY and path != Path(__file__).resolve():
            yield str(inside), path.read_text(errors="replace")


def test_every_module_belongs_to_a_layer() -> None:
    assert {layer(module) for module in MODULES} - {""} <= MAY_IMPORT.keys()


def test_layers_import_only_what_is_below_them() -> None:
    wrong = []
    for module in MODULES:
        allowed = MAY_IMPORT.get(layer(module), set()) | {layer(module)}
        for name in ours(module):
            inside = name.removeprefix("proxy").removeprefix(".")
            if inside and layer(name) not in allowed and inside not in allowed:
                wrong.append(f"{module} imports {name}")
    assert not wrong


def test_nothing_imports_in_a_circle() -> None:
    graph = {module: set(ours(module)) - {"proxy"} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_core_is_free_of_what_is_banned_there() -> None:
    wrong = [
        f"{module} imports {name}: {reason}"
        for module in MODULES if layer(module) == "core"
        for name in imports(module)
        for banned, reason in BANNED_IN_CORE.items() if name.split(".")[0] == banned
    ]
    assert not wrong


def test_the_core_does_not_look_at_the_clock() -> None:
    """`datetime` may write a time that was given; it may not find one out."""
    asked = [
        f"{module}: line {node.lineno}"
        for module, path in MODULES.items() if layer(module) == "core"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-2:-1] in (["datetime"], ["date"])
        and ast.unparse(node.func).split(".")[-1] in {"now", "utcnow", "today"}
    ]
    assert not asked


def test_libraries_with_one_place_stay_in_it() -> None:
    wrong = [
        f"{module} imports {name}: {ONLY_IN[library][1]}"
        for module in MODULES
        for name in imports(module)
        if (library := name.split(".")[0]) in ONLY_IN and layer(module) != ONLY_IN[library][0]
    ]
    assert not wrong


def test_one_module_knows_redis() -> None:
    assert [module for module in MODULES if any(name.split(".")[0] == "redis" for name in imports(module))] == ["proxy.fleet.store"]


EACH_ALONE: Final = """
import gc, importlib, os, sys
gc.disable()
for library in {libraries}:
    importlib.import_module(library)
followed_by = {followed_by}
def fails(module):
    child = os.fork()
    if child:
        return bool(os.waitpid(child, 0)[1])
    try:
        importlib.import_module(module)
    except BaseException as error:
        print(module, repr(error), flush=True)
        os._exit(1)
    os._exit(any([fails(other) for other in followed_by.get(module, ())]))
sys.exit(any([fails(module) for module in followed_by[""]]))
"""


def first_of(module: str) -> str:
    """Of our modules the one whose import comes first where this one is imported; empty for none. First come packages that import any."""
    parts = module.split(".")
    packages = (".".join(parts[:count]) for count in range(1, len(parts)))
    if package := next((package for package in packages if any(ours(package))), None):
        return package
    is_package = MODULES[module].name == "__init__.py"
    for node in tree(MODULES[module]).body if not is_package else ():
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "proxy":
            name = f"{node.module}.{node.names[0].name}"
            return name if name in MODULES else node.module
    return ""


def test_every_module_can_be_imported_alone() -> None:
    """Each in a process that has none of ours yet, but for what it imports first itself: so a process goes on where another has begun.

    Libraries are there before.
    """
    libraries = sorted({name for module in MODULES for name in imports(module) if name.split(".")[0] not in {"proxy", "__future__"}})
    followed_by: dict[str, list[str]] = {}
    for module in MODULES:
        followed_by.setdefault(first_of(module), []).append(module)
    script = EACH_ALONE.format(libraries=libraries, followed_by=followed_by)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    reached = [""]
    for module in reached:
        reached += followed_by.get(module, [])
    assert {*reached} == {"", *MODULES}


def test_files_and_functions_are_short() -> None:
    long = []
    for path in MODULES.values():
        where = path.relative_to(ROOT)
        lines = len(path.read_text().splitlines())
        if lines > LONGEST_FILE:
            long.append(f"{where} has {lines} lines")
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long.append(f"{where}:{node.lineno}: {node.name} has {length} lines")
    assert not long


def test_vendors_are_data() -> None:
    """No vendor's name in the code, comments included, but in the simulators: a vendor is added by writing a file."""
    vendors = VENDORS | {path.stem for path in (ROOT / "config" / "vendors").glob("*.yaml")}
    named = re.compile(rf"(?<![a-z])({'|'.join(sorted(vendors))})", re.IGNORECASE)
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for module, path in MODULES.items() if layer(module) != "simulators"
        for number, line in enumerate(path.read_text().splitlines(), 1) if named.search(line)
    ]
    assert not wrong


def test_the_tests_mirror_the_package() -> None:
    missing = {
        module
        for module, path in MODULES.items()
        if path.name != "__init__.py" and not (ROOT / "tests" / path.relative_to(PACKAGE).with_name(f"test_{path.name}")).exists()
    }
    assert missing - WITHOUT_OWN_TEST == set(), "no test file"
    assert WITHOUT_OWN_TEST - missing == set(), "they have a test file (or are gone): take them off the list"


FORBIDDEN: Final = {
    r"://[^/\s]*(pypi|pythonhosted|npmjs|crates\.io|registry)|--(extra-)?index-url": "an address of a package registry",
    r"\b(TODO|FIXME|XXX|HACK)\b|\bNotImplementedError\b": "unfinished: do it, or file an issue",
    r"(?<![\w.}])/(root|work|home|Users)/\w": "a path of somebody's machine",
}


@pytest.mark.parametrize("pattern", FORBIDDEN, ids=["registry", "unfinished", "machine"])
def test_what_stands_nowhere(pattern: str) -> None:
    search = re.compile(pattern).search
    wrong = [
        f"{name}:{number}: {FORBIDDEN[pattern]}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1) if search(line)
    ]
    assert not wrong
