"""A sixth vendor by a file alone: that of config/README.md, taken word for word, told all its mistakes, and used over real sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from proxy.cli import main
from proxy.core.report import Report
from proxy.core.verdict import Category
from proxy.settings import check, load
from tests.aio import run
from tests.e2e.rig import sidecar

README: Final = (Path(__file__).parents[2] / "config" / "README.md").read_text()
BABBLE: Final = re.findall(r"^```yaml\n(# yaml-language-server.*?)```", README, re.DOTALL | re.MULTILINE)[0]
SETTINGS: Final = re.sub(r"^   ", "", re.findall(r"^   ```yaml\n(.*?)   ```", README, re.DOTALL | re.MULTILINE)[0], flags=re.MULTILINE)
PATH: Final = "/listen?encoding=linear16&sample_rate=16000"
TENTH: Final = bytes(range(1, 161)) * 20
"""A tenth of a second of audio that is not silent."""

Script = Callable[[ServerConnection], Awaitable[None]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "babble.yaml").write_text(BABBLE)
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    return tmp_path


def test_the_files_of_the_walkthrough_are_good(folder: Path) -> None:
    assert check(folder / "babble.yaml") == check(folder / "settings.yaml") == []
    (listener,) = load(folder / "settings.yaml").listeners
    assert (listener.vendor, listener.listen, listener.upstream) == ("babble", "127.0.0.1:8120", {"listen": "https://api.babble.example"})


def test_the_commands_of_the_walkthrough_know_the_vendor(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARWITNESS_CONFIG", str(folder / "settings.yaml"))
    assert main(["check-config"]) == 0
    assert main(["explain", "--vendor", "babble", "--close-code", "4003", "--close-reason", "chunk too short"]) == 0
    assert main(["catalog", "--vendor", "babble"]) == 0
    out = capsys.readouterr().out
    assert out.count("4003_chunk") == 2
    assert "settings.yaml: good" in out


# Every kind of mistake is told, with the line

MISTAKES: Final = [
    ("title: Babble", "titel: Babble", ["title: is missing", "titel: unknown key; did you mean 'title'?"]),
    ("vendor: babble ", "vendor: bubble ", ["vendor: should be 'babble': a vendor's file is named after it"]),
    ("port: 8120", "port: eighty", ["port: should be a whole number"]),
    ("port: 8120", "port: 81200", ["port: should be less than or equal to 65535"]),
    ("endpoint: v1,", "endpoint: v2,", ["routes.0.endpoint: no endpoint 'v2'; there are ['v1']"]),
    ("endpoint: v1, ", "", ["routes.0: a websocket route needs an endpoint"]),
    ("endpoint: v1,", "kind: http, endpoint: v1,", ["routes.0: an http route has no endpoint"]),
    ("path: /listen", "path: listen", ["routes.0.path: should match ^/"]),
    ("https://api.babble", "wss://api.babble", ["routes.0.upstream: should match ^https?://[^/?#@\\s]+$"]),
    ("https://api.babble", "https://{region}.babble", ["routes.0.upstream: no variable 'region'; none is known here"]),
    ("linear16: pcm_s16le", "linear16: pcm", [
        "endpoints.v1.audio.formats.linear16: should be 'pcm_s16le', 'pcm_s32le', 'mulaw', 'alaw' or 'opaque', not 'pcm'",
    ]),
    ("linear16: pcm_s16le", "linear: pcm_s16le", [
        "endpoints.v1.audio.encoding.default: no format 'linear16'; there are ['linear', 'opus']",
    ]),
    ("{query: sample_rate}", "{quary: sample_rate}", ["endpoints.v1.audio.sample_rate.quary: unknown key; did you mean 'query'?"]),
    ("[0.02, 1]", "[0.02]", ["endpoints.v1.limits.chunk_seconds.1: is missing"]),
    ("rate_ratio: 1.25", "rate_ratio: fast", ["endpoints.v1.limits.rate_ratio: should be a number"]),
    ("ready: message", "ready: soon", ["endpoints.v1.ready: should be 'handshake' or 'message', not 'soon'"]),
    ("role: keep_alive", "role: stay_alive", [
        "endpoints.v1.client.kinds.KeepAlive.role: should be 'ready', 'result', 'end', 'error', 'warning', 'keep_alive', 'control', "
        "'info', 'audio', 'start', 'stopped' or 'disconnect', not 'stay_alive'",
    ]),
    ("equals: soft", "equal: soft", ["endpoints.v1.server.kinds.Error.0.when.equal: unknown key; did you mean 'equals'?"]),
    (", equals: soft", "", ["endpoints.v1.server.kinds.Error.0.when: a condition on a value needs either equals or exists"]),
    ("unit: ms", "unit: minutes", [
        "endpoints.v1.server.kinds.Words.speech_end.unit: should be 's' or 'ms', not 'minutes'",
    ]),
    ("category: audio_chunk", "category: audio_lump", [
        f"rules.0.category: should be {', '.join(map(repr, [*map(str, Category)][:-1]))} or 'unclassified', not 'audio_lump'",
    ]),
    ("    category: audio_chunk\n", "", ["rules.0: a rule needs code, category and hint (or one_of)"]),
    ("sources: docs\n", "sources: dogs\n", ["rules.0.sources: no source 'dogs'; there are ['docs']"]),
    (", source: docs}", ", source: dogs}", ["rules.0.sources: no source 'dogs'; there are ['docs']"]),
    ("text: too fast", "text: '*'", ["rules.1.when.text: a phrase without a word: '*'"]),
    ("text: too fast", "endpoint: v9", ["rules.1.when: no endpoint ['v9']; there are ['v1']"]),
    ("when: {close_code: 4003, text: too fast}", "when: {}", ["rules.1.when: a condition that asks nothing fits everything"]),
    ("    examples:\n      - {close_code: 4003, close_reason: You are too fast for us}\n", "", ["rules.1.examples: is missing"]),
    ("      - {close_code: 4003, close_reason: You are too fast for us}\n", "", ["rules.1.examples: should be a list"]),
    ("close_reason: Go away", "close_reason: You are too fast", ["rules.2.examples.0: is taken by pace, not by some-4003"]),
    ("close_reason: You are too fast for us", "close_reason: Slow down", ["rules.1.examples.0: is taken by some-4003, not by pace"]),
    ("{close_code: 4003, close_reason: You are", "{close_code: 4999, close_reason: You are", [
        "rules.1.examples.0: is taken by no rule alone, not by pace",
    ]),
    ("{close_code: 4003, close_reason: You are too fast for us}", "{frames_hex: xyz}", [
        "rules.1.examples.0.frames_hex: should be the hex of bytes",
    ]),
    ("close_reason: Go away", "close_raison: Go away", ["rules.2.examples.0.close_raison: unknown key; did you mean 'close_reason'?"]),
    ("id: pace", "id: chunk", ["rules.1.id: a second rule with the id 'chunk'"]),
    ("one_of: [chunk, pace]", "one_of: [chunk, peace]", ["rules.2.one_of: no plain rule with the id 'peace'"]),
    ("one_of: [chunk, pace]", "one_of: [chunk, pace]\n    code: both", [
        "rules.2: a rule with one_of takes code, category, owner and retry from the rules it names",
    ]),
    ("id: some-4003", "id: Some 4003", ["rules.2.id: should match ^[a-z0-9][a-z0-9_-]*$"]),
    ("title: Babble", "title: Babble\ntitle: Again", ["title: stands twice, first in line 3"]),
    ("title: Babble", "title: {", [": did not find expected ',' or '}'"]),
]


@pytest.mark.parametrize(("old", "new", "told"), MISTAKES, ids=[f"{old} > {new}"[:60] for old, new, _ in MISTAKES])
def test_check_config_tells_every_mistake(folder: Path, old: str, new: str, told: list[str]) -> None:
    path = folder / "babble.yaml"
    assert old in BABBLE
    path.write_text(BABBLE.replace(old, new, 1))
    found = check(path)
    assert [f"{problem.path}: {problem.message}" for problem in found] == told
    assert all(problem.where == str(path) and problem.line for problem in found)
    assert check(folder / "settings.yaml") == found


# Over real sockets


def answered(connection: ServerConnection, request: Request, response: Response) -> None:
    response.headers["x-babble-request"] = "req-7"


async def called(folder: Path, vendor: Script, client: Callable[[ClientConnection], Awaitable[None]], **options: Any) -> Report:
    """One call through a sidecar with these settings. The vendor's side runs `vendor`, or refuses by `process_request`."""
    async with (
        serve(vendor, "127.0.0.1", 0, **{"process_response": answered, "compression": None, **options}) as server,
        sidecar({"vendor": "babble", "upstream": f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"},
                profiles=[str(folder / "babble.yaml")]) as beside,
    ):
        with suppress(InvalidStatus):
            async with connect(beside.url("babble") + PATH, compression=None, additional_headers={"Authorization": "k"}) as line:
                with suppress(ConnectionClosed):
                    await client(line)
                await line.wait_closed()
        return await beside.reports.next()


async def greet(line: ServerConnection) -> None:
    await line.send(json.dumps({"type": "Hello", "session": {"id": "s-1"}}))


async def well(line: ServerConnection) -> None:
    """Words for each half a second, then the goodbye with the vendor's own count."""
    await greet(line)
    heard = 0
    async for message in line:
        if message == '{"type":"Stop"}':
            break
        heard += len(message)
        if heard % 16000 == 0:
            word = {"start": 0, "end": heard / 32}
            await line.send(json.dumps({"type": "Words", "is_final": True, "alternatives": [{"text": "so", "words": [word]}]}))
    await line.send(json.dumps({"type": "Done", "seconds": heard / 32000}))


def saying(*messages: bytes | str) -> Callable[[ClientConnection], Awaitable[None]]:
    async def client(line: ClientConnection) -> None:
        await line.recv()
        for message in messages:
            await line.send(message)

    return client


def test_a_good_call_is_timed_and_its_ids_are_told(folder: Path) -> None:
    report = run(called(folder, well, saying(*[TENTH] * 10, '{"type":"Stop"}')))
    verdict, audio = report.verdict, report.audio
    assert (verdict.vendor, verdict.endpoint) == ("babble", "v1")
    assert (verdict.outcome, verdict.code, verdict.initiated_by) == ("ok", "normal", "client")
    assert (verdict.connection_id, verdict.req_id) == ("s-1", "req-7")
    assert (audio.format, audio.sample_rate, audio.read_seconds, audio.reported_seconds) == ("pcm_s16le", 16000, 1.0, 1.0)
    assert report.ready_at is not None
    assert (report.latency.results, report.latency.finals) == (2, 2)
    assert report.latency.result_lag_seconds_max is not None


def closing(code: int, reason: str) -> Script:
    async def vendor(line: ServerConnection) -> None:
        await greet(line)
        await line.recv()
        await line.close(code, reason)

    return vendor


@pytest.mark.parametrize(("reason", "code", "category", "owner"), [
    ("Chunk too short: 5 ms", "4003_chunk", "audio_chunk", "client"),
    ("You are too fast for us", "4003_pace", "audio_pacing", "client"),
    ("Go away", "unclassified", "unclassified", "client"),
])
def test_its_closes_are_told_by_its_rules(folder: Path, reason: str, code: str, category: str, owner: str) -> None:
    verdict = run(called(folder, closing(4003, reason), saying(TENTH[:160]))).verdict
    assert (verdict.code, verdict.category, verdict.rule_owner, verdict.ended_by) == (code, category, owner, "vendor")
    assert (verdict.close_code, verdict.close_reason) == (4003, reason)


def test_an_error_that_is_soft_ends_nothing_and_the_next_does(folder: Path) -> None:
    async def vendor(line: ServerConnection) -> None:
        await greet(line)
        for level, code in (("soft", "SOMETHING"), ("hard", "BAD_CHUNK")):
            await line.send(json.dumps({"type": "Error", "level": level, "code": code, "message": "of the babbler's"}))
        await line.close(4003, "See the logs")

    verdict = run(called(folder, vendor, saying())).verdict
    assert (verdict.code, verdict.server_code, verdict.server_detail) == ("4003_chunk", "BAD_CHUNK", "of the babbler's")


@pytest.mark.parametrize(("header", "owner"), [("x-babble-error", "operator"), ("server", "network")])
def test_a_refusal_is_the_vendors_by_its_own_header(folder: Path, header: str, owner: str) -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return Response(HTTPStatus.UNAUTHORIZED, "Unauthorized", Headers({header: "no such key", "content-length": "0"}))

    async def never(line: ServerConnection) -> None:
        raise AssertionError("it was refused")

    options: dict[str, Any] = {"process_request": refuse}
    if header == "server":
        options["process_response"] = None  # whoever answers knows nothing of the vendor's headers
    verdict = run(called(folder, never, saying(), **options)).verdict
    assert (verdict.http_status, verdict.owner, verdict.outcome) == (401, owner, "refused_by_vendor")


@pytest.mark.parametrize(("piece", "agrees", "owner"), [(TENTH[:160], "yes", "client"), (TENTH, "no", "vendor")])
def test_its_claims_are_held_against_its_limits(folder: Path, piece: bytes, agrees: str, owner: str) -> None:
    async def vendor(line: ServerConnection) -> None:
        await greet(line)
        for _ in range(10):
            await line.recv()
        await line.close(4003, "Chunk too short: 5 ms")

    report = run(called(folder, vendor, saying(*[piece] * 10)))
    assert [(found.check, found.claimed, found.agrees) for found in report.evidence] == [("chunk_duration", 0.02, agrees)]
    assert (report.verdict.rule_owner, report.verdict.owner) == ("client", owner)
