"""The list of log lines is what the code writes, and LOGS.md is what the list says."""

import ast
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from proxy.telemetry.events import BY_NAME, EVENTS, MEANINGS, NESTED, REPORT, markdown

from .fakes import report

ROOT: Final = Path(__file__).parents[2]
WRITTEN_BY: Final = {"log.session_open": "session_open", "log.noticed": "noticed", "log.session_progress": "session_progress"}
BY_LIBRARIES: Final = {"log", "log_lines_dropped", "session_end"}
"""Made where lines are made (telemetry/log), and not by a call that names them."""


def calls() -> Iterator[tuple[str, str, set[str]]]:
    """Where, the event's name, and the fields that are named there."""
    for path in sorted((ROOT / "proxy").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                function = ast.unparse(node.func)
                names = {keyword.arg for keyword in node.keywords if keyword.arg} - {"level"}
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                if function == "log.state":
                    chosen = node.args[0]
                    for value in (chosen.body, chosen.orelse) if isinstance(chosen, ast.IfExp) else (chosen,):
                        assert isinstance(value, ast.Constant), where
                        yield where, str(value.value), names
                elif function in WRITTEN_BY:
                    yield where, WRITTEN_BY[function], names


def test_all_events_of_the_code_are_listed_and_no_other() -> None:
    assert {name for _, name, _ in calls()} == BY_NAME.keys() - BY_LIBRARIES


def test_fields_are_listed_where_they_are_written() -> None:
    wrong = [f"{where}: {name}: {sorted(named - set(BY_NAME[name].fields))}" for where, name, named in calls()
             if not named <= set(BY_NAME[name].fields)]
    assert not wrong


def test_the_report_is_listed_whole() -> None:
    whole = report().as_dict()
    assert set(whole) == set(REPORT)
    for name in ("audio", "latency", "self"):
        assert set(whole[name]) == set(NESTED[name])
    assert len(REPORT) == len(set(REPORT))


def test_fields_are_explained() -> None:
    explained = {name for event in EVENTS if event.fields != REPORT for name in event.fields}
    verdicts = {field.name for field in dataclasses.fields(report().verdict)}
    assert explained - verdicts <= MEANINGS.keys()
    assert MEANINGS.keys() - {"time", "level", "event"} <= explained


def test_logs_md_is_what_the_list_says() -> None:
    assert (ROOT / "LOGS.md").read_text() == "\n".join(markdown()) + "\n", "run: python -m proxy.telemetry.events > LOGS.md"


def test_the_module_prints_it() -> None:
    done = subprocess.run([sys.executable, "-m", "proxy.telemetry.events"], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode() == (ROOT / "LOGS.md").read_text()
