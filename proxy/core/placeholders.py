"""Hiding what stands in the places of a vendor's message templates: tokens, ids of users, links.

Owns the rewriting of one text by a profile's phrases with `{name}` in them. Words are compared as phrases compare them, without
case and punctuation; what stands between them is replaced by the name of the place. Where a text was cut short, all that follows
the last words that are known is hidden. Linear in the text for each template; what no template knows is left to `redact`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from proxy.core.phrases import LONGEST, PARAMETER

LEAST_WORDS: Final = 2
"""Known words that must come before a cut text is taken for a template."""
_WORD: Final = re.compile(r"[^\W_]+")

Word = tuple[str, int, int]


class Placeholders:
    """Templates of one profile, the longest first."""

    __slots__ = ("_templates",)

    def __init__(self, phrases: Iterable[str]) -> None:
        found = {phrase for phrase in phrases if PARAMETER.search(phrase)}
        self._templates = [_Template(phrase) for phrase in sorted(found, key=lambda phrase: (-len(phrase), phrase))]

    def hide(self, text: str) -> str:
        """The text with nothing left in the places of the first template that it fits."""
        if not self._templates:
            return text
        text = text[:LONGEST]
        words = [(m[0].lower(), m.start(), m.end()) for m in _WORD.finditer(text)]
        for template in self._templates:
            places = template.places(words, len(text))
            if places:
                for name, start, end in reversed(places):
                    text = f"{text[:start]}{name}{text[end:]}"
                return text
        return text


class _Template:
    __slots__ = ("_names", "_pieces")

    def __init__(self, phrase: str) -> None:
        self._names = PARAMETER.findall(phrase)
        self._pieces = [[word.lower() for word in _WORD.findall(piece)] for piece in PARAMETER.split(phrase)]

    def places(self, words: list[Word], size: int) -> list[tuple[str, int, int]]:
        """Name, start and end of each place; nothing where the text does not fit."""
        at = _find(self._pieces[0], words, 0)
        if at is None:
            return []
        known, found = len(self._pieces[0]), []
        for name, piece in zip(self._names, self._pieces[1:], strict=True):
            start = words[at - 1][2] if at else 0
            after = _find(piece, words, at + 1) if piece else None
            if after is None and piece and known < LEAST_WORDS:
                return []
            end = words[after - len(piece)][1] if after is not None else size
            found.append((f" {name} " if after is not None else f" {name}", start, end))
            if after is None:
                break
            at, known = after, known + len(piece)
        return found


def _find(piece: list[str], words: list[Word], at: int) -> int | None:
    """The index after the piece's words, looking from `at` on."""
    for start in range(at, len(words) - len(piece) + 1):
        if all(words[start + i][0] == word for i, word in enumerate(piece)):
            return start + len(piece)
    return None
