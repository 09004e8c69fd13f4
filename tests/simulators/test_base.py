"""What the simulators share: the record of a session, the options, and an end that waits for nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect

from proxy.simulators import DeepgramSimulator
from tests.aio import LOOPS, run
from tests.sdks import chunks
from tests.simulators.calls import AUDIO, TOKEN, V1


@pytest.mark.parametrize("loop", LOOPS)
def test_the_record_of_a_session(loop: str) -> None:
    async def main() -> None:
        async with DeepgramSimulator(strict=False) as sim:
            async with connect(sim.url + V1, additional_headers=TOKEN) as socket:
                for chunk in chunks(AUDIO):
                    await socket.send(chunk)
                await socket.send('{"type":"KeepAlive"}')
                await (await socket.ping())
                await socket.close(4001, "left")
            seen = sim.sessions[0]
            await seen.ended.wait()
            assert bytes(seen.audio) == AUDIO
            assert seen.chunks[:2] == [3200, 3200]
            assert (seen.texts, seen.pings, seen.close) == (['{"type":"KeepAlive"}'], 1, (4001, "left"))
            assert seen.closed_at is not None
            assert seen.closed_at >= seen.opened_at
            assert len(seen.sent) == 2

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_it_stops_with_connections_open(loop: str) -> None:
    async def main() -> int:
        async with DeepgramSimulator(fault="no-answer") as sim:
            _, silent = await asyncio.open_connection(sim.host, sim.port)
            _, asking = await asyncio.open_connection(sim.host, sim.port)
            asking.write(f"GET {V1} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            while not sim.sessions:  # noqa: ASYNC110 - a request that is never answered sets no event
                await asyncio.sleep(0)
        silent.close()
        asking.close()
        return len(sim.sessions)

    assert run(main(), loop) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wording": "spoken"}, "no wording 'spoken'; there are: documented, live"),
        ({"fault_after": -1}, "cannot be negative: -1"),
        ({"fault": "NET-9"}, "no fault 'NET-9' for deepgram; there are: no-answer, .*NET-0001"),
    ],
)
def test_options_that_do_not_exist(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeepgramSimulator(**options)
