"""What a peer may try with a message: deep and huge JSON, odd numbers, broken text, protobuf bombs, bombs of permessage-deflate. Each
from either side, to each vendor's every kind of session, plain and compressed.

None makes looking fail (which would leave the session blind), and what a little on the wire may cost is bounded: `Counted` says how
much of a message anything is asked to read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest

from proxy.core.deflate import LARGEST_MESSAGE, MOST_BOMBS
from proxy.core.protobuf import HEAD, walk
from proxy.core.report import Report
from proxy.core.vendor import Vendor
from proxy.core.verdict import Inspection
from proxy.settings import load_all
from tests.core.playbook import BINARY, TEXT, Play, frame

_KNOWN: Final = load_all()
VENDORS: Final = {name: Vendor(profile, _KNOWN.common) for name, profile in _KNOWN.profiles.items()}
PATHS: Final = [(name, route.path) for name, vendor in VENDORS.items() for route in vendor.profile.routes if route.kind == "websocket"]
N: Final = 32 * 1024

JSON: Final = {
    "brackets without end": b"[" * N,
    "braces without end": b'{"a":' * (N // 5),
    "as deep as may be": b'{"a":' + b"[" * 1022 + b"]" * 1022 + b"}",
    "deeper": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "nothing, over and over": b'{"type":"Results","a":[' + b"[]," * (N // 3 - 20) + b"[]]}",
    "keys without end": b"{" + b",".join(b'"%x":0' % n for n in range(N // 10)) + b"}",
    "one key": b"{" + b",".join([b'"type":"Error"'] * 1000) + b"}",
    "digits without end": b'{"type":"Results","start":' + b"9" * (N - 100) + b"}",
    "a fraction": b'{"type":"Results","start":1.' + b"9" * (N - 100) + b"}",
    "beyond a float": b'{"type":"Results","start":1e400,"duration":-1e400}',
    "no number": b'{"type":"Results","start":NaN,"duration":-Infinity}',
    "a huge time": b'{"type":"Results","start":1e308,"duration":1e308,"is_final":true}',
    "below nothing": b'{"type":"Results","start":-1e308}',
    "64 bits": b'{"type":18446744073709551615,"error_code":-9223372036854775808}',
    "65 bits": b'{"type":"Error","error_code":36893488147419103232}',
    "half a character": b'{"type":"\\ud800","error":"\\udfff"}',
    "bytes": b'{"type":"\xff\xfe\xc0\xaf"}',
    "a zero": b'{"type":"Error\\u0000","error":"\\u0000"}',
    "a mark": b'\xef\xbb\xbf{"type":"Error"}',
    "UTF-16": '{"type":"Error"}'.encode("utf-16"),
    "a list": b'["Error"]',
    "a string": b'"Error"',
    "types of types": b'{"type":{"type":["Error"]},"error":{"error":[]},"code":[],"data":1,"reason":true}',
    "nothing": b"",
    "blanks": b" " * 1000,
    "letters from right to left": '{"type":"Error","error":"\u202e\u2066evil\u0007\u001b[2J"}'.encode(),
}
FIELDS: Final = {
    "groups": b"\x0b" * 1000, "a group's end": b"\x0c" * 1000, "a length beyond all": b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "a number too long": b"\x08" + b"\xff" * 20, "a tag too long": b"\xff" * 20, "field 0": b"\x00\x01", "kind 7": b"\x0f\x01",
    "nested": b"".join(b"\x1a" + bytes([n]) for n in range(126, 0, -2)),
    "the same field": b"\x1a\x00" * 500,
    "a huge number": b"\x08" + b"\xff" * 9 + b"\x01",
    "a length that wraps": b"\x1a\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "cut": b"\x1a\x7f\x0a",
    "a message for a number": b"\x0a\x02\x08\x01",
    "a number for a message": b"\x18\x01\x20\x01\x28\x01", "no UTF-8": b"\x1a\x06\x0a\x04\xff\xfe\xc0\xaf",
}


def squeezed(payload: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def ways(payload: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """A message in every form that a frame may have."""
    for opcode in (TEXT, BINARY):
        yield frame(opcode, payload, masked=True), {}
        cut = len(payload) // 2
        yield frame(opcode, payload[:cut], masked=True, fin=False) + frame(0, payload[cut:], masked=True), {}
        yield frame(opcode, squeezed(payload), masked=True, rsv=0x40), {"sec_websocket_extensions": "permessage-deflate"}


def after(play: Play) -> Report:
    assert not play.session.failed
    report = play.vendor_closes(1011, "x").end()
    orjson.dumps(report.as_dict())
    return report


@pytest.mark.parametrize("path", PATHS, ids=[path for _, path in PATHS])
def test_no_message_makes_looking_fail(path: tuple[str, str]) -> None:
    vendor, where = path
    for name, payload in (JSON | FIELDS).items():
        for data, headers in ways(payload[:N]):
            play = Play(where, vendor=VENDORS[vendor]).opened(**headers)
            for _ in range(2):
                play.client(data).wait(0.1).vendor(data).tick()
            assert after(play).verdict.code, name


@pytest.mark.parametrize("path", PATHS, ids=[path for _, path in PATHS])
@pytest.mark.parametrize("takeover", ["", "; client_no_context_takeover; server_no_context_takeover"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_little_on_the_wire_costs_little(path: tuple[str, str], takeover: str, opcode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred kilobytes that inflate to a hundred megabytes, from both sides: a few are inflated, and no reader gets a large one."""
    vendor, where = path
    bomb = frame(opcode, squeezed(b"\x08\x01" * (LARGEST_MESSAGE // 2)), masked=True, rsv=0x40)
    assert len(bomb) < 1100
    inflated: list[int] = []
    read: list[int] = []
    decompressobj, loads = zlib.decompressobj, orjson.loads

    class Counted:
        def __init__(self, bits: int) -> None:
            self._one = decompressobj(bits)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._one, name)

        def decompress(self, data: bytes, most: int) -> bytes:
            out = self._one.decompress(data, most)
            inflated.append(len(out))
            return out

    def counted(data: bytes, *more: Any) -> Any:
        read.append(len(data))
        return walk(data, *more) if more else loads(data)

    monkeypatch.setattr(zlib, "decompressobj", Counted)
    monkeypatch.setattr("proxy.core.inspect.walk", counted)
    monkeypatch.setattr(orjson, "loads", counted)
    play = Play(where, vendor=VENDORS[vendor]).opened(sec_websocket_extensions="permessage-deflate" + takeover)
    for _ in range(2 * MOST_BOMBS):
        play.client(bomb).vendor(bomb)
    assert len([size for size in inflated if size]) <= 2 * (MOST_BOMBS + 1)
    assert max(read, default=0) <= HEAD
    assert after(play).inspection is Inspection.PARTIAL
