"""Writes the tables of docs/telemetry.md from the names that the program uses, and from the alert rules.

Run by `make docs`; a test compares the page with what this prints (`--print`). The words around the tables stand in the
page itself, a table between `<!-- NAME: written by make docs -->` and `<!-- end -->`.
"""

import ast
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import alerts
from llmbatch_telemetry import names, shapes
from llmbatch_telemetry.names import Metric, prometheus_name
from reference import table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "telemetry.md"
_TABLE = re.compile(r"(<!-- ([a-z ]+): written by make docs -->\n).*?(<!-- end -->)", re.DOTALL)
_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "metrics of batches": ("llmbatch.batch.",),
    "metrics of endpoints": ("llmbatch.endpoint.",),
    "metrics of workers": ("gen_ai.", "http.", "llmbatch.worker.", "llmbatch.store."),
    "metrics of the operator": ("llmbatch.operator.", "llmbatch.batches"),
    "metrics of every process": ("llmbatch.event_loop.", "llmbatch.telemetry."),
}


def page(text: str) -> str:
    """The page with its tables made anew."""
    tables = _tables()
    found = [match[2] for match in _TABLE.finditer(text)]
    if sorted(found) != sorted(tables):
        raise SystemExit(f"{PAGE.name} has tables {sorted(found)}, but there are {sorted(tables)}")
    return _TABLE.sub(lambda match: f"{match[1]}{tables[match[2]]()}\n{match[3]}", text)


def _tables() -> dict[str, Callable[[], str]]:
    makers: dict[str, Callable[[], str]] = {
        "spans": spans_table,
        "attributes": attributes_table,
        "resource": lambda: _meanings(shapes.RESOURCE_ATTRIBUTES),
        "alerts": alerts_table,
    }
    for title, prefixes in _PREFIXES.items():
        makers[title] = lambda prefixes=prefixes: metrics_table(_starting_with(prefixes))  # type: ignore[misc]
    return makers


def spans_table() -> str:
    """A row for each kind of span."""
    rows = [
        (f"`{span.name}`", span.parent, span.by, span.description, _codes(span.attributes)) for span in shapes.SPANS
    ]
    return table(("Span", "Parent", "Exported by", "What it is", "Attributes"), rows)


def attributes_table() -> str:
    """A row for each attribute of spans and metrics."""
    used = {name for span in shapes.SPANS for name in span.attributes}
    used |= {name for metric in names.METRICS for name in metric.attributes}
    return _meanings(name for name in attribute_words() if name in used)


def metrics_table(metrics: Iterable[Metric]) -> str:
    """A row for each metric."""
    rows = [
        (
            f"`{metric.name}`<br>`{prometheus_name(metric)}`",
            f"{metric.kind.value}, `{metric.unit}`",
            metric.description,
            _codes(metric.attributes),
        )
        for metric in metrics
    ]
    return table(("Metric, and in Prometheus", "Kind, unit", "What it is", "Attributes"), rows)


def alerts_table() -> str:
    """A row for each alert rule."""
    rows = [
        (f"`{alert.name}`", alert.severity, alert.lasts, alert.meaning)
        for alert in (*alerts.BATCHES, *alerts.ENDPOINTS, *alerts.OPERATOR)
    ]
    return table(("Alert", "Severity", "After", "What it means"), rows)


def attribute_words() -> dict[str, str]:
    """The string after each attribute's constant in `names`."""
    body = ast.parse(inspect.getsource(names)).body
    words = {}
    for constant, text in itertools.pairwise(body):
        match constant, text:
            case ast.Assign(value=ast.Constant(value=str(name))), ast.Expr(value=ast.Constant(value=str(said))):
                words[name] = " ".join(said.split())
            case ast.Assign(value=ast.Constant(value=str(name))), _:
                raise SystemExit(f"{name} has no description")
    return words


def _starting_with(prefixes: tuple[str, ...]) -> list[Metric]:
    return [metric for metric in names.METRICS if metric.name.startswith(prefixes)]


def _meanings(attributes: Iterable[str]) -> str:
    words = attribute_words()
    return table(("Attribute", "Meaning"), [(f"`{name}`", words[name]) for name in attributes])


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    new = page(PAGE.read_text())
    if "--print" in sys.argv:
        sys.stdout.write(new)
    else:
        PAGE.write_text(new)
