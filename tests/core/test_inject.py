"""What is said in somebody's place: frames that a reader of its own takes apart, and the profile's own words."""

from __future__ import annotations

import pytest

from proxy.core.inject import LONGEST_REASON, UpToClose, before_close, close_frame, said, text_frame
from tests.core.caller import VENDORS

from .playbook import BINARY, MASK, TEXT, VENDOR, close, frame


def test_a_message_is_masked_toward_a_vendor() -> None:
    assert text_frame(b'{"type":"End"}', MASK) == frame(TEXT, b'{"type":"End"}', masked=True)
    assert text_frame(b"x" * 300, b"") == frame(TEXT, b"x" * 300)


def test_a_close_has_a_code_and_a_reason() -> None:
    assert close_frame(1008, "wav where raw was declared", b"") == close(1008, "wav where raw was declared")
    assert close_frame(1000, "", MASK) == close(1000, "", masked=True)


@pytest.mark.parametrize(("reason", "kept"), [
    ("x" * 123, 123), ("x" * 124, 123), ("x" + "ä" * 80, 123), ("ä" * 80, 122), ("x" + "€" * 60, 121),
])
def test_a_reason_is_cut_between_two_characters(reason: str, kept: int) -> None:
    made = close_frame(1008, reason, b"")
    assert len(made) - 4 == kept <= LONGEST_REASON
    assert reason.startswith(made[4:].decode())


def test_what_goes_before_a_close() -> None:
    audio, text, bye = frame(BINARY, bytes(500), masked=True), frame(TEXT, b"\x88\x00", masked=True), close(1000, masked=True)
    assert before_close(audio + text + bye + b"rest") == (audio + text, bye + b"rest")
    assert before_close(bye) == (b"", bye)
    assert before_close(audio + text) == (audio + text, b"")
    assert before_close(audio + b"\xff\xff" + bye) == (audio + b"\xff\xff" + bye, b"")  # no frames: nobody knows what is a close
    assert before_close(audio[:-1]) == (audio[:-1], b"")


@pytest.mark.parametrize(("vendor", "endpoint", "end", "keep_alive"), [
    ("deepgram", "v1", b'{"type":"CloseStream"}', b'{"type":"KeepAlive"}'),
    ("deepgram", "v2", b'{"type":"CloseStream"}', None),
    ("assemblyai", "v3", b'{"type":"Terminate"}', b'{"type":"KeepAlive"}'),
    ("nextevi", "voice", None, b'{"type":"keep_alive"}'),
    ("elsa", "scripted", b'{"type":"ELSA:end_stream"}', None),
    ("elsa", "unscripted", b'{"type":"ELSA:end_stream"}', None),
    ("spatius", "ingress", None, None),
])
def test_the_packaged_vendors_own_words(vendor: str, endpoint: str, end: bytes | None, keep_alive: bytes | None) -> None:
    """Typed from the wire pages: no keep-alive where it ends the session at once, or where there is none."""
    compiled = VENDORS[vendor].endpoints[endpoint]
    assert (said(compiled, "end"), said(compiled, "keep_alive")) == (end, keep_alive)


def test_where_nothing_may_be_said() -> None:
    assert said(None, "end") is None
    assert said(VENDOR.endpoints["v1"], "end") is None


def test_up_to_a_close_whole_frames_go_on() -> None:
    """However they are cut; after the close nothing does."""
    text, ping, bye = frame(TEXT, b"\x88\x00"), frame(9, b"x"), close(1000)
    for size in (1, 2, 3, 1000):
        tail, out = UpToClose(lambda text: text == b"bye"), b""
        data = text + frame(TEXT, b"bye") + ping + text + bye + text
        for at in range(0, len(data), size):
            out += tail.feed(data[at : at + size])
        assert out == text + ping + text
        assert tail.takes_a_message
        assert tail.feed(text) == b""


def test_up_to_a_close_knows_an_open_message() -> None:
    tail, begun, more = UpToClose(lambda text: text == b"bye"), frame(TEXT, b"a", fin=False), frame(0, b"b")
    assert tail.feed(begun + frame(9) + more[:1]) == begun + frame(9)
    assert not tail.takes_a_message
    assert tail.feed(more[1:]) == more
    assert tail.takes_a_message


def test_what_is_no_frame_goes_nowhere() -> None:
    tail, text = UpToClose(lambda text: text == b"bye"), frame(TEXT, b"a")
    assert tail.feed(text + b"\xff\xff" + text) == text
    assert tail.feed(text) == b""
    assert tail.takes_a_message
