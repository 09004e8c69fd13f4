"""How tests run coroutines: on either event loop, within a time limit, leaving no task behind. Certificates and ports for their servers."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import socket
from collections.abc import Coroutine
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proxy.relay.loops import run_on

T = TypeVar("T")

LOOPS: Final = ["asyncio", "uvloop"]
TIMEOUT_SECONDS: Final = 20.0
"""The longest that one coroutine of a test may take. Below the per-test limit, so that it is told which await hung."""

_FACTORIES: Final = {name: run_on(name) for name in LOOPS}
_FIRST_PORT: Final = 20_000
_PORT_COUNT: Final = 12_000
_PORTS: Final = (_FIRST_PORT + (os.getpid() * 97 + number) % _PORT_COUNT for number in count())
"""Each process of a test run has its own part of them."""
_TURNS_TO_FINISH: Final = 50
"""Turns of the loop that are granted to tasks which are ending already, for instance after a cancel."""


def run(main: Coroutine[Any, Any, T], loop: str = "asyncio", timeout: float = TIMEOUT_SECONDS) -> T:
    """Runs `main` to its end on a new loop and gives its result. Fails when it takes longer, or when it leaves a task running."""

    async def bounded() -> T:
        async with asyncio.timeout(timeout):
            result = await main
        await _nothing_left()
        return result

    with asyncio.Runner(loop_factory=_FACTORIES[loop]) as runner:
        return runner.run(bounded())


async def _nothing_left() -> None:
    for _ in range(_TURNS_TO_FINISH):
        if not _others():
            return
        await asyncio.sleep(0)
    raise AssertionError(f"the test left tasks running: {[task.get_coro() for task in _others()]}")


def _others() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nothing listens. Prefer port 0 where the listener can tell its port.

    It is below those that the kernel gives to whoever asks for any: nobody else gets it before its listener is there.
    """
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("they never end")


def tls_pair(folder: Path, host: str = "localhost", days: int = 1) -> tuple[str, str]:
    """Paths of a new certificate, signed by itself (so it serves as its own CA) for the host, and of its key: PEM.

    For localhost it is for 127.0.0.1 as well. `days` that it is still good for.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    address = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))] if host == "localhost" else []
    names = x509.SubjectAlternativeName([x509.DNSName(host), *address])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(cert_path), str(key_path)
