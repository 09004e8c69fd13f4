"""The log: one JSON object a line on standard output, redacted, written by a thread of its own.

Owns the shape of a line and the way out. A reader that does not read (a full pipe) costs lines, never time on the event loop:
lines wait in a bounded queue and are dropped, and counted, once it is full. Nothing here raises at its caller.

A line has `time` (UTC), `level`, `event`; then the fields of the event. Lines of other libraries have `event: log`, `logger`
and `message`. An exception adds `error`: its type, its redacted text, and where it was raised.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum
from traceback import extract_tb
from typing import Any, Final

import orjson

from proxy.core.redact import MARK, is_sensitive, redact
from proxy.core.report import Report, utc
from proxy.core.verdict import Outcome, Owner

LOG: Final = logging.getLogger("earwitness")
QUEUE_LINES: Final = 2000
FLUSH_SECONDS: Final = 2.0
"""How long an exit waits for a reader that does not read."""
FRAMES: Final = 8

_IDS: Final = frozenset({"session_id", "trace_id", "span_id", "connection_id", "req_id"})
"""Ids may look like keys to the redactor. Ours hold nothing; the vendor's were redacted where they were read."""
LONGEST_ID: Final = 128
_DEEPEST: Final = 8
_QUIET: Final = frozenset({Outcome.OK, Outcome.ABANDONED, Outcome.DRAINED})


def session_open(**fields: Any) -> None:
    """A session has begun: says what a process carried, should it be killed."""
    state("session_open", **fields)


def noticed(fact: str, seconds: float, **fields: Any) -> None:
    """A fact of a session that is open, `seconds` after its start."""
    state("noticed", fact=fact, seconds=round(seconds, 3), **fields)


def session_progress(**fields: Any) -> None:
    """How a session of hours stands, now and then: its span comes only when it has ended."""
    state("session_progress", **fields)


def session_end(report: Report) -> None:
    """The one line a session ends with. What is in a report was redacted when it was made."""
    verdict = report.verdict
    level = logging.ERROR if verdict.owner is Owner.SIDECAR and verdict.outcome is Outcome.ERROR else (
        logging.INFO if verdict.outcome in _QUIET else logging.WARNING)
    LOG.log(level, "session_end", extra={"fields": report.as_dict(), "clean": True})


def state(event: str, level: int = logging.INFO, *, error: BaseException | None = None, **fields: Any) -> None:
    """Something happened to the process or a session. Fields are redacted on the way out."""
    LOG.log(level, event, exc_info=error, extra={"fields": fields})


class Lines(logging.Formatter):
    """A record as one line of JSON, without its line end."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {"time": utc(record.created), "level": record.levelname.lower()}
        fields = getattr(record, "fields", None)
        if isinstance(fields, Mapping):
            line["event"] = record.msg
        else:
            line |= {"event": "log", "logger": record.name, "message": _unicode(redact(_message(record)))}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _error(record.exc_info[1])
        shown = fields if getattr(record, "clean", False) else _object(fields or {}, 0)
        line |= {key: value for key, value in (shown or {}).items() if key not in line}
        return orjson.dumps(line).decode()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit their format
        return str(record.msg)


def _error(error: BaseException) -> dict[str, Any]:
    frames = extract_tb(error.__traceback__)[-FRAMES:]
    return {
        "type": type(error).__name__,
        "message": _unicode(redact(_text(error))),
        "at": [f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _plain(value: Any, depth: int) -> Any:
    """A value as JSON can have it, strings redacted."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and not isinstance(value, Enum):
        return value if -(2**63) <= value < 2**63 else str(value)
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            return _object(value, depth + 1)
        if isinstance(value, list | tuple | set | frozenset):
            return [_plain(item, depth + 1) for item in value]
    return _unicode(redact(_text(value)))


def _object(fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {name: _field(name, value, depth) for name, value in ((_unicode(_text(key)), value) for key, value in fields.items())}


def _field(name: str, value: Any, depth: int) -> Any:
    if is_sensitive(name):
        return MARK
    if name == "hint":  # the profile's own words, not a peer's
        return value
    if name in _IDS and isinstance(value, str):
        return _unicode(value[:LONGEST_ID])
    if name == "correlation" and isinstance(value, Mapping):  # the application's own ids, which the operator named
        return {_text(key): MARK if is_sensitive(_text(key)) else _unicode(_text(one)[:LONGEST_ID]) for key, one in value.items()}
    return _plain(value, depth)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # a __str__ that fails must not cost the line
        return type(value).__name__


def _unicode(text: str) -> str:
    """Without lone surrogates, which no UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode()


class Handle(logging.Handler):
    """Where lines go; made by `setup`. `dropped` counts those that found no room or no reader. `write` is os.write."""

    def __init__(self, fd: int, lines: int = QUEUE_LINES, write: Callable[[int, bytes], int] = os.write) -> None:
        super().__init__()
        self.setFormatter(Lines())
        self.dropped = 0
        self._fd = fd
        self._write = write
        self._queue: queue.Queue[bytes | None] = queue.Queue(lines)
        # A daemon, and writing to the descriptor itself: a reader that is stuck must not hold up the exit.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._queue.put_nowait(self.format(record).encode() + b"\n")
        except Exception:  # full, or a line that cannot be made
            self.dropped += 1

    def close(self) -> None:
        """Writes what is waiting, as far as somebody reads it; then lets go of the logging module. Safe to call twice."""
        logging.getLogger().removeHandler(self)
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=FLUSH_SECONDS)
                self._thread.join(FLUSH_SECONDS)
        super().close()

    def _run(self) -> None:
        told, last = 0, b"\n"
        while (line := self._queue.get()) is not None:
            if self.dropped > told:
                told = self.dropped
                line += orjson.dumps({"time": utc(time.time()), "level": "warning", "event": "log_lines_dropped", "count": told}) + b"\n"
            if last != b"\n":  # a disk was full in the middle of a line: what comes now is not to be a part of it
                line = b"\n" + line
            try:
                while line:
                    size = self._write(self._fd, line)
                    last, line = line[size - 1 : size], line[size:]
            except OSError:
                self.dropped += 1


def dropped() -> int:
    """Lines that went nowhere, so far."""
    return sum(handle.dropped for handle in logging.getLogger().handlers if isinstance(handle, Handle))


def setup(level: str, fd: int = 1) -> Handle:
    """Sends all logging, other libraries' included, to the descriptor as JSON. `level` as in the settings. Close the handle at exit."""
    handle = Handle(fd)
    logging.getLogger().addHandler(handle)
    set_level(level)
    return handle


def set_level(name: str) -> None:
    """From here on; `name` as in the settings."""
    logging.getLogger().setLevel(name.upper())
