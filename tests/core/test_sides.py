"""Messages become facts: protobuf, audio inside messages, whole files, streams on one socket, errors that may be warnings."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

import orjson
import pytest

from proxy.core.audio import AudioFormat
from proxy.core.profile import Profile
from proxy.core.report import Report
from proxy.core.tally import AUDIO, BINARY, TEXT
from proxy.core.vendor import Vendor
from proxy.core.verdict import Noticed, Outcome, Owner, Side, Transport
from tests.core import playbook
from tests.core.playbook import COMMON, Play, frame

_AUDIO: Final = {"encoding": {"default": "linear16"}, "sample_rate": {"default": "16000"},
                 "formats": {"linear16": "pcm_s16le", "0": "pcm_s16le"}}

VENDOR: Final = Vendor(Profile.model_validate({
    "vendor": "stage",
    "title": "Stage",
    "routes": [{"path": f"/{name}", "name": name, "endpoint": name, "upstream": "https://stage.test"}
               for name in ("proto", "json", "wav", "raw")],
    "endpoints": {
        "proto": {
            "audio": _AUDIO | {"encoding": {"default": "0"}},
            "ready": "message",
            "client": {"encoding": "protobuf", "type": "1", "kinds": {
                "1": {"role": "control", "name": "configure", "declares": {"sample_rate": "2.1", "encoding": "2.3"}},
                "3": {"role": "audio", "name": "audio", "when": {"path": "4", "exists": True},
                      "audio": {"path": "4.3", "encoding": "bytes"}, "ids": {"req_id": "4.1"}},
            }},
            "server": {"encoding": "protobuf", "type": "1", "kinds": {
                "2": {"role": "ready", "name": "confirm", "ids": {"connection_id": "3.1"}},
                "4": {"role": "error", "name": "server-error", "fatal": "if_last", "when": {"path": "5", "exists": True},
                      "ids": {"req_id": "5.2"}, "server_code": "5.3", "server_detail": "5.4"},
                "5": {"role": "result", "name": "animation", "final": {"path": "6.3", "equals": 1}},
            }},
        },
        "json": {
            "audio": _AUDIO, "path_id": "connection_id", "ready": "message", "limits": {"session_seconds": 60},
            "client": {"kinds": {
                "settings": {"role": "control",
                             "declares": {"sample_rate": ["data.audio.sample_rate", "sample_rate"], "encoding": "encoding"}},
                "audio_input": {"role": "audio", "audio": {"path": "data.audio", "encoding": "base64"}},
            }},
            "server": {"kinds": {
                "hello": {"role": "ready", "ids": {"connection_id": ["data.id", "id"]}},
                "words": {"role": "result"},
                "speech": {"role": "info"},
                "error": {"role": "error", "fatal": "if_last", "server_detail": "message"},
                "bye": {"role": "disconnect", "close_code": ["code", "data.code"], "close_reason": "reason"},
            }},
        },
        "wav": {
            "audio": _AUDIO | {"each_message": "wav"}, "ready": "handshake",
            "client": {"kinds": {"start": {"role": "start"}, "stop": {"role": "end"}}},
            "server": {"kinds": {
                "words": {"role": "result", "text": "text", "final": {"path": "final", "equals": True}, "speech_end": {"path": "end"}},
                "stopped": {"role": "stopped"}, "open": {"role": "info"},
                "error": {"role": "error", "fatal": "if_last", "server_detail": "message"},
            }},
        },
        "raw": {
            "audio": _AUDIO, "ready": "handshake",
            "client": {"kinds": {"start": {"role": "start"}, "stop": {"role": "end"},
                                 "settings": {"role": "control", "declares": {"sample_rate": "rate"}}}},
            "server": {"kinds": {"words": {"role": "result", "ids": {"req_id": "rid", "connection_id": "cid"}}}},
        },
    },
    "rules": [
        {"id": "gone", "code": "GONE", "category": "idle_timeout", "hint": "Speak.",
         "when": {"close_code": 4008}, "examples": [{"close_code": 4008}]},
        {"id": "inactive", "code": "INACTIVE", "category": "billing", "hint": "Pay.", "when": {"exact": "client {id} is not active"},
         "examples": [{"close_reason": "client a is not active"}]},
        {"id": "three", "code": "THREE", "category": "invalid_request", "hint": "Ask well.", "when": {"server_code": "3"},
         "examples": [{"close_code": 4000}]},
    ],
}), COMMON)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def proto(kind: int, oneof: int, *inner: bytes) -> bytes:
    return field(1, kind) + field(oneof, b"".join(inner))


def wav_file(samples: bytes, rate: int = 16000) -> bytes:
    head = b"WAVEfmt " + (16).to_bytes(4, "little") + b"\1\0\1\0" + rate.to_bytes(4, "little") + (rate * 2).to_bytes(4, "little")
    return b"RIFF" + (36 + len(samples)).to_bytes(4, "little") + head + b"\2\0\x10\0data" + len(samples).to_bytes(4, "little") + samples


def play(endpoint: str) -> Play:
    return Play(f"/{endpoint}", vendor=VENDOR).opened()


def binary(data: bytes, masked: bool = True) -> bytes:
    return frame(playbook.BINARY, data, masked)


CONFIGURE: Final = binary(proto(1, 2, field(1, 8000)))
CONFIRM: Final = binary(proto(2, 3, field(1, "c-1")), masked=False)
SERVER_ERROR: Final = binary(proto(4, 5, field(1, "c-1"), field(2, "r-2"), field(3, 3), field(4, "bad")), masked=False)
ANIMATION: Final = binary(proto(5, 6, field(3, 1)), masked=False)


class TestProtobuf:
    def test_the_rate_is_declared_and_audio_is_a_field(self) -> None:
        session = play("proto").client(CONFIGURE).vendor(CONFIRM).client(
            binary(proto(3, 4, field(1, "r-1"), field(3, b"\0\x40" * 1600))), binary(proto(3, 4, field(1, "r-1"), field(2, 1)))).session
        assert session.audio_format == AudioFormat("pcm_s16le", 8000)
        assert session.audio.read == pytest.approx(0.2)
        assert session.clock.chunks == 1
        assert (session.connection_id, session.req_id, session.ready_at) == ("c-1", "r-1", 100.0)
        assert (session.to_vendor.frames[AUDIO], session.to_vendor.frames[BINARY]) == (1, 2)

    def test_audio_of_any_size_in_equal_frames_is_all_counted(self) -> None:
        one = binary(proto(3, 4, field(1, "r"), field(3, b"\0\x40" * 5000)))
        session = play("proto").client(*[one] * 25).session
        assert session.audio.read == pytest.approx(25 * 5000 / 16000)
        again = play("proto")
        for data in [one] * 25:
            again.client(*(data[at : at + 997] for at in range(0, len(data), 997)))
        assert again.session.audio.read == session.audio.read

    def test_ogg_is_not_timed(self) -> None:
        ogg = binary(proto(3, 4, field(3, b"OggS" * 99)))
        session = play("proto").client(binary(proto(1, 2, field(1, 24000), field(3, 1))), ogg).session
        assert (session.clock.chunks, session.audio.read, session.clock.timed) == (1, 0.0, False)

    def test_a_type_that_disagrees_with_its_field_is_left_alone(self) -> None:
        odd = binary(proto(4, 3, field(1, "no")), masked=False)
        session = play("proto").client(binary(proto(3, 5, field(3, b"\0\0" * 800)))).vendor(odd).session
        assert (session.clock.chunks, session.connection_id, session.warnings) == (0, None, {})

    @pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"{}", b"\x08\x03\x22\xff"])
    def test_what_is_no_protobuf_is_left_alone(self, data: bytes) -> None:
        session = play("proto").client(binary(data)).vendor(binary(data, masked=False)).session
        assert (session.clock.chunks, session.inspection) == (0, "full")

    def test_text_is_no_message_here(self) -> None:
        assert play("proto").says(type="1").hears(type="2").session.ready_at is None

    def test_results_of_bytes(self) -> None:
        session = play("proto").vendor(ANIMATION, ANIMATION).session
        assert (session.results.results, session.results.finals) == (2, 2)


class TestErrorsThatMayBeWarnings:
    def end(self, after: bytes = b"") -> Report:
        p = play("proto").client(CONFIGURE).vendor(CONFIRM, SERVER_ERROR).wait(1)
        return (p.vendor(after) if after else p).wait(1).client_closes(1000).vendor_closes(1000).end()

    def test_the_last_word_has_ended_the_session(self) -> None:
        report = self.end()
        assert (report.verdict.code, report.verdict.outcome, report.verdict.initiated_by) == ("THREE", Outcome.ERROR, Side.VENDOR)
        assert (report.verdict.server_detail, report.verdict.req_id, report.verdict.ended_by) == ("bad", "r-2", Side.CLIENT)

    def test_a_session_that_went_on_was_warned(self) -> None:
        p = play("proto").client(CONFIGURE).vendor(CONFIRM, SERVER_ERROR).wait(1).vendor(ANIMATION).client_closes(1000)
        assert p.session.warnings == {"server-error": 1}
        report = p.end()
        assert (report.verdict.code, report.verdict.outcome, report.verdict.initiated_by) == ("normal", Outcome.OK, Side.CLIENT)

    def test_the_first_result_after_it_takes_it_back_however_soon_it_comes(self) -> None:
        p = play("wav").says(type="start").hears(type="words", text="x", final=False).wait(0.1).hears(type="error", message="well")
        assert p.wait(0.1).hears(type="words", text="x y", final=False).session.warnings == {"error": 1}

    @pytest.mark.parametrize("after", [{"type": "open"}, {"type": "stopped"}])
    def test_a_word_about_the_socket_takes_nothing_back(self, after: dict[str, str]) -> None:
        report = play("wav").hears(type="error", message="client u-17 is not active").hears(**after).client_closes(100).end()
        assert (report.verdict.code, report.verdict.outcome, report.verdict.initiated_by) == ("INACTIVE", Outcome.ERROR, Side.VENDOR)

    @pytest.mark.parametrize(("stage", "seconds", "outcome"), [
        ("json", 4.9, Outcome.ERROR), ("json", 5.1, Outcome.OK), ("wav", 60, Outcome.ERROR)])
    def test_any_word_long_after_it_takes_it_back_but_where_it_ended_a_stream(self, stage: str, seconds: float, outcome: Outcome) -> None:
        told = play(stage).hears(type="hello").hears(type="error", message="client u-17 is not active")
        word = {"json": "speech", "wav": "open"}[stage]
        assert told.wait(seconds).hears(type=word).client_closes(1000).end().verdict.outcome is outcome

    def test_a_drop_after_it_is_its_consequence(self) -> None:
        report = play("proto").vendor(CONFIRM, SERVER_ERROR).lost(Side.VENDOR, Transport.RESET).end()
        assert (report.verdict.code, report.verdict.initiated_by) == ("THREE", Side.VENDOR)

    def test_two_of_them_are_one_failure(self) -> None:
        other = binary(proto(4, 5, field(3, 99), field(4, "later")), masked=False)
        report = play("proto").vendor(CONFIRM, SERVER_ERROR, other).vendor_closes(1011).end()
        assert (report.verdict.code, report.verdict.server_detail) == ("THREE", "bad")


class TestAudioInJson:
    def said(self, samples: bytes) -> dict[str, Any]:
        return {"type": "audio_input", "data": {"audio": b64encode(samples).decode()}}

    @pytest.mark.parametrize("size", [3200, 3199, 3198, 1])
    def test_base64_is_measured(self, size: int) -> None:
        session = play("json/conv-1").says(**self.said(b"\x40" * size)).session
        assert session.audio.read == pytest.approx(size / 32000)
        assert session.to_vendor.frames[TEXT] == 1
        assert session.connection_id == "conv-1"

    def test_both_forms_of_the_settings(self) -> None:
        for settings in ({"data": {"audio": {"sample_rate": 24000}}}, {"sample_rate": 24000}):
            session = play("json").says(type="settings", **settings).client(binary(b"\0\x40" * 2400)).session
            assert session.audio.read == pytest.approx(0.1)

    def test_silence_is_heard_in_base64(self) -> None:
        p = play("json")
        for _ in range(40):
            p.wait(0.1).says(**self.said(b"\0\0" * 1600))
        assert p.session.audio.silent > 2.5

    @pytest.mark.parametrize("audio", ["not base64 !", 7, None, ""])
    def test_what_holds_no_audio(self, audio: object) -> None:
        play("json").says(type="audio_input", data={"audio": audio}).end()

    def test_a_close_told_in_a_message(self) -> None:
        report = play("json").hears(type="bye", code=4008, reason="idle").wait(0.1).vendor_closes(1000).end()
        assert (report.verdict.code, report.verdict.close_code, report.verdict.initiated_by) == ("GONE", 4008, Side.VENDOR)
        assert (report.vendor_close and report.vendor_close.code) == 1000

    def test_a_polite_goodbye_told_in_a_message(self) -> None:
        report = play("json").hears(type="bye", code=1000).lost(Side.VENDOR).end()
        assert (report.verdict.code, report.verdict.outcome) == ("normal", Outcome.OK)

    def test_a_close_told_and_a_client_that_hangs_up(self) -> None:
        report = play("json").hears(type="bye", data={"code": 4008}).client_closes(1000).end()
        assert (report.verdict.code, report.verdict.initiated_by, report.verdict.ended_by) == ("GONE", Side.VENDOR, Side.CLIENT)


class TestWholeFiles:
    def test_the_header_is_not_audio(self) -> None:
        p = play("wav").says(type="start")
        for _ in range(12):
            p.wait(0.5).client(binary(wav_file(b"\0\x40" * 8000)))
        assert p.session.audio.read == pytest.approx(6.0)
        assert p.session.facts == {}

    def test_another_rate_than_allowed_is_noticed_and_timed(self) -> None:
        session = play("wav").says(type="start").client(binary(wav_file(b"\0\x40" * 8000, rate=8000))).session
        assert session.audio.read == pytest.approx(1.0)
        assert list(session.facts) == [Noticed.FORMAT_MISMATCH]

    def test_no_header_at_all(self) -> None:
        session = play("wav").says(type="start").client(binary(b"\0\x40" * 8000)).session
        assert (session.audio.read, list(session.facts)) == (0.0, [Noticed.FORMAT_MISMATCH])

    def test_another_container_goes_on_without_a_header(self) -> None:
        p = play("wav").says(type="start").client(binary(b"OggS" + bytes(4000)), binary(b"\0\x40" * 2000))
        assert (p.session.audio.read, p.session.facts) == (0.0, {})
        p.client(binary(wav_file(b"\0\x40" * 8000)), binary(b"\0\x40" * 2000))
        assert list(p.session.facts) == [Noticed.FORMAT_MISMATCH]


class TestStreams:
    def test_each_stream_has_a_first_result_and_positions_of_its_own(self) -> None:
        p = play("wav")
        for _ in range(2):
            p.says(type="start")
            for _ in range(4):
                p.wait(0.5).client(binary(wav_file(b"\0\x40" * 8000)))
            p.wait(0.2).hears(type="words", text="x", final=True, end=2.0).says(type="stop").wait(5)
        report = p.client_closes(1000).end()
        assert (p.session.streams, report.latency.finals) == (2, 2)
        assert report.latency.result_lag_seconds_max == pytest.approx(0.2)
        assert (report.verdict.outcome, report.verdict.initiated_by) == (Outcome.OK, Side.CLIENT)

    def test_the_first_result_of_a_stream_is_looked_at_however_soon_it_comes(self) -> None:
        p = play("wav").says(type="start").client(binary(wav_file(b"\0\x40" * 8000))).hears(type="words", text="x", final=False)
        p.says(type="stop").says(type="start").client(binary(wav_file(b"\0\x40" * 8000))).wait(0.2)
        session = p.hears(type="words", text="y", final=False, end=0.5).session
        assert session.results.first_at == p.now
        assert session.results.lag_last == pytest.approx(0.2)

    def test_an_end_message_while_an_error_is_in_doubt_is_one(self) -> None:
        p = play("wav").says(type="start").hears(type="error", message="well").wait(0.1).says(type="stop").wait(0.1)
        report = p.hears(type="words", text="x", final=True).wait(0.1).client_closes(1000).end()
        assert (report.verdict.outcome, report.verdict.initiated_by, p.session.claim.end_sent) == (Outcome.OK, Side.CLIENT, True)

    def test_an_end_message_of_the_stream_before_is_none_of_this(self) -> None:
        p = play("wav").says(type="start").hears(type="error", message="well").says(type="stop").says(type="start")
        report = p.hears(type="words", text="x", final=True).client_closes(1000).end()
        assert (report.verdict.outcome, p.session.claim.end_sent) == (Outcome.ABANDONED, False)

    def test_audio_belongs_to_the_stream_and_the_format_in_which_it_came(self) -> None:
        p = play("raw").says(type="start").client(*[binary(b"\0\x40" * 1600)] * 18).says(type="start")
        assert p._session.clock.stream_from == pytest.approx(1.8)
        p = play("raw").client(*[binary(b"\0\x40" * 1600)] * 18).says(type="settings", rate=8000).client(binary(b"\0\x40" * 1600))
        assert p.session.audio.read == pytest.approx(2.0)

    def test_the_last_id_of_results_is_kept(self) -> None:
        p = play("raw").says(type="start").hears(type="words", rid="r-1").says(type="start").hears(type="words", rid="r-2", cid="c-1")
        assert (p.session.req_id, p.session.connection_id) == ("r-2", "c-1")

    def test_an_error_that_is_taken_back_leaves_what_an_earlier_one_judged(self) -> None:
        p = play("json").hears(type="hello").hears(type="bye", code=4008).wait(1).hears(type="error", message="well").hears(type="words")
        assert (p.session.judged_at, p.session.warnings) == (100.0, {"error": 1})

    def test_leaving_an_open_stream_is_leaving_early(self) -> None:
        for messages, outcome in (([], Outcome.OK), (["start"], Outcome.ABANDONED), (["start", "stop"], Outcome.OK),
                                  (["start", "stop", "start"], Outcome.ABANDONED)):
            p = play("wav")
            for message in messages:
                p.wait(1).says(type=message)
            assert p.client_closes(1000).end().verdict.outcome is outcome, messages

    def test_a_vendor_that_stopped_listening_leaves_nothing_open(self) -> None:
        assert play("wav").says(type="start").hears(type="stopped").client_closes(1000).end().verdict.outcome is Outcome.OK

    def test_the_client_hangs_up_because_of_an_error(self) -> None:
        report = play("wav").says(type="start").hears(type="error", message="Client u-17 is not active").client_closes(100).end()
        assert (report.verdict.code, report.verdict.initiated_by, report.verdict.owner) == ("INACTIVE", Side.VENDOR, Owner.OPERATOR)
        assert "u-17" not in str(orjson.dumps(report.as_dict()))


class TestBinaryThatIsNoAudio:
    @pytest.mark.parametrize("payload", [b'{"type":"KeepAlive"}', b64encode(bytes(range(240)))])
    def test_text_is_noticed(self, payload: bytes) -> None:
        session = play("json").client(*[binary(b"\1\x40" * 1600)] * 12, binary(payload)).session
        base64_in_tenth = payload[:1] != b"{"
        assert (Noticed.TEXT_IN_AUDIO in session.facts) != base64_in_tenth  # long ones are looked at one in ten
        assert Noticed.TEXT_IN_AUDIO in play("json").client(binary(payload)).session.facts

    def test_half_a_sample_is_noticed(self) -> None:
        p = play("json").client(binary(b"\1\x40" * 1600), binary(b"\1\x40" * 1600 + b"\1")).tick()
        assert Noticed.ODD_BYTES in p.session.facts

    @pytest.mark.parametrize("before", [[], ["start"], ["keep-alive"], ["start", "audio", "stop", "start"]])
    def test_a_container_is_seen_wherever_audio_begins(self, before: list[str]) -> None:
        p = play("raw")
        for step in before:
            if step in ("start", "stop"):
                p.says(type=step)
            else:
                p.client(*[binary(b'{"type":"KeepAlive"}')] if step == "keep-alive" else [binary(b"\0\x40" * 1600)] * 13)
        p.client(binary(wav_file(b"\0\x40" * 1600))).client(*[binary(b"\0\x40" * 1600)] * 5)
        assert Noticed.CONTAINER_IN_RAW in p.session.facts

    def test_a_container_of_another_rate(self) -> None:
        session = play("json").client(binary(wav_file(b"\0\x40" * 800, rate=44100))).session
        assert set(session.facts) == {Noticed.CONTAINER_IN_RAW, Noticed.FORMAT_MISMATCH}


@pytest.mark.parametrize(("wait", "code", "outcome"), [
    (3, 1000, Outcome.ERROR), (60, 1000, Outcome.OK), (60, 1012, Outcome.ERROR), (60, 4000, Outcome.ERROR),
])
def test_an_old_error_is_no_cause_of_a_polite_end(wait: float, code: int, outcome: Outcome) -> None:
    play_ = play("proto").client(CONFIGURE).vendor(CONFIRM, SERVER_ERROR)
    report = play_.wait(wait).vendor_closes(code).end()
    assert report.verdict.outcome is outcome
    if wait > 10 and code != 4000:
        assert report.verdict.code != "THREE"
        assert play_.session.warnings == {"server-error": 1}
