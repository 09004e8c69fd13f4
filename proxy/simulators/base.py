"""What every simulated vendor shares: the listening socket, the record of sessions, one fault on request.

Owns the life of a connection from its request to its end. What a vendor says stands in the vendor's module.
"""

from __future__ import annotations

import logging
import ssl
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self, get_args

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from proxy.simulators.faults import Fault
from proxy.simulators.line import Line, Session, Wording

BAD_KEY = "bad-key"
"""The one key that every simulator takes for an invalid one; any other is accepted."""

_log = logging.getLogger("proxy.simulators")
_log.addHandler(logging.NullHandler())
_log.propagate = False  # a fault is no news here, and its traceback would look like one


class Simulator(ABC):
    """A vendor on a local port: `async with DeepgramSimulator(fault="NET-0001") as sim: ... sim.url`.

    fault: a key of `FAULTS`; None for a healthy vendor. fault_after: seconds of audio before it, for those of an open session.
    wording: texts as the vendor's pages have them, or as they were seen on the wire. strict: limits as documented, else as
    they were seen to be applied. compression: agree to permessage-deflate. tls: a server context, makes it wss.
    Raises ValueError for an option that does not exist.
    """

    vendor: ClassVar[str]
    plain: ClassVar[tuple[str, ...]] = ()
    """Paths, by their beginnings, of plain HTTP requests; all others are upgrades."""
    FAULTS: ClassVar[Mapping[str, str]]
    _faults: ClassVar[Mapping[str, Fault]]
    modern_body = False

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        fault: str | None = None,
        fault_after: float = 0.0,
        wording: Wording = "documented",
        strict: bool = True,
        compression: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if fault is not None and fault not in self._faults:
            raise ValueError(f"no fault {fault!r} for {self.vendor}; there are: {', '.join(self._faults)}")
        if wording not in get_args(Wording):
            raise ValueError(f"no wording {wording!r}; there are: {', '.join(get_args(Wording))}")
        if fault_after < 0:
            raise ValueError(f"fault_after is in seconds of audio and cannot be negative: {fault_after:g}")
        self.host, self.port, self.strict, self.wording = host, port, strict, wording
        self.fault_after = fault_after
        self.sessions: list[Session] = []
        self.requests: list[Session] = []
        self._fault = self._faults[fault] if fault is not None else None
        self._compression, self._tls = compression, tls
        self._lines: set[Line] = set()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port; the path is the client's business."""
        return f"{'wss' if self._tls else 'ws'}://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._handle,
            self.host,
            self.port,
            select_subprotocol=self._select_subprotocol,
            compression="deflate" if self._compression else None,
            process_request=self._process_request,
            process_response=self._process_response,
            create_connection=type("BoundLine", (Line,), {"registry": self._lines}),
            server_header=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=1,
            max_size=None,
            logger=_log,
            ssl=self._tls,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close(close_connections=False)
        for line in list(self._lines):
            line.transport.abort()
        await self._server.wait_closed()

    # What a vendor fills in.

    @abstractmethod
    def admit(self, line: Line) -> Response | None:
        """A refusal, or None to answer 101."""

    def reply(self, line: Line) -> Response | None:
        """The answer to a plain HTTP request: `line.method`, `line.request`, `line.body`."""
        return None

    def greet(self, line: Line) -> Mapping[str, str]:
        """Headers of the 101."""
        return {}

    def choose(self, offered: Sequence[str]) -> str | None:
        """The subprotocol of the 101."""
        return None

    @abstractmethod
    async def converse(self, line: Line) -> None:
        """The session from the 101 to its end."""

    # What every vendor shares.

    async def strike(self, line: Line, seconds: float = 0.0, *, stage: str = "session") -> bool:
        """Let the fault happen if its time has come, at the hello or once `seconds` of audio were heard; whether it did."""
        fault = self._fault
        if fault is None or line.struck or fault.stage != stage or (stage == "session" and seconds < self.fault_after):
            return False
        line.struck = True
        await fault.act(line)
        return True

    def _select_subprotocol(self, _: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        chosen = self.choose(offered)
        return None if chosen is None else Subprotocol(chosen)

    async def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, Line)
        now = connection.loop.time()
        connection.session = Session(request.path, list(request.headers.raw_items()), str(uuid.uuid4()), now)
        connection.wording, connection.modern_body, connection.heard_at = self.wording, self.modern_body, now
        plain = request.path.startswith(self.plain)
        (self.requests if plain else self.sessions).append(connection.session)
        response = None
        if self._fault is not None and self._fault.stage == ("http" if plain else "request"):
            response = await self._fault.act(connection)
        if response is not None:
            return response
        return self.reply(connection) if plain else self.admit(connection)

    def _process_response(self, connection: ServerConnection, _: Request, response: Response) -> None:
        assert isinstance(connection, Line)
        session = connection.session
        session.status = None if connection.cut else response.status_code
        if response.status_code == 101:
            response.headers.update(self.greet(connection))
        else:
            self._ended(connection)

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Line)
        try:
            if not await self.strike(connection, stage="hello"):
                await self.converse(connection)
        except ConnectionClosed:
            pass  # whoever ended it, the record says how
        finally:
            self._ended(connection)

    def _ended(self, line: Line) -> None:
        seen = line.protocol.close_rcvd
        line.session.close = None if seen is None else (seen.code, seen.reason)
        line.session.closed_at = line.loop.time()
        line.session.ended.set()
