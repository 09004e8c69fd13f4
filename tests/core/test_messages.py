"""The messages of a conversation as a profile describes them: what is refused, and which paths they name."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from proxy.core.messages import Message, Messages, Where


def refused(**parts: Any) -> str:
    with pytest.raises(ValidationError) as error:
        Messages.model_validate(parts)
    return str(error.value)


WHOLE = {
    "role": "result", "when": {"path": "a", "exists": True}, "required": "b", "audio": {"path": "c", "encoding": "base64"},
    "declares": {"encoding": "d", "sample_rate": ["e", "f"], "channels": "g"}, "close_code": "h", "close_reason": "i",
    "ids": {"req_id": "j"}, "server_code": "k", "server_title": "l", "server_detail": "m", "text": "n",
    "final": {"path": "o", "equals": 1}, "utterance": "p", "speech_start": {"path": "q", "plus": "r"}, "speech_end": {"path": ["s", "t"]},
    "audio_seconds": {"path": "u", "unit": "ms"}, "expires_at": "v",
}


def test_a_message_knows_every_path_that_it_names() -> None:
    assert sorted(Message.model_validate(WHOLE).paths()) == list("abcdefghijklmnopqrstuv")
    assert Message(role="info").paths() == ()


def test_one_kind_stands_for_a_list_of_one() -> None:
    kinds = {"A": {"role": "ready"}, "B": [{"role": "error"}, {"role": "info"}]}
    made = Messages.model_validate({"kinds": kinds, "untyped": [{"role": "end"}]})
    assert [message.role for message in made.all()] == ["ready", "error", "info", "end"]
    assert (made.encoding, made.type) == ("json", "type")


@pytest.mark.parametrize(("message", "told"), [
    ({}, "role"),
    ({"role": "sing"}, "role"),
    ({"role": "info", "name": "No Slug"}, "name"),
    ({"role": "info", "when": {"path": "a"}}, "needs either equals or exists"),
    ({"role": "info", "when": {"path": "a", "equals": 1, "exists": True}}, "needs either equals or exists"),
    ({"role": "error", "fatal": "sometimes"}, "if_last"),
    ({"role": "audio", "audio": {"path": "a", "encoding": "hex"}}, "base64"),
    ({"role": "ready", "ids": {"session": "a"}}, "connection_id"),
    ({"role": "result", "speech_end": {"path": "a", "unit": "minutes"}}, "unit"),
    ({"role": "result", "text": ""}, "text"),
])
def test_what_does_not_hang_together_is_refused(message: dict[str, Any], told: str) -> None:
    assert told in refused(kinds={"A": message})


def test_a_condition_may_ask_for_false() -> None:
    assert Where(path="a", equals=False).equals is False
    assert Where(path="a", exists=False).exists is False


@pytest.mark.parametrize("path", ["type", "4.a", "0", "4.-1", "4..3", "04"])
def test_in_protobuf_paths_are_field_numbers(path: str) -> None:
    told = f"a path is made of field numbers, not {path!r}"
    assert told in refused(encoding="protobuf", type=path)
    assert told in refused(encoding="protobuf", type="1", kinds={"2": {"role": "audio", "audio": {"path": path, "encoding": "bytes"}}})
    assert told in refused(encoding="protobuf", type="1", untyped=[{"role": "info", "ids": {"req_id": ["2", path]}}])


def test_protobuf_with_field_numbers_is_taken() -> None:
    made = Messages.model_validate({"encoding": "protobuf", "type": "1", "kinds": {"8": {"role": "error", "server_code": "5.3"}}})
    assert made.all()[0].paths() == ("5.3",)


def test_what_is_sent_in_a_clients_place_is_what_it_is_called() -> None:
    sent = Messages.model_validate({"kinds": {"End": {"role": "end", "send": '{"type":"End"}'}, "Ping": {"role": "keep_alive"}}})
    assert [message.send for message in sent.all()] == ['{"type":"End"}', None]


@pytest.mark.parametrize(("parts", "told"), [
    ({"kinds": {"A": {"role": "info", "send": '{"type":"A"}'}}}, "roles end and keep_alive"),
    ({"kinds": {"A": {"role": "end", "send": '{"type":"B"}'}}}, "whose type is 'A'"),
    ({"kinds": {"A": {"role": "end", "send": "bye"}}}, "must be JSON"),
    ({"kinds": {"A": {"role": "end", "send": '["A"]'}}}, "must be JSON"),
    ({"encoding": "protobuf", "type": "1", "kinds": {"2": {"role": "end", "send": '{"1":"2"}'}}}, "must be JSON"),
    ({"untyped": [{"role": "end", "when": {"path": "a", "exists": True}, "send": "{}"}]}, "cannot be told again"),
])
def test_anything_else_is_not_sent(parts: dict[str, Any], told: str) -> None:
    assert told in refused(**parts)
