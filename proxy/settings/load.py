"""Settings from a file, the environment and the flags; nearer wins: defaults < file < environment < flags.

Owns the precedence, the checks across settings and the filling in of what a profile knows (port, upstreams). Everything
is told before anything is bound, and all of it at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proxy.core.policy import Mode
from proxy.settings.document import DEEPEST, Document, Keys, Place, read, scalar
from proxy.settings.model import EVERY_ROUTE, MOST_LISTENERS, Admin, Metrics, Settings
from proxy.settings.policies import contradictions, merged
from proxy.settings.problems import ConfigError, Problem, instead, shown
from proxy.settings.profiles import Catalogue, common_in, load_all, load_common, load_some, packaged, profile_in, vendor_files
from proxy.settings.seen import look
from proxy.settings.upstreams import upstreams
from proxy.settings.validate import validated
from proxy.settings.values import Address, address

VARIABLE: Final = "EARWITNESS__"
FILE_VARIABLE: Final = "EARWITNESS_CONFIG"


@dataclass(frozen=True, slots=True)
class Overrides:
    """The flags of `run`, as they were written. `--vendor` replaces all listeners of the file."""

    vendor: str | None = None
    listen: str | None = None
    upstream: str | None = None
    metrics: str | None = None
    admin: str | None = None
    enforce: bool = False
    """The policy's mode at every listener; a rule's own stands."""


def load(path: Path | None = None, env: Mapping[str, str] | None = None, overrides: Overrides | None = None) -> Settings:
    """The settings to run with, their listeners complete and their profiles loaded.

    Without a path the file is that of `EARWITNESS_CONFIG`, else the packaged one. Raises ConfigError with every problem.
    """
    env = env or {}
    path = path or Path(env.get(FILE_VARIABLE) or packaged() / "earwitness.yaml")
    before = look([path])
    settings = _settled(read(path), path.parent, env, overrides or Overrides(), thorough=False)
    settings.seen.update(before)
    return settings


def check(path: Path) -> list[Problem]:
    """Everything that is wrong with a file: settings with every profile they name, a vendor's profile, or common rules.

    The rules of profiles that are not packaged must take their own examples; those of the packaged ones do.
    """
    from proxy.settings.examples import problems_of  # for checking alone: running waits for nothing that it does not need

    try:
        document = read(path)
        top = document.data if isinstance(document.data, dict) else {}
        if "vendor" in top or "endpoints" in top:
            return list(problems_of(document, profile_in(document, path.stem), load_common()))
        if "rules" in top:
            common_in(document)
        else:
            known = _settled(document, path.parent, None, Overrides(), thorough=True).catalogue
            own = [file for file in _files(document, path.parent, []).values() if file.parent != packaged() / "vendors"]
            return [problem for file in own for problem in problems_of(read(file), known.profiles[file.stem], known.common)]
    except ConfigError as error:
        return error.problems
    return []


def load_known(env: Mapping[str, str]) -> Catalogue:
    """Every profile there is: the packaged ones, and those that the settings of `EARWITNESS_CONFIG` name. Raises ConfigError."""
    if not env.get(FILE_VARIABLE):
        return load_all()
    path, problems = Path(env[FILE_VARIABLE]), list[Problem]()
    files = _files(read(path), path.parent, problems)
    if problems:
        raise ConfigError(problems)
    return load_some(files, files)


def _settled(document: Document, folder: Path, env: Mapping[str, str] | None, overrides: Overrides, thorough: bool) -> Settings:
    """`env` None: of whoever will run with it nothing is known."""
    problems: list[Problem] = []
    if isinstance(document.data, dict | None):
        document.data = dict(document.data or {})
        _one_for_each(document.data)
        listeners = document.data["listeners"]
        if isinstance(listeners, list) and len(listeners) > MOST_LISTENERS:
            raise ConfigError([*problems, document.problem(("listeners",), f"more than {MOST_LISTENERS} listeners")])
        _lay_over(document, env or {}, overrides, problems)
        _one_for_each(document.data)  # nothing in the environment is as nothing in the file
    files = _files(document, folder, problems)
    context = {"folder": folder, "vendors": sorted(files), **({} if env is None else {"env": env})}
    settings, found = validated(Settings, document, context)
    problems += found
    problems += _twice(document, _written(document.data))
    if settings is None or problems:
        raise ConfigError(problems)
    before = look(settings.profiles)
    catalogue = load_some(files, [*(listener.vendor for listener in settings.listeners), *(files if thorough else ())])
    settled = _completed(document, settings, catalogue)
    proofs = [file for listener in settled.listeners for tls in (listener.tls, listener.upstream_tls) for file in tls.files]
    settled.seen.update(before | look(proofs))  # these were only tried: what is used of them is read after this
    return settled


def _one_for_each(data: dict[str, Any]) -> None:
    """A listener for each packaged vendor, where nothing is said of listeners."""
    if data.get("listeners") is None:
        data["listeners"] = [{"vendor": vendor} for vendor in vendor_files()]


def _files(document: Document, folder: Path, problems: list[Problem]) -> dict[str, Path]:
    """Vendor to file, as far as `profiles` can be read; the model tells what is wrong with its form."""
    named = document.data.get("profiles") if isinstance(document.data, dict) else None
    extra = []
    for number, name in enumerate(named if isinstance(named, list) else ()):
        if isinstance(name, str) and os.path.exists(folder / name):
            extra.append(folder / name)
        elif isinstance(name, str):
            problems.append(document.problem(("profiles", number), "no such file or folder"))
    try:
        return vendor_files(extra)
    except ConfigError as error:
        problems += error.problems
        return vendor_files()


def _lay_over(document: Document, env: Mapping[str, str], overrides: Overrides, problems: list[Problem]) -> None:
    """The environment, then the flags, each value with its own place."""
    for name in sorted(env):
        if name.startswith(VARIABLE):
            keys = tuple(_step(part) for part in name.removeprefix(VARIABLE).split("__", DEEPEST))
            if len(keys) > DEEPEST:
                problems.append(Problem("environment", None, name[:500], f"nested deeper than {DEEPEST}"))
            elif not _set(document, keys, _variable(env[name]), Place("environment", name=name)):
                problems.append(Problem("environment", None, name, "names a place in a list that the file does not have"))
    for flag in ("metrics", "admin"):
        if (text := getattr(overrides, flag)) is not None:
            _set(document, (flag, "listen"), text, Place("command line", name=f"--{flag}"))
    flags = {key: text for key in ("vendor", "listen", "upstream") if (text := getattr(overrides, key)) is not None}
    if overrides.vendor is not None:
        _set(document, ("listeners",), [flags], Place("command line", name="--vendor"))
        for key in flags:
            document.places["listeners", 0, key] = Place("command line", name=f"--{key}")
    else:
        problems += [Problem("command line", None, f"--{key}", "needs --vendor") for key in flags]
    if overrides.enforce:
        _enforce(document)


def _enforce(document: Document) -> None:
    """Sets the mode of all, and that of each listener that has one."""
    place = Place("command line", name="--enforce")
    _set(document, ("policy", "mode"), Mode.ENFORCE.value, place)
    listeners = document.data.get("listeners")
    for number, listener in enumerate(listeners if isinstance(listeners, list) else ()):
        policy = listener.get("policy") if isinstance(listener, dict) else None
        if isinstance(policy, dict) and "mode" in policy:
            _set(document, ("listeners", number, "policy", "mode"), Mode.ENFORCE.value, place)


def _step(part: str) -> str | int:
    return int(part) if part.isascii() and part.isdigit() and len(part) < 6 else part.lower()


def _variable(text: str) -> Any:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else scalar(text)


def _set(document: Document, keys: Keys, value: Any, place: Place) -> bool:
    """Lays one value over the data; what is in its way and holds nothing inside is replaced. False: no such place in a list.

    Containers on the way are copied: an alias of the file may share them with others.
    """
    at: Any = document.data
    for depth, key in enumerate(keys):
        if isinstance(at, list) and not (isinstance(key, int) and key < len(at)):
            return False
        step: Any = key if isinstance(at, list) else str(key)
        inner = at[step] if isinstance(at, list) else at.get(step)
        if depth == len(keys) - 1:
            at[step] = value
        else:
            if not isinstance(inner, dict | list):
                inner = {}
                document.places[keys[: depth + 1]] = place
            at[step] = inner.copy()
            at = at[step]
    document.places = {at: p for at, p in document.places.items() if at[: len(keys)] != keys} | {keys: place}
    return True


def _written(data: Any) -> Iterator[tuple[Keys, Address]]:
    """The addresses in the data that are addresses; what the others are is told by the model."""
    if not isinstance(data, dict):
        return
    listeners = data.get("listeners")
    places: list[tuple[Keys, Any, Any]]
    places = [(("metrics",), data.get("metrics"), Metrics().listen), (("admin",), data.get("admin"), Admin().listen)]
    places += [(("listeners", number), listener, None) for number, listener in enumerate(listeners if isinstance(listeners, list) else ())]
    for keys, section, default in places:
        listen = section.get("listen") if isinstance(section, dict) else None
        try:
            yield (*keys, "listen"), address(default if listen is None else listen)
        except ValueError:
            continue


def _twice(document: Document, addresses: Iterable[tuple[Keys, Address]]) -> Iterator[Problem]:
    """Addresses that cannot both be bound, and listeners of the same name."""
    bound: list[tuple[Keys, Address]] = []
    for keys, where in addresses:
        for other, there in bound:
            if where.clashes_with(there):
                yield document.problem(keys, f"{where} is taken by {'.'.join(map(str, other))} ({there})")
        bound.append((keys, where))
    listeners = document.data.get("listeners") if isinstance(document.data, dict) else None
    names: dict[str, int] = {}
    for number, listener in enumerate(listeners if isinstance(listeners, list) else ()):
        name = (listener.get("name") or listener.get("vendor")) if isinstance(listener, dict) else None
        if isinstance(name, str) and names.setdefault(name, number) != number:
            yield document.problem(("listeners", number, "name"), f"a second listener with the name {shown(name)}")


def _completed(document: Document, settings: Settings, catalogue: Catalogue) -> Settings:
    """What only the profiles know: the default port, the routes and their upstreams; and what a policy may ask for."""
    asked = [(listener.policy, catalogue.profiles[listener.vendor]) for listener in settings.listeners]
    problems = [document.problem(keys, message) for keys, message in contradictions(settings.policy, asked, settings.fleet.url is not None)]
    listeners = []
    for number, listener in enumerate(settings.listeners):
        profile = catalogue.profiles[listener.vendor]
        for name in listener.variables.keys() - profile.variables.keys():
            told = f"no such variable; {instead(name, list(profile.variables))}"
            problems.append(document.problem(("listeners", number, "variables", name), told))
        routes = upstreams(profile, listener.variables)
        for name in listener.upstream:
            if name not in routes and name != EVERY_ROUTE:
                problems.append(document.problem(("listeners", number, "upstream", name), f"no such route; {instead(name, list(routes))}"))
        everywhere = listener.upstream.get(EVERY_ROUTE)
        upstream = {name: listener.upstream.get(name) or everywhere or own for name, own in routes.items()}
        listen = listener.listen
        if "listen" not in listener.model_fields_set:
            if profile.port is None:
                problems.append(document.problem(("listeners", number, "listen"), "is missing; the profile has no port of its own"))
            listen = Address("127.0.0.1", profile.port or 0)
        policy = merged(settings.policy, listener.policy)
        listeners.append(listener.model_copy(update={"listen": listen, "upstream": upstream, "policy": policy}))
    addresses: list[tuple[Keys, Address]] = [(("metrics", "listen"), settings.metrics.listen), (("admin", "listen"), settings.admin.listen)]
    addresses += [(("listeners", number, "listen"), listener.listen) for number, listener in enumerate(listeners)]
    problems += _twice(document, addresses)
    if problems:
        raise ConfigError(problems)
    return settings.with_profiles(tuple(listeners), catalogue)
