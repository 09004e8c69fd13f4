"""The bill of materials, of a root with one of each kind: a package of Debian's, one of Python's, and a Python that is nobody's package."""

from __future__ import annotations

import json
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.sbom import bill, written_out


def a_root(root: Path) -> Path:
    files = {
        "var/lib/dpkg/status": "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.17-1\n"
                               "Description: sockets\n that are secure\n\n"
                               "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n",
        "usr/local/include/python3.11/patchlevel.h": '#define PY_MAJOR_VERSION 3\n#define PY_VERSION             "3.11.9"\n',
        "opt/earwitness/lib/python3.11/site-packages/typing_things-1.2.dist-info/METADATA":
            "Metadata-Version: 2.4\nName: typing_things\nVersion: 1.2\nLicense-Expression: MIT\n",
        "usr/local/lib/python3.11/site-packages/older-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: older\nVersion: 0.1\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    return root


def test_what_is_installed_stands_in_it(tmp_path: Path) -> None:
    components = {one["purl"]: one for one in json.loads(written_out(bill(a_root(tmp_path), "image", "0.1.0")))["components"]}
    assert components.keys() == {
        "pkg:deb/debian/libssl3@3.0.17-1?arch=amd64", "pkg:generic/python@3.11.9", "pkg:pypi/typing-things@1.2", "pkg:pypi/older@0.1",
    }
    assert components["pkg:pypi/typing-things@1.2"]["licenses"] == [{"license": {"id": "MIT"}}]


def test_it_is_valid_and_says_whose_it_is(tmp_path: Path) -> None:
    text = written_out(bill(a_root(tmp_path), "image", "0.1.0"))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    about = json.loads(text)["metadata"]["component"]
    assert (about["type"], about["name"], about["version"]) == ("container", "image", "0.1.0")
