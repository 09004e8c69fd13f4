"""From a message to facts: only what the profile's paths name, and never an exception, whatever the bytes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.inspect import LARGEST, LONGEST, Inspector, Kind, Told, first, getter, text_of, told_by
from proxy.core.messages import Message, Messages

MESSAGES = Messages.model_validate({
    "kinds": {
        "Turn": {
            "role": "result", "text": ["transcript", "words.0.text"], "final": {"path": "done", "equals": True}, "utterance": "turn",
            "speech_start": {"path": "words.0.start", "unit": "ms"}, "speech_end": {"path": "start", "plus": "duration"},
        },
        "Begin": {"role": "ready", "ids": {"connection_id": "id"}, "expires_at": "until"},
        "End": {"role": "end", "audio_seconds": {"path": "seconds"}},
        "Error": [
            {"role": "warning", "fatal": False, "when": {"path": "variant", "equals": "Soft"}, "server_detail": "text"},
            {"role": "error", "when": {"path": "code", "equals": 3007}, "server_code": "code", "server_detail": ["error", "text"]},
        ],
    },
    "untyped": [
        {"role": "error", "when": {"path": "failed", "equals": True}},
        {"role": "error", "server_detail": "error"},
    ],
})
INSPECTOR = Inspector(MESSAGES)


def read(message: Any) -> tuple[Kind, Any]:
    found = INSPECTOR.read(orjson.dumps(message))
    assert found is not None
    return found


@pytest.mark.parametrize(("path", "json", "value"), [
    ("a", {"a": 1}, 1),
    ("a", [1], None),
    ("0", {"0": "x"}, "x"),
    ("a.b", {"a": {"b": 2}}, 2),
    ("a.b", {"a": 3}, None),
    ("a.0.b", {"a": [{"b": 4}]}, 4),
    ("a.-1", {"a": [5, 6]}, 6),
    ("a.2", {"a": [5, 6]}, None),
    ("a.-3", {"a": [5, 6]}, None),
    ("a.b", {"a": [5, 6]}, None),
    ("a.0", {"a": {"0": 7}}, 7),
    ("a.²", {"a": {"²": 8}}, 8),
])
def test_getter(path: str, json: Any, value: Any) -> None:
    assert getter(path)(json) == value


def test_first_takes_what_is_there_and_not_empty() -> None:
    get = first(("a", "b", "c", "d"))
    assert get({"a": None, "b": "", "c": [], "d": 0}) == 0
    assert get({}) is None


@pytest.mark.parametrize(("value", "text"), [
    ("x", "x"), ("", None), (3007, "3007"), (1.5, "1.5"), (True, None), (None, None), (["x"], None), ("x" * 9999, "x" * LONGEST),
])
def test_text_of(value: Any, text: str | None) -> None:
    assert text_of(value) == text


def test_a_result_gives_its_positions_and_whether_it_is_final() -> None:
    words = [{"text": "hi", "start": 1500}]
    kind, json = read({"type": "Turn", "transcript": "", "words": words, "start": 2.0, "duration": 0.5, "done": True, "turn": 4})
    assert (kind.name, kind.role) == ("Turn", "result")
    assert kind.has_text is not None
    assert kind.has_text(json) == "hi"
    assert kind.final is not None
    assert kind.final(json)
    assert kind.utterance is not None
    assert kind.utterance(json) == 4
    assert kind.speech_start is not None
    assert kind.speech_start(json) == 1.5
    assert kind.speech_end is not None
    assert kind.speech_end(json) == 2.5
    assert kind.speech_end({"start": 2}) == 2.0
    assert kind.speech_end({"start": "2"}) is None
    assert kind.audio_seconds is None


def test_one_is_not_true() -> None:
    kind, json = read({"type": "Turn", "done": 1})
    assert kind.final is not None
    assert not kind.final(json)


def test_ids_and_the_rest_of_a_kind() -> None:
    kind, json = read({"type": "Begin", "id": "abc", "until": 1700000000})
    assert kind.told(json) == Told(connection_id="abc")
    assert not kind.told(json).says_something
    assert kind.expires_at is not None
    assert kind.expires_at(json) == 1700000000
    end, json = read({"type": "End", "seconds": 3})
    assert end.audio_seconds is not None
    assert end.audio_seconds(json) == 3.0


def test_kinds_of_one_type_are_told_apart_by_when() -> None:
    soft, _ = read({"type": "Error", "variant": "Soft", "code": 3007})
    hard, json = read({"type": "Error", "code": 3007, "error": "too short"})
    assert (soft.fatal, hard.fatal) == (False, True)
    assert hard.told(json) == Told(server_code="3007", server_detail="too short")
    assert hard.told(json).says_something
    assert INSPECTOR.read(b'{"type":"Error","code":1}') is None


def test_messages_without_a_type_are_known_by_what_they_hold() -> None:
    assert read({"failed": True})[0].when is not None
    assert read({"error": "x"})[0].when is None
    assert INSPECTOR.read(b'{"failed":false}') is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b'{"type":7}', b'{"type":"New"}', b"\xff", b"[" * 100_000])
def test_what_is_not_known_is_none(data: bytes) -> None:
    assert INSPECTOR.read(data) is None


def test_a_message_that_is_too_large_is_not_read() -> None:
    assert INSPECTOR.read(b'{"type":"End"}' + b" " * (LARGEST - 14)) is not None
    assert INSPECTOR.read(b'{"type":"End"}' + b" " * LARGEST) is None


def test_the_first_word_on_each_thing_stands() -> None:
    told = Told(server_code="1")
    told.merge(Told(server_code="2", server_detail="x"))
    assert told == Told(server_code="1", server_detail="x")


def test_told_by_reads_titles_too() -> None:
    assert told_by(Message(role="error", server_title=("t",)), {"t": "x"}) == Told(server_title="x")


def use(found: tuple[Kind, Any] | None) -> None:
    if found is not None:
        kind, json = found
        kind.told(json)
        for get in (kind.has_text, kind.final, kind.utterance, kind.speech_start, kind.speech_end, kind.audio_seconds, kind.expires_at):
            if get is not None:
                get(json)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["type", "words", "start", "duration", "code", "error", "text", "id", "failed"]) | st.text(), inner), max_leaves=12)


@given(st.binary())
def test_bytes_never_raise(data: bytes) -> None:
    use(INSPECTOR.read(data))


@given(st.sampled_from(["Turn", "Begin", "End", "Error"]), st.dictionaries(st.sampled_from(
    ["transcript", "words", "start", "duration", "done", "turn", "id", "until", "seconds", "variant", "code", "error", "text"]), JSON))
def test_known_messages_with_odd_values_never_raise(name: str, rest: dict[str, Any]) -> None:
    use(INSPECTOR.kind_of({**rest, "type": name}))
    use(INSPECTOR.kind_of(rest))


PASSING = Messages.model_validate({"kinds": {
    "Results": {"role": "result", "text": "words", "final": {"path": "is_final", "equals": True}},
    "Turn": {"role": "result", "text": "words", "final": {"path": "event", "equals": "EndOfTurn"}},
    "Whole": {"role": "result", "text": "words"},
    "Error": {"role": "error"},
}})


@pytest.mark.parametrize(("message", "passing"), [
    (b'{"type":"Results","is_final":false,"words":"a"}', True),
    (b'{"type": "Results", "is_final": false, "words": "a"}', True),
    (b'{"type":"Results","is_final":false}', False),
    (b'{"type":"Results","is_final":false,"words":""}', False),
    (b'{"type":"Results","is_final":false,"words":null}', False),
    (b'{"type":"Results","is_final":false,"words":"', False),
    (b'{"type":"Results","is_final":false,"words":"a","more":{"words":""}}', False),
    (b'{"is_final":false,"words":"a \\"is_final\\":true","type":"Results"}', True),
    (b'{"type":"Results","is_final":true}', False),
    (b'{"type": "Results", "is_final": true}', False),
    (b'{"type":"Turn","event":"Update","words":"a"}', True),
    (b'{"type":"Turn","event":"Update"}', False),
    (b'{"type":"Turn","event":"EndOfTurn"}', False),
    (b'{"type":"Whole","words":"without a word on whether it is final"}', False),
    (b'{"type":"Error","of":{"type":"Results"}}', False),
    (b'{"type":"Error"}', False),
    (b'{"type"  :"Results","is_final":false}', False),
    (b'{"type":  "Results","is_final":false}', False),
    (b'{"type":"Results","is_final" : true}', False),
    (b'{"type":"Results","is_final":  true}', False),
    (b'{"type":"Results"}', False),
    (b'{"type":"Results","is_final":false,"of":{"is_final":true}}', False),
    (b'{"type" : "Error","of":{"type":"Results","is_final":false}}', False),
    (b'{"is_final":false,"type":', False),
    (b'{"kind":"Results"}', False),
    (b"", False),
])
def test_interim_results_are_known_by_their_bytes_where_that_is_sure(message: bytes, passing: bool) -> None:
    assert Inspector(PASSING).is_passing(message) is passing


def test_a_result_is_known_by_its_type_and_not_by_the_name_that_it_is_given() -> None:
    one = Inspector(Messages.model_validate({"kinds": {
        "T": {"role": "result", "name": "error", "final": {"path": "final", "equals": True}}, "error": {"role": "error"}}}))
    assert one.is_passing(b'{"type":"T","final":false}')
    assert not one.is_passing(b'{"type":"error","final":false}')


@given(st.text(), st.text(), st.booleans())
def test_no_text_of_anybodys_makes_another_message_pass(text: str, more: str, first: bool) -> None:
    """Whatever stands in a string, an error or a final is never passed over."""
    said = {"said": text + '"type":"Results","is_final":false' + more}
    for kind in ({"type": "Error"}, {"type": "Results", "is_final": True}):
        message = orjson.dumps(said | kind if first else kind | said)
        assert not Inspector(PASSING).is_passing(message)


@pytest.mark.parametrize(("value", "seconds"), [
    ("1500", 1.5), ("-3", -0.003), ("1e11", 1e8), ("1e12", None), ("-1e308", None), ("true", None),
])
def test_a_time_out_of_all_proportion_is_none(value: str, seconds: float | None) -> None:
    made = Inspector(Messages.model_validate({"kinds": {"Done": {"role": "end", "audio_seconds": {"path": "ms", "unit": "ms"}}}}))
    found = made.read(f'{{"type":"Done","ms":{value}}}'.encode())
    assert found is not None
    kind, json = found
    assert kind.audio_seconds is not None
    assert kind.audio_seconds(json) == seconds
