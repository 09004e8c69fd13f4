"""The relay that most people would write: message by message, a task for each direction.

Usage: python -m tests.bench.naive PORT URL [CA]
"""

from __future__ import annotations

import asyncio
import ssl
import sys

import aiohttp
import orjson
import uvloop
from aiohttp import WSMsgType, web

Side = web.WebSocketResponse | aiohttp.ClientWebSocketResponse[bool]


async def pump(source: Side, sink: Side) -> None:
    async for message in source:
        if message.type == WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type == WSMsgType.TEXT:
            orjson.loads(message.data)
            await sink.send_str(message.data)
    await sink.close()


async def main(port: int, upstream: str, ca: str | None = None) -> None:
    context = ssl.create_default_context(cafile=ca) if ca else True
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def relay(request: web.BaseRequest) -> web.WebSocketResponse:
            client = web.WebSocketResponse()
            await client.prepare(request)
            async with session.ws_connect(upstream + request.path_qs, ssl=context) as vendor:
                await asyncio.gather(pump(client, vendor), pump(vendor, client))
            return client

        runner = web.ServerRunner(web.Server(relay, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), *sys.argv[2:4]))
