"""A dashboard as a picture: its panels, where they stand, with what their queries give.

Owns the looks, which are near Grafana's dark ones. `python -m dashboards.draw` plays the demo's calls for some minutes and draws
the overview; with `--prometheus host:port` it draws what is there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from dashboards.canvas import EDGE, GRID, PANEL, WEAK, WIDE, Canvas
from dashboards.generate import HERE
from dashboards.prometheus import Prometheus, Series
from dashboards.rehearsal import FAILING, rehearse, scraped
from dashboards.units import said
from proxy.demo import Stage
from proxy.simulators.scenes import SCENES

Json = Mapping[str, Any]
Room = tuple[float, float, float, float]
"""Left, top, width and height, in pixels."""

COLUMN, LINE, GAP, HEAD, FOOT, TOP = WIDE / 24, 36.0, 8.0, 30.0, 20.0, 52.0
"""Pixels: of a column and a line of the grid, between panels, of a panel's title, of a line of a legend, of the dashboard's title."""
STEPS: Final = {"green": "#73BF69", "yellow": "#FADE2A", "red": "#F2495C"}
MOST_IN_LEGEND: Final = 10
SCRAPED_SECONDS: Final = 6
"""Between two scrapes while the demo plays: a rate is one of four, and smooth enough to be read."""


def draw(board: Json, prometheus: Prometheus, start: float, end: float, step: int, file: Path) -> None:
    """Draws what a dashboard shows of the time between two moments, in seconds since the epoch, into a PNG."""
    lines = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    canvas = Canvas(TOP + lines * LINE + GAP, start, end, step)
    canvas.box(GAP, GAP, WIDE - 2 * GAP, TOP - 2 * GAP)
    canvas.text(2.5 * GAP, TOP / 2, board["title"], 13, weight="bold")
    moments = [datetime.fromtimestamp(moment, UTC) for moment in (start, end)]
    canvas.text(WIDE - 2.5 * GAP, TOP / 2, f"{moments[0]:%Y-%m-%d %H:%M:%S} to {moments[1]:%H:%M:%S} UTC", 9.5, ha="right", color=WEAK)
    for panel in board["panels"]:
        place = panel["gridPos"]
        x, y = place["x"] * COLUMN + GAP, TOP + place["y"] * LINE
        w, h = place["w"] * COLUMN - GAP * (2 if place["x"] + place["w"] == 24 else 1), place["h"] * LINE - GAP
        if panel["type"] == "row":
            canvas.text(x + 4, y + LINE / 2 - 2, f"⌄  {panel['title']}", 11, weight="bold")
            continue
        found = [series for target in panel["targets"] for series in prometheus.series(target, start, end, step, {})]
        canvas.box(x, y, w, h)
        canvas.text(x + 10, y + HEAD / 2, panel["title"], 9.5, weight="bold")
        (_KINDS[panel["type"]] if found else _nothing)(canvas, panel, found, (x, y + HEAD, w, h - HEAD))
    canvas.save(file)


def _stat(canvas: Canvas, panel: Json, found: Sequence[Series], room: Room) -> None:
    x, y, w, h = room
    defaults = panel["fieldConfig"]["defaults"]
    value = found[0].points[-1][1]
    reached = [step for step in defaults["thresholds"]["steps"] if step["value"] is None or value >= step["value"]]
    canvas.text(x + w / 2, y + h / 2 - 8, said(value, defaults["unit"], defaults.get("decimals")), 25, ha="center", weight="bold",
                color=STEPS[reached[-1]["color"]])


def _nothing(canvas: Canvas, panel: Json, _: Sequence[Series], room: Room) -> None:
    x, y, w, h = room
    canvas.text(x + w / 2, y + h / 2, panel["fieldConfig"]["defaults"].get("noValue", "No data"), 10, ha="center", color=WEAK)


def _timeseries(canvas: Canvas, panel: Json, found: Sequence[Series], room: Room) -> None:
    shown = sorted(found, key=lambda series: series.name)
    colors = [canvas.color(panel, series, place) for place, series in enumerate(shown)]
    axes = _framed(canvas, panel, room, _legend(canvas, room, [(series.name, color) for series, color in zip(shown, colors, strict=True)]))
    custom = panel["fieldConfig"]["defaults"]["custom"]
    if custom["stacking"]["mode"] == "normal":
        highest = _stack(axes, shown, colors, custom, canvas.step)
    else:
        highest = max(value for series in shown for _, value in series.points)
        for series, color in zip(shown, colors, strict=True):
            moments, values = _with_gaps(series.points, canvas.step)
            axes.plot(moments, values, color=color, linewidth=1.4, marker="o", markersize=1.6, markeredgewidth=0,
                      linestyle=(0, (3, 1.5)) if _dashed(series.name) else "-")
    _scale(axes, panel["fieldConfig"]["defaults"], highest)


def _stack(axes: Axes, shown: Sequence[Series], colors: Sequence[str], custom: Mapping[str, Any], step: int) -> float:
    """One on the other, in their order. Returns how high it goes."""
    moments = np.array(sorted({moment for series in shown for moment, _ in series.points}))
    rows = np.array([[dict(series.points).get(moment, 0.0) for moment in moments] for series in shown])
    tops = np.cumsum(rows, axis=0)
    alpha = custom["fillOpacity"] / 100
    for row, top, color in zip(rows, tops, colors, strict=True):
        if custom["drawStyle"] == "bars":
            axes.bar(moments, row, step * 0.8, top - row, color=color, alpha=alpha + 0.2, linewidth=0)
        else:
            axes.fill_between(moments, top - row, top, color=color, alpha=alpha, linewidth=0)
            axes.plot(moments, np.where(row > 0, top, np.nan), color=color, linewidth=1)
    return float(tops[-1].max())


def _dashed(name: str) -> bool:
    return name.endswith(" mean")


def _with_gaps(points: Sequence[tuple[float, float]], step: int) -> tuple[list[float], list[float]]:
    """Where a value is missing the line is broken."""
    moments: list[float] = []
    values: list[float] = []
    for moment, value in points:
        if moments and moment - moments[-1] > 1.5 * step:
            moments.append(moments[-1] + step)
            values.append(float("nan"))
        moments.append(moment)
        values.append(value)
    return moments, values


def _scale(axes: Axes, defaults: Mapping[str, Any], highest: float) -> None:
    axes.set_ylim(0, 1.02 * defaults["max"] if "max" in defaults else highest * 1.08 or 1)
    ticks = [tick for tick in axes.get_yticks() if tick <= axes.get_ylim()[1] * 1.001]
    axes.set_yticks(ticks, [said(tick, defaults["unit"]) for tick in ticks])


def _framed(canvas: Canvas, panel: Json, room: Room, foot: float) -> Axes:
    x, y, w, h = room
    axes = canvas.axes(x + 62, y + 2, w - 76, h - foot - 26)
    axes.set_xlim(canvas.start, canvas.end)
    marks = range(int(canvas.start // 60 + 1) * 60, int(canvas.end) + 1, 60)
    every = max(1, len(marks) // 6)
    axes.set_xticks(marks[::every], [f"{datetime.fromtimestamp(moment, UTC):%H:%M}" for moment in marks[::every]])
    axes.tick_params(colors=WEAK, labelsize=8, length=0, pad=4)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    return axes


def _legend(canvas: Canvas, room: Room, entries: Sequence[tuple[str, str]]) -> float:
    """Writes it at the bottom, in as many lines as it needs. Returns its height."""
    x, y, w, h = room
    lines: list[list[tuple[float, str, str]]] = [[]]
    along = 0.0
    more = len(entries) - MOST_IN_LEGEND
    for name, color in [*entries[:MOST_IN_LEGEND], *([(f"and {more} more", PANEL)] if more > 0 else [])]:
        wide = 20 + canvas.width(name, 8) + 14
        if along + wide > w - 16 and lines[-1]:
            lines.append([])
            along = 0.0
        lines[-1].append((along, name, color))
        along += wide
    for number, line in enumerate(lines):
        at = y + h - FOOT * (len(lines) - number) + FOOT / 2 - 3
        for along, name, color in line:
            canvas.line(x + 12 + along, at, color, _dashed(name))
            canvas.text(x + 12 + along + 19, at, name, 8)
    return FOOT * len(lines)


def _heatmap(canvas: Canvas, panel: Json, found: Sequence[Series], room: Room) -> None:
    rows = sorted(found, key=lambda series: float(series.name))
    counts = np.array([[value for _, value in series.points] for series in rows])
    counts = np.diff(counts, axis=0, prepend=np.zeros((1, counts.shape[1])))
    moments = [moment for moment, _ in rows[0].points]
    axes = _framed(canvas, panel, room, 4)
    shown = np.ma.masked_less_equal(counts, 1e-6)
    axes.grid(visible=False)
    axes.pcolormesh(moments, range(len(rows)), shown ** 0.5, cmap="inferno", shading="nearest", vmin=0, edgecolors=PANEL, linewidth=0.4)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_yticks(range(len(rows)), ["more" if series.name == "+Inf" else f"≤ {said(float(series.name), 's')}" for series in rows])


def _table(canvas: Canvas, panel: Json, found: Sequence[Series], room: Room) -> None:
    x, y, w, h = room
    columns: Mapping[str, str] = panel["transformations"][0]["options"]["renameByName"]
    ranked = sorted(found, key=lambda series: -series.points[-1][1])[: int((h - 24) / 21)]
    along = x + 14
    for name, heading in columns.items():
        canvas.text(along, y + 8, heading, 8.5, color="#6E9FFF", weight="bold")
        if name != "Value":
            cells = [series.labels.get(name, "") for series in ranked]
            for number, cell in enumerate(cells):
                canvas.text(along, y + 30 + 21 * number, cell, 8.5)
            along += max(canvas.width(cell, 8.5) for cell in (heading, *cells)) + 34
    wide = x + w - 60 - along
    for number, series in enumerate(ranked):
        at, value = y + 30 + 21 * number, series.points[-1][1]
        canvas.bar(along, at - 7, wide, 13, EDGE)
        canvas.bar(along, at - 7, wide * value / ranked[0].points[-1][1], 13, STEPS["green"], 0.8)
        canvas.text(along + wide + 10, at, said(value, "none", 0), 8.5)


_KINDS: Final = {"stat": _stat, "timeseries": _timeseries, "heatmap": _heatmap, "table": _table}


async def _play_and_draw(seconds: float, board: Json, file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="earwitness-draw-") as folder:
        async with Stage((*SCENES, *FAILING)) as stage, scraped(stage, Path(folder), SCRAPED_SECONDS) as prometheus:
            start = time.time()
            await rehearse(stage, seconds, Random(7))
            await asyncio.to_thread(prometheus.await_scrape, time.time())
            await asyncio.to_thread(draw, board, prometheus, start + 4 * SCRAPED_SECONDS, start + seconds, SCRAPED_SECONDS, file)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=7.0, help="of calls, or of what is in the Prometheus given")
    parser.add_argument("--prometheus", help="host:port of one that scrapes a sidecar, in place of one with the demo's calls")
    parser.add_argument("--board", type=Path, default=HERE / "overview.json")
    parser.add_argument("--into", type=Path, default=HERE / "overview.png")
    options = parser.parse_args(arguments)
    board = json.loads(options.board.read_text())
    if options.prometheus:
        now = time.time()
        draw(board, Prometheus(options.prometheus, 15), now - options.minutes * 60, now, 15, options.into)
        return
    log = logging.getLogger("earwitness")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    asyncio.run(_play_and_draw(options.minutes * 60, board, options.into))


if __name__ == "__main__":
    main()
