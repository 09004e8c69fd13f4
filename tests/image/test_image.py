"""The image, built as a release is but on a base of Debian's own packages, and run: `make image`. Prints what it measured."""

from __future__ import annotations

import asyncio
import json
import os
import time
import tomllib
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from statistics import median
from typing import Any, Final

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy.sbom import bill, written_out
from proxy.simulators import AssemblyAISimulator, DeepgramSimulator
from tests.aio import free_port, run
from tests.e2e.process import page
from tests.e2e.rig import AUDIO, upstream
from tests.e2e.test_run import begun
from tests.sdks import deepgram_v1_async

from .container import BASE, ROOT, Container, build, container, engine, inspected, mounted

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]

BILL: Final = ROOT / "dist" / "earwitness.cdx.json"
READY_SECONDS: Final = 0.6
STARTS: Final = 5
LISTENERS: Final = ("assemblyai", "deepgram", "nextevi", "spatius", "elsa")
BUILD_TOOLS: Final = ("pip", "setuptools", "wheel", "ensurepip", "mypy", "gcc", "cc", "make", "git")


@pytest.fixture(scope="session", autouse=True)
def _image() -> None:
    build()


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with mounted() as path:
        yield path


def written(file: Path, listeners: list[dict[str, Any]], **settings: Any) -> dict[str, str]:
    """A settings file that anybody may read. Gives the addresses by vendor, `admin` and `metrics`."""
    pages = {name: {"listen": f"127.0.0.1:{free_port()}"} for name in ("metrics", "admin")}
    file.write_text(json.dumps({**pages, "listeners": listeners, **settings}))
    return {one["vendor"]: one["listen"] for one in listeners} | {name: one["listen"] for name, one in pages.items()}


def listening(vendor: str, simulator: Any = None) -> dict[str, str]:
    return {"vendor": vendor, "listen": f"127.0.0.1:{free_port()}"} | ({"upstream": upstream(simulator)} if simulator else {})


def until_ready(metrics: str, since: float) -> float:
    """Seconds from `since` until the probe says yes."""
    while not answers(metrics):
        assert time.monotonic() - since < 20
        time.sleep(0.002)
    return time.monotonic() - since


def answers(metrics: str) -> bool:
    host, _, port = metrics.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def test_a_call_end_to_end_and_one_that_is_drained(tmp_path: Path) -> None:
    """Ready, healthy, a call that ends well, one that outlasts the grace, and an exit code of 0."""
    settings = tmp_path / "earwitness.yaml"

    async def main(made: Container) -> None:
        async with DeepgramSimulator(strict=False) as deepgram, AssemblyAISimulator(strict=False) as assemblyai:
            at = written(settings, [listening("deepgram", deepgram), listening("assemblyai", assemblyai)],
                         drain={"accept_seconds": 0, "grace_seconds": 1})
            await asyncio.to_thread(lambda: until_ready(at["metrics"], made.start()))
            assert await asyncio.to_thread(made.healthy)
            assert (await deepgram_v1_async(f"ws://{at['deepgram']}", AUDIO)).error is None
            line = await begun(at["assemblyai"])
            assert await asyncio.to_thread(made.stop) == 0
            await line.wait_closed()
            assert (line.close_code, line.close_reason) == (1012, "earwitness: draining")

    with container(settings) as made:
        run(main(made), timeout=120)
        log = made.log()
    ends = [(line["vendor"], line["outcome"]) for line in log if line["event"] == "session_end"]
    assert ends == [("deepgram", "ok"), ("assemblyai", "drained")]
    assert [log[0]["event"], log[-1]["event"]] == ["ready", "stopped"]


def test_it_is_ready_soon_and_has_no_privilege(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the listeners of all five vendors; from the moment that the process is ours."""
    settings = tmp_path / "earwitness.yaml"
    at = written(settings, [listening(vendor) for vendor in LISTENERS], drain={"accept_seconds": 0})
    times, resident = [], []
    for _ in range(STARTS):
        with container(settings) as made:
            times.append(until_ready(at["metrics"], made.start()))
            status = made.status()
            assert made.stop() == 0
        resident.append(int(status["VmRSS"].split()[0]))
        assert status["Uid"].split() == ["10001"] * 4
        assert {status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    with capsys.disabled():
        verdict = "met" if median(times) <= READY_SECONDS else "MISSED"
        print(f"\n{verdict}: ready within {1e3 * READY_SECONDS:.0f} ms: {1e3 * median(times):.0f} ms"
              f" (median of {STARTS}, slowest {1e3 * max(times):.0f} ms; load average of the machine {os.getloadavg()[0]:.1f})"
              f"\nresident when idle, listening for five vendors: {median(resident) / 1024:.1f} MiB")


def test_not_ready_is_not_healthy(tmp_path: Path) -> None:
    settings = tmp_path / "earwitness.yaml"
    at = written(settings, [listening("deepgram")], drain={"accept_seconds": 60})
    with container(settings) as made:
        until_ready(at["metrics"], made.start())
        assert run(page(at["admin"], "/-/drain", "POST"))[0] == 202
        assert not made.healthy()


def test_settings_are_read_again_when_a_shell_in_it_asks(tmp_path: Path) -> None:
    """As deploy/README.md has it for a pod."""
    settings = tmp_path / "earwitness.yaml"
    at = written(settings, [listening("deepgram")], drain={"accept_seconds": 0})
    with container(settings) as made:
        until_ready(at["metrics"], made.start())
        engine("exec", made.id, "sh", "-c", "kill -HUP 1")
        give_up = time.monotonic() + 20
        while "reloaded" not in [line["event"] for line in made.log()]:
            assert time.monotonic() < give_up
            time.sleep(0.05)
        assert made.stop() == 0


def test_what_the_image_says_of_itself() -> None:
    image = inspected()
    config = image["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["earwitness"]
    assert config["Cmd"] == ["run"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert image["Healthcheck"]["Test"] == ["CMD", "earwitness", "healthcheck"]
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items() if name.startswith("org.opencontainers.image.")}
    assert labels.keys() == {"title", "description", "licenses", "version", "revision"}
    assert all(labels.values())


def test_its_size_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    size, base = inspected()["Size"], inspected(BASE)["Size"]
    with capsys.disabled():
        print(f"\nimage: {size / 1e6:.0f} MB, of which the base has {base / 1e6:.0f} MB")
    assert base < size


def test_no_build_tools_are_left(root: Path) -> None:
    found = [path for folder in ("usr/bin", "usr/local/bin", "opt/earwitness/bin") for path in (root / folder).iterdir()
             if path.name.rstrip("0123456789.-") in BUILD_TOOLS]
    found += [path for pattern in ("usr/**/site-packages/*", "usr/**/dist-packages/*", "usr/lib/python3*/*", "opt/**/site-packages/*")
              for path in root.glob(pattern) if path.name.split("-")[0].lower() in BUILD_TOOLS]
    assert not found


def test_all_bytecode_is_there_and_good_whatever_the_times_of_files(root: Path) -> None:
    """A read-only root could not keep what Python compiles at each start. (The flags of PEP 552: 1 is by hash, and not checked.)"""
    sources = [*root.glob("opt/earwitness/lib/**/*.py"), *root.glob("usr/lib/python3.11/asyncio/*.py"), root / "usr/lib/python3.11/ssl.py"]
    assert len(sources) > 500
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        assert compiled.read_bytes()[4:8] == b"\1\0\0\0", source


def test_what_is_to_be_compiled_is(root: Path) -> None:
    """A build without a C compiler would pass over it."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    (package,) = root.glob("opt/earwitness/lib/python3.*/site-packages/proxy")
    found = {str(Path("proxy") / path.relative_to(package).parent / path.name.split(".")[0]) + ".py" for path in package.rglob("*.so")}
    assert found == set(about.get("earwitness", {}).get("compiled", []))


def test_nothing_of_the_build_is_in_it(root: Path) -> None:
    """Neither the settings that pip was given, nor sources, tests or repositories; nor a private key beside what is ours."""
    assert not (root / "src").exists()
    assert not list((root / "mnt").iterdir())
    assert "find-links" not in json.dumps(inspected())
    for path in root.rglob("*"):
        assert path.name not in (".git", "pip.conf", ".env", ".netrc"), path
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            assert b"find-links = /mnt" not in data, path
            assert not path.is_relative_to(root / "opt") or b"PRIVATE KEY-----\nMI" not in data, path


def test_its_bill_of_materials_is_one(root: Path) -> None:
    """And is left where a release takes it from."""
    text = written_out(bill(root, "earwitness", inspected()["Config"]["Labels"]["org.opencontainers.image.version"]))
    BILL.parent.mkdir(exist_ok=True)
    BILL.write_text(text)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    names = {component["name"] for component in json.loads(text)["components"]}
    assert names >= {"earwitness", "aiohttp", "redis", "uvloop", "libc6", "libssl3"}
    assert "pip" not in names
