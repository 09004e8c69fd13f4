"""Each of the vendor's errors on request, in the form of either stream, with and without a close; the page's tables are whole."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection

from proxy.simulators import ElsaSimulator
from proxy.simulators.elsa_faults import ROWS, TABLES
from tests.simulators.test_elsa import PLUS, SCRIPTED, UNSCRIPTED, kinds, session, spoken, start, until


def told(name: str, path: str, **options: Any) -> tuple[list[dict[str, Any]], ElsaSimulator]:
    return session(path, lambda socket: spoken(socket, start() if path == SCRIPTED else PLUS), fault=name, **options)


@pytest.mark.parametrize("name", ROWS)
def test_an_error_on_either_stream(name: str) -> None:
    row = ROWS[name]
    seen, sim = told(name, SCRIPTED)
    error = seen[-1]
    assert error["type"] == "ELSA:error"
    assert "{" not in error["message"]
    assert error["message"][:5] == row.text[:5]
    assert ("start_stream_result" in kinds(seen)) == (row.when == "audio")
    assert sim.sessions[0].close == (1000, "")  # nobody but the client closed
    assert told(name, UNSCRIPTED)[0][-1] == {"status": "failed", "reason": error["message"]}
    assert told(name, SCRIPTED, wording="live")[0][-1] == {"type": "ELSA:error", "message": f"{name}: {error['message']}"}


def test_after_so_much_audio() -> None:
    seen, _ = told("ASRSocketTimeout", SCRIPTED, fault_after=1.5)
    assert kinds(seen).count("audioACK") == 2
    assert seen[-1] == {"type": "ELSA:error", "message": "ASR timeout"}


@pytest.mark.parametrize(("path", "first"), [(SCRIPTED, start()), (UNSCRIPTED, PLUS)])
@pytest.mark.parametrize("name", ["ClientIsNotActive", "ASRConnectionFailed"])
def test_and_then_a_close(name: str, path: str, first: str) -> None:
    async def talk(socket: ClientConnection) -> int | None:
        await spoken(socket, first)
        assert await until(socket) == []
        return socket.close_code

    assert session(path, talk, fault=name, closes=1011)[0] == 1011


def test_after_an_error_the_socket_serves_another_stream() -> None:
    async def talk(socket: ClientConnection) -> list[list[dict[str, Any]]]:
        return [await spoken(socket, start()), await spoken(socket, start())]

    (first, second), _ = session(SCRIPTED, talk, fault="FailedToUseAudio")
    assert kinds(first)[-1] == "error"
    assert kinds(second)[-1] == "decoding_result"


def test_faults_that_all_vendors_share() -> None:
    assert kinds(told("close-1001", SCRIPTED)[0]) == ["wsConnect", "ready", "start_stream_result"]
    assert kinds(told("eof", UNSCRIPTED, fault_after=2.5)[0]) == ["processing", "processing"]
    assert kinds(told("glued", SCRIPTED)[0])[-1] == "decoding_result"


def test_the_tables_of_the_vendors_page() -> None:
    names = [name for table in TABLES.values() for name in table]
    assert len(names) == 26
    assert set(names) == set(ROWS) < set(ElsaSimulator.FAULTS)
    assert len(ROWS) == 18
