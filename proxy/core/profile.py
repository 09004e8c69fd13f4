"""The typed vendor profile: everything Earwitness knows about one vendor, as data.

Owns the shape and the cross-checks of `config/vendors/*.yaml`; reading YAML and telling line numbers is the loader's
business (settings). The models are strict: an unknown key is an error. `config/README.md` explains each key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from proxy.core.fields import Above0, Count, Phrases, Seconds, Slug, Strict, Strings, at, lower_case
from proxy.core.messages import Message, Messages, Where
from proxy.core.rules import Rule, check_rules


class Declared(Strict):
    """Where the upgrade request declares a value: a query key or a header, else the default."""

    query: str | None = None
    header: str | None = None
    default: str | None = None


class Audio(Strict):
    """How the client's audio is to be timed: as the upgrade request declares it, unless a message does (`declares`)."""

    encoding: Declared
    sample_rate: Declared
    channels: Declared = Declared(default="1")
    each_message: Literal["wav"] | None = None
    """Every binary message is a whole WAV file, whose own header says what it holds."""
    formats: Annotated[dict[str, Literal["pcm_s16le", "pcm_s32le", "mulaw", "alaw", "opaque"]], AfterValidator(lower_case)]
    """The vendor's name of an encoding, in lower case, to ours. `opaque` (compressed or in a container) cannot be timed."""

    @model_validator(mode="after")
    def _knows_its_default(self) -> Self:
        default = self.encoding.default
        if default is not None and default.lower() not in self.formats:
            raise ValueError(f"encoding.default: no format {default!r}; there are {sorted(self.formats)}")
        return self


class Limits(Strict):
    """What the vendor allows. Absent means: not published, never held against anyone."""

    chunk_seconds: tuple[Seconds, Seconds] | None = None
    chunk_bytes: Count | None = None
    chunks_per_second: Above0 | None = None
    """Messages that hold audio, in any one second."""
    messages_per_minute: Above0 | None = None
    """All messages of a client, in any one minute."""
    connections_per_minute: Above0 | None = None
    """New sessions of one credential, in any one minute."""
    sessions: Count | None = None
    """Open sessions of one credential at once."""
    adapts: tuple[Literal["connections_per_minute", "sessions"], ...] = ()
    """Which of these two the vendor itself raises and lowers as they are used: counted across a fleet, and never enforced there."""
    rate_ratio: Above0 | None = None
    lead_seconds: Above0 | None = None
    """How far audio may be ahead of real time."""
    credit_seconds: Seconds | None = None
    """How much of a client's silence it may make up for at once."""
    session_seconds: Seconds | None = None
    first_audio_seconds: Seconds | None = None
    idle_seconds: Seconds | None = None
    idle_query: str | None = None
    """The query key by which the client sets the idle time itself."""
    keep_alive_seconds: Above0 | None = None
    """How often the vendor wants a keep-alive, where it does not say after what time it gives up."""
    ready_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.chunk_seconds is not None and self.chunk_seconds[0] > self.chunk_seconds[1]:
            raise ValueError("chunk_seconds: the least comes first, then the most")
        return self


class Endpoint(Strict):
    audio: Audio
    limits: Limits = Limits()
    response_ids: dict[Literal["connection_id", "req_id"], str] = Field(default_factory=dict)
    """Response headers of the handshake that carry ids."""
    path_id: Literal["connection_id", "req_id"] | None = None
    """The id that is the last part of the request's path."""
    ready: Literal["handshake", "message"]
    """What makes a session ready: the 101 itself, or the first message of role `ready`."""
    client: Messages = Messages()
    server: Messages = Messages()
    empty_binary: Literal["end", "audio"] = "audio"
    """What an empty binary frame from the client means."""
    idle_reset: Literal["audio", "message"] = "audio"
    """What starts the vendor's idle timer anew, besides a keep-alive: audio alone, or any message."""
    answers_at_end: bool = False
    """Whether results come when the client has ended its stream, and not before: until then silence is nothing to notice."""
    client_pauses: bool = False
    """Whether clients send nothing while nobody speaks: then their silence is nothing to notice."""
    talks_in_silence: bool = False
    """Whether the vendor sends results while nobody speaks: only then is its silence suspicious without voiced audio."""
    credentials: tuple[Declared, ...] = ()
    """Where a credential may sit; only its being there is ever noted."""


class Route(Strict):
    """Where requests whose path begins so go. `websocket` routes take upgrades, `http` routes all other requests."""

    path: Annotated[str, Field(pattern=r"^/")]
    name: Slug
    kind: Literal["websocket", "http"] = "websocket"
    endpoint: str | None = None
    """Of a websocket route."""
    phase: Literal["session_token", "http_request"] = "http_request"
    """Of an http route: what a failure there is a failure of."""
    failed: Where | None = None
    """Of an http route: a 2xx whose JSON body fits this is a failure all the same."""
    upstream: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+$")]
    """`{name}` stands for one of the profile's variables."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.kind == "websocket") != (self.endpoint is not None):
            raise ValueError("a websocket route needs an endpoint" if self.endpoint is None else "an http route has no endpoint")
        return self


class Profile(Strict):
    vendor: Slug
    title: str
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Where a listener for this vendor listens, on loopback, if the settings do not say."""
    sources: dict[str, str] = Field(default_factory=dict)
    own_headers: Strings = ()
    """Headers that every answer of the vendor itself bears."""
    error_headers: Strings = ()
    """Headers of a refusal that say what is wrong, best first."""
    body: Message | None = None
    """How to read the JSON body of a refusal: its server_code, server_title, server_detail and ids."""
    no_information: Phrases = ()
    """Phrases that say nothing (a fixed close reason); they never decide between two causes."""
    variables: dict[Slug, str] = Field(default_factory=dict)
    """What stands in braces in the routes' upstreams, with defaults; a listener may set others."""
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    endpoints: Annotated[dict[Slug, Endpoint], Field(min_length=1)]
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        for number, route in enumerate(self.routes):
            if route.endpoint is not None and route.endpoint not in self.endpoints:
                raise at(f"routes.{number}.endpoint", f"no endpoint {route.endpoint!r}; there are {sorted(self.endpoints)}")
        for number, rule in enumerate(self.rules):
            for when in rule.when:
                unknown = set(when.endpoint or ()) - set(self.endpoints)
                if unknown:
                    raise at(f"rules.{number}.when", f"no endpoint {sorted(unknown)}; there are {sorted(self.endpoints)}")
        check_rules(self.rules, self.sources)
        return self


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a settings or profile file, for editors."""
    return model.model_json_schema() | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
