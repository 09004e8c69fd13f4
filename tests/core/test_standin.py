"""When somebody speaks in the client's place: by the second, and never where it would harm."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.core.policy import SessionDuration
from proxy.core.standin import HEARD_SECONDS, KeepAlives, is_open, is_there, lacks_end, may_speak, says_goodbye, session_limit
from proxy.core.verdict import Side

from .caller import Call, assemblyai, deepgram, nextevi
from .playbook import PING, V1, Play, frame

PINGS = {"ping": frame(PING, b"", masked=True)}


def kept(call: Call, seconds: int, most: float = 60.0, pings: bool = True) -> list[int]:
    """In which of the next seconds keep-alives go, to a client that sends nothing but perhaps pings."""
    keeper, went = KeepAlives(call.play.session, most), []
    for second in range(1, seconds + 1):
        call.play.wait(1.0)
        if pings:
            call.play.client(PINGS["ping"])
        call.tick()
        if keeper.due(call.now):
            keeper.sent(call.now)
            went.append(second)
    return went


def test_one_goes_shortly_before_the_vendors_time_is_over() -> None:
    assert kept(deepgram().talk(1), 21) == [7, 14, 21]


def test_none_goes_while_audio_does() -> None:
    call = deepgram()
    keeper = KeepAlives(call.play.session, 60)
    for _ in range(30):
        call.talk(1)
        assert not keeper.due(call.now)


def test_the_clients_own_keep_alives_do() -> None:
    call = deepgram().talk(1)
    keeper = KeepAlives(call.play.session, 60)
    for _ in range(10):
        call.keep_alive(4)
        assert not keeper.due(call.now)


def test_never_for_longer_than_it_may() -> None:
    assert kept(deepgram().talk(1), 120) == [7, 14, 21, 28, 35, 42, 49, 56]
    assert kept(deepgram().talk(1), 120, most=20) == [7, 14]


def test_never_for_a_client_of_whom_nothing_is_heard() -> None:
    went = kept(deepgram().talk(1), 60, pings=False)
    assert went == [7, 14]
    assert went[-1] <= HEARD_SECONDS


@pytest.mark.parametrize(("call", "seconds"), [
    (lambda: assemblyai(), []),  # no inactivity_timeout
    (lambda: assemblyai(query="&inactivity_timeout=10"), [7, 14]),
    (lambda: nextevi(), [20]),  # wants one every 30 s
])
def test_by_vendor(call: Any, seconds: list[int]) -> None:
    assert kept(call().talk(1), 20) == seconds


@pytest.mark.parametrize("over", [
    lambda call: call.says(type="CloseStream"),
    lambda call: call.hears(type="Error", description="x"),
    lambda call: call.play.vendor_closes(1011),
    lambda call: call.play.client_closes(),
    lambda call: call.play.lost(Side.CLIENT),
    lambda call: call.play.session.uninspected(),
    lambda call: call.play.client(call.audio(0.1)[:50]),
])
def test_never_where_it_would_be_too_late_or_inside_a_message(over: Any) -> None:
    call = deepgram().talk(1)
    over(call)
    assert kept(call, 20, pings=False) == []


def test_an_endpoint_that_nobody_knows() -> None:
    play = Play("/nowhere").opened()
    assert not KeepAlives(play.session, 60).due(play.now + 30)
    assert session_limit(play.session, SessionDuration()) is None


def test_a_session_is_not_open_before_the_101() -> None:
    play = Play(V1)
    assert not is_open(play.session)
    assert not lacks_end(play.session)
    play.opened()
    assert is_open(play.session)
    assert lacks_end(play.session)
    assert may_speak(play.session)


@pytest.mark.parametrize(("happens", "lacks"), [
    (lambda call: call.talk(1), True),
    (lambda call: call.play.lost(Side.CLIENT), True),
    (lambda call: call.play.client_closes(), True),
    (lambda call: call.says(type="CloseStream"), False),
    (lambda call: call.hears(type="Metadata"), False),
    (lambda call: call.play.vendor_closes(), False),
    (lambda call: call.play.lost(Side.VENDOR), False),
    (lambda call: call.play.session.uninspected(), False),
])
def test_whether_a_vendor_still_waits_for_the_end(happens: Any, lacks: bool) -> None:
    call = deepgram()
    happens(call)
    assert lacks_end(call.play.session) is lacks


def test_the_limit_is_the_operators_else_a_little_less_than_the_vendors() -> None:
    call = assemblyai()
    assert session_limit(call.play.session, SessionDuration()) == pytest.approx(10800 * 0.98)
    assert session_limit(call.play.session, SessionDuration(seconds=60)) == 60
    assert session_limit(deepgram().play.session, SessionDuration()) is None


def test_what_tells_that_a_session_ended_well() -> None:
    """Typed from the wire pages."""
    for call, text in (
        (assemblyai(), b'{"type":"Termination","audio_duration_seconds":2}'), (deepgram(), b'{"type":"Metadata","duration":1.0}'),
    ):
        session = call.play.session
        assert says_goodbye(session, text)
        for other in (b'{"type":"Results"}', b'{"type":"Turn"}', b"", b"[]", b"\xff"):
            assert not says_goodbye(session, other)
    assert not says_goodbye(Play("/nowhere").session, b'{"type":"Metadata"}')


def test_between_two_streams_a_session_is_there_and_not_open() -> None:
    call = deepgram().talk(1)
    session = call.play.session
    assert is_there(session)
    assert is_open(session)
    call.says(type="CloseStream")
    assert is_there(session)
    assert not is_open(session)
    call.play.client_closes()
    assert not is_there(session)
