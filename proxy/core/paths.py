"""Paths of requests: which lie below which, and which hide where they lead.

Owns the one reading of a path by which routes and the operator's own list decide. What is compared is the path as it came, since
that is what the vendor gets; so a path that a server further on may read as another one has no place here at all: dot segments in
every disguise that some server is known to see through, however often escaped.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote

MOST_TURNS: Final = 4
"""How often a path is unescaped. What is still not plain then was never meant to be read."""
_NO_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9_.~:@!$&'()*+,=-]*)+", re.ASCII)
_PARAMETERS: Final = re.compile(r"[;#?]")
_BROKEN: Final = "\ufffd"


def path_of(target: str) -> str:
    """The path of a request target."""
    return target.partition("?")[0]


def is_under(path: str, prefix: str) -> bool:
    """Whether a path is another one, or lies below it by whole segments."""
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


def hides(path: str) -> bool:
    """Whether some server may read another path out of this one.

    Servers differ in what they unescape, how often, and when; in whether a back slash or a full-width dot is one; and in where a
    segment ends: at a parameter (`..;a=b`), a fragment, a blank. What cannot be seen belongs in no path.
    """
    if _PLAIN.fullmatch(path):
        return False
    if _NO_ESCAPE.search(path):
        return True
    for _ in range(MOST_TURNS):
        if _is_dotted(path):
            return True
        plain = unquote(path)
        if plain == path:
            return False
        path = plain
    return True


def _is_dotted(path: str) -> bool:
    folded = unicodedata.normalize("NFKC", path)
    if "\\" in folded or _BROKEN in folded or not folded.isprintable():
        return True
    return any(_PARAMETERS.split(segment)[0].strip() in (".", "..") for segment in folded.split("/"))
