"""No command prints a key: of what it is asked about, of the environment, of settings, of calls to it; and no fault of ours logs one."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from proxy.cli import main
from proxy.core.exchange import Exchange
from proxy.relay import relay
from proxy.relay.dialer import Dialer
from proxy.simulators import SIMULATORS
from proxy.simulators import spatius_wire as wire
from proxy.simulators.caller import Manner
from proxy.simulators.dialects import FLUX, NOVA, V3
from proxy.simulators.scenes import SCENES
from proxy.telemetry import log
from tests.aio import free_port, run
from tests.e2e.plants import WORDINGS, Plants
from tests.e2e.process import earwitness, page
from tests.e2e.rig import sidecar

NAMES = ("DEEPGRAM_API_KEY", "ASSEMBLYAI_API_KEY", "NEXTEVI_API_KEY", "SPATIUS_API_KEY", "ELSA_TOKEN", "HTTPS_PROXY", "ALL_PROXY", "MINE")


@pytest.fixture
def plants(monkeypatch: pytest.MonkeyPatch) -> Plants:
    """With keys in the environment."""
    planted = Plants()
    for number, name in enumerate(NAMES):
        key = planted.mint(f"${name}", number)
        monkeypatch.setenv(name, f"http://me:{key}@127.0.0.1:1" if name.endswith("_PROXY") else key)
    return planted


Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs a command in this process; gives its exit code and all that it printed."""

    def asked(*arguments: str) -> tuple[int, str]:
        try:
            code = main(list(arguments))
        except SystemExit as left:
            code = int(left.code or 0)
        out, err = capsys.readouterr()
        return code, out + err

    return asked


@pytest.mark.parametrize("vendor", [*SIMULATORS, None])
def test_explain(vendor: str | None, plants: Plants, ask: Ask) -> None:
    named = ["--vendor", vendor] if vendor else []
    for turn, wording in enumerate(WORDINGS):
        def text(where: str, turn: int = turn, wording: Callable[[str], str] = wording) -> str:
            return wording(plants.mint(f"{where} {turn}", turn + len(where), looks=True))

        path = f"/v1/listen?token={plants.mint(f'path {turn}', turn)}"
        header = ["--header", f"Set-Cookie: sid={plants.mint(f'cookie {turn}', turn)}", "--header", f"dg-error: {text('dg-error')}"]
        frames = [
            {"type": "Error", "description": text("frame"), "code": text("code")}, {"type": "error", "error_message": text("message")},
            {"type": "Error", "error": text("error")}, {"status": "failed", "reason": text("reason")},
        ]
        given = [
            ["--path", path, "--http-status", "401", *header, "--body", json.dumps({"err_msg": text("body"), "detail": text("detail")})],
            ["--path", path, "--http-status", "403", *header, "--body", text("a body")],
            *(["--frame", json.dumps(frame), "--close-code", "1008", "--close-reason", text("close reason")] for frame in frames),
            ["--frame-hex", wire.error("c-1", "r-1", 0, text("protobuf")).hex()],
            ["--close-code", "1008", "--close-reason", f"received 1008 (policy violation) {text('exception')}; then sent 1008"],
            ["--frame", text("words"), "--transport", "eof"],
        ][turn % 4 :: 4]
        for arguments in given:
            code, shown = ask("explain", *named, *arguments, *(["--json"] if turn % 2 else []))
            assert code == 0
            assert "hint" in shown
            assert plants.leaks(shown) == [], arguments


def test_settings_that_hold_keys(plants: Plants, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter(plants.mint(f"settings {number}", number, looks=True) for number in range(100))
    bad: list[dict[str, Any]] = [
        {"listeners": [{"vendor": "deepgram", "upstream": f"https://me:{next(keys)}@api.example"}]},
        {"listeners": [{"vendor": "deepgram", "upstream": f"https://api.example/?token={next(keys)}"}]},
        {"listeners": [{"vendor": "spatius", "upstream": {f"https://me:{next(keys)}@h": "https://h"}}]},
        {"listeners": [{"vendor": "spatius", "variables": {"region": f"{next(keys)}/"}}]},
        {"listeners": [{"vendor": next(keys), "listen": next(keys), "api_key": next(keys)}]},
        {"upstream_proxy": f"http://me:{next(keys)}@proxy.example:3128"},
        {"log": {"level": next(keys)}, "timeouts": {"dial": next(keys)}, "correlation": {"headers": [f"token={next(keys)}"]}},
        {"api_key": next(keys), "profiles": [next(keys)]},
    ]
    texts = [json.dumps(settings) for settings in bad]
    texts += [f"a: *{next(keys)}", f'a: "{next(keys)}', f"a: !{next(keys)} b", f"a: &x {next(keys)}\n- b", f"%{next(keys)}\n---\n",
              f"{{{next(keys)}}}: ["]
    for number, text in enumerate(texts):
        file = tmp_path / f"settings-{number}.yaml"
        file.write_text(text)
        for command in (["check-config", str(file)], ["run", "--config", str(file)]):
            code, shown = ask(*command)
            assert (code, file.name in shown) == (64, True), (text, shown)
            assert plants.leaks(shown) == []
    monkeypatch.setenv("EARWITNESS__UPSTREAM_PROXY", f"http://me:{next(keys)}@h")
    monkeypatch.setenv("EARWITNESS__LOG__LEVEL", next(keys))
    monkeypatch.setenv("EARWITNESS__METRICS__LISTEN", next(keys))
    for command in (["run"], ["healthcheck"], ["healthcheck", "--metrics", next(keys)],
                    ["run", "--vendor", "deepgram", "--upstream", f"https://{next(keys)}@h", "--listen", next(keys)]):
        code, shown = ask(*command)
        assert (code, "UPSTREAM_PROXY" in shown) == (64, True)
        assert plants.leaks(shown) == []


@pytest.mark.parametrize("arguments", [
    ["explain", "--header", "{}"], ["explain", "--header", "authorization={}"], ["explain", "--close-code", "{}"],
    ["explain", "--transport", "{}"],
    ["explain", "--vendor", "{}"], ["explain", "--frame-hex", "z{}"], ["explain", "{}"], ["explain", "--api-key={}"], ["simulate", "{}"],
    ["simulate", "deepgram", "--fault", "{}"], ["simulate", "deepgram", "--listen", "{}"], ["catalog", "--vendor", "{}"], ["schema", "{}"],
    ["demo", "--seconds", "{}"], ["run", "--loop", "{}"], ["run", "--upstream", "https://me:{}@h"], ["{}"],
])
def test_usage(arguments: list[str], plants: Plants, ask: Ask) -> None:
    for shape in range(5):
        key = plants.mint(f"{arguments} {shape}", shape, looks=True)
        code, shown = ask(*(argument.format(key) for argument in arguments))
        assert (code, "earwitness" in shown) == (64, True)
        assert plants.leaks(shown) == []


def test_commands_that_only_tell(plants: Plants, ask: Ask) -> None:
    for command in (["catalog"], ["catalog", "--json"], ["schema", "vendor"], ["simulate", "spatius", "--list-faults"], ["check-config"],
                    ["--version"], ["healthcheck", "--metrics", f"127.0.0.1:{free_port()}"]):
        code, shown = ask(*command)
        assert code == (1 if command[0] == "healthcheck" else 0)
        assert shown
        assert plants.leaks(shown) == []


def test_simulate(plants: Plants, tmp_path: Path) -> None:
    """Processes of their own, called with keys, and with bad requests."""

    async def calls() -> str:
        folders = [tmp_path / name for name in ("deepgram", "assemblyai")]
        for folder in folders:
            folder.mkdir()
        with (
            earwitness(folders[0], "simulate", "deepgram", "--listen", "127.0.0.1:0") as first,
            earwitness(folders[1], "simulate", "assemblyai", "--listen", "127.0.0.1:0") as second,
        ):
            for process, dialect in ((first, NOVA), (first, FLUX), (second, V3)):
                await process.printed("simulating")
                address = process.out.split()[-1].removeprefix("ws://")
                keys = [plants.mint(f"simulate {dialect.path} {number}", number) for number in (0, 2, 3)]
                url, headers = f"http://{address}{dialect.path}&token={keys[0]}", {"Authorization": dialect.scheme + keys[1]}
                async with aiohttp.ClientSession() as client, client.ws_connect(url, headers=headers) as line:
                    await line.send_str(json.dumps({"type": "Bogus", "api_key": keys[2]}))
                    await line.receive()
                await page(address, f"/x?token={keys[0]}")
            for process in (first, second):
                process.signal(signal.SIGINT)
                assert await process.ended() == 0
            return "".join(process.out + process.err for process in (first, second))

    shown = run(calls())
    assert "simulating deepgram" in shown
    assert plants.leaks(shown) == []


def test_demo(plants: Plants, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    good = {scene.dialect.vendor: scene for scene in reversed(SCENES) if scene.manner == Manner()}
    scenes = [replace(scene, manner=Manner(plants.mint(f"demo {vendor}", number))) for number, (vendor, scene) in enumerate(good.items())]
    scenes.append(replace(good["assemblyai"], manner=Manner(f"{plants.mint('demo refused', 0)} x")))
    monkeypatch.setattr("proxy.demo.SCENES", tuple(scenes))
    code, shown = ask("demo", "--seconds", "0.3")
    assert (code, shown.count("normal")) == (1, len(SIMULATORS) + 1)  # the last should be, and is not
    assert "1008_invalid_key" in shown
    assert plants.leaks(shown) == []


def test_our_own_faults(plants: Plants, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exceptions with keys in them, aiohttp's own among them, out of every part that may fail: logged, and without the key."""
    host = ConnectionKey("h", 443, True, True, None, None, None)

    def failing(what: str) -> Callable[..., Any]:
        keys = [plants.mint(f"fault of {what} {number}", number) for number in range(4)]
        headers: Any = aiohttp.http.HttpProcessingError(code=400, message=f"bad header: Authorization: Token {keys[0]}")
        certificate = ValueError(f"wss://h/v1/listen?token={keys[2]}")
        causes = [headers, RuntimeError(f"{{'X-Api-Key': '{keys[1]}'}}"), aiohttp.ClientConnectorCertificateError(host, certificate),
                  aiohttp.InvalidURL(f"https://me:{keys[3]}@h/")]

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError(repr(causes)) from causes[0]

        return fail

    async def main() -> None:
        nobody = f"http://127.0.0.1:{free_port()}"
        async with sidecar({"vendor": "deepgram", "upstream": nobody}) as beside, aiohttp.ClientSession() as client:
            for where, what in ((Dialer, "dial"), (Dialer, "reach"), (relay, "report_of"), (Exchange, "verdict"), (relay, "request_head"),
                                (relay, "plain_head")):
                with monkeypatch.context() as patch:
                    patch.setattr(where, what, failing(what))
                    with pytest.raises(aiohttp.WSServerHandshakeError):
                        await client.ws_connect(f"{beside.url('deepgram')}/v1/listen")
                    async with client.post(f"{beside.url('deepgram', 'http')}/v1/auth/grant") as answer:
                        assert plants.leaks(f"{answer.headers} {await answer.text()}") == []

    with (tmp_path / "log").open("wb") as file:
        lines = log.setup("debug", os.dup(file.fileno()))
        try:
            run(main())
            log.state("internal", logging.ERROR, error=RuntimeError(sys.version))
        finally:
            lines.close()
            logging.getLogger().setLevel(logging.WARNING)
    shown = (tmp_path / "log").read_text()
    assert shown.count('"type":"RuntimeError"') >= 5
    assert plants.leaks(shown) == []
