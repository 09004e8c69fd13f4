"""A fast stand-in for a vendor: one Deepgram-shaped result for each audio message, Metadata and close 1000 at the end.

Texts are built once and shared by all sessions, so that this process costs little beside what is measured. Shapes:
deepgram-sdk 7.17.0, listen/v1/types. Usage: python -m tests.bench.vendor PORT [CERT KEY]
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from functools import cache
from typing import Final

import uvloop
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from tests.bench.audio import FRAME_SECONDS

REQUEST_ID: Final = "c2f0e9a4-6d4d-4d05-8f0a-3f3d0b6d2b11"
WORDS: Final = ["the", "quick", "brown", "fox"]
SEGMENT_FRAMES: Final = 20
"""A final comes with every so many frames, as after two seconds of speech."""


@cache
def result(frames: int) -> bytes:
    """The result after so many frames: about 700 bytes, its positions those of the audio that has come."""
    position = frames * FRAME_SECONDS
    start = (frames - 1) // SEGMENT_FRAMES * SEGMENT_FRAMES * FRAME_SECONDS
    first = max(0.0, position - FRAME_SECONDS)
    step = (position - first) / len(WORDS)
    words = [
        {"word": word, "start": round(first + step * n, 3), "end": round(first + step * (n + 1), 3), "confidence": 0.99}
        for n, word in enumerate(WORDS)
    ]
    final = frames % SEGMENT_FRAMES == 0
    message = {
        "type": "Results", "channel_index": [0, 1], "duration": round(position - start, 3), "start": round(start, 3),
        "is_final": final, "speech_final": final, "from_finalize": False,
        "channel": {"alternatives": [{"transcript": " ".join(WORDS), "confidence": 0.99, "words": words, "languages": ["en"]}]},
        "metadata": {"request_id": REQUEST_ID, "model_info": {"name": "general-nova-3", "version": "2026-01-09.1", "arch": "nova-3"},
                     "model_uuid": "40bd3654-e622-47c4-a111-63a61b23bfe8"},
    }
    return json.dumps(message, separators=(",", ":")).encode()


def farewell(frames: int) -> bytes:
    """The one Metadata message, which comes last."""
    message = {"type": "Metadata", "transaction_key": "deprecated", "request_id": REQUEST_ID, "sha256": "0" * 64,
               "created": "2026-01-09T00:00:00.000Z", "duration": round(frames * FRAME_SECONDS, 3), "channels": 1}
    return json.dumps(message).encode()


class Vendor(WSListener):
    """One session."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            self.frames += 1
            transport.send(WSMsgType.TEXT, result(self.frames))
        elif frame.msg_type == WSMsgType.TEXT:  # CloseStream: the load sends no other text
            transport.send(WSMsgType.TEXT, farewell(self.frames))
            transport.send_close(WSCloseCode.OK)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()


def accept(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response({"dg-request-id": REQUEST_ID}), Vendor())


async def main(port: int, cert: str | None = None, key: str | None = None) -> None:
    context = None
    if cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
    server = await ws_create_server(accept, "127.0.0.1", port, backlog=4096, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), *sys.argv[2:4]))
