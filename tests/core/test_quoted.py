"""What Python's websockets says of a close, read back, with the library itself as the author; and what others print."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close

from proxy.core.quoted import Quoted, bare, is_printed, quoted, reported
from proxy.core.verdict import Side, Transport

CODES = st.sampled_from([1000, 1001, 1002, 1005, 1008, 1011, 3005, 3008, 4001])
REASONS = st.sampled_from(["", "keepalive ping timeout", "Invalid JSON: {", "a; b", "See https://dpgr.am/net0001", "(again) and (again)"])


@given(CODES, REASONS, st.none() | st.tuples(CODES, REASONS), st.booleans(), st.sampled_from(["", "ConnectionClosed in _listening: "]))
def test_what_the_library_writes_is_read_back(
    code: int, reason: str, answer: tuple[int, str] | None, vendor_first: bool, before: str
) -> None:
    first, second = Close(code, reason), None if answer is None else Close(*answer)
    ends = (first, second, second and True) if vendor_first else (second, first, second and False)
    text = before + str(ConnectionClosedError(*ends))
    assert quoted(text) == Quoted(code, reason or None, Side.VENDOR if vendor_first else Side.CLIENT)
    assert quoted(repr(ConnectionClosedError(*ends))) == Quoted(code, reason or None, Side.VENDOR if vendor_first else Side.CLIENT)


@pytest.mark.parametrize(("text", "expected"), [
    ("code = 1006 (connection closed abnormally [internal]), no reason", Quoted(1006, None, None)),
    ("WebSocket connection is closed: code = 1011 (unexpected error), reason = keepalive", Quoted(1011, "keepalive", None)),
    ("no close frame received or sent", None),
    ("received 20 frames", None),
    ("sent 1011 frames", None),
    ("", None),
])
def test_other_texts(text: str, expected: Quoted | None) -> None:
    assert quoted(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("server rejected WebSocket connection: HTTP 401", 401),
    ("expected handshake response status code 101 but got 403", 403),
    ("Expected HTTP 101 response but was '400 Bad Request'", 400),
    ("HTTP error: 429 Too Many Requests", 429),
    ("WebSocket closed with code 4001: Not authorized", Quoted(4001, "Not authorized", None)),
    ("websocket: close 1011 (internal server error): no luck", Quoted(1011, "no luck", None)),
    ("{ reason: 'no luck', code: 1008, wasClean: true }", Quoted(1008, "no luck", None)),
    ("closed (code 1006)", Quoted(1006, None, None)),
    ("closed: 1006, read ECONNRESET", Transport.RESET),
    ("closed: 1011, read ECONNRESET", Quoted(1011, "read ECONNRESET", None)),
    ("getaddrinfo ENOTFOUND api.vendor.example", Transport.DNS),
    ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", Transport.TLS),
    ("[Errno 111] Connect call failed ('127.0.0.1', 443)", Transport.REFUSED),
    ("TimeoutError: timed out during opening handshake", Transport.TIMEOUT),
    ("received 4029 Client sent audio too fast", Quoted(4029, "Client sent audio too fast", Side.VENDOR)),
    ("aiohttp.client_exceptions.WSServerHandshakeError: 101, message='Invalid upgrade header', url='wss://a'", 101),
    ("Response code was not 101: 404", 404),
    ("received bad response code from server 401", 401),
    ("The HTTP response from the server [403] did not permit the HTTP upgrade to WebSocket", 403),
    ("The remote server returned an error: (401) Unauthorized.", 401),
    ("HTTPError: 503 Server Error: Service Unavailable for url: https://a", 503),
    ("Client error '401 Unauthorized' for url 'https://a'", 401),
    ("code: 1002, reason: Invalid status code received: 401 Status line: HTTP/1.1 401 Unauthorized", 401),
    ("expected status code 101 but was 401", 401),
    ("received 1011 bytes", None),
    ("received 4029 frames", None),
    ("response 200 ms after", None),
    ("connection closed 1200 ms after the last word", None),
    ("wss://vendor.example:443/v1?http=401", None),
    ("20 frames came", None),
    ("", None),
])
def test_what_other_libraries_print(text: str, expected: Quoted | int | Transport | None) -> None:
    assert reported(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("StreamingError: Bad schema", "Bad schema"), ("Error: a.b.SomeException: Bad: schema", "Bad: schema"),
    ("Unauthorized Connection: Error", "Unauthorized Connection: Error"), ("Error", "Error"), ("", ""),
])
def test_the_names_of_exceptions_are_no_words_of_the_vendors(text: str, expected: str) -> None:
    assert bare(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("{\n  type: 'Error',\n  description: 'no'\n}", True), ("{ code: 1005, reason: '' }", True), (" { error: 'no' }", True),
    ("{ type: 'Results', channel: { transcript: 'no' } }", False), ('{"type":"Error"}', False), ("{", False), ("", False),
])
def test_what_node_prints_of_an_error_is_no_message(text: str, expected: bool) -> None:
    assert is_printed(text) is expected


@pytest.mark.parametrize("part", [
    "received 1000 (", "received 1000 (OK)", "; then sent ", "code = 1000 (a), reason = ", "(",
    "ConnectionClosed(Close(code=1000, reason='", "reason ", "HTTP ", "closed ", "Error: ", "a.bError: ", "{ type: '",
])
def test_no_text_makes_it_run_away(part: str) -> None:
    text = part * (5_000_000 // len(part))
    found = quoted(text)
    assert found is None or found.code == 1000
    reported(text)
    bare(text)
    is_printed(text)


@pytest.mark.parametrize(("text", "code", "by"), [
    ("Invalid WebSocket frame: RSV1 must be clear", 1002, Side.CLIENT), ("RangeError: Max payload size exceeded", 1009, Side.CLIENT),
    ("could not decode a text frame as UTF-8", 1007, Side.CLIENT), ("Connection closed normally.", 1000, None),
])
def test_what_libraries_print_instead_of_their_codes(text: str, code: int, by: Side | None) -> None:
    assert reported(text) == Quoted(code, None, by)


def test_a_code_that_is_printed_counts_before_words() -> None:
    assert reported("received 1011: invalid opcode") == Quoted(1011, "invalid opcode", Side.VENDOR)
