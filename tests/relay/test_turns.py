"""Lumps of work leave the loop to others in between."""

from __future__ import annotations

import asyncio

import pytest

from proxy.relay.turns import Turns
from tests.aio import LOOPS, run


async def several_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("loop", LOOPS)
def test_one_piece_a_turn_in_order(loop: str) -> None:
    seen: list[object] = []

    async def main() -> None:
        turns = Turns()
        for number in range(3):
            turns.add(lambda number=number: seen.append(number))  # type: ignore[misc]
        for _ in range(4):
            await asyncio.sleep(0)
            seen.append("another")

    run(main(), loop)
    assert [item for item in seen if item != "another"] == [0, 1, 2]
    first, last = seen.index(0), seen.index(2)
    assert "another" in seen[first:last]


def test_what_is_added_later_has_its_turn_too() -> None:
    seen: list[str] = []

    async def main() -> None:
        turns = Turns()
        turns.add(lambda: turns.add(lambda: seen.append("inner")))
        await several_turns()
        turns.add(lambda: seen.append("later"))
        await several_turns()

    run(main())
    assert seen == ["inner", "later"]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_piece_that_raises_stops_no_other(loop: str) -> None:
    seen: list[object] = []

    def bad(number: int) -> None:
        raise ArithmeticError(number)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(str(context["exception"])))
        turns, done = Turns(), asyncio.Event()
        for piece in (lambda: bad(1), lambda: seen.append("good"), lambda: bad(2), done.set):
            turns.add(piece)
        await done.wait()
        done.clear()
        for piece in (lambda: bad(3), done.set):  # as the first of a new lump
            turns.add(piece)
        await done.wait()

    run(main(), loop)
    assert seen == ["1", "good", "2", "3"]
