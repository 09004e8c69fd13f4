"""What each command does. Takes parsed arguments, returns an exit code; prints what a person asked to see."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.settings import Problem, Settings

DONE: Final = 0
USAGE: Final = 64
INTERNAL: Final = 70
UNBOUND: Final = 75

_SHOWN: Final = ("vendor", "code", "category", "owner", "retry", "rows", "aliases", "hint")
"""Columns of the catalogue for a reader."""


def run(args: argparse.Namespace) -> int:
    gc.disable()  # until it serves: a start makes no garbage to speak of, and looking for it is a tenth of its time
    try:
        return _run(args)
    finally:
        gc.enable()


def _run(args: argparse.Namespace) -> int:
    from proxy.relay.capacity import make_room
    from proxy.relay.server import BindError
    from proxy.settings import ConfigError, Overrides, load
    from proxy.telemetry import log

    if (args.listen or args.upstream) and not args.vendor:
        return _usage("--listen and --upstream go with --vendor")
    if args.loop == "uvloop" and not _has_uvloop():
        return _usage("--loop uvloop: uvloop is not installed")
    try:
        overrides = Overrides(args.vendor, args.listen, args.upstream, args.metrics, args.admin, args.enforce)
        read = partial(load, args.config, os.environ, overrides)  # by its path each time: a mounted file may be another one by then
        settings = read()
    except ConfigError as error:
        return _problems(error.problems)
    make_room()
    lines = log.setup(settings.log.level)
    try:
        _on(args.loop, _serve(settings, read))
    except BindError as error:
        print(f"earwitness: {error}", file=sys.stderr)
        return UNBOUND
    except Exception as error:
        log.state("internal", 50, error=error)
        return INTERNAL
    finally:
        lines.close()
    return DONE


async def _serve(settings: Settings, read: Callable[[], Settings]) -> None:
    from proxy.app import serve

    await serve(settings, read)


def _on(loop: str, main: Coroutine[object, object, None]) -> None:
    from proxy.relay.loops import run_on

    with asyncio.Runner(loop_factory=run_on(loop)) as runner:
        runner.run(main)


def _has_uvloop() -> bool:
    from importlib.util import find_spec

    return find_spec("uvloop") is not None


def check_config(args: argparse.Namespace) -> int:
    from proxy.settings import FILE_VARIABLE, check, packaged

    path = args.file or Path(os.environ.get(FILE_VARIABLE) or packaged() / "earwitness.yaml")
    problems = check(path)
    if problems:
        return _problems(problems)
    print(f"{path}: good")
    return DONE


def _problems(problems: list[Problem]) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    return USAGE


def explain(args: argparse.Namespace) -> int:
    import orjson

    from proxy.core.explain import Given, explain
    from proxy.core.verdict import Phase, Side, Transport
    from proxy.settings import ConfigError, load_known

    try:
        catalogue = load_known(os.environ)
    except ConfigError as error:
        return _problems(error.problems)
    headers = {}
    for header in args.header:
        name, colon, value = header.partition(":")
        if not colon:
            return _usage("--header: should be 'Name: value'")
        headers[name.strip()] = value.strip()
    given = Given(
        vendor=args.vendor, path=args.path, phase=Phase(args.phase) if args.phase else None, http_status=args.http_status,
        headers=headers or None, body=args.body, frames=tuple(args.frame), frames_hex=tuple(args.frame_hex), close_code=args.close_code,
        close_reason=args.close_reason, transport=Transport(args.transport) if args.transport else None,
        ended_by=Side(args.ended_by) if args.ended_by else None,
    )
    try:
        verdict, vendors = explain(given, catalogue.profiles, catalogue.common)
    except ValueError as error:
        return _usage(str(error))
    flat = verdict.as_dict() | ({} if args.vendor else {"vendors": vendors})
    if args.json:
        print(orjson.dumps(flat).decode())
        return DONE
    for name, value in flat.items():
        if value not in (None, [], ""):
            print(f"{name:<16} {', '.join(value) if isinstance(value, list) else value}")
    return DONE


def catalog(args: argparse.Namespace) -> int:
    import orjson

    from proxy.core.listing import listing
    from proxy.settings import ConfigError, load_known

    try:
        known = load_known(os.environ)
    except ConfigError as error:
        return _problems(error.problems)
    if args.vendor is not None and args.vendor not in known.profiles:
        return _usage(f"no vendor {args.vendor!r}; there are {', '.join(sorted(known.profiles))}")
    entries = listing(known.profiles.values(), known.common) if args.vendor is None else listing([known.profiles[args.vendor]], None)
    rows = [entry.as_dict() for entry in entries]
    print(orjson.dumps(rows).decode() if args.json else _table(rows))
    return DONE


def _table(rows: list[dict[str, object]]) -> str:
    lines = [[name.upper() for name in _SHOWN], *([_cell(row[name]) for name in _SHOWN] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _cell(value: object) -> str:
    return (", ".join(value) if isinstance(value, tuple) else str(value or "")) or "-"


def simulate(args: argparse.Namespace) -> int:
    from proxy.simulators import command

    if args.list_faults:
        try:
            print(command.list_faults(args.vendor))
        except ValueError as error:
            return _usage(str(error))
        return DONE
    try:
        host, port = command.address(args.listen)
        _on("auto", command.serve(args.vendor, host, port, fault=args.fault, fault_after=args.fault_after, wording=args.wording,
                                  strict=args.strict, announce=lambda url: print(f"simulating {args.vendor} at {url}", flush=True)))
    except ValueError as error:
        return _usage(str(error))
    except OSError as error:
        print(f"earwitness: cannot listen on {args.listen}: {error.strerror or error}", file=sys.stderr)
        return UNBOUND
    return DONE


def demo(args: argparse.Namespace) -> int:
    from proxy.demo import demo
    from proxy.prometheus import is_there

    if not 0 < args.seconds <= 3600:
        return _usage("--seconds: should be above 0 and at most 3600")
    if args.prometheus and not args.serve:
        return _usage("--prometheus: needs --serve, it would end before anybody has looked at it")
    if args.prometheus and not is_there():
        return _usage("--prometheus: there is no program `prometheus` on PATH; Debian's package of that name has it")
    return demo(args.seconds, args.serve, args.prometheus)


def schema(args: argparse.Namespace) -> int:
    import orjson
    from pydantic import BaseModel

    from proxy.core.profile import Profile
    from proxy.core.profile import schema as schema_of
    from proxy.core.rules import Common
    from proxy.settings import Settings

    of: dict[str, type[BaseModel]] = {"settings": Settings, "vendor": Profile, "common": Common}
    print(orjson.dumps(schema_of(of[args.of]), option=orjson.OPT_INDENT_2).decode())
    return DONE


def healthcheck(args: argparse.Namespace) -> int:
    from http.client import HTTPConnection, HTTPException

    from proxy.settings import ConfigError, Overrides, load

    try:
        listen = load(None, os.environ, Overrides(metrics=args.metrics)).metrics.listen
    except ConfigError as error:
        return _problems(error.problems)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    connection = HTTPConnection(host, listen.port, timeout=2)
    try:
        connection.request("GET", "/-/ready")
        ready = connection.getresponse().status == 200
    except (OSError, HTTPException):
        ready = False
    finally:
        connection.close()
    print("ready" if ready else "not ready")
    return DONE if ready else 1


def shown(message: str) -> str:
    """What is wrong with a command line, without anything that may be a key. After a semicolon stands what could be written instead."""
    from proxy.core.redact import redact

    written, then, known = message.partition("; ")
    return f"{redact(written)}{then}{known}"


def _usage(message: str) -> int:
    print(f"earwitness: {shown(message)}", file=sys.stderr)
    return USAGE
