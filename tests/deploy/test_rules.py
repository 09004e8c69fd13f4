"""The alert rules that are checked in: generated, complete, naming nothing that is not there, and firing when they should and else not."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.prometheus.generate import HERE, IN_A_PROCESS, OBJECT, RULES, main, written, written_as_object
from proxy.core.verdict import Category, Outcome, Owner
from proxy.telemetry.catalogue import METRICS, STALLS
from tests.dashboards.queries import matchers, metric_of, selectors

from .promtool import ROOT, RUNBOOKS, Case, cases, run

FILE: Final[dict[str, Any]] = yaml.safe_load(RULES.read_text())
RECORDED: Final[list[dict[str, Any]]] = FILE["groups"][0]["rules"]
ALERTS: Final[list[dict[str, Any]]] = [rule for group in FILE["groups"][1:] for rule in group["rules"]]
PAGE_OF: Final = {rule["alert"]: group["name"].removeprefix("earwitness.") for group in FILE["groups"][1:] for rule in group["rules"]}
NAMES: Final = {rule["record"] for rule in RECORDED}
TARGET: Final = {"job", "instance", "node"}
"""Labels of what is scraped, that the example of a configuration puts there."""

every_rule = pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.get("alert") or rule["record"]) for rule in RECORDED + ALERTS])
every_alert = pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in ALERTS])


def promtool(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


def labels_of(expr: str) -> set[str]:
    """All that it selects or groups by."""
    found = {label for selector in selectors(expr) for label in matchers(selector)}
    grouped = ", ".join(re.findall(r"\b(?:by|without|on|group_left) \(([^)]*)\)", expr))
    return found | {label for label in grouped.split(", ") if label}


def result_labels(expr: str) -> set[str]:
    """Of what an alert's expression gives: as its outermost left-hand side is grouped, or recorded."""
    if "count(vendor:" in expr:  # of the way out: all vendors, or a node
        return {"node"}
    first = re.search(r"by \(([^)]*)\)|\b([a-z_]+):earwitness", expr)
    return set(re.split(r"[, _]+", first[1] or first[2])) if first else set()


def test_the_files_are_what_the_generator_writes() -> None:
    assert RULES.read_text() == written(HERE / "thresholds.yaml"), "run: python -m deploy.prometheus.generate"
    assert OBJECT.read_text() == written_as_object(HERE / "thresholds.yaml"), "run: python -m deploy.prometheus.generate"
    assert yaml.safe_load(OBJECT.read_text())["spec"] == FILE


def test_promtool_takes_it() -> None:
    assert f"{len(RECORDED + ALERTS)} rules found" in promtool("check", "rules", str(RULES))


@pytest.mark.parametrize("case", [pytest.param(case, id=case.get("alert") or case["scene"]) for case in cases()])
def test_alerts_fire_and_are_quiet(case: Case) -> None:
    done = run(case)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_below_its_threshold_firing_and_resolved() -> None:
    tried = {case["alert"] for case in cases() if "fires" in case and min(case["quiet"]) < min(case["fires"]) < max(case["quiet"])}
    assert tried == {rule["alert"] for rule in ALERTS}


def test_every_speed_of_burning_is_tried() -> None:
    tried = {one["labels"] for case in cases() if case.get("alert") == "EarwitnessErrorBudgetBurn"
             for some in case.get("fires", {}).values() for one in some}
    burns = [rule["labels"] for rule in ALERTS if rule["alert"] == "EarwitnessErrorBudgetBurn"]
    assert all(any(f"long={burn['long']} short={burn['short']}" in one for one in tried) for burn in burns)


def test_what_should_wake_nobody_is_tried() -> None:
    scenes = {case["scene"] for case in cases() if "scene" in case and not case.get("pages")}
    assert scenes >= {"muted callers", "all callers are muted", "a mass hang-up", "a rollout that drains 200 calls", "one bad tenant",
                      "counter resets", "normal ends"}


def test_a_case_that_is_not_so_is_found_out() -> None:
    case = next(case for case in cases() if case.get("alert") == "EarwitnessBillingExhausted")
    assert "FAILED" in (done := run({**case, "quiet": [25], "fires": {}})).stdout + done.stderr
    (alert,) = case["fires"][25]
    assert run({**case, "fires": {25: [{**alert, "description": "acme: 2 errors"}]}}).returncode != 0
    assert run({**case, "fires": {25: [{**alert, "labels": f"{alert['labels']} more=so"}]}}).returncode != 0
    outage = next(case for case in cases() if case.get("pages"))
    assert run({**outage, "pages": []}).returncode != 0
    assert run({**outage, "tickets": []}).returncode != 0


@every_alert
def test_one_of_something_is_not_told_as_several(rule: dict[str, Any]) -> None:
    """What stands in full in the cases is one error or several; here, that no text has a plural behind a count that may be one."""
    plain = re.findall(r'printf "%\.0f" }} (\w+)', rule["annotations"]["description"])
    assert plain == (["vendors"] if rule["alert"] == "EarwitnessEgressFailing" else []), "of which there are two at least"


def test_at_most_six_page() -> None:
    assert Counter(rule["labels"]["severity"] for rule in ALERTS)["critical"] <= 6
    assert {rule["labels"]["severity"] for rule in ALERTS} == {"critical", "warning"}


@every_rule
def test_all_that_is_named_exists(rule: dict[str, Any]) -> None:
    for selector in selectors(rule["expr"]):
        assert selector.name
        if selector.name == "up":
            known = TARGET
        elif ":" in selector.name:
            assert selector.name in NAMES
            level = selector.name.split(":")[0]
            known = set(level.split("_")) | TARGET
        else:
            metric = metric_of(selector.name)
            known = set(metric.labels) | TARGET
            if selector.name.endswith("_bucket"):
                (bound,) = (value for label, (_, value) in matchers(selector).items() if label == "le")
                assert bound in {str(float(one)) for one in metric.buckets}
                known |= {"le"}
        assert set(matchers(selector)) <= known, selector.name
    assert labels_of(rule["expr"]) <= {label for metric in METRICS for label in metric.labels} | TARGET | {"le"}


@every_rule
def test_values_of_closed_sets_are_of_the_sets(rule: dict[str, Any]) -> None:
    closed: dict[str, set[str]] = {"category": set(Category), "owner": set(Owner), "kind": set(STALLS), "outcome": set(Outcome)}
    for selector in selectors(rule["expr"]):
        for label, (_, value) in matchers(selector).items():
            if label in closed:
                assert set(value.split("|")) <= closed[label], rule["expr"]


def test_every_error_there_is_has_an_alert() -> None:
    """`normal` and `session_expired` are ends as they should be; `network`, `internal` and `local_limit` are told by the budget."""
    named = {value for rule in ALERTS for selector in selectors(rule["expr"])
             for label, (_, values) in matchers(selector).items() if label == "category" for value in values.split("|")}
    assert set(Category) - named == {Category.NORMAL, Category.SESSION_EXPIRED, Category.NETWORK, Category.INTERNAL, Category.LOCAL_LIMIT}


def test_what_is_recorded_is_used_and_its_name_says_what_it_is() -> None:
    used = {selector.name for rule in RECORDED + ALERTS for selector in selectors(rule["expr"])}
    assert used >= NAMES
    for rule in RECORDED:
        level, metric, operation = rule["record"].split(":")
        assert metric.startswith("earwitness_")
        if rule["record"] in IN_A_PROCESS:
            assert operation == "sum"
            continue
        assert re.fullmatch(r"(ratio_)?(increase|rate)\d+[smhdw]", operation)
        window = re.sub(r"[a-z_]+(?=\d)", "", operation)
        assert f"[{window}]" in rule["expr"]
        assert f"by ({', '.join(level.split('_'))})" in rule["expr"]


@every_rule
def test_counters_are_only_looked_at_as_increases(rule: dict[str, Any]) -> None:
    """But where they are summed within a process, which is a counter again."""
    counters = r"(?:earwitness_\w+_(?:total|count|bucket)|:sum)\b(?:{[^}]*})?(?![\[{])"
    if rule.get("record") not in IN_A_PROCESS:
        assert not re.findall(counters, rule["expr"])


@every_alert
def test_an_alert_says_who_has_to_act_and_for_how_long_it_waits(rule: dict[str, Any]) -> None:
    given = set(rule["labels"]) | result_labels(rule["expr"])
    assert given >= {"severity", "owner"}
    assert rule["labels"].get("owner", "vendor") in set(Owner)
    assert rule["for"]


@every_alert
def test_an_alert_says_what_it_is(rule: dict[str, Any]) -> None:
    words = rule["annotations"]
    assert set(words) == {"summary", "description", "runbook_url"}
    assert "{{" not in words["summary"]
    assert words["summary"].endswith(".")
    for label in result_labels(rule["expr"]) & {"vendor", "code", "check", "kind", "where", "instance", "node"}:
        assert f"$labels.{label}" in words["description"]


@every_alert
def test_an_alert_leads_to_its_heading_in_a_runbook(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].removeprefix(f"{RUNBOOKS}/").partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / "deploy" / "runbooks" / page).read_text(), re.MULTILINE)
    assert anchor == rule["alert"].lower()
    assert rule["alert"] in headings


def test_every_heading_is_an_alert_and_has_all_that_helps() -> None:
    for page in sorted((ROOT / "deploy" / "runbooks").glob("*.md")):
        if page.stem == "README":
            continue
        parts = re.split(r"^## (\w+)$", page.read_text(), flags=re.MULTILINE)[1:]
        assert dict.fromkeys(parts[::2]) == {name: None for name, group in PAGE_OF.items() if group == page.stem}
        for name, part in zip(parts[::2], parts[1::2], strict=True):
            for what in ("**Means.**", "**Confirm.**", "**Do.**", "**Tell.**"):
                assert part.count(what) == 1, (name, what)


def test_queries_in_runbooks_are_of_metrics_that_exist() -> None:
    for page in (ROOT / "deploy" / "runbooks").glob("*.md"):
        queries = re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL)
        for query in (line for block in queries for line in block.splitlines() if line.strip()):
            for selector in selectors(query):
                if selector.name not in NAMES | {"up", "process_cpu_seconds_total"}:
                    assert set(matchers(selector)) <= {*metric_of(str(selector.name)).labels, *TARGET, "le"}


def test_other_thresholds_give_other_rules(tmp_path: Path) -> None:
    thresholds, target = tmp_path / "thresholds.yaml", tmp_path / "rules.yaml"
    thresholds.write_text((HERE / "thresholds.yaml").read_text().replace("window: 1h", "window: 20s").replace("1d", "10m"))
    main(str(thresholds), str(target), str(tmp_path / "object.yaml"))
    assert "[20s]" in target.read_text()
    promtool("check", "rules", str(target))


def test_the_example_of_a_configuration_is_one(tmp_path: Path) -> None:
    example = yaml.safe_load((HERE / "prometheus.yaml").read_text())
    del example["scrape_configs"][0]["kubernetes_sd_configs"]  # Debian's build has no Kubernetes in it
    example["rule_files"] = [str(HERE / one) for one in example["rule_files"]]
    file = tmp_path / "prometheus.yaml"
    file.write_text(yaml.safe_dump(example))
    assert f"SUCCESS: {len(RECORDED + ALERTS)} rules found" in promtool("check", "config", str(file))
