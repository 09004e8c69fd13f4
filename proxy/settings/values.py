"""Addresses, origins and files: what an operator writes in one line, checked as far as it can be without a call.

Each type takes text and gives a value, or a ValueError whose words say what to write instead. Relative paths count from
the folder in the validation context (`folder`), which is the settings file's.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core.core_schema import CoreSchema, no_info_plain_validator_function, to_string_ser_schema

from proxy.core.paths import hides
from proxy.core.redact import is_sensitive

_HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
Network = IPv4Network | IPv6Network

_LISTEN: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]]*)):([0-9]{1,5})")


class Address(str):
    """Where to listen, `HOST:PORT`, with its parts. Port 0 is any that is free."""

    host: str
    port: int

    def __new__(cls, host: str, port: int) -> Address:
        self = super().__new__(cls, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        self.host, self.port = host, port
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> CoreSchema:
        return no_info_plain_validator_function(address, serialization=to_string_ser_schema())

    @property
    def is_loopback(self) -> bool:
        return self.host.lower() == "localhost" or (_is_ip(self.host) and ip_address(self.host).is_loopback)

    def clashes_with(self, other: Address) -> bool:
        """Whether both cannot be bound at once. IPv6 sockets are bound for IPv6 alone."""
        hosts = {_one_way(self.host), _one_way(other.host)}
        same_family = (":" in self.host) == (":" in other.host)
        return self.port == other.port != 0 and (len(hosts) == 1 or (same_family and not hosts.isdisjoint({"0.0.0.0", "::"})))  # noqa: S104


def address(text: object) -> Address:
    """`HOST:PORT` or `[IPv6]:PORT`; a host is a name or an IP address."""
    if isinstance(text, Address):
        return text
    match = _LISTEN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("should be HOST:PORT, such as 127.0.0.1:8101 or [::1]:8101")
    six, host, port = match[1], match[2], int(match[3])
    if port > 65535:
        raise ValueError("should have a port from 0 to 65535")
    if not six and not host:
        raise ValueError(f"should name a host; all addresses of this machine are 0.0.0.0:{port} or [::]:{port}")
    if six and not _is_ip(six):
        raise ValueError("should have an IPv6 address in its brackets")
    if host and not _HOST.fullmatch(host):
        raise ValueError("should be HOST:PORT, such as 127.0.0.1:8101 or [::1]:8101")
    return Address(six or host, port)


def loopback(where: Address) -> Address:
    if not where.is_loopback:
        raise ValueError("should be a loopback address, such as 127.0.0.1:9465: what stands there is for this machine alone")
    return where


def origin(text: object) -> str:
    """`http://host[:port]` or `https://host[:port]`, without a slash at its end."""
    if not isinstance(text, str):
        raise ValueError("should be a URL, such as https://api.example.com")
    scheme, colon, rest = text.partition("://")
    if scheme.lower() in ("ws", "wss"):
        raise ValueError(f"write {'http' if scheme.lower() == 'ws' else 'https'}:// instead of {scheme.lower()}://")
    if not colon or scheme.lower() not in ("http", "https"):
        raise ValueError("should be a URL that starts with http:// or https://")
    if "@" in rest:
        raise ValueError("should have no user name or password")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise ValueError("should have a port from 1 to 65535 and IPv6 addresses in brackets") from None
    if parts.path not in ("", "/") or "?" in text or "#" in text:
        raise ValueError("should end after host and port: path and query are the client's")
    if not (_HOST.fullmatch(host) or (":" in host and _is_ip(host))) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError("should name a host and, if need be, a port from 1 to 65535")
    return f"{scheme.lower()}://{parts.netloc}"


def network(text: object) -> Network:
    """`10.0.0.0/8`, `fd00::/8` or one address."""
    try:
        return ip_network(text if isinstance(text, str) else "")
    except ValueError:
        raise ValueError("should be an address or a network without host bits, such as 10.0.0.0/8 or ::1") from None


def prefix(text: object) -> str:
    """The beginning of paths, by whole segments, as clients write it."""
    if not isinstance(text, str) or not text.startswith("/") or "?" in text or hides(text):
        raise ValueError("should be a path that begins with a slash, without dot segments and query, such as /v1/listen")
    return text


def _one_way(host: str) -> str:
    """A host as it is compared: an address can be written in many ways, and a name in upper case."""
    name = "127.0.0.1" if host.lower() == "localhost" else host.lower().rstrip(".")
    return str(ip_address(name)) if _is_ip(name) else name


def _is_ip(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def _in_folder(text: object, info: ValidationInfo) -> Path:
    if not isinstance(text, str | Path) or not str(text) or "\0" in str(text):
        raise ValueError("should be the path of a file")
    return Path((info.context or {}).get("folder", "."), text)


def not_secret(name: str) -> str:
    """A header or query key whose value may be shown."""
    if is_sensitive(name):
        raise ValueError(f"{name!r} carries a secret; what stands here goes into the log")
    return name


def trusts(ca: Path) -> Path:
    """A file of CA certificates that loads."""
    _readable(ca)
    _loads(ca, lambda context: context.load_verify_locations(cafile=ca))
    return ca


def proves(cert: Path, key: Path | None) -> None:
    """A certificate chain and its private key that load and belong together. Without a key file it is in the first."""
    for file in (cert, key):
        if file is not None:
            _readable(file)
    # Without a password of our own OpenSSL would ask for one on the terminal.
    _loads(cert, lambda context: context.load_cert_chain(cert, key, password=lambda: b""))


def _readable(file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise ValueError(f"{file.name} cannot be read: {(error.strerror or 'no such file').lower()}") from None


def _loads(file: Path, load: Callable[[ssl.SSLContext], None]) -> None:
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except ssl.SSLError as error:
        reason = error.reason.replace("_", " ").lower() if error.reason else "no PEM certificate or key in it"
        raise ValueError(f"{file.name} cannot be used: {reason}") from None


def _text(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **schema})


_ADDRESS: Final = _text(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$")
Listen = Annotated[Address, _ADDRESS]
Loopback = Annotated[Address, AfterValidator(loopback), _ADDRESS]
Origin = Annotated[str, PlainValidator(origin), _text(pattern=r"^https?://[^/?#@\s]+/?$")]
File = Annotated[Path, PlainValidator(_in_folder), PlainSerializer(str), _text()]
CaFile = Annotated[Path, PlainValidator(_in_folder), AfterValidator(trusts), PlainSerializer(str), _text()]
Networks = Annotated[Network, PlainValidator(network), PlainSerializer(str), _text()]
Prefix = Annotated[str, PlainValidator(prefix), _text(pattern=r"^/[^?\s]*$")]
Shown = Annotated[str, AfterValidator(not_secret)]
