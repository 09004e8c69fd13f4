"""Callers who speak in real time through one port. Reads an Order as JSON from its argument, prints a Result as JSON.

Answers come in order, one for each frame: the n-th answer of a session is that of its n-th frame, and the time between is its
latency. Sends are spread evenly over the gap. Usage: python -m tests.bench.load ORDER
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tests.bench.audio import FRAME, PATH
from tests.bench.processes import cpu_seconds, resident_kib

TICK: Final = 0.001
"""The shortest sleep: an event loop that is asked for less spins, and takes the CPU that is to be measured."""
OPENED_TOGETHER: Final = 20
SECONDS_TO_ANSWER: Final = 5.0
CLOSE_STREAM: Final = b'{"type":"CloseStream"}'


@dataclass(frozen=True)
class Order:
    """How much to say, and which processes to watch meanwhile. `gap` is seconds between two frames of a session."""

    port: int
    sessions: int
    seconds: float
    gap: float = 0.1
    relay: list[int] = field(default_factory=list)
    vendor: list[int] = field(default_factory=list)
    timeline: bool = False


@dataclass(frozen=True)
class Result:
    """CPU in seconds of a core, from the first frame to the last answer; `wall` is as long as that. Latencies in seconds, sorted.

    `resident_kib` is what the relay grew by from before the sessions opened until they had spoken. `timeline` holds (time of
    the answer on the monotonic clock, latency), if asked for.
    """

    sent: int
    answered: int
    ended: int
    wall: float
    relay_cpu: float
    vendor_cpu: float
    own_cpu: float
    resident_kib: int
    latencies: list[float]
    timeline: list[tuple[float, float]]


class Caller(WSListener):
    """One session: when it sent what, and how long each answer took."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[float] = []
        self.answers: list[float] = []
        self.ended = False

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            if len(self.answers) < len(self.sent):
                self.answers.append(time.monotonic())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.ended = True

    def latencies(self) -> list[tuple[float, float]]:
        return [(answer, answer - sent) for sent, answer in zip(self.sent, self.answers, strict=False)]


async def connect(port: int) -> tuple[WSTransport, Caller]:
    transport, caller = await ws_connect(Caller, f"ws://127.0.0.1:{port}{PATH}", extra_headers={"Authorization": "Token bench"})
    assert isinstance(caller, Caller)
    return transport, caller


async def connect_all(port: int, sessions: int) -> list[tuple[WSTransport, Caller]]:
    """Opens sessions calmly, some at a time."""
    calls: list[tuple[WSTransport, Caller]] = []
    for start in range(0, sessions, OPENED_TOGETHER):
        calls += await asyncio.gather(*(connect(port) for _ in range(start, min(sessions, start + OPENED_TOGETHER))))
    return calls


async def speak(calls: list[tuple[WSTransport, Caller]], seconds: float, gap: float) -> None:
    """Each session sends a frame every `gap`, one session after the other. What comes late is made up for, not left out."""
    start, total, done = time.monotonic(), int(seconds / gap) * len(calls), 0
    while done < total:
        due = min(total, int((time.monotonic() - start) / gap * len(calls)) + 1)
        for number in range(done, due):
            transport, caller = calls[number % len(calls)]
            caller.sent.append(time.monotonic())
            transport.send(WSMsgType.BINARY, FRAME)
        done = due
        await asyncio.sleep(max(TICK, start + done * gap / len(calls) - time.monotonic()))


async def until_answered(calls: list[tuple[WSTransport, Caller]]) -> None:
    await until(lambda: all(len(caller.answers) == len(caller.sent) for _, caller in calls))


async def until(done: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS_TO_ANSWER
    while not done() and time.monotonic() < give_up:  # noqa: ASYNC110 - an event would cost something on each frame
        await asyncio.sleep(0.01)


async def end(calls: list[tuple[WSTransport, Caller]]) -> None:
    """Ends all sessions as a client should, and waits for the vendor to close."""
    for transport, _ in calls:
        transport.send(WSMsgType.TEXT, CLOSE_STREAM)
    await until(lambda: all(caller.ended for _, caller in calls))


async def run(order: Order) -> Result:
    resident = resident_kib(order.relay)
    calls = await connect_all(order.port, order.sessions)
    watched = order.relay, order.vendor, [os.getpid()]
    before, start = [cpu_seconds(pids) for pids in watched], time.monotonic()
    await speak(calls, order.seconds, order.gap)
    await until_answered(calls)
    wall = time.monotonic() - start
    relay, vendor, own = (cpu_seconds(pids) - earlier for pids, earlier in zip(watched, before, strict=True))
    resident = resident_kib(order.relay) - resident
    await end(calls)
    timeline = sorted(pair for _, caller in calls for pair in caller.latencies())
    return Result(
        sent=sum(len(caller.sent) for _, caller in calls), answered=len(timeline), ended=sum(caller.ended for _, caller in calls),
        wall=wall, relay_cpu=relay, vendor_cpu=vendor, own_cpu=own, resident_kib=resident,
        latencies=sorted(latency for _, latency in timeline), timeline=timeline if order.timeline else [],
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(run(Order(**json.loads(sys.argv[1])))))))
