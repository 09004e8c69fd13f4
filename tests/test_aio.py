"""The helper itself: a hung coroutine and a forgotten task fail a test, and the certificate is one that clients take."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from tests.aio import LOOPS, free_port, run, tls_pair


@pytest.mark.parametrize("loop", LOOPS)
def test_gives_the_result_and_runs_on_the_loop_asked_for(loop: str) -> None:
    async def main() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert run(main(), loop).startswith(loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hung_coroutine_fails(loop: str) -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run(main(), loop, timeout=0.01)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_forgotten_task_fails(loop: str) -> None:
    async def main() -> list[asyncio.Task[bool]]:
        return [asyncio.create_task(asyncio.Event().wait(), name="forgotten")]

    with pytest.raises(AssertionError, match="left tasks running"):
        run(main(), loop)


def test_a_task_that_is_about_to_end_is_waited_for() -> None:
    async def main() -> list[asyncio.Task[bool]]:
        task = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        task.cancel()
        return [task]

    assert run(main())[0].cancelled()


@pytest.mark.parametrize("loop", LOOPS)
def test_the_certificate_is_its_own_authority_for_localhost(tmp_path: Path, loop: str) -> None:
    cert, key = tls_pair(tmp_path)
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(cert, key)
    client_context = ssl.create_default_context(cafile=cert)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(2))
        await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def main() -> bytes:
        port = free_port()
        async with await asyncio.start_server(answer, "127.0.0.1", port, ssl=server_context):
            reader, writer = await asyncio.open_connection("localhost", port, ssl=client_context)
            writer.write(b"hi")
            got = await reader.readexactly(2)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return got

    assert run(main(), loop) == b"hi"
