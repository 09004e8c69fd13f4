"""The gate under any schedule: audio bare and wrapped by turns, formats declared anew in between, timers that are late, every way to end.

What leaves is held to definitions alone: what each byte of audio lasts is noted when it is sent, not asked of the gate.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final, Literal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.gate import CLOSE_SECONDS
from proxy.core.policy import Policy, Rule
from tests.core.gating import Message, Run, gate, masked_frame, policy, samples
from tests.core.playbook import BINARY, CLOSE, PING, PONG, TEXT

End = Literal["drained", "closed", "hurried", "gone", "let go"]
LATE: Final = (0.0, 0.0, 0.0, 0.001, 0.02, 0.4)
RATES: Final = (8000, 16000, 24000)


@dataclass(frozen=True, slots=True)
class Step:
    pause: float
    kind: Literal["bare", "json", "text", "command", "ping", "pong", "format", "poke"]
    seconds: float
    rate: int
    cut: int


STEPS: Final = st.lists(st.builds(
    Step, st.one_of(st.just(0.0), st.floats(0.0, 0.3), st.floats(0.0, 12.0)),
    st.sampled_from(["bare", "bare", "bare", "bare", "json", "json", "text", "command", "ping", "pong", "format", "poke"]),
    st.one_of(st.sampled_from([0.005, 0.02, 0.05, 0.1, 1.0, 1.5]), st.floats(0.001, 3.0)), st.sampled_from(RATES), st.integers(0, 40),
), min_size=1, max_size=25)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    numbers: dict[str, dict[str, Any]] = {
        "pace": {"rate": draw(st.sampled_from([0.7, 1.0, 1.25])), "lead_seconds": draw(st.sampled_from([3.0, 5.0])),
                 "credit_seconds": draw(st.sampled_from([0.0, 3.0, 30.0]))},
        "chunk_duration": {"min_seconds": draw(st.sampled_from([0.05, 0.3])), "max_seconds": draw(st.sampled_from([0.6, 1.0])),
                           "wait_seconds": draw(st.sampled_from([0.2, 1.0]))},
        "chunk_bytes": {"max_bytes": draw(st.sampled_from([4000, 24000]))},
        "message_rate": {"per_minute": draw(st.sampled_from([10, 60, 1000]))},
        "audio_chunk_rate": {"per_second": draw(st.sampled_from([1, 5, 50]))},
    }
    return policy(**{name: numbers[name] for name in draw(st.sets(st.sampled_from(sorted(numbers)), min_size=1))})


@dataclass(slots=True)
class Client:
    """Feeds a gate whose timers are late by so much, and notes what it has sent: opcode, payload, seconds of audio, when."""

    run: Run
    late: Any
    rate: int = 16000
    position: int = 0
    rest: bytes = b""
    sent: list[tuple[int, bytes, float, float]] = field(default_factory=list)

    def goes_by(self, seconds: float) -> None:
        run, until = self.run, self.run.now + seconds
        while (wake := run.gate.wake_at) is not None and wake <= until:
            run.now = max(run.now, wake) + next(self.late)
            run._left(run.gate.release(run.now))
        run.now = max(run.now, until)

    def does(self, step: Step) -> None:
        self.goes_by(step.pause)
        if step.kind == "poke":
            self.run._left(self.run.gate.release(self.run.now))
            return
        opcode, payload, seconds = self._says(step)
        self.sent.append((opcode, payload, seconds, self.run.now))
        data = self.rest + masked_frame(opcode, payload, bytes([step.cut, 1, 2, 3]))
        self.rest = data[len(data) - step.cut :] if step.cut < len(data) and step.cut % 3 == 1 else b""
        self.run.feed(data[: len(data) - len(self.rest)])

    def _says(self, step: Step) -> tuple[int, bytes, float]:
        if step.kind in ("bare", "json"):
            data = samples(2 * max(1, round(step.seconds * self.rate)), self.position)
            seconds = len(data) / 2 / self.rate
            if step.kind == "json":
                return TEXT, orjson.dumps({"type": "audio", "data": b64encode(data).decode()}), seconds
            self.position += len(data)
            return BINARY, data, seconds
        if step.kind == "format":
            self.rate = step.rate
            return TEXT, orjson.dumps({"type": "set", "id": 1, "rate": step.rate}), 0.0
        return {"ping": (PING, b"p", 0.0), "pong": (PONG, b"p", 0.0), "command": (BINARY, b"", 0.0)}.get(
            step.kind, (TEXT, b'{"type":"alive"}', 0.0))

    def ends(self, how: End) -> None:
        run = self.run
        run.feed(self.rest)
        if how in ("closed", "hurried"):
            run.feed(masked_frame(CLOSE, b"\x03\xe8"))
        began = run.now
        if how == "hurried":
            run._left(run.gate.hurry(run.now))
        elif how == "gone":
            run.gate.finish(run.now, True)
        elif how == "let go":
            left = run.gate.let_go()
            run.reader.add(left, run.now)
        while run.gate.wake_at is not None:
            self.goes_by(max(0.0, run.gate.wake_at - run.now))
        if how in ("closed", "gone"):
            assert run.now <= began + CLOSE_SECONDS + max(LATE) + 1e-5


@given(STEPS, policies(), st.sampled_from(["drained", "closed", "hurried", "gone", "let go"]),
       st.lists(st.sampled_from(LATE), min_size=1, max_size=7), st.sampled_from([0.0, 7e7]))
def test_nothing_is_lost_or_moved_and_no_audio_is_early(
        steps: list[Step], asked: Policy, how: End, late: list[float], began: float) -> None:
    client = Client(Run(gate(asked), began), cycle(late))
    for step in steps:
        client.does(step)
    client.ends(how)
    run, sent = client.run, client.sent
    assert run.reader.rest == b""
    assert run.gate.empty
    assert run.gate.held_bytes == 0
    went = [message for message in run.messages if message.opcode != CLOSE]
    assert [one.opcode for one in went if one.opcode in (PING, PONG)] == [opcode for opcode, *_ in sent if opcode in (PING, PONG)]
    left = _lasting([one for one in went if one.opcode not in (PING, PONG)], sent, run.gate.done.cut_seconds > 0.0)
    assert sum(seconds for _, seconds in left) + run.gate.done.cut_seconds == pytest.approx(sum(one[2] for one in sent), abs=1e-5)
    if asked.enforces(Rule.PACE) and how != "let go":
        _keeps_pace(left, asked)


def _lasting(went: list[Message], sent: list[tuple[int, bytes, float, float]], is_cut: bool) -> list[tuple[Message, float]]:
    """Each message that holds audio, and how much. What went is what was sent, in its order; audio may be missing where it was cut."""
    due = deque((opcode, memoryview(payload), seconds, at) for opcode, payload, seconds, at in sent if opcode not in (PING, PONG))
    found = []
    for message in went:
        rest, lasts = memoryview(message.payload), 0.0
        while True:
            opcode, payload, seconds, at = due.popleft()
            size = len(payload) if opcode == TEXT else min(len(rest), len(payload))
            if opcode == message.opcode and bool(payload) == bool(rest) and rest[:size] == payload[:size]:
                assert message.at >= at, "no audio goes before it has come"
                lasts += seconds * size / len(payload) if payload else 0.0
                if size < len(payload):
                    due.appendleft((opcode, payload[size:], seconds * (1 - size / len(payload)), at))
                rest = rest[size:]
                if not rest:
                    break
            else:
                assert is_cut, (message.opcode, opcode)
                assert seconds, "only audio is ever cut"
        if lasts:
            found.append((message, lasts))
    assert is_cut or not due
    assert not any(seconds == 0.0 for *_, seconds, _ in due)
    return found


def _keeps_pace(left: list[tuple[Message, float]], asked: Policy) -> None:
    pace, total = asked.rules.pace, 0.0
    for message, seconds in left:
        total += seconds
        assert total <= (pace.lead_seconds or 0.0) + pace.rate * (message.at - left[0][0].at) + 1e-5
