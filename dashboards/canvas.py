"""What a picture of a dashboard is drawn on: boxes, words, lines and axes, placed in pixels, in colours near Grafana's dark ones.

It knows neither queries nor the kinds of panels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

from dashboards.prometheus import Series

DPI: Final = 100
WIDE: Final = 1500
BACK, PANEL, EDGE, GRID, TEXT, WEAK = "#111217", "#181b1f", "#25282e", "#2c3036", "#ccccdc", "#8e8e99"
PALETTE: Final = ("#5794F2", "#FF9830", "#73BF69", "#B877D9", "#FADE2A", "#F2495C", "#4AB8C1", "#FF7383", "#8AB8FF", "#96D98D", "#CA95E5",
                  "#FFCB7D", "#9FA7B3", "#C0D8FF", "#E02F44", "#37872D")
COLORS: Final = 128


@dataclass(slots=True)
class Canvas:
    """A picture in pixels, with the origin at its upper left corner. A vendor has one colour all over it."""

    height: float
    start: float
    end: float
    step: int
    figure: Figure = field(init=False)
    _ground: Axes = field(init=False)
    _renderer: RendererAgg = field(init=False)
    _vendors: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.figure = Figure(figsize=(WIDE / DPI, self.height / DPI), dpi=DPI, facecolor=BACK)
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()  # type: ignore[no-untyped-call]
        self._ground = self.axes(0, 0, WIDE, self.height)
        self._ground.set(xlim=(0, WIDE), ylim=(self.height, 0))
        self._ground.set_axis_off()

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
        shape = "round,pad=0,rounding_size=3"
        self._ground.add_patch(FancyBboxPatch((x, y), w, h, boxstyle=shape, facecolor=PANEL, edgecolor=EDGE, linewidth=0.8))

    def bar(self, x: float, y: float, w: float, h: float, color: str, alpha: float = 1.0) -> None:
        self._ground.add_patch(Rectangle((x, y), w, h, facecolor=color, alpha=alpha))

    def line(self, x: float, y: float, color: str, dashed: bool) -> None:
        self.figure.add_artist(Line2D([x / WIDE, (x + 14) / WIDE], [1 - y / self.height] * 2, color=color, linewidth=2.4,
                                      linestyle=(0, (1.6, 0.8)) if dashed else "-"))

    def color(self, panel: Mapping[str, Any], series: Series, place: int) -> str:
        """That of the panel's own choice, of the series' vendor, or of its place."""
        for override in panel["fieldConfig"]["overrides"]:
            if override["matcher"]["options"] == series.name and override["properties"][0]["id"] == "color":
                return str(override["properties"][0]["value"]["fixedColor"])
        vendor = series.labels.get("vendor")
        if len(series.labels) > 1 or vendor is None:
            return PALETTE[place % len(PALETTE)]
        return self._vendors.setdefault(vendor, PALETTE[len(self._vendors) % len(PALETTE)])

    def save(self, file: Path) -> None:
        """As a PNG of few colours: flat areas need no more, and it is a quarter of the size."""
        with TemporaryDirectory() as folder:
            raw = Path(folder) / "raw.png"
            self.figure.savefig(raw, dpi=DPI, facecolor=BACK)
            with Image.open(raw) as image:
                image.convert("RGB").quantize(COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, optimize=True)
