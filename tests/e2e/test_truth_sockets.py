"""Who is to blame, over real sockets: a client and a vendor in threads of their own, the kernel's TCP, and the whole relay between.

The vendor keeps a real idle timer (a short one, by a profile of its own) and closes as Deepgram does. A black hole is a filter on
a socket that drops every segment before TCP sees it: nothing is acknowledged, and nobody is told.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from proxy.app import App
from proxy.core.report import Report
from proxy.core.vendor import Vendor
from proxy.core.verdict import Check, Owner
from proxy.settings.model import Correlation
from proxy.settings.tls import UpstreamTls
from tests.aio import run, tls_pair
from tests.relay.peers import SWITCHING, Rig, frame, proving, relaying, request, settings

pytestmark = pytest.mark.alone

WINDOW: Final = 4.0
"""Seconds of the vendor's idle timer; Deepgram's own is 10."""
AFTER: Final = 1.2
"""Seconds of an ordinary call before anything happens."""
NET_0001: Final = b"Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001"
CLOSE: Final = frame(8, struct.pack(">H", 1011) + NET_0001)
CHUNK: Final = frame(2, b"\x00\x40" * 1600, mask=b"\1\2\3\4")
KEEP_ALIVE: Final = b'{"type":"KeepAlive"}'
SO_ATTACH_FILTER: Final = 26
RESETS: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends an RST."""
DROP_ALL: Final = struct.pack("HBBI", 0x06, 0, 0, 0)
"""One instruction of classic BPF: return 0 bytes of the packet."""

Pair = tuple[str, str]


def black_hole(sock: Any) -> None:
    """From here on nothing reaches this socket: neither data nor acknowledgements."""
    code = ctypes.create_string_buffer(DROP_ALL)
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(code)))


@dataclass(frozen=True)
class Scene:
    """What client and vendor do, and whose problem it truly is. Times are seconds after the 101; None is never."""

    name: str
    owner: Owner
    agrees: str | None
    check: Check = Check.AUDIO_RECEIVED
    stops: float | None = None  # the client sends no audio any more,
    keep_alive: int | None = None  # but keep-alives with this opcode
    leaves: float | None = None
    cut: float | None = None  # nothing of the client's reaches the vendor
    deaf: float | None = None  # nothing of the vendor's reaches the sidecar
    unread: float | None = None  # the vendor reads no more
    lies: float | None = None  # the vendor closes though all came
    politely: bool = False  # it closes with a FIN, and waits for ours


SCENES: Final = [
    Scene("ignored", Owner.VENDOR, "no", lies=AFTER + WINDOW),
    Scene("stopped", Owner.CLIENT, "yes", stops=AFTER),
    Scene("silent", Owner.CLIENT, "yes", stops=0.0),
    Scene("cut", Owner.NETWORK, "yes", cut=AFTER),
    Scene("unread", Owner.VENDOR, "yes", unread=AFTER),
    Scene("alive", Owner.VENDOR, "no", stops=AFTER, keep_alive=1, lies=AFTER + WINDOW + 1),
    Scene("binary", Owner.CLIENT, "yes", stops=AFTER, keep_alive=2, lies=AFTER + WINDOW + 1),
    Scene("deaf", Owner.NETWORK, None, deaf=AFTER, leaves=AFTER + 6.5),
]
STALLED: Final = [
    Scene("stalled", Owner.SIDECAR, "yes", politely=True),
    Scene("reset", Owner.SIDECAR, None),  # its close frame is lost with the RST
]


@dataclass
class Stage:
    """A vendor that plays the scene a request names, and the clients."""

    tls: ssl.SSLContext | None
    scenes: dict[str, Scene]
    listener: socket.socket = field(default_factory=socket.socket)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32))
    over: bool = False

    def __post_init__(self) -> None:
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)  # so that a vendor which does not read is soon full
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(32)
        self.listener.settimeout(0.2)

    @property
    def url(self) -> str:
        port = self.listener.getsockname()[1]
        return f"https://localhost:{port}" if self.tls else f"http://127.0.0.1:{port}"

    def serve(self) -> None:
        while not self.over:
            with suppress(TimeoutError):
                sock, _ = self.listener.accept()
                self.pool.submit(self._vendor, sock)

    def _vendor(self, raw: socket.socket) -> None:
        raw.settimeout(5.0)
        sock = self.tls.wrap_socket(raw, server_side=True) if self.tls else raw
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        sock.sendall(SWITCHING)
        scene = self.scenes[head.split(b"tag=")[1].split(b" ")[0].decode()]
        with suppress(OSError), sock:
            self._play(scene, raw, sock)

    def _play(self, scene: Scene, raw: socket.socket, sock: socket.socket) -> None:
        began = heard = time.monotonic()
        sock.settimeout(0.05)
        holed = False
        while not self.over:
            now = time.monotonic() - began
            if scene.cut is not None and now >= scene.cut and not holed:
                holed = True
                black_hole(sock)
            if (scene.lies is not None and now >= scene.lies) or (scene.lies is None and time.monotonic() - heard >= WINDOW):
                break
            if scene.unread is not None and now >= scene.unread:
                time.sleep(0.05)
                continue
            with suppress(TimeoutError):
                if not sock.recv(65536):
                    return
                heard = time.monotonic()
        sock.settimeout(2.0)
        sock.sendall(CLOSE)
        if scene.politely:
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass
            return
        time.sleep(0.3)  # the close comes first, then the end
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)

    def client(self, port: int, scene: Scene) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(request(b"/v1/listen?encoding=linear16&sample_rate=16000&tag=" + scene.name.encode()))
            sock.settimeout(5.0)
            sock.recv(4096)
            began, sent = time.monotonic(), 0
            sock.settimeout(0.02)
            while not self.over:
                now = time.monotonic() - began
                if scene.leaves is not None and now >= scene.leaves:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)
                    return
                stopped = scene.stops is not None and now >= scene.stops
                if sent <= 10 * now:
                    sent += 1
                    if not stopped:
                        sock.sendall(CHUNK)
                    elif scene.keep_alive is not None and not sent % 10:
                        sock.sendall(frame(scene.keep_alive, KEEP_ALIVE, mask=b"\1\2\3\4"))
                with suppress(TimeoutError):
                    got = sock.recv(4096)
                    if not got or b"net0001" in got:
                        return


def with_a_short_timer(app: App) -> None:
    """The packaged profile, but for the length of the timer."""
    vendor = app.vendors["deepgram"]
    endpoint = vendor.profile.endpoints["v1"]
    limits = endpoint.limits.model_copy(update={"idle_seconds": WINDOW, "first_audio_seconds": WINDOW})
    endpoints = {**vendor.profile.endpoints, "v1": endpoint.model_copy(update={"limits": limits})}
    app.vendors["deepgram"] = Vendor(vendor.profile.model_copy(update={"endpoints": endpoints}), app._settings.catalogue.common)


async def played(scenes: list[Scene], pair: Pair | None, meanwhile: Callable[[Rig], Awaitable[None]]) -> dict[str, Report]:
    """The report of each scene, all played at once."""
    stage = Stage(proving(pair) if pair else None, {scene.name: scene for scene in scenes})
    listener = {"upstream_tls": UpstreamTls(ca=pair[0])} if pair else None
    loop = asyncio.get_running_loop()
    try:
        chosen = settings(stage.url, listener, correlation=Correlation(query=("tag",)))
        async with relaying(chosen, prepare=with_a_short_timer) as rig:
            serving = loop.run_in_executor(stage.pool, stage.serve)
            clients = [loop.run_in_executor(stage.pool, stage.client, rig.port(), scene) for scene in scenes]
            await meanwhile(rig)
            reports = [await rig.report() for _ in scenes]
            stage.over = True
            await asyncio.gather(serving, *clients)
    finally:
        stage.over = True
        stage.pool.shutdown()
        stage.listener.close()
    return {report.correlation["tag"]: report for report in reports}


async def deafen(rig: Rig) -> None:
    """The sidecar's own end of one call hears nothing from its time on."""
    scene = next(scene for scene in SCENES if scene.deaf is not None)
    assert scene.deaf is not None
    await asyncio.sleep(scene.deaf)
    call = next(call for call in rig.app.relay.calls if call.session.request.query["tag"] == scene.name)
    assert call._vendor is not None
    black_hole(call._vendor.get_extra_info("socket"))


async def stand_still(rig: Rig) -> None:
    """Our loop does not turn for longer than the vendor waits. Client and vendor have threads of their own."""
    await asyncio.sleep(AFTER)
    threading.Event().wait(WINDOW + 1.0)


def judged(report: Report, scene: Scene) -> None:
    found = {one.check: one for one in report.evidence}
    verdict = report.verdict
    assert verdict.owner is scene.owner, (scene.name, verdict, report.evidence, report.self_)
    assert verdict.rule_owner is Owner.CLIENT
    if scene.agrees is not None:
        assert (verdict.code, verdict.close_code) == ("NET-0001", 1011)
        assert found[scene.check].agrees == scene.agrees
        assert found[scene.check].window_seconds == WINDOW


@pytest.mark.parametrize(("over", "loop"), [("plain", "uvloop"), ("tls", "asyncio")])
def test_who_is_to_blame(over: str, loop: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.relay.splice.FLUSH_SECONDS", 0.5)
    pair = tls_pair(tmp_path_factory.mktemp("tls")) if over == "tls" else None
    reports = run(played(SCENES, pair, deafen), loop)
    assert reports.keys() == {scene.name for scene in SCENES}
    for scene in SCENES:
        judged(reports[scene.name], scene)
    assert "binary" in (reports["binary"].verdict.hint or "")
    assert "not the client" in (reports["ignored"].verdict.hint or "")


def test_our_own_standing_still_accuses_nobody_else() -> None:
    reports = run(played(STALLED, None, stand_still))
    stalled, reset = reports["stalled"], reports["reset"]
    for report in (stalled, reset):
        assert report.verdict.owner in (Owner.SIDECAR, Owner.UNKNOWN), (report.verdict, report.evidence)
        assert report.self_.loop_lag_seconds_max > WINDOW / 2
        assert all(one.agrees != "no" for one in report.evidence)
    assert stalled.verdict.code == "NET-0001"
    assert "Earwitness" in (reset.verdict.hint or "")
