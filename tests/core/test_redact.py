"""No key survives, wherever it is planted; what is no key stays readable; and no text takes long."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.redact import LONGEST, SENSITIVE_QUERY, is_sensitive, redact, redact_id

SHORT_KEYS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=6, max_size=40).map(lambda s: "Zq9" + s)
"""Known for keys only by the name beside them."""


def _long(draw_bytes: bytes, form: int) -> str:
    return [draw_bytes.hex(), base64.b64encode(draw_bytes).decode(), base64.urlsafe_b64encode(draw_bytes).decode()][form]


LONG_KEYS = st.builds(
    _long, st.randoms(use_true_random=False).map(lambda r: bytes(r.getrandbits(8) for _ in range(r.randint(20, 48)))), st.integers(0, 2)
)
"""Known for keys by their looks alone."""
SCHEMED_KEYS = st.from_regex(r"[A-Za-z]{1,4}[0-9]{1,3}[a-z]{1,5}[0-9][A-Za-z]{2,5}", fullmatch=True).filter(lambda key: len(key) >= 8)
"""Too short to be known without a scheme, which may have any name."""
TEXTS = st.text(max_size=60)

PLACES = [
    "Authorization: Token {}",
    "authorization: {}\r\nHost: example.com",
    "Cookie: theme=dark; session={}",
    "Sec-WebSocket-Protocol: token, {}",
    "ClientResponseError(403, url='wss://api.example.com/v1/listen?model=m&token={}')",
    "URL('https://user:{}@example.com/path')",
    "https://bucket.example.com/a.wav?X-Amz-Date=20260101&X-Amz-Signature={}",
    "GET /v1/listen?model=nova-2&api_key={}&x=1 HTTP/1.1",
    "GET /v1/listen?%74oken={} HTTP/1.1",
    "/v1/listen?next=https%3A%2F%2Fexample.com%3Ftoken%3D{}",
    "Invalid session token: {}",
    "Incorrect API key provided: {}.",
    '{{"type":"error","token":"{}"}}',
    '"{{\\"sessionKey\\": \\"{}\\"}}"',
    "<CIMultiDictProxy('Host': 'example.com', 'Authorization': 'Token {}')>",
    "((b'Host', b'example.com'), (b'X-Api-Key', b'{}'))",
    "protocols=('token', '{}')",
    "no project for key '{}'",
    "password = {}",
    "Bearer {}",
    "used oak_{} there",
    "used sk-{} there",
    "eyJ{}.eyJhIjoxfQ.c2ln",
    "webhook_auth_header_value={}&speech_model=universal",
]


@pytest.mark.parametrize("place", PLACES)
@given(key=SHORT_KEYS, before=TEXTS, after=TEXTS)
def test_a_planted_key_never_survives(place: str, key: str, before: str, after: str) -> None:
    assert key not in redact(f"{before} {place.format(key)} {after}")


@given(key=LONG_KEYS, before=TEXTS, after=TEXTS)
def test_a_long_key_needs_no_name_beside_it(key: str, before: str, after: str) -> None:
    assert key not in redact(f"{before} {key} {after}")
    assert key.rstrip("=") not in redact(f"GET /v1/listen?model={quote(key)}")


@given(scheme=st.from_regex(r"[A-Z][A-Za-z0-9-]{1,15}", fullmatch=True), key=SCHEMED_KEYS, before=TEXTS)
@pytest.mark.parametrize("place", ["got {} {} here", 'value "{} {}"', "{} {}.", "({}  {})", "{} {}", "{}: ({})", "{}:{}", "{} [{}]"])
def test_a_credential_is_known_after_any_scheme(place: str, scheme: str, key: str, before: str) -> None:
    assert key not in redact(f"{before} {place.format(scheme, key)}")


@given(key=SCHEMED_KEYS)
@pytest.mark.parametrize("place", ["{}", "{} is bad", "'{}'", "is bad ({})", "{{{}}}"])
def test_a_short_key_is_known_wherever_it_stands_alone(place: str, key: str) -> None:
    assert key not in redact(place.format(key))


@given(key=LONG_KEYS, length=st.integers(4000, 4200))
def test_a_key_that_the_cut_goes_through_goes_as_a_whole(key: str, length: int) -> None:
    # So much of it is a URL's query that what is left is short enough to show the end.
    shown = redact("https://h/?" + "x" * (length - 20) + " " + key)
    assert not any(key[:size] in shown for size in range(8, len(key)))


@given(st.text())
def test_any_text_comes_out_short_and_on_one_line(text: str) -> None:
    shown = redact(text)
    assert len(shown) <= LONGEST
    assert shown.isprintable()
    shown.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Input Duration Violation: 20.0 ms. Expected between 50 and 1000 ms",
        "See Error message for details",
        "The session token has expired",
        "Too many concurrent sessions (token bucket)",
        "request 550e8400-e29b-41d4-a716-446655440000 failed",
        "connection voice_1795182809280_esdzj4v8z failed, /ws/voice/voice_1795182809280_0q5k3",
        "no such model universal-streaming-multilingual, client_no_context_takeover",
        "Cannot connect to host example.com:443 ssl:default [Connect call failed ('127.0.0.1', 443)]",
        "ClientConnectorCertificateError at https://example.com:8443/v1/listen",
        "/v1/projects/demo/recordings/listen?model=nova-2-conversationalai&keyterm=two%20words&tag",
        "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)",
        "keywords: snow, monkeys: two",
        "got ListenV1MediaMessage on 2026-01-01T10:00:00Z from py3-none-any, cp311-manylinux2014",
        "model gpt-4o-mini-2024-07-18, nova-2-phonecall, universal-3-pro, flux-general-en, sox_ng 14.4.2",
        "Received 314.9 sec. audio in 1.312326 sec, [Errno 1094995529] at 0x7ffd, HTTP/1.1 503, OAuth2Client, RFC6455, utf-8",
        "encoding pcm_s16le at 16000Hz, ogg-opus, mp3_44100_128",
        "see https://b1c2d3e4f5.example.com/x",
        "settings: fleet.key: cannot change from None to env='KEY' file=None while the process runs: restart it",
        "r.yaml:4: fleet.key: must have at least 16 characters",
        "settings: fleet.url: cannot change from None to redis://r:6379 while the process runs: restart it",
    ],
)
def test_what_is_no_key_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Token abc def\r\nHost: x", "Authorization: ***  Host: x"),
        ("wss://u:p@h:443/v1?model=m&token=abc#x", "wss://***@h:443/v1?model=***&token=***"),
        ("http://user:pa?ss@host/", "http://***?***"),
        ("write to someone@example.com", "write to ***"),
        ("a\x00b\x1b[31mc\u202ed\ud800", "a b [31mc d "),
        ("x " * 600, "x " * 255 + "x…"),
        ("x" * 5000, ""),
    ],
)
def test_how_it_looks(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize("written", [
    "550e8400-e29b-41d4-a716-446655440000", "20260901120000_V1StGXR8_Z5j", "6f1c5a7be02d4c8896ab31fe0d77c245", "7",
    "voice_1795182809280_esdzj4v8z", "cs_01HZX3K9V7QG8M2N4P6R8T0W2Y", "urn:call:17.2",
])
def test_an_id_is_shown_as_it_is(written: str) -> None:
    assert redact_id(written) == written


@pytest.mark.parametrize("written", [
    "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln", "oak_live", "sk-live", "id Zq9x7Kp2Lm4T", "Zq9x7Kp2Lm4T\n", "a+b/Zq9x7Kp2Lm4T4Zq9x7Kp2Lm4T=",
    "a7B2" * 33, "https://h/?sig=Zq9x7Kp2Lm4T",
])
def test_what_is_more_than_an_id_is_redacted(written: str) -> None:
    assert redact_id(written) == redact(written) != written


def test_names() -> None:
    assert all(map(is_sensitive, SENSITIVE_QUERY))
    assert all(map(is_sensitive, ("client_secret", "aai_token", "X-Amz-Expires", "%74oken")))
    assert not any(map(is_sensitive, ("model", "keyterm", "keywords", "tokens", "monkey", "")))


@pytest.mark.parametrize("name", sorted(SENSITIVE_QUERY))
def test_each_sensitive_name_is_known_in_json_and_query(name: str) -> None:
    assert "hidden" not in redact(json.dumps({name: "hidden"}))
    assert "hidden" not in redact(f"a=b&{name}=hidden&c=d")


@pytest.mark.parametrize(
    "part", ["a", "a@", "eyJ", "key=", 'token"', "\\", "-", "a-", "Aa", "?a=?", "a=%3F&", "x-amz-", "token ", "://", "sk-", '"', "token="]
)
def test_no_text_makes_it_run_away(part: str) -> None:
    # Ten million characters: done by the per-test limit only if what is looked at is bounded and each search linear.
    text = part * (10_000_000 // len(part))
    for shown in (redact(text), redact("token" + text), redact("/?" + text)):
        assert len(shown) <= LONGEST
