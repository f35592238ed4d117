"""docs/telemetry.md says what the program sends, and by which variables."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmbatch_telemetry import names
from llmbatch_telemetry.names import METRICS, Metric, prometheus_name
from llmbatch_telemetry.shapes import RESOURCE_ATTRIBUTES, SPANS

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "docs" / "telemetry.md").read_text()
_USED = {a for metric in METRICS for a in metric.attributes} | {a for span in SPANS for a in span.attributes}


def test_the_page_is_what_the_generator_writes() -> None:
    command = [sys.executable, str(_ROOT / "scripts" / "telemetry.py"), "--print"]
    written = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert written == _TEXT, "run `make docs`"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_has_exactly_one_row_with_both_names(metric: Metric) -> None:
    assert _TEXT.count(f"| `{metric.name}`<br>`{prometheus_name(metric)}` |") == 1
    assert metric.description.endswith(".")


@pytest.mark.parametrize("attribute", sorted(_USED))
def test_every_attribute_of_spans_and_metrics_has_a_row(attribute: str) -> None:
    assert f"\n| `{attribute}` |" in _TEXT


def test_every_name_in_the_list_of_names_is_used_by_a_span_a_metric_or_a_resource() -> None:
    constants = {value for key, value in vars(names).items() if key.isupper() and isinstance(value, str)}
    assert constants == _USED | set(RESOURCE_ATTRIBUTES)


def test_every_name_of_a_span_has_a_row() -> None:
    assert {span.name for span in SPANS} > set(names.SpanName)
    assert all(f"\n| `{span.name}` |" in _TEXT for span in SPANS)


def test_every_variable_that_is_read_is_documented() -> None:
    source = (_ROOT / "worker" / "llmbatch_telemetry" / "settings.py").read_text()
    general = {f"OTEL_EXPORTER_OTLP_{what}" for what in re.findall(r'names_of\("(\w+)"\)', source)}
    whole = set(re.findall(r'"(OTEL_[A-Z_]+[A-Z])"', source)) | {"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"}
    documented = set(re.findall(r"`(OTEL_[A-Z_]+[A-Z])`", _TEXT))
    assert len(general) > 5
    assert general | whole <= documented


def test_links_lead_somewhere() -> None:
    anchors = {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in _headings(_TEXT)}
    for target in re.findall(r"\]\(([^)]+)\)", _TEXT):
        path, _, anchor = target.partition("#")
        if path.startswith("https:"):
            continue
        if path:
            assert (_ROOT / "docs" / path).exists(), target
        else:
            assert anchor in anchors, target


def _headings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("#")]
