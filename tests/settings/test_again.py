"""What of settings may differ when they are read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.settings import ConfigError, Settings, compared, load, places

ONE = "listeners: [{vendor: deepgram, listen: 127.0.0.1:1}]\n"


def settings(folder: Path, text: str) -> Settings:
    file = folder / "settings.yaml"
    file.write_text(text)
    return load(file)


@pytest.mark.parametrize("text", [
    ONE,
    "listeners: [{vendor: deepgram, name: other, listen: 127.0.0.1:1, upstream: http://127.0.0.1:9}]\n",
    "listeners: [{vendor: assemblyai, listen: 127.0.0.1:1}]\n",
    ONE + "policy: {mode: enforce}\ndrain: {grace_seconds: 9}\nlog: {level: debug}\nlimits: {sessions: 3}\ntimeouts: {dial: 3, ready: 4}\n",
    ONE + "correlation: {headers: [X-Call]}\nupstream_proxy: http://127.0.0.1:3128\n",
])
def test_what_may_differ(tmp_path: Path, text: str) -> None:
    compared(settings(tmp_path, ONE), settings(tmp_path, text))


@pytest.mark.parametrize(("text", "problems"), [
    (ONE + "metrics: {listen: 127.0.0.1:2}", [
        "metrics.listen: cannot change from 127.0.0.1:9464 to 127.0.0.1:2 while the process runs: restart it"]),
    (ONE + "admin: {listen: 127.0.0.1:3}", [
        "admin.listen: cannot change from 127.0.0.1:9465 to 127.0.0.1:3 while the process runs: restart it"]),
    (ONE + "timeouts: {handshake: 3}", ["timeouts.handshake: cannot change from 10 to 3.0 while the process runs: restart it"]),
    (ONE + "limits: {headers: 7, header_bytes: 2048}", [
        "limits.header_bytes: cannot change from 65536 to 2048 while the process runs: restart it",
        "limits.headers: cannot change from 256 to 7 while the process runs: restart it"]),
    ("listeners: [{vendor: deepgram, listen: 127.0.0.1:2}]", [
        "listeners: deepgram listens at 127.0.0.1:1 still: restart the process",
        "listeners: nobody listens at 127.0.0.1:2 yet, for deepgram: restart the process"]),
    ("listeners: [{vendor: deepgram, listen: 127.0.0.1:1}, {vendor: elsa}]", [
        "listeners: nobody listens at 127.0.0.1:8105 yet, for elsa: restart the process"]),
])
def test_what_needs_a_restart(tmp_path: Path, text: str, problems: list[str]) -> None:
    """All of it is told."""
    with pytest.raises(ConfigError) as raised:
        compared(settings(tmp_path, ONE), settings(tmp_path, text))
    assert [str(problem).partition(": ")[2] for problem in raised.value.problems] == problems


def test_places_are_told_apart_where_any_port_will_do(tmp_path: Path) -> None:
    """The order in the file is nothing, but among those."""
    some = "listeners: [{vendor: deepgram, listen: 127.0.0.1:0}, {vendor: elsa, listen: 127.0.0.1:0}, {vendor: nextevi}]"
    found = {(str(address), number): listener.vendor for (address, number), listener in places(settings(tmp_path, some)).items()}
    assert found == {("127.0.0.1:0", 0): "deepgram", ("127.0.0.1:0", 1): "elsa", ("127.0.0.1:8103", 0): "nextevi"}
