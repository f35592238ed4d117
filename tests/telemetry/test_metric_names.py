"""The list of metrics is sound: names, units and buckets that collectors and Prometheus take."""

import re

import pytest

from llmbatch_telemetry import names
from llmbatch_telemetry.names import METRICS, Kind, Metric

_UNITS = re.compile(r"s|By|\{[a-z_]+\}")


def ids(metric: Metric) -> str:
    return metric.name


def test_names_are_given_once() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert len({names.prometheus_name(metric) for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=ids)
def test_a_metric_is_complete(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", metric.name)
    assert _UNITS.fullmatch(metric.unit)
    assert metric.description.endswith(".")
    assert len(set(metric.attributes)) == len(metric.attributes)
    assert len({names.prometheus_label(attribute) for attribute in metric.attributes}) == len(metric.attributes)
    assert re.fullmatch(r"[a-z_:][a-z0-9_:]*", names.prometheus_name(metric))


@pytest.mark.parametrize("metric", METRICS, ids=ids)
def test_histograms_and_only_they_have_bounds(metric: Metric) -> None:
    assert bool(metric.bounds) == (metric.kind is Kind.HISTOGRAM)
    assert sorted(set(metric.bounds)) == list(metric.bounds)


@pytest.mark.parametrize("metric", METRICS, ids=ids)
def test_no_metric_has_a_series_for_each_item(metric: Metric) -> None:
    assert not {names.ITEM, names.ITEM_INDEX, names.SHARD} & set(metric.attributes)


@pytest.mark.parametrize("metric", METRICS, ids=ids)
def test_names_in_prometheus_carry_units_as_its_receivers_make_them(metric: Metric) -> None:
    name = names.prometheus_name(metric)
    assert name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert ("_seconds" in name) == (metric.unit == "s")
    assert ("_bytes" in name) == (metric.unit == "By")
