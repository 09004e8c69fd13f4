"""The generated schemas are those of the models, and the model and the packaged file know the same keys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.core.profile import Profile, schema
from proxy.settings import Settings, packaged, settings_schema


@pytest.mark.parametrize(("name", "made"), [("settings", settings_schema()), ("vendor", schema(Profile))])
def test_the_schema_files_are_up_to_date(name: str, made: dict[str, Any]) -> None:
    # If this fails: `earwitness schema settings > config/settings.schema.json`, and the same for vendor.
    assert (packaged() / f"{name}.schema.json").read_text() == json.dumps(made, indent=2) + "\n"


def test_the_schema_takes_addresses_and_urls_as_text() -> None:
    made = settings_schema()
    listener = made["$defs"]["Listener"]["properties"]
    assert listener["listen"]["type"] == "string"
    assert [one["type"] for one in listener["upstream"]["anyOf"]] == ["string", "object"]
    assert made["$defs"]["Metrics"]["properties"]["listen"]["default"] == "127.0.0.1:9464"


def test_the_packaged_file_names_every_key() -> None:
    text = (packaged() / "earwitness.yaml").read_text()
    assert [key for key in Settings.model_fields if f"{key}:" not in text] == []


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().log.level = "debug"  # type: ignore[misc]
