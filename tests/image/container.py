"""The image and containers of it, through podman: as a container engine runs them, without privileges and with a root that is read-only.

Owns the engine's command line. Containers share the test's own network, so that a simulator on loopback can be their vendor.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
TAG: Final = "localhost/earwitness:test"
BASE: Final = "localhost/earwitness-base:3.11"
STORE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "earwitness-image"
ENGINE: Final = (
    "podman", "--root", str(STORE / "storage"), "--runroot", str(STORE / "run"), "--storage-driver", "vfs", "--runtime", "runc",
    "--cgroup-manager", "cgroupfs", "--events-backend", "none",
)
_, FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
UNPRIVILEGED: Final = (
    "--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "host",
    "--ulimit", f"nofile=1024:{FILES}", "--ulimit", "nproc=4096:4096",
    "--health-interval", "disable",  # there is no systemd here to have timers; a check can be asked for all the same
)
STARTS_SECONDS: Final = 20.0


def engine(*arguments: str) -> str:
    done = subprocess.run([*ENGINE, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def build() -> None:
    subprocess.run([HERE / "build", TAG], cwd=ROOT, check=True, timeout=900)


def inspected(tag: str = TAG) -> dict[str, Any]:
    image: dict[str, Any] = json.loads(engine("image", "inspect", tag))[0]
    return image


@contextmanager
def mounted() -> Iterator[Path]:
    """The root of the image, to look at."""
    path = engine("image", "mount", TAG).strip()
    try:
        yield Path(path)
    finally:
        engine("image", "unmount", TAG)


class Container:
    """One that is made and not started: its process is there, and waits to become the entry point."""

    def __init__(self, name: str) -> None:
        self.id = name
        engine("init", self.id)
        self.pid = int(engine("inspect", "--format", "{{.State.Pid}}", self.id))

    def start(self) -> float:
        """Starts it, and gives the moment (of the monotonic clock) at which the entry point took the process over."""
        with subprocess.Popen([*ENGINE, "start", self.id], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as starting:
            name, give_up = Path(f"/proc/{self.pid}/comm"), time.monotonic() + STARTS_SECONDS
            while name.read_text().startswith("runc"):
                assert time.monotonic() < give_up, self.log()
                time.sleep(0.0005)
            began = time.monotonic()
            assert starting.wait() == 0
        return began

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in engine("logs", self.id).splitlines()]

    def status(self) -> dict[str, str]:
        """What the kernel says of the process."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def healthy(self) -> bool:
        return subprocess.run([*ENGINE, "healthcheck", "run", self.id], capture_output=True, timeout=30, check=False).returncode == 0

    def stop(self) -> int:
        """As an engine does: by the image's stop signal. The exit code."""
        engine("stop", "--time", "30", self.id)
        return int(engine("inspect", "--format", "{{.State.ExitCode}}", self.id))


@contextmanager
def container(settings: Path) -> Iterator[Container]:
    """With a settings file, which it reads when it starts."""
    settings.touch()
    name = engine("create", *UNPRIVILEGED, "--volume", f"{settings}:/etc/earwitness/earwitness.yaml:ro",
                  "--env", "EARWITNESS_CONFIG=/etc/earwitness/earwitness.yaml", TAG).strip()
    try:
        yield Container(name)
    finally:
        engine("rm", "--force", "--time", "0", name)
