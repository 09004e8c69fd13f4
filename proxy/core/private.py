"""What one request keeps private, and hiding it in whatever is said about that request.

Owns the credentials of one request. They are found by where they stand: headers and query keys whose names tell, and the places
that a profile names. A vendor may repeat them in any text, whole, cut or in another case; so they are known by themselves,
where `redact` knows keys only by their looks and by the words beside them. Holds nothing that leaves the process.

Linear in the text and in the credentials, both of which are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from string import ascii_lowercase, ascii_uppercase
from typing import Final
from urllib.parse import quote

from proxy.core.redact import MARK, is_sensitive

GRAM: Final = 8
"""No so many characters in a row of a credential come out."""
LEAST: Final = 4
"""Characters of a credential that are hidden as a word; a shorter one is no secret."""
_LONGEST: Final = 4096
_MOST: Final = 64
_APART: Final = re.compile(r"""[\s,;"'<>]+""")
_PARTS_OF_A_LINK: Final = re.compile(r"[/?&=@:#]+")
_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)
_COVERED: Final = re.compile(rb"\x01+")


class Private:
    """The credentials among some values."""

    __slots__ = ("_grams", "_words")

    def __init__(self, values: Iterable[str] = ()) -> None:
        found = {word[:_LONGEST].translate(_LOWER) for value in values for word in _words(value[:_LONGEST])}
        self._words = sorted((word for word in found if len(word) >= LEAST), key=len, reverse=True)[:_MOST]
        self._grams = {word[at : at + GRAM] for word in self._words for at in range(len(word) - GRAM + 1)}

    def hide(self, text: str) -> str:
        """The text with every part of a credential replaced."""
        if not self._words:
            return text
        low = text.translate(_LOWER)  # of the same length, as `lower` is not always
        covered = bytearray(len(text))
        for at in range(len(text) - GRAM + 1):
            if low[at : at + GRAM] in self._grams:
                covered[at : at + GRAM] = b"\1" * GRAM
        for word in self._words:
            self._cover(word, low, covered)
        for match in reversed([*_COVERED.finditer(covered)]):
            text = text[: match.start()] + MARK + text[match.end() :]
        return text

    def _cover(self, word: str, low: str, covered: bytearray) -> None:
        """What is too short for its grams to tell: a short word, or the beginning of one at which the text was cut."""
        if len(word) < GRAM:
            at = low.find(word)
            while at >= 0:
                end = at + len(word)
                if not low[at - 1 : at].isalnum() and not low[end : end + 1].isalnum():
                    covered[at:end] = b"\1" * len(word)
                at = low.find(word, end)
            return
        for size in range(GRAM - 1, LEAST - 1, -1):
            at = len(low) - size
            if low.endswith(word[:size]) and not low[max(0, at - 1) : at].isalnum():
                covered[at:] = b"\1" * size
                return


def private(fields: Iterable[tuple[str, str]], places: frozenset[str] = frozenset()) -> Private:
    """Of a request: its headers and its query. `places` are further names of either, in lower case."""
    return Private([value for name, value in fields if name.lower() in places or is_sensitive(name)])


def _words(value: str) -> Iterator[str]:
    """A value's parts that are secret: of `Bearer KEY`, `sid=KEY; theme=dark`, `token, KEY`, a link with a password."""
    words = [word for word in _APART.split(value) if word]
    for number, word in enumerate(words):
        if number == 0 and len(words) > 1 and word.isalpha():
            continue  # a scheme
        if "://" in word:
            yield from _in_link(word)
            continue
        named = word.partition("=")[2]
        secret = named if named.strip("=") else word
        yield secret
        yield quote(secret, safe="")


def _in_link(link: str) -> Iterator[str]:
    """A link's words are anybody's; what has digits in it is not, nor what stands before the host or in the query."""
    place, _, query = link.partition("://")[2].partition("?")
    user, _, path = place.rpartition("@")
    yield from _PARTS_OF_A_LINK.split(user)
    yield from (part for part in _PARTS_OF_A_LINK.split(path) if any(map(str.isdigit, part)))
    yield from (value for pair in query.split("&") if (value := pair.partition("=")[2]))
