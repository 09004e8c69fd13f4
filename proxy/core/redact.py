"""What may be shown of a text that somebody else wrote.

Owns the one rule for everything that leaves the process: vendor texts, exceptions, request targets, header values. Keys
sit in all of them. It errs on the safe side: a harmless word may go, a key may not stay. Knows nothing of logs or labels.

Linear in the input, which is bounded first: patterns start with something fixed or run over maximal stretches, so that
no text, however made, lets a search begin again and again.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

LONGEST: Final = 512
"""Characters that come out."""
_LOOKED_AT: Final = 8 * LONGEST
MARK: Final = "***"

SENSITIVE_QUERY: Final = frozenset({
    "token", "api_key", "apikey", "api-key", "key", "authorization", "sessionkey", "session_key", "access_token",
    "webhook_auth_header_value", "callback", "password", "secret", "sig", "signature", "x-amz-signature", "x-amz-credential",
    "x-amz-security-token",
})
"""Query keys, in lower case, whose values are never shown. `is_sensitive` knows more: whatever ends in one of these words."""

_NAME: Final = (
    r"(?:token|secret|passw(?:or)?d|passphrase|pwd|jwt|callback|cookie|credentials?|authorization|auth_header_value|sec-websocket-protocol"
    r"|(?:api|session|access|private|secret)[-_ ]?key|(?<![a-z0-9])key|(?<![a-z])sig(?:nature)?|x-amz-[a-z0-9-]{1,30})"
)
_SCHEME: Final = r"(?:token|bearer|basic|digest)"
_NAMED: Final = re.compile(_NAME + r"\Z", re.IGNORECASE)
_HEADER_LINE: Final = re.compile(r"((?:authorization|cookie|sec-websocket-protocol)[ \t]{0,4}:)[^\r\n]+", re.IGNORECASE)
_PAIR: Final = re.compile(
    rf"({_NAME}"
    # How a name is set off from its value: in queries and prose, in tuples of repr(), before a quoted value.
    r"""(?:\\?["']?(?:\s(?:provided|supplied|given|value|is|was))?\s{0,4}(?:[=:]|%3[AD])\s{0,4}|\\?["'],\s{0,4}(?=b?\\?["'])|\s{1,4}(?=["'])))"""
    r"""(?:(b?")(?:[^"\\]|\\.)+|(b?')(?:[^'\\]|\\.)+|(\\["'])(?:[^"'\\]|\\[^"'])+"""
    rf"""|((?:{_SCHEME}\s{{1,4}}){{0,3}})[^\s&"'<>]+)""",
    re.IGNORECASE,
)
_SCHEMED: Final = re.compile(rf"(?<![a-z0-9])((?:{_SCHEME}\s{{1,4}}){{1,3}})([^\s&\"'<>]+)", re.IGNORECASE)
_STANDING_ALONE: Final = re.compile(r"""(?<![\w.~+/=-])(?!//)[\w.~+/=-]{8,}(?=[\s"'<>,;:!?)\]}]|\Z)""", re.ASCII)
"""What may be the credential of any scheme, as RFC 9110 has its characters (`token68`)."""
_TURN: Final = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_MOST_TURNS: Final = 2
"""Changes between letters and digits in one part of a name: `listenV1Message` has two, a key soon more."""
_PROSE: Final = frozenset({
    "a", "an", "and", "are", "as", "at", "auth", "authentication", "authorization", "bucket", "but", "by", "cannot", "could", "count",
    "credentials", "does", "error", "expired", "for", "from", "has", "have", "header", "in", "invalid",
    "is", "lacks", "limit", "may", "missing", "must", "not", "of", "on", "or", "parameter", "provided",
    "request", "required", "revoked", "the", "to", "type", "usage", "validation", "was", "were",
    "will", "with",
})
"""What may follow the word "token" in a sentence about tokens."""
_OF_OURS: Final = frozenset({"cannot", "must"})
"""With which a sentence of the settings' goes on after the path of a key: `fleet.key: must have at least 16 characters`."""
_URL: Final = re.compile(r"""://[^\s"'<>]*""")
_RELATIVE: Final = re.compile(r"""\?[^\s"'<>]+""")
_PIECE: Final = re.compile(r"[^&;#?]+")
_HOST: Final = re.compile(r"(?:\[[0-9a-fA-F:.]*\]|[^:@\[\]]*)(?::\d{0,5})?")
_JWT: Final = re.compile(r"eyJ[\w=.-]*")
_PREFIXED: Final = re.compile(r"(?<![A-Za-z0-9])(?:sk|pk|rk|oak)[-_][\w-]+")
_MAIL: Final = re.compile(r"[\w.+%@~-]+")
_RUN: Final = re.compile(r"[A-Za-z0-9_+/=-]{24,}")
_ID: Final = re.compile(
    r"(?<![0-9a-fA-F])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9a-fA-F])"
    r"|(?<![A-Za-z0-9])[a-z]{1,20}_[0-9]{13}_[0-9a-z]{1,11}(?![A-Za-z0-9])"
)
"""A UUID; or a word, milliseconds since 1970 and a `Math.random()` in base 36, as clients in JavaScript make ids."""
_ONE_ID: Final = re.compile(r"[A-Za-z0-9][\w.:-]{0,127}", re.ASCII)
_WORD: Final = re.compile(r"[a-z]{0,20}(?:[A-Z][a-z]{1,15}){0,5}\d{0,5}|[A-Z]{0,20}\d{0,5}|\d{0,10}")


def redact(text: str) -> str:
    """The text without anything that may be a key, on one line, at most 512 characters (the last is `…` if it was cut)."""
    if len(text) > _LOOKED_AT:
        # Half a key might not be known for one: what the cut went through goes as well.
        text = text[:_LOOKED_AT]
        text = text[: max(text.rfind(end) for end in ' "\n,&') + 1]
    text = _printable(_HEADER_LINE.sub(rf"\1 {MARK}", text))
    text = _RELATIVE.sub(lambda m: _query(m[0]), _URL.sub(_url, text))
    text = _PAIR.sub(_pair, text)
    text = _SCHEMED.sub(lambda m: m[0] if m[2].rstrip(".,:;!)]").lower() in _PROSE else m[1] + MARK, text)
    text = _patterns(_STANDING_ALONE.sub(lambda m: MARK if _like_a_credential(m[0]) else m[0], text))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def redact_id(text: str) -> str:
    """An id, known for one by where it stood, as it is: many look like keys. Anything but one word is redacted like all else."""
    is_one = _ONE_ID.fullmatch(text) and not _JWT.search(text) and not _PREFIXED.search(text)
    return text if is_one else redact(text)


def is_sensitive(key: str) -> bool:
    """Whether what stands under this name (a query key, a header, a JSON key) is never shown."""
    return _is_sensitive(key[:200])


@lru_cache(maxsize=512)
def _is_sensitive(key: str) -> bool:
    """The same few names come with every request."""
    key = unquote_plus(key).strip()
    return key.lower() in SENSITIVE_QUERY or _NAMED.search(key) is not None


def _pair(match: re.Match[str]) -> str:
    """A name keeps its place, and a value the quote or the scheme before it."""
    before, value = match[1], match[0][len(match[1]) :]
    if value in _OF_OURS:
        return match[0]
    return f"{before}{match[match.lastindex or 1] if match.lastindex != 1 else ''}{MARK}"


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _url(match: re.Match[str]) -> str:
    """An absolute URL keeps host, path and the names in its query; links signed in advance are secrets as a whole."""
    rest = match[0][3:]
    cut = min((at for at in map(rest.find, "?#") if at >= 0), default=len(rest))
    place, query = rest[:cut], rest[cut:]
    before, at, place = place.rpartition("@")
    host, slash, path = place.partition("/")
    host = host if _HOST.fullmatch(host) else MARK
    return f"://{MARK + at if before else ''}{host}{slash}{path}{_PIECE.sub(_only_key, query)}"


def _only_key(piece: re.Match[str]) -> str:
    key, equals, _ = piece[0].partition("=")
    return f"{key}={MARK}" if equals else MARK


def _query(query: str) -> str:
    return _PIECE.sub(_known_harmless, query)


def _known_harmless(piece: re.Match[str]) -> str:
    key, equals, value = piece[0].partition("=")
    plain = unquote_plus(value)
    if not equals or not value:
        return _patterns(piece[0])
    # A value may be a link or a header itself, percent-encoded.
    return f"{_patterns(key)}={MARK if is_sensitive(key) or redact(plain) != plain else value}"


def _patterns(text: str) -> str:
    """What looks like a key by itself, wherever it stands."""
    text = _PREFIXED.sub(MARK, _JWT.sub(MARK, text))
    text = _MAIL.sub(lambda m: MARK if "@" in m[0].strip("@") else m[0], text)
    return _RUN.sub(lambda m: MARK if _like_a_key(m[0]) else m[0], text)


def _like_a_key(run: str) -> bool:
    """Names and paths are made of words with a number at their end; keys are not. An id is none either."""
    return not all(_WORD.fullmatch(part) for part in re.split(r"[-_/+=]", _ID.sub("", run)))


def _like_a_credential(word: str) -> bool:
    """Whatever scheme stands before it. A shorter word than a key that is known by its looks alone, so it must look wilder."""
    return _like_a_key(word) and any(len(_TURN.findall(part)) > _MOST_TURNS for part in re.split(r"[-_/+=.~]", _ID.sub("", word)))
