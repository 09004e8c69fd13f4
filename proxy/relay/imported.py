"""aiohttp, imported so that it reads no CAs.

Theory: a library makes what it needs when it is needed. Practice: aiohttp makes two TLS contexts when it is imported, for who dials
without one, and reads the system's CAs into both (50 ms each, of the 600 after which a pod's start should have us). Here nobody dials
without one: `app.upstream_tls`. So aiohttp's own are left to trust nobody; how certificates are checked is not changed.

Runs before any other module of this package. tests/relay/test_imported.py holds both.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _reading_no_cas() -> Iterator[None]:
    """Hides for a moment what every context reads the system's CAs with; OpenSSL's own is beneath."""
    ssl.SSLContext.set_default_verify_paths = _nothing  # type: ignore[method-assign]
    try:
        yield
    finally:
        del ssl.SSLContext.set_default_verify_paths


def _nothing(self: ssl.SSLContext) -> None:
    pass


with _reading_no_cas():
    import aiohttp  # noqa: F401
