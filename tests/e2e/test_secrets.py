"""No key, link, transcript or echoed text leaves the process: planted wherever a client of these vendors can put one, and looked for.

Each secret is another one, so that the failing test says which place leaked.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from proxy.simulators import AssemblyAISimulator, DeepgramSimulator
from tests.aio import free_port, run
from tests.e2e.process import earwitness, page
from tests.e2e.rig import AUDIO, upstream
from tests.sdks import chunks

HEADERS: Final = {
    "Authorization": "Token 8f1dPLANTEDauthorization0a7c55e2b9",
    "X-Api-Key": "8f1dPLANTEDapikeyheader4c1be07d2",
    "X-Session-Key": "8f1dPLANTEDsessionheader77ab30f1",
    "Cookie": "sid=8f1dPLANTEDcookie9950aa13",
}
BARE_KEY: Final = "8f1dPLANTEDbarekey90d1e2f3"
SUBPROTOCOL: Final = "8f1dPLANTEDsubprotocol2d33fe90"
QUERY: Final = {
    "token": "8f1dPLANTEDtoken66c0de1a",
    "api_key": "8f1dPLANTEDapikeyquery12dd9e4",
    "authorization": "8f1dPLANTEDauthquery0ff1ce33",
    "sessionKey": "8f1dPLANTEDsessionquery5ca1ab1e",
    "webhook_auth_header_value": "8f1dPLANTEDwebhook0b0e77aa",
    "callback": "https://user:8f1dPLANTEDpassword31@hook.example/8f1dPLANTEDhookpath0a1b2c3?sig=8f1dPLANTEDsignature44",
}
ECHOED: Final = (
    '{"type":"Bogus","api_key":"8f1dPLANTEDechoed5eed0001"}',
    "Bearer 8f1dPLANTEDbearer0c0ffee1",
    "https://bucket.example/speech.wav?X-Amz-Signature=8f1dPLANTEDpresigned7a7a7a&X-Amz-Credential=8f1dPLANTEDcredential1",
)
PLANT: Final = "PLANTED"
TRANSCRIPT: Final = ("harbour office", "good morning", "Good morning")


def target(path: str, query: dict[str, str]) -> str:
    return path + "?" + "&".join(f"{key}={value.replace('&', '%26').replace('#', '%23')}" for key, value in query.items())


async def speak(url: str, *texts: str, headers: dict[str, str] = HEADERS, **options: Any) -> None:
    """One call that says everything; how it ends is of no matter here."""
    said: list[str | bytes] = [*chunks(AUDIO), *texts]
    with suppress(InvalidHandshake, ConnectionClosed, OSError):
        async with connect(url, compression=None, proxy=None, additional_headers=headers, **options) as line:
            for message in said:
                await line.send(message)
            while True:
                await line.recv()


async def speak_all(url: str, vendor: str) -> int:
    """Every secret in every place of one listener. Returns the number of calls."""
    ends = ('{"type":"CloseStream"}', '{"type":"Terminate"}')
    if vendor == "deepgram":
        path, headers = target("/v1/listen", {"encoding": "linear16", "sample_rate": "16000", **QUERY}), HEADERS
    else:
        path, headers = target("/v3/ws", {"sample_rate": "16000", **QUERY}), HEADERS | {"Authorization": BARE_KEY}
    for text in ECHOED:
        await speak(url + path, text, *ends, headers=headers)
    await speak(url + path, *ends, headers=headers, subprotocols=["token", SUBPROTOCOL])
    await speak(url + target("/8f1dPLANTEDpath00aa/x", QUERY))
    return len(ECHOED) + 2


def test_nothing_planted_comes_out(tmp_path: Path) -> None:
    async def main() -> tuple[str, str, list[dict[str, Any]]]:
        async with (
            DeepgramSimulator(strict=False) as deepgram,
            DeepgramSimulator(fault="INVALID_AUTH") as refusing,
            DeepgramSimulator(fault="garbage") as garbled,
            AssemblyAISimulator(strict=False, wording="live") as assemblyai,
            AssemblyAISimulator(strict=False) as documented,
        ):
            places = {
                "deepgram": ("deepgram", upstream(deepgram)), "refusing": ("deepgram", upstream(refusing)),
                "garbled": ("deepgram", upstream(garbled)), "closed": ("deepgram", f"http://127.0.0.1:{free_port()}"),
                "tls": ("deepgram", upstream(deepgram).replace("http", "https")), "nowhere": ("deepgram", "http://nowhere.invalid"),
                "assemblyai": ("assemblyai", upstream(assemblyai)), "documented": ("assemblyai", upstream(documented)),
            }
            listeners = [
                {"name": name, "vendor": vendor, "listen": "127.0.0.1:0", "upstream": url} for name, (vendor, url) in places.items()
            ]
            drain = {"accept_seconds": 0, "grace_seconds": 0}
            with earwitness(tmp_path, "run", drain=drain, log={"level": "debug"}, listeners=listeners,
                            correlation={"headers": ["x-request-id"]}) as process:
                at = await process.ready()
                calls = 0
                for name, (vendor, _) in places.items():
                    calls += await speak_all(f"ws://{at[name]}", vendor)
                ends = await process.said("session_end", calls)
                pages = [await page(at[where], path) for where, path in (("metrics", "/metrics"), ("admin", "/sessions"))]
                process.signal(signal.SIGTERM)
                assert await process.ended() == 0
                shown = process.out + process.err + "".join(body for _, body in pages)
            heard = b"".join(bytes(session.audio) for simulator in (deepgram, documented) for session in simulator.sessions)
        assert AUDIO in heard  # the calls were real ones
        texts = {text for simulator in (deepgram, assemblyai) for session in simulator.sessions for text in session.texts}
        assert texts.issuperset(ECHOED)
        return shown, "\n".join(text for session in assemblyai.sessions for text in session.sent), ends

    shown, told, ends = run(main(), timeout=50)
    assert PLANT in told  # the vendor did echo it
    assert {end["code"] for end in ends} >= {"normal", "INVALID_AUTH", "sidecar_bad_upstream", "transport_refused", "transport_dns",
                                            "sidecar_not_found", "3006_json", "3006_message_type"}
    at = shown.find(PLANT)
    assert at < 0, shown[max(0, at - 120) : at + 60]
    for words in TRANSCRIPT:
        assert words not in shown
