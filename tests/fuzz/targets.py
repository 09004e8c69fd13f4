"""What is fuzzed: for each part a function of any bytes that raises, or fails an assertion, where the part does what it must not.

    call        a whole session with any packaged vendor, and the report after it (target.py)
    scanner     frames, whole and cut at any places: the same is counted and seen
    inflater    messages of permessage-deflate, by any terms
    json        every inspector of JSON
    protobuf    every inspector of protobuf, and the walker by itself
    classifier  any claim; and nothing of a request's credentials in what is said of it
    settings    a settings file, a vendor's, the common rules: read, or refused with a place
    heads       a head as a client or a vendor sends it: what goes on is one head, and the same one

What each begins with is in corpus/; tests/fuzz/test_targets.py runs all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from proxy.core.deflate import LARGEST_MESSAGE, Inflater, agreed
from proxy.core.explain import Given, explain
from proxy.core.inspect import Inspector
from proxy.core.private import GRAM, Private
from proxy.core.protobuf import LONGEST, tree, walk
from proxy.core.redact import LONGEST as SHOWN
from proxy.core.tally import Traffic
from proxy.core.verdict import Phase, Side, Transport
from proxy.core.wire import OP_BINARY, OP_TEXT, FrameScanner
from proxy.settings import ConfigError, Overrides, load_all
from proxy.settings.document import parse
from proxy.settings.profiles import common_in, profile_in
from tests.fuzz.conversation import STATUSES, Feed
from tests.fuzz.heads import look_at_heads
from tests.fuzz.target import VENDORS, look_at_any

CORPUS: Final = Path(__file__).parent / "corpus"
_KNOWN: Final = load_all()
_LOADER: Final = import_module("proxy.settings.load")  # as an attribute of the package it is the function
_INSPECTORS: Final[list[Inspector]] = [side for vendor in VENDORS.values() for endpoint in vendor.endpoints.values()
                                       for side in (endpoint.client, endpoint.server)]
_JSON: Final = [one for one in _INSPECTORS if not one.binary]
_PROTOBUF: Final = [one for one in _INSPECTORS if one.binary]
_TREE: Final = tree(["1", "2.1", "2.2.3", "1000"], ["3", "2.4"])
KEY: Final = "quokka-77-zanzibar-4711-oats"


class _Seen:
    """A sink that writes down what must not hang on how the network cuts."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def audio(self, length: int, times: list[float]) -> None:
        pass

    def text(self, payload: bytes, now: float) -> None:
        self.told.append((OP_TEXT, payload, False))

    def message(self, opcode: int, length: int, payload: bytes | None, compressed: bool, now: float) -> int:
        if opcode != OP_BINARY:  # which of those are looked at goes by how they come
            self.told.append((opcode, payload, compressed))
        return 0

    def control(self, opcode: int, payload: bytes, now: float) -> None:
        self.told.append((opcode, payload))

    def lost(self, reason: str) -> None:
        self.told.append((reason,))


def scanner(data: bytes) -> None:
    feed = Feed(data)
    terms, cuts = feed.one(), feed.some(16)
    stream = data[2 + len(cuts) :]

    def scanned(pieces: Iterator[bytes]) -> tuple[list[tuple[Any, ...]], Traffic, bool]:
        seen, traffic = _Seen(), Traffic()
        one = FrameScanner(seen, traffic)
        one.deflate, one.head, one.sampled, one.small = bool(terms & 1), (0, 16)[terms >> 1 & 1], (10, 1)[terms >> 2 & 1], terms >> 3
        for piece in pieces:
            one.feed(piece, 0.0)
        one.settle()
        return seen.told, traffic, one.is_lost

    def cut() -> Iterator[bytes]:
        at, sizes = 0, cycle([*filter(None, cuts), len(stream) + 1])
        while at < len(stream):
            size = next(sizes)
            yield stream[at : at + size]
            at += size

    whole = scanned(iter([stream]))
    for other in (scanned(bytes([byte]) for byte in stream), scanned(cut())):
        assert other[0] == whole[0]
        assert (other[1].frames, other[1].bytes, other[2]) == (whole[1].frames, whole[1].bytes, whole[2])
    assert sum(map(len, (told[1] or b"" for told in whole[0] if len(told) > 1))) <= len(stream)


def inflater(data: bytes) -> None:
    feed = Feed(data)
    terms = agreed("permessage-deflate;" + feed.some(40).decode("latin-1"))
    takeover, bits = (terms.client_takeover, terms.client_bits) if terms else (bool(feed.one() % 2), 15)
    one, ended = Inflater(takeover, bits), False
    while feed:
        payload = feed.some(255) * (1 + feed.one() % 4) if feed.one() % 16 else None
        out = one.message(payload)
        assert out is None or len(out) <= LARGEST_MESSAGE
        assert out is None or not ended
        assert one.ended or not ended
        ended = one.ended


def json(data: bytes) -> None:
    for one in _JSON:
        found = one.read(data)
        _looked_into(found)
        if one.is_passing(data) and found is not None and data.count(b'"type"') == 1:  # or an object may have it twice
            kind, held = found
            assert kind.role == "result"
            assert kind.final is None or not kind.final(held)


def _looked_into(found: tuple[Any, Any] | None) -> None:
    """All that a session may ask of a message."""
    if found is None:
        return
    kind, held = found
    told = kind.told(held)
    assert all(text is None or len(text) <= LONGEST for text in (told.server_code, told.server_title, told.server_detail))
    for get in (kind.final, kind.has_text, kind.utterance, kind.speech_start, kind.speech_end, kind.audio_seconds, kind.expires_at,
                kind.close_code, kind.close_reason, kind.held, *kind.required):
        if get is not None:
            get(held)
    if kind.declares is not None:
        kind.declares.read(held)


def protobuf(data: bytes) -> None:
    feed = Feed(data)
    more = feed.one() * 100
    for one in _PROTOBUF:
        _looked_into(one.read(data[1:], len(data) - 1 + more))
    found = walk(data[1:], _TREE, len(data) - 1 + more)
    assert found is None or all(len(value) <= LONGEST for value in found.values() if isinstance(value, str))


def classifier(data: bytes) -> None:
    feed = Feed(data)
    vendor = feed.of([*VENDORS, None])

    def text(most: int) -> str | None:
        return feed.some(most).decode("utf-8", "replace") if feed.one() % 4 else None

    given = Given(
        vendor=vendor, path=text(20), http_status=feed.of((None, *STATUSES)), body=text(200),
        frames=tuple(filter(None, [text(200), text(100)])),
        close_code=feed.of((None, 1000, 1006, 1008, 1011, 3007, 4001, 4004, 5004, 410, feed.one() * 257)), close_reason=text(123),
        headers={name: text(60) or "" for name in feed.of(((), ("dg-error",), ("server", "via"), ("",)))},
        transport=feed.of((None, *Transport)), ended_by=feed.of((None, *Side)), phase=feed.of((None, *Phase)),
        ready=feed.of((None, True, False)), audio_sent=feed.of((None, True, False)))
    try:
        verdict, _ = explain(given, _KNOWN.profiles, _KNOWN.common)
    except ValueError:
        return
    assert verdict.code
    assert verdict.hint
    _hidden(vendor or "", feed.some(200).decode("utf-8", "replace"), feed)


def _hidden(vendor: str, text: str, feed: Feed) -> None:
    """No long part of a credential comes out of a text, wherever it stands in it and in whatever case."""
    at, part = feed.one() % (len(text) + 1), KEY[feed.one() % 8 :]
    said = text[:at] + (part.upper() if feed.one() % 2 else part) + text[at:]
    shown = Private([f"Token {KEY}"]).hide(said).lower()
    assert not any(KEY[at : at + GRAM] in shown for at in range(len(KEY) - GRAM + 1))
    if vendor:
        assert len(VENDORS[vendor].discretion(None).text(said) or "") <= SHOWN


def settings(data: bytes) -> None:
    kind, text = data[:1], data[1:].decode("utf-8", "replace")
    try:
        document = parse(text, "fuzz.yaml")
        if kind == b"v":
            profile_in(document, "fuzz")
        elif kind == b"c":
            common_in(document)
        else:
            _settled(document)
    except ConfigError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert all(problem.message and len(str(problem)) < 2000 for problem in problems)


def _settled(document: Any) -> None:
    """Without loading the vendors' files anew each time."""
    with patch.object(_LOADER, "load_some", lambda files, vendors: _KNOWN):
        _LOADER._settled(document, CORPUS, {}, Overrides(), thorough=False)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "call": look_at_any, "scanner": scanner, "inflater": inflater, "json": json, "protobuf": protobuf, "classifier": classifier,
    "settings": settings, "heads": look_at_heads,
}
