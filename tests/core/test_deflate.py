"""The look into permessage-deflate, against the extension of the websockets library."""

from __future__ import annotations

import random
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from proxy.core import deflate
from proxy.core.deflate import LARGE, LARGEST_MESSAGE, MOST_BOMBS, Deflate, Inflater, agreed

TEXT = b'{"type":"Results","transcript":"one two three"}'


def sender(takeover: bool, bits: int) -> PerMessageDeflate:
    return PerMessageDeflate(False, not takeover, 15, bits)


def squeezed(extension: PerMessageDeflate, payload: bytes) -> bytes:
    return bytes(extension.encode(Frame(Opcode.TEXT, payload)).data)


def raw(payload: bytes, bits: int = 15) -> bytes:
    """One message that stands for itself, by zlib alone."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


@pytest.mark.parametrize(("header", "terms"), [
    ("", None),
    ("x-webkit-deflate-frame", None),
    ("permessage-deflate", Deflate(True, 15, True, 15)),
    ("foo; bar=1, Permessage-Deflate ; Client_No_Context_Takeover", Deflate(False, 15, True, 15)),
    ('permessage-deflate; server_no_context_takeover; server_max_window_bits="10"; client_max_window_bits=9', Deflate(True, 9, False, 10)),
    ("permessage-deflate; client_max_window_bits; server_max_window_bits=8", Deflate(True, 15, True, 8)),
])
def test_terms_of_the_answer(header: str, terms: Deflate | None) -> None:
    assert agreed(header) == terms


@pytest.mark.parametrize("bits", ["7", "16", "08", "015" + "9" * 5000, "-9", "9.5", "\u0669", "", "x"])
def test_a_window_that_cannot_be_is_taken_for_the_largest(bits: str) -> None:
    terms = agreed(f"permessage-deflate; server_max_window_bits={bits}")
    assert terms == Deflate(True, 15, True, 15)
    assert Inflater(terms.server_takeover, terms.server_bits).message(raw(TEXT)) == TEXT


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("takeover", [False, True])
def test_messages_come_out_as_they_went_in(takeover: bool, bits: int) -> None:
    extension, inflater = sender(takeover, bits), Inflater(takeover, bits)
    for n in range(50):
        payload = TEXT * (n % 7 * 20 + 1) + bytes([n])
        assert inflater.message(squeezed(extension, payload)) == payload
    assert not inflater.ended


@pytest.mark.parametrize("takeover", [False, True])
def test_a_window_of_eight_bits_is_read(takeover: bool) -> None:
    # zlib itself writes a window of 9 where 8 was asked for; what fits the smaller window fits the larger one.
    inflater = Inflater(takeover, 8)
    assert inflater.message(raw(TEXT * 30, 9)) == TEXT * 30
    assert inflater.message(raw(b"")) == b""


def test_with_takeover_a_message_leans_on_the_one_before() -> None:
    extension = sender(True, 15)
    first, second = squeezed(extension, TEXT), squeezed(extension, TEXT)
    assert len(second) < len(first) / 2
    alone = Inflater(True, 15)
    assert alone.message(second) is None
    assert alone.ended
    assert alone.message(first) is None


@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.parametrize("bad", [None, b"\xff\xff\xff", raw(bytes(LARGEST_MESSAGE + 1)), raw(bytes(64 << 20))])
def test_what_cannot_be_read_ends_it_only_with_takeover(takeover: bool, bad: bytes | None) -> None:
    inflater = Inflater(takeover, 15)
    assert inflater.message(raw(TEXT)) == TEXT
    assert inflater.message(bad) is None
    assert inflater.ended is takeover
    assert inflater.message(raw(TEXT)) == (None if takeover else TEXT)


@pytest.mark.parametrize("takeover", [False, True])
def test_a_final_block_is_read_and_ends_a_context(takeover: bool) -> None:
    # RFC 7692 section 7.2.3.4: a block with BFINAL set, and an empty byte after it.
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    final = packer.compress(TEXT) + packer.flush(zlib.Z_FINISH) + b"\x00"
    inflater = Inflater(takeover, 15)
    assert inflater.message(final) == TEXT
    assert inflater.ended is takeover


@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.interpreted
def test_the_budget_is_for_contexts_only(takeover: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "BUDGET", 3 * len(TEXT))
    extension, inflater = sender(takeover, 15), Inflater(takeover, 15)
    read = [inflater.message(squeezed(extension, TEXT)) for _ in range(6)]
    assert read == [TEXT] * 4 + [None if takeover else TEXT] * 2
    assert inflater.ended is takeover


@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.parametrize("bomb", [bytes(LARGEST_MESSAGE), TEXT * 20_000, bytes(LARGE + 1)])
def test_bomb_after_bomb_ends_it(takeover: bool, bomb: bytes) -> None:
    inflater = Inflater(takeover, 15)
    assert [inflater.message(raw(bomb)) for _ in range(MOST_BOMBS + 3)] == [bomb] * MOST_BOMBS + [None] * 3
    assert inflater.ended


def test_bombs_that_are_too_large_count_as_well() -> None:
    inflater = Inflater(False, 15)
    ended = []
    for _ in range(MOST_BOMBS + 1):
        assert inflater.message(raw(bytes(LARGEST_MESSAGE + 1))) is None
        ended.append(inflater.ended)
    assert ended == [False] * MOST_BOMBS + [True]
    assert inflater.message(raw(TEXT)) is None


@pytest.mark.parametrize("payload", [bytes(LARGE), random.Random(7).randbytes(300_000).hex().encode(), bytes(3200)],
                         ids=["two seconds of silence", "a long text", "a tenth of a second of silence"])
def test_what_is_large_or_dense_alone_is_no_bomb(payload: bytes) -> None:
    inflater = Inflater(False, 15)
    assert all(inflater.message(raw(payload)) == payload for _ in range(5 * MOST_BOMBS))
    assert not inflater.ended


@given(st.lists(st.binary(max_size=300), max_size=20), st.booleans(), st.integers(9, 15))
def test_any_messages(payloads: list[bytes], takeover: bool, bits: int) -> None:
    extension, inflater = sender(takeover, bits), Inflater(takeover, bits)
    assert [inflater.message(squeezed(extension, payload)) for payload in payloads] == payloads


@given(st.lists(st.binary(max_size=60), max_size=10), st.booleans())
def test_any_bytes_never_raise(payloads: list[bytes], takeover: bool) -> None:
    inflater = Inflater(takeover, 15)
    ended = []
    for payload in payloads:
        out = inflater.message(payload)
        assert out is None or len(out) <= LARGEST_MESSAGE
        ended.append(inflater.ended)
    assert all(a <= b for a, b in pairwise(ended))
    assert takeover or not inflater.ended
