"""The typed vendor profile: everything Earwitness knows about one vendor, as data.

Owns the shape and the cross-checks of `config/vendors/*.yaml`; reading YAML and telling line numbers is the loader's
business (settings). The models are strict: an unknown key is an error. `config/README.md` explains each key.

A *path* names a value inside a JSON message: keys joined by dots, list positions as numbers (`words.-1.end`).
A *phrase* is matched against what the vendor said, by words: case, punctuation and runs of space do not count, and `*`
stands for anything. No regular expressions: nothing a profile says can make the matcher run away.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from proxy.core.phrases import Phrase
from proxy.core.verdict import Category, Owner, Phase, Retry, Side, Transport


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) or value is None else [value]


def _phrases(value: tuple[str, ...]) -> tuple[str, ...]:
    for source in value:
        Phrase(source)
    return value


def _lower_case(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if name != name.lower():
            raise ValueError(f"encodings are compared in lower case: write {name.lower()!r}, not {name!r}")
    return value


Strings = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Phrases = Annotated[Strings, AfterValidator(_phrases)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
Path = Annotated[str, Field(min_length=1, max_length=200)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_listed)]
Seconds = Annotated[float, Field(ge=0)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Declared(Strict):
    """Where the upgrade request declares a value: a query key or a header, else the default."""

    query: str | None = None
    header: str | None = None
    default: str | None = None


class Audio(Strict):
    """How the client's binary frames are to be timed."""

    encoding: Declared
    sample_rate: Declared
    channels: Declared = Declared(default="1")
    formats: Annotated[dict[str, Literal["pcm_s16le", "pcm_s32le", "mulaw", "alaw", "opaque"]], AfterValidator(_lower_case)]
    """The vendor's name of an encoding, in lower case, to ours. `opaque` (compressed or in a container) cannot be timed."""


class Limits(Strict):
    """What the vendor allows. Absent means: not published, never held against anyone."""

    chunk_seconds: tuple[Seconds, Seconds] | None = None
    rate_ratio: float | None = Field(default=None, gt=0)
    session_seconds: Seconds | None = None
    first_audio_seconds: Seconds | None = None
    idle_seconds: Seconds | None = None
    idle_query: str | None = None
    """The query key by which the client sets the idle time itself."""
    ready_seconds: Seconds | None = None


class Where(Strict):
    """A condition on a value inside a message."""

    path: Path
    equals: str | int | float | bool


class Position(Strict):
    """Where a message says how far into the audio it reaches."""

    path: Paths = ()
    plus: Path | None = None
    """A second path whose value is added (a start and a duration)."""
    unit: Literal["s", "ms"] = "s"


class Message(Strict):
    """One kind of text message, and what of it is kept. Nothing else is: no transcript, no client text."""

    role: Literal["ready", "result", "end", "error", "warning", "keep_alive", "control", "info"]
    when: Where | None = None
    """Tried first to last among messages of the same type; without it any message of the type fits."""
    fatal: bool = True
    ids: dict[Literal["connection_id", "req_id"], Path] = {}
    server_code: Paths = ()
    server_title: Paths = ()
    server_detail: Paths = ()
    text: Paths = ()
    """A result counts once one of these is not empty."""
    final: Where | None = None
    utterance: Path | None = None
    """Finals with the same value here are one final told twice."""
    speech_start: Position | None = None
    speech_end: Position | None = None
    audio_seconds: Position | None = None
    """The vendor's own count of the audio it received."""
    expires_at: Path | None = None
    """Unix time at which the vendor will end the session."""


class Messages(Strict):
    """The text messages of one direction, by the value of `type`."""

    type: Path = "type"
    kinds: dict[str, Annotated[tuple[Message, ...], BeforeValidator(_listed)]] = {}
    untyped: tuple[Message, ...] = ()
    """Messages without that value: the first whose `when`, or one of whose paths, is there."""


class Endpoint(Strict):
    audio: Audio
    limits: Limits = Limits()
    response_ids: dict[Literal["connection_id", "req_id"], str] = {}
    """Response headers of the handshake that carry ids."""
    ready: Literal["handshake", "message"]
    """What makes a session ready: the 101 itself, or the first message of role `ready`."""
    client: Messages = Messages()
    server: Messages = Messages()
    empty_binary: Literal["end", "audio"] = "audio"
    """What an empty binary frame from the client means."""
    credentials: tuple[Declared, ...] = ()
    """Where a credential may sit; only its being there is ever noted."""


class Route(Strict):
    path: Annotated[str, Field(pattern=r"^/")]
    name: Slug
    endpoint: str
    upstream: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+$")]


class When(Strict):
    """All that is given must hold. Lists mean any of them.

    In a vendor's file a condition is about what the vendor said: it fits neither an answer from in between, nor a page that
    anybody may have sent, nor, unless it asks for `close_by: client`, a close frame that the client sent.
    """

    endpoint: Strings | None = None
    phase: Annotated[tuple[Phase, ...], BeforeValidator(_listed)] | None = None
    http_status: Annotated[tuple[Annotated[int | str, Field(union_mode="left_to_right")], ...], BeforeValidator(_listed)] | None = None
    """Numbers, or a class such as `4xx`."""
    header: dict[str, Phrases] | None = None
    server_code: Strings | None = None
    text: Phrases | None = None
    """Phrases, any of which is in what was said: error frames, close reason, error headers or body."""
    exact: Phrases | None = None
    """Phrases, any of which is the whole of one thing that was said."""
    close_code: Annotated[tuple[int, ...], BeforeValidator(_listed)] | None = None
    number: Annotated[tuple[int, ...], BeforeValidator(_listed)] | None = None
    """The close code, or the error frame's own code, whichever of them is known."""
    close_by: Side | None = None
    transport: Annotated[tuple[Transport, ...], BeforeValidator(_listed)] | None = None
    ended_by: Annotated[tuple[Side, ...], BeforeValidator(_listed)] | None = None
    reported_seconds: float | None = None
    """The vendor's own count of audio was exactly this."""
    in_between: bool | None = None
    """The answer bears none of the vendor's own headers: something in between gave it."""
    html: bool | None = None
    """The answer is a web page, and nothing in it shows that it is the vendor's own: who gave it cannot be told."""
    ready: bool | None = None
    audio_sent: bool | None = None
    """Whether the client sent any audio; holds too where that is not known."""
    end_sent: bool | None = None
    """Whether the client had sent the vendor's end message."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("a condition that asks nothing fits everything")
        return self


class Example(Strict):
    """A claim as it was seen or is documented; what the rule makes of it is checked by a test."""

    phase: Phase | None = None
    path: str | None = None
    http_status: int | None = None
    headers: dict[str, str] | None = None
    body: str | None = None
    frames: Strings = ()
    close_code: int | None = None
    close_reason: str | None = None
    close_by: Side | None = None
    transport: Transport | None = None
    ended_by: Side | None = None
    ready: bool | None = None
    audio_sent: bool | None = None
    end_sent: bool | None = None
    vendor: str | None = None
    """For a rule of the common file: the vendor it is tried with."""
    source: str | None = None


class Rule(Strict):
    id: Slug
    code: str | None = None
    category: Category | None = None
    owner: Owner | None = None
    retry: Retry | None = None
    outcome: Literal["ok", "error"] = "error"
    one_of: Strings = ()
    """Ids of rules among which the claim does not decide: the verdict is what they share."""
    when: Annotated[tuple[When, ...], BeforeValidator(_listed), Field(min_length=1)]
    hint: str | None = None
    rows: Strings = ()
    """Rows of the vendor's own error page that this rule stands for."""
    sources: Strings = ()
    examples: tuple[Example, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.one_of:
            if self.code or self.category or self.owner or self.retry:
                raise ValueError("a rule with one_of takes code, category, owner and retry from the rules it names")
        elif self.code is None or self.category is None or self.hint is None:
            raise ValueError("a rule needs code, category and hint (or one_of)")
        return self


class Common(Strict):
    """`config/common.yaml`: what every vendor shares."""

    sources: dict[str, str] = {}
    rules: tuple[Rule, ...]

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        check_rules(self.rules, self.sources)
        return self


class Profile(Strict):
    vendor: Slug
    title: str
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Where a listener for this vendor listens, on loopback, if the settings do not say."""
    sources: dict[str, str] = {}
    own_headers: Strings = ()
    """Headers that every answer of the vendor itself bears."""
    error_headers: Strings = ()
    """Headers of a refusal that say what is wrong, best first."""
    body: Message | None = None
    """How to read the JSON body of a refusal: its server_code, server_title, server_detail and ids."""
    no_information: Phrases = ()
    """Phrases that say nothing (a fixed close reason); they never decide between two causes."""
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    endpoints: Annotated[dict[Slug, Endpoint], Field(min_length=1)]
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        for number, route in enumerate(self.routes):
            if route.endpoint not in self.endpoints:
                raise _at(f"routes.{number}.endpoint", f"no endpoint {route.endpoint!r}; there are {sorted(self.endpoints)}")
        for number, rule in enumerate(self.rules):
            for when in rule.when:
                unknown = set(when.endpoint or ()) - set(self.endpoints)
                if unknown:
                    raise _at(f"rules.{number}.when", f"no endpoint {sorted(unknown)}; there are {sorted(self.endpoints)}")
        check_rules(self.rules, self.sources)
        return self


def check_rules(rules: tuple[Rule, ...], sources: dict[str, str]) -> None:
    """Ids are unique, `one_of` names rules that are there, sources are listed. Raises ValueError naming the rule."""
    seen: dict[str, Rule] = {}
    for number, rule in enumerate(rules):
        if rule.id in seen:
            raise _at(f"rules.{number}.id", f"a second rule with the id {rule.id!r}")
        seen[rule.id] = rule
    for number, rule in enumerate(rules):
        for name in rule.one_of:
            if name not in seen or seen[name].one_of:
                raise _at(f"rules.{number}.one_of", f"no plain rule with the id {name!r}")
        for tag in (*rule.sources, *(example.source for example in rule.examples if example.source)):
            if tag.split(":")[0] not in sources:
                raise _at(f"rules.{number}.sources", f"no source {tag!r}; there are {sorted(sources)}")


def _at(path: str, message: str) -> ValueError:
    return ValueError(f"{path}: {message}")


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a settings or profile file, for editors."""
    return model.model_json_schema() | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
