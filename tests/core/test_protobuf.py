"""The tag walker against the real library, and against anything else."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.audio import HEAD_BYTES
from proxy.core.protobuf import HEAD, LONGEST, Leaf, Piece, tree, walk

_TYPES = {"int32": 5, "string": 9, "bytes": 12, "bool": 8, "double": 1, "fixed32": 7, "message": 11}
_SCHEMA = {
    "Inner": [("code", 3, "int32"), ("text", 4, "string"), ("audio", 5, "bytes"), ("on", 6, "bool"), ("ratio", 7, "double")],
    "Outer": [("kind", 1, "int32"), ("hash", 2, "fixed32"), ("inner", 4, "message"), ("far", 1000, "string")],
}


def _made() -> Any:
    """A message class of the real library, from a schema written here."""
    file = descriptor_pb2.FileDescriptorProto(name="walker.proto", package="walker", syntax="proto3")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            message.field.add(name=field, number=number, label=1, type=_TYPES[kind],
                              type_name=".walker.Inner" if kind == "message" else None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("walker.Outer"))


OUTER = _made()
WANTED = tree(["1", "1000", "4.3", "4.4", "4.6"], ["4.5"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def outer(**fields: Any) -> bytes:
    inner = {name: fields.pop(name) for name in ("code", "text", "audio", "on", "ratio") if name in fields}
    message = OUTER(**fields)
    if inner:
        message.inner.SetInParent()
        for name, value in inner.items():
            setattr(message.inner, name, value)
    return bytes(message.SerializeToString())


@given(kind=st.integers(-(2**31), 2**31 - 1), hash=st.integers(0, 2**32 - 1), far=TEXTS, code=st.integers(-(2**31), 2**31 - 1), text=TEXTS,
       audio=st.binary(max_size=600), on=st.booleans(), ratio=st.floats(allow_nan=False))
def test_what_the_real_library_writes_is_read(**fields: Any) -> None:
    found = walk(outer(**fields), WANTED)
    assert found is not None
    inner = found.get(4, {})
    assert found.get(1, 0) == found.get("1", 0) == fields["kind"]
    assert found.get("1000", "") == fields["far"]
    assert (inner.get(3, 0), inner.get(4, ""), inner.get(6, 0)) == (fields["code"], fields["text"], fields["on"])
    assert inner.get(5, Piece(0, b"")) == Piece(len(fields["audio"]), fields["audio"][:HEAD_BYTES])
    assert 7 not in inner  # not asked for


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_are_read_or_refused(data: bytes, more: int) -> None:
    found = walk(data, WANTED, len(data) + more)
    assert found is None or all(found[key] is found[str(key)] for key in found if isinstance(key, int))


@given(st.lists(st.sampled_from([b"\x08", b"\x22", b"\x05", b"\x18\x07", b"\x80\x01", b"\xff", b"\x00", b"\x2a\x02hi"]), max_size=12))
def test_what_both_can_read_they_read_alike(parts: list[bytes]) -> None:
    data, message = b"".join(parts), OUTER()
    try:
        message.ParseFromString(data)
    except Exception:  # its own error, of one of several implementations
        return
    found = walk(data, WANTED)
    if found is not None and isinstance(found.get(1, 0), int):
        assert (found.get(1, 0) - message.kind) % 2**32 == 0  # the library cuts an int32 that is too long


def test_the_beginning_of_a_long_message_tells_how_long_its_audio_is() -> None:
    data = outer(kind=3, text="r-1", audio=b"\1\2" * 4000)
    found = walk(data[:100], WANTED, len(data))
    assert found is not None
    assert found[4][5] == Piece(8000, (b"\1\2" * 50)[: len(found[4][5].head)])
    assert walk(data[:100], WANTED) is None  # a whole message cannot hold more than itself


def test_no_more_than_the_beginning_is_looked_at_however_much_there_is() -> None:
    """What was compressed comes whole, and a kilobyte of it may be a megabyte of fields."""
    last = b"\x08\x2a"
    wanted = tree(["1"])
    assert walk(b"\x10\x01" * 500 + last, wanted) == {1: 42, "1": 42}
    assert walk(b"\x10\x01" * (HEAD // 2) + last, wanted) == {}
    assert walk(b"\x10\x01" * 500_000 + last, wanted) == {}


def test_a_long_text_is_cut_and_need_not_be_utf_8() -> None:
    found = walk(outer(kind=1, text="x" * 2000), WANTED)
    assert found is not None
    assert found[4][4] == "x" * LONGEST
    broken = walk(b"\x22\x05\x22\x03\xff\xfea", WANTED)
    assert broken is not None
    assert broken[4][4].endswith("a")


def test_the_last_of_several_counts_and_parts_are_joined() -> None:
    found = walk(b"\x08\x01\x08\x02" + outer(code=7) + outer(text="later"), WANTED)
    assert found is not None
    assert (found[1], found[4][3], found[4][4]) == (2, 7, "later")


def test_an_empty_message_inside_is_there() -> None:
    found = walk(b"\x22\x00", WANTED)
    assert found is not None
    assert found["4"] == {}


@pytest.mark.parametrize("data", [
    b"\x00\x01",  # field 0
    b"\x0b",  # a group
    b"\x0f\x01",  # wire type 7
    b"\x08" + b"\xff" * 10 + b"\x01",  # a varint of eleven bytes
    b"\x22\x05\x08\x01",  # longer than what holds it
    b"\x22\x03\x22\x04abc",
])
def test_what_is_no_protobuf(data: bytes) -> None:
    assert walk(data, WANTED) is None


def test_paths_make_a_tree() -> None:
    assert tree(["1", "4.3", "4.1"], ["4.2"]) == {1: Leaf.VALUE, 4: {3: Leaf.VALUE, 1: Leaf.VALUE, 2: Leaf.BYTES}}
    assert tree(["5", "5.3"]) == {5: {3: Leaf.VALUE}}
    for path in ("", "a", "0", "4..1", "-1", "536870912"):
        with pytest.raises(ValueError, match="field number"):
            tree([path])
