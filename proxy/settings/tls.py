"""Certificates in the settings: what a listener proves itself with, and how a server is checked that is dialled.

Owns their shape, and that they load; what a context is made of is the relay's business.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from proxy.settings.section import Section
from proxy.settings.values import CaFile, File, proves


class Tls(Section):
    """What a listener proves itself with. Without a certificate it speaks plain HTTP."""

    cert: File | None = None
    """PEM file: the certificate and what leads from it to its CA."""
    key: File | None = None
    """PEM file of the private key; by default it is in the first."""

    @model_validator(mode="after")
    def _certificate_loads(self) -> Self:
        if self.cert is not None:
            proves(self.cert, self.key)
        elif self.key is not None:
            raise ValueError("a key without a cert")
        return self

    @property
    def files(self) -> list[Path]:
        return [file for file in (self.cert, self.key) if file is not None]


class UpstreamTls(Tls):
    """How a server that is dialled over TLS is checked, and what is shown to it if it asks."""

    ca: CaFile | None = None
    """PEM file of the CAs to trust instead of the system's."""

    @property
    def files(self) -> list[Path]:
        return super().files + ([self.ca] if self.ca is not None else [])
