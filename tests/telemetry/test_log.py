import errno
import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.verdict import Outcome, Owner, Side
from proxy.telemetry import log
from proxy.telemetry.log import Handle, Lines

from .fakes import report

KEY = "4f9a0c1e2b7d8e6f5a4b3c2d1e0f9a8b7c6d5e4f"


class Out:
    """A log whose lines can be read back."""

    def __init__(self, level: str) -> None:
        self._read, self._write = os.pipe()
        self.handle = log.setup(level, self._write)

    def lines(self) -> list[dict[str, Any]]:
        """Closes the log and gives all that was written."""
        self.handle.close()
        os.close(self._write)
        with os.fdopen(self._read, "rb") as pipe:
            return [json.loads(line) for line in pipe]


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


@pytest.fixture
def out(root_logger: None) -> Iterator[Out]:
    made = Out("info")
    yield made
    made.handle.close()


def formatted(**fields: Any) -> dict[str, Any]:
    record = logging.LogRecord("earwitness", logging.INFO, "", 0, "it", (), None)
    record.fields = fields
    line = Lines().format(record)
    assert "\n" not in line
    read: dict[str, Any] = json.loads(line)
    return read


def test_a_sessions_lines(out: Out) -> None:
    log.session_open(session_id="7f9c24e8-3b12-4a5d-9c11-0a8e5a0f1b22", listener="main", endpoint="v1")
    log.session_end(report())
    opened, ended = out.lines()
    assert (opened["event"], opened["level"], opened["listener"]) == ("session_open", "info", "main")
    assert opened["time"].endswith("Z")
    assert ended["event"] == "session_end"
    assert set(ended) == {"time", "level", "event", *report().as_dict()}
    assert ended["session_id"] == report().session_id
    assert (ended["outcome"], ended["latency"]["ready_seconds"], ended["trace_id"]) == ("ok", 0.2, None)


@pytest.mark.parametrize(("outcome", "owner", "level"), [
    (Outcome.OK, Owner.NONE, "info"),
    (Outcome.ABANDONED, Owner.CLIENT, "info"),
    (Outcome.DRAINED, Owner.SIDECAR, "info"),
    (Outcome.ERROR, Owner.VENDOR, "warning"),
    (Outcome.REFUSED_BY_VENDOR, Owner.OPERATOR, "warning"),
    (Outcome.REFUSED_HERE, Owner.SIDECAR, "warning"),
    (Outcome.ERROR, Owner.SIDECAR, "error"),
])
def test_the_level_of_an_end(out: Out, outcome: Outcome, owner: Owner, level: str) -> None:
    ended = report(outcome)
    ended.verdict.owner = owner
    log.session_end(ended)
    (line,) = out.lines()
    assert line["level"] == level


def test_lines_of_other_libraries(out: Out) -> None:
    logging.getLogger("some.library").warning("no answer from %s?token=%s", "wss://api.example/v1", KEY)
    logging.getLogger("some.library").debug("not at this level")
    (first,) = out.lines()
    assert (first["event"], first["logger"], first["level"]) == ("log", "some.library", "warning")
    assert "api.example" in first["message"]
    assert KEY not in first["message"]


def test_a_message_that_does_not_fit_its_arguments() -> None:
    record = logging.LogRecord("some.library", logging.INFO, "", 0, "%d of %d", ("one",), None)
    assert json.loads(Lines().format(record))["message"] == "%d of %d"


def test_an_exception_is_told_without_its_secrets(out: Out) -> None:
    try:
        raise ConnectionError(f"could not reach wss://api.example/v1?api_key={KEY}")
    except ConnectionError as error:
        log.state("reload_failed", logging.ERROR, error=error)
    (line,) = out.lines()
    assert line["error"]["type"] == "ConnectionError"
    assert KEY not in line["error"]["message"]
    assert line["error"]["at"][-1].startswith("test_log.py:")


def test_fields_are_redacted_however_deep() -> None:
    line = formatted(detail=f"Invalid token: {KEY}", deep={"list": [{"authorization": "abc"}, f"Bearer {KEY}"]}, number=3)
    assert KEY not in json.dumps(line)
    assert line["deep"]["list"][0]["authorization"] != "abc"
    assert line["number"] == 3


def test_ids_stay_readable() -> None:
    identity = "0af7651916cd43dd8448eb211c80319c"
    assert formatted(span_id=identity)["span_id"] == identity
    line = formatted(session_id=identity, correlation={"x-call": identity, "x-api-key": KEY})
    assert line["session_id"] == line["correlation"]["x-call"] == identity
    assert KEY not in json.dumps(line)


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_what_json_cannot_hold() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    line = formatted(odd=Unprintable(), big=2**70, nan=float("nan"), half="\ud800x", side=Side.VENDOR, cycle=cycle, raw=b"x",
                     **{"\ud800": 1})
    assert line["odd"] == "Unprintable"
    assert line["big"] == str(2**70)
    assert line["nan"] is None
    assert line["side"] == "vendor"
    assert line["half"].endswith("x")


def test_a_field_cannot_take_the_place_of_a_lines_own() -> None:
    line = formatted(time="never", event="other")
    assert line["event"] == "it"
    assert line["time"] != "never"


@given(st.dictionaries(st.text(max_size=20), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=10,
), max_size=4))
def test_any_fields_make_one_line(fields: dict[str, Any]) -> None:
    assert formatted(**fields)["event"] == "it"


def record(number: int) -> logging.LogRecord:
    return logging.LogRecord("earwitness", logging.INFO, "", 0, "line %d", (number,), None)


def test_a_reader_that_does_not_read_costs_lines_and_no_time() -> None:
    stuck, written = threading.Event(), []

    def write(fd: int, data: bytes) -> int:
        stuck.wait()
        written.append(bytes(data))
        return len(data)

    handle = Handle(1, 10, write)
    for number in range(50):
        handle.handle(record(number))  # would never return if it waited for the reader
    assert 39 <= handle.dropped <= 40  # the writer may hold one more
    stuck.set()
    handle.close()
    lines = [json.loads(line) for line in b"".join(written).splitlines()]
    assert sum(line["event"] == "log" for line in lines) == 50 - handle.dropped
    assert [line["count"] for line in lines if line["event"] == "log_lines_dropped"][-1] == handle.dropped


def test_an_exit_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = threading.Event()
    monkeypatch.setattr(log, "FLUSH_SECONDS", 0.01)
    handle = Handle(1, 2, lambda fd, data: len(data) if stuck.wait() else 0)
    for number in range(5):
        handle.handle(record(number))
    handle.close()
    stuck.set()


def test_writes_may_be_short() -> None:
    written = []

    def write(fd: int, data: bytes) -> int:
        written.append(bytes(data[:7]))
        return len(data[:7])

    handle = Handle(1, 10, write)
    handle.handle(record(1))
    handle.close()
    assert json.loads(b"".join(written))["message"] == "line 1"


def test_a_line_that_was_cut_spoils_no_other() -> None:
    """A disk that is full takes a part, then nothing, and later there is room again."""
    rooms, written = iter([100, 20, 0, 0, 1, 0]), []

    def write(fd: int, data: bytes) -> int:
        room = next(rooms, 1000)
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(bytes(data[:room]))
        return len(written[-1])

    handle = Handle(1, 10, write)
    for number in range(5):
        handle.handle(record(number))
    handle.close()
    assert handle.dropped == 3
    first, *_, last, told = b"".join(written).splitlines()
    assert [json.loads(line).get("message") for line in (first, last)] == ["line 0", "line 4"]
    assert json.loads(told)["count"] == 3


def test_a_reader_that_is_gone_is_counted(root_logger: None) -> None:
    read, write = os.pipe()
    handle = log.setup("info", write)
    os.close(read)
    log.state("ready")
    handle.close()
    os.close(write)
    assert handle.dropped == 1
    assert log.dropped() == 0, "only those that are in use count"


def test_lost_lines_are_told_of_the_handle_in_use(out: Out) -> None:
    out.handle.dropped = 3
    assert log.dropped() == 3
    assert out.lines() == []


def test_closing_twice_and_logging_afterwards_do_no_harm(out: Out) -> None:
    out.handle.close()
    out.handle.close()
    log.state("late")
    assert out.lines() == []


def test_a_fact_of_an_open_session(out: Out) -> None:
    log.noticed("vendor_silent", 12.34567, session_id="7f9c24e8-3b12-4a5d-9c11-0a8e5a0f1b22", listener="main", connection_id=None)
    (line,) = out.lines()
    assert (line["event"], line["level"], line["fact"], line["seconds"]) == ("noticed", "info", "vendor_silent", 12.346)
    assert (line["session_id"], line["connection_id"]) == ("7f9c24e8-3b12-4a5d-9c11-0a8e5a0f1b22", None)


def test_a_level_that_changes(out: Out) -> None:
    log.state("before")
    log.set_level("warning")
    log.state("left_out")
    log.set_level("info")
    log.state("after")
    assert [line["event"] for line in out.lines()] == ["before", "after"]
