"""Dashboards and alert rules ask for what is measured, and their files are what the generators write."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmbatch_telemetry import names
from llmbatch_telemetry.names import METRICS, Kind, Metric, prometheus_label, prometheus_name
from observability.promcheck import Promcheck

pytest_plugins = ["observability.promcheck"]

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / "deploy" / "observability"
_BOARDS = sorted((_FOLDER / "grafana").glob("*.json"))
_OF_RESOURCES = {prometheus_label(name) for name in (names.NAMESPACE, names.BATCH, names.POD)} | {"job", "instance"}
_VARIABLES = {"$namespace", "$batch", "$endpoint", "$shared", "$__rate_interval", "${datasource}"}
_SELECTOR = re.compile(r"([a-z_]+)\{([^}]*)\}")
_GROUPING = re.compile(r"(?:by|ignoring|on|group_left) ?\(([^)]*)\)")

Json = dict[str, Any]


def _series_names(metric: Metric) -> list[str]:
    name = prometheus_name(metric)
    return [f"{name}{part}" for part in ("_bucket", "_sum", "_count")] if metric.kind is Kind.HISTOGRAM else [name]


_LABELS = {
    name: {prometheus_label(attribute) for attribute in metric.attributes} | _OF_RESOURCES
    for metric in METRICS
    for name in _series_names(metric)
}


def panels_of(board: Json) -> Iterator[Json]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def _boards() -> list[Json]:
    return [json.loads(path.read_text()) for path in _BOARDS]


def _board_expressions() -> Iterator[str]:
    for board in _boards():
        for panel in panels_of(board):
            yield from (target["expr"] for target in panel.get("targets", []))
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                yield re.sub(r"label_values\((.*), \w+\)", r"\1", variable["definition"])


def _with_values(expression: str) -> str:
    """As Grafana asks: a range of time in place of its variable; the others stand within quotes."""
    return expression.replace("$__rate_interval", "5m")


def _rules() -> list[Json]:
    groups = yaml.safe_load((_FOLDER / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


_EXPRESSIONS = [*_board_expressions(), *(rule["expr"] for rule in _rules())]


def _generated(script: str, folder: Path) -> dict[str, str]:
    command = [sys.executable, str(_ROOT / "scripts" / script), str(folder)]
    subprocess.run(command, check=True, timeout=60)
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_the_dashboards_are_what_the_generator_writes(tmp_path: Path) -> None:
    written = _generated("dashboards.py", tmp_path)
    assert written == {path.name: path.read_text() for path in _BOARDS}, "run `make docs`"


def test_the_alert_rules_are_what_the_generator_writes(tmp_path: Path) -> None:
    written = _generated("alerts.py", tmp_path)
    assert written == {name: (_FOLDER / name).read_text() for name in written}, "run `make docs`"
    assert set(written) == {"alerts.yaml", "prometheus/alerts.yaml"}


def test_both_forms_of_the_alert_rules_are_the_same() -> None:
    resource = yaml.safe_load((_FOLDER / "prometheus" / "alerts.yaml").read_text())
    assert resource["kind"] == "PrometheusRule"
    assert resource["spec"]["groups"] == yaml.safe_load((_FOLDER / "alerts.yaml").read_text())["groups"]


@pytest.mark.parametrize("expression", sorted(set(_EXPRESSIONS)))
def test_an_expression_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    selectors = _SELECTOR.findall(expression)
    assert selectors, "asks for nothing"
    known = set.intersection(*(_LABELS[name] for name, _ in selectors)) | {"le"}
    for name, matchers in selectors:
        asked = set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', matchers))
        assert asked <= _LABELS[name], name
    grouped = {label.strip() for group in _GROUPING.findall(expression) for label in group.split(",") if label.strip()}
    every = set.union(*(_LABELS[name] for name, _ in selectors)) | {"le"}
    assert grouped <= every
    assert grouped <= known or "ignoring" in expression or len({name for name, _ in selectors}) > 1


@pytest.mark.parametrize("expression", sorted(set(_EXPRESSIONS)))
def test_an_expression_names_no_metric_without_selector_and_is_balanced(expression: str) -> None:
    rest = _SELECTOR.sub("", re.sub(r'"[^"]*"', '""', expression))
    assert not [name for name in _LABELS if re.search(rf"\b{name}\b", rest)]
    assert all(expression.count(a) == expression.count(b) for a, b in ("()", "[]", "{}"))
    assert set(re.findall(r"\$\{?\w+\}?", expression)) <= _VARIABLES


@pytest.mark.parametrize("expression", sorted(set(_EXPRESSIONS)))
def test_only_totals_are_rated(expression: str) -> None:
    totals = {name for metric in METRICS if metric.kind is not Kind.GAUGE for name in _series_names(metric)}
    rated = re.findall(r"(?:rate|increase)\(([a-z_]+)\{", expression)
    assert set(rated) <= totals
    assert len(rated) == len(re.findall(r"\[", re.sub(r'"[^"]*"', "", expression)))


def test_every_metric_of_workers_batches_and_operator_is_on_a_dashboard() -> None:
    asked = {name for expression in _EXPRESSIONS for name, _ in _SELECTOR.findall(expression)}
    assert not [metric.name for metric in METRICS if not asked & set(_series_names(metric))]


@pytest.mark.parametrize("board", _boards(), ids=lambda board: board["uid"])
def test_a_dashboard_is_one_that_grafana_11_reads(board: Json) -> None:
    assert board["schemaVersion"] >= 39
    assert board["title"].startswith("LLMBatch / ")
    assert "llmbatch" in board["tags"]
    ids = [panel["id"] for panel in panels_of(board)]
    assert len(ids) == len(set(ids))
    (source,) = [v for v in board["templating"]["list"] if v["type"] == "datasource"]
    assert (source["name"], source["query"]) == ("datasource", "prometheus")


@pytest.mark.parametrize("board", _boards(), ids=lambda board: board["uid"])
def test_every_panel_has_a_title_of_its_own_a_description_a_unit_and_the_chosen_source(board: Json) -> None:
    panels = [panel for panel in panels_of(board) if panel["type"] not in ("row", "text")]
    titles = [panel["title"] for panel in panels]
    # A row of numbers at the top and a graph below it may be about the same.
    assert all(
        titles.count(title) <= 1 or {p["type"] for p in panels if p["title"] == title} > {"stat"} for title in titles
    )
    for panel in panels:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("board", _boards(), ids=lambda board: board["uid"])
def test_panels_stand_side_by_side_and_never_on_each_other(board: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels_of(board):
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("board", _boards(), ids=lambda board: board["uid"])
def test_a_dashboard_uses_every_choice_it_offers(board: Json) -> None:
    text = json.dumps([panel.get("targets", []) for panel in panels_of(board)])
    for variable in board["templating"]["list"]:
        assert f"${variable['name']}" in text or f"${{{variable['name']}}}" in text


def test_alerts_have_names_of_their_own_severities_and_words() -> None:
    rules = _rules()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["alert"].startswith("LLMBatch")
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}


@pytest.mark.timeout(60, func_only=True)
def test_prometheus_reads_the_alert_rules(promcheck: Promcheck) -> None:
    assert promcheck.problems("rules", _FOLDER / "alerts.yaml") == ""


@pytest.mark.timeout(60, func_only=True)
def test_prometheus_reads_every_expression(promcheck: Promcheck) -> None:
    assert promcheck.problems("expressions", lines=map(_with_values, sorted(set(_EXPRESSIONS)))) == ""


@pytest.mark.timeout(60, func_only=True)
def test_what_prometheus_cannot_read_is_found(promcheck: Promcheck, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("groups: [{name: a, rules: [{alert: B, expr: 'sum('}]}]")
    assert "unclosed left parenthesis" in promcheck.problems("rules", tmp_path / "rules.yaml")
    assert "expected type range vector" in promcheck.problems("expressions", lines=["rate(a)", "b"])
