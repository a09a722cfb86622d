"""Scrape file, alert rules and dashboard: accepted by Prometheus, and about metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from qflow.metrics import METRICS

Run = Callable[..., str]

LABELS = {"function", "status", "outcome", "loop"}
OF_PROMETHEUS = {"le", "instance", "job"}


def exposed() -> set[str]:
    """Return the names of all series that qflow exposes."""
    names = {"process_resident_memory_bytes"}
    for metric in METRICS:
        parts = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        names |= {metric.name + part for part in parts}
    return names


def series(expression: str) -> set[str]:
    """Return the names of the series in an expression."""
    return set(re.findall(r"\b(?:qflow|process)_[a-z_]+\b", expression))


def labels(expression: str) -> set[str]:
    """Return the labels that an expression selects or groups by."""
    grouped = re.findall(r"(?:by|on|without) ?\(([a-z_, ]*)\)", expression)
    selected = re.findall(r"([a-z_]+)(?:=~|!=|!~|=)\"", expression)
    return {name.strip() for group in grouped for name in group.split(",") if name.strip()} | set(
        selected
    )


@pytest.fixture(scope="module")
def alerts(deploy: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load((deploy / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def dashboard(deploy: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((deploy / "grafana" / "qflow.json").read_text())
    return found


def charts(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give every panel's title with each of its expressions."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def test_promtool_accepts_the_configuration(deploy: Path, tool: Run) -> None:
    said = tool("promtool", "check", "config", deploy / "prometheus" / "prometheus.yml")
    assert "1 rule files found" in said


def test_promtool_accepts_the_rules(deploy: Path, tool: Run) -> None:
    tool("promtool", "check", "rules", deploy / "prometheus" / "alerts.yml")


def test_alerts_fire_when_they_should(deploy: Path, tool: Run, tmp_path: Path) -> None:
    for file in (deploy / "prometheus" / "alerts.yml", Path(__file__).parent / "alerts_test.yml"):
        shutil.copy(file, tmp_path)
    tool("promtool", "test", "rules", tmp_path / "alerts_test.yml")


def test_alerts_name_metrics_and_labels_that_exist(alerts: list[dict[str, Any]]) -> None:
    for rule in alerts:
        assert series(rule["expr"]), rule
        assert series(rule["expr"]) <= exposed(), rule["alert"]
        assert labels(rule["expr"]) <= LABELS | OF_PROMETHEUS, rule["alert"]


def test_every_alert_says_what_to_do(alerts: list[dict[str, Any]]) -> None:
    for rule in alerts:
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]


def test_there_is_an_alert_for_each_thing_that_can_stop(alerts: list[dict[str, Any]]) -> None:
    watched = set().union(*(series(rule["expr"]) for rule in alerts))
    needed = (
        "leader_present", "stream_lag", "queue_oldest_seconds", "fenced_commits_total", "redis_up",
        "worker_deaths_total", "runs_ended_total", "loop_age_seconds", "leases_lapsed",
    )  # fmt: skip
    assert {f"qflow_{name}" for name in needed} <= watched


def test_the_dashboard_is_about_metrics_that_exist(dashboard: dict[str, Any]) -> None:
    for title, expression in charts(dashboard):
        assert series(expression), title
        assert series(expression) <= exposed(), title
        assert labels(expression) <= LABELS | OF_PROMETHEUS, title


def test_the_dashboard_shows_every_metric(dashboard: dict[str, Any]) -> None:
    shown = " ".join(expression for _, expression in charts(dashboard))
    assert [metric.name for metric in METRICS if metric.name not in shown] == []


def test_prometheus_understands_every_expression(
    dashboard: dict[str, Any], tool: Run, tmp_path: Path
) -> None:
    plain = [
        expression.replace("$__rate_interval", "5m").replace("$function", ".*")
        for _, expression in charts(dashboard)
    ]
    rules = [{"record": f"panel:{i}", "expr": text} for i, text in enumerate(plain)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    tool("promtool", "check", "rules", file)


def test_what_is_the_same_on_every_process_is_not_summed_over_them(
    dashboard: dict[str, Any], alerts: list[dict[str, Any]]
) -> None:
    shared = "|".join(metric.name for metric in METRICS if metric.scope == "redis")
    summed = re.compile(rf"sum(?: by \([a-z, ]*\))? ?\((?:rate\(|increase\()?(?:{shared})\b")
    texts = [expression for _, expression in charts(dashboard)] + [rule["expr"] for rule in alerts]
    assert [text for text in texts if summed.search(text)] == []


def test_the_dashboard_is_one_that_grafana_imports(dashboard: dict[str, Any]) -> None:
    assert dashboard["schemaVersion"] == 39
    assert dashboard["uid"] and dashboard["title"]
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert panel["description"], panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert refs and len(set(refs)) == len(refs), panel["title"]


def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
