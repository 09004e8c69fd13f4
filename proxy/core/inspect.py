"""From a text message to facts, by the profile's paths.

Owns the reading of JSON messages: which kind of message it is, and the few values of it that the profile names. Never
raises, whatever the bytes; keeps no text of anybody's speech. It knows nothing of time or of what the facts mean.

A profile's messages are compiled once a profile, not once a session: an `Inspector` is shared by all sessions.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import orjson

from proxy.core.messages import Declares, Message, Messages, Position, Where
from proxy.core.protobuf import Piece, tree, walk

LARGEST: Final = 256 * 1024
"""Bytes of a text message that is still read."""
LONGEST: Final = 512
"""Characters of a value that is kept."""
MOST: Final = 1e11
"""Seconds or milliseconds of a position."""

BASE64_HEAD: Final = 168
"""Characters of base64 that are decoded to look at the audio: 126 bytes."""

_POSITION: Final = re.compile(r"-?[0-9]{1,9}")

_SPACE: Final = 0x20
_QUOTE: Final = 0x22
_COLON: Final = 0x3A

Json = Any
Get = Callable[[Json], Any]


@dataclass(slots=True)
class Told:
    """What an error frame or body said, as strings cut to size. Not yet redacted."""

    server_code: str | None = None
    server_title: str | None = None
    server_detail: str | None = None
    connection_id: str | None = None
    req_id: str | None = None

    @property
    def says_something(self) -> bool:
        """Whether there is more to it than ids."""
        return bool(self.server_code or self.server_title or self.server_detail)

    def merge(self, other: Told) -> None:
        for f in fields(self):
            if getattr(self, f.name) is None:
                setattr(self, f.name, getattr(other, f.name))


def getter(path: str) -> Get:
    """A function that takes the value at a path out of parsed JSON, or gives None."""
    if "." not in path:
        return lambda json: json.get(path) if type(json) is dict else None
    steps = tuple(int(step) if _POSITION.fullmatch(step) else step for step in path.split("."))

    def get(json: Json) -> Any:
        here = json
        try:
            for step in steps:
                if type(here) is str:
                    return None
                here = here[step]
        except (KeyError, IndexError, TypeError):
            return _key_by_key(json, steps)
        return here

    return get


def _key_by_key(json: Json, steps: tuple[str | int, ...]) -> Any:
    """The slow way, for what is not where most messages have it: a number may be an object's key as well."""
    for step in steps:
        if type(json) is dict:
            json = json.get(str(step))
        elif type(json) is list and type(step) is int and -len(json) <= step < len(json):
            json = json[step]
        else:
            return None
    return json


def first(paths: tuple[str, ...]) -> Get:
    """The first value that is there and not empty, of several paths."""
    getters = tuple(getter(path) for path in paths)

    def get(json: Json) -> Any:
        for one in getters:
            value = one(json)
            if value is not None and value != "" and value != []:
                return value
        return None

    return get


def _number(value: Any) -> float | None:
    """A number that can be a time; one out of all proportion would stay in sums for ever."""
    return float(value) if (type(value) is float or type(value) is int) and abs(value) <= MOST else None


def _position(where: Position | None) -> Get | None:
    if where is None:
        return None
    main, scale = first(where.path), 0.001 if where.unit == "ms" else 1.0
    plus = getter(where.plus) if where.plus else None

    def get(json: Json) -> float | None:
        value = _number(main(json))
        if value is None:
            return None
        return scale * (value + ((_number(plus(json)) or 0.0) if plus else 0.0))

    return get


def holds(where: Where | None) -> Callable[[Json], bool] | None:
    """A condition on parsed JSON; None where there is none."""
    if where is None:
        return None
    get, expected = getter(where.path), where.equals
    if where.exists is not None:
        return lambda json: (get(json) is not None) == where.exists

    def equals(json: Json) -> bool:
        value = get(json)
        # True is 1 for Python, but not in JSON.
        return isinstance(value, bool) == isinstance(expected, bool) and bool(value == expected)

    return equals


def text_of(value: Any) -> str | None:
    """A value as a short string: strings as they are, numbers printed, all else as nothing."""
    if isinstance(value, str):
        return value[:LONGEST] or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def teller(message: Message) -> Callable[[Json], Told]:
    """Takes codes, texts and ids out of one message."""
    said = {"server_code": message.server_code, "server_title": message.server_title, "server_detail": message.server_detail}
    parts = tuple((name, first(paths)) for name, paths in (*said.items(), *message.ids.items()) if paths)
    return lambda json: Told(**{name: text_of(part(json)) for name, part in parts})


def told_by(message: Message, json: Json) -> Told:
    """The same of a message that is read once."""
    return teller(message)(json)


def _audio(message: Message) -> Callable[[Json], Piece | None] | None:
    """Takes the audio out of a message: how many bytes, and the first of them."""
    if message.audio is None:
        return None
    get, base64 = getter(message.audio.path), message.audio.encoding == "base64"

    def held(json: Json) -> Piece | None:
        value = get(json)
        if base64 and type(value) is str:
            return Piece(len(value) * 3 // 4 - value.count("=", -2), _decoded(value[:BASE64_HEAD]))
        return value if isinstance(value, Piece) else None

    return held


def _decoded(head: str) -> bytes:
    try:
        return b64decode(head, validate=True)
    except ValueError:
        return b""


class Declaration:
    """Where a message declares what the audio is: encoding, sample rate and channels, each as a string, None where it does not say."""

    __slots__ = ("_parts",)

    def __init__(self, declares: Declares) -> None:
        self._parts = tuple(first(paths) for paths in (declares.encoding, declares.sample_rate, declares.channels))

    def read(self, json: Json) -> tuple[str | None, ...]:
        return tuple(text_of(part(json)) for part in self._parts)


class Kind:
    """One kind of message with its paths compiled. `held` gives the audio in it."""

    __slots__ = ("audio_seconds", "close_code", "close_reason", "declares", "expires_at", "fatal", "final", "has_text", "held", "message",
                 "name", "required", "role", "speech_end", "speech_start", "told", "utterance", "when")

    def __init__(self, name: str, message: Message) -> None:
        self.name, self.message, self.role, self.fatal = message.name or name, message, message.role, message.fatal
        self.held = _audio(message)
        self.told = teller(message)
        self.declares = Declaration(message.declares) if message.declares else None
        self.close_code, self.close_reason = first(message.close_code), first(message.close_reason)
        self.required = tuple(getter(path) for path in message.required)
        self.when = holds(message.when)
        self.has_text = first(message.text) if message.text else None
        self.final = holds(message.final)
        self.utterance = getter(message.utterance) if message.utterance else None
        self.speech_start = _position(message.speech_start)
        self.speech_end = _position(message.speech_end)
        self.audio_seconds = _position(message.audio_seconds)
        self.expires_at = getter(message.expires_at) if message.expires_at else None

    def fits(self, json: Json) -> bool:
        """For messages with a type that is already known to be this one's."""
        return self.when is None or self.when(json)

    def is_there(self, json: Json) -> bool:
        """For messages without a type: recognised by what they hold."""
        if self.when is not None:
            return self.when(json)
        m = self.message
        return any(first(paths)(json) is not None for paths in (m.server_detail, m.server_code, m.text, *m.ids.values()))


class Inspector:
    """All kinds of message of one direction of one endpoint, in JSON."""

    __slots__ = ("_kinds", "_passing", "_plain", "_type", "_type_key", "_untyped", "has_start")
    binary = False
    """Whether its messages are the binary ones."""

    def __init__(self, messages: Messages) -> None:
        self._type = getter(messages.type)
        self._type_key = messages.type
        self._kinds = {name: tuple(Kind(name, m) for m in kinds) for name, kinds in messages.kinds.items()}
        self.has_start = any(m.role == "start" for m in messages.all())
        self._plain = {name: kinds[0] for name, kinds in self._kinds.items() if len(kinds) == 1 and kinds[0].when is None}
        self._untyped = tuple(Kind("untyped", m) for m in messages.untyped)
        self._passing = Passing(messages.type, self._plain)

    def read(self, data: bytes, length: int | None = None) -> tuple[Kind, Json] | None:
        """The kind of a message and its JSON; None for what is no JSON object or not known to the profile."""
        if len(data) > LARGEST:
            return None
        try:
            json = orjson.loads(data)
        except ValueError:
            return None
        try:
            return self._plain[json[self._type_key]], json
        except (KeyError, TypeError):
            return self.kind_of(json)

    def kind_of(self, json: Json) -> tuple[Kind, Json] | None:
        if type(json) is not dict:
            return None
        name = self._type(json)
        if type(name) is int:
            name = str(name)
        if name is None:
            return next(((kind, json) for kind in self._untyped if kind.is_there(json)), None)
        if type(name) is not str:
            return None
        return next(((kind, json) for kind in self._kinds.get(name, ()) if kind.fits(json)), None)

    def is_passing(self, data: bytes) -> bool:
        """Whether a message is surely an interim result, told without parsing it."""
        return self._passing.is_passing(data)


class FieldInspector(Inspector):
    """The same, in protobuf: messages are trees of field numbers."""

    __slots__ = ("_tree",)
    binary = True

    def __init__(self, messages: Messages) -> None:
        super().__init__(messages)
        every = messages.all()
        pieces = [m.audio.path for m in every if m.audio and m.audio.encoding == "bytes"]
        self._tree = tree([messages.type, *(path for m in every for path in m.paths() if path not in pieces)], pieces)

    def read(self, data: bytes, length: int | None = None) -> tuple[Kind, Json] | None:
        """As for JSON, of a message of `length` bytes that begins with `data`."""
        fields = walk(data, self._tree, length)
        return None if fields is None else self.kind_of(fields)

    def is_passing(self, data: bytes) -> bool:
        return False


def inspector(messages: Messages) -> Inspector:
    """Raises ValueError for paths that the encoding does not know."""
    return FieldInspector(messages) if messages.encoding == "protobuf" else Inspector(messages)


class Passing:
    """Knows interim results by their bytes, where a vendor sends more of them than anybody needs to look at.

    Inside a JSON string every quote is escaped, so that `"type":` is a key wherever it stands. A message which that key begins,
    or in which it stands exactly once, with a result's name for a value, and the key that says whether it is final exactly once,
    with another value, is an interim result; where a result is to have words, the key of these stands once as well, with some. What
    cannot be told so (odd spacing, nested types) is no matter: it is parsed.
    That an object has one key twice is not reckoned with; what such a thing means, JSON leaves open (RFC 8259 section 4).
    """

    __slots__ = ("_begins", "_key", "_results")

    def __init__(self, type_path: str, kinds: Mapping[str, Kind]) -> None:
        self._key = _last_key(type_path)
        self._begins = b"{" + self._key if "." not in type_path else b"."  # as most messages do: the rest need not be searched for it
        self._results = [
            (orjson.dumps(name), _last_key(final.path), orjson.dumps(final.equals), b"".join(map(_last_key, kind.message.text[:1])))
            for name, kind in kinds.items() if kind.role == "result" and (final := kind.message.final) is not None
        ]

    def is_passing(self, data: bytes) -> bool:
        at = _value_after(data, len(self._begins)) if data.startswith(self._begins) else _value_of(data, self._key)
        if at < 0:
            return False
        for name, final_key, final, text_key in self._results:
            if data.startswith(name, at):
                at = _value_of(data, final_key)
                return at >= 0 and not data.startswith(final, at) and (not text_key or _has_words(data, text_key))
        return False


def _last_key(path: str) -> bytes:
    return orjson.dumps(path.split(".")[-1])


def _value_of(data: bytes, key: bytes) -> int:
    """Where the value of a key begins that stands just once; -1 where that is not so."""
    at = data.find(key)
    return -1 if at < 0 or data.find(key, at + 1) >= 0 else _value_after(data, at + len(key))


def _has_words(data: bytes, key: bytes) -> bool:
    """Whether the value of a key that stands just once is a string that is not empty."""
    at = _value_of(data, key)
    return 0 <= at < len(data) - 1 and data[at] == _QUOTE != data[at + 1]


def _value_after(data: bytes, at: int) -> int:
    """Where the value begins of a key that ends here, with at most one space; -1 where that is not so."""
    end = len(data) - 2
    if at > end or data[at] != _COLON:
        return -1
    at += 1
    if data[at] == _SPACE and at <= end:
        at += 1
    return at if data[at] > _SPACE else -1  # no value begins with less
