"""A table of mistakes with what is said of each; precedence; what the profiles fill in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from proxy.core.policy import Policy
from proxy.settings import ConfigError, Overrides, Settings, check, load, packaged
from tests.settings.conftest import ACME

HEAD = "profiles: [acme.yaml]\nlisteners:\n- vendor: acme\n"
"""Three lines that are right; mistakes follow from line 4 on."""

MISTAKES = [
    ("tracing: true\nmetric: {}", [
        "4: tracing: unknown key; "
        "known are admin, correlation, drain, fleet, limits, listeners, log, metrics, policy, profiles, reload, timeouts, upstream_proxy",
        "5: metric: unknown key; did you mean 'metrics'?",
    ]),
    ("  vendr: acme", ["4: listeners.0.vendr: unknown key; did you mean 'vendor'?"]),
    ("- vendor: acem\n  name: b\n  listen: 127.0.0.1:1", ["4: listeners.1.vendor: no profile 'acem'; did you mean 'acme'?"]),
    ("- listen: 127.0.0.1:1", ["4: listeners.1.vendor: is missing"]),
    ("- vendor:", ["4: listeners.1.vendor: is missing"]),
    ("- vendor: acme\n  listen: 127.0.0.1:1", ["4: listeners.1.name: a second listener with the name 'acme'"]),
    ("- vendor: acme\n  name: b", ["4: listeners.1.listen: 127.0.0.1:8199 is taken by listeners.0.listen (127.0.0.1:8199)"]),
    ("- {vendor: acme, name: b, listen: 127.0.0.1:9464}", [
        "4: listeners.1.listen: 127.0.0.1:9464 is taken by metrics.listen (127.0.0.1:9464)",
    ]),
    ("metrics: {listen: 0.0.0.0:9465}", ["1: admin.listen: 127.0.0.1:9465 is taken by metrics.listen (0.0.0.0:9465)"]),
    ("  name: a b", ["4: listeners.0.name: should match ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"]),
    ("  name: 5", ["4: listeners.0.name: should be text: write it in quotes"]),
    ("  listen: 8101", ["4: listeners.0.listen: should be HOST:PORT, such as 127.0.0.1:8101 or [::1]:8101"]),
    ("  upstream: wss://api.example.com", ["4: listeners.0.upstream: write https:// instead of wss://"]),
    ("  upstream: {live: api.example.com}", ["4: listeners.0.upstream.live: should be a URL that starts with http:// or https://"]),
    ("  upstream:\n    lives: https://api.example.com", ["5: listeners.0.upstream.lives: no such route; did you mean 'live'?"]),
    ("  tls: {cert: none.pem}", ["4: listeners.0.tls: none.pem cannot be read: no such file or directory"]),
    ("  tls: {key: none.pem}", ["4: listeners.0.tls: a key without a cert"]),
    ("  tls: {cert: 5}", ["4: listeners.0.tls.cert: should be the path of a file"]),
    ("  tls: {cert: acme.yaml}", ["4: listeners.0.tls: acme.yaml cannot be used: no PEM certificate or key in it"]),
    ("  upstream_tls: {ca: acme.yaml}", ["4: listeners.0.upstream_tls.ca: acme.yaml cannot be used: no certificate or crl found"]),
    ("  upstream_tls: {ca: ../none.pem}", ["4: listeners.0.upstream_tls.ca: none.pem cannot be read: no such file or directory"]),
    ("metrics: 5", ["4: metrics: should be a map of names to values"]),
    ("metrics: {listen: ':9464'}", [
        "4: metrics.listen: should name a host; all addresses of this machine are 0.0.0.0:9464 or [::]:9464",
    ]),
    ("admin:\n  listen: 0.0.0.0:9465", [
        "5: admin.listen: should be a loopback address, such as 127.0.0.1:9465: what stands there is for this machine alone",
    ]),
    ("correlation: {headers: x-id}", ["4: correlation.headers: should be a list"]),
    ("correlation: {headers: [x-id, Authorization]}", [
        "4: correlation.headers.1: 'Authorization' carries a secret; what stands here goes into the log",
    ]),
    ("correlation:\n  query:\n  - token", ["6: correlation.query.0: 'token' carries a secret; what stands here goes into the log"]),
    ("upstream_proxy: http://user:hidden@proxy:3128", ["4: upstream_proxy: should have no user name or password"]),
    ("timeouts: {dial: 0, handshake: .inf}", [
        "4: timeouts.dial: should be greater than 0",
        "4: timeouts.handshake: should be a finite number",
    ]),
    ("timeouts: {dial: '10', hello: 30}", [
        "4: timeouts.dial: should be a number",
        "4: timeouts.hello: unknown key; known are dial, handshake, ready",
    ]),
    ("limits: {sessions: 0, headers: 1.5, header_bytes: true}", [
        "4: limits.header_bytes: should be a whole number",
        "4: limits.headers: should be a whole number",
        "4: limits.sessions: should be greater than or equal to 1",
    ]),
    ("reload: {watch_seconds: 1.0e-6}", ["4: reload.watch_seconds: should be 0, or 0.1 at least: every look takes time of the calls"]),
    ("drain: {grace_seconds: -1}", ["4: drain.grace_seconds: should be greater than or equal to 0"]),
    ("log: {level: trace}", ["4: log.level: should be 'debug', 'info', 'warning' or 'error', not 'trace'"]),
    ("log: {level: info}\nlog: {level: trace}", [
        "5: log: stands twice, first in line 4",
        "5: log.level: should be 'debug', 'info', 'warning' or 'error', not 'trace'",
    ]),
    ("log: {level: info", ["5: did not find expected ',' or '}'"]),
]


def told(path: Path) -> list[str]:
    return [str(problem).removeprefix(f"{path}:") for problem in check(path)]


def loaded(folder: Path, text: str, env: dict[str, str] | None = None, overrides: Overrides | None = None) -> Settings:
    (folder / "settings.yaml").write_text(text)
    return load(folder / "settings.yaml", env, overrides)


def refused(folder: Path, text: str, env: dict[str, str] | None = None, overrides: Overrides | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, env, overrides)
    return [str(problem).removeprefix(f"{folder}/settings.yaml:") for problem in caught.value.problems]


@pytest.mark.parametrize(("text", "problems"), MISTAKES, ids=[text.partition("\n")[0] for text, _ in MISTAKES])
def test_mistakes(folder: Path, text: str, problems: list[str]) -> None:
    assert refused(folder, HEAD + text) == problems
    assert told(folder / "settings.yaml") == problems


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("listeners: []", ["1: listeners: should have at least one listener"]),
        ("listeners: {vendor: acme}", ["1: listeners: should be a list"]),
        ("[]", ["1: should be a map of names to values"]),
        ("profiles: [none.yaml, 5]", ["1: profiles.0: no such file or folder", "1: profiles.1: should be the path of a file"]),
        ("profiles: acme.yaml", ["1: profiles: should be a list"]),
    ],
)
def test_mistakes_at_the_top(folder: Path, text: str, problems: list[str]) -> None:
    assert refused(folder, text) == problems


def test_every_key_has_a_default_but_a_listeners_vendor(folder: Path) -> None:
    settings = loaded(folder, HEAD)
    (listener,) = settings.listeners
    assert (listener.name, listener.vendor, listener.listen) == ("acme", "acme", "127.0.0.1:8199")
    assert listener.upstream == {"live": "https://api.example.com", "next": "https://next.example.com"}
    assert (listener.tls.cert, listener.upstream_tls.ca) == (None, None)
    assert settings.model_dump(mode="json", exclude={"listeners", "profiles", "policy"}) == {
        "metrics": {"listen": "127.0.0.1:9464"},
        "admin": {"listen": "127.0.0.1:9465"},
        "correlation": {"headers": [], "query": []},
        "upstream_proxy": None,
        "timeouts": {"handshake": 10, "dial": 10, "ready": 30},
        "limits": {"sessions": None, "overload": "blind", "memory_bytes": None, "header_bytes": 65536, "headers": 256},
        "drain": {"accept_seconds": 5, "grace_seconds": 20},
        "fleet": {"url": None, "username": None, "password": None, "tls": {"ca": None, "cert": None, "key": None}, "key": None,
                  "prefix": "earwitness", "lease_seconds": 15, "check_seconds": 0.02},
        "reload": {"watch_seconds": 0},
        "log": {"level": "info", "progress_seconds": 300},
    }
    assert settings.policy == listener.policy == Policy()
    assert settings.catalogue.profiles.keys() == {"acme"}


def test_null_is_the_default_everywhere(folder: Path) -> None:
    nulls = "  {}: null\n".format(": null\n  ".join(["name", "listen", "upstream", "tls", "upstream_tls", "policy"]))
    nulls += "".join(f"{key}: null\n" for key in Settings.model_fields if key not in ("listeners", "profiles"))
    assert loaded(folder, HEAD + nulls) == loaded(folder, HEAD)


def test_settings_that_were_not_loaded_have_no_profiles() -> None:
    with pytest.raises(AttributeError, match="have no profiles"):
        Settings().catalogue  # noqa: B018


def test_upstreams(folder: Path) -> None:
    assert loaded(folder, HEAD + "  upstream: http://127.0.0.1:9000/").listeners[0].upstream == dict.fromkeys(
        ("live", "next"), "http://127.0.0.1:9000"
    )
    assert loaded(folder, HEAD + "  upstream: {next: http://127.0.0.1:9000}").listeners[0].upstream == {
        "live": "https://api.example.com",
        "next": "http://127.0.0.1:9000",
    }


def test_a_profile_without_a_port_needs_a_listen(folder: Path) -> None:
    (folder / "acme.yaml").write_text(ACME.replace("port: 8199\n", ""))
    assert refused(folder, HEAD) == ["3: listeners.0.listen: is missing; the profile has no port of its own"]
    assert loaded(folder, HEAD + "  listen: '[::1]:0'").listeners[0].listen == "[::1]:0"


def test_problems_of_profiles_stop_the_settings_that_use_them(folder: Path) -> None:
    (folder / "broken.yaml").write_text("vendor: broken")
    unused = HEAD.replace("acme.yaml", "acme.yaml, broken.yaml")
    assert loaded(folder, unused).listeners[0].vendor == "acme"
    assert f"{folder}/broken.yaml:1: title: is missing" in map(str, check(folder / "settings.yaml"))
    assert f"{folder}/broken.yaml:1: title: is missing" in refused(folder, unused + "- {vendor: broken, listen: 127.0.0.1:1}")


def test_the_environment_names_other_files_of_vendors(folder: Path) -> None:
    settings = loaded(folder, HEAD.replace("acme.yaml", "none.yaml"), {"EARWITNESS__PROFILES__0": "acme.yaml"})
    assert settings.catalogue.profiles["acme"].vendor == "acme"
    assert "environment: EARWITNESS__PROFILES__0: no such file or folder" in refused(folder, HEAD, {"EARWITNESS__PROFILES__0": "none.yaml"})


def test_two_profiles_for_one_vendor(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "acme.yaml").write_text(ACME)
    assert f"{folder}/more/acme.yaml: a second file for the vendor 'acme', after {folder}/acme.yaml" in refused(
        folder, HEAD.replace("acme.yaml", "acme.yaml, more")
    )


def test_flags_beat_environment_beats_file_beats_defaults(folder: Path) -> None:
    text = HEAD + "metrics: {listen: 127.0.0.1:1}\ndrain: {grace_seconds: 2}\nlimits: &l {sessions: 1}\n"
    env = {"EARWITNESS__METRICS__LISTEN": "127.0.0.1:3", "EARWITNESS__DRAIN__GRACE_SECONDS": "4", "EARWITNESS__ADMIN__LISTEN": "[::1]:5"}
    settings = loaded(folder, text, env, Overrides(metrics="127.0.0.1:6"))
    assert (settings.metrics.listen, settings.drain.grace_seconds, settings.admin.listen) == ("127.0.0.1:6", 4, "[::1]:5")
    assert (settings.limits.sessions, settings.drain.accept_seconds) == (1, 5)


def test_variables_reach_into_lists_and_take_yaml_scalars(folder: Path) -> None:
    env = {
        "EARWITNESS__LISTENERS__0__UPSTREAM__LIVE": "http://127.0.0.1:9000",
        "EARWITNESS__LISTENERS__0__NAME": '"5"',
        "EARWITNESS__LIMITS__SESSIONS": "null",
        "EARWITNESS__UPSTREAM_PROXY": "",
        "EARWITNESS_OTHER": "not ours",
        "PATH": "/bin",
    }
    settings = loaded(folder, HEAD + "limits: {sessions: 5}\nupstream_proxy: http://proxy:3128", env)
    assert settings.listeners[0].upstream["live"] == "http://127.0.0.1:9000"
    assert (settings.listeners[0].name, settings.limits.sessions, settings.upstream_proxy) == ("5", None, None)


def test_a_variable_changes_one_place_of_what_an_alias_shares(folder: Path) -> None:
    text = HEAD + "  tls: &tls {cert: null}\n  upstream_tls: *tls\n"
    assert refused(folder, text, {"EARWITNESS__LISTENERS__0__TLS__CERT": "5"}) == [
        "environment: EARWITNESS__LISTENERS__0__TLS__CERT: should be the path of a file"
    ]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("EARWITNESS__LIMITS__SESSIONS", "many", "should be a whole number"),
        ("EARWITNESS__LIMIT__SESSIONS", "5", "unknown key; did you mean 'limits'?"),
        ("EARWITNESS__LIMITS__SESSION", "5", "unknown key; did you mean 'sessions'?"),
        ("EARWITNESS__LIMITS", "5", "should be a map of names to values"),
        ("EARWITNESS__UPSTREAM_PROXY__URL", "x", "should be a URL, such as https://api.example.com"),
        ("EARWITNESS__LISTENERS__1__NAME", "x", "names a place in a list that the file does not have"),
        ("EARWITNESS__LISTENERS__NAME", "x", "names a place in a list that the file does not have"),
        ("EARWITNESS__POLICY" + "__RULES" * 50, "x", "nested deeper than 50"),
    ],
)
def test_mistakes_in_the_environment(folder: Path, name: str, value: str, problem: str) -> None:
    assert refused(folder, HEAD, {name: value}) == [f"environment: {name}: {problem}"]


@pytest.mark.parametrize(
    ("overrides", "problems"),
    [
        (Overrides(listen="127.0.0.1:1", upstream="http://h"), ["--listen: needs --vendor", "--upstream: needs --vendor"]),
        (Overrides(metrics="9464"), ["--metrics: should be HOST:PORT, such as 127.0.0.1:8101 or [::1]:8101"]),
        (Overrides(vendor="amce"), ["--vendor: no profile 'amce'; did you mean 'acme'?"]),
        (Overrides(vendor="acme", upstream="ws://h"), ["--upstream: write http:// instead of ws://"]),
        (Overrides(vendor="acme", listen="127.0.0.1:9464"), ["--listen: 127.0.0.1:9464 is taken by metrics.listen (127.0.0.1:9464)"]),
    ],
)
def test_mistakes_in_flags(folder: Path, overrides: Overrides, problems: list[str]) -> None:
    assert refused(folder, HEAD, None, overrides) == [f"command line: {problem}" for problem in problems]


def test_the_vendor_flag_replaces_all_listeners(folder: Path) -> None:
    text = HEAD + "  name: first\n- {vendor: nobody, listen: wrong}\n"
    (listener,) = loaded(folder, text, None, Overrides("acme", "127.0.0.1:0", "http://127.0.0.1:9000")).listeners
    assert (listener.name, listener.listen, listener.upstream["next"]) == ("acme", "127.0.0.1:0", "http://127.0.0.1:9000")
    assert loaded(folder, text, None, Overrides("acme")).listeners[0].listen == "127.0.0.1:8199"


def test_which_file(folder: Path) -> None:
    (folder / "settings.yaml").write_text(HEAD + "log: {level: error}")
    assert load(None, {"EARWITNESS_CONFIG": str(folder / "settings.yaml")}).log.level == "error"
    with pytest.raises(ConfigError, match=r"^/none\.yaml: cannot be read: no such file or directory$"):
        load(None, {"EARWITNESS_CONFIG": "/none.yaml"})


def test_the_packaged_settings_listen_for_every_packaged_vendor() -> None:
    settings = load()
    assert check(packaged() / "earwitness.yaml") == []
    assert {listener.vendor for listener in settings.listeners} == {path.stem for path in (packaged() / "vendors").glob("*.yaml")}
    for listener in settings.listeners:
        assert listener.listen == f"127.0.0.1:{settings.catalogue.profiles[listener.vendor].port}"


def test_without_listeners_there_is_one_for_each_packaged_vendor(folder: Path) -> None:
    by_vendor = {listener.vendor: listener for listener in loaded(folder, "").listeners}
    assert by_vendor == {listener.vendor: listener.model_copy() for listener in load().listeners}


def test_check_knows_profiles_and_common_rules(folder: Path) -> None:
    assert check(folder / "acme.yaml") == []
    assert check(packaged() / "common.yaml") == []
    (folder / "acme.yaml").write_text("vendor: acme\nendpoints: 5\n")
    assert "2: endpoints: should be a map of names to values" in told(folder / "acme.yaml")
    (folder / "rules.yaml").write_text("rules: 5")
    assert told(folder / "rules.yaml") == ["1: rules: should be a list"]


@pytest.mark.parametrize("text", ["", "listeners:\n", "listeners: []\n"])
def test_no_listeners_in_the_environment_are_those_of_all_vendors(folder: Path, text: str) -> None:
    """As none in the file: who sets an empty variable has not asked for a process that takes no calls."""
    settings = loaded(folder, text, {"EARWITNESS__LISTENERS": ""})
    assert {one.vendor for one in settings.listeners} == {one.vendor for one in load().listeners}


WORDS = st.sampled_from(
    ["acme", "listeners", "vendor", "listen", "profiles", "metrics", "log", "level", "tls", "127.0.0.1:1", *"[]{}:-,5~", "&a", "*a"]
)
TEXTS = st.text(max_size=80) | st.lists(WORDS | st.just("\n"), max_size=30).map(" ".join)


@given(TEXTS, st.dictionaries(st.lists(WORDS, max_size=3).map("__".join), st.text(max_size=20), max_size=2))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_loads_or_is_told_why_not(folder: Path, text: str, env: dict[str, str]) -> None:
    try:
        problems = loaded(folder, text, {f"EARWITNESS__{name.upper()}": value for name, value in env.items()}).listeners
    except ConfigError as error:
        assert all(str(problem).isprintable() for problem in error.problems)  # noqa: PT017
    else:
        assert problems


def test_no_more_listeners_than_can_be_compared(tmp_path: Path) -> None:
    """Told at once, however many there are: an alias makes sixty thousand of them out of a small file."""
    file = tmp_path / "many.yaml"
    file.write_text("log: {level: info}\nlisteners:\n  - &one {vendor: deepgram}\n" + "  - *one\n" * 60_000)
    assert [str(problem) for problem in check(file)] == [f"{file}:2: listeners: more than 256 listeners"]


def numbers(model: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The ways to every number that a model has, but for those within lists (a listener's policy is of the file's kind)."""
    for name, told in model.model_fields.items():
        if get_origin(told.annotation) is tuple:
            continue
        kinds = (told.annotation, *get_args(told.annotation))
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if inner:
            yield from numbers(inner[0], (*at, name))
        elif any("float" in str(kind) or "int" in str(kind) for kind in kinds):
            yield (*at, name)


NUMBERS = list(numbers(Settings))


@pytest.mark.parametrize("at", NUMBERS, ids=".".join)
def test_no_number_is_beyond_reckoning(tmp_path: Path, at: tuple[str, ...]) -> None:
    file = tmp_path / "numbers.yaml"
    for number in (".inf", "-.inf", ".nan", "1e308", "1e999", "9" * 300, "0x" + "f" * 200):
        file.write_text("".join(f"{{{key}: " for key in at) + number + "}" * len(at))
        problems = [str(problem) for problem in check(file)]
        assert any(problem.startswith(f"{file}:1: {'.'.join(at)}: should be ") for problem in problems), (number, problems)


def test_there_are_numbers() -> None:
    assert {("timeouts", "dial"), ("policy", "rules", "chunk_duration", "min_seconds"), ("limits", "memory_bytes")} < set(NUMBERS)
