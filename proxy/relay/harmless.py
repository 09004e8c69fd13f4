"""No call ends over a fault of our own book-keeping: what watches, counts or tells is called through here."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from proxy.telemetry import log

P = ParamSpec("P")
T = TypeVar("T")


def harmless(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What it gives; None where it raised, which is logged, if at least that can be done."""
    try:
        return act(*args, **kwargs)
    except Exception as error:
        with contextlib.suppress(Exception):
            log.state("internal", logging.ERROR, error=error)
        return None
