"""From a session that is over to its one report.

Owns nothing but the joining: outcome and meaning (ending), what was said (claim), what was measured (clocks, delivery).
Every string of a peer's goes through redaction here, and nowhere else, on its way out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from proxy.core.ending import FULL_LENGTH, SeenClose, outcome_of
from proxy.core.examine import examine
from proxy.core.limits import longest_session
from proxy.core.report import AudioReport, Close, Evidence, Fact, LatencyReport, Report, SelfReport, utc
from proxy.core.session import Session
from proxy.core.tally import FRAME_TYPES, Traffic
from proxy.core.vendor import Discretion, Request, Vendor
from proxy.core.verdict import Side, Verdict


def report_of(session: Session, now: float, correlation: Mapping[str, Sequence[str]] | None = None) -> Report:
    """The report at `now`. `correlation` has the header and query names whose values are the application's own ids."""
    session.settle()
    session.watch.tick(now)
    shown = session.vendor_profile.discretion(session.request)
    verdict, evidence = _verdict(session, now, shown)
    return Report(
        session_id=session.session_id,
        listener=session.listener,
        trace_id=session.trace.trace_id,
        span_id=session.trace.span_id,
        started_at=utc(session.wall),
        ready_at=_at(session, session.ready_at),
        ended_at=utc(session.wall + now - session.started_at),
        duration_seconds=round(now - session.started_at, 3),
        verdict=verdict,
        evidence=list(evidence),
        client_close=_close(session, session.ending.client_close, shown),
        vendor_close=_close(session, session.ending.vendor_close, shown),
        self_=SelfReport(round(session.loop_lag_max, 4), session.buffered_max, round(session.done.delay_max, 4)),
        audio=_audio(session),
        latency=_latency(session),
        traffic={"to_vendor": _traffic(session.to_vendor), "to_client": _traffic(session.to_client)},
        actions={f"{rule}.{action}": times for (rule, action), times in session.done.actions.items()},
        facts=[Fact(name, utc(session.wall + since), round(since, 3))
               for name, since in ((name, at - session.started_at) for name, at in session.facts.items())],
        inspection=session.inspection,
        correlation=correlated(session.vendor_profile, session.request, correlation or {}),
    )


def _verdict(session: Session, now: float, shown: Discretion) -> tuple[Verdict, tuple[Evidence, ...]]:
    ending, claim = session.ending, session.claim
    session.conclude()
    if session.then is not None:  # what came after the vendor's word, or went by unread, says nothing of it
        claim.audio_sent, claim.end_sent = session.then.audio_sent, session.then.end_sent
    elif session.clock.chunks:
        claim.audio_sent = True
    ending.complete(claim, session.vendor_profile.profile)
    outcome, meaning = outcome_of(ending, claim, session.vendor_profile.classifier, bool(session.spec and session.spec.has_end),
                                  _full_length(session, now))
    examined = examine(session, outcome, meaning, now)
    close = {Side.VENDOR: ending.told_close or ending.vendor_close, Side.CLIENT: ending.client_close}.get(claim.close_by or Side.UNKNOWN)
    verdict = Verdict(
        vendor=session.vendor,
        endpoint=session.endpoint,
        outcome=outcome,
        phase=claim.phase,
        code=meaning.code,
        rule=meaning.rule,
        category=meaning.category,
        owner=examined.owner,
        rule_owner=meaning.owner,
        retry=meaning.retry,
        retry_after_seconds=claim.retry_after,
        initiated_by=ending.initiated_by,
        ended_by=ending.ended_by,
        http_status=claim.http_status,
        server_code=shown.text(claim.told.server_code),
        server_title=shown.text(claim.told.server_title),
        server_detail=shown.text(claim.told.server_detail),
        connection_id=shown.id(session.connection_id or claim.told.connection_id),
        req_id=shown.id(session.req_id or claim.told.req_id),
        close_code=close.code if close else None,
        close_reason=shown.text(close.reason) if close else None,
        hint=examined.hint,
    )
    return verdict, examined.evidence


def _full_length(session: Session, now: float) -> bool:
    """Whether the session lasted as long as the vendor lets one last."""
    limit = longest_session(session)
    until = now if session.judged_at is None else session.judged_at
    return limit is not None and until - session.started_at >= FULL_LENGTH * limit


def _audio(session: Session) -> AudioReport:
    clock, audio, declared = session.clock, session.audio, session.audio_format
    report = AudioReport(declared.name, declared.sample_rate, declared.channels if clock.timed else None)
    report.reported_seconds = session.claim.reported_seconds
    report.gap_seconds_max = _rounded(clock.gap_max) if clock.chunks > 1 else None
    if session.gate is not None:
        session.gate.abandon()
    if clock.timed:
        cut = session.done.cut_seconds
        report.read_seconds, report.written_seconds = _rounded(audio.read + cut), _rounded(audio.written)
        report.cut_seconds = _rounded(cut) if cut else None
        report.delivered_seconds = _rounded(audio.delivered) if session.delivery.known else None
        report.silent_seconds = _rounded(audio.silent)
        report.rate_ratio = _rounded(clock.rate())
        if clock.chunks:
            report.chunk_seconds_min, report.chunk_seconds_max = _rounded(clock.chunk_min), _rounded(clock.chunk_max)
            report.lead_seconds_max = _rounded(clock.lead_max)
    return report


def _latency(session: Session) -> LatencyReport:
    results = session.results
    return LatencyReport(
        ready_seconds=_rounded(session.ready_at - session.started_at) if session.ready_at is not None else None,
        first_result_seconds=_rounded(results.first_seconds),
        result_lag_seconds_last=_rounded(results.lag_last),
        result_lag_seconds_max=_rounded(results.lag_max),
        results=results.results,
        finals=results.finals,
    )


def _traffic(traffic: Traffic) -> dict[str, Any]:
    return {
        "wire_bytes": traffic.wire_bytes,
        "frames": {name: n for name, n in zip(FRAME_TYPES, traffic.frames, strict=True) if n},
        "bytes": {name: n for name, n in zip(FRAME_TYPES, traffic.bytes, strict=True) if n},
    }


def _close(session: Session, close: SeenClose | None, shown: Discretion) -> Close | None:
    if close is None:
        return None
    return Close(close.code, shown.text(close.reason), utc(session.wall + close.at - session.started_at))


def correlated(vendor: Vendor, request: Request, names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The application's own ids, by the names the settings give under `headers` and `query`."""
    found = {name: request.headers.get(name.lower()) for name in names.get("headers", ())}
    found |= {name: request.query.get(name) for name in names.get("query", ())}
    if not any(found.values()):
        return {}
    shown = vendor.discretion(request)
    return {name: known for name, value in found.items() if (known := shown.id(value))}


def _at(session: Session, at: float | None) -> str | None:
    return utc(session.wall + at - session.started_at) if at is not None else None


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if value is not None else None
