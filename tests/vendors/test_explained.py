"""Lines of applications' logs: a message or a name of the vendor's within words of their own."""

from __future__ import annotations

import json

import pytest

from proxy.cli import main


@pytest.mark.parametrize(("vendor", "line", "code", "owner"), [
    ("assemblyai", 'WARN got {"type":"Error","error_code":3007,"error":"Input Duration Error: Input Duration Violation: 20.0 ms. '
                   'Expected between 50 and 1000 ms"}', "3007_input_duration", "client"),
    ("assemblyai", '{"error":"Model deprecated. See docs for new model information"}', "410_deprecated", "operator"),
    ("deepgram", 'ERROR ws: {"type":"Error","err_code":"NET-0001","description":"x"}', "NET-0001", "client"),
    ("spatius", "stream failed: avatarNotFound", "avatarNotFound", "operator"),
    ("elsa", "task ended with ASRSocketTimeout", "ASRSocketTimeout", "vendor"),
    ("deepgram", "the call was {not} a success", "unclassified", "unknown"),
])
def test_lines(vendor: str, line: str, code: str, owner: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--vendor", vendor, "--frame", line, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["code"], said["owner"]) == (code, owner)
