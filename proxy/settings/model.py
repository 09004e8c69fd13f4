"""The settings, typed: every key, its default and its bounds.

Owns the shape of `earwitness.yaml`; reading it, its line numbers, the environment and the flags are the loader's
business. Frozen, so that what was checked is what runs. A value of null stands for the default, everywhere.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from proxy.core.policy import Policy
from proxy.settings.fleet import Fleet
from proxy.settings.policies import without_nulls
from proxy.settings.problems import instead, shown
from proxy.settings.profiles import Catalogue
from proxy.settings.section import Section
from proxy.settings.seen import Seen, Sources
from proxy.settings.tls import Tls, UpstreamTls
from proxy.settings.upstreams import host_part
from proxy.settings.values import Address, File, Listen, Loopback, Networks, Origin, Prefix, Shown, origin

Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False, le=3600)]
LEAST_WATCH: Final = 0.1
Count = Annotated[int, Field(strict=True, le=2**31)]
Bytes = Annotated[int, Field(strict=True, le=2**50)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

OfPolicy = Annotated[Policy, BeforeValidator(without_nulls)]

MOST_LISTENERS = 256
"""Each is compared with each other."""

EVERY_ROUTE = ""
"""Stands for all routes in a listener's upstreams, until the profile is known."""


class Metrics(Section):
    listen: Listen = Address("127.0.0.1", 9464)
    """Serves /metrics, /-/healthy and /-/ready."""


class Admin(Section):
    listen: Loopback = Address("127.0.0.1", 9465)
    """Serves /sessions and takes POST /-/drain and POST /-/reload. Loopback always."""


class Allow(Section):
    """Who may use a listener, and for what. null: whoever reaches it, and for all that the profile has a route for."""

    clients: tuple[Networks, ...] | None = None
    """Addresses and networks (CIDR) of clients. Connections from elsewhere are closed before a byte of theirs is read."""
    paths: tuple[Prefix, ...] | None = None
    """Beginnings of paths, by whole segments; anything else is a 403 of ours."""
    origins: tuple[Origin, ...] | None = None
    """Origins of web pages. An empty list: no page at all, which is the default where upstream_tls has a certificate, since it would be
    lent to whatever page a browser on this machine shows. Requests without an Origin, which no browser makes, are no matter."""


def _for_routes(value: object, info: ValidationInfo) -> object:
    return value if isinstance(value, dict) else {EVERY_ROUTE: origin(value)}


def _known(vendor: str, info: ValidationInfo) -> str:
    vendors = (info.context or {}).get("vendors")
    if vendors is not None and vendor not in vendors:
        raise ValueError(f"no profile {shown(vendor)}; {instead(vendor, vendors)}")
    return vendor


class Listener(Section):
    name: Name = Field(default_factory=str)
    """What metrics and logs call it. Defaults to the vendor."""
    vendor: Annotated[str, AfterValidator(_known)]
    """The name of a profile."""
    listen: Listen = Field(default_factory=lambda: Address("127.0.0.1", 0))
    """Defaults to the profile's port on 127.0.0.1."""
    upstream: Annotated[
        dict[str, Origin],
        BeforeValidator(_for_routes, json_schema_input_type=Origin | dict[str, Origin]),
    ] = Field({})
    """One URL for all routes, or a map of the profile's route names to URLs; the profile's own for the rest.
    Loaded settings have an entry for every route here."""
    variables: dict[str, Annotated[str, AfterValidator(host_part)]] = Field({})
    """What stands in braces in the profile's own upstreams, such as a region; the profile's defaults for the rest."""
    allow: Allow = Allow()
    tls: Tls = Tls()
    upstream_tls: UpstreamTls = UpstreamTls()
    policy: OfPolicy = Policy()
    """What is done about its clients' traffic: what stands here counts before the policy of all. Loaded settings have both in one."""
    account: Name | None = None
    """A name of the operator's for the vendor's account, where its sessions do not share one credential (tokens made for each session,
    several keys of one project): all of them then count together, instead of those of each credential."""

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_vendor(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("name") is None and isinstance(data.get("vendor"), str):
            return data | {"name": data["vendor"]}
        return data


def _some(listeners: tuple[Listener, ...]) -> tuple[Listener, ...]:
    if not listeners:
        raise ValueError("should have at least one listener")
    return listeners


class Correlation(Section):
    """The application's own ids: copied to the log, never to a metric."""

    headers: tuple[Shown, ...] = ()
    query: tuple[Shown, ...] = ()


class Timeouts(Section):
    """In seconds."""

    handshake: Annotated[Seconds, Field(gt=0)] = 10
    """From the client's connection to the end of its request's head."""
    dial: Annotated[Seconds, Field(gt=0)] = 10
    """From the request to the vendor's answer."""
    ready: Annotated[Seconds, Field(gt=0)] = 30
    """From the vendor's answer to its hello, where the profile does not say; what takes longer is noticed, and goes on."""


class Limits(Section):
    sessions: Annotated[Count, Field(ge=1)] | None = None
    """Sessions at once; further ones are refused. None: no limit."""
    overload: Literal["blind", "refuse"] = "blind"
    """What becomes of new sessions while the process cannot keep up. blind: they are relayed and not looked into, as befits a sidecar,
    beside which there is no other. refuse: they get 503 with Retry-After, as befits a gateway behind a balancer."""
    memory_bytes: Annotated[Bytes, Field(ge=64 * 1024 * 1024)] | None = None
    """Of the whole process; at nine tenths of it no more sessions are taken. None: what the container may have, if that is bounded."""
    header_bytes: Annotated[Count, Field(ge=1024, le=1024 * 1024)] = 65536
    """Of a request line, a status line, or one header, both ways."""
    headers: Annotated[Count, Field(ge=1, le=10_000)] = 256
    """How many a request or an answer may have."""


class Drain(Section):
    """What follows SIGTERM, in seconds."""

    accept_seconds: Annotated[Seconds, Field(ge=0)] = 5
    """Not ready any more, but still accepting, until the balancers have noticed."""
    grace_seconds: Annotated[Seconds, Field(ge=0)] = 20
    """For open sessions to end by themselves; then they are ended in their vendor's own way, which takes up to 5 seconds more."""


class Reload(Section):
    watch_seconds: Annotated[Seconds, Field(ge=0)] = 0
    """How often the files of settings, vendors and certificates are looked at, and read again once they have changed; 0: when told to
    alone. A change counts once two looks have found the same."""

    @field_validator("watch_seconds")
    @classmethod
    def _leaves_time(cls, seconds: float) -> float:
        if 0 < seconds < LEAST_WATCH:
            raise ValueError(f"should be 0, or {LEAST_WATCH:g} at least: every look takes time of the calls")
        return seconds


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    progress_seconds: Annotated[Seconds, Field(ge=0)] = 300
    """Between two lines of a session that is open; 0 for none."""


class Settings(Section):
    """Everything that can be set. `catalogue` holds the profiles of the vendors that listeners name."""

    metrics: Metrics = Metrics()
    admin: Admin = Admin()
    listeners: Annotated[
        tuple[Listener, ...], AfterValidator(_some), Field(json_schema_extra={"minItems": 1, "maxItems": MOST_LISTENERS})
    ] = ()
    """By default one for each packaged profile, on 127.0.0.1 and the profile's port."""
    policy: OfPolicy = Policy()
    """What is done about traffic beyond the vendors' limits, at every listener that does not say otherwise."""
    correlation: Correlation = Correlation()
    upstream_proxy: Origin | None = None
    """The CONNECT proxy through which https upstreams are dialled; http upstreams are dialled directly."""
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    drain: Drain = Drain()
    fleet: Fleet = Fleet()
    reload: Reload = Reload()
    log: Log = Log()
    profiles: tuple[File, ...] = ()
    """Further vendor files, or folders of them, relative to this file. One named as a packaged vendor takes its place."""

    _catalogue: Catalogue | None = PrivateAttr(None)
    _sources: Sources = PrivateAttr(default_factory=Sources)

    @property
    def catalogue(self) -> Catalogue:
        if self._catalogue is None:
            raise AttributeError("settings that were not loaded have no profiles")
        return self._catalogue

    @property
    def seen(self) -> Seen:
        """The files they were read from, and how each looked just before."""
        return self._sources.seen

    def with_profiles(self, listeners: tuple[Listener, ...], catalogue: Catalogue) -> Settings:
        """These settings with listeners that are complete, and the profiles they need."""
        settings = self.model_copy(update={"listeners": listeners})
        settings._catalogue = catalogue
        return settings
