"""Our points as OpenTelemetry's metrics, for its exporters."""

from collections.abc import Iterable
from itertools import groupby

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from llmbatch_telemetry import names
from llmbatch_telemetry.exporting.totals import Reading
from llmbatch_telemetry.meters import Distribution, Point
from llmbatch_telemetry.names import Kind


def metrics_data(
    readings: Iterable[Reading], at: float, resource: Resource, scope: InstrumentationScope
) -> MetricsData:
    """Everything that one request carries."""
    ordered = sorted(readings, key=lambda reading: (reading.point.metric.name, reading.is_delta))
    metrics = [
        _metric(metric, is_delta, list(group), at)
        for (metric, is_delta), group in groupby(ordered, key=lambda reading: (reading.point.metric, reading.is_delta))
    ]
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, metrics, "")], "")])


def _metric(metric: names.Metric, is_delta: bool, readings: list[Reading], at: float) -> Metric:
    temporality = AggregationTemporality.DELTA if is_delta else AggregationTemporality.CUMULATIVE
    data: Gauge | Sum | Histogram
    match metric.kind:
        case Kind.GAUGE:
            data = Gauge([_number(reading.point, at) for reading in readings])
        case Kind.COUNTER:
            data = Sum([_number(reading.point, at) for reading in readings], temporality, is_monotonic=True)
        case Kind.HISTOGRAM:
            data = Histogram([_histogram(reading.point, at) for reading in readings], temporality)
    return Metric(metric.name, metric.description, metric.unit, data)


def _number(point: Point, at: float) -> NumberDataPoint:
    value = point.value
    if isinstance(value, Distribution):
        raise TypeError(f"{point.metric.name} is no histogram")
    is_whole = point.metric.kind is Kind.COUNTER and point.metric.is_whole
    number = int(value) if is_whole else value
    return NumberDataPoint(_attributes(point), _nanoseconds(point.start), _nanoseconds(at), number)


def _histogram(point: Point, at: float) -> HistogramDataPoint:
    value = point.value
    if not isinstance(value, Distribution):
        raise TypeError(f"{point.metric.name} is a histogram")
    # The SDK's type wants an extreme, which are not kept; encoded None is absent.
    return HistogramDataPoint(
        _attributes(point),
        _nanoseconds(point.start),
        _nanoseconds(at),
        value.count,
        value.sum,
        value.counts,
        point.metric.bounds,
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
    )


def _attributes(point: Point) -> dict[str, str]:
    return {key: value for key, value in zip(point.metric.attributes, point.attributes, strict=False) if value}


def _nanoseconds(at: float) -> int:
    return max(round(at * 1e6) * 1000, 0)
