"""One connection to Redis: scripts go out in order, answers come back in order, and whatever is wrong is one kind of error.

Owns all that there is to know of redis-py; nothing else imports it, and this only where a fleet is configured. Nothing is tried
again here, for nobody may be waiting any more. What goes wrong is told in words of ours: the library's may hold what was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004
    NoPermissionError,
    ReadOnlyError,
    RedisError,
)

from proxy.core.fleet import Command, Script
from proxy.fleet.scripts import SCRIPTS

SECONDS: Final = 1.0
"""How long a connection, or the answers to what was sent at once, may take."""

_REASONS: Final[dict[type[BaseException], str]] = {
    AuthenticationError: "user name or password refused",
    AuthorizationError: "user name or password refused",
    NoPermissionError: "the user may not run scripts, or not on these keys",
    BusyLoadingError: "it is still loading its data",
    ReadOnlyError: "it is a replica, which takes no writes",
    TimeoutError: "no answer in time",
    ssl.SSLCertVerificationError: "its certificate was not accepted",
    ssl.SSLError: "TLS failed",
    ConnectionRefusedError: "connection refused",
    OSError: "no connection",
    ConnectionError: "no connection",
    RedisError: "a command was refused",
    ValueError: "the password cannot be read",
}


class UnreachableError(Exception):
    """Nothing is answered. Its words hold nothing that was sent."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is. `password` is asked for at each connection: a mounted secret may be another one by then."""

    host: str
    port: int
    database: int = 0
    tls: bool = False
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    username: str | None = None
    password: Callable[[], str] | None = None


class _Login(CredentialProvider):
    def __init__(self, server: Server) -> None:
        self._server = server

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        ask, name = self._server.password, self._server.username
        password = ask() if ask is not None else ""
        return (name, password) if name else (password,)


class _Abrupt(Connection):
    """Hangs up at once. Closed politely, TLS would wait for the server's goodbye, for which nobody is there any more."""

    async def disconnect(self, nowait: bool = False, *args: Any, **kwargs: Any) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        await super().disconnect(True, *args, **kwargs)


class _AbruptTLS(_Abrupt, SSLConnection):
    """The same over TLS."""


class Store:
    """Between `connect` and the first error, or `close`."""

    def __init__(self, server: Server) -> None:
        login = _Login(server) if server.username or server.password is not None else None
        options: dict[str, Any] = {
            "host": server.host, "port": server.port, "db": server.database, "credential_provider": login, "client_name": "earwitness",
            "socket_timeout": SECONDS, "socket_connect_timeout": SECONDS, "retry": Retry(NoBackoff(), 0)}
        if server.tls:
            options |= {"ssl_ca_certs": server.ca, "ssl_certfile": server.cert, "ssl_keyfile": server.key}
        # One object for all connections that follow each other: to load the CAs takes long.
        self._connection: Connection = _AbruptTLS(**options) if server.tls else _Abrupt(**options)
        self._scripts: dict[Script, str] = {}

    async def connect(self) -> None:
        """Raises UnreachableError."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._connection.connect()  # type: ignore[no-untyped-call]
                hashes = await self._answers([("SCRIPT", "LOAD", text) for text in SCRIPTS.values()])
        except Exception as error:
            raise await self._gone(error) from None
        self._scripts = dict(zip(SCRIPTS, hashes, strict=True))

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The answers. Raises UnreachableError; then it is not known what of it was done, and the connection is gone."""
        if not self._connection.is_connected:
            raise UnreachableError("no connection")
        try:
            async with asyncio.timeout(SECONDS):
                return await self._answers([("EVALSHA", self._scripts[one.script], len(one.keys), *one.keys, *one.arguments)
                                            for one in commands])
        except Exception as error:
            raise await self._gone(error) from None

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            await self._connection.disconnect(nowait=True)

    async def _answers(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        connection = self._connection
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        return [await connection.read_response() for _ in commands]

    async def _gone(self, error: Exception) -> UnreachableError:
        await self.close()
        return UnreachableError(_reason(error))


def _reason(error: BaseException) -> str:
    """Of what it is, or else of what it came from."""
    cause: BaseException | None = error
    found: list[BaseException] = []
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return next((words for kind, words in _REASONS.items() if any(isinstance(one, kind) for one in found)), type(error).__name__)
