"""A balancer of connections, as a Service is one: by turns, to whoever is on the list when somebody connects; bytes as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Balancer:
    """`to` may be changed at any time; open connections stay where they are."""

    def __init__(self, to: list[str]) -> None:
        self.to, self.url = to, ""
        self._turn = 0
        self._open: set[asyncio.Task[None]] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        self._turn += 1
        host, _, port = self.to[self._turn % len(self.to)].rpartition(":")
        try:
            there, back = await asyncio.open_connection(host, int(port))
            try:
                await asyncio.gather(_pump(reader, back), _pump(there, writer))
            finally:
                await _closed(back)
        finally:
            await _closed(writer)

    async def close(self) -> None:
        """Once those that are open have ended."""
        await asyncio.gather(*self._open)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except OSError:
        sink.transport.abort()


@asynccontextmanager
async def balancing(to: list[str]) -> AsyncIterator[Balancer]:
    balancer = Balancer(to)
    server = await asyncio.start_server(balancer.take, "127.0.0.1", 0, backlog=512)
    balancer.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield balancer
    finally:
        server.close()
        await balancer.close()
