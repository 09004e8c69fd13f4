"""The composition root: from settings to a running process.

Builds every part and wires it; decides nothing else. All that can be wrong with settings was said before this runs.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Final
from urllib.parse import urlsplit

from proxy.core import wire
from proxy.core.fleet import Book
from proxy.core.policy import Policy
from proxy.core.profile import Profile
from proxy.core.redact import redact
from proxy.core.vendor import Vendor
from proxy.fleet.fleet import Fleet
from proxy.relay.call import Door
from proxy.relay.capacity import Capacity
from proxy.relay.dialer import Dialer, Upstream
from proxy.relay.loops import looks_for_garbage
from proxy.relay.pages import admin_pages, metrics_pages
from proxy.relay.relay import Correlation, Relay
from proxy.relay.sampler import Sampler
from proxy.relay.server import Bound, Servers
from proxy.relay.takeover import Head
from proxy.relay.turns import Turns
from proxy.settings import ConfigError, Listener, Place, Settings, compared, look, places
from proxy.settings.tls import UpstreamTls
from proxy.telemetry import log
from proxy.telemetry.ledger import Ledger
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.tracing import tracing

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of listeners with TLS 1.2: those with forward secrecy and authenticated encryption. TLS 1.3 has no others."""


def build() -> str:
    """The version of the installed distribution."""
    try:
        return version("earwitness")
    except PackageNotFoundError:
        return "unknown"


def is_compiled() -> bool:
    """Whether what each frame passes through was compiled when this was installed (setup.py)."""
    return not str(wire.__file__).endswith(".py")


class App:
    """One process's parts, running between `start` and `stop`. `drain` ends it as the settings say.

    `reread` gives the settings of a reload. Raises ConfigError; runs in a thread.
    """

    def __init__(self, settings: Settings, reread: Callable[[], Settings] | None = None) -> None:
        self._settings = settings
        self._reread = reread or (lambda: settings)
        self.ledger = Ledger(_profiles(settings), settings.catalogue.common, _policies(settings))
        head = Head(settings.limits.header_bytes, settings.limits.headers)
        self.capacity = Capacity(settings.limits.overload == "refuse", settings.limits.memory_bytes)
        self.sampler = Sampler(self._lagged)
        turns = Turns()
        self.dialer = Dialer(self.ledger.dialled, head, settings.timeouts.dial, turns)
        self.tracing = tracing(build())
        self.fleet = fleet_of(settings)
        self.relay = Relay(self.ledger, self.dialer, self.sampler, turns, _correlation(settings), settings.limits.sessions,
                           settings.timeouts.ready, tracing=self.tracing, progress_seconds=settings.log.progress_seconds,
                           capacity=self.capacity, fleet=self.fleet)
        self.servers = Servers(self.relay, head, settings.timeouts.handshake)
        self.vendors = _vendors(settings)
        self._doors: dict[Place, Door] = {}
        self._bound: dict[Place, Bound] = {}
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[list[str]]] = set()
        self._seen = settings.seen  # before the last reading
        self._watching: asyncio.Task[None] | None = None
        self.drained = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Binds everything. Raises BindError; what was bound by then is let go by `stop`."""
        settings = self._settings
        self._doors = _doors(settings, self.vendors)
        for place, listener in places(settings).items():
            handle = self.relay.handler(partial(self._door, place))
            self._bound[place] = await self.servers.listen(listener.name, listener.listen.host, listener.listen.port, handle,
                                                           listener_tls(listener), listener.allow.clients)
        admin = admin_pages(self.relay, self.drain, self.reload)
        await self.servers.pages("admin", settings.admin.listen.host, settings.admin.listen.port, admin, private=True)
        # The probe answers last, so that ready means all of it.
        dropped = {"traces": lambda: self.tracing.dropped, "logs": log.dropped}
        pages = metrics_pages(Metrics(self.ledger, build(), dropped).parts, self.relay)
        await self.servers.pages("metrics", settings.metrics.listen.host, settings.metrics.listen.port, pages)
        self.capacity.start()
        self.sampler.start()
        if self.fleet is not None:
            self.fleet.start()
        self._watch()

    def _lagged(self, seconds: float) -> None:
        self.capacity.tick(seconds)
        self.ledger.loop_lag(seconds)
        self.ledger.overloaded = self.capacity.overloaded

    def _door(self, place: Place) -> Door:
        return self._doors[place]

    @property
    def bound(self) -> list[Bound]:
        """Every listening address: listeners by name, then `admin` and `metrics`."""
        return self.servers.bound

    def _watch(self) -> None:
        """Where it is asked for, and not done yet."""
        if self._settings.reload.watch_seconds and (self._watching is None or self._watching.done()):
            self._watching = asyncio.get_running_loop().create_task(self._watched())

    async def _watched(self) -> None:
        """Reads anew what changed, once for each change, good or bad: who is still writing has until the next look."""
        before = self._seen
        while seconds := self._settings.reload.watch_seconds:
            await asyncio.sleep(seconds)
            seen = await asyncio.to_thread(look, self._settings.seen)
            if seen == before != self._seen:
                await self.reload()
            before = seen

    def reload_soon(self) -> None:
        """As `reload`, for whoever cannot wait."""
        task = asyncio.get_running_loop().create_task(self.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def reload(self) -> list[str]:
        """Reads the settings again, whole, and takes them for new sessions. Gives what is wrong with them; then nothing changes."""
        async with self._reloading:
            try:
                self._take(*await asyncio.to_thread(self._made_ready))
            except Exception as error:
                found = error.problems if isinstance(error, ConfigError) else [type(error).__name__]
                problems = [redact(str(problem)) for problem in found]
                self.ledger.settings_read(good=False)
                log.state("reload_failed", logging.ERROR, problems=problems, error=None if isinstance(error, ConfigError) else error)
                return problems
            log.state("reloaded", listeners={bound.name: str(bound) for bound in self._bound.values()})
            return []

    def _made_ready(self) -> tuple[Settings, dict[str, Vendor], dict[Place, Door], dict[Place, ssl.SSLContext | None]]:
        """All that can fail, and takes time; in a thread."""
        self._seen = look(self._settings.seen)
        settings = self._reread()
        compared(self._settings, settings)
        vendors = _vendors(settings)
        tls = {place: listener_tls(listener) for place, listener in places(settings).items()}
        return settings, vendors, _doors(settings, vendors), tls

    def _take(self, settings: Settings, vendors: dict[str, Vendor], doors: dict[Place, Door],
              tls: dict[Place, ssl.SSLContext | None]) -> None:
        """In one go, between two requests."""
        if settings.log.level != self._settings.log.level:
            log.set_level(settings.log.level)
        self.ledger.foresee(_profiles(settings), settings.catalogue.common, _policies(settings))
        self._settings, self.vendors, self._doors, self._seen = settings, vendors, doors, settings.seen
        self.dialer.seconds = settings.timeouts.dial
        relay = self.relay
        relay.correlation, relay.most = _correlation(settings), settings.limits.sessions
        relay.ready_seconds, relay.progress_seconds = settings.timeouts.ready, settings.log.progress_seconds
        self.capacity.refuses, self.capacity.memory_bytes = settings.limits.overload == "refuse", settings.limits.memory_bytes
        for place, listener in places(settings).items():
            bound = self._bound[place]
            bound.name, bound.acceptor.tls, bound.acceptor.clients = listener.name, tls[place], listener.allow.clients
        self._watch()

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
        if self._watching is not None:
            self._watching.cancel()
        await self.servers.stop()
        if self.fleet is not None:
            await self.fleet.close()
        self.sampler.stop()
        self.capacity.stop()
        await self.dialer.close()
        await self.tracing.close()


@asynccontextmanager
async def running(settings: Settings, reread: Callable[[], Settings] | None = None) -> AsyncIterator[App]:
    """An app between start and stop."""
    app = App(settings, reread)
    try:
        await app.start()
        yield app
    finally:
        await app.stop()


def _profiles(settings: Settings) -> dict[str, Profile]:
    return {listener.name: settings.catalogue.profiles[listener.vendor] for listener in settings.listeners}


def _policies(settings: Settings) -> dict[str, Policy]:
    return {listener.name: listener.policy for listener in settings.listeners}


def _correlation(settings: Settings) -> Correlation:
    return {"headers": settings.correlation.headers, "query": settings.correlation.query}


def _vendors(settings: Settings) -> dict[str, Vendor]:
    return {name: Vendor(profile, settings.catalogue.common) for name, profile in settings.catalogue.profiles.items()}


def _doors(settings: Settings, vendors: dict[str, Vendor]) -> dict[Place, Door]:
    shared = cache(upstream_tls)  # reading the system's CAs is most of what this takes
    return {place: _door(settings, listener, vendors[listener.vendor], shared) for place, listener in places(settings).items()}


def _door(settings: Settings, listener: Listener, vendor: Vendor, context: Callable[[UpstreamTls], ssl.SSLContext]) -> Door:
    tls = context(listener.upstream_tls) if any(url.startswith("https:") for url in listener.upstream.values()) else None
    upstreams = {route: Upstream.of(url, tls, settings.upstream_proxy) for route, url in listener.upstream.items()}
    allow = listener.allow
    lent = allow.origins is None and listener.upstream_tls.cert is not None
    origins = () if lent else allow.origins and tuple(map(str.lower, allow.origins))
    return Door(listener.name, vendor, upstreams, listener.policy, allow.paths, origins, listener.account)


def fleet_of(settings: Settings) -> Fleet | None:
    """The process's part in a fleet, where there is one: only then is redis-py imported."""
    fleet = settings.fleet
    if fleet.url is None or fleet.key is None:
        return None
    from proxy.fleet.store import Server, Store, UnreachableError

    parts, tls = urlsplit(fleet.url), fleet.tls
    ca, cert, key = (str(file) if file is not None else None for file in (tls.ca, tls.cert, tls.key))
    password = fleet.password.read if fleet.password is not None else None
    server = Server(parts.hostname or "", parts.port or 6379, int(parts.path.strip("/") or 0), parts.scheme == "rediss", ca, cert, key,
                    fleet.username, password)
    book = Book(fleet.key.read().encode(), fleet.prefix, fleet.lease_seconds)
    return Fleet(Store(server), UnreachableError, book, fleet.check_seconds)


def upstream_tls(tls: UpstreamTls) -> ssl.SSLContext:
    """How the vendor is checked: the system's CAs or the operator's bundle, and our certificate where one is asked for."""
    context = ssl.create_default_context(cafile=tls.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


def listener_tls(listener: Listener) -> ssl.SSLContext | None:
    """What the listener proves itself with, or None for plain HTTP."""
    if listener.tls.cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(listener.tls.cert, listener.tls.key)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def serve(settings: Settings, reread: Callable[[], Settings]) -> None:
    """Runs until a signal or the admin page ends it. Raises BindError."""
    async with running(settings, reread) as app:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, app.drain)
        loop.add_signal_handler(signal.SIGINT, app.drain, True)
        loop.add_signal_handler(signal.SIGHUP, app.reload_soon)
        gc.freeze()  # what start-up made stays: to look at it over and over would only stop the loop
        gc.set_threshold(*looks_for_garbage(loop))
        gc.enable()
        log.state("ready", listeners={bound.name: str(bound) for bound in app.bound}, version=build(), compiled=is_compiled())
        await app.drained.wait()
        log.state("stopped")
