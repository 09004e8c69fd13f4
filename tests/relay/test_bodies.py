"""A look at the beginning of a body."""

from __future__ import annotations

import gzip
import zlib

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.relay import call, forward
from proxy.relay.bodies import LOOKED_AT, beginning
from tests.aio import run
from tests.relay.peers import request, rig

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


@pytest.mark.parametrize("asked", [request(), b"GET /v1/projects HTTP/1.1\r\nHost: relay.test\r\n\r\n"], ids=["upgrade", "plain"])
def test_of_a_large_body_only_that_much_is_kept(loop: str, asked: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """And all of it goes on."""
    kept: list[int] = []

    def looked_at(data: bytes, encoding: str) -> bytes:
        kept.append(len(data))
        return beginning(data, encoding)

    monkeypatch.setattr(call, "beginning", looked_at)
    monkeypatch.setattr(forward, "beginning", looked_at)
    body = b"0123456789" * 50_000

    async def main() -> None:
        async with rig() as relay:
            assert relay.vendor is not None
            client = await relay.call(asked)
            vendor = await relay.vendor.arrived.get()
            await vendor.head()
            await vendor.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            assert (await client.head()).startswith(b"HTTP/1.1 403 ")
            assert await client.exactly(len(body)) == body
            vendor.writer.close()
            await client.rest()

    run(main(), loop)
    assert kept == [LOOKED_AT]
