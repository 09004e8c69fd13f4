"""Lumps of work leave the loop to others in between."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import Any

import pytest

from proxy.relay.turns import ENDS_FIRST, HURRIED, LONGEST_REST, Turns
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


@pytest.mark.parametrize("loop", LOOPS)
def test_a_turn_that_nobody_has_is_there_at_once(loop: str) -> None:
    async def main() -> None:
        turns, seen = Turns(), []
        asyncio.get_running_loop().call_soon(lambda: seen.append("another"))
        await turns.mine()
        assert not seen

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_calls_that_end_go_first_and_keep_none_that_begins_out(loop: str) -> None:
    seen: list[str] = []

    async def begins(turns: Turns) -> None:
        await turns.mine()
        seen.append("begins")

    async def main() -> None:
        turns = Turns()
        for _ in range(2 * ENDS_FIRST + 1):
            turns.add(lambda: seen.append("ends"))
        await asyncio.gather(*(begins(turns) for _ in range(3)))

    run(main(), loop)
    ends = ["ends"] * ENDS_FIRST
    assert [one for one, _ in groupby(seen)] == ["ends", "begins", "ends", "begins", "ends", "begins"]
    assert seen[: ENDS_FIRST + 1] == [*ends, "begins"]


@pytest.mark.parametrize("loop", LOOPS)
def test_nobody_rests_in_a_hurry(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("proxy.relay.turns.monotonic", lambda: now[0])

    def takes() -> None:
        now[0] += 60

    async def main() -> None:
        turns, done = Turns(), asyncio.Event()
        turns.hurries = True
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", None)
        for piece in (takes, takes, done.set):
            turns.add(piece)
        await done.wait()
        monkeypatch.undo()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_gave_up_waiting_costs_no_other_its_turn(loop: str) -> None:
    async def main() -> None:
        turns = Turns()
        turns.add(lambda: None)
        waiting = [asyncio.create_task(turns.mine()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(*waiting[1:])
        assert waiting[0].cancelled()

    run(main(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_long_piece_is_followed_by_a_rest(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the piece: bytes cross for half of the time. The clock is the test's, so that a busy machine changes nothing."""
    now, rests = [0.0], []
    monkeypatch.setattr("proxy.relay.turns.monotonic", lambda: now[0])

    def takes(seconds: float) -> None:
        now[0] += seconds

    async def main() -> None:
        turns, running, done = Turns(), asyncio.get_running_loop(), asyncio.Event()
        later = running.call_later

        def resting(seconds: float, *what: Any) -> Any:
            rests.append(seconds)
            return later(0, *what)

        monkeypatch.setattr(running, "call_later", resting)
        for piece in (lambda: takes(0.003), lambda: takes(0.0001), lambda: takes(60), done.set):
            turns.add(piece)
        await done.wait()

    run(main(), loop)
    assert rests[-2:] == [pytest.approx(0.003), LONGEST_REST]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hurry_does_several_at_a_time(loop: str) -> None:
    seen: list[str] = []

    async def main() -> None:
        turns = Turns()
        turns.hurries = True
        for _ in range(HURRIED + 1):
            turns.add(lambda: seen.append("piece"))
        await asyncio.sleep(0)
        seen.append("another")
        await several_turns()

    run(main(), loop)
    assert [(one, len(list(same))) for one, same in groupby(seen)] == [("piece", HURRIED), ("another", 1), ("piece", 1)]
