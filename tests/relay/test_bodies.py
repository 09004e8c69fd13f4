"""A look at the beginning of a body."""

from __future__ import annotations

import gzip
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.relay.bodies import LOOKED_AT, beginning

TEXT = b'{"err_code":"INVALID_AUTH"}'
RAW_DEFLATE = zlib.compressobj(wbits=-15)
DEFLATED = RAW_DEFLATE.compress(TEXT) + RAW_DEFLATE.flush()
GZIPPED = gzip.compress(TEXT, mtime=0)  # else the time would be in a test's name


@pytest.mark.parametrize(("data", "encoding"), [
    (TEXT, ""), (TEXT, "identity"), (TEXT, " Identity"), (GZIPPED, "gzip"), (GZIPPED, " X-GZIP "),
    (zlib.compress(TEXT), "deflate"), (DEFLATED, "deflate"), (brotli.compress(TEXT), "br"),
])
def test_it_is_read(data: bytes, encoding: str) -> None:
    assert beginning(data, encoding) == TEXT


@pytest.mark.parametrize(("compress", "encoding"), [(gzip.compress, "gzip"), (zlib.compress, "deflate"), (brotli.compress, "br")])
def test_a_bomb_gives_no_more_than_is_looked_at(compress: object, encoding: str) -> None:
    assert callable(compress)
    assert len(beginning(compress(bytes(10 << 20)), encoding)) == LOOKED_AT
    assert len(beginning(bytes(10 << 20), "")) == LOOKED_AT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_beginning_of_a_body_has_a_beginning(encoding: str) -> None:
    whole = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress}[encoding](TEXT * 3)
    assert (TEXT * 3).startswith(beginning(whole[:-6], encoding))


@pytest.mark.parametrize(("data", "encoding"), [
    (TEXT, "zstd"), (TEXT, "unknown"), (TEXT, "gzip, br"), (TEXT, "gzip"), (TEXT, "deflate"), (TEXT, "br"), (GZIPPED, "br"),
])
def test_what_cannot_be_unpacked_says_nothing(data: bytes, encoding: str) -> None:
    assert beginning(data, encoding) == b""


@given(st.binary(max_size=300), st.sampled_from(["gzip", "x-gzip", "deflate", "br", "", "zstd"]))
def test_nothing_raises(data: bytes, encoding: str) -> None:
    assert len(beginning(data, encoding)) <= LOOKED_AT
