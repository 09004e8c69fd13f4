"""What each command says and exits with. `run` as a process is tried in e2e/test_run.py, the demo in test_demo.py."""

from __future__ import annotations

import socket
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from proxy.cli import main
from proxy.core.listing import Entry
from proxy.core.verdict import Verdict
from proxy.settings import Settings, load_all
from proxy.simulators import FAULTS
from proxy.telemetry import log
from tests.aio import free_port
from tests.settings.conftest import ACME

DURATION: Final = (
    '{"type":"Error","error_code":3007,'
    '"error":"Input Duration Error: Input Duration Violation: 20.0 ms. Expected between 50 and 1000 ms"}'
)
VERDICT: Final = {field.name for field in fields(Verdict)}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARWITNESS_CONFIG", raising=False)


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Standard output of a command that goes well, standard error of one that does not."""
    assert main(list(arguments)) == code
    out, err = capsys.readouterr()
    assert (err if code == 0 else out) == ""
    return out if code == 0 else err


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(said(capsys, "explain", *arguments, "--json"))
    return answer


# explain


def test_explain_as_the_readme_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    answer = explained(capsys, "--vendor", "assemblyai", "--frame", DURATION, "--close-code", "3007",
                       "--close-reason", "See Error message for details")
    assert (answer["category"], answer["owner"], answer["retry"]) == ("audio_chunk", "client", "after_fix")
    assert answer.keys() == VERDICT
    assert (answer["close_code"], answer["server_code"], answer["http_status"]) == (3007, "3007", None)


def test_explain_without_a_vendor_names_those_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    answer = explained(capsys, "--frame", DURATION)
    assert answer.keys() == VERDICT | {"vendors"}
    assert (answer["vendors"], answer["vendor"], answer["category"]) == (["assemblyai"], "assemblyai", "audio_chunk")


def test_explain_where_several_fit(capsys: pytest.CaptureFixture[str]) -> None:
    answer = explained(capsys, "--close-code", "1008")
    assert {"assemblyai", "deepgram"} <= set(answer["vendors"])
    assert (answer["vendor"], answer["code"]) == (None, "unclassified")


def test_explain_what_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    answer = explained(capsys, "--vendor", "deepgram", "--close-code", "4999", "--ended-by", "vendor")
    assert (answer["code"], answer["owner"], answer["retry"]) == ("unclassified", "unknown", "after_fix")


def test_explain_frames_as_hex(capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(capsys, "--vendor", "assemblyai", "--frame-hex", DURATION.encode().hex())["category"] == "audio_chunk"


def test_explain_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    refusal = ("--http-status", "401", "--header", "dg-request-id: abc", "--header", "dg-error: Invalid credentials.")
    answer = explained(capsys, "--vendor", "deepgram", *refusal, "--body", '{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials."}')
    assert (answer["code"], answer["owner"], answer["req_id"]) == ("INVALID_AUTH", "operator", "abc")


def test_explain_a_connection_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    answer = explained(capsys, "--vendor", "deepgram", "--transport", "dns", "--phase", "websocket_connect")
    assert (answer["code"], answer["owner"], answer["phase"]) == ("transport_dns", "network", "websocket_connect")


def test_explain_for_a_reader(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "explain", "--frame", DURATION).splitlines()
    table = dict(line.split(maxsplit=1) for line in lines)
    assert (table["category"], table["owner"], table["vendors"]) == ("audio_chunk", "client", "assemblyai")
    assert "http_status" not in table


def test_explain_shows_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "bad Authorization: Token 8f1dPLANTEDkey0a7c55e2b9"
    text = said(capsys, "explain", "--vendor", "deepgram", "--close-code", "1008", "--close-reason", reason)
    assert "PLANTED" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vendor", "nobody"], "no vendor 'nobody'; there are assemblyai, deepgram"),
        (["--frame-hex", "xyz"], "hex"),
        (["--header", "dg-error"], "--header: should be 'Name: value'"),
    ],
)
def test_explain_is_asked_wrongly(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert message in said(capsys, "explain", *arguments, code=64)


@pytest.mark.parametrize("arguments", [
    ["explain", "--header", "authorization=Zq9x7Kp2Lm4T"], ["explain", "--header", "Zq9x7Kp2Lm4T"], ["explain", "--vendor", "Zq9x7Kp2Lm4T"],
    ["simulate", "deepgram", "--fault", "Zq9x7Kp2Lm4T"], ["catalog", "--vendor", "Zq9x7Kp2Lm4T"],
])
def test_what_was_written_wrong_is_not_repeated_where_it_may_be_a_key(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "Zq9x7Kp2Lm4T" not in said(capsys, *arguments, code=64)


# catalog


def catalogued(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = orjson.loads(said(capsys, "catalog", *arguments, "--json"))
    return rows


def test_the_catalogue_has_every_failing_rule_and_the_sidecars_own_codes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = catalogued(capsys)
    assert all(row.keys() == {field.name for field in fields(Entry)} for row in rows)
    known = load_all()
    told = {(row["vendor"], row["code"], row["hint"]) for row in rows}
    vendors = [(profile.vendor, profile.rules) for profile in known.profiles.values()] + [(None, known.common.rules)]
    failing = [(vendor, rule) for vendor, rules in vendors for rule in rules if rule.outcome == "error"]
    assert [rule.id for vendor, rule in failing if (vendor, rule.code or "unclassified", rule.hint) not in told and not rule.one_of] == []
    assert len({tuple(row[name] for name in ("vendor", "code", "category", "owner", "retry", "hint")) for row in rows}) == len(rows)
    assert {row["code"]: row["owner"] for row in rows}.items() >= {
        "NET-0001": "client", "1011_internal_error": "vendor", "transport_dns": "network", "unclassified": "unknown",
        "sidecar_draining": "sidecar",
    }.items()


def test_the_catalogue_of_one_vendor(capsys: pytest.CaptureFixture[str]) -> None:
    rows = catalogued(capsys, "--vendor", "deepgram")
    assert {row["vendor"] for row in rows} == {"deepgram"}
    assert {"code": "DATA-0000", "category": "audio_format", "owner": "client", "retry": "after_fix"}.items() <= rows[0].items()
    assert rows[0]["rows"] == ["deepgram-1"]


def test_the_catalogue_for_a_reader(capsys: pytest.CaptureFixture[str]) -> None:
    head, first, *others = said(capsys, "catalog", "--vendor", "deepgram").splitlines()
    assert head.split() == ["VENDOR", "CODE", "CATEGORY", "OWNER", "RETRY", "ROWS", "ALIASES", "HINT"]
    assert first.split()[:8] == ["deepgram", "DATA-0000", "audio_format", "client", "after_fix", "deepgram-1", "USER_AUDIO_FORMAT", "What"]
    assert {line.index(" client ") for line in others if " client " in line} == {first.index(" client ")}


def test_the_catalogue_of_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no vendor 'nobody'; there are assemblyai, deepgram" in said(capsys, "catalog", "--vendor", "nobody", code=64)


@pytest.mark.parametrize("command", ["catalog", "explain"])
def test_further_profiles_come_from_the_settings_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (tmp_path / "acme.yaml").write_text(ACME)
    (tmp_path / "settings.yaml").write_text("profiles: [acme.yaml]")
    monkeypatch.setenv("EARWITNESS_CONFIG", str(tmp_path / "settings.yaml"))
    asked = ["--close-code", "4000", "--close-reason", "too fast"] if command == "explain" else []
    assert "too_fast" in said(capsys, command, "--vendor", "acme", *asked)
    assert "did you mean" not in said(capsys, command, "--vendor", "deepgram", *asked)
    (tmp_path / "settings.yaml").write_text("profiles: [acme.yaml, none.yaml]")
    assert said(capsys, command, "--vendor", "acme", code=64) == f"{tmp_path}/settings.yaml:1: profiles.1: no such file or folder\n"


# check-config and run: settings


def test_the_packaged_settings_are_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "check-config").endswith("earwitness.yaml: good\n")


BAD: Final = """\
listeners:
  - vendor: deepgam
    listen: 127.0.0.1:{port}
    upstream: ws://127.0.0.1:9000
gate: {{mode: enforce}}
"""


@pytest.mark.parametrize("command", [["check-config"], ["run", "--config"]])
def test_every_problem_is_told_with_its_place_and_nothing_is_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    file = tmp_path / "bad.yaml"
    with socket.create_server(("127.0.0.1", 0)) as taken:  # 75 would mean that it was tried
        file.write_text(BAD.format(port=taken.getsockname()[1]))
        problems = said(capsys, *command, str(file), code=64).splitlines()
    assert len(problems) == 3
    assert any(line.startswith(f"{file}:2: listeners.0.vendor: no profile 'deepgam'") for line in problems)
    assert any(line.startswith(f"{file}:4: listeners.0.upstream: write http:// instead of ws://") for line in problems)
    assert any(line.startswith(f"{file}:5: gate: unknown key") for line in problems)


def test_check_config_takes_the_file_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "of-the-environment.yaml"
    file.write_text("log: {level: loud}\n")
    monkeypatch.setenv("EARWITNESS_CONFIG", str(file))
    assert said(capsys, "check-config", code=64).startswith(f"{file}:1: log.level: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "127.0.0.1:0"], "--listen and --upstream go with --vendor"),
        (["--vendor", "nobody"], "--vendor: no profile 'nobody'"),
        (["--vendor", "deepgram", "--upstream", "127.0.0.1:9000"], "--upstream: should be a URL"),
        (["--vendor", "deepgram", "--listen", "9000"], "--listen: should be HOST:PORT"),
        (["--admin", "0.0.0.0:9465"], "--admin: should be a loopback address"),
        (["--config", "no-such-file.yaml"], "no-such-file.yaml"),
    ],
)
def test_run_is_asked_wrongly(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert message in said(capsys, "run", *arguments, code=64)


@pytest.mark.parametrize(("flags", "mode"), [([], "observe"), (["--enforce"], "enforce")])
def test_run_enforces_where_it_is_told_to(flags: list[str], mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Settings] = []

    async def serve(settings: Settings, read: object) -> None:
        ran.append(settings)

    monkeypatch.setattr("proxy.commands._serve", serve)
    assert main(["run", "--vendor", "assemblyai", "--listen", "127.0.0.1:0", *flags]) == 0
    assert [listener.policy.mode for settings in ran for listener in settings.listeners] == [mode]


def test_run_makes_room_for_descriptors_before_it_has_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """With threads the kernel would let it wait."""
    order: list[str] = []
    setup = log.setup

    async def serve(settings: Settings, read: object) -> None:
        order.append("serves")

    def first_thread(level: str) -> Any:
        order.append("threads")
        return setup(level)

    monkeypatch.setattr("proxy.commands._serve", serve)
    monkeypatch.setattr("proxy.relay.capacity.make_room", lambda: order.append("room"))
    monkeypatch.setattr("proxy.telemetry.log.setup", first_thread)
    assert main(["run", "--vendor", "assemblyai", "--listen", "127.0.0.1:0"]) == 0
    assert order == ["room", "threads", "serves"]


def test_run_on_a_loop_that_is_not_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.commands._has_uvloop", lambda: False)
    assert "--loop uvloop: uvloop is not installed" in said(capsys, "run", "--loop", "uvloop", code=64)


# the others


def test_simulators_list_their_faults(capsys: pytest.CaptureFixture[str]) -> None:
    for vendor, faults in FAULTS.items():
        assert [line.split()[0] for line in said(capsys, "simulate", vendor, "--list-faults").splitlines()] == list(faults)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "no simulator of 'nobody'; there are: assemblyai, deepgram"),
        (["nobody", "--list-faults"], "no simulator of 'nobody'"),
        (["deepgram", "--fault", "NET-9999"], "no fault 'NET-9999'"),
        (["deepgram", "--listen", "9000"], "not HOST:PORT"),
        (["deepgram", "--fault-after", "-1"], "cannot be negative"),
    ],
)
def test_simulate_is_asked_wrongly(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert message in said(capsys, "simulate", *arguments, code=64)


def test_simulate_on_an_address_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert said(capsys, "simulate", "deepgram", "--listen", listen, code=75).startswith(f"earwitness: cannot listen on {listen}: ")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e9"])
def test_a_demo_of_no_length(capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    assert "--seconds: should be above 0" in said(capsys, "demo", f"--seconds={seconds}", code=64)


def test_a_demo_with_prometheus_is_to_be_looked_at(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--prometheus: needs --serve" in said(capsys, "demo", "--prometheus", code=64)
    monkeypatch.setenv("PATH", "/nowhere")
    assert "--prometheus: there is no program `prometheus` on PATH" in said(capsys, "demo", "--serve", "--prometheus", code=64)


@pytest.mark.parametrize(("of", "key"), [("settings", "listeners"), ("vendor", "endpoints"), ("common", "rules")])
def test_schemas(capsys: pytest.CaptureFixture[str], of: str, key: str) -> None:
    assert key in orjson.loads(said(capsys, "schema", of))["properties"]


def test_healthcheck_of_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck", "--metrics", f"127.0.0.1:{free_port()}"]) == 1
    assert capsys.readouterr().out == "not ready\n"


def test_healthcheck_of_a_bad_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--metrics: should be HOST:PORT" in said(capsys, "healthcheck", "--metrics", "here", code=64)
