"""Where the fleet's Redis is, and where its secrets stand: what is wrong is told, and no secret with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.core.policy import Scope
from proxy.settings import ConfigError, Settings, check, compared, load
from proxy.settings import fleet as module

PASSWORD = "OtterWalnut42Gravel"
KEY = "a key that is long enough"
ENV = {"FLEET_KEY": KEY, "REDIS_PASSWORD": PASSWORD, "SHORT": "short"}
GOOD = "fleet: {url: redis://redis:6379/1, key: {env: FLEET_KEY}}\n"


def loaded(folder: Path, text: str, env: dict[str, str] | None = None) -> Settings:
    file = folder / "settings.yaml"
    file.write_text(text)
    return load(file, ENV | (env or {}))


def told(folder: Path, text: str, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        loaded(folder, text, env)
    problems = [str(problem).removeprefix(f"{folder / 'settings.yaml'}:") for problem in raised.value.problems]
    assert not any(secret in problem for problem in problems for secret in ENV.values())
    return problems


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "log: {}\n")
    assert settings.fleet.url is None
    for listener in settings.listeners:
        rules = listener.policy.rules
        assert (rules.connection_rate.scope, rules.concurrency.scope) == (Scope.PROCESS, Scope.PROCESS)


def test_secrets_are_read_from_where_they_stand_and_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    text = "fleet: {url: rediss://redis, username: me, password: {file: password}, key: {env: FLEET_KEY}}\n"
    settings = loaded(tmp_path, text)
    fleet = settings.fleet
    assert fleet.key is not None
    assert fleet.password is not None
    assert (fleet.key.read(), fleet.password.read()) == (KEY, PASSWORD)
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert KEY not in shown
        assert PASSWORD not in shown
    (tmp_path / "password").write_text("another")  # as a mounted secret is
    assert fleet.password.read() == "another"
    (tmp_path / "password").unlink()
    with pytest.raises(ValueError, match=r"^the file cannot be read: no such file or directory$"):
        fleet.password.read()


@pytest.mark.parametrize(("fleet", "problem"), [
    ("url: https://redis", "1: fleet.url: should be a URL that starts with redis:// or, for TLS, rediss://"),
    (f"url: 'redis://:{PASSWORD}@redis'",
     "1: fleet.url: should have no user name or password: set username, and where the password is: password: {env: NAME}"),
    ("url: redis://redis?ssl_cert_reqs=none", "1: fleet.url: should end with the number of a database, or after host and port"),
    ("url: redis://redis/x", "1: fleet.url: should end with the number of a database, or after host and port"),
    ("url: redis://", "1: fleet.url: should name a host and, if need be, a port from 1 to 65535"),
    ("url: redis://redis:0", "1: fleet.url: should name a host and, if need be, a port from 1 to 65535"),
    ("url: 'redis://redis:99999'", "1: fleet.url: should have a port from 1 to 65535 and IPv6 addresses in brackets"),
    ("url: redis://redis",
     "1: fleet: needs a key: where the secret stands that all processes of the fleet share, {env: NAME} or {file: PATH}"),
    ("url: redis://redis, key: {env: SHORT}", "1: fleet.key: should have at least 16 characters: what can be guessed can be tried"),
    ("url: redis://redis, key: {env: NONE}", "1: fleet.key: the variable that it names is not set"),
    ("url: redis://redis, key: {file: none}", "1: fleet.key: the file cannot be read: no such file or directory"),
    ("url: redis://redis, key: {}", "1: fleet.key: should name either env, a variable, or file"),
    ("url: redis://redis, key: {env: FLEET_KEY, file: x}", "1: fleet.key: should name either env, a variable, or file"),
    ("url: redis://redis, key: {env: FLEET_KEY}, tls: {ca: x.pem}",
     "1: fleet.tls.ca: x.pem cannot be read: no such file or directory"),
    ("url: redis://redis, key: {env: FLEET_KEY}, tls: {cert: null}", None),
    ("url: redis://redis, key: {env: FLEET_KEY}, username: me", "1: fleet.username: goes with a password"),
    ("url: redis://redis, key: {env: FLEET_KEY}, lease_seconds: 0", "1: fleet.lease_seconds: should be greater than or equal to 1"),
    ("url: redis://redis, key: {env: FLEET_KEY}, check_seconds: 2", "1: fleet.check_seconds: should be less than or equal to 1"),
    ("url: redis://redis, key: {env: FLEET_KEY}, pool: 2", None),
])
def test_what_is_wrong_is_told(tmp_path: Path, fleet: str, problem: str | None) -> None:
    if problem is not None:
        assert told(tmp_path, f"fleet: {{{fleet}}}\n") == [problem]
    elif "pool" in fleet:
        [unknown] = told(tmp_path, f"fleet: {{{fleet}}}\n")
        assert unknown.startswith("1: fleet.pool: unknown key")
    else:
        loaded(tmp_path, f"fleet: {{{fleet}}}\n")


@pytest.mark.parametrize("url", ["redis://redis", "redis://10.0.0.1:6380", "rediss://redis.example.com:6379/2", "redis://[::1]:6379/0"])
def test_good_urls(url: str) -> None:
    assert module.redis_url(url) == url


def test_a_check_does_not_ask_for_an_environment_that_it_is_not_run_in(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(GOOD)
    assert check(file) == []


def test_without_the_library_it_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert told(tmp_path, GOOD) == ["1: fleet.url: needs redis-py, which is not installed: install earwitness[fleet]"]


def test_scope_fleet_needs_one(tmp_path: Path) -> None:
    rules = "policy: {rules: {concurrency: {scope: fleet, sessions: 3}}}\nlisteners: [{vendor: nextevi}]\n"
    assert told(tmp_path, rules) == [
        "1: policy.rules.concurrency: scope: fleet needs fleet.url, the Redis that the processes share"]
    loaded(tmp_path, rules + GOOD)
    loaded(tmp_path, rules.replace("scope: fleet", "scope: fleet, mode: off"))


def test_a_local_share_goes_with_it(tmp_path: Path) -> None:
    rules = "listeners: [{vendor: nextevi, policy: {rules: {concurrency: {local_share: 0.5, sessions: 3}}}}]\n"
    assert told(tmp_path, rules) == ["1: listeners.0.policy.rules.concurrency: local_share goes with scope: fleet"]


def test_what_a_vendor_moves_itself_is_not_enforced(tmp_path: Path) -> None:
    rules = "{connection_rate: {scope: fleet, mode: enforce, per_minute: 100}}"
    assert told(tmp_path, f"{GOOD}listeners: [{{vendor: assemblyai, policy: {{rules: {rules}}}}}]\n") == [
        "2: listeners.0.policy.rules.connection_rate.mode: cannot be enforced at assemblyai: "
        "with scope: fleet; it moves this limit itself, so that it can only be observed"]
    loaded(tmp_path, f"{GOOD}policy: {{rules: {rules}}}\nlisteners: [{{vendor: assemblyai}}, {{vendor: nextevi}}]\n")


def test_another_fleet_needs_a_restart(tmp_path: Path) -> None:
    old = loaded(tmp_path, GOOD)
    with pytest.raises(ConfigError) as raised:
        compared(old, loaded(tmp_path, "log: {}\n"))
    assert [str(problem).split(": ")[1] for problem in raised.value.problems] == ["fleet.key", "fleet.url"]
    assert KEY not in str(raised.value.problems)
    compared(old, loaded(tmp_path, GOOD + "policy: {rules: {concurrency: {scope: fleet, sessions: 3}}}\n"))
