"""A dashboard as a picture: its panels, where they stand, with what their queries give.

Owns the looks, which are near Grafana's dark ones. `python -m dashboards.draw --minutes 6` plays the demo's calls for so long and
draws the overview; with `--prometheus host:port` it draws what is there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

from dashboards.generate import HERE
from dashboards.prometheus import Prometheus, Series
from dashboards.rehearsal import FAILING, rehearse, scraped
from dashboards.units import said
from proxy.demo import Stage
from proxy.simulators.scenes import SCENES

Panel = Mapping[str, Any]

DPI: Final = 100
WIDE: Final = 1500
COLUMN, LINE, GAP, HEAD, FOOT = WIDE / 24, 36.0, 8.0, 30.0, 20.0
TOP: Final = 52.0
"""Pixels: of the picture, of a column and a line of the grid, between panels, of a panel's title, of a line of a legend, of the title."""
BACK, PANEL, EDGE, GRID, TEXT, WEAK = "#111217", "#181b1f", "#25282e", "#2c3036", "#ccccdc", "#8e8e99"
STEPS: Final = {"green": "#73BF69", "yellow": "#FADE2A", "red": "#F2495C"}
PALETTE: Final = ("#5794F2", "#FF9830", "#73BF69", "#B877D9", "#FADE2A", "#F2495C", "#4AB8C1", "#FF7383", "#8AB8FF", "#96D98D", "#CA95E5",
                  "#FFCB7D", "#9FA7B3", "#C0D8FF", "#E02F44", "#37872D")
MOST_IN_LEGEND: Final = 10


@dataclass(slots=True)
class Canvas:
    """A picture in pixels, with the origin at its upper left corner. A vendor has one colour all over it."""

    height: float
    start: float
    end: float
    figure: Figure = field(init=False)
    _renderer: RendererAgg = field(init=False)
    _vendors: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.figure = Figure(figsize=(WIDE / DPI, self.height / DPI), dpi=DPI, facecolor=BACK)
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()  # type: ignore[no-untyped-call]

    def width(self, words: str, size: float) -> float:
        """Pixels."""
        font = FontProperties(size=size)
        wide, _, _ = self._renderer.get_text_width_height_descent(words, font, ismath=False)  # type: ignore[no-untyped-call]
        return float(wide)

    def text(self, x: float, y: float, words: str, size: float = 9.0, **more: Any) -> None:
        self.figure.text(x / WIDE, 1 - y / self.height, words, fontsize=size, **{"color": TEXT, "va": "center", **more})

    def axes(self, x: float, y: float, w: float, h: float) -> Axes:
        return self.figure.add_axes((x / WIDE, 1 - (y + h) / self.height, w / WIDE, h / self.height), facecolor=PANEL)

    def box(self, x: float, y: float, w: float, h: float) -> None:
        whole = self.axes(0, 0, WIDE, self.height) if not self.figure.axes else self.figure.axes[0]
        if whole.axison:
            whole.set(xlim=(0, WIDE), ylim=(self.height, 0))
            whole.set_axis_off()
        shape = "round,pad=0,rounding_size=3"
        whole.add_patch(FancyBboxPatch((x, y), w, h, boxstyle=shape, facecolor=PANEL, edgecolor=EDGE, linewidth=0.8))

    def line(self, x: float, y: float, color: str, dashed: bool) -> None:
        self.figure.add_artist(Line2D([x / WIDE, (x + 14) / WIDE], [1 - y / self.height] * 2, color=color, linewidth=2.4,
                                      linestyle=(0, (1.6, 0.8)) if dashed else "-"))

    def color(self, panel: Panel, series: Series, place: int) -> str:
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["options"] == series.name and override["properties"][0]["id"] == "color":
                return str(override["properties"][0]["value"]["fixedColor"])
        vendor = series.labels.get("vendor")
        if len(series.labels) > 1 or vendor is None:
            return PALETTE[place % len(PALETTE)]
        return self._vendors.setdefault(vendor, PALETTE[len(self._vendors) % len(PALETTE)])


def draw(board: Mapping[str, Any], prometheus: Prometheus, start: float, end: float, step: int, file: Path) -> None:
    """Draws what a dashboard shows of the time between two moments, in seconds since the epoch, into a PNG."""
    lines = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    canvas = Canvas(TOP + lines * LINE + GAP, start, end)
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
        _KINDS[panel["type"]](canvas, panel, found, (x, y + HEAD, w, h - HEAD))
    _save(canvas.figure, file)


def _save(figure: Figure, file: Path) -> None:
    """As few colours as a file of its size needs."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.png"
        figure.savefig(raw, dpi=DPI, facecolor=BACK)
        with Image.open(raw) as image:
            image.convert("RGB").quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, optimize=True)


Room = tuple[float, float, float, float]


def _stat(canvas: Canvas, panel: Panel, found: Sequence[Series], room: Room) -> None:
    x, y, w, h = room
    defaults = panel["fieldConfig"]["defaults"]
    if not found:
        _nothing(canvas, panel, room)
        return
    value = found[0].points[-1][1]
    reached = [step for step in defaults["thresholds"]["steps"] if step["value"] is None or value >= step["value"]]
    canvas.text(x + w / 2, y + h / 2 - 8, said(value, defaults["unit"], defaults.get("decimals")), 25, ha="center", weight="bold",
                color=STEPS[reached[-1]["color"]])


def _nothing(canvas: Canvas, panel: Panel, room: Room) -> None:
    x, y, w, h = room
    canvas.text(x + w / 2, y + h / 2, panel["fieldConfig"]["defaults"].get("noValue", "No data"), 10, ha="center", color=WEAK)


def _timeseries(canvas: Canvas, panel: Panel, found: Sequence[Series], room: Room) -> None:
    if not found:
        _nothing(canvas, panel, room)
        return
    shown = sorted(found, key=lambda series: series.name)
    colors = [canvas.color(panel, series, place) for place, series in enumerate(shown)]
    axes = _framed(canvas, panel, room, _legend(canvas, room, [(series.name, color) for series, color in zip(shown, colors, strict=True)]))
    custom = panel["fieldConfig"]["defaults"]["custom"]
    if custom["stacking"]["mode"] == "normal":
        highest = _stack(axes, shown, colors, custom)
    else:
        highest = max(value for series in shown for _, value in series.points)
        for series, color in zip(shown, colors, strict=True):
            moments, values = _with_gaps(series.points)
            axes.plot(moments, values, color=color, linewidth=1.4, marker="o", markersize=1.6, markeredgewidth=0,
                      linestyle=(0, (3, 1.5)) if _dashed(series.name) else "-")
    _scale(axes, panel["fieldConfig"]["defaults"], highest)


def _stack(axes: Axes, shown: Sequence[Series], colors: Sequence[str], custom: Mapping[str, Any]) -> float:
    """One on the other, in their order. Returns how high it goes."""
    moments = np.array(sorted({moment for series in shown for moment, _ in series.points}))
    rows = np.array([[dict(series.points).get(moment, 0.0) for moment in moments] for series in shown])
    tops = np.cumsum(rows, axis=0)
    alpha = custom["fillOpacity"] / 100
    for row, top, color in zip(rows, tops, colors, strict=True):
        if custom["drawStyle"] == "bars":
            step = min(np.diff(moments), default=5.0)
            axes.bar(moments, row, step * 0.8, top - row, color=color, alpha=alpha + 0.2, linewidth=0)
        else:
            axes.fill_between(moments, top - row, top, color=color, alpha=alpha, linewidth=0)
            axes.plot(moments, np.where(row > 0, top, np.nan), color=color, linewidth=1)
    return float(tops[-1].max())


def _dashed(name: str) -> bool:
    return name.endswith(" mean")


def _with_gaps(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Where a value is missing the line is broken."""
    moments: list[float] = []
    values: list[float] = []
    step = min((b[0] - a[0] for a, b in pairwise(points)), default=0.0)
    for moment, value in points:
        if moments and moment - moments[-1] > 1.5 * step:
            moments.append(moments[-1] + step)
            values.append(float("nan"))
        moments.append(moment)
        values.append(value)
    return moments, values


def _scale(axes: Axes, defaults: Mapping[str, Any], highest: float) -> None:
    axes.set_ylim(0, defaults.get("max") or highest * 1.08 or 1)
    ticks = [tick for tick in axes.get_yticks() if tick <= axes.get_ylim()[1] * 1.001]
    axes.set_yticks(ticks, [said(tick, defaults["unit"]) for tick in ticks])


def _framed(canvas: Canvas, panel: Panel, room: Room, foot: float) -> Axes:
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
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
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


def _heatmap(canvas: Canvas, panel: Panel, found: Sequence[Series], room: Room) -> None:
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


def _table(canvas: Canvas, panel: Panel, found: Sequence[Series], room: Room) -> None:
    x, y, w, h = room
    columns: Mapping[str, str] = panel["transformations"][0]["options"]["renameByName"]
    wide = w / (len(columns) + 1.2)
    for place, heading in enumerate(columns.values()):
        canvas.text(x + 14 + place * wide, y + 8, heading, 8.5, color="#6E9FFF", weight="bold")
    ranked = sorted(found, key=lambda series: -series.points[-1][1])[: int((h - 24) / 21)]
    largest = max((series.points[-1][1] for series in ranked), default=1.0)
    for number, series in enumerate(ranked):
        at = y + 30 + 21 * number
        cells = [series.labels.get(name, "") for name in columns if name != "Value"]
        for place, cell in enumerate(cells):
            canvas.text(x + 14 + place * wide, at, cell, 8.5)
        left, value = x + 14 + len(cells) * wide, series.points[-1][1]
        room_of_bar = w - 14 - len(cells) * wide - 70
        whole = canvas.figure.axes[0]
        whole.add_patch(Rectangle((left, at - 7), room_of_bar, 13, facecolor=EDGE))
        whole.add_patch(Rectangle((left, at - 7), room_of_bar * value / largest, 13, facecolor=STEPS["green"], alpha=0.8))
        canvas.text(left + room_of_bar + 10, at, said(value, "none", 0), 8.5)


_KINDS: Final = {"stat": _stat, "timeseries": _timeseries, "heatmap": _heatmap, "table": _table}


async def _play_and_draw(minutes: float, board: Mapping[str, Any], file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="earwitness-draw-") as folder:
        scenes = (*SCENES, *FAILING)
        async with Stage(scenes) as stage, scraped(stage, Path(folder)) as prometheus:
            start = time.time()
            await rehearse(stage, minutes * 60, Random(7))
            await asyncio.to_thread(prometheus.await_scrape, time.time())
            await asyncio.to_thread(draw, board, prometheus, start + 15, start + minutes * 60, 5, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6.0, help="of calls, or of what is in the Prometheus given")
    parser.add_argument("--prometheus", help="host:port of one that scrapes a sidecar, in place of one with the demo's calls")
    parser.add_argument("--board", type=Path, default=HERE / "overview.json")
    parser.add_argument("--into", type=Path, default=HERE / "overview.png")
    options = parser.parse_args()
    board = json.loads(options.board.read_text())
    if options.prometheus:
        now = time.time()
        draw(board, Prometheus(options.prometheus, 15), now - options.minutes * 60, now, 15, options.into)
        return
    log = logging.getLogger("earwitness")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    asyncio.run(_play_and_draw(options.minutes, board, options.into))


if __name__ == "__main__":
    main()
