"""From a document to a model, and from what the model refuses to problems with a line and a friendly word.

Owns the translation of pydantic's errors; it knows neither the settings nor the profile, only that both are models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy.settings.document import Document, Keys
from proxy.settings.problems import Problem, instead, shown

M = TypeVar("M", bound=BaseModel)

MOST: Final = 200
"""Problems of one document that are told."""

_NAMES_ITS_PATH: Final = re.compile(r"([A-Za-z_]\w*(?:\.\w+)+|[a-z_]+): (.*)", re.DOTALL)
_KINDS: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a map of names to values",
    "model_type": "a map of names to values",
    "model_attributes_type": "a map of names to values",
}


def validated(model: type[M], document: Document, context: Mapping[str, Any] | None = None) -> tuple[M | None, list[Problem]]:
    """The model, unless its part of the problems is not empty; all problems of the document, those of reading it first."""
    try:
        return model.model_validate({} if document.data is None else document.data, context=dict(context or {})), list(document.problems)
    except ValidationError as refused:
        errors = refused.errors(include_url=False, include_input=False)
    found: dict[Keys, list[str]] = {}
    for error in errors[:MOST]:
        if _follows(document.data, error):
            continue
        keys, message = _told(model, document.data, error)
        if message not in found.setdefault(keys, []):
            found[keys].append(message)
    return None, document.problems + [document.problem(keys, ", or ".join(messages)) for keys, messages in found.items()]


def along(data: Any, location: Keys) -> Keys:
    """The part of a model's location that is in the data: without the names of union members and of lists that were not written."""
    keys: list[str | int] = []
    at: Any = data
    for key in location:
        if (isinstance(at, dict) and key in at) or (isinstance(at, list) and isinstance(key, int) and key < len(at)):
            keys.append(key)
            at = _at(at, (key,))
    return tuple(keys)


def _follows(data: Any, error: ErrorDetails) -> bool:
    """Whether a list is only too short because what stands in it was refused, which is told by itself."""
    if error["type"] != "too_short":
        return False
    written = _at(data, along(data, error["loc"]))
    return isinstance(written, list) and len(written) >= error["ctx"]["min_length"]


def _told(model: type[BaseModel], data: Any, error: ErrorDetails) -> tuple[Keys, str]:
    location, kind, context = error["loc"], error["type"], error.get("ctx", {})
    keys = along(data, location)
    value = _at(data, keys)
    if kind == "extra_forbidden":
        return keys, f"unknown key; {instead(str(location[-1]), sorted(_fields(model, location[:-1])))}"
    if kind == "missing":
        return keys if keys[-1:] == location[-1:] else (*keys, location[-1]), "is missing"
    if kind in ("value_error", "assertion_error"):
        message = str(context.get("error", error["msg"]))
        if inner := _NAMES_ITS_PATH.fullmatch(message):
            steps = tuple(int(step) if step.isdigit() else step for step in inner[1].split("."))
            if len(found := along(value, steps)):
                return keys + found, inner[2]
        return keys, message
    if kind in ("literal_error", "enum"):
        return keys, f"should be {context['expected']}, not {shown(value)}"
    if kind == "string_type" and isinstance(value, int | float):
        return keys, "should be text: write it in quotes"
    if kind in _KINDS:
        return keys, f"should be {_KINDS[kind]}"
    if kind == "string_pattern_mismatch":
        return keys, f"should match {context['pattern']}"
    if kind == "too_short" and not value:
        return keys, "should not be empty"
    return keys, error["msg"].replace("Input should", "should").replace("Tuple should", "should")


def _at(data: Any, keys: tuple[Any, ...]) -> Any:
    for key in keys:
        data = data[key]
    return data


def _fields(model: type[BaseModel], location: Keys) -> set[str]:
    """The names that are known at a location of a model."""
    models = {model}
    for key in location:
        inner = {found for m in models if key in m.model_fields for found in _models(m.model_fields[str(key)].annotation)}
        models = inner or models
    return {name for m in models for name in m.model_fields}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside an annotation: of an optional, a list, a map."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
