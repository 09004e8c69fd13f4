"""A software bill of materials of an image: what Debian and Python have installed under its root, as CycloneDX JSON.

    python -m deploy.sbom ROOT NAME VERSION > earwitness.cdx.json

Reads the records that both leave behind, not the files themselves, and runs nothing of the image.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

DPKG: Final = "var/lib/dpkg/status"
SITES: Final = ("opt/*/lib/python3.*/site-packages", "usr/local/lib/python3.*/*-packages", "usr/lib/python3/dist-packages")
HEADER: Final = "usr/local/include/python3.*/patchlevel.h"
"""Where a Python that is not Debian's says which it is."""


def bill(root: Path, name: str, version: str) -> Bom:
    """Of everything that is installed under `root`."""
    bom = Bom(components=[*_debian(root), *_interpreter(root), *_packages(root)])
    bom.metadata.component = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=name)
    bom.register_dependency(bom.metadata.component, bom.components)
    return bom


def _debian(root: Path) -> Iterator[Component]:
    for entry in (root / DPKG).read_text().strip().split("\n\n"):
        package = HeaderParser().parsestr(entry)
        if package["Status"] == "install ok installed":
            url = PackageURL("deb", "debian", package["Package"], package["Version"], {"arch": package["Architecture"]})
            yield Component(name=package["Package"], version=package["Version"], purl=url, bom_ref=str(url))


def _interpreter(root: Path) -> Iterator[Component]:
    for header in root.glob(HEADER):
        found = re.search(r'^#define PY_VERSION\s+"([^"]+)"', header.read_text(), re.MULTILINE)
        if found:
            url = PackageURL("generic", None, "python", found[1])
            yield Component(name="python", version=found[1], type=ComponentType.APPLICATION, purl=url, bom_ref=str(url))


def _packages(root: Path) -> Iterator[Component]:
    for distribution in distributions(path=[str(site) for pattern in SITES for site in root.glob(pattern)]):
        about = distribution.metadata
        url = PackageURL("pypi", None, about["Name"].lower().replace("_", "-"), distribution.version)
        said = [LicenseFactory().make_from_string(about["License-Expression"])] if "License-Expression" in about else []
        yield Component(name=about["Name"], version=distribution.version, purl=url, bom_ref=str(url), licenses=said)


def written_out(bom: Bom) -> str:
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def main(root: str, name: str, version: str) -> None:
    sys.stdout.write(written_out(bill(Path(root), name, version)))


if __name__ == "__main__":
    main(*sys.argv[1:])
