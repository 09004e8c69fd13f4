"""Grafana's dashboard JSON, as little of it as the dashboards here need.

Owns field names and defaults of the format (schema 38: Grafana 10 and later) and the placing of panels. It knows no metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Json = dict[str, Any]
Links = Mapping[str, tuple[str, str]]
"""Title and address, by a table's column, or by "" for all of a panel."""
Kind = Literal["stat", "timeseries", "heatmap", "table"]

SCHEMA: Final = 38
COLUMNS: Final = 24
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """`instant`: one value, at the end of the range. `exemplar`: ask for the traces that stand beside the buckets."""

    expr: str
    legend: str = ""
    instant: bool = False
    exemplar: bool = False

    def json(self, ref: str, kind: Kind) -> Json:
        shape = {"heatmap": "heatmap", "table": "table"}.get(kind, "time_series")
        return {"refId": ref, "datasource": SOURCE, "expr": self.expr, "legendFormat": self.legend or "__auto", "format": shape,
                "instant": self.instant, "range": not self.instant, "exemplar": self.exemplar}


@dataclass(frozen=True, slots=True)
class Panel:
    """`width`: of 24 columns. `bars`: for what happens now and then.
    `colors`: by series' name. `warn`, `alarm`: values from which a stat is yellow or red.

    `columns`: of a table, in order: the label (or "Value") and its heading.
    """

    kind: Kind
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    width: int
    stacked: bool = False
    bars: bool = False
    highest: float | None = None
    decimals: int | None = None
    warn: float | None = None
    alarm: float | None = None
    colors: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    links: Links = field(default_factory=dict)

    def json(self) -> Json:
        """Without its id and its place."""
        made: Json = {
            "type": self.kind, "title": self.title, "description": self.description, "datasource": SOURCE,
            "targets": [query.json(chr(ord("A") + number), self.kind) for number, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self._defaults(), "overrides": [*self._overrides()]},
            "options": _OPTIONS[self.kind],
        }
        if self.kind == "table":
            made["transformations"] = [
                {"id": "organize", "options": {
                    "excludeByName": {"Time": True}, "indexByName": {name: place for place, name in enumerate(self.columns)},
                    "renameByName": dict(self.columns)}},
                {"id": "sortBy", "options": {"sort": [{"field": self.columns["Value"], "desc": True}]}},
            ]
        return made

    def _defaults(self) -> Json:
        steps: list[Json] = [{"color": "green", "value": None}]
        steps += [{"color": color, "value": value} for color, value in (("yellow", self.warn), ("red", self.alarm)) if value is not None]
        made: Json = {"unit": self.unit, "min": 0, "color": {"mode": "thresholds" if self.kind == "stat" else "palette-classic-by-name"},
                      "thresholds": {"mode": "absolute", "steps": sorted(steps, key=lambda step: step["value"] or float("-inf"))}}
        if self.highest is not None:
            made["max"] = self.highest
        if self.decimals is not None:
            made["decimals"] = self.decimals
        if self.bars:
            made["noValue"] = "None in this time"
        if "" in self.links:
            made["links"] = [_link(*self.links[""])]
        if self.kind == "timeseries":
            stacked = self.stacked or self.bars
            made["custom"] = {"drawStyle": "bars" if self.bars else "line", "lineWidth": 1, "fillOpacity": 60 if stacked else 0,
                              "showPoints": "auto", "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}
        return made

    def _overrides(self) -> list[Json]:
        found = [_by_name(name, "color", {"mode": "fixed", "fixedColor": color}) for name, color in self.colors.items()]
        if self.kind == "table":
            found.append(_by_name(self.columns["Value"], "custom.cellOptions", {"type": "gauge", "mode": "basic"}))
        found += [_by_name(self.columns.get(name, name), "links", [_link(*link)]) for name, link in self.links.items() if name]
        return found


_OPTIONS: Final[Mapping[Kind, Json]] = {
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value", "graphMode": "none",
             "justifyMode": "center"},
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                   "tooltip": {"mode": "multi", "sort": "desc"}},
    "heatmap": {"calculate": False, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64}, "cellGap": 1,
                "yAxis": {"unit": "s"}, "rowsFrame": {"layout": "auto"}, "tooltip": {"show": True}, "exemplars": {"color": "orange"}},
    "table": {"showHeader": True, "cellHeight": "sm"},
}


def _by_name(name: str, what: str, value: object) -> Json:
    return {"matcher": {"id": "byName", "options": name}, "properties": [{"id": what, "value": value}]}


def _link(title: str, url: str) -> Json:
    return {"title": title, "url": url, "targetBlank": False}


def source() -> Json:
    """The variable of the data source."""
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0}


def variable(name: str, metric: str, multi: bool = True) -> Json:
    """The values of a label of a metric (with its matchers). Where several may be chosen, all are at first."""
    query = f"label_values({metric}, {name})"
    made: Json = {"name": name, "label": name.title(), "type": "query", "datasource": SOURCE, "query": query, "definition": query,
                  "refresh": 2, "sort": 1, "multi": multi, "includeAll": multi, "hide": 0}
    if multi:
        made |= {"allValue": ".+", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}
    return made


def constant(name: str, label: str, value: str) -> Json:
    """Text that the reader may change for the visit, and the operator for good."""
    chosen = {"selected": True, "text": value, "value": value}
    return {"name": name, "label": label, "type": "textbox", "query": value, "current": chosen, "options": [chosen], "hide": 2}


Row = tuple[str, int, Sequence[Panel]]
"""A title, the height of the panels, and the panels: as many lines of them as they need."""


def dashboard(uid: str, title: str, description: str, variables: Sequence[Json], links: Sequence[Json], rows: Sequence[Row]) -> Json:
    return {
        "uid": uid, "title": title, "description": description, "tags": ["earwitness"], "schemaVersion": SCHEMA, "version": 1,
        "editable": False, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-3h", "to": "now"}, "timezone": "browser",
        "templating": {"list": list(variables)}, "links": list(links), "annotations": {"list": []}, "panels": _placed(rows),
    }


def to_dashboard(title: str, uid: str) -> Json:
    return {"type": "link", "title": title, "url": f"/d/{uid}", "icon": "dashboard", "includeVars": True, "keepTime": True, "tags": []}


def to_page(title: str, url: str) -> Json:
    return {"type": "link", "title": title, "url": url, "icon": "doc", "targetBlank": True, "tags": []}


def _placed(rows: Sequence[Row]) -> list[Json]:
    placed: list[Json] = []
    y = 0
    for title, height, panels in rows:
        head = {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}}
        placed.append({"id": len(placed) + 1, **head})
        x, y = 0, y + 1
        for panel in panels:
            if x + panel.width > COLUMNS:
                x, y = 0, y + height
            placed.append({"id": len(placed) + 1, **panel.json(), "gridPos": {"x": x, "y": y, "w": panel.width, "h": height}})
            x += panel.width
        y += height
    return placed
