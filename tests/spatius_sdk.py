"""`spatius`, the vendor's own SDK, as a caller: one reply is spoken, told as an `Outcome`. Loopback only: its telemetry is off, and
both of its endpoints are given, or it would ask the vendor for a region.
"""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from spatius import AvatarSDKError, new_avatar_session
from spatius.telemetry import configure_telemetry

from tests.sdks import RATE, Outcome, chunks
from tests.spatius_proto import read

configure_telemetry("")

END_SECONDS = 5.0
CHUNK_SECONDS = 0.1


async def spatius(
    url: str, audio: bytes, *, key: str = "key", session_key: str | None = None, pace: float = 0.0, silent: bool = False, **options: Any
) -> Outcome:
    """`texts`: a checksum of each animation frame, without its connection's id. `error`: the SDK's first, with what it is made of.

    `session_key` stands in for a token of the console's; `pace` are seconds between chunks; one that is `silent` says nothing at all and
    waits. `options` are the SDK's own.
    """
    outcome, over = Outcome(), asyncio.Event()

    def failed(error: Exception) -> None:
        outcome.error = outcome.error or told(error)

    def frame(data: bytes, last: bool) -> None:
        outcome.texts.append(f"{zlib.crc32(_nameless(data, outcome)):08x}")
        if last:
            outcome.ended = True
            over.set()

    session = new_avatar_session(**{
        "console_endpoint_url": url.replace("ws", "http", 1) + "/v1/console", "ingress_endpoint_url": url + "/v2/driveningress",
        "api_key": key, "app_id": "app-1", "avatar_id": "avatar-1", "sample_rate": RATE,
        "expire_at": datetime.now(UTC) + timedelta(minutes=5),
        "transport_frames": frame, "on_error": failed, "on_close": over.set, **options})
    try:
        if session_key is None:
            await session.init()
        else:
            session._session_token = session_key
        outcome.ids.add(await session.start())
        for chunk in chunks(b"" if silent else audio, CHUNK_SECONDS):
            await session.send_audio(chunk)
            await asyncio.sleep(pace)
        if not silent:
            await session.send_audio(b"", end=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await over.wait()
    except AvatarSDKError as error:
        failed(error)
    except ValueError:  # it closed its socket while there was more to send, and has said why
        assert outcome.error is not None
    finally:
        await session.close()
    return outcome


def told(error: Exception) -> str:
    assert isinstance(error, AvatarSDKError)
    said = (error.server_code, error.server_title, error.server_detail)
    # Whether it was just sending or receiving when it met the close is chance.
    phase = str(error.phase).replace("websocket_send", "websocket_runtime")
    facts = (phase, error.http_status, *said, error.close_code, error.close_reason)
    return f"{error.code.value}: {' '.join(str(fact) for fact in facts if fact is not None)}"


def _nameless(data: bytes, outcome: Outcome) -> bytes:
    """A message without the ids, which differ from call to call."""
    message = read(data)
    outcome.ids.add(message.animation.connection_id)
    message.animation.connection_id = message.animation.req_id = ""
    return bytes(message.SerializeToString())
