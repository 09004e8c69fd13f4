"""Pictures of dashboards: every kind of panel is drawn, with data and without; what is checked in can be shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dashboards import draw as drawing
from dashboards.draw import draw, main
from dashboards.generate import DASHBOARDS, HERE
from dashboards.prometheus import Prometheus, Series

START, END, STEP = 1_700_000_000.0, 1_700_000_300.0, 15


class Full(Prometheus):
    """Three series for each query, or one value."""

    def series(self, target: Mapping[str, Any], start: float, end: float, step: int, chosen: Mapping[str, str]) -> list[Series]:
        names = ["0.05", "1.0", "+Inf"] if target["format"] == "heatmap" else ["ok", "error", "deepgram mean"]
        moments = [end] if target["instant"] else [start + step * number for number in range(20) if number != 9]
        return [Series(name, {"vendor": "deepgram"}, tuple((moment, 0.5 + number) for moment in moments))
                for number, name in enumerate(names)]


class Empty(Prometheus):
    def series(self, target: Mapping[str, Any], start: float, end: float, step: int, chosen: Mapping[str, str]) -> list[Series]:
        return []


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_drawn(tmp_path: Path, name: str) -> None:
    full, empty = tmp_path / "full.png", tmp_path / "empty.png"
    draw(DASHBOARDS[name](), Full("", 15), START, END, STEP, full)
    draw(DASHBOARDS[name](), Empty("", 15), START, END, STEP, empty)
    with Image.open(full) as one, Image.open(empty) as other:
        assert one.size == other.size
        assert one.size[0] == 1500
    assert full.stat().st_size > 1.3 * empty.stat().st_size


def test_what_is_in_a_prometheus_can_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "Prometheus", Full)
    main(["--prometheus", "127.0.0.1:9090", "--minutes", "5", "--into", str(tmp_path / "overview.png")])
    assert (tmp_path / "overview.png").stat().st_size > 10_000


def test_the_picture_that_is_checked_in_can_be_shown() -> None:
    file = HERE / "overview.png"
    assert file.stat().st_size < 300_000
    with Image.open(file) as image:
        assert image.size[0] == 1500
