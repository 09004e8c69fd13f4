"""The process's part in a fleet: one task with one connection, which carries the book's commands in their order.

Owns the waiting: for an answer (`patience` seconds at most, and not at all while the breaker is open), between attempts to connect, and
for slots to be given back when the process ends. A call never waits for a connection, and what it has asked may come to nothing without
harm. Knows nothing of Redis (store), of what commands mean (core.fleet), nor of calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final, Protocol

from proxy.core.breaker import Breaker
from proxy.core.fleet import Book, Command, Lease, Terms
from proxy.telemetry import log

PATIENCE: Final = 0.020
EARLY: Final = 0.002
"""How much earlier the waiting ends: a loop's timers come a millisecond or so late, and the call's delay is what counts."""
PAUSE: Final = 1.0
"""Seconds between two attempts to reach it, and between two looks at how fast it answers while nobody waits."""
FAREWELL: Final = 0.5
"""How long the end of the process waits for slots to be given back."""


class Connection(Protocol):
    """What is asked of a store. `close` raises nothing."""

    async def connect(self) -> None: ...
    async def run(self, commands: Sequence[Command]) -> list[Any]: ...
    async def close(self) -> None: ...


class Fleet:
    def __init__(self, store: Connection, unreachable: type[Exception], book: Book, patience: float = PATIENCE) -> None:
        """`unreachable` is what the store raises."""
        self._store, self._unreachable = store, unreachable
        self._book = book
        self._breaker = Breaker(patience)
        self._waiting: dict[Lease, asyncio.Future[None]] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ending = False
        self._differ = False
        self._reason: str | None = None

    @property
    def answers(self) -> bool:
        """Whether it is worth waiting for."""
        return self._breaker.closed

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    def come(self, name: str, vendor: str, credential: str, terms: Terms) -> Lease:
        """A session, which has to be told to have `left`, whatever becomes of it."""
        lease = self._book.come(name, vendor, credential, terms, monotonic())
        if self._breaker.closed:
            self._wake.set()
        else:
            self._book.waive(lease)
        return lease

    async def answered(self, lease: Lease) -> bool:
        """Waits until it is known whether the session may go on. False: nobody says, in good time."""
        if lease.waived or lease.crowded is not None:
            return not lease.waived
        told = self._waiting[lease] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(max(self._breaker.patience - EARLY, self._breaker.patience / 2)):
                await told
        except TimeoutError:
            if self._breaker.late(monotonic()):
                self._say_lost("no answer in time")
        finally:
            del self._waiting[lease]
        if lease.crowded is None:
            self._book.waive(lease)
        return lease.crowded is not None

    def left(self, lease: Lease, lingers: bool = False, forgotten: bool = False) -> None:
        self._book.left(lease, monotonic(), lingers, forgotten)
        if self._breaker.closed:
            self._wake.set()

    async def close(self) -> None:
        """Gives back what is to be given back, if that is quickly done."""
        self._ending = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            if self._breaker.closed:
                await asyncio.wait([task], timeout=FAREWELL)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._store.close()

    async def _work(self) -> None:
        while not self._ending:
            try:
                await self._store.connect()
                self._book.renew_now()
                await self._serve()
            except self._unreachable as error:
                if self._breaker.lost() or self._reason is None:
                    self._say_lost(str(error))
            except Exception as error:  # a fault of ours: it is told, and the fleet goes on
                self._breaker.lost()
                log.state("internal", logging.ERROR, error=error)
            self._let_go()
            if not self._ending:
                await asyncio.sleep(PAUSE)

    async def _serve(self) -> None:
        while not (self._ending and self._book.idle):
            self._wake.clear()
            commands = self._book.commands(monotonic())
            if commands:
                await self._run(commands)
            else:
                await self._until_woken()

    async def _run(self, commands: list[Command]) -> None:
        began = monotonic()
        try:
            for command, answer in zip(commands, await self._store.run(commands), strict=True):
                self._book.answered(command, answer)
                told = self._waiting.get(command.lease) if command.lease is not None else None
                if told is not None and not told.done():
                    told.set_result(None)
        except BaseException:  # also where the process ends: its end does not wait for an answer
            self._book.lost(commands)
            raise
        now = monotonic()
        if self._breaker.answered(now - began, now):
            self._say_back() if self._breaker.closed else self._say_lost("no answer in time")
        self._look_at_keys()

    async def _until_woken(self) -> None:
        """Until there is something to send. While nobody waits for it, it is asked how fast it is all the same."""
        seconds = self._book.wakes_at - monotonic()
        if not self._breaker.closed:
            self._book.renew_now()
            seconds = PAUSE
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()
        except TimeoutError:
            return

    def _let_go(self) -> None:
        """Whoever waits for what was sent: there will be no answer."""
        for told in self._waiting.values():
            if not told.done():
                told.set_result(None)

    def _say_lost(self, reason: str) -> None:
        self._reason = reason
        log.state("fleet_lost", logging.WARNING, reason=reason)

    def _say_back(self) -> None:
        self._reason = None
        log.state("fleet_joined")

    def _look_at_keys(self) -> None:
        if self._book.strangers != self._differ:
            self._differ = self._book.strangers
            if self._differ:
                log.state("fleet_keys_differ", logging.WARNING)
