"""A real redis-server for tests: on loopback, in memory, with or without TLS and a password; to be stopped, started, and made to hang."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from redis import Redis
from redis.exceptions import RedisError

from proxy.fleet.store import Server
from tests.aio import free_port

STARTS_SECONDS: Final = 20.0


class RedisServer:
    """`password` and `tls` (paths of a certificate and its key) are asked of every client."""

    def __init__(self, folder: Path, password: str | None = None, tls: tuple[str, str] | None = None) -> None:
        self._folder, self._password, self._tls = folder, password, tls
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Empty, on the same port as before."""
        options = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--dir", str(self._folder), "--daemonize", "no"]
        if self._tls is None:
            options += ["--port", str(self.port)]
        else:
            cert, key = self._tls
            options += ["--port", "0", "--tls-port", str(self.port), "--tls-cert-file", cert, "--tls-key-file", key,
                        "--tls-ca-cert-file", cert, "--tls-auth-clients", "no"]
        if self._password is not None:
            options += ["--requirepass", self._password]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(["redis-server", *options], stdout=log, stderr=log)
        give_up = time.monotonic() + STARTS_SECONDS
        while True:
            try:
                self.ask("PING")
                return
            except RedisError:
                if self._process.poll() is not None or time.monotonic() > give_up:
                    raise AssertionError((self._folder / "redis.log").read_text()) from None
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()  # also where it hangs
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Connections are taken by the kernel, and nothing is ever answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *command: str) -> Any:
        """One command over a connection of its own."""
        tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": self._tls[0]} if self._tls is not None else {}
        with Redis(host="127.0.0.1", port=self.port, password=self._password, decode_responses=True, **tls) as client:
            return client.execute_command(*command)

    def dump(self) -> str:
        """Every key with all that is in it."""
        keys = self.ask("KEYS", "*")
        return "\n".join(f"{key} {self.ask('ZRANGE', key, '0', '-1', 'WITHSCORES')}" for key in sorted(keys))

    def members(self, kind: str) -> list[str]:
        """Of all `came` or all `open`, lingering ones included."""
        return [name for key in self.ask("KEYS", f"*:{kind}") for name in self.ask("ZRANGE", key, "0", "-1")]

    def valid(self, kind: str) -> list[str]:
        """Of all `open`, what has not run out."""
        seconds, micro = map(int, self.ask("TIME"))
        now = str(seconds * 1000 + micro // 1000)
        return [name for key in self.ask("KEYS", f"*:{kind}") for name in self.ask("ZRANGEBYSCORE", key, now, "+inf")]

    @property
    def server(self) -> Server:
        tls = self._tls is not None
        password = self._password
        return Server("127.0.0.1", self.port, tls=tls, ca=self._tls[0] if self._tls else None,
                      password=None if password is None else lambda: password)


@contextmanager
def redis_server(folder: Path, password: str | None = None, tls: tuple[str, str] | None = None) -> Iterator[RedisServer]:
    server = RedisServer(folder, password, tls)
    try:
        server.start()
        yield server
    finally:
        server.stop()
