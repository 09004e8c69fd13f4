"""What the vendor allows one session: how long it may last, and how long it may be idle.

Owns the joining of what the profile publishes with what the client asked for and the vendor said. It judges nothing.
"""

from __future__ import annotations

from proxy.core.known import Known


def idle_window(known: Known) -> float | None:
    """Seconds without audio after which the vendor ends a session: as the client asked, or as the profile says."""
    if known.spec is None:
        return None
    limits = known.spec.spec.limits
    asked = known.request.query.get(limits.idle_query or "", "")
    return float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 8 else limits.idle_seconds


def keep_alive_window(known: Known) -> float | None:
    """Seconds after which a keep-alive must have been sent: the idle time, or as often as the vendor wants one."""
    window = idle_window(known)
    return window if window is not None or known.spec is None else known.spec.spec.limits.keep_alive_seconds


def longest_session(known: Known) -> float | None:
    """Seconds that the vendor lets a session last: its own word for it, or the profile's."""
    if known.expires_at is not None and known.expires_at > known.wall:
        return known.expires_at - known.wall
    return known.spec.spec.limits.session_seconds if known.spec else None
