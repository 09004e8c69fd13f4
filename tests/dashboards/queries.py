"""What a query of a dashboard is made of, as a parser of PromQL sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser

from dashboards.generate import DASHBOARDS
from proxy.telemetry.catalogue import BY_NAME, Metric

FILLED = {"__rate_interval": "4m", "__range": "3h"}
Json = dict[str, Any]


def panels(board: Json) -> list[Json]:
    """All but the heads of rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets() -> Iterator[tuple[str, Json, Json]]:
    """Dashboard, panel and query, of all dashboards."""
    for name, make in DASHBOARDS.items():
        for panel in panels(make()):
            yield from ((name, panel, target) for target in panel["targets"])


def nodes(expr: str) -> list[promql_parser.Expr]:
    """Every node, from the outermost in. Raises ValueError for what is no PromQL."""
    found: list[promql_parser.Expr] = []
    filled = re.sub(r"\$(\w+)(?=\])", lambda match: FILLED[match[1]], expr)
    promql_parser.walk(promql_parser.parse(filled), found.append)
    return found


def selectors(expr: str) -> list[promql_parser.VectorSelector]:
    """Also those within brackets."""
    return [node for node in nodes(expr) if isinstance(node, promql_parser.VectorSelector)]


def matchers(selector: promql_parser.VectorSelector) -> dict[str, tuple[str, str]]:
    """Operator and value, by label."""
    return {one.name: (str(one.op).rpartition(".")[2], one.value) for one in selector.matchers.matchers}


def metric_of(name: str) -> Metric:
    """Of a series' name. Raises KeyError for one that the catalogue does not have."""
    if name in BY_NAME:
        return BY_NAME[name]
    metric = BY_NAME[re.sub(r"_(bucket|sum|count)$", "", name)]
    if metric.kind != "histogram":
        raise KeyError(name)
    return metric
