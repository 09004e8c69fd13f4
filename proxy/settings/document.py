"""A YAML file as plain data, with the line of every value.

Owns the reading of YAML and its bounds (size, depth, nodes, what aliases grow to); knows no setting. Scalars follow the
core schema of YAML 1.2, as editors do: `on`, `no`, `22:30`, `012` and dates are text. Keys are text always. Tags, merge
keys and further documents are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from yaml import CSafeLoader

from proxy.core.redact import redact
from proxy.settings.problems import ConfigError, Problem, shown

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a file."""
DEEPEST: Final = 50
MOST_NODES: Final = 200_000
"""Values in a file, those that aliases repeat counted each time."""

Keys = tuple[str | int, ...]
"""The way to a value: keys and list positions."""

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH: Final = {word: truth for words, truth in (("true True TRUE", True), ("false False FALSE", False)) for word in words.split()}
_INT: Final = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_STR_TAGS: Final = ("!", "tag:yaml.org,2002:str")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written. A variable or a flag has a name of its own instead of a line."""

    where: str
    line: int | None = None
    name: str | None = None


@dataclass(slots=True)
class Document:
    """Data and the places it came from; what is laid over a file keeps its own place."""

    place: Place
    data: Any = None
    places: dict[Keys, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    """What was noticed on reading that did not stop it: a key that stands twice."""

    def problem(self, keys: Keys, message: str) -> Problem:
        """A problem with the value there, or with what is missing there: then the nearest place around it counts."""
        place = next((self.places[keys[:end]] for end in range(len(keys), -1, -1) if keys[:end] in self.places), self.place)
        return Problem(place.where, place.line, place.name or _dotted(keys), message)


def scalar(text: str) -> Any:
    """A plain scalar to None, bool, int, float or str."""
    if text in _NULL:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if text[0] in "+-.0123456789":
        if _INT.fullmatch(text):
            return int(text, 0) if text[1:2] in ("o", "x") else int(text)
        if _FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def read(path: Path) -> Document:
    """The document in a file. Raises ConfigError if it is not there, too large, no UTF-8, or no YAML."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "no such path").lower()
        raise ConfigError([Problem(str(path), None, "", f"cannot be read: {reason}")]) from None
    if len(raw) > LARGEST:
        raise ConfigError([Problem(str(path), None, "", f"is larger than {LARGEST} bytes")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), raw.count(b"\n", 0, error.start) + 1, "", "is not UTF-8")]) from None
    return parse(text, str(path))


def parse(text: str, where: str) -> Document:
    """The document in a text. Raises ConfigError where it is no YAML or out of bounds; duplicate keys are only noted."""
    document = Document(Place(where))
    loader = CSafeLoader(text)
    try:
        _Reader(loader, document).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.problems.append(Problem(where, mark.line + 1 if mark else None, "", error.problem or "is not YAML"))
        raise ConfigError(document.problems) from None
    except yaml.YAMLError as error:
        # A character that YAML does not allow is told by its offset.
        at = getattr(error, "position", None)
        line = text.count("\n", 0, at) + 1 if isinstance(at, int) else None
        raise ConfigError([*document.problems, Problem(where, line, "", "is not YAML: a character that is not allowed")]) from None
    finally:
        loader.dispose()
    return document


class _Reader:
    """From parser events to data. Aliases share the data they name; what they would grow to is counted."""

    def __init__(self, loader: CSafeLoader, document: Document) -> None:
        self._next: Callable[[], Any] = loader.get_event
        self._document = document
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def document(self) -> None:
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return
        first = self._next()
        self._document.place = Place(self._document.place.where, _line(first))
        self._document.data = self._node(first, ())
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._stop(event, (), "a second document")

    def _node(self, event: Any, keys: Keys) -> Any:
        before, kind = self._nodes, type(event)
        self._nodes += 1
        if kind is yaml.AliasEvent:
            return self._alias(event, keys)
        if len(keys) > DEEPEST:
            raise self._stop(event, keys[:3], f"nested deeper than {DEEPEST}")
        if event.tag is not None and not (kind is yaml.ScalarEvent and event.tag in _STR_TAGS):
            raise self._stop(event, keys, "tags are not allowed")
        value: Any
        if kind is yaml.ScalarEvent:
            value = scalar(event.value) if event.implicit[0] and event.tag is None else event.value
        elif kind is yaml.MappingStartEvent:
            value = self._mapping(keys)
        else:
            value = self._sequence(keys)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._nodes - before
        if self._nodes > MOST_NODES:
            raise self._stop(event, keys[:3], f"more than {MOST_NODES} values")
        return value

    def _alias(self, event: Any, keys: Keys) -> Any:
        if event.anchor not in self._anchors:
            raise self._stop(event, keys, f"no anchor {shown(event.anchor)} before this")
        value, size = self._anchors[event.anchor]
        self._nodes += size
        if self._nodes > MOST_NODES:
            raise self._stop(event, keys, f"more than {MOST_NODES} values, counting what aliases repeat")
        return value

    def _mapping(self, keys: Keys) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while type(event := self._next()) is not yaml.MappingEndEvent:
            if type(event) is not yaml.ScalarEvent:
                raise self._stop(event, keys, "a key must be plain text")
            inside = (*keys, event.value)
            line = _line(event)
            if event.value in mapping:
                message = f"stands twice, first in line {self._document.places[inside].line}"
                self._document.problems.append(Problem(self._document.place.where, line, _dotted(inside), message))
            else:
                self._document.places[inside] = Place(self._document.place.where, line)
            mapping[event.value] = self._node(self._next(), inside)
        return mapping

    def _sequence(self, keys: Keys) -> list[Any]:
        sequence: list[Any] = []
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            inside = (*keys, len(sequence))
            self._document.places[inside] = Place(self._document.place.where, _line(event))
            sequence.append(self._node(event, inside))
        return sequence

    def _stop(self, event: Any, keys: Keys, message: str) -> ConfigError:
        problem = Problem(self._document.place.where, _line(event), _dotted(keys), message)
        return ConfigError([*self._document.problems, problem])


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line + 1


def _dotted(keys: Keys) -> str:
    path = ".".join(map(str, keys))
    return redact(path[:200])
