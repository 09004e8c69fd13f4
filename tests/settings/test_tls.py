"""Certificates that load and those that do not, wherever the settings name one."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.settings.tls import Tls, UpstreamTls
from tests.settings.test_load import HEAD, loaded, refused


@pytest.fixture
def pems(folder: Path) -> Path:
    """`one.pem` holds a key and its certificate, `other.pem` a key alone, `locked.pem` one under a password."""
    for name in ("one", "other"):
        key = ec.generate_private_key(ec.SECP256R1())
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        if name == "one":
            who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.com")])
            start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
            cert = x509.CertificateBuilder(who, who, key.public_key(), 1, start, start + datetime.timedelta(365)).sign(key, hashes.SHA256())
            text += cert.public_bytes(serialization.Encoding.PEM)
            locked = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"hidden")
            )
            (folder / "locked.pem").write_bytes(locked)
        (folder / f"{name}.pem").write_bytes(text)
    return folder


def test_certificates_that_load(pems: Path) -> None:
    tls = "  tls: {cert: one.pem}\n  upstream_tls: {ca: one.pem, cert: one.pem, key: one.pem}"
    (listener,) = loaded(pems, HEAD + tls).listeners
    assert listener.tls.cert == listener.upstream_tls.ca == pems / "one.pem"


@pytest.mark.parametrize(
    ("tls", "problem"),
    [
        ("{cert: one.pem, key: other.pem}", "one.pem cannot be used: key values mismatch"),
        ("{cert: other.pem}", "other.pem cannot be used: no PEM certificate or key in it"),
        ("{cert: one.pem, key: none.pem}", "none.pem cannot be read: no such file or directory"),
    ],
)
def test_certificates_that_do_not(pems: Path, tls: str, problem: str) -> None:
    assert refused(pems, f"{HEAD}  tls: {tls}") == [f"4: listeners.0.tls: {problem}"]


def test_a_key_under_a_password_is_refused_and_asks_nobody(pems: Path) -> None:
    (problem,) = refused(pems, HEAD + "  tls: {cert: one.pem, key: locked.pem}")
    assert problem.startswith("4: listeners.0.tls: one.pem cannot be used: ")


def test_files_are_those_that_are_named(pems: Path) -> None:
    one, other = pems / "one.pem", pems / "other.pem"
    assert Tls().files == UpstreamTls().files == []
    assert Tls(cert=one).files == [one]
    assert UpstreamTls(cert=one, ca=one).files == [one, one]
    assert UpstreamTls.model_construct(cert=one, key=other).files == [one, other]
