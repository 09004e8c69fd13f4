"""What `earwitness explain` and `earwitness catalog` have to show, by the command line alone, with the vendor named and without."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from proxy.cli import main

from .coverage import ROWS

AVATAR = ["--phase", "websocket_connect", "--http-status", "404", "--body", '{"message":"Avatar not found"}']
LIMITED = '{"type":"error","timestamp":1,"message_id":"e","data":{"error_code":"RATE_LIMITED","error_message":"Too many messages"}}'
FLAT = '{"type":"error","error_code":"RATE_LIMITED","error_message":"Too many messages"}'
INACTIVE = '{"type":"ELSA:error","message":"Client with u-17 is not active"}'
SAMPLE_RATE = "User Input Validation Error: Invalid 'sample_rate': Input should be a valid integer"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARWITNESS_CONFIG", raising=False)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == 0
    return orjson.loads(capsys.readouterr().out)


def error(code: int, text: str) -> list[str]:
    frame = orjson.dumps({"type": "Error", "error_code": code, "error": text}).decode()
    return ["--frame", frame, "--close-code", str(code), "--close-reason", "See Error message for details"]


EXPLAINED: list[tuple[str, list[str], dict[str, str]]] = [
    ("spatius", AVATAR, {"code": "avatarNotFound", "category": "config_not_found", "owner": "operator", "outcome": "refused_by_vendor"}),
    ("nextevi", ["--frame", LIMITED, "--close-code", "4004"], {"code": "RATE_LIMITED", "category": "rate_limit", "retry": "backoff"}),
    ("nextevi", ["--frame", FLAT, "--close-code", "4004"], {"code": "RATE_LIMITED", "category": "rate_limit", "retry": "backoff"}),
    ("elsa", ["--frame", INACTIVE], {"code": "ClientIsNotActive", "category": "permission", "owner": "operator"}),
    ("assemblyai", error(3006, "Invalid JSON: {"), {"code": "3006_json", "category": "protocol", "owner": "client"}),
    ("assemblyai", error(3006, SAMPLE_RATE), {"code": "3006_parameter", "category": "invalid_request", "owner": "client"}),
]


@pytest.mark.parametrize(("vendor", "given", "expected"), EXPLAINED)
def test_explain(capsys: pytest.CaptureFixture[str], vendor: str, given: list[str], expected: dict[str, str]) -> None:
    named = shown(capsys, "explain", "--vendor", vendor, *given)
    assert named.items() >= {"vendor": vendor, **expected}.items()


@pytest.mark.parametrize(("vendor", "given", "expected"), EXPLAINED)
def test_explain_finds_the_vendor(capsys: pytest.CaptureFixture[str], vendor: str, given: list[str], expected: dict[str, str]) -> None:
    found = shown(capsys, "explain", *given)
    assert found["vendors"] == [vendor]
    assert found.items() >= expected.items()


@pytest.mark.parametrize("arguments", [["--vendor", "elsa"], []])
@pytest.mark.parametrize("form", [["--json"], []])
def test_a_users_id_is_not_shown(capsys: pytest.CaptureFixture[str], arguments: list[str], form: list[str]) -> None:
    assert main(["explain", *arguments, "--frame", INACTIVE, *form]) == 0
    out = capsys.readouterr().out
    assert "u-17" not in out
    assert "is not active" in out


def test_the_catalogue_lists_every_row_of_every_page(capsys: pytest.CaptureFixture[str]) -> None:
    listed = shown(capsys, "catalog")
    by_row: dict[str, list[dict[str, Any]]] = {}
    for entry in listed:
        for row in entry["rows"]:
            by_row.setdefault(row, []).append(entry)
    rows = {row.row: row for several in ROWS.values() for row in several}
    assert by_row.keys() == rows.keys()
    for name, entries in by_row.items():
        assert all(entry["vendor"] == rows[name].vendor and entry["hint"] for entry in entries)


def test_the_name_that_stands_for_nothing_known_is_an_alias(capsys: pytest.CaptureFixture[str]) -> None:
    aliased = [entry for entry in shown(capsys, "catalog", "--vendor", "spatius") if "unknown" in entry["aliases"]]
    assert [(entry["code"], entry["category"], entry["owner"]) for entry in aliased] == [("unclassified", "unclassified", "unknown")]


@pytest.mark.parametrize("body", ['{"errors":[{"status":"401","code":"UNAUTHENTICATED"}]}', '{"errors":[{"status":"418"}]}'])
def test_a_path_of_plain_http_tells_vendor_and_phase(capsys: pytest.CaptureFixture[str], body: str) -> None:
    """A 200 that is a failure is no answer to an upgrade there, whatever rule of all vendors says so."""
    got = shown(capsys, "explain", "--path", "/v1/console/session-tokens", "--http-status", "200", "--body", body)
    assert (got["vendors"], got["phase"]) == (["spatius"], "session_token")
    assert got["category"] == ("auth" if "401" in body else "unclassified")


def test_a_word_of_everybodys_in_a_close_is_no_vendors(capsys: pytest.CaptureFixture[str]) -> None:
    got = shown(capsys, "explain", "--close-code", "1008", "--close-reason", "Unauthorized")
    assert (got["vendor"], got["category"], len(got["vendors"])) == (None, "auth", 5)
