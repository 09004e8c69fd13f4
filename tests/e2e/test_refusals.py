"""Refusals through the whole sidecar: the client gets the vendor's bytes, packed as they are, and the verdict has read them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import partial

import brotli
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from proxy.core.verdict import Category, Outcome, Owner
from proxy.simulators import DeepgramSimulator
from tests.aio import run
from tests.e2e.rig import sidecar, upstream


async def refusal(url: str, accept: str) -> Response:
    headers = {"Authorization": "Token key", "Accept-Encoding": accept}
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"{url}/v1/listen?model=nova-3", additional_headers=headers, proxy=None)
    return caught.value.response


Pack = Callable[[bytes], bytes]


@pytest.mark.parametrize(("accept", "encoding", "pack", "unpack"), [
    ("gzip, deflate, br, zstd", "br", brotli.compress, brotli.decompress),
    ("gzip, deflate", "gzip", partial(gzip.compress, mtime=0), gzip.decompress),
    ("identity", None, bytes, bytes),
])
def test_a_packed_body_passes_untouched_and_is_read(accept: str, encoding: str | None, pack: Pack, unpack: Pack) -> None:
    async def main() -> None:
        async with DeepgramSimulator(fault="ASR_PAYMENT_REQUIRED") as simulator, \
                sidecar({"vendor": "deepgram", "upstream": upstream(simulator)}) as beside:
            through = await refusal(beside.url("deepgram"), accept)
            report = await beside.reports.next()
        body = bytes(through.body)
        assert through.status_code == 402
        assert through.headers.get("Content-Encoding") == encoding
        assert int(through.headers["Content-Length"]) == len(body)
        assert body == pack(unpack(body))
        said = json.loads(unpack(body))
        verdict = report.verdict
        assert (verdict.server_code, verdict.server_title) == (said["err_code"], said["err_msg"])
        assert (verdict.req_id, through.headers["dg-request-id"]) == (said["request_id"],) * 2
        assert (verdict.outcome, verdict.category, verdict.owner) == (Outcome.REFUSED_BY_VENDOR, Category.BILLING, Owner.OPERATOR)

    run(main())
