"""What the models of a profile are made of: strictness, and the kinds of string that stand in them.

A *path* names a value inside a message: keys joined by dots, list positions as numbers (`words.-1.end`), field numbers in
protobuf (`4.3`). A *phrase* is matched against what the vendor said, by words: case, punctuation and runs of space do not count,
and `*` stands for anything. No regular expressions: nothing a profile says can make the matcher run away.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from proxy.core.phrases import Phrase


def one_or_more(kind: Any) -> BeforeValidator:
    """A list of these in which a single one may stand for itself, for editors as well."""
    return BeforeValidator(_listed, json_schema_input_type=kind | tuple[kind, ...])


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) or value is None else [value]


def _phrases(value: tuple[str, ...]) -> tuple[str, ...]:
    for source in value:
        Phrase(source)
    return value


def lower_case(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if name != name.lower():
            raise ValueError(f"encodings are compared in lower case: write {name.lower()!r}, not {name!r}")
    return value


Strings = Annotated[tuple[str, ...], one_or_more(str)]
Phrases = Annotated[Strings, AfterValidator(_phrases)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
Path = Annotated[str, Field(min_length=1, max_length=200)]
Paths = Annotated[tuple[Path, ...], one_or_more(Path)]
MOST: Final = 1_000_000_000
"""No number of a limit is meant to be larger; beyond it, some sum or product of such numbers has no value any more."""
Seconds = Annotated[float, Field(strict=True, ge=0, le=MOST, allow_inf_nan=False)]
Above0 = Annotated[float, Field(strict=True, gt=0, le=MOST, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, gt=0, le=MOST)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def at(path: str, message: str) -> ValueError:
    """An error whose place the loader can find in the file."""
    return ValueError(f"{path}: {message}")
