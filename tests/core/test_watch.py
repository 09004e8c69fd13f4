"""What nobody closes for: each fact has a script that causes it and one just below that does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.profile import Profile
from proxy.core.tally import SERVICE_STATES
from proxy.core.vendor import Vendor
from proxy.core.verdict import Inspection, Noticed, Side
from proxy.core.watch import READY_SECONDS
from tests.vendors.catalogue import CATALOGUE

from .playbook import BINARY, COMMON, PING, TEXT, WALL, Play, frame, tcp

LOUD, QUIET, NOISE = b"\x00\x40", b"\x00\x00", b"\x47\x01"
"""Samples: half of full scale, nothing, and the hum of a room (1 %)."""

ENDPOINT: dict[str, Any] = {
    "audio": {"encoding": {"default": "linear16"}, "sample_rate": {"default": "16000"}, "formats": {"linear16": "pcm_s16le"}},
    "ready": "handshake",
    "client": {"kinds": {"Finish": {"role": "end"}, "Alive": {"role": "keep_alive"}, "Change": {"role": "control"}}},
    "server": {"kinds": {
        "Hello": {"role": "ready", "expires_at": "expires"}, "Stopped": {"role": "stopped"},
        "Word": {"role": "result", "speech_end": {"path": "end"}},
    }},
}
TENTH = "A" * 4268
"""A tenth of a second of silence, in base64."""
REQUESTS = {"kinds": {"Audio": {
    "role": "audio", "audio": {"path": "audio", "encoding": "base64"}, "final": {"path": "last", "equals": True},
}}}
STREAMS = ENDPOINT["client"]["kinds"] | {"Start": {"role": "start"}}


def vendor(**changes: Any) -> Vendor:
    return Vendor(Profile.model_validate({
        "vendor": "acme", "title": "Acme", "endpoints": {"v": ENDPOINT | changes},
        "routes": [{"path": "/v", "name": "v", "endpoint": "v", "upstream": "https://acme.test"}],
    }), COMMON)


def play(query: str = "", **changes: Any) -> Play:
    return Play("/v" + query, vendor=vendor(**changes)).opened()


def talk(scene: Play, seconds: int, sample: bytes = LOUD, chunk: float = 0.1) -> Play:
    for _ in range(seconds):
        scene.speaks(1, chunk, sample).tick()
    return scene


def pause(scene: Play, seconds: int) -> Play:
    for _ in range(seconds):
        scene.wait(1).tick()
    return scene


def facts(scene: Play) -> set[str]:
    return set(scene.session.facts)


def served(scene: Play) -> dict[str, float]:
    return {state: round(seconds, 6) for state, seconds in zip(SERVICE_STATES, scene.tables.served, strict=True) if seconds}


SLOW_HELLO: dict[str, Any] = {"ready": "message", "limits": {"ready_seconds": 5}}
LIMITED: dict[str, Any] = {"limits": {"session_seconds": 100}}
IDLE: dict[str, Any] = {"limits": {"idle_seconds": 20}}
BY_QUERY: dict[str, Any] = {"limits": {"idle_query": "idle", "idle_seconds": 60}}
EXPIRING = {"type": "Hello", "expires": WALL + 50}

Script = Callable[[], Play]
NEAR_MISSES: list[tuple[Noticed, str, Script, Script]] = [
    (Noticed.NEVER_READY, "by the profile", lambda: pause(play(**SLOW_HELLO), 5), lambda: pause(play(**SLOW_HELLO), 4)),
    (Noticed.NEVER_READY, "by default", lambda: pause(play(ready="message"), int(READY_SECONDS)),
     lambda: pause(play(ready="message"), int(READY_SECONDS) - 1)),
    (Noticed.NEVER_READY, "hello came", lambda: pause(play(**SLOW_HELLO), 5),
     lambda: pause(pause(play(**SLOW_HELLO), 4).hears(type="Hello"), 9)),
    (Noticed.NEVER_READY, "the client speaks first",
     lambda: pause(play(**SLOW_HELLO, client={"kinds": STREAMS}).says(type="Start").tick(), 5),
     lambda: pause(play(**SLOW_HELLO, client={"kinds": STREAMS}), 60)),
    (Noticed.VENDOR_SILENT, "speech", lambda: talk(play(), 11), lambda: talk(play(), 10)),
    (Noticed.VENDOR_SILENT, "any message counts", lambda: talk(talk(play(), 9).hears(type="What"), 20),
     lambda: talk(talk(play(), 9).hears(type="What"), 10)),
    (Noticed.VENDOR_SILENT, "pongs do not", lambda: talk(talk(play(), 9).vendor(frame(PING)), 2), lambda: talk(play(), 9)),
    (Noticed.VENDOR_SILENT, "in pieces", lambda: talk(pause(talk(play(), 6), 5), 6), lambda: talk(pause(talk(play(), 5), 5), 5)),
    (Noticed.VENDOR_SILENT, "not of what came a moment ago", lambda: pause(talk(play(), 30, chunk=0.01), 1),
     lambda: pause(play().speaks(30, 1.0).wait(-30), 9)),
    (Noticed.VENDOR_SILENT, "nobody speaks", lambda: talk(play(talks_in_silence=True), 11, QUIET),
     lambda: talk(play(talks_in_silence=True), 9, QUIET)),
    (Noticed.VENDOR_SILENT, "hum", lambda: talk(play(), 11), lambda: talk(play(), 300, NOISE)),
    (Noticed.VENDOR_SILENT, "no results there", lambda: talk(play(), 11),
     lambda: talk(play(server={"kinds": {"Word": {"role": "info"}}}), 60)),
    (Noticed.VENDOR_SILENT, "after the end", lambda: talk(play(), 11), lambda: pause(talk(play(), 10).says(type="Finish"), 60)),
    (Noticed.VENDOR_SILENT, "not ready", lambda: talk(play(ready="message").hears(type="Hello"), 12),
     lambda: talk(play(ready="message"), 29)),
    (Noticed.CLIENT_SILENT, "no limit", lambda: pause(talk(play(), 2), 11), lambda: pause(talk(play(), 2), 9)),
    (Noticed.CLIENT_SILENT, "half the idle time", lambda: pause(talk(play(limits={"idle_seconds": 8}), 2), 5),
     lambda: pause(talk(play(limits={"idle_seconds": 8}), 2), 3)),
    (Noticed.CLIENT_SILENT, "kept alive", lambda: pause(pause(talk(play(), 2), 6).says(type="Alive"), 11),
     lambda: pause(pause(talk(play(), 2), 6).says(type="Alive"), 9)),
    (Noticed.CLIENT_SILENT, "pings are no life", lambda: pause(pause(talk(play(), 2), 6).client(frame(PING, masked=True)), 5),
     lambda: pause(pause(talk(play(), 2), 6).says(type="Change"), 5)),
    (Noticed.CLIENT_SILENT, "before it began", lambda: pause(talk(play(), 1), 11), lambda: pause(play(), 60)),
    (Noticed.CLIENT_SILENT, "after its end", lambda: pause(talk(play(), 1), 11), lambda: pause(talk(play(), 1).says(type="Finish"), 60)),
    (Noticed.CLIENT_SILENT, "between two streams", lambda: pause(talk(play(client={"kinds": STREAMS}).says(type="Start"), 1), 11),
     lambda: pause(talk(play(client={"kinds": STREAMS}).says(type="Start"), 1).hears(type="Stopped"), 60)),
    (Noticed.CLIENT_SILENT, "between two requests", lambda: pause(play(client=REQUESTS).says(type="Audio", audio=TENTH), 11),
     lambda: pause(play(client=REQUESTS).says(type="Audio", audio=TENTH).says(type="Audio", last=True), 60)),
    (Noticed.CLIENT_SILENT, "amid the next request",
     lambda: pause(play(client=REQUESTS).says(type="Audio", audio=TENTH, last=True).says(type="Audio", audio=TENTH), 11),
     lambda: pause(play(client=REQUESTS).says(type="Audio", audio=TENTH, last=True), 11)),
    (Noticed.NEAR_LIMIT, "by the profile", lambda: pause(play(**LIMITED), 90), lambda: pause(play(**LIMITED), 89)),
    (Noticed.NEAR_LIMIT, "by the vendor's word", lambda: pause(play().hears(**EXPIRING), 45), lambda: pause(play().hears(**EXPIRING), 44)),
    (Noticed.NEAR_LIMIT, "no limit", lambda: pause(play(**LIMITED), 90), lambda: pause(play(), 9000)),
    (Noticed.IDLE_SOON, "of audio", lambda: pause(talk(play(**IDLE), 3), 15), lambda: pause(talk(play(**IDLE), 3), 14)),
    (Noticed.IDLE_SOON, "never any audio", lambda: pause(play(**IDLE), 15), lambda: pause(play(**IDLE), 14)),
    (Noticed.IDLE_SOON, "as asked", lambda: pause(play("?idle=8", **BY_QUERY), 6), lambda: pause(play("?idle=8", **BY_QUERY), 5)),
    (Noticed.IDLE_SOON, "kept alive", lambda: pause(pause(play(**IDLE), 9).says(type="Alive"), 15),
     lambda: pause(pause(play(**IDLE), 9).says(type="Alive"), 14)),
    (Noticed.IDLE_SOON, "any message, where any counts", lambda: pause(pause(play(**IDLE), 9).says(type="Change"), 6),
     lambda: pause(pause(play(**IDLE, idle_reset="message"), 9).says(type="Change"), 14)),
    (Noticed.IDLE_SOON, "pings, where messages count", lambda: pause(pause(play(**IDLE), 9).client(frame(PING, masked=True)), 6),
     lambda: pause(pause(play(**IDLE, idle_reset="message"), 9).client(frame(PING, masked=True)), 14)),
    (Noticed.IDLE_SOON, "after the end", lambda: pause(play(**IDLE), 15), lambda: pause(play(**IDLE).says(type="Finish"), 60)),
    (Noticed.EARLY_AUDIO, "before the hello", lambda: talk(play(ready="message"), 1),
     lambda: talk(play(ready="message").hears(type="Hello"), 1)),
    (Noticed.EARLY_AUDIO, "seen after it", lambda: play(ready="message").speaks(0.1).wait(0.1).hears(type="Hello").tick(),
     lambda: play(ready="message").hears(type="Hello").speaks(0.1).tick()),
    (Noticed.EARLY_AUDIO, "there is no hello", lambda: talk(play(ready="message"), 1), lambda: talk(play(), 1)),
    (Noticed.LATE_AUDIO, "after its own end", lambda: talk(talk(play(), 2).says(type="Finish"), 1),
     lambda: pause(talk(play(), 2).says(type="Finish"), 1)),
    (Noticed.LATE_AUDIO, "in flight", lambda: play().hears(type="Stopped").speaks(1.3).tick(),
     lambda: play().hears(type="Stopped").speaks(0.9).tick()),
    (Noticed.LATE_AUDIO, "a new stream", lambda: talk(play(client={"kinds": STREAMS}).says(type="Start").says(type="Finish"), 1),
     lambda: talk(play(client={"kinds": STREAMS}).says(type="Start").says(type="Finish").says(type="Start"), 1)),
    (Noticed.ALL_ZERO_AUDIO, "zeros", lambda: talk(play(), 12, QUIET), lambda: talk(play(), 10, QUIET)),
    (Noticed.ALL_ZERO_AUDIO, "a hum", lambda: talk(play(), 12, QUIET), lambda: talk(play(), 60, NOISE)),
    (Noticed.ALL_ZERO_AUDIO, "had spoken", lambda: talk(play(), 12, QUIET), lambda: talk(talk(play(), 1), 60, QUIET)),
]
each = pytest.mark.parametrize(("fact", "why", "causes", "spares"), NEAR_MISSES, ids=lambda value: value if isinstance(value, str) else "")


@each
def test_a_fact_and_what_is_just_below_it(fact: Noticed, why: str, causes: Script, spares: Script) -> None:
    assert fact in facts(causes())
    assert fact not in facts(spares())


def test_every_fact_that_time_makes_has_its_scripts() -> None:
    by_messages = {Noticed.CONTAINER_IN_RAW, Noticed.TEXT_IN_AUDIO, Noticed.ODD_BYTES, Noticed.FORMAT_MISMATCH}
    assert {fact for fact, *_ in NEAR_MISSES} == set(Noticed) - by_messages - {Noticed.READING_STOPPED}


@each
def test_a_fact_is_told_once_and_its_time_stays(fact: Noticed, why: str, causes: Script, spares: Script) -> None:
    scene = causes()
    at, watch = scene.session.facts[fact], scene.session.watch
    assert 100 <= at <= scene.now
    assert (fact, at) in watch.news()
    talk(pause(scene, 30), 30)
    assert scene.session.facts[fact] == at
    assert fact not in dict(watch.news())
    assert watch.news() == []


def test_a_vendor_that_answers_once_in_a_while_gets_longer() -> None:
    scene = talk(play(), 9).hears(type="Word")
    assert "vendor_silent" not in facts(talk(scene, 16))
    assert "vendor_silent" in facts(talk(scene, 4))


def test_a_stall_is_no_rhythm() -> None:
    scene = talk(talk(play(), 30).hears(type="Word"), 5)
    assert served(scene)["stalled"] == 20
    talk(scene, 10)
    assert served(scene)["stalled"] == 24, "a second stall is seen as soon as the first"


def test_what_did_not_arrive_was_not_heard() -> None:
    scene = play()
    for _ in range(30):
        scene.speaks(1).tick(tcp(acked=100, queued=100_000))
    assert "vendor_silent" not in facts(scene)
    assert "vendor_silent" in facts(talk(play(), 30))


def test_what_waits_here_was_not_heard() -> None:
    scene = play()
    for _ in range(30):
        scene.speaks(1).tick(buffered=(32_000, 0))
    assert "vendor_silent" not in facts(scene)


@given(st.lists(st.tuples(st.sampled_from([QUIET, NOISE]), st.integers(0, 25), st.sampled_from(["Alive", "Change", "Start", ""]),
                          st.sampled_from(["Hello", "Word", "What", ""]), st.integers(0, 30)), max_size=8),
       st.sampled_from([None, 65535, 0]), st.sampled_from(["message", "handshake"]))
def test_a_caller_who_does_not_speak_makes_no_vendor_silent(steps: list[Any], window: int | None, ready: str) -> None:
    scene = play(ready=ready, client={"kinds": STREAMS}, limits={"idle_seconds": 30, "session_seconds": 120})
    for sample, speaks, says, hears, waits in steps:
        talk(scene, speaks, sample, 0.5)
        scene.tick(tcp(0 if window == 0 else 10**9, 10**9, window) if window is not None else None)
        scene = scene.says(type=says) if says else scene
        scene = scene.hears(type=hears) if hears else scene
        pause(scene, waits)
    assert "vendor_silent" not in facts(scene)
    assert all(100 <= at <= scene.now for at in scene.session.facts.values())
    scene.end()
    assert sum(scene.tables.served) == pytest.approx(scene.now - 100)


def test_an_hour_that_goes_well() -> None:
    scene = play(limits={"session_seconds": 10_800, "idle_seconds": 10})
    for second in range(3600):
        talk(scene, 1, LOUD if second % 60 < 30 else QUIET, 0.25)
        if second % 60 < 30:
            scene.hears(type="Word", end=second + 0.9)
    assert facts(scene) == set()
    assert served(scene) == {"good": 3600}


def test_a_muted_hour() -> None:
    scene = talk(play(limits={"session_seconds": 3600}), 3600, QUIET, 0.25)
    assert facts(scene) == {"all_zero_audio", "near_limit"}
    assert served(scene) == {"good": 3600}
    assert scene.session.facts["near_limit"] == 100 + 3240


# How it is served


def test_before_the_answer_and_before_the_hello_it_is_not_ready() -> None:
    scene = Play("/v", vendor=vendor(ready="message"))
    scene.wait(0.5).session.watch.tick(scene.now)
    scene.wait(0.25).opened().wait(1.5).hears(type="Hello").wait(0.75).tick()
    assert served(scene) == {"not_ready": 2.25, "good": 0.75}


def test_a_client_that_has_to_speak_first_keeps_itself_waiting() -> None:
    scene = pause(play(ready="message", client={"kinds": STREAMS}), 5).says(type="Start").tick()
    pause(scene, 2).hears(type="Hello")
    assert served(pause(scene, 1)) == {"good": 6, "not_ready": 2}


def test_what_is_left_of_a_second_counts() -> None:
    scene = talk(play(), 2).wait(0.25)
    scene.end()
    assert served(scene) == {"good": 2.25}


def test_a_refusal_was_never_ready() -> None:
    scene = Play("/v", vendor=vendor()).wait(0.5)
    scene.session.refused(503, {}, b"", scene.now)
    assert scene.end().facts == []
    assert served(scene) == {"not_ready": 0.5}


def test_a_silent_vendor_serves_nobody() -> None:
    scene = talk(play(), 15)
    assert served(scene) == {"good": 10, "stalled": 5}
    talk(scene.hears(type="Word"), 5)
    assert served(scene) == {"good": 15, "stalled": 5}


def test_audio_that_does_not_arrive_is_late_and_then_nowhere() -> None:
    scene = play()
    for _ in range(10):
        scene.speaks(1).tick(tcp(acked=100, queued=10_000))
    assert served(scene) == {"good": 3, "lagging": 2, "stalled": 5}


def test_a_burst_is_on_its_way_for_a_while() -> None:
    scene = talk(play(), 2).speaks(30, 1.0).wait(-29.5).tick(tcp(acked=100, queued=10_000))
    scene.wait(0.5).tick(tcp(acked=10_000, queued=10_000))
    assert served(scene) == {"good": 3}


@pytest.mark.parametrize(("behind", "state"), [(2.9, "good"), (3.1, "lagging")])
def test_results_that_come_late(behind: float, state: str) -> None:
    scene = talk(play(), 8).hears(type="Word", end=8 - behind)
    assert served(talk(scene, 2)).get(state) == (10 if state == "good" else 2)


def test_late_results_are_soon_no_news() -> None:
    scene = talk(play(), 8).hears(type="Word", end=1)
    assert served(pause(scene, 9))["lagging"] == 5


def test_a_client_far_ahead_of_real_time_waits_for_itself() -> None:
    scene = play().speaks(60, 1.0).wait(-56).hears(type="Word", end=0.5).tick()
    assert served(scene) == {"good": 4}


# What cannot be known


def test_what_was_not_seen_is_not_told() -> None:
    scene = talk(play(ready="message", limits={"idle_seconds": 5}), 1).vendor(b"\xf1\x00")
    assert scene.session.inspection is Inspection.LOST
    before = facts(scene), served(scene)
    talk(pause(scene, 60), 60)
    assert (facts(scene), served(scene)) == before


def test_a_hello_that_may_have_been_missed_is_not_awaited() -> None:
    scene = talk(play(ready="message"), 1)
    scene.session.blind(Side.VENDOR, Inspection.PARTIAL)
    pause(scene, 60)
    assert "never_ready" not in facts(scene)
    assert served(scene) == {"not_ready": 1, "good": 60}


def test_nothing_is_noticed_of_a_session_that_is_closing() -> None:
    scene = pause(talk(play(**IDLE), 2).client_closes(), 60)
    assert facts(scene) == set()


def test_a_path_without_a_profile() -> None:
    scene = talk(Play("/nowhere").opened(), 3)
    scene.client(frame(BINARY, b"", masked=True), frame(TEXT, b"{}", masked=True))
    assert facts(pause(scene, 5)) == set()


def packaged_vendor(name: str) -> Vendor:
    return Vendor(CATALOGUE.profiles[name], CATALOGUE.common)


def test_a_vendor_that_answers_elsewhere_is_not_silent_here() -> None:
    for egress, silent in ((b"", False), (b"\x28\x01", True)):
        configure = b"\x08\x01\x12" + bytes([3 + len(egress)]) + b"\x08\x80\x7d" + egress
        play = Play("/v2/driveningress/websocket?id=a", vendor=packaged_vendor("spatius")).opened()
        play.client(frame(BINARY, configure, masked=True)).vendor(frame(BINARY, b"\x08\x02\x1a\x03\x0a\x01c"))
        audio = b"\0\x40" * 1600
        inner = b"\x1a" + bytes([len(audio) & 0x7F | 0x80, len(audio) >> 7]) + audio
        message = b"\x08\x03\x22" + bytes([len(inner) & 0x7F | 0x80, len(inner) >> 7]) + inner
        for second in range(20):
            for _ in range(10):
                play.wait(0.1).client(frame(BINARY, message, masked=True))
            play.tick(tcp(second + 1, second + 1))
        assert (Noticed.VENDOR_SILENT in play.session.facts) != silent


def test_a_client_that_pauses_by_habit_is_not_called_silent() -> None:
    flux = "/v2/listen?encoding=linear16&sample_rate=24000"
    for name, path, noticed in (("nextevi", "/ws/voice/v-1?config_id=c", False), ("deepgram", flux, True)):
        play = Play(path, vendor=packaged_vendor(name)).opened().hears(type="connection_metadata").hears(type="Connected", request_id="r")
        play.client(frame(BINARY, b"\0\x40" * 2400, masked=True))
        for _ in range(40):
            play.wait(1.0).tick()
        assert (Noticed.CLIENT_SILENT in play.session.facts) is noticed


def test_a_vendor_that_answers_at_the_end_is_not_silent_before() -> None:
    for path, silent in (("/api/v2/ws/score_audio", True), ("/api/v1/ws/score_audio_plus", False)):
        play = Play(path, vendor=packaged_vendor("elsa")).opened()
        if silent:
            play.says(type="ELSA:start_stream", data={}).hears(type="ELSA:start_stream_result", data={"success": True})
        else:
            play.says(api_plan="premium").hears(status="processing", stream_id="s-1")
        samples = b"\0\x40" * 8000
        head = b"RIFF" + (36 + len(samples)).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data"
        chunk = frame(BINARY, head + len(samples).to_bytes(4, "little") + samples, masked=True)
        for second in range(20):
            play.wait(0.5).client(chunk).wait(0.5).client(chunk).tick(tcp(second + 1, second + 1))
        assert (Noticed.VENDOR_SILENT in play.session.facts) is silent


def test_the_state_at_the_last_look() -> None:
    scene = play()
    assert scene.session.watch.state == "not_ready"
    assert pause(scene, 1).session.watch.state == "good"
    assert talk(scene, 13).session.watch.state == "stalled"
    scene.session.uninspected()
    assert scene.tick().session.watch.state is None
