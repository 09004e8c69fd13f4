"""Callers who lose their sessions and all come back at once. Usage: python -m tests.bench.storm PORT SESSIONS

Opens the sessions calmly and prints "open". With the next line that it reads it drops them all and opens them anew, all at once;
then it prints a JSON list: when that began and ended on the monotonic clock, and how many sessions came back.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

from tests.bench.load import connect, connect_all, end


async def main(port: int, sessions: int) -> None:
    calls = await connect_all(port, sessions)
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began = time.monotonic()
    for transport, _ in calls:
        transport.disconnect(graceful=False)
    back = await asyncio.gather(*(connect(port) for _ in range(sessions)), return_exceptions=True)
    ended = time.monotonic()
    opened = [call for call in back if not isinstance(call, BaseException)]
    print(json.dumps([began, ended, len(opened)]), flush=True)
    await end(opened)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2])))
