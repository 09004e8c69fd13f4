"""The command line: what is accepted, and the exit codes of what is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from proxy import cli, commands
from proxy.app import is_compiled


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said about arguments that are no good."""
    with pytest.raises(SystemExit) as left:
        cli.main(list(arguments))
    assert left.value.code == 64
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fly"], "invalid choice: 'fly'"),
        (["run", "--policy"], "unrecognized arguments: --policy"),
        (["run", "--loop", "trio"], "argument --loop: invalid choice"),
        (["explain", "--close-code", "many"], "argument --close-code: invalid int value"),
        (["explain", "--transport", "pigeon"], "argument --transport: invalid choice"),
        (["explain", "--ended-by", "me"], "argument --ended-by: invalid choice"),
        (["simulate"], "the following arguments are required: VENDOR"),
        (["simulate", "deepgram", "--wording", "shouted"], "argument --wording: invalid choice"),
        (["catalog", "--all"], "unrecognized arguments: --all"),
        (["schema", "everything"], "invalid choice: 'everything'"),
    ],
)
def test_bad_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert said in refused(capsys, *arguments)


def test_no_command_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 64
    assert "COMMAND" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("earwitness 0.")
    assert is_compiled() is False  # as an editable install is


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    for name in ("run", "check-config", "explain", "simulate", "demo", "catalog", "schema", "healthcheck"):
        assert re.search(rf"^    {name}\s", out, re.MULTILINE)
        assert callable(getattr(commands, name.replace("-", "_")))


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("asked", ["schema vendor", "--help", "--version"])
def test_a_reader_that_leaves_is_no_fault(asked: str, unbuffered: str) -> None:
    """It has left before there is a word; what was printed into a buffer meets that at the end."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run([sys.executable, "-m", "proxy.cli", *asked.split()], stdout=out, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONUNBUFFERED": unbuffered}, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_full_disk_costs_nothing_where_nothing_is_printed(unbuffered: str) -> None:
    """Even the empty string is a write there: no `run` whose log has no room left would end with 0."""
    with open("/dev/full", "wb") as out:
        done = subprocess.run([sys.executable, "-m", "proxy.cli", "check-config", "nowhere.yaml"], stdout=out, stderr=subprocess.PIPE,
                              text=True, env={**os.environ, "PYTHONUNBUFFERED": unbuffered}, check=False)
    assert done.returncode == 64
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_standard_output_is_nobodys_socket() -> None:
    script = "import os, sys; from proxy import cli; cli.main(['schema']); sys.exit(not os.path.samestat(os.fstat(1), os.stat(os.devnull)))"
    done = subprocess.run(["bash", "-c", 'exec "$0" -c "$1" >&-', sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_starting_to_run_does_not_load_the_simulators() -> None:
    """A sidecar holds its pod's start back."""
    script = "import sys, proxy.cli, proxy.app; print([name for name in sys.modules if name.startswith('proxy.simulators')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
