"""The packaged files load, stand where an installed package finds them, and a vendor's file is told all its mistakes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from proxy.settings import ConfigError, load_all, load_common, load_profile, packaged
from proxy.settings.profiles import vendor_files
from tests.settings.conftest import ACME

ROOT = Path(__file__).parents[2]


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def test_the_packaged_profiles_load_and_are_named_after_their_vendors() -> None:
    catalogue = load_all()
    assert {name: profile.vendor for name, profile in catalogue.profiles.items()} == {name: name for name in vendor_files()}
    assert catalogue.common == load_common()
    assert catalogue.common.rules


def test_the_packaged_files_are_those_of_the_checkout_and_all_of_it_is_installed() -> None:
    assert packaged() == ROOT / "config"
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "proxy").rglob("*.py")}
    folders |= {path.parent.relative_to(ROOT) for path in (ROOT / "config").rglob("*.yaml")}
    names = {str(folder).replace("config", "proxy/_config", 1).replace("/", "."): str(folder) for folder in folders}
    names["proxy._rules"] = "deploy/prometheus/rules"
    assert set(setup["packages"]) == set(names)
    assert all(setup["package-dir"][name] == folder for name, folder in names.items() if "._" in name)


def test_an_installed_package_has_its_files_inside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "proxy" / "_config").mkdir(parents=True)
    monkeypatch.setattr("proxy.settings.profiles._PACKAGE", tmp_path / "proxy")
    assert packaged() == tmp_path / "proxy" / "_config"


def test_given_files_and_folders_come_before_the_packaged_ones(folder: Path) -> None:
    more = folder / "more"
    more.mkdir()
    (more / "other.yml").write_text(ACME)
    (more / "README.md").write_text("no profile")
    assert vendor_files([folder / "acme.yaml", more]).items() >= {"acme": folder / "acme.yaml", "other": more / "other.yml"}.items()
    (more / "acme.yaml").write_text(ACME)
    with pytest.raises(ConfigError, match=r"acme\.yaml: a second file for the vendor 'acme', after "):
        vendor_files([folder / "acme.yaml", more])


def test_the_profile_of_the_tests_is_whole(folder: Path) -> None:
    assert load_profile(folder / "acme.yaml").port == 8199


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("vendor: acme", "vendor: acne", ["1: vendor: should be 'acme': a vendor's file is named after it"]),
        ("title: Acme", "titel: Acme", ["1: title: is missing", "2: titel: unknown key; did you mean 'title'?"]),
        ("port: 8199", "port: 0", ["3: port: should be greater than or equal to 1"]),
        ("path: /v1", "path: v1", ["6: routes.0.path: should match ^/"]),
        ("endpoint: v1, upstream", "endpoint: v3, upstream", ["6: routes.0.endpoint: no endpoint 'v3'; there are ['v1']"]),
        ("ready: handshake", "ready: soon", ["10: endpoints.v1.ready: should be 'handshake' or 'message', not 'soon'"]),
        ("{query: rate}", "{qurey: rate}", ["11: endpoints.v1.audio.sample_rate.qurey: unknown key; did you mean 'query'?"]),
        ("formats: {linear16:", "formats: {Linear16:",
         ["11: endpoints.v1.audio.formats: encodings are compared in lower case: write 'linear16', not 'Linear16'"]),
        ("{default: linear16}", "{default: 16}", ["11: endpoints.v1.audio.encoding.default: should be text: write it in quotes"]),
        ("hint: Slow down.", "", ["13: rules.0: a rule needs code, category and hint (or one_of)"]),
        ("audio_pacing", "audio_packing", [13]),
        ("text: too fast", "text: [too fast, '!?']", ["17: rules.0.when.text: a phrase without a word: '!?'"]),
        ("text: too fast", "header: {dg-error: '*'}", ["17: rules.0.when.header.dg-error: a phrase without a word: '*'"]),
        ("close_code: 4000,", "close_cod: 4000,", ["17: rules.0.when.close_cod: unknown key; did you mean 'close_code'?"]),
        ("sources: docs\n", "sources: dox\n", ["18: rules.0.sources: no source 'dox'; there are ['docs']"]),
        ("examples: [{close_code: 4000, close_reason: Too fast!}]", "examples: []", ["19: rules.0.examples: should not be empty"]),
    ],
)
def test_mistakes_in_a_profile(folder: Path, old: str, new: str, told: list[str] | list[int]) -> None:
    path = folder / "acme.yaml"
    path.write_text(ACME.replace(old, new, 1))
    assert path.read_text() != ACME
    found = problems(path)
    if told == [13]:
        assert found[0].startswith("15: rules.0.category: should be 'auth', 'permission', ")
        assert found[0].endswith(", not 'audio_packing'")
    elif old.startswith("close_code"):
        assert found[0] == told[0]
    else:
        assert found == told


def test_the_problems_of_all_files_are_told_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "common.yaml").write_text("rules: 5")
    (folder / "vendors").mkdir()
    (folder / "vendors" / "acme.yaml").write_text("[]")
    monkeypatch.setattr("proxy.settings.profiles.packaged", lambda: folder)
    with pytest.raises(ConfigError) as caught:
        load_all()
    assert [str(problem) for problem in caught.value.problems] == [
        f"{folder}/common.yaml:1: rules: should be a list",
        f"{folder}/vendors/acme.yaml:1: should be a map of names to values",
    ]
