"""One call, from the client's request to the session's end.

    take the client over -> ask the fleet -> dial the vendor -> 101: splice          -> report
                            (where there     -> no: 429      -> refusal: pass it on  -> report
                             is one)                         -> no answer: 502 / 504 -> report

Owns the order of these steps, and that the report is made exactly once on every way out. What things mean is the
session's business (core), how bytes cross the splice's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import aiohttp

from proxy.core.own import OWN
from proxy.core.paths import is_under, path_of
from proxy.core.policy import Policy
from proxy.core.session import Session
from proxy.core.vendor import Vendor
from proxy.core.verdict import Category, Inspection, Side, Transport
from proxy.relay.admission import Applicant
from proxy.relay.answers import failed_dial
from proxy.relay.bodies import LOOKED_AT, beginning
from proxy.relay.dialer import Answer, Dialer, DialError, Upstream
from proxy.relay.ends import how_lost
from proxy.relay.guard import Guard
from proxy.relay.harmless import harmless
from proxy.relay.heads import lower, refusal_head, switching_head, upgrades
from proxy.relay.splice import FLUSH_SECONDS, Splice
from proxy.relay.standin import StandIn
from proxy.relay.takeover import Taken
from proxy.relay.tcpinfo import LEFT, sample, state_of
from proxy.relay.turns import Turns
from proxy.telemetry.traces import Trace

EARLY_BYTES: Final = 65536
"""What a client may send before it has an answer; beyond that it is not read."""
BODY_SECONDS: Final = 10.0
"""How long a refusal's body may stand still."""


@dataclass(frozen=True, slots=True)
class Door:
    """One listener, ready: its name, its vendor, where each route leads, what is let through, what is done about its traffic."""

    name: str
    vendor: Vendor
    upstreams: dict[str, Upstream]
    policy: Policy = field(default_factory=Policy)
    paths: tuple[str, ...] | None = None  # what may be asked for; None: all that the vendor has a route for
    origins: tuple[str, ...] | None = None  # of web pages that may ask; None: all
    account: str | None = None  # a name under which all its sessions count together

    def allows(self, target: str, headers: Mapping[str, str]) -> bool:
        """Whether the operator lets such a request through. Header names in lower case."""
        path, page = path_of(target), headers.get("origin")
        return ((self.paths is None or any(is_under(path, prefix) for prefix in self.paths))
                and (self.origins is None or page is None or page.lower() in self.origins))


class Waiting(asyncio.Protocol):
    """The client's protocol until there is an answer: keeps early bytes, and notices that the client has left."""

    def __init__(self, gone: Callable[[Transport], None]) -> None:
        self._gone = gone
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self.early = bytearray()
        self.held = False

    def attach(self, taken: Taken) -> None:
        self._transport = taken.transport
        self.data_received(taken.early)

    def data_received(self, data: bytes) -> None:
        self.early += data
        if len(self.early) > EARLY_BYTES and self._transport is not None and not self.held:
            self.held = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._gone(Transport.EOF)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._writable.set()
        self._gone(how_lost(exc))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def drained(self) -> None:
        await self._writable.wait()

    def nobody_waits(self) -> None:
        self._gone = lambda how: None


class Call:
    """`over(call)` is called once, when the session is at its end; `tell(call)` after each look at it while it is open."""

    __slots__ = ("_answered", "_client", "_direct", "_keeper", "_over", "_splice", "_task", "_tell", "_turns", "_vendor", "_waiting",
                 "applicant", "guard", "session", "told", "told_at", "trace")

    def __init__(self, session: Session, over: Callable[[Call], None], tell: Callable[[Call], None], turns: Turns,
                 guard: Guard, trace: Trace) -> None:
        self.session = session
        self.guard = guard
        self.trace = trace
        self.applicant: Applicant | None = None
        """Where the fleet is to be asked."""
        self.told: int | None = None
        """The status that the client got."""
        self.told_at = session.started_at
        """When its progress was last logged."""
        self._keeper: StandIn | None = None
        self._turns = turns
        self._over: Callable[[Call], None] | None = over
        self._tell = tell
        self._waiting = Waiting(self._client_gone)
        self._client: asyncio.Transport | None = None
        self._vendor: asyncio.Transport | None = None
        self._splice: Splice | None = None
        self._task: asyncio.Task[None] | None = None
        self._direct = True  # the socket's other end is the vendor's, and no proxy's
        self._answered = False  # the client has got the head of an answer

    @property
    def waiting(self) -> Waiting:
        """The protocol that the client's transport is to be given to."""
        return self._waiting

    def start(self, taken: Taken, dialer: Dialer, upstream: Upstream, head: bytes) -> None:
        self._client, self._direct = taken.transport, upstream.proxy is None
        self._waiting.attach(taken)
        self._task = asyncio.get_running_loop().create_task(self._run(dialer, upstream, head))
        self._task.add_done_callback(self._ran)

    def nobody(self) -> None:
        """The client was gone before its transport could be taken."""
        self.session.client_left()
        self._end()

    def refuse(self, code: str) -> None:
        """We refuse; the answer is somebody else's to send."""
        self.told = OWN[code].status
        self.session.refused_here(code)
        self._end()

    @property
    def is_there(self) -> bool:
        """Whether its client is: what follows from an end may still wait for its turn, and the report with it."""
        return self._over is not None and not (self._splice is not None and self._splice.client.ended)

    def drain(self) -> None:
        """Ends the session because the process ends: an open one in its vendor's own way, which takes some seconds."""
        if self._splice is None:
            self.abort()
            return
        try:
            if self._keeper is None:
                self._keeper = StandIn(self.session, Policy())
                self._keeper.join(self._splice)
            self._keeper.drain()
        except Exception:
            self.abort()

    def abort(self) -> None:
        """The same, at once."""
        self.session.drained()
        if self._splice is not None:
            self._splice.abort()
        elif self._task is not None:
            self._task.cancel()

    # Until there is an answer

    async def _run(self, dialer: Dialer, upstream: Upstream, head: bytes) -> None:
        if self.applicant is not None:
            refusal = await self.applicant.ask()
            if refusal is not None:
                self.session.refused_here(refusal)
                self._write(failed_dial(None, refusal))
                return
            self.applicant.dialled = True
        try:
            answer = await dialer.dial(self.session.vendor, upstream, head)
        except DialError as error:
            self._unanswered(error)
            return
        try:
            await self._take_up(answer)
        except Exception:
            answer.wire.close()  # nothing, if the splice has it
            raise

    async def _take_up(self, answer: Answer) -> None:
        headers = lower(answer.headers)
        if upgrades(answer.status, headers, self.session.request.headers.get("sec-websocket-key")):
            self._open(answer, headers)
        elif answer.status == 101:
            answer.wire.close()
            harmless(self.session.ids_from, headers)
            self._unanswered(DialError(None, "sidecar_bad_upstream"))
        else:
            await self._pass_on(answer, headers)

    def _unanswered(self, error: DialError) -> None:
        code = error.code or "sidecar_internal"
        if error.how is not None:
            harmless(self.session.dial_failed, error.how)
        elif OWN[code].category is Category.LOCAL_LIMIT:
            self.session.refused_here(code)
        else:
            harmless(self.session.misanswered, code)
        self._write(failed_dial(error.how, error.code))

    def _ran(self, task: asyncio.Task[None]) -> None:
        """The dial is over. Without a splice, so is the session."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.session.refused_here("sidecar_internal")
            if self._splice is not None:
                self._splice.abort()
        if self._splice is None and not self._answered and (error is not None or self.session.ending.drained):
            self._write(failed_dial(None, "sidecar_internal" if error is not None else "sidecar_draining"))
        if self._splice is None or error is not None:
            self._close_client()
            self._end()

    def _client_gone(self, how: Transport) -> None:
        if self._splice is None and self._task is not None and not self._task.done():
            if not self._answered:  # most clients leave as soon as they have read a refusal's status
                harmless(self.session.client_left, how)
            self._task.cancel()

    async def _pass_on(self, answer: Answer, headers: dict[str, str]) -> None:
        """A refusal, with its body as it comes. What is looked at is its beginning."""
        kept = bytearray()
        try:
            self._write(refusal_head(answer.status, answer.reason, answer.headers))
            while True:
                async with asyncio.timeout(BODY_SECONDS):
                    chunk = await answer.body.readany()
                    if not chunk:
                        break
                    kept += chunk[: LOOKED_AT - len(kept)]
                    self._write(chunk)
                    await self._waiting.drained()
        except (TimeoutError, aiohttp.ClientError, OSError):
            pass  # the body was cut; what there was of it has gone on
        finally:
            answer.wire.close()
            looked_at = beginning(bytes(kept), headers.get("content-encoding", ""))
            harmless(self.session.refused, answer.status, headers, looked_at, monotonic())

    def _open(self, answer: Answer, headers: dict[str, str]) -> None:
        client, session = self._client, self.session
        if client is None or client.is_closing():
            answer.wire.close()
            session.client_left()
            return
        now = monotonic()
        keeper = self.guard.over(session, headers)
        leg = self.guard.leg(session, keeper)
        splice = Splice(self, session.from_client, session.from_vendor, self._turns, leg)
        if session.inspection is Inspection.LOST:
            splice.blind()
        if keeper is not None:
            keeper.join(splice)
            self._keeper = keeper
        try:
            taken = answer.wire.take(splice.vendor.protocol)
        except ConnectionResetError:
            self._unanswered(DialError(Transport.RESET))
            return
        client.set_protocol(splice.client.protocol)
        self._splice, self._vendor = splice, taken.transport
        splice.join(client, taken.transport)
        try:
            session.opened(headers, now)
        except Exception:
            splice.fail()
        client.write(switching_head(answer.reason, answer.headers))
        splice.start(bytes(self._waiting.early), taken.early)
        if self._waiting.held and not (splice.client.reading_held or splice.client.resting):
            client.resume_reading()
        del self._waiting

    # While it is open: the splice's watch

    def leg_ended(self, side: Side, how: Transport) -> None:
        if side is Side.VENDOR:
            self._measure(0.0)  # while the socket can still be asked
        harmless(self.session.lost, side, how)
        if self._keeper is not None:
            harmless(self._keeper.vendor_left if side is Side.VENDOR else self._keeper.client_left)

    def inspection_failed(self) -> None:
        self.session.uninspected()

    def spliced_out(self) -> None:
        splice, keeper = self._splice, self._keeper
        self._end()
        if splice is not None:
            splice.client.let_go()
            splice.vendor.let_go()
        if keeper is not None:
            keeper.let_go()

    def sample(self, loop_lag: float) -> None:
        if self._splice is not None:
            self._measure(loop_lag)
            self._splice.look_at_sockets()
            if self._keeper is not None:
                self._keeper.tick(monotonic())
            return
        self.session.watch.tick(monotonic())
        if self._client is not None and self._waiting.held and state_of(self._client) in LEFT:
            self._client_gone(Transport.EOF)  # while reading is held no loop tells that it has left

    def _measure(self, loop_lag: float) -> None:
        if self._vendor is None or self._splice is None:
            return
        # What a proxy has acknowledged proves nothing of the vendor.
        tcp = sample(self._vendor) if self._direct else None
        try:
            self.session.tick(monotonic(), tcp, self._splice.buffered, loop_lag)
        except Exception:
            self._splice.fail()
        harmless(self._tell, self)

    # The end

    def _write(self, data: bytes) -> None:
        self._answered = True
        self.told = self.told or int(data[9:12])  # of the status line that comes first
        if self._client is not None and not self._client.is_closing():
            self._client.write(data)

    def _close_client(self) -> None:
        if self._client is not None and not self._client.is_closing():
            self._client.close()
            # A client that does not read its answer is not waited for forever.
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._client.abort)

    def _end(self) -> None:
        over, self._over = self._over, None
        self._client = self._vendor = self._splice = self._task = self._keeper = None
        if hasattr(self, "_waiting"):  # it stays the client's protocol until the answer is written, and would have us until then
            self._waiting.nobody_waits()
        if over is not None:
            over(self)
