"""Matching what a vendor said, by words.

Vendors word the same fault in several ways: case, prefixes, punctuation and line breaks differ between their pages and
the wire. Text is therefore folded to lower-case words before a phrase is looked for. A phrase is plain words; `*` stands
for anything, also inside a word (`session*`), and so does `{name}`, whose value is nobody's business (redact). Matching is
a left-to-right `str.find` for each piece between stars: linear, so that neither a profile nor hostile text can make it run away.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 2048
"""Characters of a text that are looked at."""

_NOT_WORD: Final = re.compile(r"[\W_]+")
PARAMETER: Final = re.compile(r"\{[a-z_]+\}")
"""A place in a phrase where something stands that is nobody's business."""


def fold(text: str) -> str:
    """Lower-case words with one space between and around them; empty text gives one space."""
    words = _NOT_WORD.sub(" ", text[:LONGEST].lower()).strip()
    return f" {words} " if words else " "


class Phrase:
    """A phrase, compiled. `found_in` and `is_whole` take folded text."""

    __slots__ = ("pieces", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        raw = PARAMETER.sub("*", source).split("*")
        pieces = [_with_gaps(fold(piece)[1:-1] if piece.strip() else "", piece) for piece in raw]
        if pieces[0]:
            pieces[0] = " " + pieces[0].lstrip(" ")
        if pieces[-1]:
            pieces[-1] = pieces[-1].rstrip(" ") + " "
        self.pieces = tuple(pieces)
        if not any(piece.strip() for piece in self.pieces):
            raise ValueError(f"a phrase without a word: {source!r}")

    def found_in(self, text: str) -> bool:
        at = 0
        for piece in self.pieces:
            at = text.find(piece, at)
            if at < 0:
                return False
            # The gap at the end of one piece may be the gap at the start of the next.
            at += len(piece.rstrip(" ")) if piece else 0
        return True

    def is_whole(self, text: str) -> bool:
        if len(self.pieces) == 1:
            return text == self.pieces[0]
        first, last = self.pieces[0], self.pieces[-1]
        return text.startswith(first) and text.endswith(last) and self.found_in(text)


def _with_gaps(folded: str, raw: str) -> str:
    """A piece that was set off from its star by a space or punctuation must be set off in the text as well."""
    if not folded:
        return ""
    before = " " if _NOT_WORD.match(raw) else ""
    after = " " if _NOT_WORD.match(raw[::-1]) else ""
    return before + folded + after
