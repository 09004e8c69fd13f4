"""The generated schemas are those of the models, and the model and the packaged file know the same keys."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from proxy.core.policy import Policy, Rule
from proxy.core.profile import Profile, schema
from proxy.core.rules import Common
from proxy.settings import Settings, packaged
from proxy.settings.document import parse, read

SCHEMAS: Final = {"settings": schema(Settings), "vendor": schema(Profile), "common": schema(Common)}
FILES: Final = sorted(packaged().rglob("*.yaml"))
MODELINE: Final = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")


@pytest.mark.parametrize(("name", "made"), SCHEMAS.items())
def test_the_schema_files_are_up_to_date(name: str, made: dict[str, Any]) -> None:
    # If this fails: `earwitness schema settings > config/settings.schema.json`, and the same for vendor and common.
    assert (packaged() / f"{name}.schema.json").read_text() == json.dumps(made, indent=2) + "\n"


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_editors_find_the_schema_of_each_file_and_no_fault_in_it(path: Path) -> None:
    named = MODELINE.match(path.read_text())
    assert named, "the first line tells editors where the schema is"
    made = json.loads((path.parent / named[1]).read_text())
    Draft202012Validator.check_schema(made)
    assert [f"{error.json_path}: {error.message}"[:300] for error in Draft202012Validator(made).iter_errors(read(path).data)] == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("settings", {"listeners": [{"vendor": "acme", "upstraem": "https://a.example"}]}),
        ("settings", {"listeners": []}),
        ("settings", {"metrics": {"listen": "9464"}}),
        ("vendor", {"vendor": "acme"}),
        ("common", {"rules": [{"id": "a", "when": 5, "examples": [{}]}]}),
    ],
)
def test_the_schemas_find_what_is_wrong(name: str, data: Any) -> None:
    assert not Draft202012Validator(SCHEMAS[name]).is_valid(data)


def test_the_schema_takes_addresses_and_urls_as_text() -> None:
    made = SCHEMAS["settings"]
    listener = made["$defs"]["Listener"]["properties"]
    assert listener["listen"]["type"] == "string"
    assert [one["type"] for one in listener["upstream"]["anyOf"]] == ["string", "object"]
    assert made["$defs"]["Metrics"]["properties"]["listen"]["default"] == "127.0.0.1:9464"


def test_the_packaged_file_names_every_key() -> None:
    text = (packaged() / "earwitness.yaml").read_text()
    assert [key for key in Settings.model_fields if f"{key}:" not in text] == []


def test_the_packaged_comment_on_policy_has_its_defaults() -> None:
    lines = (packaged() / "earwitness.yaml").read_text().splitlines()
    begin = lines.index("# policy:")
    block = "\n".join(line.removeprefix("# ") for line in lines[begin : lines.index("", begin)])
    written = Settings.model_validate(parse(block, "comment").data).policy
    assert written == Policy()
    assert written.rules.model_fields_set == set(Rule)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().log.level = "debug"  # type: ignore[misc]
