"""The composition root: from settings to a running process.

Builds every part and wires it; decides nothing else. All that can be wrong with settings was said before this runs.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from proxy.core.vendor import Vendor
from proxy.relay.call import Door
from proxy.relay.dialer import Dialer, Upstream
from proxy.relay.pages import admin_pages, metrics_pages
from proxy.relay.relay import Relay
from proxy.relay.sampler import Sampler
from proxy.relay.server import Bound, Servers
from proxy.relay.takeover import Head
from proxy.settings import Listener, Settings
from proxy.telemetry import log
from proxy.telemetry.ledger import Ledger
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.tracing import tracing

GC_THRESHOLD: Final = (2_000, 10, 10)


def build() -> str:
    """The version of the installed distribution."""
    try:
        return version("earwitness")
    except PackageNotFoundError:
        return "unknown"


class App:
    """One process's parts, running between `start` and `stop`. `drain` ends it as the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        catalogue = settings.catalogue
        profiles = {listener.name: catalogue.profiles[listener.vendor] for listener in settings.listeners}
        self.ledger = Ledger(profiles, catalogue.common, {listener.name: listener.policy for listener in settings.listeners})
        head = Head(settings.limits.header_bytes, settings.limits.headers)
        self.sampler = Sampler(self.ledger.loop_lag)
        self.dialer = Dialer(self.ledger.dialled, head, settings.timeouts.dial)
        correlation = {"headers": settings.correlation.headers, "query": settings.correlation.query}
        self.tracing = tracing(build())
        self.relay = Relay(self.ledger, self.dialer, self.sampler, correlation, settings.limits.sessions, settings.timeouts.ready,
                           tracing=self.tracing, progress_seconds=settings.log.progress_seconds)
        self.servers = Servers(self.relay, head, settings.timeouts.handshake)
        self.vendors = {name: Vendor(profile, catalogue.common) for name, profile in catalogue.profiles.items()}
        self.drained = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Binds everything. Raises BindError; what was bound by then is let go by `stop`."""
        settings = self._settings
        for listener in settings.listeners:
            handle = self.relay.handler(self._door(listener))
            await self.servers.listen(listener.name, listener.listen.host, listener.listen.port, handle, listener_tls(listener))
        admin = admin_pages(self.relay, self.drain)
        await self.servers.pages("admin", settings.admin.listen.host, settings.admin.listen.port, admin)
        # The probe answers last, so that ready means all of it.
        dropped = {"traces": lambda: self.tracing.dropped, "logs": log.dropped}
        pages = metrics_pages(Metrics(self.ledger, build(), dropped).parts, self.relay)
        await self.servers.pages("metrics", settings.metrics.listen.host, settings.metrics.listen.port, pages)
        self.sampler.start()

    def _door(self, listener: Listener) -> Door:
        tls = upstream_tls(listener)
        proxy = self._settings.upstream_proxy
        upstreams = {route: Upstream.of(url, tls, proxy) for route, url in listener.upstream.items()}
        return Door(listener.name, self.vendors[listener.vendor], upstreams, listener.policy)

    @property
    def bound(self) -> list[Bound]:
        """Every listening address: listeners by name, then `admin` and `metrics`."""
        return self.servers.bound

    def drain(self, at_once: bool = False) -> None:
        """Begins to end; a second time, or `at_once`, ends without waiting for anybody."""
        times = self._settings.drain
        if self._draining is None:
            ending = self.servers.stop if at_once else partial(self.servers.drain, times.accept_seconds, times.grace_seconds)
            self._draining = asyncio.get_running_loop().create_task(self._drain(ending))
            # Also if it was cancelled before it began, or over and over: `stop` does the rest.
            self._draining.add_done_callback(lambda _: self.drained.set())
        else:
            self._draining.cancel()

    async def _drain(self, ending: Callable[[], Awaitable[None]]) -> None:
        log.state("draining", open_sessions=len(self.relay.calls))
        await ending()

    async def stop(self) -> None:
        """Ends whatever is left, with its report."""
        await self.servers.stop()
        self.sampler.stop()
        await self.dialer.close()
        await self.tracing.close()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[App]:
    """An app between start and stop."""
    app = App(settings)
    try:
        await app.start()
        yield app
    finally:
        await app.stop()


def upstream_tls(listener: Listener) -> ssl.SSLContext | None:
    """How the vendor is checked: the system's CAs or the operator's bundle, and our certificate where one is asked for."""
    if not any(url.startswith("https:") for url in listener.upstream.values()):
        return None
    tls = listener.upstream_tls
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def listener_tls(listener: Listener) -> ssl.SSLContext | None:
    """What the listener proves itself with, or None for plain HTTP."""
    if listener.tls.cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(listener.tls.cert, listener.tls.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def run_on(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The factory of the event loop by name; `auto` takes uvloop where it is installed."""
    if loop in ("auto", "uvloop") and sys.platform != "win32":
        try:
            import uvloop
        except ImportError:
            if loop == "uvloop":
                raise
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop


async def serve(settings: Settings) -> None:
    """Runs until a signal or the admin page ends it. Raises BindError."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a call takes two descriptors; 1,024 is the usual soft limit
    async with running(settings) as app:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, app.drain)
        loop.add_signal_handler(signal.SIGINT, app.drain, True)
        # What start-up made stays; collecting it over and over would only stop the loop. Sessions make few cycles: the
        # collector may look for them rarely.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLD)
        log.state("ready", listeners={bound.name: str(bound) for bound in app.bound}, version=build())
        await app.drained.wait()
        log.state("stopped")
