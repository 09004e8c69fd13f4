"""No key, link, transcript, audio or echoed text leaves the process: planted wherever a client of any of the five vendors can put one, and
wherever a vendor can repeat it; then looked for in all that the process says.

Each key is another one, in one of six shapes, so that a failing test says which place leaked. What is looked for has been there: the
vendors heard every key as it was sent, and every call is found again in the log by the vendor's own id.
"""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from aiohttp.test_utils import RawTestServer
from yarl import URL

from proxy.simulators import SIMULATORS
from proxy.simulators import spatius_wire as wire
from proxy.simulators.caller import Manner, call
from proxy.simulators.dialects import AVATAR, FLUX, NOVA, SCRIPTED, UNSCRIPTED, V3, VOICE, Dialect
from tests.aio import free_port, run
from tests.e2e.plants import WORDINGS, Parrot, Plants, Scene, Secrets, configure, together
from tests.e2e.process import Process, earwitness, page
from tests.e2e.rig import upstream
from tests.otlp import Collector, collector

DIALECTS: Final = (NOVA, FLUX, V3, VOICE, AVATAR, SCRIPTED, UNSCRIPTED)
VENDORS: Final = tuple(SIMULATORS)
SAID: Final = ("quokkas in zanzibar", "harbour office", "good morning", "stale smell of old beer")
"""Words that somebody spoke, or is to speak. They are no keys: nothing in their looks tells."""
PATHS: Final = {
    "deepgram": "/v1/listen?encoding=linear16&sample_rate=16000", "assemblyai": "/v3/ws?sample_rate=16000", "nextevi": "/ws/voice/{id}?x=y",
    "spatius": "/v2/driveningress/websocket?id=avatar-1", "elsa": "/api/v2/ws/score_audio?x=y",
    "elsa-unscripted": "/api/v1/ws/score_audio_plus?x=y",
}
"""By vendor, or kind of session where a vendor has two."""
PLAIN: Final = {
    "deepgram": ("POST", "/v1/auth/grant?x=y"), "assemblyai": ("GET", "/v3/token?expires_in_seconds=60"),
    "nextevi": ("GET", "/api/v1/projects/resolve?x=y"), "spatius": ("POST", "/v1/console/session-tokens?x=y"),
    "elsa": ("POST", "/api/v1/score_audio_plus?x=y"),
}
IDS: Final[dict[str, Callable[[int], str]]] = {
    "deepgram": lambda n: str(uuid.UUID(int=n + 2**100)),
    "assemblyai": lambda n: str(uuid.UUID(int=n + 2**101)),
    "nextevi": lambda n: f"voice_1795182809280_{n:04}dzj4v" if n % 2 else f"{n:08x}b1c6d2e7f0a94b839b2d7c61",
    "spatius": lambda n: f"20260901120000_V1St{n:04}R8_Z",
    "elsa": lambda n: f"{n:08x}7c61e0f84a35b1c6d2e7f0a9",
}
"""As the vendors make them; many look like keys."""

OWN: Final = (
    ("closed", "/ws/voice/v-1"), ("tls", "/v2/driveningress/websocket"), ("nowhere", "/api/v2/ws/score_audio"), ("garbled", "/v1/listen"),
    ("deepgram", "/nothing"), ("closed", "/api/v1"), ("tls", "/v1/console"), ("nowhere", "/api/v1"), ("garbled", "/v1/auth"),
    *((where, path) for where in ("metrics", "admin")
      for path in ("/nothing", "/-/ready", "/-/healthy", "/metrics", "/sessions", "/-/drain")),
)
"""Requests that the sidecar answers itself."""
MALFORMED: Final = (
    "GET /v1/listen?token={} HTTP/7.7\r\n\r\n",
    "GET /v1/listen?token={}\r\n\r\n",
    "GET /v1/listen HTTP/1.1\r\nAuthorization Token {}\r\n\r\n",
    "GET /v1/listen HTTP/1.1\r\nHost: x\r\nAuthorization: Token {}\0\r\n\r\n",
    "{} /v1/listen HTTP/1.1\r\n\r\n",
    "POST /v1/auth/grant?token={} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
    "GET /v1/\x01{} HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /v1/listen HTTP/1.1\r\nHost: x\r\nCookie: " + "{}" * 3000 + "\r\n\r\n",
)


def endings(vendor: str, number: str, text: str) -> Iterator[Scene]:
    """All ways in which one vendor tells of an error, with that text."""
    bodies = {"deepgram": {"err_code": "X", "err_msg": text, "request_id": number}, "assemblyai": {"error": text},
              "nextevi": {"detail": text}, "spatius": {"message": text}}
    body = bodies.get(vendor, {"reason": text, "code": text})
    yield Scene(number, 401, json.dumps(body).encode(), text if vendor == "deepgram" else "")
    yield Scene(number, 400, text.encode(), waits=False)
    yield Scene(number, close=(1008, text), says=hello(vendor, number))
    told: tuple[str | bytes, ...]
    if vendor == "deepgram":
        told = (json.dumps({"type": "Error", "variant": "X", "description": text, "message": text}),
                json.dumps({"type": "Error", "code": text, "description": text}))
    elif vendor == "assemblyai":
        told = (json.dumps({"type": "Error", "error_code": 1008, "error": text}), json.dumps({"type": "Warning", "warning": text}))
    elif vendor == "nextevi":
        told = (json.dumps({"type": "error", "error_code": "NEW", "error_message": text}),
                json.dumps({"type": "websocket.disconnect", "code": 4001, "reason": text}))
    elif vendor == "spatius":
        told = (wire.error("", number, 0, text), wire.error("", number, 4010, text))
    elif vendor == "elsa-unscripted":
        told = (json.dumps({"status": "failed", "reason": text, "name": text}),
                json.dumps({"status": "success", "result_link": f"https://bucket.example/a.json?X-Amz-Signature={text}", "text": SAID[0]}))
    else:
        told = (json.dumps({"type": "ELSA:error", "message": text, "name": text}), json.dumps({"type": "ELSA:warning", "message": text}))
    for one in told:
        yield Scene(number, says=(*hello(vendor, number), one), close=(4003, ""))


def hello(vendor: str, number: str) -> tuple[str | bytes, ...]:
    """What a vendor says of itself on a call, and what it heard."""
    words = SAID[0]
    if vendor == "deepgram":
        return (json.dumps({"type": "Results", "channel": {"alternatives": [{"transcript": words}]}, "start": 0, "duration": 1}),)
    if vendor == "assemblyai":
        return (json.dumps({"type": "Begin", "id": number}), json.dumps({"type": "Turn", "transcript": words, "end_of_turn": True}))
    if vendor == "nextevi":
        return (json.dumps({"type": "connection_metadata", "connection_id": number}),
                json.dumps({"type": "transcription", "transcript": words}))
    if vendor == "spatius":
        return (wire.confirm(number), wire.animation(number, number, words.encode()))
    if vendor == "elsa-unscripted":
        return (json.dumps({"status": "processing", "stream_id": number}),)
    return (json.dumps({"type": "ELSA:start_stream_result", "data": {"success": True, "stream_id": number}}),
            json.dumps({"type": "ELSA:decoding_result", "data": {"utterance": [{"sentence": words}], "stream_finished": False}}))


@dataclass
class Stage:
    """A running sidecar with vendors behind it, and what was planted."""

    plants: Plants
    parrot: Parrot
    at: dict[str, str]
    client: aiohttp.ClientSession
    calls: list[Coroutine[Any, Any, None]] = field(default_factory=list)
    secrets: dict[str, Secrets] = field(default_factory=dict)
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    sessions: int = 0

    def scene(self, name: str, scene: Scene, where: str, path: str, first: str | bytes, secrets: Secrets) -> None:
        self.parrot.scenes[name], self.secrets[name] = scene, secrets
        self.calls.append(self._speak(name, where, path, first, secrets))
        self.sessions += 1

    async def _speak(self, name: str, where: str, path: str, first: str | bytes, secrets: Secrets) -> None:
        url, headers = URL(f"http://{self.at[where]}{path}&{secrets.query}", encoded=True), secrets.headers | {"x-scene": name}
        headers["Sec-WebSocket-Protocol"] = f"token, {secrets.protocol}"
        try:
            async with self.client.ws_connect(url, headers=headers) as line:
                await (line.send_str(first) if isinstance(first, str) else line.send_bytes(first))
                async for message in line:
                    self.heard.append(str(message.data))
        except aiohttp.WSServerHandshakeError as refused:
            self.heard.append(str(refused.headers))

    def plain(self, name: str, scene: Scene, where: str, secrets: Secrets, body: bytes) -> None:
        self.parrot.scenes[name], self.secrets[name] = scene, secrets
        self.calls.append(self._ask(name, where, secrets, body))

    async def _ask(self, name: str, where: str, secrets: Secrets, body: bytes) -> None:
        method, path = PLAIN[where]
        headers = secrets.headers | {"x-scene": name, "Sec-WebSocket-Protocol": secrets.protocol}
        url = URL(f"http://{self.at[where]}{path}&{secrets.query}", encoded=True)
        async with self.client.request(method, url, headers=headers, data=body if method == "POST" else None) as answer:
            self.heard.append(await answer.text())

    async def own(self, where: str, path: str, upgrade: bool) -> None:
        """A request that is answered by the sidecar itself, whose whole answer is kept."""
        secrets = Secrets.of(self.plants, f"{where} {path}", len(self.answers))
        url, headers = URL(f"http://{self.at[where]}{path}?{secrets.query}", encoded=True), secrets.headers
        if upgrade:
            self.sessions += where not in ("metrics", "admin")
            headers |= {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": f"token, {secrets.protocol}"}
        async with self.client.get(url, headers=headers) as answer:
            self.answers.append(f"{answer.status} {answer.reason} {dict(answer.headers)} {await answer.text()}")

    async def malformed(self, where: str, head: str) -> None:
        host, _, port = self.at[where].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode())  # and no FIN, which may come before the answer: then there is none
        self.answers.append((await reader.read()).decode())
        writer.close()


def test_nothing_planted_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as traces:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", traces.url)
        run(_everything(tmp_path, traces), timeout=50)


async def _everything(folder: Path, traces: Collector) -> None:
    plants, parrot = Plants(), Parrot()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(RawTestServer(parrot.handle))
        good = [await stack.enter_async_context(SIMULATORS[vendor](strict=False, wording="live")) for vendor in VENDORS]
        garbled = await stack.enter_async_context(SIMULATORS["deepgram"](fault="garbage"))
        places = {vendor: (vendor, f"http://127.0.0.1:{server.port}") for vendor in VENDORS}
        places |= {f"{sim.vendor}-good": (sim.vendor, upstream(sim)) for sim in good}
        places |= {"closed": ("nextevi", f"http://127.0.0.1:{free_port()}"), "tls": ("spatius", f"https://127.0.0.1:{server.port}"),
                   "nowhere": ("elsa", "http://nowhere.invalid"), "garbled": ("deepgram", upstream(garbled))}
        listeners = [{"name": name, "vendor": vendor, "listen": "127.0.0.1:0", "upstream": url} for name, (vendor, url) in places.items()]
        with earwitness(folder, "run", drain={"accept_seconds": 0, "grace_seconds": 0}, log={"level": "debug"}, listeners=listeners,
                        correlation={"headers": ["x-scene"], "query": ["id"]}) as process:
            client = await stack.enter_async_context(aiohttp.ClientSession())
            stage = Stage(plants, parrot, await process.ready(), client)
            _bad_calls(stage)
            _tokens(stage)
            _good_calls(stage)
            calls = len(stage.calls)
            await together(stage.calls)
            await _own_answers(stage)
            shown, ends = await _all_it_says(stage, process)
        texts = "\n".join(line for sim in good for session in (*sim.sessions, *sim.requests)
                          for line in (session.path, *(value for _, value in session.headers), *session.texts))
    _really_happened(stage, texts, ends, calls)
    spans = {span.span_id: span for span in traces.spans}
    assert all(spans[end["span_id"]].attributes.get("error.type", end["code"]) == end["code"] for end in ends)
    shown += traces.raw.decode(errors="replace")
    assert plants.leaks(shown) == []
    low = shown.lower()
    assert [words for words in (*SAID, "quagga") if words in low] == []


def _bad_calls(stage: Stage) -> None:
    """Each vendor repeats each key of a request, in all wordings and forms."""
    turn = 0
    for kind, path in PATHS.items():
        vendor = kind.partition("-")[0]
        for wording in WORDINGS:
            turn += 1
            for form, _ in enumerate(endings(kind, "", "")):
                name = f"{kind}-{turn}-{form}"
                secrets = Secrets.of(stage.plants, name, turn + form)
                hidden = stage.plants.mint(f"{name} first message", turn + form, looks=True)
                echoed = hidden if form == 2 and turn % 5 == 0 else [*secrets.keys.values()][(turn + form) % len(secrets.keys)]
                number = IDS[vendor](100 * turn + form)
                scene = list(endings(kind, number, wording(echoed)))[form]
                stage.scene(name, scene, vendor, path.format(id=number), _first(vendor, hidden), secrets)
                stage.more[name] = (hidden,) if scene.status is None else ()


def _first(vendor: str, key: str) -> str | bytes:
    """A client's first message with a key in it: a room's for an avatar."""
    if vendor == "spatius":
        kinds = ((2, "room"), (3, key)), ((8, key),), ((7, wire.encode((1, key))),)
        return configure(*kinds[len(key) % 3])
    return json.dumps({"type": "Configure", "api_key": key, "prompt": SAID[0]})


def _tokens(stage: Stage) -> None:
    """Plain HTTP: tokens that are given, and refusals that repeat what came."""
    for turn, vendor in enumerate(VENDORS):
        for form, name in enumerate(("sessionToken", "access_token", "token")):
            secrets = Secrets.of(stage.plants, f"{vendor} {name}", turn + form)
            given = stage.plants.mint(f"{vendor} answer {name}", turn + form)
            body = json.dumps({"apiKey": secrets.keys["X-Api-Key"], "text": SAID[0]}).encode()
            stage.plain(f"{vendor}-{name}", Scene("r-1", 200, json.dumps({name: given, "text": SAID[0]}).encode()), vendor, secrets, body)
        for form, wording in enumerate(WORDINGS):
            secrets = Secrets.of(stage.plants, f"{vendor} refused", turn + form)
            text = wording([*secrets.keys.values()][form % len(secrets.keys)])
            scene = next(endings(vendor, IDS[vendor](9000 + 100 * turn + form), text))
            if vendor == "spatius":
                scene = replace(scene, status=(200, 401)[form % 2], body=json.dumps({"errors": [{"detail": text, "title": text}]}).encode())
            stage.plain(f"{vendor}-refused-{form}", scene, vendor, secrets, text.encode())


def _good_calls(stage: Stage) -> None:
    """Calls as they should be, with the vendors' simulators: with transcripts, links and a room's credentials."""
    for turn, dialect in enumerate(DIALECTS):
        secrets = Secrets.of(stage.plants, f"good {dialect.path}", turn)
        del secrets.keys["Sec-WebSocket-Protocol"]  # the libraries of both sides take no offer that they do not know
        if dialect is VOICE:  # whose keys have a prefix
            secrets.keys["api_key"] = stage.plants.mint("good api_key", 4)
        room = stage.plants.mint(f"good {dialect.path} room", turn, looks=True)
        if dialect is AVATAR:
            dialect = replace(dialect, opening=(configure((2, "room"), (3, room)),))
        name = f"good-{turn}"
        stage.secrets[name] = secrets
        stage.calls.append(_converse(stage, name, dialect, secrets))
        stage.sessions += 1


async def _converse(stage: Stage, name: str, dialect: Dialect, secrets: Secrets) -> None:
    headers = {place: value for place, value in secrets.headers.items() if place != dialect.key_header}
    path = f"{dialect.path}{'&' if '?' in dialect.path else '?'}{secrets.query}"
    manner = Manner(secrets.keys[dialect.key_header], path=path, seconds=1.2, pace=4.0)
    saw = await call(f"ws://{stage.at[f'{dialect.vendor}-good']}", dialect, manner, 1.2, headers | {"x-scene": name})
    stage.heard.append(f"{name}: {saw}")


async def _own_answers(stage: Stage) -> None:
    """What the sidecar itself says to clients, to probes and to those who ask for its pages."""
    plants = stage.plants
    for upgrade in (True, False):
        for where, path in OWN:
            await stage.own(where, path, upgrade)
    for number, head in enumerate(MALFORMED):
        for where in ("deepgram", "metrics", "admin"):
            await stage.malformed(where, head.replace("{}", plants.mint(f"malformed {number} to {where}", number)))


async def _all_it_says(stage: Stage, process: Process) -> tuple[str, list[dict[str, Any]]]:
    await process.said("session_end", stage.sessions)
    places = (("metrics", "/metrics"), ("admin", "/sessions"), ("metrics", "/-/ready"))
    pages = [await page(stage.at[where], path) for where, path in places]
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    shown = process.out + process.err + "".join(body for _, body in pages) + "".join(stage.answers)
    assert len(pages[1][1]) > 10_000
    return shown, [line for line in process.lines() if line["event"] in ("session_end", "http_failed")]


def _really_happened(stage: Stage, texts: str, ends: list[dict[str, Any]], calls: int) -> None:
    """The keys reached the vendors as they are, the vendors repeated them, and the log has every call with its vendor's id."""
    for name, secrets in stage.secrets.items():
        heard = stage.parrot.heard.get(name, "") if name in stage.parrot.scenes else texts
        assert secrets.reached(heard), name
        assert all(key in heard for key in stage.more.get(name, ())), name
    back = "\n".join(stage.heard)
    assert sum(key in back for key in stage.plants.keys) > 150
    assert len(ends) >= calls - 3 * len(VENDORS)
    by_name = {end["correlation"].get("x-scene"): end for end in ends}
    for name, scene in stage.parrot.scenes.items():
        if scene.status == 200 and name not in by_name:
            continue
        vendor = name.partition("-")[0]
        ids = (by_name[name].get("connection_id"), by_name[name].get("req_id"))
        if scene.status is None or (vendor == "deepgram" or (vendor == "nextevi" and "refused" not in name)):
            assert scene.id in ids, (name, scene, ids)
    for turn in range(len(DIALECTS)):
        end = by_name[f"good-{turn}"]
        assert (end["outcome"] in ("ok", "abandoned"), end["code"], end["latency"]["results"] > 0) == (True, "normal", True), end
    assert "harbour" in back or "morning" in back
    codes = {answer for answer in ("transport_refused", "transport_dns", "transport_tls", "sidecar_bad_upstream", "sidecar_not_found",
                                   "sidecar_bad_request") if any(answer in own for own in stage.answers)}
    assert len(codes) == 6
