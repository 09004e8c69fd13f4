"""The dashboards that are checked in: generated, lint-clean, and naming nothing that the catalogue does not have.

The rules are those of Grafana's dashboard-linter, which is no Python; each test is named after the rule that it applies.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import promql_parser
import pytest
import yaml

from dashboards.generate import DASHBOARDS, HERE, Scope, text
from proxy.core.verdict import Owner
from proxy.telemetry.catalogue import LABELS, METRICS, PREFIX

from .queries import Json, matchers, metric_of, nodes, panels, selectors, targets

BOARDS: Final = {name: make() for name, make in DASHBOARDS.items()}
QUERIES: Final = [pytest.param(panel, target, id=f"{name}-{panel['title']}-{target['refId']}") for name, panel, target in targets()]
PANELS: Final = [pytest.param(board, panel, id=f"{name}-{panel['title']}") for name, board in BOARDS.items() for panel in panels(board)]
UNITS: Final = {"none", "percentunit", "s", "cpm", "cps", "bytes", "Bps"}
"""Of those that the linter allows the ones that suit what we count."""
OF_THE_TARGET: Final = {"job", "instance"}

by_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
by_panel = pytest.mark.parametrize(("board", "panel"), PANELS)
by_query = pytest.mark.parametrize(("panel", "target"), QUERIES)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_file_is_what_the_generator_writes(name: str) -> None:
    assert (HERE / name).read_text() == text(BOARDS[name]), "run: python -m dashboards.generate"


def test_the_module_writes_them(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "dashboards.generate", str(tmp_path)], cwd=HERE.parent, check=True)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {name: text(board) for name, board in BOARDS.items()}


def test_uids_are_stable() -> None:
    """Links that people have kept go by them."""
    uids = {name: board["uid"] for name, board in BOARDS.items()}
    assert uids == {"overview.json": "earwitness-overview", "vendor.json": "earwitness-vendor"}


@by_board
def test_template_datasource_rule(board: Json) -> None:
    (source,) = (one for one in board["templating"]["list"] if one["type"] == "datasource")
    assert (source["name"], source["label"], source["query"]) == ("datasource", "Data source", "prometheus")


@by_board
@pytest.mark.parametrize("name", ["job", "instance"])
def test_template_job_and_instance_rules(board: Json, name: str) -> None:
    (variable,) = (one for one in board["templating"]["list"] if one["name"] == name)
    assert variable["type"] == "query"
    assert (variable["label"], variable["multi"], variable["allValue"]) == (name.title(), True, ".+")


@by_board
def test_template_label_promql_and_reload_rules(board: Json) -> None:
    for variable in (one for one in board["templating"]["list"] if one["type"] == "query"):
        assert variable["refresh"] == 2, "on time range change"
        assert variable["datasource"]["uid"] == "${datasource}"
        inside = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        assert inside is not None
        assert inside[2] == variable["name"]
        (selector,) = selectors(inside[1])
        assert {inside[2], *matchers(selector)} <= {*metric_of(str(selector.name)).labels, *OF_THE_TARGET}


@by_board
def test_uneditable_rule(board: Json) -> None:
    assert board["editable"] is False


@by_board
def test_ids_are_unique_and_panels_lie_beside_each_other(board: Json) -> None:
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken = [(x, y) for panel in board["panels"] for place in (panel["gridPos"],)
             for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == 23
    titles = [panel["title"] for panel in panels(board)]
    assert len(titles) == len(set(titles))


@by_panel
def test_panel_rules(board: Json, panel: Json) -> None:
    """panel-title-description, panel-units, panel-datasource, panel-no-targets."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    for one in (panel, *panel["targets"]):
        assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@by_query
def test_target_job_and_instance_rules(panel: Json, target: Json) -> None:
    for selector in selectors(target["expr"]):
        found = matchers(selector)
        assert found["job"] == ("Re", "$job")
        assert found["instance"] == ("Re", "$instance")


@by_query
def test_target_rate_interval_rule(panel: Json, target: Json) -> None:
    """And what is of all that is shown is asked once, at its end."""
    for function, within in re.findall(r"(\w+)\([^()]*\[([^\]]*)\]\)", target["expr"]):
        assert (function, within) == (("increase", "$__range") if target["instant"] else ("rate", "$__rate_interval"))


@by_query
def test_target_counter_agg_rule(panel: Json, target: Json) -> None:
    ranged = {str(node.vector_selector) for node in nodes(target["expr"]) if isinstance(node, promql_parser.MatrixSelector)}
    for selector in selectors(target["expr"]):
        assert metric_of(str(selector.name)).kind == "gauge" or str(selector) in ranged


@by_query
def test_what_is_named_is_in_the_catalogue(panel: Json, target: Json) -> None:
    """Metrics, labels in matchers and groups, the values they are held against, labels in legends and tables."""
    metrics = [metric_of(str(selector.name)) for selector in selectors(target["expr"])]
    assert metrics
    for selector in selectors(target["expr"]):
        for label, (operator, value) in matchers(selector).items():
            assert label in {*metric_of(str(selector.name)).labels, *OF_THE_TARGET}
            assert value == f"${label}" or (operator in ("Equal", "NotEqual") and f"`{value}`" in LABELS[label])
    for node in nodes(target["expr"]):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            for metric in metrics:
                assert set(node.modifier.labels) <= {*metric.labels, *OF_THE_TARGET, *(("le",) if metric.kind == "histogram" else ())}
    grouped = {label for node in nodes(target["expr"]) if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None
               for label in node.modifier.labels}
    assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= grouped
    if panel["type"] == "table":
        assert grouped | {"Value"} == set(panel["transformations"][0]["options"]["renameByName"])


@by_panel
def test_colors_are_of_values_that_there_are(board: Json, panel: Json) -> None:
    known = " ".join(LABELS.values())
    for override in panel["fieldConfig"]["overrides"]:
        if override["properties"][0]["id"] == "color":
            assert f"`{override['matcher']['options']}`" in known


@by_query
def test_where_there_are_exemplars_they_are_asked_for(panel: Json, target: Json) -> None:
    """Of buckets and of a counter over time; a sum has none, nor has a table."""
    said = re.search(r"In OpenMetrics\s+(.*?) have exemplars", (HERE.parent / "METRICS.md").read_text(), re.DOTALL)
    assert said is not None
    series = {f"{PREFIX}{name}" + "_bucket" * name.endswith("_seconds") for name in re.findall(r"`(\w+)`", said[1])}
    asked = {str(selector.name) for selector in selectors(target["expr"])}
    assert target["exemplar"] == (not target["instant"] and asked <= series)


def test_every_metric_of_sessions_is_shown() -> None:
    """What is counted is looked at, but for what the ends say too, and a list that only says what errors there are."""
    shown = {metric_of(str(selector.name)).name for _, _, target in targets() for selector in selectors(target["expr"])}
    assert {metric.name for metric in METRICS} - shown == {"earwitness_sessions_started_total", "earwitness_error_info"}


def test_links_lead_somewhere() -> None:
    """To the dashboards here, or to pages under the address that the rules' `runbook_url` has too."""
    addresses = {link["url"] for board in BOARDS.values() for link in board["links"]}
    for board in BOARDS.values():
        for panel in panels(board):
            config = panel["fieldConfig"]
            addresses |= {link["url"] for link in config["defaults"].get("links", ())}
            addresses |= {link["url"] for one in config["overrides"] for found in one["properties"] if found["id"] == "links"
                          for link in found["value"]}
        (runbooks,) = (one for one in board["templating"]["list"] if one["name"] == "runbooks")
        thresholds = yaml.safe_load((HERE.parent / "deploy" / "prometheus" / "thresholds.yaml").read_text())
        assert runbooks["query"] == thresholds["runbooks"]
    uids = {board["uid"] for board in BOARDS.values()}
    assert {re.split(r"[?/]", address)[2] for address in addresses if address.startswith("/d/")} == uids
    assert {address for address in addresses if not address.startswith("/d/")} == {
        "${runbooks}/README.md", "${runbooks}/${__series.name}.md", "${runbooks}/${__value.text}.md"}


def test_a_name_that_is_not_in_the_catalogue_cannot_be_written() -> None:
    with pytest.raises(KeyError):
        Scope().of("sessions_finished_total")


def test_a_scope_selects_by_the_labels_that_a_metric_has() -> None:
    scope = Scope(("vendor", "listener"))
    assert scope.of("stalls_total", 'kind="not_ready"') == (
        'earwitness_stalls_total{job=~"$job",instance=~"$instance",vendor=~"$vendor",kind="not_ready"}')
    assert scope.reach("stalls_total") == " Not by listener."
    assert scope.reach("sessions_active") == ""


def test_owners_have_their_runbooks() -> None:
    """They are what stands in place of a series' name, or a cell, in a link."""
    pages = {path.stem for path in (HERE.parent / "deploy" / "runbooks").glob("*.md")}
    assert pages >= {"README", *Owner} - {"none"}
