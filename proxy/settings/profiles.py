"""The vendors' profiles and the rules they share: finding the files and loading them.

Owns where the packaged files are: beside the package in a checkout, inside it once installed. A vendor's file is named
after it (`<vendor>.yaml`), so that only the files of the vendors in use are read: a sidecar holds its pod's start back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.core.profile import Profile
from proxy.core.rules import Common
from proxy.settings.document import Document, read
from proxy.settings.problems import ConfigError, Problem
from proxy.settings.upstreams import problems_of
from proxy.settings.validate import validated

_PACKAGE: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Profiles by vendor, and what all of them share."""

    profiles: dict[str, Profile]
    common: Common


def packaged() -> Path:
    """The folder of the files that come with the package: `earwitness.yaml`, `common.yaml`, `vendors/`."""
    installed = _PACKAGE / "_config"
    return installed if installed.is_dir() else _PACKAGE.parent / "config"


def vendor_files(extra: Iterable[Path] = ()) -> dict[str, Path]:
    """Vendor to file: the packaged ones, then the given files and folders, which take precedence. Raises ConfigError."""
    files = {path.stem: path for path in _yaml_files(packaged() / "vendors")}
    added: dict[str, Path] = {}
    for path in (file for one in extra for file in (_yaml_files(one) if one.is_dir() else [one])):
        if path.stem in added:
            raise ConfigError([Problem(str(path), None, "", f"a second file for the vendor {path.stem!r}, after {added[path.stem]}")])
        added[path.stem] = path
    return files | added


def load_profile(path: Path) -> Profile:
    """The profile in a file. Raises ConfigError with all that is wrong with it."""
    return profile_in(read(path), path.stem)


def load_common(path: Path | None = None) -> Common:
    """The rules that all vendors share; by default the packaged ones. Raises ConfigError."""
    return common_in(read(path or packaged() / "common.yaml"))


def load_all(extra: Sequence[Path] = ()) -> Catalogue:
    """Every packaged profile and those in the given files and folders. Raises ConfigError with the problems of all."""
    files = vendor_files(extra)
    return load_some(files, files)


def load_some(files: Mapping[str, Path], vendors: Iterable[str]) -> Catalogue:
    """The profiles of these vendors. Raises ConfigError with the problems of all."""
    problems: list[Problem] = []
    profiles: dict[str, Profile] = {}
    for vendor in dict.fromkeys(vendors):
        try:
            profiles[vendor] = load_profile(files[vendor])
        except ConfigError as error:
            problems += error.problems
    try:
        common = load_common()
    except ConfigError as error:
        raise ConfigError(problems + error.problems) from None
    if problems:
        raise ConfigError(problems)
    return Catalogue(profiles, common)


def profile_in(document: Document, vendor: str) -> Profile:
    profile, problems = validated(Profile, document)
    if profile is None:
        raise ConfigError(problems)
    if profile.vendor != vendor:
        problems.append(document.problem(("vendor",), f"should be {vendor!r}: a vendor's file is named after it"))
    problems += [document.problem(keys, message) for keys, message in problems_of(profile)]
    if problems:
        raise ConfigError(problems)
    return profile


def common_in(document: Document) -> Common:
    common, problems = validated(Common, document)
    if common is None or problems:
        raise ConfigError(problems)
    return common


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml")) if folder.is_dir() else []
