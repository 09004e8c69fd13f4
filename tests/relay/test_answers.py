"""Answers of our own."""

from __future__ import annotations

import json

import pytest

from proxy.core.own import OWN
from proxy.core.verdict import Transport
from proxy.relay.answers import failed_dial, no_answer, response


@pytest.mark.parametrize("code", OWN)
def test_every_code_has_an_answer(code: str) -> None:
    answer = response(code)
    assert answer.status == OWN[code].status
    assert answer.headers["x-earwitness"] == code
    assert answer.headers["Content-Type"] == "application/json"
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body) == {"error": code, "message": OWN[code].hint}
    assert answer.keep_alive is False
    assert answer.headers.get("Retry-After") == (str(OWN[code].retry_after) if answer.status in (429, 503) else None)
    assert answer.headers.get("Upgrade") == ("websocket" if answer.status == 426 else None)


@pytest.mark.parametrize(("how", "code", "status", "name"), [
    *((how, None, 504 if how is Transport.TIMEOUT else 502, f"transport_{how}") for how in Transport),
    (None, "sidecar_bad_upstream", 502, "sidecar_bad_upstream"),
    (None, "sidecar_draining", 503, "sidecar_draining"),
    (None, None, 500, "sidecar_internal"),
])
def test_every_failure_has_an_answer(how: Transport | None, code: str | None, status: int, name: str) -> None:
    head, _, body = failed_dial(how, code).partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    fields = dict(line.split(": ") for line in lines)
    assert first.startswith(f"HTTP/1.1 {status} ")
    assert (fields["x-earwitness"], fields["Connection"], int(fields["Content-Length"])) == (name, "close", len(body))
    assert json.loads(body)["error"] == name


@pytest.mark.parametrize("how", Transport)
def test_no_answer_is_the_same_for_a_request_that_is_held(how: Transport) -> None:
    head, _, body = failed_dial(how, None).partition(b"\r\n\r\n")
    answer = no_answer(how)
    assert (f" {answer.status} ".encode() in head, answer.body, answer.keep_alive) == (True, body, False)
    assert answer.headers["x-earwitness"] == f"transport_{how}"
