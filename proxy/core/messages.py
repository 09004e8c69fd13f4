"""The messages of a vendor's conversation, as a profile describes them: which kinds there are, and what of each is kept.

Owns the shape alone; reading messages by it is the inspector's business (inspect).
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, Self

import orjson
from pydantic import Field, model_validator

from proxy.core.fields import Path, Paths, Slug, Strict, one_or_more

FIELD_PATH: Final = re.compile(r"[1-9][0-9]{0,7}(\.[1-9][0-9]{0,7})*")


Text = Annotated[str, Field(min_length=2, max_length=1024)]


class Where(Strict):
    """A condition on a value inside a message: what it is, or only whether it is there."""

    path: Path
    equals: str | int | float | bool | None = None
    exists: bool | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if (self.equals is None) == (self.exists is None):
            raise ValueError("a condition on a value needs either equals or exists")
        return self


class Position(Strict):
    """Where a message says how far into the audio it reaches."""

    path: Paths = ()
    plus: Path | None = None
    """A second path whose value is added (a start and a duration)."""
    unit: Literal["s", "ms"] = "s"


class Held(Strict):
    """Audio inside a message."""

    path: Path
    encoding: Literal["base64", "bytes"]


class Declares(Strict):
    """Where a message declares what the audio is. What it leaves out stays as it was."""

    encoding: Paths = ()
    sample_rate: Paths = ()
    channels: Paths = ()


Role = Literal["ready", "result", "end", "error", "warning", "keep_alive", "control", "info", "audio", "start", "stopped", "disconnect"]
"""What a message does. The vendor's: `ready` (its hello), `result`, `end` (its goodbye), `error`, `warning`, `stopped` (it no longer
listens to this stream), `disconnect` (a close told in a message). The client's: `start` (begins a stream, the next one on the
same socket), `audio`, `end` (the stream's or the session's), `keep_alive`. Either's: `control`, `info`."""


class Message(Strict):
    """One kind of message, and what of it is kept. Nothing else is: no transcript, no client text."""

    role: Role
    name: Slug | None = None
    """What logs and metrics call it, where its type is a bare number."""
    when: Where | None = None
    """Tried first to last among messages of the same type; without it any message of the type fits."""
    fatal: bool | Literal["if_last"] = True
    """Whether an error ends the session; `if_last`: only if no `ready` and no `result` follows, else it was a warning."""
    required: Paths = ()
    """What the vendor insists on in a client's message."""
    answers_elsewhere: bool = False
    """Whether it tells the vendor to send its results to somebody else: then its silence here means nothing."""
    audio: Held | None = None
    declares: Declares | None = None
    close_code: Paths = ()
    close_reason: Paths = ()
    """The close that a message of role `disconnect` tells of."""
    ids: dict[Literal["connection_id", "req_id"], Paths] = Field(default_factory=dict)
    server_code: Paths = ()
    server_title: Paths = ()
    server_detail: Paths = ()
    text: Paths = ()
    """A result counts once one of these is not empty."""
    final: Where | None = None
    """Of a result: it will not change. Of a client's audio: the request ends with it, and a pause may follow."""
    utterance: Path | None = None
    """Finals with the same value here are one final told twice."""
    speech_start: Position | None = None
    speech_end: Position | None = None
    audio_seconds: Position | None = None
    """The vendor's own count of the audio it received."""
    expires_at: Path | None = None
    """Unix time at which the vendor will end the session."""
    send: Text | None = None
    """The whole message as a client may send it, in JSON. Of `end` and `keep_alive`: without it nobody says them in a client's place."""

    @model_validator(mode="after")
    def _may_be_sent(self) -> Self:
        if self.send is not None and self.role not in ("end", "keep_alive"):
            raise ValueError("only messages of the roles end and keep_alive are ever sent in a client's place")
        return self

    def paths(self) -> tuple[str, ...]:
        """Every path that it names."""
        several: list[tuple[str, ...]] = [self.required, self.close_code, self.close_reason, self.server_code, self.server_title,
                                          self.server_detail, self.text, *self.ids.values()]
        if self.declares:
            several += [self.declares.encoding, self.declares.sample_rate, self.declares.channels]
        several += [position.path for position in (self.speech_start, self.speech_end, self.audio_seconds) if position]
        single = [one.path for one in (self.when, self.final, self.audio) if one] + [self.utterance, self.expires_at]
        single += [position.plus for position in (self.speech_start, self.speech_end, self.audio_seconds) if position]
        return tuple(path for paths in several for path in paths) + tuple(path for path in single if path)


class Messages(Strict):
    """The messages of one direction, by the value of `type`.

    JSON comes in text messages. Protobuf comes in binary ones; a path is then made of field numbers (`4.3`), `type` is the path of
    an enumeration, and `kinds` are named by its numbers.
    """

    encoding: Literal["json", "protobuf"] = "json"
    type: Path = "type"
    kinds: dict[str, Annotated[tuple[Message, ...], one_or_more(Message)]] = Field(default_factory=dict)
    untyped: tuple[Message, ...] = ()
    """Messages without that value: the first whose `when`, or one of whose paths, is there."""

    def all(self) -> list[Message]:
        return [message for kinds in self.kinds.values() for message in kinds] + list(self.untyped)

    @model_validator(mode="after")
    def _paths_are_read(self) -> Self:
        if self.encoding == "protobuf":
            for path in (self.type, *(path for message in self.all() for path in message.paths())):
                if not FIELD_PATH.fullmatch(path):
                    raise ValueError(f"in protobuf a path is made of field numbers, not {path!r}")
        return self

    @model_validator(mode="after")
    def _what_is_sent_is_what_it_says(self) -> Self:
        for name, kinds in self.kinds.items():
            for message in kinds:
                if message.send is not None:
                    self._must_say(name, message.send)
        if any(message.send is not None for message in self.untyped):
            raise ValueError("a message without a type cannot be told again: it is not sent in a client's place")
        return self

    def _must_say(self, name: str, text: str) -> None:
        try:
            said = orjson.loads(text)
        except ValueError:
            said = None
        if self.encoding != "json" or not isinstance(said, dict) or said.get(self.type) != name:
            raise ValueError(f"what is sent must be JSON whose {self.type} is {name!r}: {text}")
