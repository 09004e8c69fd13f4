"""The relays that are compared, each as a command: where it listens, where it leads, over plain TCP or TLS."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
COMPILED: Final = Path(sys.prefix) / "compiled"
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
ENVOY: Final = CACHE / "earwitness-bench" / "bin" / "envoy"
ENVOY_TLS: Final = (
    'transport_socket: {name: envoy.transport_sockets.tls, typed_config: '
    '{"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext}}'
)


@dataclass(frozen=True)
class Route:
    """From the port that a relay listens on to the port of the vendor. `ca` where the vendor speaks TLS."""

    port: int
    upstream: int
    folder: Path
    ca: str | None

    @property
    def scheme(self) -> str:
        return "https" if self.ca else "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.upstream}"


def _written(template: str, route: Route, tls: str = "") -> str:
    text = (HERE / template).read_text()
    values = {"PORT": route.port, "UPSTREAM": route.upstream, "SCHEME": route.scheme, "FOLDER": route.folder}
    for name, value in {**values, "TLS": tls if route.ca else ""}.items():
        text = text.replace(f"@{name}@", str(value))
    path = route.folder / template
    path.write_text(text)
    return str(path)


def nginx(route: Route) -> list[str]:
    return [_found("nginx"), "-c", _written("nginx.conf", route)]


def haproxy(route: Route) -> list[str]:
    return [_found("haproxy"), "-db", "-f", _written("haproxy.cfg", route, "ssl verify none")]


def envoy(route: Route) -> list[str]:
    config = _written("envoy.yaml", route, ENVOY_TLS)
    return [str(ENVOY), "-c", config, "--concurrency", "1", "-l", "error", "--disable-hot-restart"]


def naive(route: Route) -> list[str]:
    return [sys.executable, "-m", "tests.bench.naive", str(route.port), route.url, *([route.ca] if route.ca else [])]


def _found(program: str) -> str:
    return shutil.which(program) or f"/usr/sbin/{program}"


OTHERS: Final[dict[str, Callable[[Route], list[str]]]] = {"nginx": nginx, "haproxy": haproxy, "envoy": envoy, "naive": naive}


def earwitness(routes: list[Route], metrics: int, admin: int, enforce: bool = False) -> list[str]:
    """Everything on, one listener for each route."""
    lines = [f"metrics: {{listen: 127.0.0.1:{metrics}}}", f"admin: {{listen: 127.0.0.1:{admin}}}", "listeners:"]
    for number, route in enumerate(routes):
        lines.append(f"  - {{name: calls-{number}, vendor: deepgram, listen: 127.0.0.1:{route.port}, upstream: {route.url}")
        lines[-1] += f", upstream_tls: {{ca: {route.ca}}}}}" if route.ca else "}"
    path = routes[0].folder / f"earwitness{'-enforce' if enforce else ''}.yaml"
    path.write_text("\n".join(lines) + "\n")
    return [*earwitness_command(), "run", "--config", str(path), *(["--enforce"] if enforce else [])]


def earwitness_command() -> list[str]:
    """As a wheel installs it (`make bench` makes one): with what it has compiled."""
    return ["env", f"PYTHONPATH={COMPILED}", str(Path(sys.executable).with_name("earwitness"))]
