"""ELSA's streams as its example clients speak them, on the library that they use (ws4py, in threads), and what the application sees.

The same function runs against a simulator and through the sidecar. Two habits of the examples matter: audio goes out from a thread of
its own, and an `ELSA:error` is answered with close code 100, which is no legal one.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import Any, Final

from ws4py.client import WebSocketBaseClient
from ws4py.exc import HandshakeError

from tests.sdks import Outcome
from tests.simulators.wavs import wavs

END: Final = '{"type": "ELSA:end_stream"}'
NOT_LEGAL: Final = 100


class _Client(WebSocketBaseClient):  # type: ignore[misc]
    """What both kinds of stream share. `texts` get every message; an id in them is replaced."""

    running = False

    def __init__(self, url: str, key: str, audio: bytes) -> None:
        headers = [("Authorization", f"ELSA {key}")] if key else []
        super().__init__(url, headers=headers)
        self.outcome = Outcome()
        self._audio, self._stop, self._speaker = audio, threading.Event(), threading.Thread()

    # The library would begin to read in a thread while it still handles what came with the 101: it loses either.

    def handshake_ok(self) -> None:
        pass

    def process(self, data: bytes) -> bool:
        if self.running:
            done: bool = super().process(data)
            return done
        self.buf += data
        return True

    def run(self) -> None:
        self.running = True
        super().run()

    def speak(self) -> None:
        self._stop = threading.Event()
        self._speaker = threading.Thread(target=self._send_audio, args=(self._stop,))
        self._speaker.start()

    def _send_audio(self, stop: threading.Event) -> None:
        with suppress(RuntimeError, OSError):  # the vendor may be gone before all is said
            for chunk in wavs(self._audio):
                if stop.is_set():
                    return
                self.send(chunk, binary=True)
            self.send(END)

    def be_quiet(self) -> None:
        self._stop.set()
        if self._speaker.ident is not None:
            self._speaker.join()

    def received_message(self, message: Any) -> None:
        told = json.loads(str(message))
        if "stream_id" in told:
            self.outcome.ids.add(told["stream_id"])
        text = str(message)
        for one in self.outcome.ids:
            text = text.replace(one, "ID")
        self.outcome.texts.append(text)
        self.hear(told)

    def hear(self, told: dict[str, Any]) -> None:
        raise AssertionError("a kind of stream hears")

    def fail(self, text: str, code: int, reason: str = "") -> None:
        self.outcome.error = text
        self.be_quiet()
        self.close(code, reason)

    def closed(self, code: int, reason: str | None = None) -> None:
        self.be_quiet()
        self.outcome.texts.append(f"closed {code}")


class _Scripted(_Client):
    """One stream after another on one socket."""

    def __init__(self, url: str, key: str, audio: bytes, sentences: tuple[str, ...]) -> None:
        super().__init__(url + "/api/v2/ws/score_audio", key, audio)
        self._sentences = [*sentences]

    def opened(self) -> None:
        self._start()

    def _start(self) -> None:
        info = {"api_plan": "premium", "sentence": self._sentences.pop(0)}
        self.send(json.dumps({"type": "ELSA:start_stream", "data": {"stream_info": info}}))

    def hear(self, told: dict[str, Any]) -> None:
        kind = told["type"]
        if kind == "ELSA:start_stream_result":
            self.speak()
        elif kind == "ELSA:decoding_result" and told["data"]["stream_finished"]:
            self.outcome.transcripts.append(told["data"]["utterance"][0]["sentence"])
        elif kind == "ELSA:stopped_listening":
            self.be_quiet()
        elif kind == "ELSA:ready" and self.outcome.transcripts:
            if self._sentences:
                self._start()
            else:
                self.outcome.ended = True
                self.close()
        elif kind == "ELSA:error":
            self.fail(told["message"], NOT_LEGAL, "closing please")


class _Unscripted(_Client):
    def __init__(self, url: str, key: str, audio: bytes) -> None:
        super().__init__(url + "/api/v1/ws/score_audio_plus", key, audio)

    def opened(self) -> None:
        self.send(json.dumps({"api_plan": "premium", "return_json": True}))

    def hear(self, told: dict[str, Any]) -> None:
        if told["status"] == "processing" and "stream_id" in told:
            self.speak()
        elif told["status"] == "success":
            self.outcome.transcripts.append(told["speakers"][0]["utterances"][0]["text"])
            self.outcome.ended = True
            self.close()
        elif told["status"] == "failed":
            self.fail(told["reason"], 1000)


def elsa_scripted(url: str, audio: bytes, *, key: str = "key", sentences: tuple[str, ...] = ("good morning",)) -> Outcome:
    return _run(_Scripted(url, key, audio, sentences))


def elsa_unscripted(url: str, audio: bytes, *, key: str = "key") -> Outcome:
    return _run(_Unscripted(url, key, audio))


def _run(client: _Client) -> Outcome:
    try:
        client.connect()
    except HandshakeError as refused:
        client.close_connection()
        client.outcome.error = str(refused)
        return client.outcome
    client.run()
    return client.outcome
