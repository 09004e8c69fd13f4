"""The rules of a profile: what a claim must look like, and what it then means.

Owns their shape and their cross-checks; matching is the classifier's business (classify).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from proxy.core.fields import Phrases, Slug, Strict, Strings, at, one_or_more
from proxy.core.verdict import Category, Owner, Phase, Retry, Side, Transport


class When(Strict):
    """All that is given must hold. Lists mean any of them.

    In a vendor's file a condition is about what the vendor said: it fits neither an answer from in between, nor a page that
    anybody may have sent, nor, unless it asks for `close_by: client`, a close frame that the client sent.
    """

    endpoint: Strings | None = None
    phase: Annotated[tuple[Phase, ...], one_or_more(Phase)] | None = None
    http_status: Annotated[tuple[Annotated[int | str, Field(union_mode="left_to_right")], ...], one_or_more(int | str)] | None = None
    """Numbers, or a class such as `4xx`."""
    header: dict[str, Phrases] | None = None
    server_code: Strings | None = None
    text: Phrases | None = None
    """Phrases, any of which is in what was said: error frames, close reason, error headers or body."""
    exact: Phrases | None = None
    """Phrases, any of which is the whole of one thing that was said."""
    close_code: Annotated[tuple[int, ...], one_or_more(int)] | None = None
    number: Annotated[tuple[int, ...], one_or_more(int)] | None = None
    """The close code, or the error frame's own code, whichever of them is known."""
    close_by: Side | None = None
    transport: Annotated[tuple[Transport, ...], one_or_more(Transport)] | None = None
    ended_by: Annotated[tuple[Side, ...], one_or_more(Side)] | None = None
    reported_seconds: float | None = None
    """The vendor's own count of audio was exactly this."""
    told: bool | None = None
    """Whether the vendor gave an error of its own, in a message or body, whatever it says."""
    numbered: bool | None = None
    """Whether a close code or a status is known. Words without either are a line of somebody's log: what else it tells of goes first."""
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
    frames_hex: Strings = ()
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
    when: Annotated[tuple[When, ...], one_or_more(When), Field(min_length=1)]
    hint: str | None = None
    rows: Strings = ()
    """Rows of the vendor's own error page that this rule stands for."""
    aliases: Strings = ()
    """Other names that the vendor's pages or SDKs have for the same."""
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

    sources: dict[str, str] = Field(default_factory=dict)
    rules: tuple[Rule, ...]

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        check_rules(self.rules, self.sources)
        return self


def check_rules(rules: tuple[Rule, ...], sources: dict[str, str]) -> None:
    """Ids are unique, `one_of` names rules that are there, sources are listed. Raises ValueError naming the rule."""
    seen: dict[str, Rule] = {}
    for number, rule in enumerate(rules):
        if rule.id in seen:
            raise at(f"rules.{number}.id", f"a second rule with the id {rule.id!r}")
        seen[rule.id] = rule
    for number, rule in enumerate(rules):
        for name in rule.one_of:
            if name not in seen or seen[name].one_of:
                raise at(f"rules.{number}.one_of", f"no plain rule with the id {name!r}")
        for tag in (*rule.sources, *(example.source for example in rule.examples if example.source)):
            if tag.split(":")[0] not in sources:
                raise at(f"rules.{number}.sources", f"no source {tag!r}; there are {sorted(sources)}")
