"""The command line: arguments in, exit codes out.

Exit codes: 0 done; 64 bad usage or configuration, before anything is bound; 70 a fault of ours; 75 an address could not be
bound. Each command imports what it needs when it runs: `run` starts fast because it does not import the simulators.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from proxy import commands
from proxy.commands import DONE, USAGE, shown


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {shown(message)}\n")


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """All commands. The flags of `simulate` are there only where that is the command: they cost an import."""
    top = _Parser(prog="earwitness", description="Relays speech WebSockets untouched and tells who ended them, and why.")
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _run(commands.add_parser("run", help="relay calls until told to stop"))
    check = commands.add_parser("check-config", help="say everything that is wrong with a settings or vendor file")
    check.add_argument("file", nargs="?", type=Path, help="default: $EARWITNESS_CONFIG, else the packaged settings")
    _explain(commands.add_parser("explain", help="what an error frame, close code or refusal means"))
    simulate = commands.add_parser("simulate", help="a stand-in vendor, to try things against without an account")
    if command == "simulate":
        from proxy.simulators.command import add_arguments

        add_arguments(simulate)
    demo = commands.add_parser("demo", help="simulators, the sidecar and callers, good and bad, with a table of what was seen")
    demo.add_argument("--seconds", type=float, default=4.0, help="length of a good call (default 4)")
    demo.add_argument("--serve", action="store_true", help="keep everything up afterwards, with a call now and then")
    demo.add_argument("--prometheus", action="store_true", help="with --serve: start Prometheus with the alert rules beside it")
    catalog = commands.add_parser("catalog", help="every known error: code, category, owner, retry, what to do")
    catalog.add_argument("--vendor", help="the errors of this vendor's own alone")
    catalog.add_argument("--json", action="store_true", help="one list of flat objects")
    schema = commands.add_parser("schema", help="print the JSON Schema of a file")
    schema.add_argument("of", nargs="?", choices=("settings", "vendor", "common"), default="settings")
    health = commands.add_parser("healthcheck", help="exit 0 if the process on --metrics says it is ready")
    health.add_argument("--metrics", metavar="HOST:PORT", help="default: as the settings say")
    return top


def _run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--config", type=Path, metavar="FILE", help="default: $EARWITNESS_CONFIG, else the packaged settings")
    run.add_argument("--vendor", help="one listener for this vendor, instead of those of the file")
    run.add_argument("--listen", metavar="HOST:PORT", help="where that listener listens")
    run.add_argument("--upstream", metavar="URL", help="where it leads, instead of the vendor itself")
    run.add_argument("--metrics", metavar="HOST:PORT", help="where /metrics, /-/healthy and /-/ready are served")
    run.add_argument("--admin", metavar="HOST:PORT", help="where /sessions is served; loopback only")
    run.add_argument("--enforce", action="store_true", help="hold clients to the vendors' limits; a rule's own mode in the file stands")
    run.add_argument("--loop", choices=("auto", "asyncio", "uvloop"), default="auto", help="the event loop (default: uvloop if there)")


def _explain(explain: argparse.ArgumentParser) -> None:
    explain.add_argument("--vendor", help="without it: what fits best, and the vendors that it fits")
    explain.add_argument("--path", help="the request's path")
    explain.add_argument("--phase", choices=("session_token", "http_request", "websocket_connect", "websocket_runtime"))
    explain.add_argument("--http-status", type=int, metavar="N")
    explain.add_argument("--header", action="append", default=[], metavar="'K: V'", help="of the refusal; may be repeated")
    explain.add_argument("--body", metavar="TEXT", help="of the refusal")
    explain.add_argument("--frame", action="append", default=[], metavar="TEXT", help="a text message of the vendor; may be repeated")
    explain.add_argument("--frame-hex", action="append", default=[], metavar="HEX", help="the same, as hex")
    explain.add_argument("--close-code", type=int, metavar="N")
    explain.add_argument("--close-reason", metavar="TEXT")
    explain.add_argument("--transport", choices=("eof", "reset", "timeout", "tls", "dns", "refused"))
    explain.add_argument("--ended-by", choices=("client", "vendor", "network", "sidecar", "unknown"))
    explain.add_argument("--json", action="store_true", help="one flat object")


def _occupy_standard_descriptors() -> None:
    """One of them that is closed would be given to the next socket: a peer would read our log, and uvloop aborts when it closes it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free


def main(argv: list[str] | None = None) -> int:
    """Entry point. Returns the exit code."""
    _occupy_standard_descriptors()
    code = DONE
    try:
        try:
            code = _command(sys.argv[1:] if argv is None else argv)
        finally:
            if sys.stdout is not None:  # as it is where descriptor 1 was closed
                sys.stdout.flush()  # that a reader has left is met here, not when Python ends
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        pass
    return code


def _command(argv: list[str]) -> int:
    args = parser(argv[0] if argv else None).parse_args(argv)
    if args.version:
        from proxy.app import build, is_compiled

        print(f"earwitness {build()} ({'compiled' if is_compiled() else 'not compiled'})")
        return DONE
    if args.command is None:
        parser().print_help()
        return USAGE
    code: int = getattr(commands, args.command.replace("-", "_"))(args)
    return code


if __name__ == "__main__":
    sys.exit(main())
