"""Faults of our own: whatever is raised while a call is looked at, judged, counted, traced or told of, the call goes on.

Every one of these plays the same good call to its end; the ends hear every byte, and there is one report, if a poor one.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.core.report import Report
from proxy.core.verdict import Inspection
from tests.reliability.rows_ends import AUDIO, BYE, END, RESULT
from tests.reliability.stage import Stage, row

OK: Final = "ok normal none client vendor"
BLIND: Final = "ok unclassified unknown vendor vendor"
POOR: Final = "error sidecar_internal sidecar unknown unknown"


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a bug")


async def a_good_call(stage: Stage) -> None:
    """Looked at by the sampler in between, as once a second."""
    client, vendor = await stage.open()
    for _ in range(3):
        await client.says(AUDIO)
        await vendor.hears(len(AUDIO))
        await vendor.says(RESULT)
        await client.hears(len(RESULT))
        stage.rig.app.sampler._tick()
        stage.the_call.sample(0.0)
    await client.says(END)
    await vendor.hears(len(END))
    await vendor.says(BYE)
    await client.hears(len(BYE))
    vendor.leaves()


def blind(report: Report, stage: Stage) -> None:
    assert report.inspection is Inspection.LOST
    assert stage.rig.app.ledger.inspection_errors["deepgram", "session"] == 1


def inside(name: str, fault: str, *targets: str, says: str = OK, also: Any = lambda report, stage: None) -> None:
    async def play(stage: Stage) -> None:
        await a_good_call(stage)

    play.__name__ = name
    row("inside", fault, client="101, FIN", says=says, patches=dict.fromkeys(targets, broken), also=also)(play)


inside("scanner_raises", "the frame scanner raises", "proxy.core.wire.FrameScanner.feed", says=BLIND, also=blind)
inside("client_message_raises", "looking into the client's messages raises", "proxy.core.sides.ClientSide.text",
       "proxy.core.sides.ClientSide.binary", says=BLIND, also=blind)
inside("vendor_message_raises", "looking into the vendor's messages raises", "proxy.core.sides.VendorSide.text", says=BLIND, also=blind)
inside("opened_raises", "taking in the vendor's 101 raises", "proxy.core.session.agreed", says=BLIND, also=blind)
inside("tick_raises", "the look once a second raises", "proxy.core.session.Session.tick", says=BLIND, also=blind)
inside("lost_raises", "taking in how a leg ended raises", "proxy.core.session.Session.lost")
inside("classifier_raises", "the classifier raises", "proxy.core.classify.Classifier.classify", says=POOR)
inside("examination_raises", "the cross-examination raises", "proxy.core.reporting.examine", says=POOR)
inside("report_raises", "making the report raises", "proxy.relay.relay.report_of", says=POOR)
inside("crowd_raises", "counting the sessions of a credential raises", "proxy.core.crowd.Crowd.came", "proxy.core.crowd.Crowd.left")
inside("open_line_raises", "telling of the session's beginning raises", "proxy.telemetry.log.session_open")
inside("end_line_raises", "telling of its end raises", "proxy.telemetry.log.session_end")
inside("every_line_raises", "every log line raises", "proxy.telemetry.log.session_open", "proxy.telemetry.log.session_end",
       "proxy.telemetry.log.state", "proxy.telemetry.log.noticed")
inside("tracing_raises", "starting a trace raises", "proxy.telemetry.traces.Tracing.session")
inside("trace_raises", "telling the trace raises", "proxy.telemetry.traces.Trace.dialling", "proxy.telemetry.traces.Trace.look",
       "proxy.telemetry.traces.Trace.over")
inside("dial_time_raises", "counting the time of a dial raises", "proxy.telemetry.ledger.Ledger.dialled")
inside("lag_raises", "counting the loop's lag raises", "proxy.telemetry.ledger.Ledger.loop_lag")
inside("warning_raises", "counting a warning or a policy's act raises", "proxy.telemetry.ledger.Ledger.warned",
       "proxy.telemetry.ledger.Ledger.policy_action", "proxy.relay.relay.shadowed")
