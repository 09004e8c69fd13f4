"""From the ledger and the open sessions to rows of numbers, only when somebody asks.

Owns the adding up. It changes nothing in the ledger or in a session. It runs on the event loop, between frames: that is why
open sessions are added up column by column, and what follows comes in parts. All numbers but those of histograms are of one moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

from proxy.core.tally import FRAME_TYPES, SERVICE_STATES, Histogram, Tables, Traffic
from proxy.telemetry.catalogue import AUDIO_STAGES, DIRECTIONS, PREFIX, SIGNALS
from proxy.telemetry.exposition import Exposition, Labels, Rows, content_type
from proxy.telemetry.ledger import Carried, Ledger, Place, Session


class Metrics:
    """Answers scrapes. `parts` is all that a handler of `/metrics` needs."""

    def __init__(self, ledger: Ledger, version: str, dropped: Mapping[str, Callable[[], int]] | None = None) -> None:
        """`dropped` tells of each of `catalogue.SIGNALS` how much of it was lost."""
        self._ledger = ledger
        self._version = version
        self._dropped = dropped or {}
        self._exposition = Exposition()

    def render(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, for the value of an `Accept` header (or an empty string)."""
        parts, kind = self.parts(accept)
        return b"".join(parts), kind

    def parts(self, accept: str) -> tuple[Iterator[bytes], str]:
        """The same, a few milliseconds' work in parts: whoever joins them may let others run in between."""
        rows = {name: list(values) for name, values in self.rows().items()}
        return self._exposition.parts(rows, accept, {PREFIX + "errors_total": dict(self._ledger.examples)}), content_type(accept)

    def rows(self) -> Mapping[str, Rows]:
        """Label values and value of every series, by metric."""
        book, sums = self._ledger, _Sums(self._ledger)
        rows: dict[str, Rows] = {
            "sessions_started_total": book.started_total.items(),
            "sessions_active": book.active.items(),
            "sessions_ended_total": book.ended_total.items(),
            "errors_total": book.errors.items(),
            "warnings_total": book.warnings.items(),
            "requests_rejected_total": book.rejections.items(),
            "stalls_total": book.stalls.items(),
            "service_seconds_total": [((*place, state), seconds) for place, tables in book.tables_of.items()
                                      for state, seconds in zip(SERVICE_STATES, tables.served, strict=True)],
            "claims_checked_total": book.claims.items(),
            "http_requests_total": book.requests.items(),
            "http_errors_total": book.request_errors.items(),
            "policy_actions_total": book.actions.items(),
            "policy_shadow_total": book.shadows.items(),
            "policy_delay_seconds": book.delays.items(),
            "policy_debt_seconds": sums.debt.items(),
            "dial_seconds": book.dials.items(),
            "session_seconds": book.durations.items(),
            "event_loop_lag_seconds": [((), book.lag)],
            "overloaded": [((), int(book.overloaded))],
            "buffered_bytes": [((direction,), waiting) for direction, waiting in zip(DIRECTIONS, sums.buffered, strict=True)],
            "audio_lead_seconds": sums.lead.items(),
            "undelivered_seconds": sums.undelivered.items(),
            "inspection_errors_total": book.inspection_errors.items(),
            "sessions_uninspected_total": book.uninspected.items(),
            "fleet_fallbacks_total": book.fallbacks.items(),
            "telemetry_dropped_total": [((signal,), self._dropped[signal]() if signal in self._dropped else 0) for signal in SIGNALS],
            "config_last_reload_successful": [((), int(book.settings_good))],
            "config_last_reload_timestamp_seconds": [((), book.settings_at)],
            "build_info": [((self._version,), 1)],
            "error_info": book.error_info.items(),
            **_traffic(sums.carried),
            **_histograms(book.tables_of),
        }
        return {PREFIX + name: values for name, values in rows.items()}


class _Sums:
    """What finished and open sessions carried together, and how open ones stand. Built in one go, so that it agrees with itself."""

    def __init__(self, ledger: Ledger) -> None:
        groups: dict[tuple[str, str], list[Session]] = {place: [] for place in ledger.finished}
        for session, (listener, vendor, _) in ledger.open.values():
            groups.setdefault((listener, vendor), []).append(session)
        self.carried: dict[tuple[str, str], Carried] = {}
        self.lead: dict[Labels, float] = {}
        self.debt: dict[Labels, float] = {}
        self.undelivered: dict[Labels, float] = {}
        self.buffered = [0, 0]
        for place, sessions in groups.items():
            key = (place[1],)
            self.carried[place] = _carried(ledger.finished.get(place), sessions)
            self.lead[key] = max(self.lead.get(key, 0.0), *[s.lead_seconds for s in sessions], 0.0)
            self.debt[key] = max(self.debt.get(key, 0.0), *[s.held_seconds for s in sessions], 0.0)
            self.undelivered[key] = self.undelivered.get(key, 0.0) + sum([s.undelivered_seconds for s in sessions])
            self.buffered = [sum(column) for column in zip(self.buffered, *[s.buffered for s in sessions], strict=True)]


def _carried(finished: Carried | None, sessions: list[Session]) -> Carried:
    total = Carried()
    before = [finished] if finished is not None else []
    total.to_vendor = _sum_traffic([c.to_vendor for c in before] + [s.to_vendor for s in sessions])
    total.to_client = _sum_traffic([c.to_client for c in before] + [s.to_client for s in sessions])
    audio = [c.audio for c in before] + [s.audio for s in sessions]
    for stage in (*AUDIO_STAGES, "silent"):
        setattr(total.audio, stage, sum([getattr(a, stage) for a in audio]))
    return total


def _sum_traffic(parts: list[Traffic]) -> Traffic:
    """Of at least one."""
    total = Traffic()
    total.frames = [sum(column) for column in zip(*[part.frames for part in parts], strict=True)]
    total.bytes = [sum(column) for column in zip(*[part.bytes for part in parts], strict=True)]
    return total


def _traffic(carried: Mapping[tuple[str, str], Carried]) -> dict[str, Rows]:
    """Frames, bytes and silence by vendor, which several listeners may share; audio by listener."""
    vendors: dict[str, list[Carried]] = defaultdict(list)
    for (_, vendor), one in carried.items():
        vendors[vendor].append(one)
    frames: list[tuple[Labels, float]] = []
    sizes: list[tuple[Labels, float]] = []
    for vendor, parts in vendors.items():
        totals = _sum_traffic([one.to_vendor for one in parts]), _sum_traffic([one.to_client for one in parts])
        for direction, traffic in zip(DIRECTIONS, totals, strict=True):
            frames += [((vendor, direction, kind), n) for kind, n in zip(FRAME_TYPES, traffic.frames, strict=True)]
            sizes += [((vendor, direction, kind), n) for kind, n in zip(FRAME_TYPES, traffic.bytes, strict=True)]
    return {
        "frames_total": frames,
        "frame_bytes_total": sizes,
        "audio_seconds_total": [((*place, stage), getattr(one.audio, stage)) for place, one in carried.items() for stage in AUDIO_STAGES],
        "audio_silent_seconds_total": [((vendor,), sum(one.audio.silent for one in parts)) for vendor, parts in vendors.items()],
    }


def _histograms(tables_of: Mapping[Place, Tables]) -> dict[str, Rows]:
    """And what else is in the tables. Several listeners may share a vendor."""
    endpoints: dict[Labels, list[Tables]] = defaultdict(list)
    vendors: dict[Labels, list[Tables]] = defaultdict(list)
    for (_, vendor, endpoint), tables in tables_of.items():
        endpoints[vendor, endpoint].append(tables)
        vendors[vendor,].append(tables)

    def by(parts_of: Mapping[Labels, list[Tables]], pick: Callable[[Tables], Histogram], *more: str) -> list[tuple[Labels, Histogram]]:
        return [((*labels, *more), _sum_histograms(list(map(pick, parts)))) for labels, parts in parts_of.items()]

    return {
        "ready_seconds": by(endpoints, lambda tables: tables.ready),
        "first_result_seconds": by(endpoints, lambda tables: tables.first_result),
        "result_lag_seconds": [*by(endpoints, lambda tables: tables.interim_lag, "interim"),
                               *by(endpoints, lambda tables: tables.final_lag, "final")],
        "results_total": [*[((*labels, "interim"), sum(tables.interims for tables in parts)) for labels, parts in endpoints.items()],
                          *[((*labels, "final"), sum(tables.finals for tables in parts)) for labels, parts in endpoints.items()]],
        "audio_chunk_seconds": by(vendors, lambda tables: tables.chunk),
        "audio_gap_seconds": by(vendors, lambda tables: tables.gap),
        "audio_rate_ratio": by(vendors, lambda tables: tables.rate),
    }


def _sum_histograms(parts: list[Histogram]) -> Histogram:
    total = Histogram(parts[0].bounds)
    for part in parts:
        total.add(part)
    return total
