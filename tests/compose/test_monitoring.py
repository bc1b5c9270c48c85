"""The alert rules and the dashboard: they parse, use metrics and labels that workers serve, are
loaded by Compose, and each alert has an entry in the runbook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from app import metrics
from tests.docs.markdown import anchors

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "docs" / "deploy" / "monitoring"
DASHBOARD = MONITORING / "grafana" / "edgeloop.json"
OPERATIONS = ROOT / "docs" / "operations.md"

SCRAPED = {"instance", "job"}
OTHERS = {"up": SCRAPED, "process_resident_memory_bytes": SCRAPED}
"""Metrics of Prometheus and its client."""


def served() -> dict[str, set[str]]:
    """The labels of each series that a worker serves."""
    found = dict(OTHERS)
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            labels = SCRAPED | set(metric._labelnames)
            suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
            for suffix in suffixes.get(family.type, [""]):
                more = {"le"} if suffix == "_bucket" else set()
                found[family.name + suffix] = labels | more
    return found


SERVED = served()


def selectors(expression: str) -> list[Any]:
    """The series that a PromQL expression selects.  Raises `ValueError` if it is invalid."""
    nodes: list[Any] = []
    promql_parser.walk(promql_parser.parse(expression), nodes.append)
    return [node for node in nodes if isinstance(node, promql_parser.VectorSelector)]


def check(expression: str) -> None:
    """Check that metrics and labels are served."""
    found = selectors(expression)
    assert found, expression
    known: set[str] = set()
    for selector in found:
        assert selector.name in SERVED, f"{selector.name} in {expression}"
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= SERVED[selector.name], expression
        known |= SERVED[selector.name]
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        assert set(grouped.split(", ")) <= known, expression


def rules() -> Iterator[dict[str, Any]]:
    document = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    assert set(document) == {"groups"}
    for group in document["groups"]:
        assert set(group) == {"name", "rules"}
        yield from group["rules"]


@pytest.mark.parametrize("rule", list(rules()), ids=lambda rule: rule["alert"])
def test_an_alert_is_well_formed_and_has_an_entry_in_the_runbook(rule: dict[str, Any]) -> None:
    assert {"alert", "expr", "labels", "annotations"} <= set(rule)
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Edgeloop[A-Z][A-Za-z]+", rule["alert"])
    assert re.fullmatch(r"\d+[smhd]", rule.get("for", "0s"))
    assert set(rule["labels"]) == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "runbook"}
    check(rule["expr"])
    # The labels in the summary remain after the expression's grouping.
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = {name for by in re.findall(r"\bby \(([^)]*)\)", rule["expr"]) for name in by.split(", ")}
    assert named <= (kept or SCRAPED)
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert ROOT / path == OPERATIONS
    assert anchor == rule["alert"].lower()
    assert anchor in anchors(OPERATIONS)


def test_alerts_and_entries_are_the_same() -> None:
    alerts = [rule["alert"] for rule in rules()]
    entries = re.findall(r"^### (Edgeloop\w+)$", OPERATIONS.read_text(), flags=re.MULTILINE)
    assert entries == alerts


def test_every_metric_that_should_stay_at_nothing_has_an_alert() -> None:
    asked = {selector.name for rule in rules() for selector in selectors(rule["expr"])}
    rows = re.findall(r"^\| (`edgeloop_[^|]+) \| ([^|]+) \|$", OPERATIONS.read_text(), re.MULTILINE)
    wanted = {
        name
        for cell, meaning in rows
        if "Should be 0" in meaning or "Alert" in meaning
        for name in re.findall(r"`(\w+)`", cell)
    }
    assert len(wanted) > 8
    assert (
        wanted - {"edgeloop_closes_total"} <= asked
    )  # its dead letters have a metric of their own


@pytest.mark.parametrize("wrong", ["sum(", "rate(edgeloop_closes_total[5x])", "a b"])
def test_what_is_no_expression_is_found(wrong: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        check(wrong)


@pytest.mark.parametrize(
    "wrong", ["edgeloop_nothing > 0", 'edgeloop_overrides{colour="x"}', "sum by (colour) (up)"]
)
def test_a_metric_or_label_that_is_not_served_is_found(wrong: str) -> None:
    with pytest.raises(AssertionError):
        check(wrong)


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def test_the_dashboard_asks_for_what_is_served() -> None:
    asked = set()
    for panel in panels():
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "5m")
            check(expression)
            asked |= {selector.name for selector in selectors(expression)}
            kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= (kept or SCRAPED), expression
    parts = {name for name in SERVED if name.endswith(("_sum", "_count"))}
    assert asked == SERVED.keys() - parts, "and it leaves nothing out"


def test_the_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    cells: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        own = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own
        refs = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(refs)) == len(refs)


def test_the_dashboard_is_of_the_source_that_is_provisioned() -> None:
    document = json.loads(DASHBOARD.read_text())
    (variable,) = document["templating"]["list"]
    (source,) = yaml.safe_load((MONITORING / "grafana" / "datasource.yml").read_text())[
        "datasources"
    ]
    assert variable["query"] == source["type"] == "prometheus"
    assert variable["current"]["value"] == source["uid"]
    used = {p["datasource"]["uid"] for p in panels() if p["type"] != "row"}
    assert used == {f"${{{variable['name']}}}"}


def test_compose_loads_them_in_a_profile_of_their_own() -> None:
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
    services = yaml.safe_load(text)["services"]
    for name in ("prometheus", "grafana"):
        service = services[name]
        assert service["profiles"] == ["monitoring"]
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
        mounted = [v.split(":") for v in service["volumes"] if v.startswith("./")]
        assert all((ROOT / source).is_file() for source, *_ in mounted)
        assert all(mode == ["ro"] for _, _, *mode in mounted)
    prometheus = {v.split(":")[1]: v.split(":")[0] for v in services["prometheus"]["volumes"]}
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    for rule_file in config["rule_files"]:
        assert f"/etc/prometheus/{rule_file}" in prometheus
    (job,) = config["scrape_configs"]
    (discovery,) = job["dns_sd_configs"]
    assert job["job_name"] == "edgeloop"
    assert set(discovery["names"]) <= set(services)
    assert str(discovery["port"]) == services["worker"]["environment"]["EDGELOOP_METRICS_PORT"]
    source = yaml.safe_load((MONITORING / "grafana" / "datasource.yml").read_text())
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((MONITORING / "grafana" / "dashboards.yml").read_text())[
        "providers"
    ]
    folder = provider["options"]["path"]
    assert any(f":{folder}/edgeloop.json:" in v for v in services["grafana"]["volumes"])
