"""`fleet` of the settings: where Redis is, and what all processes of a fleet have in common.

Owns the shape, and the reading of secrets, which stand in a variable or a file and never in the settings themselves: neither a check
nor an error nor a page can show them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, model_validator

from proxy.settings.section import Section
from proxy.settings.tls import UpstreamTls
from proxy.settings.values import File

LEAST_SECRET: Final = 16
"""Characters. What can be guessed can be tried against the hashes."""
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})")


class Secret(Section):
    """Where a secret stands: a variable of the environment, or a file, whose last line end does not count."""

    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    file: File | None = None

    _env: Mapping[str, str] | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _is_there(self, info: ValidationInfo) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("should name either env, a variable, or file")
        self._env = (info.context or {}).get("env")
        if self.env is not None and self._env is None:
            return self  # whoever only checks a file has another environment than whoever runs with it
        if not self.read():
            # Which variable, the line says: what stands where its name should may be the secret itself.
            raise ValueError("the variable that it names is not set" if self.env else "the file is empty")
        return self

    def read(self) -> str:
        """As it stands there now. Raises ValueError, without a word of it."""
        if self.file is None:
            return (self._env or {}).get(self.env or "", "")
        try:
            return self.file.read_text("utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the file cannot be read: {(getattr(error, 'strerror', None) or 'not UTF-8').lower()}") from None


def redis_url(text: str) -> str:
    """`redis://host[:port][/database]`, or `rediss://` for TLS. What is wrong is told without what was written: it may be a password."""
    scheme, colon, rest = text.partition("://")
    if not colon or scheme not in ("redis", "rediss"):
        raise ValueError("should be a URL that starts with redis:// or, for TLS, rediss://")
    if "@" in rest:
        raise ValueError("should have no user name or password: set username, and where the password is: password: {env: NAME}")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("should have a port from 1 to 65535 and IPv6 addresses in brackets") from None
    if parts.query or parts.fragment or not re.fullmatch(r"/?[0-9]{0,5}", parts.path):
        raise ValueError("should end with the number of a database, or after host and port")
    if port == 0 or not (_NAME.fullmatch(host) or _is_six(host)):
        raise ValueError("should name a host and, if need be, a port from 1 to 65535")
    return text


def _is_six(host: str) -> bool:
    try:
        return ":" in host and bool(ip_address(host))
    except ValueError:
        return False


def _installed(url: str | None, info: ValidationInfo) -> str | None:
    if url is not None and "env" in (info.context or {}) and find_spec("redis") is None:
        raise ValueError("needs redis-py, which is not installed: install earwitness[fleet]")
    return url


class Fleet(Section):
    """Limits of an account that all processes with the same Redis hold together. Off without a url."""

    url: Annotated[
        Annotated[str, AfterValidator(redis_url), Field(pattern=r"^rediss?://[^@?#\s]+$")] | None, AfterValidator(_installed)] = None
    """redis://host:6379/0, or rediss:// for TLS; without user name and password."""
    username: Annotated[str, Field(min_length=1)] | None = None
    password: Secret | None = None
    """Where the password of Redis stands. A file is read again at each connection."""
    tls: UpstreamTls = UpstreamTls()
    key: Secret | None = None
    """Where the secret stands under which credentials are hashed: the same for all of the fleet, 16 characters at least."""
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$")] = "earwitness"
    """With which every key in Redis begins."""
    lease_seconds: Annotated[float, Field(ge=1, le=300, strict=True)] = 15.0
    """After which the slots of a process that has died are free. They are renewed three times in that time."""
    check_seconds: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.02
    """The longest that a new session waits for an answer. Then it goes on, and is counted."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.url is None:
            return self
        if self.key is None:
            raise ValueError("needs a key: where the secret stands that all processes of the fleet share, {env: NAME} or {file: PATH}")
        try:
            length = len(self.key.read())
        except ValueError as error:
            raise ValueError(f"key: {error}") from None
        if self.key._env is not None and length < LEAST_SECRET:
            raise ValueError(f"key: should have at least {LEAST_SECRET} characters: what can be guessed can be tried")
        if self.tls.model_fields_set and not self.url.startswith("rediss:"):
            raise ValueError("tls: goes with a url that starts with rediss://")
        if self.username is not None and self.password is None:
            raise ValueError("username: goes with a password")
        return self
