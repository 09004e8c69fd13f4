"""The connection: what it sends, and that whatever is wrong is told in words of ours."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.core.fleet import Book, Command, Script, Terms
from proxy.core.policy import Rule
from proxy.fleet import store as module
from proxy.fleet.store import Server, Store, UnreachableError
from tests.aio import free_port, run, tls_pair
from tests.fleet.server import RedisServer, redis_server

GREET = Command(Script.GREET, ("earwitness:fleet",), ("me", 1000))
PASSWORD = "OtterWalnut42Gravel"


def greeted(server: Server) -> list[int]:
    async def main() -> list[int]:
        store = Store(server)
        try:
            await store.connect()
            return await store.run([GREET, GREET])
        finally:
            await store.close()

    return run(main())


def refused(server: Server) -> str:
    with pytest.raises(UnreachableError) as caught:
        greeted(server)
    assert PASSWORD not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_scripts_run_in_one_go(redis: RedisServer) -> None:
    assert greeted(redis.server) == [1, 1]
    assert "earwitness:fleet" in redis.dump()


def test_another_database(redis: RedisServer) -> None:
    assert greeted(replace(redis.server, database=3)) == [1, 1]
    assert redis.dump() == ""


def test_tls_and_a_password(tmp_path: Path) -> None:
    pair = tls_pair(tmp_path)
    with redis_server(tmp_path, PASSWORD, pair) as redis:
        assert greeted(redis.server) == [1, 1]
        assert refused(replace(redis.server, password=lambda: PASSWORD + "x")) == "user name or password refused"
        assert refused(replace(redis.server, password=None)) == "user name or password refused"
        assert refused(replace(redis.server, ca=None)) == "its certificate was not accepted"
        redis.ask("ACL", "SETUSER", "sidecar", "on", f">{PASSWORD}", "~earwitness:*", "+@all")
        assert greeted(replace(redis.server, username="sidecar")) == [1, 1]
        redis.ask("ACL", "SETUSER", "sidecar", "-@scripting")
        assert refused(replace(redis.server, username="sidecar")) == "the user may not run scripts, or not on these keys"


RIGHTS = "~earwitness:* resetchannels -@all +hello +auth +client +select +evalsha +script|load +time +zadd +zrem +zcard +zscore +zrange \
+zremrangebyscore +pexpire +pexpireat"
"""As config/README.md has them."""


def test_the_rights_that_are_documented_are_enough(redis: RedisServer) -> None:
    readme = (Path(__file__).parents[2] / "config" / "README.md").read_text()
    assert f"`{RIGHTS}`" in " ".join(readme.split())
    redis.ask("ACL", "SETUSER", "sidecar", "reset", "on", f">{PASSWORD}", *RIGHTS.split())
    book = Book(b"shared", "earwitness", 15.0)
    terms = Terms(100, 10, frozenset({Rule.CONNECTION_RATE, Rule.CONCURRENCY}), 5.0)

    async def main() -> None:
        store = Store(replace(redis.server, username="sidecar", password=lambda: PASSWORD))
        await store.connect()
        done = set()
        for now in (0.0, 1.0, 6.0, 7.0):
            leases = [book.come(f"{number} at {now}", "acme", "key", terms, now) for number in range(3)]
            commands = book.commands(now)
            for command, answer in zip(commands, await store.run(commands), strict=True):
                book.answered(command, answer)
                done.add(command.script)
            book.left(leases[0], now, lingers=True)
            book.left(leases[1], now, forgotten=True)
        await store.close()
        assert done == set(Script)

    try:
        run(main())
    finally:
        redis.ask("ACL", "DELUSER", "sidecar")


def test_nobody_there() -> None:
    assert refused(Server("127.0.0.1", free_port())) == "connection refused"
    assert refused(Server("nowhere.invalid", 1)) == "no connection"


def test_a_password_that_cannot_be_read(redis: RedisServer) -> None:
    def gone() -> str:
        raise ValueError(f"the file cannot be read: {PASSWORD}")

    assert refused(replace(redis.server, password=gone)) == "the password cannot be read"


def test_a_server_that_takes_connections_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert refused(Server("127.0.0.1", silent.getsockname()[1])) == "no answer in time"


def test_a_server_that_stops_answering(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        store = Store(redis.server)
        await store.connect()
        redis.hang()
        try:
            monkeypatch.setattr(module, "SECONDS", 0.05)
            with pytest.raises(UnreachableError, match="no answer in time"):
                await store.run([GREET])
        finally:
            redis.go_on()
        with pytest.raises(UnreachableError, match="no connection"):
            await store.run([GREET])

    run(main())


@pytest.mark.parametrize(("command", "reason"), [
    (("SCRIPT", "FLUSH"), "a command was refused"),
    (("REPLICAOF", "127.0.0.1", "1"), "it is a replica, which takes no writes"),
])
def test_what_redis_refuses_is_a_lost_connection(redis: RedisServer, command: tuple[str, ...], reason: str) -> None:
    async def main() -> None:
        store = Store(redis.server)
        await store.connect()
        await asyncio.to_thread(redis.ask, *command)
        try:
            with pytest.raises(UnreachableError, match=f"^{reason}$"):
                await store.run([GREET])
            await asyncio.to_thread(mended)
            await store.connect()
            assert await store.run([GREET]) == [1]
        finally:
            await store.close()

    def mended() -> None:
        redis.ask("REPLICAOF", "NO", "ONE")

    try:
        run(main())
    finally:
        mended()


def test_the_library_is_not_loaded_where_no_fleet_is() -> None:
    loaded = "import sys, proxy.commands, proxy.app, proxy.relay.relay; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
